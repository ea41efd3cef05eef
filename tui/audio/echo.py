"""Detects whether played audio returns through the microphone."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui.audio.pcm import is_zero, to_float

SPAN_MS = 3_000
"""How much audio of both tracks is compared."""
LONGEST_MS = 600
"""The longest echo delay that `find_echo` can detect."""
_LEAST_LIKENESS = 0.25
"""Lowest correlation that counts as an echo, 0..1.

Two different voices reach up to 0.19 (measured on all prompts).
"""
_LEAST_PLAYED_RMS = 0.003
_RATE = 4_000
"""Sample rate for the comparison, in Hz. Speech has most of its energy below 2 kHz."""


class Echo(NamedTuple):
    """An echo of the agent's audio in the captured audio."""

    delay_ms: float
    gain_db: float
    """Level of the echo relative to the played audio."""
    likeness: float


class Track:
    """The last few seconds of a track, addressed by monotonic time. Not thread-safe."""

    def __init__(self, rate: int) -> None:
        self.full_rate = rate
        self._thin = max(rate // _RATE, 1)
        self.rate = rate // self._thin
        self._blocks: deque[tuple[int, NDArray[np.float32]]] = deque()

    def feed(self, end_ns: int, pcm: bytes) -> None:
        """Adds a block whose last sample passed the device at ``end_ns``."""
        if is_zero(pcm):
            return  # `until` fills gaps with zeros
        values = to_float(pcm)
        # The mean of neighboring samples is a crude filter, but sufficient, because both tracks contain the
        # same aliases.
        whole = len(values) // self._thin * self._thin
        thin = np.add.reduce(values[:whole].reshape(-1, self._thin), axis=1) / np.float32(self._thin)
        self._blocks.append((end_ns, thin))
        while self._blocks and self._blocks[0][0] < end_ns - (SPAN_MS + LONGEST_MS) * 1_000_000:
            self._blocks.popleft()

    def until(self, end_ns: int) -> NDArray[np.float32]:
        """Returns the samples of the `SPAN_MS` before ``end_ns``, with silence where no block was added."""
        frames = self.rate * SPAN_MS // 1000
        track = np.zeros(frames, np.float32)
        for block_end_ns, block in self._blocks:
            end = frames - round((end_ns - block_end_ns) * self.rate / 1e9)
            start = end - len(block)
            if start >= 0 and end <= frames:
                track[start:end] = block
        return track


def find_echo(heard: NDArray[np.float32], played: NDArray[np.float32], rate: int) -> Echo | None:
    """Returns the echo of ``played`` in ``heard``; None if nothing was played or no echo was found.

    Both arrays cover the same period, with values in -1..1. Three seconds at 4 kHz take about a millisecond.
    """
    power = float(np.mean(played * played))
    if power < _LEAST_PLAYED_RMS**2 or not heard.any():
        return None
    # Padded with zeros to twice the length, because the product of spectra wraps around and would otherwise
    # mix the end with the beginning.
    size = 2 * len(heard)
    cross = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size)), size)
    lags = cross[: rate * LONGEST_MS // 1000]
    # The magnitude is compared, because a loudspeaker or microphone may invert the signal.
    lag = int(np.argmax(np.abs(lags)))
    energy = float(np.dot(played[: len(played) - lag], played[: len(played) - lag]))
    if energy <= 0:
        return None
    likeness = abs(float(lags[lag])) / (energy * float(np.dot(heard, heard))) ** 0.5
    if likeness < _LEAST_LIKENESS:
        return None
    gain_db = 20 * float(np.log10(abs(float(lags[lag])) / energy))
    return Echo(lag * 1000 / rate, gain_db, min(likeness, 1.0))
