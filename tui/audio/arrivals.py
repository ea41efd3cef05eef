"""Measures how late and how fast agent audio arrives, and derives how much to queue before playback starts."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

from tui.units import NS_PER_MS

WINDOW_NS = 10_000_000_000
# Agents that pace their audio need a deeper queue: LiveKit observed gaps of 150 to 180 ms between 100 ms
# frames, and now queues 300 ms before each segment (livekit/agents#7238).
LEAST_TARGET_MS, FIRST_TARGET_MS, MOST_TARGET_MS = 40.0, 80.0, 300.0
_MARGIN_MS = 20.0
_LEAST_CHUNKS = 20  # with fewer chunks, one late chunk would determine the 95th percentile


class Arrivals:
    """Measures the arrival of chunks, one reply at a time. Times are monotonic, in ns. Not thread-safe."""

    def __init__(self) -> None:
        self._lateness: deque[tuple[int, float]] = deque()
        self._ordered_ms: list[float] = []
        """Lateness values in ascending order, so that computing a percentile needs no sorting."""
        self._reply = ""
        self._began_ns = self._last_ns = 0
        self._received_ms = self._last_chunk_ms = 0.0

    def feed(self, reply: str, at_ns: int, audio_ms: float) -> None:
        """Adds a chunk of ``reply``, ``audio_ms`` long, that arrived at ``at_ns``."""
        if reply != self._reply:
            self._reply, self._began_ns, self._received_ms = reply, at_ns, 0.0
        # Lateness is relative to a listener who started at the first chunk and can have heard only audio that
        # arrived earlier.
        late_ms = (at_ns - self._began_ns) / NS_PER_MS - self._received_ms
        self._lateness.append((at_ns, max(late_ms, 0.0)))
        insort(self._ordered_ms, max(late_ms, 0.0))
        while self._lateness[0][0] < at_ns - WINDOW_NS:
            _, gone_ms = self._lateness.popleft()
            del self._ordered_ms[bisect_left(self._ordered_ms, gone_ms)]
        self._received_ms += audio_ms
        self._last_ns, self._last_chunk_ms = at_ns, audio_ms

    @property
    def jitter_ms(self) -> float | None:
        """The 95th percentile of the lateness of chunks in the last 10 s; None with fewer than 20 chunks."""
        count = len(self._ordered_ms)
        return self._ordered_ms[math.ceil(count * 0.95) - 1] if count >= _LEAST_CHUNKS else None

    @property
    def delivery_ratio(self) -> float | None:
        """Duration of the latest reply's audio divided by the time it took to arrive; 1 is real time."""
        took_ms = (self._last_ns - self._began_ns) / NS_PER_MS
        return (self._received_ms - self._last_chunk_ms) / took_ms if took_ms > 0 else None

    @property
    def target_ms(self) -> float:
        """How much audio to queue before a reply starts, so that jitter causes no dropout: 40 to 300 ms."""
        jitter_ms = self.jitter_ms
        if jitter_ms is None:
            return FIRST_TARGET_MS
        return min(max(jitter_ms + _MARGIN_MS, LEAST_TARGET_MS), MOST_TARGET_MS)
