"""Converts sample rates, either live block by block, or for a whole recording.

Live audio uses libsamplerate's sinc converters through python-samplerate. These converters hold back 3 ms of
audio (6 ms if one side is 8 kHz); soxr's streams with default settings hold back at least 21 ms. The
converters' output does not depend on how the input is divided into chunks. Frame 0 of the output corresponds
to frame 0 of the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui.audio.pcm import from_float, to_float

_FILTER_TAIL_MS = 50
"""Length of the silence that flushes the last samples; longer than any of the filters."""


class FloatResampler:
    """Resamples a stream of float32 samples of shape (n,). Not thread-safe.

    ``converter`` is one of libsamplerate's converters: ``sinc_medium``, ``sinc_fastest`` (half the
    cost, narrower pass band) or ``sinc_best``.
    """

    def __init__(self, from_rate: int, to_rate: int, converter: str = "sinc_medium") -> None:
        import samplerate

        self._from_rate = from_rate
        self._to_rate = to_rate
        self._resampler: Any = samplerate.Resampler(converter, channels=1)
        self._fed_frames = 0
        self._returned_frames = 0

    def feed(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the samples that are ready, possibly none."""
        self._fed_frames += len(values)
        out = self._process(values)
        self._returned_frames += len(out)
        return out

    def finish(self) -> NDArray[np.float32]:
        """Returns the samples held back, so that output and input have the same length. Then starts a new stream."""
        due_frames = (self._fed_frames * self._to_rate + self._from_rate // 2) // self._from_rate
        silence = np.zeros(self._from_rate * _FILTER_TAIL_MS // 1000, np.float32)
        # Not end_of_input, because python-samplerate limits the output to the length of that call's input,
        # which cuts off the tail.
        tail = self._process(silence)[: max(due_frames - self._returned_frames, 0)]
        self._resampler.reset()
        self._fed_frames = self._returned_frames = 0
        return tail

    def _process(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(values):
            return values
        out: NDArray[np.float32] = self._resampler.process(values, self._to_rate / self._from_rate)
        return out


class LiveResampler:
    """Resamples a stream of PCM; returns the bytes unchanged if both rates are equal. Not thread-safe."""

    def __init__(self, from_rate: int, to_rate: int, converter: str = "sinc_medium") -> None:
        self.from_rate = from_rate
        self._stream = None if from_rate == to_rate else FloatResampler(from_rate, to_rate, converter)

    def feed(self, pcm: bytes) -> bytes:
        """Returns the PCM that is ready, at ``to_rate``. Raises `ValueError` if the input ends in half a sample."""
        if self._stream is None:
            return pcm
        return from_float(self._stream.feed(to_float(pcm)))

    def finish(self) -> bytes:
        """Returns the samples held back; the next `feed` starts a new stream."""
        return b"" if self._stream is None else from_float(self._stream.finish())


def resample_floats(values: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """Converts a whole recording to another rate with the best filter. The duration stays the same."""
    if from_rate == to_rate or not len(values):
        return values
    stream = FloatResampler(from_rate, to_rate, "sinc_best")
    return np.concatenate([stream.feed(values), stream.finish()])
