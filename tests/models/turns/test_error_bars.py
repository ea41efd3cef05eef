"""Tests that every time has its ±, that the devices' bias is subtracted when shown, and that raw times stay raw."""

from __future__ import annotations

import pytest

from tests.builders import AGENT, CALIBRATED, MS, USER, active, at, edge, heard, spoken
from tui.audio.calibration import Timing
from tui.models import events as e
from tui.models.turns.figures import (
    Against,
    Figure,
    Thresholds,
    against,
    barge_in_figures,
    graded,
    response_of,
    timing_line,
    too_close,
)
from tui.models.turns.metrics import MetricsFold, SessionMetrics
from tui.models.turns.output import in_json, turn_lines
from tui.models.turns.turns import BargeIn, BargeInKind
from tui.models.turns.why import Stage, shares_of

JUDGE = Thresholds()


def call(timing: Timing | None, *more: e.SessionEvent) -> SessionMetrics:
    """Folds a call with a greeting after 500 ms and an answer after 1,000 ms."""
    fold = MetricsFold()
    opened = e.AudioOpened(at_ns=0, capture="mic", playback="speaker", latency_ms=40.0, timing=timing)
    speech = (*heard(500, 1_000), edge(USER, True, 2_000), edge(USER, False, 3_000), edge(AGENT, True, 4_000))
    for event in (opened, active(), *speech, *more):
        fold.apply(event)
    return fold.metrics


def late(what: str, late_ms: float, since_ms: float, until_ms: float, path: str = "") -> e.LatenessSeen:
    return e.LatenessSeen(at_ns=at(until_ms), what=what, late_ms=late_ms, since_ns=at(since_ms), path=path)


def test_without_devices_figures_are_exact() -> None:
    metrics = call(None)
    greeting, turn = metrics.turns
    assert response_of(turn, JUDGE) == Figure(1_000.0, "slow")
    assert response_of(greeting, JUDGE) == Figure(500.0)
    assert timing_line(metrics.timing) == ""
    assert against(response_of(turn, None), 1_000) is Against.WITHIN


def test_without_a_calibration_the_stated_bound_is_shown_and_said_once() -> None:
    metrics = call(Timing())
    figure = response_of(metrics.turns[1], JUDGE)
    assert (str(figure), figure.short) == ("1000 ± 20 ms", "1000±20")
    lines = list(turn_lines(metrics, JUDGE))
    assert lines[1] == "Response times are ± 20 ms: not calibrated. Run `opusagent-tui calibrate`."
    assert sum("not calibrated" in line for line in lines) == 1
    assert sum("1000 ± 20 ms  ~ slow" in line for line in lines) == 1


def test_a_calibration_moves_the_figure_and_leaves_the_instants() -> None:
    metrics = call(CALIBRATED)
    greeting, turn = metrics.turns
    assert (turn.response_latency_ms, turn.user_ended_ns, turn.agent_began_ns) == (
        1_000.0,
        3_000 * MS,
        4_000 * MS,
    )
    assert str(response_of(turn, JUDGE)) == "1037 ± 2.5 ms"
    # It is unknown which of the devices is late, and a greeting depends on only one of them.
    assert str(response_of(greeting, JUDGE)) == "500 ± 40 ms"
    assert metrics.response_latencies_ms == [1_037.0]
    assert [(share.stage, share.ms) for share in shares_of(turn) if share.stage is Stage.UNSTATED] == [
        (Stage.UNSTATED, 37.0)
    ]
    assert sum(share.ms for share in shares_of(turn)) == pytest.approx(1_037.0)
    assert timing_line(metrics.timing) == (
        "Response times are ± 2.5 ms: the devices were calibrated on 2026-03-01, and 37.0 ms is added to each."
    )
    assert str(graded(900.0, JUDGE, metrics.timing)) == "900 ± 2.5 ms"


def test_programs_read_the_same_figures() -> None:
    written = in_json(call(CALIBRATED), JUDGE)
    assert written["turns"][1]["response"] == {"ms": 1_037.0, "grade": "slow", "error_ms": 2.5}
    assert written["turns"][1]["response_latency_ms"] == 1_000.0
    assert written["timing"]["calibration"]["response"] == {"bias_ms": -37.0, "spread_ms": 2.5, "count": 17}
    assert "timing" not in in_json(call(None), JUDGE)


