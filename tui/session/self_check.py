"""Detects delays in this program, and reports them if they make measurements uncertain."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tui.audio.instants import STALL_NS, WINDOW_NS
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.tally import Tally
from tui.models.telemetry import Telemetry
from tui.session.send_pace import SendPace
from tui.units import NS_PER_MS, NS_PER_S

LOOP_LIMIT_MS = 30.0
"""Limit for the lag of the loop, which records arrival times: a longer lag would make those times wrong by more than
one block."""
_LAGS = 100
"""Number of lags kept; at one poll every 20 ms, they cover more than a second."""
SEND_LIMIT_MS = 50.0
CLOCK_LIMIT_MS = 5.0
"""Limit for changes in the estimated time at which a sample passes a device."""
STALL_LIMIT_MS = STALL_NS / NS_PER_MS
"""Limit for the time between two callbacks of a device, because sound is lost or shifted in longer stalls.

Shorter stalls do no harm if the device has not run dry and its clock has not moved afterwards: on a busy
machine, the error of turns around them was at most 14 ms (measured).
"""
_UNDECIDED_STALL_MS = 60.0
"""Duration from which a stall may have moved the device's clock.

Whether it has is unknown while the clock's window includes callbacks from before the stall. After such stalls,
clocks were up to 90 ms off (measured).
"""
_SETTLING_NS = 500_000_000
"""Period after a stall in which a device's clock depends on only a few callbacks, which may be late."""


class _Device(NamedTuple):
    """A device of the call: its name in reports, and its path."""

    name: str
    path: str


_MICROPHONE = _Device("the microphone", "capture")
_SPEAKER = _Device("the speaker", "playback")


class _Stall(NamedTuple):
    """A period without callbacks from a device."""

    since_ns: int
    until_ns: int
    """End of the period in which times are, or may be, wrong because of the stall."""
    gap_ms: float
    harmful: bool
    """Whether times are certainly wrong. If not, they are wrong only if the clock moves."""


