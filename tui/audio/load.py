"""Whether a device keeps up: how busy its callbacks are, and when it needs to hold more."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tui.units import NS_PER_S

SAFE_LATENCY = "0.1"
"""Seconds for the playback device to hold: no gap in any run on a machine with 15 % of its time stolen (measured)."""
_WINDOW_NS = 10 * NS_PER_S
_LEAST_GAPS = 2
_SETTLING_NS = 1 * NS_PER_S


class CallbackLoad:
    """The worst share of a block's length that an audio callback took, of the last second."""

    def __init__(self, block_ms: float) -> None:
        self._block_ns = block_ms * 1_000_000
        self._recent: deque[tuple[int, float]] = deque()

    def worst(self, now_ns: int, busy_ns: Sequence[int]) -> float | None:
        """Take what the callbacks took since the last call; None while there are none."""
        if busy_ns:
            self._recent.append((now_ns, max(busy_ns) / self._block_ns))
        while self._recent and self._recent[0][0] < now_ns - NS_PER_S:
            self._recent.popleft()
        return max((share for _, share in self._recent), default=None)


class AutoLatency:
    """Says when low latency does not do: two gaps of the device's own within ten seconds.

    Those of a stream's first second are the start's, and tell nothing.
    """

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._known = 0
        self._gaps: deque[int] = deque()

    def look(self, now_ns: int, underflows: int) -> bool:
        """Take the device's count of gaps so far; True when it is time for more latency."""
        self._began_ns = self._began_ns or now_ns
        new, self._known = underflows - self._known, underflows
        if now_ns - self._began_ns >= _SETTLING_NS:
            self._gaps.extend([now_ns] * new)
        while self._gaps and self._gaps[0] < now_ns - _WINDOW_NS:
            self._gaps.popleft()
        return len(self._gaps) >= _LEAST_GAPS
