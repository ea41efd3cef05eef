"""The recordings that come with the program, as tracks for a speech detector."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tests.audio.signals import noise
from tui.assets import caller_lines, prompts
from tui.audio.g711 import decode_mulaw, encode_mulaw
from tui.audio.pcm import from_float, to_float
from tui.audio.resample import resample_floats
from tui.audio.wav import read_wav

PAUSE_S = 1.5


@cache
def spoken() -> NDArray[np.float64]:
    """Returns every recorded line and spoken prompt at 16 kHz, with digital silence between them."""
    pause = np.zeros(round(16_000 * PAUSE_S))
    parts = [pause]
    paths = [line.path for line in caller_lines()]
    paths += [prompt.path for prompt in prompts().values() if not prompt.name.startswith("dtmf")]
    for path in paths:
        parts += [to_float(read_wav(path, 16_000)).astype(np.float64), pause]
    return np.concatenate(parts)


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
"""By name: the rate and the 16-bit samples."""
