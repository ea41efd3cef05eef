"""Prepares the user's target for a call: detects the protocol, and queries a TwiML webhook."""

from __future__ import annotations

import asyncio
import functools
import secrets
from urllib.parse import urlsplit

import msgspec

from tui.handlers.tools.running import DaemonThreads
from tui.models.target import Target
from tui.protocols import detect
from tui.protocols.base import Finding, bearer
from tui.protocols.registry import names
from tui.protocols.twilio import twiml
from tui.settings import AUTO
from tui.text.redaction import Redactor, safe_url
from tui.websocket.client import client_for, tls_context
from tui.websocket.failure import ConnectionFailed

_NAME_PROTOCOL = "Specify the protocol with --protocol, and check the address and the token."


class DiallingError(ValueError):
    """Raised when the target cannot be called. The message says what to do.

    ``source`` names the part that failed. ``code`` is the stable code in the `ErrorRaised` event for this
    error.
    """

    def __init__(self, source: str, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.source, self.code, self.message, self.hint = source, code, message, hint


class ProtocolNotDetected(ValueError):
    """Raised when the protocol cannot be detected. The message says what to do."""


class Dialled(msgspec.Struct, frozen=True):
    """A target whose protocol and URL are known, and notes for the user on how they were found."""

    target: Target
    redactor: Redactor
    """Knows the secrets of the target and of the webhook that returned the target's URL."""
    notes: tuple[str, ...] = ()
    advice: tuple[Finding, ...] = ()
    """Advice about guesses that the program made."""


async def settle(target: Target) -> Dialled:
    """Determines the protocol and the URL of a target, if the user did not specify them.

    Raises `DiallingError` and `ProtocolNotDetected`.
    """
    redactor = target.redactor()
    try:
        return await _settle(target, redactor)
    except ConnectionFailed as failure:
        raise DiallingError("socket", failure.code, str(failure), failure.hint) from None
    except DiallingError as error:
        # A webhook's response comes from the far side and may repeat the secrets that were sent to it.
        message, hint = redactor.text(error.message), redactor.text(error.hint)
        raise DiallingError(error.source, error.code, message, hint) from None


async def _settle(target: Target, redactor: Redactor) -> Dialled:
    notes: list[str] = []
    advice: list[Finding] = []
    if target.protocol == AUTO:
        guess = detect.from_url(target.url) or await _listen(target, redactor)
        advice.append(Finding("guessed-protocol", redactor.text(guess.sentence), advice=True))
        target = msgspec.structs.replace(target, protocol=guess.protocol)
    if urlsplit(target.url).scheme in ("http", "https"):
        target, more = await _ask_webhook(target)
        redactor.add(target.secrets)
        notes += more
    return Dialled(target, redactor, tuple(map(redactor.text, notes)), tuple(advice))


async def _listen(target: Target, redactor: Redactor) -> detect.Guess:
    """Guesses the protocol from the agent's first message.

    Opens the socket briefly, and waits for an agent that speaks first.
    """
    client = client_for(target, target.url, bearer(target.token, target.url), redactor=redactor)
    await client.open(target.connect_timeout_s)
    try:
        async with asyncio.timeout(detect.LISTEN_MS / 1000):
            async for _, frame in client.frames():
                if guess := detect.from_first_frame(frame):
                    return guess
            message = f"{target.safe_url} closed the connection immediately ({client.close_reason})."
            raise DiallingError("socket", "not-accepted", message, _NAME_PROTOCOL)
    except TimeoutError:
        pass
    finally:
        await client.close()
    raise ProtocolNotDetected(
        f"The protocol of {target.safe_url} cannot be detected from the URL or from the "
        f"first {detect.LISTEN_MS} ms of the connection. "
        f"Specify it with --protocol ({', '.join(names())})."
    )


async def _ask_webhook(target: Target) -> tuple[Target, list[str]]:
    if target.protocol != "twilio":
        raise DiallingError(
            "settings",
            "unreachable",
            f"{target.safe_url} is a web address. Only Twilio agents use one, for TwiML (--protocol twilio);"
            " all other URLs start with ws:// or wss://.",
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
        # On a daemon thread, because an answer may take a long time and the program would wait for a normal thread on
        # exit.
        asked = functools.partial(twiml.fetch_twiml, target.url, target.token, fields, context=context)
        stream = await DaemonThreads("webhook").run(asked)
    except (twiml.TwimlError, OSError) as error:
        raise DiallingError("webhook", "unreachable", str(error)) from None
    notes = [f"The webhook returned the stream {safe_url(stream.url)}.", *stream.notes]
    params = {**stream.parameters, **target.params}
    return msgspec.structs.replace(target, url=stream.url, params=params, options=options), notes
