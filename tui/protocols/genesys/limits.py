"""Limits the rate of audio messages and schedules pings in an AudioHook session.

The duration of the sent audio serves as the clock.
"""

from __future__ import annotations

_FIRST_PING_MS = 1_000
_PING_EVERY_MS = 5_000
_REPORT_EVERY_MS = 1_000


class MessageRate:
    """A token bucket for audio messages, with an average rate per second and a burst size."""

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second = per_second
        self.burst = burst
        self._left = burst
        self._at_ms = 0.0
        self._reported_ms: float | None = None

    def allows(self, at_ms: float) -> bool:
        """Returns whether a message is within the limits, and counts it if so."""
        self._refill(at_ms)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def spend(self, at_ms: float, messages: int) -> None:
        """Counts messages that are sent even if they exceed the limits. Later messages then have to wait longer."""
        self._refill(at_ms)
        self._left -= messages

    def _refill(self, at_ms: float) -> None:
        self._left = min(self.burst, self._left + (at_ms - self._at_ms) * self.per_second / 1_000)
        self._at_ms = at_ms

    def should_report(self, at_ms: float) -> bool:
        """Returns whether to send an error for a message beyond the limits: at most once per second."""
        if self._reported_ms is not None and at_ms < self._reported_ms + _REPORT_EVERY_MS:
            return False
        self._reported_ms = at_ms
        return True


class Pings:
    """Schedules the caller's pings: 1 s after ``opened``, again after the first pong, then every 5 s."""

    def __init__(self) -> None:
        self.waiting = 0
        """The ``seq`` of the unanswered ping; 0 if there is none."""
        self._due_ms: float | None = _FIRST_PING_MS
        self._answered = 0

    def due(self, at_ms: float) -> bool:
        """Returns whether a ping is due."""
        return self._due_ms is not None and at_ms >= self._due_ms

    def sent(self, seq: int, at_ms: float) -> None:
        """Records that a ping was sent."""
        self.waiting = seq
        self._due_ms = at_ms + _PING_EVERY_MS

    def answer(self, seq: object) -> bool:
        """Handles a pong; returns whether it answers the pending ping."""
        if seq != self.waiting:
            return False
        self.waiting = 0
        self._answered += 1
        if self._answered == 1:
            self._due_ms = 0.0
        return True

    def stop(self) -> None:
        """Stops the pings."""
        self._due_ms = None
