"""How agent audio arrives: how late against real time, how fast, and how much to wait for before it plays."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

from tui.units import NS_PER_MS

WINDOW_NS = 10_000_000_000
LEAST_TARGET_MS, FIRST_TARGET_MS, MOST_TARGET_MS = 40.0, 80.0, 300.0
_MARGIN_MS = 20.0
_LEAST_CHUNKS = 20


class Arrivals:
    """Watches chunks arrive; a reply at a time. Instants are monotonic ns; for one thread."""

    def __init__(self) -> None:
        self._lateness: deque[tuple[int, float]] = deque()
        self._ordered_ms: list[float] = []
        """The same, by size."""
        self._reply = ""
        self._began_ns = self._last_ns = 0
        self._received_ms = self._last_chunk_ms = 0.0

    def feed(self, reply: str, at_ns: int, audio_ms: float) -> None:
        """A chunk of a reply arrived, so long as sound."""
        if reply != self._reply:
            self._reply, self._began_ns, self._received_ms = reply, at_ns, 0.0
        # Against a listener who began with the first chunk: what came before is what may have been played.
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
        """95th percentile of how much later than real time chunks came, of the last ten seconds of them."""
        count = len(self._ordered_ms)
        return self._ordered_ms[math.ceil(count * 0.95) - 1] if count >= _LEAST_CHUNKS else None

    @property
    def delivery_ratio(self) -> float | None:
        """Sound received over the time it took to come, of the newest reply; 1 is real time."""
        took_ms = (self._last_ns - self._began_ns) / NS_PER_MS
        return (self._received_ms - self._last_chunk_ms) / took_ms if took_ms > 0 else None

    @property
    def target_ms(self) -> float:
        """How much of a reply to wait for, so that it plays without a gap as far as the past tells."""
        jitter_ms = self.jitter_ms
        if jitter_ms is None:
            return FIRST_TARGET_MS
        return min(max(jitter_ms + _MARGIN_MS, LEAST_TARGET_MS), MOST_TARGET_MS)
