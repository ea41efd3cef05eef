"""Detects delays in the program itself, and reports when they make measurements uncertain."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tui.audio.instants import WINDOW_NS
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.tally import Tally
from tui.models.telemetry import Telemetry
from tui.session.send_pace import SendPace
from tui.units import NS_PER_MS, NS_PER_S

LOOP_LIMIT_MS = 30.0
"""Limit for the lag of the loop, which records arrival times: a longer lag would make them wrong by more than
one block.
"""
_LAGS = 100
"""Number of lags kept; at one poll every 20 ms, they cover more than a second."""
SEND_LIMIT_MS = 50.0
CLOCK_LIMIT_MS = 5.0
"""Limit for how far the sound server's estimate of when a sample is heard may move within a second."""
STALL_LIMIT_MS = 60.0
"""Limit for the time between two callbacks of a device.

Measurements showed that after longer stalls of the sound server, both clocks were up to 90 ms off as long as
their windows contained instants from before the stall.
"""


class _Stall(NamedTuple):
    """A period in which a device did not call back."""

    since_ns: int
    until_ns: int
    """Time until which the stall is reported: the device's clock uses instants from before the stall for the
    length of its window, and each report (at most one per second) covers the time before it.
    """
    gap_ms: float


class SelfCheck:
    """Checks the timing of the loop, of sending and of the speaker's clock. Runs on the loop that it watches.

    ``emit`` receives delays beyond their limit, at most once per second and kind.
    """

    def __init__(self, emit: Callable[[e.LatenessSeen], object], clock_ns: Callable[[], int]) -> None:
        self._emit = emit
        self._clock_ns = clock_ns
        self._lags: deque[tuple[int, float]] = deque(maxlen=_LAGS)
        self._reported: Tally[str] = Tally()
        self._stalls: dict[str, _Stall] = {}

    def woke(self, due_ns: int) -> None:
        """Measures the lag of the loop in a task that slept until ``due_ns``."""
        now_ns = self._clock_ns()
        lag_ms = max(now_ns - due_ns, 0) / NS_PER_MS
        self._lags.append((now_ns, lag_ms))
        self.judge("the event loop", lag_ms, LOOP_LIMIT_MS, now_ns)

    def look(self, audio: AudioManager, pace: SendPace) -> None:
        """Checks the timing of sending, of the devices and of the speaker's clock. Call it regularly."""
        now_ns = self._clock_ns()
        self.judge("sending", pace.worst_ms(now_ns) or 0.0, SEND_LIMIT_MS, now_ns)
        speaker = audio.playback.speaker
        moved_ms = speaker.clock_moved_ms if speaker else 0.0
        self.called_back("the microphone", audio.capture.microphone.take_gap_ms(), now_ns)
        self.called_back("the speaker", speaker.take_gap_ms() if speaker else 0.0, now_ns)
        clock = "the speaker's clock, which is settling,"
        self.judge(clock, moved_ms, CLOCK_LIMIT_MS, now_ns, lasted_ms=1000)

    def telemetry(self, audio: AudioManager, pace: SendPace) -> Telemetry:
        """Returns audio levels and the program's own delays."""
        now_ns = self._clock_ns()
        return msgspec.structs.replace(
            audio.telemetry(now_ns),
            loop_lag_ms=self._loop_lag_ms(now_ns),
            send_late_ms=pace.worst_ms(now_ns),
            send_p50_ms=pace.percentile_ms(0.5),
            send_p99_ms=pace.percentile_ms(0.99),
        )

    def judge(
        self, what: str, late_ms: float, limit_ms: float, now_ns: int, *, lasted_ms: float | None = None
    ) -> None:
        """Reports a delay beyond its limit, at most once per second and kind.

        The delay lasted until now, for ``lasted_ms`` (by default, ``late_ms``).
        """
        if late_ms > limit_ms and self._reported.add(what, now_ns):
            since_ns = now_ns - int((late_ms if lasted_ms is None else lasted_ms) * NS_PER_MS)
            self._emit(e.LatenessSeen(at_ns=now_ns, what=what, late_ms=late_ms, since_ns=since_ns))

    def called_back(self, device: str, gap_ms: float, now_ns: int) -> None:
        """Processes a device's longest time between two callbacks since the previous check; reports any stall."""
        if gap_ms > STALL_LIMIT_MS:
            self._stalls[device] = _Stall(
                now_ns - int(gap_ms * NS_PER_MS), now_ns + WINDOW_NS + NS_PER_S, gap_ms
            )
        stall = self._stalls.get(device)
        if stall and now_ns <= stall.until_ns:
            lasted_ms = (now_ns - stall.since_ns) / NS_PER_MS
            self.judge(device, stall.gap_ms, STALL_LIMIT_MS, now_ns, lasted_ms=lasted_ms)

    def _loop_lag_ms(self, now_ns: int) -> float | None:
        """Returns the longest lag within the last second, in ms; None before the first measurement."""
        while self._lags and self._lags[0][0] < now_ns - NS_PER_S:
            self._lags.popleft()
        return max((lag_ms for _, lag_ms in self._lags), default=None)
