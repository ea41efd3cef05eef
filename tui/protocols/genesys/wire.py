"""Definitions for both ends of AudioHook: formats, the envelope of messages, durations, and the signature."""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Mapping
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.json_frames import Members, Message, cut, encode

PCMU, L16 = "PCMU", "L16"
FORMATS: Mapping[str, AudioFormat] = {
    PCMU: AudioFormat(Encoding.MULAW, 8_000),
    L16: AudioFormat(Encoding.PCM16, 8_000),
}
"""Audio formats by their name in ``media``; L16 is little-endian in practice."""
VERSION = "2"
NULL_ID = "00000000-0000-0000-0000-000000000000"
"""The null UUID; used as conversation and participant id, it marks a connection probe."""
DURATION = re.compile(r"PT(\d*\.)?\d+S")
MAX_TEXT_CHARS = 65_535
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-5][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class AudioHookMessage(Message):
    """A text message from either end."""

    def check_envelope(self, session_id: str, counters: Counters, other: str) -> None:
        """Reports errors in the message's id and counters.

        ``other`` is the member that counts messages from this end.
        """
        if (version := self.text("version", required=True)) not in (VERSION, ""):
            self.find("other-version", f"The version is {cut(version, 20)}; expected {VERSION}.")
        seen = self.text("id", required=True)
        if session_id and seen and seen != session_id:
            self.find("other-session-id", f"The id {cut(seen, 60)} does not match this session.")
        counters.check(self, other)


class Counters:
    """Counts the messages of both ends in a session, as seen by one end."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0

    def check(self, message: Members, other: str) -> None:
        """Reports a gap in ``seq``, or an ``other`` that is too large. Continues from the received ``seq``."""
        seq, known = _count(message, "seq"), _count(message, other)
        if seq is not None:
            if seq != self.received + 1:
                text = f"seq is {seq}; expected {self.received + 1}. Genesys Cloud ends a session if there is a gap."
                message.find("seq-gap", text)
            self.received = seq
        if known is not None and known > self.sent:
            message.find(f"wrong-{other}", f"{other} is {known}, but only {self.sent} messages were sent.")


def envelope(kind: str, session_id: str, counters: Counters, other: str, **members: Any) -> Mapping[str, Any]:
    """Returns a message with its envelope and ``members``.

    ``other`` names the member for the last number received.
    """
    counters.sent += 1
    counts = {"seq": counters.sent, other: counters.received}
    return {"version": VERSION, "id": session_id, "type": kind, **counts, **members}


def duration(seconds: float) -> str:
    """Returns a duration in AudioHook's notation, such as "PT1.234S"."""
    return f"PT{max(seconds, 0.0):.3f}S"


def seconds_in(text: str) -> float | None:
    """Parses a duration in AudioHook's notation; returns None for other text."""
    return float(text[2:-1]) if DURATION.fullmatch(text) and len(text) < _MAX_DURATION_CHARS else None


def is_uuid(text: str) -> bool:
    """Returns whether the text is a UUID in the form that AudioHook requires."""
    return _UUID.fullmatch(text) is not None


def described(name: str) -> Mapping[str, Any]:
    """Returns the ``media`` entry for a format."""
    return {"type": "audio", "format": name, "channels": ["external"], "rate": 8_000}


def signature_headers(
    headers: Mapping[str, str], secret: str, *, authority: str, target: str, created_s: int, nonce: str
) -> Mapping[str, str]:
    """Returns the two headers that sign an upgrade request. Signs the components in Genesys Cloud's order.

    ``headers`` are AudioHook's headers, with lower-case names. Raises `ValueError` if ``secret`` is not
    base64.
    """
    try:
        key = b64decode(secret, validate=True)
    except (BadBase64, ValueError):
        raise ValueError("The client secret is not base64.") from None
    values = {"@request-target": target, **headers, "@authority": authority}
    components = " ".join(f'"{name}"' for name in SIGNED)
    lifetime = f"created={created_s};expires={created_s + SIGNATURE_LIFETIME_S}"
    parameters = f'({components});{lifetime};keyid="{headers["x-api-key"]}";nonce="{nonce}";alg="hmac-sha256"'
    lines = [f'"{name}": {values[name]}' for name in SIGNED]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    signed = b64encode(hmac.new(key, base.encode(), "sha256").digest()).decode()
    return {"Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signed}:"}


SIGNED = (
    "@request-target",
    "audiohook-session-id",
    "audiohook-organization-id",
    "audiohook-correlation-id",
    "x-api-key",
    "@authority",
)
SIGNATURE_LIFETIME_S = 10
_MAX_DURATION_CHARS = 40


def _count(members: Members, name: str) -> int | None:
    value = members.body.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
        return value
    rule = "missing-member" if value is None else "wrong-type-member"
    members.find(rule, f"{name}, which numbers the messages in a session, is missing or not a whole number.")
    return None


def news(_: object, message: Message) -> str:
    """Returns the summary of a message that is only shown."""
    parameters = message.inside("parameters").body
    return f"{message.kind()}: {encode(parameters)}" if parameters else message.kind()
