"""Measures the drift between the clocks of two devices, using the times of their samples."""

from __future__ import annotations

from collections import deque

import numpy as np

INTERVAL_NS = 1_000_000_000
LEAST_NS, SPAN_NS = 30_000_000_000, 180_000_000_000
"""Times are accurate to a third of a millisecond, which is about 10 ppm over 30 s."""
_JUMP_NS = 5_000_000
"""A jump larger than this means that the stream was restarted or ran dry, so earlier offsets no longer apply."""


class ClockDrift:
    """Measures the drift of one device against the monotonic clock. Not thread-safe."""

    def __init__(self) -> None:
        self.ppm: float | None = None
        """Deviation of the device from its nominal rate, in ppm (positive if it is faster); None
        for the first 30 s."""
        self._offsets: deque[tuple[int, int]] = deque()

    def feed(self, now_ns: int, start_ns: int | None) -> None:
        """Adds an estimate of when the stream's first frame passed the device; None if there is no stream.

        Uses only one estimate per second.
        """
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
        # A line through all offsets, rather than through the first and last, because each is off by up to 0.3
        # ms. Values are relative to the first offset to keep the fit well conditioned.
        base_ns, base_start_ns = self._offsets[0]
        seconds = np.array([(at_ns - base_ns) / 1e9 for at_ns, _ in self._offsets])
        starts_us = np.array([(start_ns - base_start_ns) / 1e3 for _, start_ns in self._offsets])
        return -float(np.polyfit(seconds, starts_us, 1)[0])


class DriftMeter:
    """Measures the drift of the capture and playback clocks during a call."""

    def __init__(self) -> None:
        self.capture, self.playback = ClockDrift(), ClockDrift()
        """Deviations from the nominal rate."""

    def feed(self, now_ns: int, capture_start_ns: int | None, playback_start_ns: int | None) -> None:
        """Adds estimates of when the first frame of each stream passed its device."""
        self.capture.feed(now_ns, capture_start_ns)
        self.playback.feed(now_ns, playback_start_ns)

    @property
    def ppm(self) -> float | None:
        """Deviation of the capture clock from the playback clock, in ppm; None until both are known."""
        capture, playback = self.capture.ppm, self.playback.ppm
        return None if capture is None or playback is None else capture - playback
