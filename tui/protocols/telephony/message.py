"""Decodes the JSON messages of telephony streams for both ends, including the spellings of similar protocols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.protocols.base import Outgoing, ProtocolError
from tui.protocols.json_frames import Message, cut, decode_object, encode, kind_in
from tui.protocols.telephony.dialect import Content


class StreamMessage(Message):
    """A message whose ``event`` (or other member) names its kind.

    ``foreign`` maps other vendors' spellings to this vendor's. Such spellings are accepted, and recorded in
    ``respelt``.
    """

    def __init__(self, frame: str | bytes, kind_member: str, foreign: Mapping[str, str]) -> None:
        super().__init__(frame)
        self._kind_member = kind_member
        self._foreign = foreign
        self.respelt: dict[str, str] = {}
        self.body = self._respell(self.body)

    def kind(self) -> str:
        """Returns the kind of the message. Raises `ProtocolError` if the message has none."""
        like = "it has a “type”, like the messages of OpenAI, AudioCodes or Twilio ConversationRelay"
        return kind_in(self.body, self._kind_member, f" ({like})" if "type" in self.body else "")

    def _respell(self, body: Mapping[str, Any]) -> dict[str, Any]:
        spelt: dict[str, Any] = {}
        for name, value in body.items():
            due = self._foreign.get(name, name)
            if due != name and due in body:
                due = name
            elif due != name:
                self.respelt[name] = due
            inside = due in _SPELT_INSIDE and isinstance(value, dict)
            spelt[due] = self._respell(value) if inside else value
        return spelt


def pairs_in(text: str) -> Content:
    """Parses parameters: a JSON object, or ``NAME=VALUE`` pairs separated by semicolons."""
    if text.startswith("{"):
        try:
            return decode_object(text)[0]
        except ProtocolError:
            pass
    pairs = (pair.partition("=") for pair in text.split(";") if pair)
    return {name: value for name, _, value in pairs}


_SPELT_INSIDE = ("start", "stop", "mediaFormat", "media_format")


def outgoing(kind_member: str, message: Content | bytes, summary: str, audio_ms: float = 0.0) -> Outgoing:
    """Returns the frame for a message. Bytes become a binary frame."""
    if isinstance(message, bytes):
        return Outgoing(message, "audio", cut(summary), audio_ms)
    return Outgoing(encode(message), message[kind_member], cut(summary), audio_ms)
