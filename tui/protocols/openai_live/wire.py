"""Definitions for both ends of OpenAI Live: formats, names of messages, and the test for silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.plain import samples_of
from tui.protocols.json_frames import Members

FORMATS: Mapping[str, AudioFormat] = {
    "audio/pcm;rate=24000": AudioFormat(Encoding.PCM16, 24_000),
    "audio/pcm;rate=16000": AudioFormat(Encoding.PCM16, 16_000),
    "audio/pcmu": AudioFormat(Encoding.MULAW, 8_000),
    "audio/pcma": AudioFormat(Encoding.ALAW, 8_000),
}
"""The audio formats, which apply to both directions. Azure documents only the first format."""
DEFAULT_FORMAT = "audio/pcm;rate=24000"
SIDEBAND_ONLY = ("transport.", "session.input_audio.append", "session.paused", "session.resumed")
"""Name prefixes of messages that only observers of a session receive."""
_QUIET = 32
"""The highest sample value that counts as silence: -60 dBFS."""


def format_member(name: str) -> dict[str, Any]:
    """Returns ``audio.format`` of a session for the named format. The rate is required for G.711 too."""
    return {"type": name.partition(";")[0], "rate": FORMATS[name].rate}


def format_in(members: Members) -> str:
    """Returns the name of the format in ``audio.format``; "" if it is unknown."""
    kind, rate = members.text("type"), members.number("rate")
    found = (name for name, media in FORMATS.items() if name.partition(";")[0] == kind and media.rate == rate)
    return next(found, "")


def is_quiet(wire: bytes, audio_format: AudioFormat) -> bool:
    """Returns whether no sample is above -60 dBFS."""
    if not any(wire):  # fast path for digital silence in PCM, which makes up most of an agent's track
        return audio_format.encoding is Encoding.PCM16
    samples = samples_of(wire, audio_format.encoding)
    return not samples or max(max(samples), -min(samples)) <= _QUIET
