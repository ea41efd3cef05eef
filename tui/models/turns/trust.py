"""Trust: how accurate a session's times are, given its devices and the lateness of this program."""

from __future__ import annotations

from collections import deque

from tui.audio.calibration import STATED_BOUND_MS, Bound, Timing
from tui.models import events as e

_KEPT_LATENESSES = 128
_COVERED_MS = {"capture": 16.0, "playback": STATED_BOUND_MS - 14.0}
"""Lateness of a device, by path, that the stated bound also covers.

Apart from errors of the speaker's clock, errors were at most 14 ms. A sound server delivers in steps, so the
microphone's clock may be off by up to 15 ms. In 77 turns with such a clock, errors were at most 16 ms (measured).
"""


class Trust:
    """Collects the device timing and the latenesses that limit the accuracy of times.

    Each event takes constant time. Not thread-safe.
    """

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

    @property
    def response(self) -> Bound:
        """Bias and error bound of a response time."""
        return self.timing.response if self.timing else Bound()

    @property
    def silence(self) -> Bound:
        """Bias and error bound of the time from the user's onset to silence at the speaker."""
        return self.timing.silence if self.timing else Bound()

    @property
    def one_device(self) -> Bound:
        """Bias and error bound of a time between two edges at the same device."""
        return self.timing.one_device if self.timing else Bound()

    def late_between(self, start_ns: int, end_ns: int) -> tuple[str, float]:
        """Returns a clause that says what was late between two times, and the greatest delay in ms.

        ``start_ns`` is measured at the microphone and ``end_ns`` at the speaker. A device's lateness
        therefore counts only if it covers the time measured at that device. Returns ("", 0) if nothing was
        late.
        """
        reason, most_ms = "", 0.0
        is_calibrated = self.timing is not None and self.timing.calibration is not None
        for lateness in self._latenesses:
            if lateness.late_ms <= _COVERED_MS.get(lateness.path, 0.0) and not is_calibrated:
                continue
            first_ns = end_ns if lateness.path == "playback" else start_ns
            last_ns = start_ns if lateness.path == "capture" else end_ns
            if lateness.since_ns <= last_ns and lateness.at_ns >= first_ns:
                reason = f"{lateness.what} was {lateness.late_ms:.0f} ms late"
                most_ms = max(most_ms, lateness.late_ms)
        return reason, most_ms
