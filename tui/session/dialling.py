"""From what the user asked for to what can be dialled: the protocol guessed, a TwiML webhook asked."""

from __future__ import annotations

import asyncio
import functools
import secrets
from urllib.parse import urlsplit

import msgspec

from tui.handlers.tools.running import DaemonThreads
from tui.models.target import Target
from tui.protocols import detect
from tui.protocols.base import bearer
from tui.protocols.registry import names
from tui.protocols.twilio import twiml
from tui.settings import AUTO
from tui.websocket.client import ConnectionFailed, WebSocketClient, tls_context


class DiallingError(ValueError):
    """The target cannot be dialled, as a sentence that says what to do.

    ``source`` is what failed, ``code`` stable, as in the `ErrorRaised` that reports it.
    """

    def __init__(self, source: str, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.source, self.code, self.message, self.hint = source, code, message, hint


class ProtocolNotDetected(ValueError):
    """The protocol cannot be detected, as a sentence that says what to do."""


class Dialled(msgspec.Struct, frozen=True):
    """A target whose protocol and URL are known, and notes for the user on how they were found."""

    target: Target
    notes: tuple[str, ...] = ()


async def settle(target: Target) -> Dialled:
    """Find out what is still open of a target. What only a call can show is left to the call.

    Raises `DiallingError`, `ProtocolNotDetected`.
    """
    try:
        return await _settle(target)
    except ConnectionFailed as failure:
        raise DiallingError("socket", failure.code, str(failure), failure.hint) from failure


async def _settle(target: Target) -> Dialled:
    notes: list[str] = []
    if target.protocol == AUTO:
        guess = detect.from_url(target.url) or await _listen(target)
        notes.append(guess.sentence)
        target = msgspec.structs.replace(target, protocol=guess.protocol)
    if urlsplit(target.url).scheme in ("http", "https"):
        target, more = await _ask_webhook(target)
        notes += more
    return Dialled(target, tuple(notes))


async def _listen(target: Target) -> detect.Guess:
    """Detect the protocol from the first message: open the socket for a moment, because some agents speak first."""
    headers = {**bearer(target.token, target.url), **target.headers}
    client = WebSocketClient(target.url, headers=headers, insecure=target.insecure, cacert=target.cacert)
    await client.open(target.connect_timeout_s)
    try:
        async with asyncio.timeout(detect.LISTEN_MS / 1000):
            async for _, frame in client.frames():
                if guess := detect.from_first_frame(frame):
                    return guess
    except TimeoutError:
        pass
    finally:
        await client.close()
    raise ProtocolNotDetected(
        f"Neither the URL nor the first {detect.LISTEN_MS} ms show which protocol {target.safe_url} speaks: "
        f"name it with --protocol ({', '.join(names())})."
    )


async def _ask_webhook(target: Target) -> tuple[Target, list[str]]:
    if target.protocol != "twilio":
        raise DiallingError(
            "settings",
            "unreachable",
            f"{target.safe_url} is a web address. Only Twilio's agents have one, for their TwiML (--protocol twilio);"
            " any other starts with ws:// or wss://.",
        )
    options = {
        "account_sid": f"AC{secrets.token_hex(16)}",
        "call_sid": f"CA{secrets.token_hex(16)}",
        **target.options,
    }
    fields = twiml.call_fields(
        account_sid=options["account_sid"],
        call_sid=options["call_sid"],
        caller=target.caller,
        called=target.agent_name,
    )
    context = tls_context(target.url, insecure=target.insecure, cacert=target.cacert)
    try:
        # On a daemon thread: an answer may take long, and the program would wait for any other thread at its end.
        asked = functools.partial(twiml.fetch_twiml, target.url, target.token, fields, context=context)
        stream = await DaemonThreads("webhook").run(asked)
    except (twiml.TwimlError, OSError) as error:
        raise DiallingError("webhook", "unreachable", str(error)) from error
    notes = [f"The webhook names the stream {stream.url}.", *stream.notes]
    params = {**stream.parameters, **target.params}
    return msgspec.structs.replace(target, url=stream.url, params=params, options=options), notes