class SelfCheck:
    """Checks the timing of the event loop, of sending and of both devices. Runs on the loop that it checks.

    ``emit`` receives delays that exceed their limit, at most one of each kind per second. Further delays of
    the same kind are combined, and reported at the end of the second.
    """

    def __init__(self, emit: Callable[[e.LatenessSeen], object], clock_ns: Callable[[], int]) -> None:
        self._emit = emit
        self._clock_ns = clock_ns
        self._lags: deque[tuple[int, float]] = deque(maxlen=_LAGS)
        self._reported: Tally[str] = Tally()
        self._unreported: dict[str, e.LatenessSeen] = {}
        """For each kind, the delays since the last report, combined into one event."""
        self._looked_ns = 0
        self._stalls: dict[_Device, _Stall] = {}
        self._send_late_ms: float | None = None
        self._underflows = 0

    def woke(self, due_ns: int) -> None:
        """Measures the lag of the event loop. Call it in a task that has slept until ``due_ns``."""
        now_ns = self._clock_ns()
        lag_ms = max(now_ns - due_ns, 0) / NS_PER_MS
        self._lags.append((now_ns, lag_ms))
        self.judge("the event loop", lag_ms, LOOP_LIMIT_MS, now_ns)

    def look(self, audio: AudioManager, pace: SendPace) -> None:
        """Checks the timing of sending, of the devices and of the speaker's clock. Call it regularly."""
        now_ns = self._clock_ns()
        for sent_ns, late_ms in pace.sent_since(self._looked_ns):
            self.judge("sending", late_ms, SEND_LIMIT_MS, sent_ns)
        self._looked_ns = now_ns
        self._send_late_ms = pace.worst_ms(now_ns)
        speaker = audio.playback.speaker
        moved_ms = speaker.clock_moved_ms if speaker else 0.0
        underflows = speaker.underflows if speaker else 0
        ran_dry, self._underflows = underflows > self._underflows, underflows
        self._called_back(_MICROPHONE, audio.capture.microphone.take_gap_ms(), now_ns)
        self._called_back(_SPEAKER, speaker.take_gap_ms() if speaker else 0.0, now_ns, ran_dry=ran_dry)
        if moved_ms > CLOCK_LIMIT_MS:
            self._report(_clock_moved(_SPEAKER, moved_ms, now_ns - NS_PER_S, now_ns))
        # Every change of the microphone's clock is reported at once, because it is known late enough.
        if move := audio.capture.take_clock_move(round(CLOCK_LIMIT_MS * NS_PER_MS)):
            self._emit(_clock_moved(_MICROPHONE, move.moved_ns / NS_PER_MS, move.since_ns, now_ns))
        self._report_due(now_ns)

    def finish(self) -> None:
        """Reports the remaining delays at the end of the call.

        Also reports stalls whose effect on times is not known yet.
        """
        now_ns = self._clock_ns()
        for device, stall in self._stalls.items():
            self._report_stall(device, stall, now_ns)
        self._stalls.clear()
        self._report_due(now_ns, final=True)

    def telemetry(self, audio: AudioManager, pace: SendPace) -> Telemetry:
        """Returns the audio levels, and the delays of this program at the last `look`."""
        now_ns = self._clock_ns()
        return msgspec.structs.replace(
            audio.telemetry(now_ns),
            loop_lag_ms=self._loop_lag_ms(now_ns),
            send_late_ms=self._send_late_ms,
            send_p50_ms=pace.percentile_ms(0.5),
            send_p99_ms=pace.percentile_ms(0.99),
        )

    def judge(self, what: str, late_ms: float, limit_ms: float, at_ns: int) -> None:
        """Reports a delay that lasted until ``at_ns``, if it exceeds ``limit_ms``."""
        if late_ms > limit_ms:
            since_ns = at_ns - int(late_ms * NS_PER_MS)
            self._report(e.LatenessSeen(at_ns=at_ns, what=what, late_ms=late_ms, since_ns=since_ns))

    def _report(self, late: e.LatenessSeen) -> None:
        """Reports a delay at once or, if its kind was reported within the last second, at the end of the second."""
        if waiting := self._unreported.get(late.what):
            late = msgspec.structs.replace(
                late,
                since_ns=min(late.since_ns, waiting.since_ns),
                late_ms=max(late.late_ms, waiting.late_ms),
            )
        self._unreported[late.what] = late
        if self._reported.add(late.what, late.at_ns):
            self._emit(self._unreported.pop(late.what))

    def _report_due(self, now_ns: int, *, final: bool = False) -> None:
        for what, _ in self._reported.due(now_ns, final=final):
            self._emit(self._unreported.pop(what))

    def _called_back(self, device: _Device, gap_ms: float, now_ns: int, *, ran_dry: bool = False) -> None:
        """Checks for a stall, and reports a harmful stall once the device's clock has settled.

        ``gap_ms`` is the device's longest time between two callbacks since the previous check.
        """
        stall = self._stalls.get(device)
        if stall and now_ns >= stall.until_ns:
            del self._stalls[device]
            if stall.harmful:
                self._report_stall(device, stall, now_ns)
            stall = None
        if gap_ms <= _UNDECIDED_STALL_MS:
            return
        harmful = ran_dry or gap_ms > STALL_LIMIT_MS
        until_ns = now_ns + (_SETTLING_NS if harmful else WINDOW_NS)
        new = _Stall(now_ns - int(gap_ms * NS_PER_MS), until_ns, gap_ms, harmful)
        if stall is None or not stall.harmful:
            self._stalls[device] = new
        elif harmful:
            self._stalls[device] = _Stall(stall.since_ns, until_ns, max(gap_ms, stall.gap_ms), harmful)

    def _report_stall(self, device: _Device, stall: _Stall, now_ns: int) -> None:
        self._emit(
            e.LatenessSeen(
                at_ns=now_ns,
                what=device.name,
                late_ms=stall.gap_ms,
                since_ns=stall.since_ns,
                path=device.path,
            )
        )

    def _loop_lag_ms(self, now_ns: int) -> float | None:
        """Returns the longest lag of the event loop in the last second, in ms; None if none was measured."""
        while self._lags and self._lags[0][0] < now_ns - NS_PER_S:
            self._lags.popleft()
        return max((lag_ms for _, lag_ms in self._lags), default=None)


def _clock_moved(device: _Device, moved_ms: float, since_ns: int, now_ns: int) -> e.LatenessSeen:
    what = f"{device.name}'s clock, which is settling,"
    return e.LatenessSeen(at_ns=now_ns, what=what, late_ms=moved_ms, since_ns=since_ns, path=device.path)
