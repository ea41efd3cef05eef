"""Distinguishes tones from noise, because test clients send tones in place of speech."""

from __future__ import annotations

import numpy as np

from tui.audio.pcm import to_float

_WINDOW_MS = 400
_LOWEST_HZ = 250
"""Lowest frequency of a tone, above mains hum and its first harmonics."""
_PARTIALS = 8
"""Number of partials to consider: a beep has harmonics, and a dial tone has two frequencies."""
_PARTIAL_BINS = 3
"""Number of bins that a partial covers on each side under a Hann window."""
_SHARE = 0.8
"""Minimum share of a tone's energy in its partials; for white noise, the share is less than a third."""


def is_tone(pcm: bytes | bytearray, rate: int) -> bool:
    """Returns whether the last 400 ms of 16-bit ``pcm`` contain only a few steady frequencies."""
    frames = rate * _WINDOW_MS // 1000
    samples = to_float(bytes(pcm[-2 * frames :]))
    if len(samples) < frames:
        return False
    energies = np.square(np.abs(np.fft.rfft(samples * np.hanning(frames))))
    energies[: _LOWEST_HZ * _WINDOW_MS // 1000] = 0
    total = float(energies.sum())
    in_partials = 0.0
    for _ in range(_PARTIALS):
        peak = int(np.argmax(energies))
        partial = energies[max(peak - _PARTIAL_BINS, 0) : peak + _PARTIAL_BINS + 1]
        in_partials += float(partial.sum())
        partial[:] = 0
    return total > 0 and in_partials >= _SHARE * total
