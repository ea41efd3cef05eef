"""Checking, without a call, that an agent can be reached and is healthy."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

from tui.exit_code import ExitCode
from tui.models.target import Target
from tui.protocols.base import CallerSettings, CanValidate, TelephonyEvent, TelephonyEventType
from tui.protocols.registry import protocol_named
from tui.session.dialling import settle
from tui.websocket.client import WebSocketClient, client_of
from tui.websocket.failure import ConnectionFailed
from tui.websocket.message_handler import MessageHandler


async def check(target: Target, show: Callable[[str], None]) -> ExitCode:
    """Open the socket, request validation if the protocol has it, and close; show each step in a sentence."""
    dialled = await settle(target)
    target, redactor = dialled.target, dialled.redactor

    def report(text: str) -> None:
        show(redactor.text(text))

    for note in (*(guess.text for guess in dialled.advice), *dialled.notes):
        report(note)
    protocol = protocol_named(target.protocol)
    caller = protocol.caller(CallerSettings(options=target.options), lambda: str(uuid.uuid4()), lambda: "")
    client = client_of(target, protocol, redactor=redactor)
    began_ns = time.monotonic_ns()
    try:
        await client.open(target.connect_timeout_s)
    except ConnectionFailed as failure:
        report(f"{failure} {failure.hint}".strip())
        return ExitCode.UNREACHABLE
    report(f"{target.safe_url} opened in {(time.monotonic_ns() - began_ns) / 1e6:.0f} ms.")
    try:
        if not isinstance(caller, CanValidate):
            report(
                f"{protocol.title} has no validation message, so check can only confirm that the socket opens."
            )
            return ExitCode.FINE
        return await _validate(caller, client, target, report)
    finally:
        await client.close()


async def _validate(
    caller: CanValidate, client: WebSocketClient, target: Target, report: Callable[[str], None]
) -> ExitCode:
    answered = asyncio.get_running_loop().create_future()

    def take(event: TelephonyEvent) -> None:
        if event.type is TelephonyEventType.CONNECTION_VALIDATED and not answered.done():
            answered.set_result(event)

    messages = MessageHandler(caller.receive)
    messages.add_session_handler(take)
    for message in caller.validate():
        await client.send(message.frame)
    began_ns = time.monotonic_ns()
    try:
        async with asyncio.timeout(target.accept_timeout_s):
            async for at_ns, frame in client.frames():
                await messages.handle_message(frame, at_ns)
                if answered.done():
                    break
    except TimeoutError:
        pass
    if not answered.done() and not client.is_open:
        report(f"The agent did not answer connection.validate: the socket was {client.close_reason}.")
        return ExitCode.NOT_ANSWERED
    if not answered.done():
        report(
            f"The agent did not answer connection.validate within {target.accept_timeout_s:g} s "
            f"({messages.received} other messages). Agents built with the AudioCodes SDK ignore it."
        )
        return ExitCode.NOT_ANSWERED
    event = answered.result()
    took_ms = (time.monotonic_ns() - began_ns) / 1e6
    if not event.params.get("success", True):
        report("The agent reported that it is not healthy (success is false).")
        return ExitCode.PROTOCOL_ERROR
    report(f"The agent answered connection.validated after {took_ms:.0f} ms.")
    return ExitCode.FINE
