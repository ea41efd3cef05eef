"""From one sample rate to another: live, block by block, or a whole recording at once.

Live audio uses libsamplerate's sinc converters through python-samplerate: they hold back 3 ms of audio
(6 ms where one side is 8 kHz), against 21 ms and more for soxr's streams at their defaults, and their output
does not depend on how the input was cut into chunks. Frame 0 out is the sound of frame 0 in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui.audio.pcm import from_float, to_float

_FILTER_TAIL_MS = 50
"""More silence than any of the filters reaches back: what it takes to push the last samples out."""


class FloatResampler:
    """A stream of float samples at another rate. For one thread.

    ``converter`` is one of libsamplerate's: ``sinc_medium``, ``sinc_fastest`` (half the cost, narrower pass
    band), ``sinc_best``.
    """

    def __init__(self, from_rate: int, to_rate: int, converter: str = "sinc_medium") -> None:
        import samplerate

        self._from_rate = from_rate
        self._to_rate = to_rate
        self._resampler: Any = samplerate.Resampler(converter, channels=1)
        self._fed_frames = 0
        self._given_frames = 0

    def feed(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What can be given out now; possibly nothing."""
        self._fed_frames += len(values)
        out = self._process(values)
        self._given_frames += len(out)
        return out

    def finish(self) -> NDArray[np.float32]:
        """What was held back, so that the whole is as long as the input was; ready for a new stream."""
        due_frames = (self._fed_frames * self._to_rate + self._from_rate // 2) // self._from_rate
        silence = np.zeros(self._from_rate * _FILTER_TAIL_MS // 1000, np.float32)
        # end_of_input would cut the tail: python-samplerate sizes its output by the input of that call.
        tail = self._process(silence)[: max(due_frames - self._given_frames, 0)]
        self._resampler.reset()
        self._fed_frames = self._given_frames = 0
        return tail

    def _process(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(values):
            return values
        out: NDArray[np.float32] = self._resampler.process(values, self._to_rate / self._from_rate)
        return out


class LiveResampler:
    """A stream of PCM at another rate; hands bytes through when both rates are equal. For one thread."""

    def __init__(self, from_rate: int, to_rate: int, converter: str = "sinc_medium") -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._stream = None if from_rate == to_rate else FloatResampler(from_rate, to_rate, converter)

    def feed(self, pcm: bytes) -> bytes:
        """PCM at ``to_rate``, as far as it can be known yet. Raises `ValueError` on half a sample."""
        if self._stream is None:
            return pcm
        return from_float(self._stream.feed(to_float(pcm)))

    def finish(self) -> bytes:
        """The end of the stream, so that nothing is lost; the next `feed` begins a new one."""
        return b"" if self._stream is None else from_float(self._stream.finish())


def resample_floats(values: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """A whole recording at another rate, with the best filter, exactly as long as it was."""
    if from_rate == to_rate or not len(values):
        return values
    stream = FloatResampler(from_rate, to_rate, "sinc_best")
    return np.concatenate([stream.feed(values), stream.finish()])
