"""Definitions for both ends of Asterisk's WebSocket channel: names, formats and control messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Outgoing, ProtocolError
from tui.protocols.json_frames import Message, cut, encode, kind_in

FRAME_MS = 20
MAX_COMMAND_BYTES = 128
"""Maximum size of a command in bytes; Asterisk ignores longer commands."""
MAX_MESSAGE_BYTES = 65_500
"""Maximum size of a message in bytes; Asterisk hangs up after a longer message."""
_RATES = {
    "slin": 8_000,
    "slin12": 12_000,
    "slin16": 16_000,
    "slin24": 24_000,
    "slin32": 32_000,
    "slin44": 44_100,
    "slin48": 48_000,
}
FORMATS: Mapping[str, AudioFormat] = {
    "ulaw": AudioFormat(Encoding.MULAW, 8_000),
    "alaw": AudioFormat(Encoding.ALAW, 8_000),
    **{name: AudioFormat(Encoding.PCM16, rate) for name, rate in _RATES.items()},
}
COMMANDS = (
    "ANSWER",
    "HANGUP",
    "START_MEDIA_BUFFERING",
    "STOP_MEDIA_BUFFERING",
    "MARK_MEDIA",
    "FLUSH_MEDIA",
    "PAUSE_MEDIA",
    "CONTINUE_MEDIA",
    "GET_STATUS",
    "REPORT_QUEUE_DRAINED",
    "SET_MEDIA_DIRECTION",
)
"""The kinds of messages that a server sends."""

_PLAIN_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "MEDIA_START": ("connection_id", "channel", "channel_id", "format", "optimal_frame_size", "ptime"),
    "DTMF_END": ("digit", "channel_id"),
    "STATUS": (
        "channel_id",
        "queue_length",
        "xon_level",
        "xoff_level",
        "queue_full",
        "bulk_media",
        "media_paused",
    ),
    "ERROR": ("channel_id", "error_text"),
}
"""Events whose plain text names their members, as in ``DTMF_END digit:5``; other events have at most an id."""
_FREE_TEXT = "error_text"
"""The member that may contain spaces and therefore comes last."""
_NUMBERS = ("optimal_frame_size", "ptime", "queue_length", "xon_level", "xoff_level")
_SWITCHES = {"true": True, "false": False}


def frame_bytes(coding: AudioFormat) -> int:
    """Returns the size of a frame in bytes, which Asterisk calls ``optimal_frame_size``."""
    return coding.bytes_per_second * FRAME_MS // 1_000


class ControlMessage(Message):
    """A control message, JSON or plain text.

    The kind is in the member ``event`` if Asterisk sent the message, and in ``command`` if a server did.
    """

    def __init__(self, text: str, kind_member: str) -> None:
        super().__init__(_from_plain(text, kind_member) if is_plain(text) else text)
        self._kind_member = kind_member

    def kind(self) -> str:
        """Returns the kind of the message. Raises `ProtocolError` if the message has none."""
        return kind_in(self.body, self._kind_member)


def event(kind: str, members: Mapping[str, Any], summary: str, *, plain: bool) -> Outgoing:
    """Returns the frame for an event from Asterisk."""
    if not plain:
        return Outgoing(encode({"event": kind, **members}), kind, cut(summary))
    named = _PLAIN_MEMBERS.get(kind)
    if named is None:
        words = [members.get("correlation_id", "")]
    else:
        words = [f"{name}:{_plain_value(members[name])}" for name in named]
    return Outgoing(" ".join([kind, *filter(None, words)]), kind, cut(summary))


def command(kind: str, summary: str, *, plain: bool, correlation_id: str = "") -> Outgoing:
    """Returns the frame for a command from a server."""
    if plain:
        return Outgoing(f"{kind} {correlation_id}".rstrip(), kind, cut(summary))
    members = {"correlation_id": correlation_id} if correlation_id else {}
    return Outgoing(encode({"command": kind, **members}), kind, cut(summary))


def is_plain(text: str) -> bool:
    """Returns whether a control message is plain text rather than JSON."""
    return not text.lstrip().startswith("{")


def _from_plain(text: str, kind_member: str) -> str:
    """Converts plain text to the equivalent JSON. Raises `ProtocolError`."""
    kind, _, rest = text.strip().partition(" ")
    if not kind:
        raise ProtocolError("empty", "the message is empty")
    members: dict[str, Any] = {kind_member: kind}
    if kind in _PLAIN_MEMBERS and kind_member == "event":
        members |= _named_members(rest)
    elif kind == "SET_MEDIA_DIRECTION":
        members["direction"] = rest.removeprefix("direction:")
    elif rest:
        members["correlation_id"] = rest
    try:
        return encode(members)
    except UnicodeError as error:
        raise ProtocolError("not-utf8", "the text is not valid Unicode") from error


def _named_members(text: str) -> dict[str, Any]:
    text, has_free_text, free_text = text.partition(f"{_FREE_TEXT}:")
    members: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition(":")
        is_number = name in _NUMBERS and value.isdecimal() and value.isascii() and len(value) < 10
        members[name] = int(value) if is_number else _SWITCHES.get(value, value)
    return {**members, _FREE_TEXT: free_text} if has_free_text else members


def _plain_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
