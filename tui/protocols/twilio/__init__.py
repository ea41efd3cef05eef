"""Twilio Media Streams (bidirectional), both ends.

The caller's end stands in for Twilio, the agent's end for the server that ``<Connect><Stream>`` names. Facts
are from Twilio's documentation ("Media Streams - WebSocket Messages", the pages of warnings 31950 and 31951),
from twilio-python 9.13 (request_validator.py) and from Twilio's samples. Where they are silent:

* A call counts as accepted once ``start`` was sent, and its audio flows from then on, silence included.
* A mark does not end a reply (`tui.protocols.implied_replies`): many servers send one after every message.
* Faults that a server repeats in every message (a missing streamSid, …) are reported once per stream, as by Twilio.
* There is no message for a flush by the user: later audio is played, as a new reply.
* Names as Exotel and Telnyx spell them (``stream_sid``, ``stream_id``, …) are understood, and reported.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha1
from typing import Any
from urllib.parse import urlsplit

from tui.protocols.base import Protocol
from tui.protocols.implied_replies import ENDS_AFTER_MS
from tui.protocols.log_rules import End, LogRules, Pair, span
from tui.protocols.signs import Signs
from tui.protocols.twilio.agent import TwilioAgent
from tui.protocols.twilio.caller import TwilioCaller
from tui.protocols.twilio.wire import FORMATS, MULAW_8K

__all__ = ["FORMATS", "MULAW_8K", "TWILIO", "TwilioAgent", "TwilioCaller", "signature"]


def signature(token: str, url: str) -> str:
    """Returns the signature of the whole URL as configured, keyed by the account's auth token.

    The upgrade has no form fields, which twilio-python's request_validator.py would append.
    """
    return b64encode(hmac.new(token.encode(), url.encode(), sha1).digest()).decode()


def _headers(token: str, url: str) -> Mapping[str, str]:
    return {"X-Twilio-Signature": signature(token, url)} if token else {}


def _url_notice(url: str) -> str:
    if not urlsplit(url).query:
        return ""
    why = "Twilio does not support a query string in a Stream URL; its handshake may fail (error 31920)"
    return f"{why}. Pass data as custom parameters instead: --param NAME=VALUE."


def _first_message(message: Mapping[str, Any] | bytes) -> str:
    match message:
        case {"event": "media" | "mark" | "clear" as event}:
            return f"the agent sent the event {event}, as servers send it to Twilio"
        case _:
            return ""


TWILIO = Protocol(
    name="twilio",
    title="Twilio Media Streams",
    path="/twilio",
    caller=TwilioCaller,
    agent=TwilioAgent,
    formats=FORMATS,
    log=LogRules(
        runs=("media", "mark"),
        pairs=(
            Pair(End("agent", ("mark",), "mark.name"), End("caller", ("mark",), "mark.name")),
            span("caller", "start", "stop"),
        ),
        audio_members=("media.payload",),
    ),
    signs=Signs(
        path_words=("twilio",),
        path_endings={"/media-stream": "Twilio's samples"},
        web_address="an http or https address is a webhook that returns TwiML",
        first_message=_first_message,
    ),
    has_words=False,
    headers=_headers,
    url_notice=_url_notice,
    accepted_on_open=True,
    continuous=True,
    reply_ends_after_ms=ENDS_AFTER_MS,
)
