"""Implements both ends of bidirectional Twilio Media Streams.

The caller's end acts as Twilio, the agent's end as the server that ``<Connect><Stream>`` names. The facts
come from Twilio's documentation ("Media Streams - WebSocket Messages", the pages on warnings 31950 and
31951), from twilio-python 9.13 (request_validator.py) and from Twilio's samples. Decisions where these
sources are silent:

* A call counts as accepted once ``start`` has been sent. From then on audio flows, silence included.
* A mark does not end a reply (`tui.protocols.implied_replies`): many servers send a mark after every message.
* A fault that a server repeats in every message (such as a missing streamSid) is reported once per stream, as
  on Twilio.
* No message informs the server that the user flushed playback; later audio is played as a new reply.
* Names in the spelling of Exotel and Telnyx (``stream_sid``, ``stream_id``, …) are understood and reported.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha1
from urllib.parse import urlsplit

from tui.protocols.telephony.dialect import MULAW_8K
from tui.protocols.telephony.protocol import telephony_protocol
from tui.protocols.twilio.dialect import FORMATS, TWILIO_DIALECT, TwilioAgent, TwilioCaller

__all__ = ["FORMATS", "MULAW_8K", "TWILIO", "TwilioAgent", "TwilioCaller", "signature"]


def signature(token: str, url: str) -> str:
    """Returns Twilio's signature of the whole URL. ``token`` is the account's auth token.

    Form fields, which twilio-python's request_validator.py would append, do not exist in an upgrade request.
    """
    return b64encode(hmac.new(token.encode(), url.encode(), sha1).digest()).decode()


def _headers(token: str, url: str) -> Mapping[str, str]:
    return {"X-Twilio-Signature": signature(token, url)} if token else {}


def _url_notice(url: str) -> str:
    if not urlsplit(url).query:
        return ""
    why = "Twilio does not support a query string in a Stream URL; its handshake may fail (error 31920)"
    return f"{why}. Pass data as custom parameters instead: --param NAME=VALUE."


TWILIO = telephony_protocol(
    TWILIO_DIALECT,
    ends=(TwilioCaller, TwilioAgent),
    name="twilio",
    title="Twilio Media Streams",
    signs={
        "path_words": ("twilio",),
        "path_endings": {"/media-stream": "Twilio's samples"},
        "web_address": "an http or https address is a webhook that returns TwiML",
    },
    headers=_headers,
    url_notice=_url_notice,
)
