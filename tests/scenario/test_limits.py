from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tui.audio.calibration import Timing
from tui.models.events import Party
from tui.models.turns.floor import Floor, TalkOver
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import BargeIn, BargeInKind, DeadAir, Turn
from tui.scenario.limits import judge_call, judge_runs
from tui.scenario.model import Bounds, CallLimits, Scenario
from tui.scenario.results import judged, summarize
from tui.scenario.values import Duration
from tui.scenario.verdict import RunResult, StepVerdict

S = 1_000_000_000
SECONDS = Duration(3_000)
PASSED, FAILED, NOT_MEASURED = StepVerdict.PASSED, StepVerdict.FAILED, StepVerdict.NOT_MEASURED

TURNS = [
    Turn(number=0, response_latency_ms=900.0),
    Turn(number=1, response_latency_ms=700.0),
    Turn(number=2, response_latency_ms=1_300.0),
]
DOUBTED = [Turn(number=1, response_latency_ms=1_300.0, doubt="the machine was busy")]
YIELDED = BargeIn(BargeInKind.YIELDED, 1, silence_ms=350.0)
MISSED = BargeIn(BargeInKind.MISSED, 2)
HEARD = TalkOver(10 * S, 300.0, Party.AGENT, Party.AGENT)
ANNOUNCED = BargeIn(BargeInKind.YIELDED, 1, at_ns=10 * S, silence_ms=250.0)
GAVE_WAY = TalkOver(20 * S, 900.0, Party.AGENT, Party.USER)
DOUBT = "Turn 1 took 1300 ms, which is too close to call: the machine was busy."
TOO_CLOSE = "It was 3001 ± 20 ms, which is too close to call."
UNANSWERED = "No response time could be measured."
ONE_WAS_SILENT = "The caller or the agent was not heard."


def scenario(limits: CallLimits) -> Scenario:
    return Scenario(name="limited", limits=limits, path=Path("a.call.toml"), limits_line=7)


def up_to(value_ms: float) -> Bounds:
    return Bounds(max=Duration(value_ms))


def measured(**figures: Any) -> SessionMetrics:
    """Returns the metrics of a call in which both were heard for a second."""
    return SessionMetrics(**{"user_talk_ms": 1_000.0, "agent_talk_ms": 1_000.0, **figures})


ANSWERED, INTERRUPTED = measured(turns=TURNS), measured(barge_ins=[YIELDED])
STOPPED = measured(floor=Floor(talk_overs=[HEARD]))
SILENT = measured(dead_air=[DeadAir(0, 3_001.0)])
NOT_STOPPED = "The agent did not stop for 1 of 2 interruptions."
EACH: list[tuple[CallLimits, SessionMetrics, StepVerdict, str]] = [
    (CallLimits(response=up_to(1_300)), ANSWERED, PASSED, ""),
    (CallLimits(response=up_to(1_299)), ANSWERED, FAILED, "It was 1300 ms."),
    (CallLimits(response=up_to(1_000)), measured(turns=DOUBTED), NOT_MEASURED, DOUBT),
    (CallLimits(response=up_to(1_000)), measured(turns=TURNS[:1]), NOT_MEASURED, UNANSWERED),
    # As printed by every output: 1,300 ms.
    (CallLimits(response=up_to(1_300)), measured(turns=[Turn(1, response_latency_ms=1_300.4)]), PASSED, ""),
    (CallLimits(greeting=Duration(900)), ANSWERED, PASSED, ""),
    (CallLimits(greeting=Duration(899)), ANSWERED, FAILED, "It was 900 ms."),
    (CallLimits(greeting=Duration(899)), measured(), NOT_MEASURED, "No greeting was heard."),
    (CallLimits(barge_in=up_to(350)), INTERRUPTED, PASSED, ""),
    (CallLimits(barge_in=up_to(349)), INTERRUPTED, FAILED, "It was 350 ms."),
    (CallLimits(barge_in=up_to(350)), measured(barge_ins=[YIELDED, MISSED]), FAILED, NOT_STOPPED),
    (CallLimits(barge_in=up_to(350)), measured(), NOT_MEASURED, "The agent was not interrupted."),
    # A full-duplex agent announces nothing, but its stop is heard.
    (CallLimits(barge_in=up_to(300)), STOPPED, PASSED, ""),
    (CallLimits(barge_in=up_to(299)), STOPPED, FAILED, "It was 300 ms."),
    (CallLimits(barge_in=up_to(1_000)), replace(STOPPED, barge_ins=[MISSED]), FAILED, NOT_STOPPED),
    # A stop that is both announced and heard counts once. A user who yields does not count as a stop by the
    # agent.
    (
        CallLimits(barge_in=up_to(250)),
        measured(barge_ins=[ANNOUNCED], floor=Floor(talk_overs=[HEARD, GAVE_WAY])),
        PASSED,
        "",
    ),
    (CallLimits(dead_air=Duration(2_000)), measured(), PASSED, ""),
    (CallLimits(dead_air=Duration(3_000)), SILENT, FAILED, "It was 3001 ms."),
    (CallLimits(dead_air=Duration(3_000)), replace(SILENT, timing=Timing()), NOT_MEASURED, TOO_CLOSE),
    (CallLimits(talk_over=Duration(0)), measured(), PASSED, ""),
    (CallLimits(talk_over=Duration(100)), measured(overlap_ms=101.0), FAILED, "It was 101 ms."),
    (CallLimits(talk_over=Duration(100)), measured(agent_talk_ms=None), NOT_MEASURED, ONE_WAS_SILENT),
    (CallLimits(findings=1), measured(findings=1), PASSED, ""),
    (CallLimits(findings=1), measured(findings=2), FAILED, "2 were reported; the limit is 1."),
    (CallLimits(errors=0), measured(), PASSED, ""),
    (CallLimits(errors=0), measured(errors=1), FAILED, "1 were reported; the limit is 0."),
]
COUNTED = {"findings", "errors"}
"""Counts of a call are always known, unless the call itself was not measured."""


