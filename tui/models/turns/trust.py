"""Trust: how far the times of a session can be trusted, given its devices and how late this program was."""

from __future__ import annotations

from collections import deque

from tui.audio.calibration import Bound, Timing
from tui.models import events as e

_KEPT_LATENESSES = 32


class Trust:
    """Collects what limits the accuracy of times. Processing an event takes constant time; not thread-safe."""

    def __init__(self) -> None:
        self.timing: Timing | None = None
        """Timing of the devices in use; None if there are none, because times are then exact."""
        self._latenesses: deque[e.LatenessSeen] = deque(maxlen=_KEPT_LATENESSES)

    def apply(self, event: e.SessionEvent) -> None:
        """Applies one event."""
        match event:
            case e.AudioOpened():
                self.timing = event.timing
            case e.LatenessSeen():
                self._latenesses.append(event)
            case _:
                pass

    @property
    def response(self) -> Bound:
        """The error in a response time."""
        return self.timing.response if self.timing else Bound()

    @property
    def silence(self) -> Bound:
        """The error in the time from the user's onset to silence at the speaker."""
        return self.timing.silence if self.timing else Bound()

    @property
    def one_device(self) -> Bound:
        """The error in a time that depends on only one device."""
        return self.timing.one_device if self.timing else Bound()

    def late_between(self, start_ns: int, end_ns: int) -> tuple[str, float]:
        """Returns what was late between two times, as a reason, and by how much at most.

        It returns ("", 0) if nothing was late.
        """
        reason, most_ms = "", 0.0
        for lateness in self._latenesses:
            if lateness.since_ns <= end_ns and lateness.at_ns >= start_ns:
                reason = f"{lateness.what} was {lateness.late_ms:.0f} ms late"
                most_ms = max(most_ms, lateness.late_ms)
        return reason, most_ms
