"""Tests what makes figures uncertain: lateness, long stalls, and device clocks that moved."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from tui.audio.blocks import Captured
from tui.audio.instants import ClockMove
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.protocols.base import Outgoing
from tui.session.self_check import SelfCheck
from tui.session.send_pace import SendPace

MS = 1_000_000


class Desk:
    """A self-check with a manual clock and fake devices."""

    def __init__(self) -> None:
        self.reported: list[e.LatenessSeen] = []
        self.now_ms = 0
        self.underflows = 0
        self.check = SelfCheck(self.reported.append, lambda: self.now_ms * MS)

    def look(
        self,
        now_ms: int,
        *,
        mic_gap_ms: float = 20.0,
        speaker_gap_ms: float = 20.0,
        speaker_moved_ms: float = 0.0,
        mic_moved_ms: float = 0.0,
        pace: SendPace | None = None,
    ) -> None:
        """Polls once."""
        self.now_ms = now_ms
        moved_ns = round(mic_moved_ms * MS)
        capture = SimpleNamespace(
            microphone=SimpleNamespace(take_gap_ms=lambda: mic_gap_ms),
            take_clock_move=lambda limit_ns: (
                ClockMove(moved_ns, (now_ms - 900) * MS) if moved_ns > limit_ns else None
            ),
        )
        speaker = SimpleNamespace(
            take_gap_ms=lambda: speaker_gap_ms, clock_moved_ms=speaker_moved_ms, underflows=self.underflows
        )
        audio = SimpleNamespace(capture=capture, playback=SimpleNamespace(speaker=speaker))
        self.check.look(cast("AudioManager", audio), pace or SendPace())

    def looks(self, gaps_ms: dict[int, float], until_ms: int = 9_000) -> None:
        """Polls every 60 ms from 5 s on, with these gaps of the microphone."""
        for at_ms in range(5_000, until_ms, 60):
            self.look(at_ms, mic_gap_ms=gaps_ms.get(at_ms, 20.0))


def test_lateness_is_reported_once_a_second_and_only_beyond_its_limit() -> None:
    desk = Desk()
    for at_ms, late_ms in ((5000, 10), (5100, 60), (6200, 80)):
        desk.check.judge("the event loop", late_ms, 30, at_ms * MS)
    assert [(late.late_ms, late.since_ns) for late in desk.reported] == [(60, 5040 * MS), (80, 6120 * MS)]


def test_further_lateness_within_the_second_is_reported_when_the_second_is_over() -> None:
    desk = Desk()
    for at_ms, late_ms in ((5100, 60), (5400, 90), (5700, 70)):
        desk.check.judge("the event loop", late_ms, 30, at_ms * MS)
    for at_ms in (5_800, 6_000, 6_120, 6_180, 7_200):
        desk.look(at_ms)
    spans_ms = [(late.since_ns // MS, late.at_ns // MS, late.late_ms) for late in desk.reported]
    assert spans_ms == [(5040, 5100, 60), (5310, 5700, 90)]


def test_lateness_just_before_the_end_is_reported() -> None:
    desk = Desk()
    for at_ms in (5100, 5400):
        desk.check.judge("the event loop", 60, 30, at_ms * MS)
    desk.now_ms = 5_500
    desk.check.finish()
    desk.check.finish()
    assert [late.at_ns // MS for late in desk.reported] == [5100, 5400]


@pytest.mark.parametrize(("late_ms", "reports"), [(49, 0), (70, 1)])
def test_late_sending_is_reported_for_the_time_at_which_it_was_late(late_ms: int, reports: int) -> None:
    desk, pace = Desk(), SendPace()
    for captured_ms, took_ms in ((4_900, 1), (5_000, late_ms), (5_200, 2), (5_220, 2)):
        message = Outgoing(b"", "audio", audio_ms=20.0)
        pace.gave(Captured(captured_ms * MS, captured_ms * MS, b""), [message])
        pace.sent(message, (captured_ms + took_ms) * MS)
    for at_ms in range(5_240, 7_000, 60):
        desk.look(at_ms, pace=pace)
    spans_ms = [(late.what, late.since_ns // MS, late.at_ns // MS) for late in desk.reported]
    assert spans_ms == [("sending", 5_000, 5_000 + late_ms)] * reports


def test_a_long_stall_makes_times_uncertain_until_the_clock_has_settled() -> None:
    desk = Desk()
    desk.looks({5_600: 240.0})
    (late,) = desk.reported
    assert (late.what, late.path, late.late_ms) == ("the microphone", "capture", 240)
    assert late.since_ns == 5_360 * MS
    assert 6_100 * MS <= late.at_ns <= 6_160 * MS


def test_two_long_stalls_in_a_row_are_one() -> None:
    desk = Desk()
    desk.looks({5_600: 300.0, 5_900: 220.0})
    (late,) = desk.reported
    assert (late.late_ms, late.since_ns) == (300, 5_300 * MS)
    assert late.at_ns >= 6_400 * MS


def test_a_short_stall_is_harmless_unless_the_call_ends_before_the_clock_is_known() -> None:
    desk = Desk()
    desk.looks({5_600: 190.0})
    desk.check.finish()
    assert desk.reported == []
    desk = Desk()
    desk.looks({5_600: 190.0}, until_ms=7_000)
    desk.check.finish()
    assert [(late.what, late.since_ns) for late in desk.reported] == [("the microphone", 5_410 * MS)]
    desk.check.finish()
    assert len(desk.reported) == 1


@pytest.mark.parametrize(("ran_dry", "reports"), [(False, 0), (True, 1)])
def test_a_stall_in_which_the_speaker_ran_dry_makes_times_uncertain(ran_dry: bool, reports: int) -> None:
    desk = Desk()
    desk.look(5_000)
    desk.underflows = int(ran_dry)
    desk.look(5_060, speaker_gap_ms=80.0)
    for at_ms in range(5_120, 8_000, 60):
        desk.look(at_ms)
    desk.check.finish()
    assert [(late.what, late.since_ns) for late in desk.reported] == [("the speaker", 4_980 * MS)] * reports


@pytest.mark.parametrize(("moved_ms", "reports"), [(4.9, 0), (6.0, 1)])
def test_a_clock_that_moved_is_reported(moved_ms: float, reports: int) -> None:
    desk = Desk()
    desk.look(5_000, mic_moved_ms=moved_ms)
    assert [(late.what, late.path, late.since_ns) for late in desk.reported] == [
        ("the microphone's clock, which is settling,", "capture", 4_100 * MS)
    ] * reports
    desk = Desk()
    desk.look(5_000, speaker_moved_ms=moved_ms)
    assert [(late.what, late.path, late.since_ns) for late in desk.reported] == [
        ("the speaker's clock, which is settling,", "playback", 4_000 * MS)
    ] * reports
