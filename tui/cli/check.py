"""The command `check`, which tests whether an agent can be reached and is healthy, without a call."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Sequence

from tui.exit_code import ExitCode
from tui.models.events import ErrorRaised
from tui.models.journal import utc_now
from tui.models.target import Target
from tui.protocols.base import (
    CallerEnd,
    CallerSettings,
    CanValidate,
    HangUpReason,
    Outgoing,
    TelephonyEvent,
    TelephonyEventType,
)
from tui.protocols.registry import protocol_named
from tui.session.dialling import settle
from tui.text.visible import one_line
from tui.websocket.client import Closed, WebSocketClient, client_of
from tui.websocket.failure import ConnectionFailed
from tui.websocket.message_handler import MessageHandler

_VALIDATE_S = 2.0
"""Longest wait in seconds for an answer to ``connection.validate``.

The SDK never answers; other agents answer quickly.
"""
_CLOSE_S = 0.5
"""Time limit in seconds for the agent to close the socket after ``session.end``."""


async def check(target: Target, show: Callable[[str], None]) -> ExitCode:
    """Opens the socket, asks the agent to validate the connection, and closes the socket.

    ``show`` receives a line for each step. If the agent does not answer, a session is opened and ended
    immediately. If opening a session costs nothing in a protocol, only the session is tested. A protocol
    without a validation message is tested only by opening the socket.
    """
    dialled = await settle(target)
    target, redactor = dialled.target, dialled.redactor

    def report(text: str) -> None:
        show(redactor.text(text))

    for note in (*(guess.text for guess in dialled.advice), *dialled.notes):
        report(note)
    protocol = protocol_named(target.protocol)
    settings = CallerSettings(options=target.options, url=target.url)
    caller = protocol.caller(settings, lambda: str(uuid.uuid4()), utc_now)
    began_ns = time.monotonic_ns()
    try:
        client = client_of(target, protocol, redactor=redactor, caller=caller)
        await client.open(target.connect_timeout_s)
    except ConnectionFailed as failure:
        report(f"{failure} {failure.hint}".strip())
        return ExitCode.UNREACHABLE
    report(f"{target.safe_url} opened in {(time.monotonic_ns() - began_ns) / 1e6:.0f} ms.")
    if protocol.check_notice:
        report(protocol.check_notice)
    try:
        if not (protocol.checked_by_opening or isinstance(caller, CanValidate)):
            report(
                f"{protocol.title} has no validation message, so check can only confirm that the socket opens."
            )
            return ExitCode.FINE
        probe = _Probe(caller, client, target, report)
        return await (probe.open(caller) if protocol.checked_by_opening else probe.run())
    finally:
        await client.close()


class _Probe:
    """Tests an agent through an open socket: validates the connection, or opens a session without audio."""

    def __init__(
        self, caller: CallerEnd, client: WebSocketClient, target: Target, report: Callable[[str], None]
    ) -> None:
        self._caller = caller
        self._client = client
        self._limit_s = target.accept_timeout_s
        self._report = report
        self._answer: TelephonyEvent | None = None
        self._fault: ErrorRaised | None = None
        """The latest error that ended a session, such as a refusal."""
        self._messages = MessageHandler(caller.receive)
        self._messages.add_session_handler(self._take)
        self._messages.add_error_handler(self._take_error)

    async def run(self) -> ExitCode:
        """Validates the connection; if the agent does not answer, opens a session. Returns the exit code."""
        validate_s = min(_VALIDATE_S, self._limit_s)
        assert isinstance(self._caller, CanValidate)
        took_ms = await self._ask(self._caller.validate(), validate_s)
        if self._answer:
            return self._validated(self._answer, took_ms)
        if not self._client.is_open:
            self._report(
                f"The agent did not answer connection.validate: the socket was {self._client.close_reason}."
            )
            return ExitCode.NOT_ANSWERED
        if self._fault:
            # Some agents accept only session.initiate as the first message, so this is not necessarily a
            # refusal.
            why = f"The agent answered connection.validate with an error: {one_line(self._fault.message)}"
        else:
            why = (
                f"The agent did not answer connection.validate within {validate_s:g} s "
                "(agents built with the AudioCodes SDK never do)."
            )
        self._report(f"{why.rstrip('.')}. Initiating a session instead.")
        return await self._open(self._caller.opened())

    async def open(self, caller: CallerEnd) -> ExitCode:
        """Opens a session, if possible with the protocol's validation message, and ends it. Returns the exit code."""
        return await self._open(caller.validate() if isinstance(caller, CanValidate) else caller.opened())

    async def _open(self, request: Sequence[Outgoing]) -> ExitCode:
        self._fault = None
        took_ms = await self._ask(request, self._limit_s)
        if self._answer and self._answer.type is TelephonyEventType.SESSION_ACCEPTED:
            self._report(f"The agent accepted a session after {took_ms:.0f} ms ({self._answer.text}).")
            code = ExitCode.FINE
        elif self._answer:
            code = self._validated(self._answer, took_ms)
        else:
            code = self._not_accepted()
        await self._end(HangUpReason.FAILED if code else HangUpReason.USER)
        return code

    async def _ask(self, request: Sequence[Outgoing], limit_s: float) -> float:
        """Sends a request and waits for an answer, an error or the end of the connection; returns the time in ms."""
        began_ns = time.monotonic_ns()
        with contextlib.suppress(TimeoutError, Closed):
            async with asyncio.timeout(limit_s):
                for message in request:
                    await self._client.send(message.frame)
                async for at_ns, frame in self._client.frames():
                    await self._messages.handle_message(frame, at_ns)
                    if self._answer or self._fault:
                        break
        return (time.monotonic_ns() - began_ns) / 1e6

    def _validated(self, answer: TelephonyEvent, took_ms: float) -> ExitCode:
        if not answer.params.get("success", True):
            self._report("The agent reported that it is not healthy (success is false).")
            return ExitCode.PROTOCOL_ERROR
        self._report(f"The agent answered with connection.validated after {took_ms:.0f} ms.")
        return ExitCode.FINE

    def _not_accepted(self) -> ExitCode:
        if self._fault:
            self._report(f"The agent refused the session: {one_line(self._fault.message)}")
            return ExitCode.UNREACHABLE if self._fault.code == "unknown" else ExitCode.PROTOCOL_ERROR
        if not self._client.is_open:
            self._report(f"The agent did not accept a session: the socket was {self._client.close_reason}.")
        else:
            self._report(
                f"The agent did not accept a session within {self._limit_s:g} s "
                f"(received {self._messages.received} other messages)."
            )
        return ExitCode.NOT_ANSWERED

    async def _end(self, reason: HangUpReason) -> None:
        """Ends an open session, and waits briefly for the agent to close the socket."""
        farewell = self._caller.hang_up(reason)
        if not farewell or not self._client.is_open:
            return
        with contextlib.suppress(Closed, TimeoutError):
            for message in farewell:
                await self._client.send(message.frame)
            self._report(f"Sent {', '.join(message.kind for message in farewell)} ({reason}).")
            async with asyncio.timeout(_CLOSE_S):
                await self._client.wait_closed()

    def _take(self, event: TelephonyEvent) -> None:
        if event.type in (TelephonyEventType.CONNECTION_VALIDATED, TelephonyEventType.SESSION_ACCEPTED):
            self._answer = self._answer or event

    def _take_error(self, error: ErrorRaised) -> None:
        if error.fatal:
            self._fault = error
