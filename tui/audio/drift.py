"""How fast the clock of one device runs against that of another, from when samples pass them."""

from __future__ import annotations

from collections import deque

import numpy as np

INTERVAL_NS = 1_000_000_000
LEAST_NS, SPAN_NS = 30_000_000_000, 180_000_000_000
"""A third of a millisecond, as well as instants are known, is 10 parts per million of half a minute."""
_JUMP_NS = 5_000_000
"""A stream that went on after a gap, or another stream: what was known of the first says nothing of it."""


class ClockDrift:
    """Follows one device against the monotonic clock. For one thread."""

    def __init__(self) -> None:
        self.ppm: float | None = None
        """How much faster than it says the device runs, in parts per million; None for the first half minute."""
        self._offsets: deque[tuple[int, int]] = deque()

    def feed(self, now_ns: int, start_ns: int | None) -> None:
        """Frame 0 of the stream passed at ``start_ns``, as it looks now; taken once a second. None: no stream."""
        if start_ns is None:
            self._offsets.clear()
            self.ppm = None
            return
        if self._offsets and now_ns - self._offsets[-1][0] < INTERVAL_NS:
            return
        if self._offsets and abs(start_ns - self._offsets[-1][1]) > _JUMP_NS:
            self._offsets.clear()
        self._offsets.append((now_ns, start_ns))
        while self._offsets[0][0] < now_ns - SPAN_NS:
            self._offsets.popleft()
        self.ppm = self._fit()

    def _fit(self) -> float | None:
        if self._offsets[-1][0] - self._offsets[0][0] < LEAST_NS:
            return None
        base_ns, base_start_ns = self._offsets[0]
        seconds = np.array([(at_ns - base_ns) / 1e9 for at_ns, _ in self._offsets])
        starts_us = np.array([(start_ns - base_start_ns) / 1e3 for _, start_ns in self._offsets])
        return -float(np.polyfit(seconds, starts_us, 1)[0])


class DriftMeter:
    """Capture against playback: what one of them gains on the other in a long call."""

    def __init__(self) -> None:
        self._capture, self._playback = ClockDrift(), ClockDrift()

    def feed(self, now_ns: int, capture_start_ns: int | None, playback_start_ns: int | None) -> None:
        """When frame 0 of both streams passed their devices, as it looks now."""
        self._capture.feed(now_ns, capture_start_ns)
        self._playback.feed(now_ns, playback_start_ns)

    @property
    def ppm(self) -> float | None:
        """How much faster capture runs than playback; None while that is not known of both."""
        capture, playback = self._capture.ppm, self._playback.ppm
        return None if capture is None or playback is None else capture - playback
