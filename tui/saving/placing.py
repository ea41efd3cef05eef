"""Places the blocks of a track on the session's clock. Turns the jittery times of blocks into frame positions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tui.audio.pcm import frames_to_ns, is_zero, samples_of
from tui.audio.resample import LiveResampler

LOOK_AHEAD_NS = 300_000_000
"""Time in ns that blocks wait before they are placed.

Only later blocks show whether a block was late or followed a gap.
"""
_TOLERANCE_NS = 10_000_000
_PATIENCE_NS = 60_000_000
"""Largest offset in ns that counts as drift, which is corrected during silence.

A larger offset is a gap and is corrected immediately.
"""
_QUIET = 200
"""Largest peak of a block in which inserted or dropped samples are inaudible (-44 dBFS)."""


class Placed(NamedTuple):
    """Samples, and the number of their first frame in the track."""

    frame: int
    pcm: bytes


class _Waiting(NamedTuple):
    start_ns: int
    ideal_ns: int
    """Start time according to the sample count alone."""
    late_ns: int
    """The reported start time minus `ideal_ns`."""
    first: bool
    """Whether the block begins a stream, with the sample count starting at zero."""
    pcm: bytes


class TrackPlacer:
    """Places one track at ``rate`` whose first frame is at ``origin_ns``.

    Feed the blocks in order, from a single thread.

    Consecutive samples stay together. The times of samples follow from the sample count. The earliest
    reported times align the count with the clock, because callbacks may be late but are never early.
    """

    def __init__(self, rate: int, origin_ns: int) -> None:
        self.rate = rate
        self._origin_ns = origin_ns
        self._waiting: deque[_Waiting] = deque()
        self._resampler = LiveResampler(rate, rate)
        self._run_began_ns: int | None = None
        self._fed_frames = 0
        self._given_frames = 0
        self._next_frame = 0

    def feed(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """Adds a block whose first sample is reported to be at ``start_ns``."""
        if rate != self._resampler.from_rate:
            self._resampler = LiveResampler(rate, self.rate)
            self._run_began_ns = None
        first = self._run_began_ns is None
        if self._run_began_ns is None:
            self._run_began_ns, self._fed_frames, self._given_frames = start_ns, 0, 0
        late_ns = start_ns - self._run_began_ns - frames_to_ns(self._fed_frames, rate)
        ideal_ns = self._run_began_ns + frames_to_ns(self._given_frames, self.rate)
        out = self._resampler.feed(pcm)
        self._waiting.append(_Waiting(start_ns, ideal_ns, late_ns, first, out))
        self._fed_frames += len(pcm) // 2
        self._given_frames += len(out) // 2

    def settle(self, now_ns: int) -> Iterator[Placed]:
        """Places the blocks that have waited for `LOOK_AHEAD_NS`."""
        while self._waiting and self._waiting[0].start_ns <= now_ns - LOOK_AHEAD_NS:
            yield self._place_next()

    def finish(self) -> Iterator[Placed]:
        """Places all waiting blocks at the end of a stream. The next block begins a new stream."""
        while self._waiting:
            yield self._place_next()
        if tail := self._resampler.finish():
            yield Placed(self._next_frame, tail)
        self._run_began_ns = None

    def cut(self, at_ns: int) -> int:
        """Discards samples placed after a time, because they were never played.

        Call `finish` first. Returns the frame number for ``at_ns``.
        """
        frame = max(self.frame_at(at_ns), 0)
        self._next_frame = min(self._next_frame, frame)
        return frame

    def frame_at(self, at_ns: int) -> int:
        """Returns the frame number for a time."""
        return round((at_ns - self._origin_ns) * self.rate / 1_000_000_000)

    def _place_next(self) -> Placed:
        late_ns = self._lateness_ns()
        block = self._waiting.popleft()
        if not block.pcm:
            return Placed(self._next_frame, b"")
        wanted_frame = self.frame_at(block.ideal_ns + late_ns)
        off_ns = abs(frames_to_ns(wanted_frame - self._next_frame, self.rate))
        peak = _peak(block.pcm)
        drifted = off_ns > _TOLERANCE_NS and peak < _QUIET
        correct = block.first or peak == 0 or drifted or off_ns > _PATIENCE_NS
        frame, pcm = (wanted_frame if correct else self._next_frame), block.pcm
        if frame < self._next_frame:
            pcm = pcm[2 * (self._next_frame - frame) :]
            frame = self._next_frame
        self._next_frame = frame + len(pcm) // 2
        return Placed(frame, pcm)

    def _lateness_ns(self) -> int:
        """Returns the smallest lateness of the waiting blocks, up to the end of the current stream."""
        least_ns = self._waiting[0].late_ns
        for block in islice(self._waiting, 1, None):
            if block.first:
                break
            least_ns = min(least_ns, block.late_ns)
        return least_ns


def _peak(pcm: bytes) -> int:
    if is_zero(pcm):
        return 0
    samples = samples_of(pcm)
    return max(int(samples.max()), -int(samples.min()))
