"""Computes when a sample passes a device, from the times of the device's callbacks. All figures were measured.

Capture: the times that PortAudio assigns to blocks vary over a range of 24 ms. Callbacks arrive late, never
early, so the earliest callback, relative to the sample count, is the best estimate. A sound server delivers
in steps, and even the earliest callback of a second may be up to 15 ms late. Over ten seconds, the minimum is
within 7 ms of the true time in 90 % of the cases; over two seconds, within 13 ms. If a busy sound server
loses samples, all later callbacks are late; two seconds of late callbacks count as proof of a loss.

Playback: a device with a long latency takes its blocks in pairs, and requests the second block of each pair a
block too early. After a start, the device holds a different amount of audio than it reports. The lead that
PortAudio reports with each callback accounts for both effects. The median of the lead was within 0.2 ms of a
recording of the device in most tests, and within 6 ms in all tests. The callback time plus the reported
latency was 5 to 25 ms too early.
"""

from __future__ import annotations

import statistics
from collections import deque
from typing import NamedTuple

from tui.audio.pcm import frames_to_ns

WINDOW_NS = 2_000_000_000
"""If all callbacks in this period were late, samples were lost."""
_LONG_WINDOW_NS = 10_000_000_000
"""Period from which the earliest callback is used. In this time, a clock that is off by 100 ppm drifts by 1 ms."""
_LOST_NS = 18_000_000
"""If all callbacks in `WINDOW_NS` are later than this, samples were lost. Delivery in steps causes up to 15 ms."""
STALL_NS = 200_000_000
"""After a longer pause between callbacks, earlier offsets no longer apply."""
_KEPT_ESTIMATES = 100
"""Number of estimates kept.

With blocks of 20 ms, they span the window, so that no shift is missed even if the loop is late."""
_BLOCKS = 9
"""Number of blocks in the median.

The number is small because a device does not report that it ran dry, although its lead is longer afterwards.
"""
_WATCHED_BLOCKS = 50
"""Number of blocks over which shifts of the median are observed.

A sound server that was busy when the stream started reported leads that were off by 50 ms, and corrected them
by 8 ms per second (measured)."""


class ClockMove(NamedTuple):
    """A correction of the times at which samples pass a device.

    Times since ``since_ns`` may have been off by ``moved_ns``.
    """

    moved_ns: int
    since_ns: int


class _Least:
    """Finds the smallest offset in a sliding window."""

    def __init__(self, window_ns: int) -> None:
        self.offsets: deque[tuple[int, int]] = deque()
        """Times and offsets in ascending order of both; the first offset is the smallest."""
        self._window_ns = window_ns

    def feed(self, at_ns: int, offset_ns: int) -> int:
        """Adds an offset; returns the smallest in the window. Takes constant time on average."""
        offsets = self.offsets
        # Offsets higher than a later one can never be the minimum again. Once they are removed, the rest is
        # in ascending order with the minimum first, at constant cost per block.
        while offsets and offsets[-1][1] >= offset_ns:
            offsets.pop()
        offsets.append((at_ns, offset_ns))
        while offsets[0][0] < at_ns - self._window_ns:
            offsets.popleft()
        return offsets[0][1]


class BlockInstants:
    """Maps the frames of a captured stream to monotonic times.

    Only one thread may call `feed`; any thread may read.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._offset_ns: int | None = None
        """Estimated time of frame 0; None before the first callback."""
        self._last_ns: int | None = None
        self._restart(0)

    def _restart(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self._recent, self._all = _Least(WINDOW_NS), _Least(_LONG_WINDOW_NS)
        self._estimates: deque[tuple[int, int]] = deque(maxlen=_KEPT_ESTIMATES)
        """The time and the estimate for each block since the last recorded shift, for roughly `WINDOW_NS`."""

    def feed(self, callback_ns: int, frame: int) -> None:
        """Adds the time at which the callback for the block at ``frame`` was entered."""
        if self._last_ns is None or callback_ns - self._last_ns > STALL_NS:
            self._restart(callback_ns)
        self._last_ns = callback_ns
        offset_ns = callback_ns - frames_to_ns(frame, self.rate)
        least_ns, recent_ns = (
            self._all.feed(callback_ns, offset_ns),
            self._recent.feed(callback_ns, offset_ns),
        )
        if recent_ns - least_ns > _LOST_NS:
            least_ns = recent_ns
            self._all.offsets = self._recent.offsets.copy()
        self._offset_ns = least_ns
        self._estimates.append((callback_ns, least_ns))

    def at(self, frame: int) -> int | None:
        """Returns when a callback for ``frame`` would arrive without delay; None before the first callback."""
        offset_ns = self._offset_ns
        return None if offset_ns is None else offset_ns + frames_to_ns(frame, self.rate)

    def take_move(self, limit_ns: int) -> ClockMove | None:
        """Returns how far times have shifted since the last reported shift; None if at most ``limit_ns``.

        Call `take_move` on the thread that calls `feed`.
        """
        if not self._estimates:
            return None
        oldest, newest = self._estimates[0], self._estimates[-1]
        moved_ns = newest[1] - oldest[1]
        if abs(moved_ns) <= limit_ns:
            return None
        corrected_ns = next(at_ns for at_ns, offset_ns in self._estimates if offset_ns != oldest[1])
        self._estimates.clear()
        self._estimates.append(newest)
        window_ns = WINDOW_NS if moved_ns > _LOST_NS else _LONG_WINDOW_NS
        return ClockMove(abs(moved_ns), max(corrected_ns - window_ns, self._began_ns))


class SoundInstants:
    """Maps the frames of a played stream to the times at which they are heard.

    Only one thread may call `feed`; any thread may read.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._offsets: deque[int] = deque(maxlen=_WATCHED_BLOCKS)

    def feed(self, heard_ns: int, frame: int) -> None:
        """Adds a block that starts with ``frame`` and is heard at ``heard_ns``, according to its callback."""
        self._offsets.append(heard_ns - frames_to_ns(frame, self.rate))

    def restart(self) -> None:
        """Forgets all blocks. Necessary after the device has stopped or run dry: the gap shifts later blocks."""
        self._offsets.clear()

    def at(self, frame: int) -> int | None:
        """Returns when ``frame`` is heard; None before the first block."""
        # A copy, because the other thread may append while the median is computed.
        offsets = list(self._offsets)[-_BLOCKS:]
        return int(statistics.median_low(offsets)) + frames_to_ns(frame, self.rate) if offsets else None

    @property
    def moved_ns(self) -> int:
        """How far the times have shifted over the last 50 blocks; 0 with fewer blocks."""
        offsets = list(self._offsets)
        if len(offsets) < _WATCHED_BLOCKS:
            return 0
        return int(abs(statistics.median_low(offsets[-_BLOCKS:]) - statistics.median_low(offsets[:_BLOCKS])))