@pytest.mark.parametrize(("limits", "metrics", "verdict", "reason"), EACH)
def test_each_limit_passes_fails_or_is_not_measured(
    limits: CallLimits, metrics: SessionMetrics, verdict: StepVerdict, reason: str
) -> None:
    (case,) = judge_call(scenario(limits), metrics, [])
    assert (case.verdict, case.reason) == (verdict, reason)
    assert (case.file, case.line) == ("a.call.toml", 7)


def test_silence_that_the_caller_asked_for_is_not_dead_air() -> None:
    limited = scenario(CallLimits(dead_air=Duration(2_000)))
    metrics = SessionMetrics(dead_air=[DeadAir(10 * S, 6_000.0)])
    (case,) = judge_call(limited, metrics, [(9 * S, 14 * S)])
    assert (case.verdict, case.measured_ms) == (PASSED, 2_000.0)
    (case,) = judge_call(limited, metrics, [(9 * S, 13 * S)])
    assert (case.verdict, case.measured_ms) == (FAILED, 3_000.0)


def test_percentiles_need_twenty_turns_of_all_runs() -> None:
    limited = scenario(CallLimits(response=Bounds(p50=Duration(1_000), p95=Duration(1_800))))
    times_ms = [100.0 * number for number in range(1, 21)]
    median, high = judge_runs(limited, times_ms)
    assert (median.name, median.verdict, median.measured_ms) == ("response p50 ≤ 1 s", PASSED, 1_000.0)
    assert (high.verdict, high.reason) == (FAILED, "It was 1900 ms.")
    assert [case.reason for case in judge_runs(limited, times_ms[1:])] == [
        "At least 20 turns are needed; 19 were measured."
    ] * 2
    assert judge_runs(scenario(CallLimits()), times_ms) == []


@pytest.mark.parametrize("name", CallLimits.__struct_fields__)
def test_no_limit_is_without_its_three_verdicts(name: str) -> None:
    default = CallLimits()
    seen = {verdict for limits, _, verdict, _ in EACH if getattr(limits, name) != getattr(default, name)}
    assert seen == {PASSED, FAILED} | (set() if name in COUNTED else {NOT_MEASURED})


@pytest.mark.parametrize("name", CallLimits.__struct_fields__)
@pytest.mark.parametrize("run", [RunResult(late="It was late."), RunResult(unreachable="Nobody answered.")])
def test_no_limit_is_measured_in_a_call_that_was_not(name: str, run: RunResult) -> None:
    value: Any = {"response": up_to(1_000), "barge_in": up_to(1_000)}.get(
        name, 0 if name in COUNTED else SECONDS
    )
    limited = scenario(CallLimits(**{name: value}))
    *_, case = summarize(limited, judged(limited, [run]))
    assert case.name.startswith(name)
    assert case.verdict is NOT_MEASURED


@pytest.mark.parametrize("bound", Bounds.__struct_fields__)
def test_each_bound_of_response_and_barge_in_has_its_three_verdicts(bound: str) -> None:
    limits = Bounds(**{bound: Duration(1_000)})
    for slowest_ms, turns, verdict in ((999.0, 40, PASSED), (1_001.0, 40, FAILED), (999.0, 0, NOT_MEASURED)):
        times_ms = [slowest_ms] * turns
        answered = [Turn(number=number + 1, response_latency_ms=ms) for number, ms in enumerate(times_ms)]
        yielded = [BargeIn(BargeInKind.YIELDED, 1, silence_ms=ms) for ms in times_ms]
        metrics = SessionMetrics(turns=answered, barge_ins=yielded)
        response, barge_in = scenario(CallLimits(response=limits)), scenario(CallLimits(barge_in=limits))
        found = [*judge_call(response, metrics, []), *judge_runs(response, times_ms)]
        found += judge_call(barge_in, metrics, [])
        assert [(case.name, case.verdict) for case in found] == [
            (f"response {bound} ≤ 1 s", verdict),
            (f"barge_in {bound} ≤ 1 s", verdict),
        ]