def test_lateness_of_the_program_comes_on_top() -> None:
    figure = response_of(call(CALIBRATED, late("the event loop", 90, 3_500, 3_600)).turns[1], JUDGE)
    assert (figure.short, figure.doubt) == ("1037±92?", "the event loop was 90 ms late")


@pytest.mark.parametrize(
    ("limit_ms", "verdict"),
    [(979, Against.OVER), (980, Against.TOO_CLOSE), (1_019, Against.TOO_CLOSE), (1_020, Against.WITHIN)],
)
def test_a_limit_is_exceeded_only_beyond_the_error_bar(limit_ms: float, verdict: Against) -> None:
    figure = response_of(call(Timing()).turns[1], None)
    assert against(figure, limit_ms) is verdict
    assert too_close(1, figure) == "Turn 1 took 1000 ± 20 ms, which is too close to call"


def interrupted(timing: Timing | None, *more: e.SessionEvent) -> BargeIn:
    """Folds a barge-in: the user speaks at 4,500 ms, the agent signals 80 ms later and is silent after 150 ms."""
    flush = e.Flushed(
        at_ns=4_580 * MS,
        by_agent=True,
        reason="clear",
        asked_ns=4_580 * MS,
        silent_ns=4_650 * MS,
        unheard_ms=900.0,
        number=9,
    )
    (barge_in,) = call(timing, edge(USER, True, 4_500), flush, *more).barge_ins
    assert barge_in.kind is BargeInKind.YIELDED
    return barge_in


def test_a_barge_in_has_error_bars_of_its_own() -> None:
    figures = {name: str(figure) for name, figure in barge_in_figures(interrupted(CALIBRATED)).items()}
    assert figures == {
        "agent's signal after": "80 ± 40 ms",
        "silence after": "180 ± 4.0 ms",
        "from signal to silence": "70 ± 40 ms",
        "talk-over": "180 ± 4.0 ms",
    }
    assert str(barge_in_figures(interrupted(None))["silence after"]) == "150 ms"


def test_a_barge_in_measured_while_the_program_was_late_is_marked() -> None:
    during = late("the microphone", 74, 4_500, 4_600)
    figure = barge_in_figures(interrupted(None, during))["agent's signal after"]
    assert (figure.short, figure.doubt) == ("80±74?", "the microphone was 74 ms late")
    assert not interrupted(None, late("the microphone", 74, 5_900, 6_000)).doubt


@pytest.mark.parametrize(
    ("path", "since_ms", "until_ms", "marked"),
    [
        ("capture", 2_500, 3_100, True),
        ("capture", 3_100, 4_100, False),
        ("playback", 2_500, 3_100, False),
        ("playback", 3_900, 4_100, True),
        ("", 3_100, 3_200, True),
    ],
)
def test_a_device_that_was_late_matters_only_at_its_own_edge(
    path: str, since_ms: int, until_ms: int, marked: bool
) -> None:
    turn = call(None, late("a device", 74, since_ms, until_ms, path)).turns[1]
    assert (turn.user_ended_ns, turn.agent_began_ns) == (3_000 * MS, 4_000 * MS)
    assert bool(turn.doubt) is marked


@pytest.mark.parametrize(
    ("timing", "path", "late_ms", "marked"),
    [
        (Timing(), "playback", 6.0, False),
        (Timing(), "playback", 6.5, True),
        (CALIBRATED, "playback", 5.5, True),
        (Timing(), "capture", 15.5, False),
        (Timing(), "capture", 16.5, True),
        (CALIBRATED, "capture", 5.5, True),
    ],
)
def test_the_stated_bound_covers_a_little_lateness_of_a_device(
    timing: Timing, path: str, late_ms: float, marked: bool
) -> None:
    since_ms, until_ms = (3_900, 4_100) if path == "playback" else (2_900, 3_100)
    turn = call(timing, late("a device", late_ms, since_ms, until_ms, path)).turns[1]
    assert bool(turn.doubt) is marked


def test_lateness_that_is_known_late_marks_every_turn_that_it_affects() -> None:
    edges = [
        speech
        for begin_ms in range(5_000, 14_000, 3_000)
        for speech in (*spoken(begin_ms, begin_ms + 500), *heard(begin_ms + 1_500, begin_ms + 2_500))
    ]
    turns = call(Timing(), *edges, late("the microphone", 30, 5_200, 14_000, "capture")).turns
    assert [turn.number for turn in turns if turn.doubt] == [2, 3, 4]
