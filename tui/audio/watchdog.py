"""Watchdog: whether a device still works, from nothing but the instants of its callbacks.

PortAudio says nothing of a stream that stalls: it stays "active", raises nothing and flags nothing (measured by
suspending a PulseAudio source). One whose server is gone ends by itself, and says so.
"""

from __future__ import annotations

from enum import StrEnum

LEAST_STALL_MS = 500.0
STALL_BLOCKS = 10
BLIND_MS = 200.0
"""Looks farther apart tell nothing of the device: the program itself was late, or stopped."""
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 8.0


class Health(StrEnum):
    """What can be said of a device."""

    WORKS = "works"
    STALLED = "stalled"
    """No callback for half a second, or ten blocks."""
    VANISHED = "vanished"
    """Its stream ended without being told to."""


class Watchdog:
    """Watches one stream. Pure: instants are passed in, monotonic ns. For one thread."""

    def __init__(self, block_ms: float) -> None:
        self.health = Health.WORKS
        self.since_ns = 0
        """When the device was last known to work; of use while it does not."""
        self._looked_ns: int | None = None
        self._saw_ns = 0
        """Since when looks have come without a pause."""
        self._limit_ns = int(max(LEAST_STALL_MS, STALL_BLOCKS * block_ms) * 1_000_000)
        self._retry_ns = 0
        self._retry_s = FIRST_RETRY_S

    def look(self, now_ns: int, callback_ns: int, *, vanished: bool) -> bool:
        """Judge by the last callback, or the opening where there was none; True when the health changed."""
        if self._looked_ns is not None and now_ns - self._looked_ns > BLIND_MS * 1_000_000:
            self._saw_ns = now_ns
        self._looked_ns = now_ns
        if vanished:
            health = Health.VANISHED
        elif self.health is Health.WORKS:
            silent_ns = now_ns - max(callback_ns, self._saw_ns)
            health = Health.STALLED if silent_ns >= self._limit_ns else Health.WORKS
        else:
            health = Health.STALLED if now_ns - callback_ns >= self._limit_ns else Health.WORKS
        if health is self.health:
            return False
        if self.health is Health.WORKS:
            self.since_ns = callback_ns
            self._retry_s = FIRST_RETRY_S
            self._retry_ns = now_ns + int(self._retry_s * 1e9)
        self.health = health
        return True

    def forget(self) -> None:
        """The device is no longer to work."""
        self.health = Health.WORKS

    def retry_due(self, now_ns: int) -> bool:
        """Whether it is time to open the device anew; asked for once, the next time is twice as far away."""
        if self.health is Health.WORKS or now_ns < self._retry_ns:
            return False
        self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)
        self._retry_ns = now_ns + int(self._retry_s * 1e9)
        return True
