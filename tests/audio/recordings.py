"""Fixed recordings of speech, as tracks for a speech detector.

If the program's own recordings change, these recordings and the edges that tests expect stay the same. eSpeak
NG 1.51 spoke the texts of the caller lines (voice ``en-gb``) and of the prompts (``en-us+f3``), peak at -3
dBFS, each between 1.5 s of digital silence. The license is that of this repository.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.audio.signals import noise
from tui.audio.g711 import decode_mulaw, encode_mulaw
from tui.audio.pcm import from_float
from tui.audio.resample import resample_floats

SPOKEN_PATH = Path(__file__).parent / "spoken.flac"


@cache
def spoken() -> NDArray[np.float64]:
    """Returns all sentences at 16 kHz, with digital silence between them."""
    samples, rate = soundfile.read(SPOKEN_PATH)
    assert rate == 16_000
    return np.asarray(samples, np.float64)


@cache
def sentences() -> list[NDArray[np.float64]]:
    """Returns the separate sentences without surrounding silence: 9 of a user, then 11 of an agent."""
    loud = np.flatnonzero(spoken())
    pauses = np.flatnonzero(np.diff(loud) > 16_000)
    begins, ends = [loud[0], *loud[pauses + 1]], [*loud[pauses], loud[-1]]
    return [spoken()[begin : end + 1] for begin, end in zip(begins, ends, strict=True)]


def _with_noise(sound: NDArray[np.float64], dbfs: float) -> bytes:
    return from_float(sound + noise(16_000, len(sound) / 16_000, 10 ** (dbfs / 20)))


def _by_telephone(sound: NDArray[np.float64]) -> bytes:
    narrow = resample_floats(sound.astype(np.float32), 16_000, 8_000)
    return decode_mulaw(encode_mulaw(from_float(narrow)))


TRACKS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "clean": (16_000, lambda: from_float(spoken())),
    "quiet noise": (16_000, lambda: _with_noise(spoken(), -75)),
    "noise": (16_000, lambda: _with_noise(spoken(), -45)),
    "far away": (16_000, lambda: _with_noise(spoken() / 10, -78)),
    "mu-law": (8_000, lambda: _by_telephone(spoken())),
}
"""Tracks by name: the rate and the 16-bit samples."""
