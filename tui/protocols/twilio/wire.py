"""What both ends of Twilio Media Streams share: the one format, decoding and encoding."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Outgoing, ProtocolError
from tui.protocols.json_frames import Message, cut, encode

MULAW = "audio/x-mulaw"
MULAW_8K = AudioFormat(Encoding.MULAW, 8_000)
FORMATS: Mapping[str, AudioFormat] = MappingProxyType({MULAW: MULAW_8K})
"""By ``mediaFormat.encoding``: there is one."""
SID = re.compile(r"[A-Z]{2}[a-f0-9]{32}")
"""The form of all ids of Twilio."""


class TwilioMessage(Message):
    """A message whose ``event`` names its kind. Other spellings are read as Twilio's, and remembered."""

    def __init__(self, frame: str | bytes) -> None:
        super().__init__(frame)
        self.respelt: dict[str, str] = {}
        self.body = self._respell(self.body)

    def kind(self) -> str:
        """Returns the event of the message. Raises `ProtocolError` if it has none."""
        match self.body.get("event"):
            case str() as event:
                return event
            case None if "type" in self.body:
                hint = "it has a type, like the messages of OpenAI, AudioCodes or Twilio ConversationRelay"
                raise ProtocolError("no-event", f"the message has no event ({hint})")
            case None:
                raise ProtocolError("no-event", "the message has no event")
            case _:
                raise ProtocolError("wrong-event", "the event of the message is not text")

    def _respell(self, body: Mapping[str, Any]) -> dict[str, Any]:
        spelt: dict[str, Any] = {}
        for name, value in body.items():
            due = _SPELLINGS.get(name, name)
            if due != name and due in body:
                due = name
            elif due != name:
                self.respelt[name] = due
            spelt[due] = self._respell(value) if due in _SPELT_INSIDE and isinstance(value, dict) else value
        return spelt


_SPELLINGS = {
    "stream_sid": "streamSid",
    "stream_id": "streamSid",
    "sequence_number": "sequenceNumber",
    "account_sid": "accountSid",
    "call_sid": "callSid",
    "custom_parameters": "customParameters",
    "media_format": "mediaFormat",
    "sample_rate": "sampleRate",
}
_SPELT_INSIDE = ("start", "stop", "mediaFormat")


def outgoing(message: Mapping[str, Any], summary: str, audio_ms: float = 0.0) -> Outgoing:
    """Returns a message with an ``event`` as the frame to send."""
    return Outgoing(encode(message), message["event"], cut(summary), audio_ms)
