"""Encodes the audio of a report as Opus, if the `report` extra is installed, or otherwise as WAV."""

from __future__ import annotations

import importlib.util
import io
from typing import NamedTuple

import numpy as np

from tui.saving.saved_audio import SavedAudio

_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_FRAMES_AT_ONCE = 48_000


class ReportAudio(NamedTuple):
    """Both tracks in one audio file."""

    kind: str
    """Media type of the file."""
    content: bytes


def sound_of(audio: SavedAudio) -> ReportAudio:
    """Returns the tracks as one stereo file, with the user on the left and the agent on the right.

    Opus files are a tenth of the size of WAV files; WAV files keep every sample.
    """
    if audio.rate in _OPUS_RATES and importlib.util.find_spec("soundfile"):
        return ReportAudio("audio/ogg", _opus(audio))
    return ReportAudio("audio/wav", audio.wav())


def _opus(audio: SavedAudio) -> bytes:
    import soundfile  # an extra; importing it takes 20 ms

    content = io.BytesIO()
    with soundfile.SoundFile(content, "w", audio.rate, 2, format="OGG", subtype="OPUS") as file:
        for first in range(0, audio.frames, _FRAMES_AT_ONCE):
            pair = audio.read(first, _FRAMES_AT_ONCE)
            file.write(np.stack([np.frombuffer(track, "<i2") for track in pair], axis=1))
    return content.getvalue()
