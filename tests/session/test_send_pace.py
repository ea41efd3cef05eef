from __future__ import annotations

from tui.audio.blocks import Captured
from tui.models import events as e
from tui.protocols.base import Outgoing
from tui.session.self_check import SelfCheck
from tui.session.send_pace import SendPace

MS = 1_000_000


def message() -> Outgoing:
    return Outgoing(b"", "audio", audio_ms=20)


def test_a_block_is_sent_when_its_last_message_is() -> None:
    pace, first, last = SendPace(), message(), message()
    pace.gave(Captured(100 * MS, 103 * MS, b""), [first, last])
    pace.sent(first, 104 * MS)
    assert pace.of(90 * MS) == (103 * MS, None, None)
    pace.sent(last, 105 * MS)
    assert pace.of(90 * MS) == (103 * MS, None, 105 * MS)
    assert pace.of(101 * MS) == (None, None, None)


def test_a_block_that_waits_for_a_longer_message_is_sent_with_it() -> None:
    pace, whole = SendPace(), message()
    pace.gave(Captured(100 * MS, 103 * MS, b""), [], held=True)
    pace.gave(Captured(120 * MS, 123 * MS, b""), [])
    pace.gave(Captured(140 * MS, 143 * MS, b""), [whole])
    pace.sent(whole, 144 * MS)
    assert pace.of(90 * MS) == (103 * MS, 143 * MS, 144 * MS)
    assert pace.of(110 * MS) == (123 * MS, None, None)
    assert pace.of(130 * MS) == (143 * MS, None, 144 * MS)
    assert pace.worst_ms(144 * MS) == 1


def test_how_long_it_took() -> None:
    pace = SendPace()
    assert pace.percentile_ms(0.5) is None
    assert pace.worst_ms(0) is None
    assert pace.measured(0) is None
    for index in range(100):
        sent = message()
        pace.gave(Captured(index, index * MS, b""), [sent])
        pace.sent(sent, index * MS + (40 * MS if index == 99 else MS // 2))
    assert abs((pace.percentile_ms(0.5) or 0) - 0.5) <= 0.1
    assert abs((pace.percentile_ms(0.99) or 0) - 0.5) <= 0.1
    assert pace.worst_ms(140 * MS) == 40
    whole = pace.measured(5 * MS)
    assert whole is not None
    assert (whole.blocks, whole.worst_ms) == (100, 40)
    assert pace.worst_ms(2000 * MS) is None


def test_lateness_is_told_once_a_second_and_only_beyond_its_limit() -> None:
    told: list[e.LatenessSeen] = []
    check = SelfCheck(told.append, lambda: 0)
    for at_ms, late_ms in ((5000, 10), (5100, 60), (5200, 70), (6200, 80)):
        check.judge("the event loop", late_ms, 30, at_ms * MS)
    assert [(late.late_ms, late.since_ns) for late in told] == [(60, 5040 * MS), (80, 6120 * MS)]


def test_a_device_that_stalled_leaves_figures_uncertain_until_its_clock_has_forgotten_it() -> None:
    reported: list[e.LatenessSeen] = []
    now_ns = 0
    check = SelfCheck(reported.append, lambda: now_ns)
    for at_ms in range(5_000, 9_000, 60):
        gap_ms = {5_000: 40.0, 5_600: 190.0}.get(at_ms, 20.0)
        check.called_back("the microphone", gap_ms, at_ms * MS)
    assert [late.late_ms for late in reported] == [190] * 3
    assert {late.since_ns for late in reported} == {5_410 * MS}
    assert reported[0].at_ns == 5_600 * MS
    assert 7_600 * MS <= reported[-1].at_ns <= 8_600 * MS
    assert {late.what for late in reported} == {"the microphone"}
