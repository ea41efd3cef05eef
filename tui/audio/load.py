"""Measures the load of a device's callbacks, and decides when the device needs a larger buffer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tui.units import NS_PER_S

SAFE_LATENCY = "0.1"
"""Latency in seconds that caused no dropouts on a machine that lost 15 % of its CPU time (measured)."""
_WINDOW_NS = 10 * NS_PER_S
_LEAST_GAPS = 2
_SETTLING_NS = 1 * NS_PER_S


class CallbackLoad:
    """Tracks the longest audio callback of the last second, as a share of a block's length."""

    def __init__(self, block_ms: float) -> None:
        self._block_ns = block_ms * 1_000_000
        self._recent: deque[tuple[int, float]] = deque()

    def worst(self, now_ns: int, busy_ns: Sequence[int]) -> float | None:
        """Adds callback durations; returns the highest share of a block's length in the last second.

        Returns None after a second without callbacks.
        """
        if busy_ns:
            self._recent.append((now_ns, max(busy_ns) / self._block_ns))
        while self._recent and self._recent[0][0] < now_ns - NS_PER_S:
            self._recent.popleft()
        return max((share for _, share in self._recent), default=None)


class AutoLatency:
    """Decides when low latency is too low: after two dropouts of the device within ten seconds.

    Dropouts in the first second do not count, because starting a stream causes dropouts.
    """

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._known = 0
        self._gaps: deque[int] = deque()

    def look(self, now_ns: int, underflows: int) -> bool:
        """Takes the device's total number of dropouts; returns whether to increase the latency."""
        self._began_ns = self._began_ns or now_ns
        # The difference is used, because the count continues when the stream is reopened.
        new, self._known = underflows - self._known, underflows
        if now_ns - self._began_ns >= _SETTLING_NS:
            self._gaps.extend([now_ns] * new)
        while self._gaps and self._gaps[0] < now_ns - _WINDOW_NS:
            self._gaps.popleft()
        return len(self._gaps) >= _LEAST_GAPS
