"""Definitions for both ends of ElevenLabs Agents: formats, names and decoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Outgoing
from tui.protocols.json_frames import Members, Message, encode

DEFAULT_FORMAT = "pcm_16000"
FORMATS: Mapping[str, AudioFormat] = {
    DEFAULT_FORMAT: AudioFormat(Encoding.PCM16, 16_000),
    "pcm_8000": AudioFormat(Encoding.PCM16, 8_000),
    "pcm_22050": AudioFormat(Encoding.PCM16, 22_050),
    "pcm_24000": AudioFormat(Encoding.PCM16, 24_000),
    "pcm_44100": AudioFormat(Encoding.PCM16, 44_100),
    "pcm_48000": AudioFormat(Encoding.PCM16, 48_000),
    "ulaw_8000": AudioFormat(Encoding.MULAW, 8_000),
}
"""Audio formats by ElevenLabs' names. The agent's own settings determine the format of each direction."""

INITIATION = "conversation_initiation_client_data"
METADATA = "conversation_initiation_metadata"


class ElevenLabsMessage(Message):
    """A message from either end. All messages except user audio have a type."""

    def kind(self) -> str:
        """Returns the type of the message. Raises `ProtocolError` if the message has none."""
        return "user_audio_chunk" if "user_audio_chunk" in self.body else super().kind()


def read_event_id(members: Members) -> int | None:
    """Returns the sequence number of an agent's event. If it is missing, reports a finding and returns None."""
    value = members.body.get("event_id")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    rule = "missing-member" if value is None else "wrong-type-member"
    members.find(rule, "“event_id”, which orders the agent's events, is missing or not an integer.")
    return None


def audio_chunk(message: Mapping[str, Any], kind: str, whose: str, audio_ms: float) -> Outgoing:
    """Returns the frame for a message with audio. ``whose`` is "user" or "agent"."""
    return Outgoing(encode(message), kind, f"{whose} audio {audio_ms:.0f} ms", audio_ms)
