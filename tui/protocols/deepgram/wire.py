"""Definitions for both ends of the Deepgram Voice Agent: formats and their names in settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.json_frames import Members

_ENCODINGS = {"linear16": Encoding.PCM16, "mulaw": Encoding.MULAW, "alaw": Encoding.ALAW}
_NAMES = {encoding: name for name, encoding in _ENCODINGS.items()}
FORMATS: Mapping[str, AudioFormat] = {
    f"{_NAMES[encoding]}_{rate}": AudioFormat(encoding, rate)
    for encoding, rates in (
        (Encoding.PCM16, (8_000, 16_000, 24_000, 32_000, 48_000)),
        (Encoding.MULAW, (8_000,)),
        (Encoding.ALAW, (8_000,)),
    )
    for rate in rates
}
"""Audio formats by encoding and rate, for both directions."""
USER_FORMAT, PLAY_FORMAT = "linear16_16000", "linear16_24000"
ASSUMED_FORMAT = FORMATS["linear16_24000"]
"""The format assumed for a direction that Settings omits."""
_LOWEST_RATE, _HIGHEST_RATE = 4_000, 192_000


def described(coding: AudioFormat) -> Mapping[str, Any]:
    """Returns a format as it is written in ``audio.input`` and ``audio.output``."""
    return {"encoding": _NAMES[coding.encoding], "sample_rate": coding.rate}


def read_format(audio: Members) -> AudioFormat | None:
    """Returns the format in the settings; None if this program cannot decode it."""
    encoding, rate = audio.text("encoding") or "linear16", audio.number("sample_rate") or ASSUMED_FORMAT.rate
    known = _ENCODINGS.get(encoding)
    if known is None or not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        return None
    return AudioFormat(known, int(rate))


def description(members: Members) -> tuple[str, str]:
    """Returns the code and the description in an Error or Warning message."""
    text = members.text("description") or members.text("message") or "no description"
    return members.code(), text
