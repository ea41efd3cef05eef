from __future__ import annotations

from pathlib import Path

import pytest

from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import BargeIn, BargeInKind, DeadAir, Turn
from tui.scenario.limits import judge_call, judge_runs
from tui.scenario.model import Bounds, CallLimits, Scenario
from tui.scenario.values import Duration
from tui.scenario.verdict import StepVerdict

S = 1_000_000_000
PASSED, FAILED, NOT_MEASURED = StepVerdict.PASSED, StepVerdict.FAILED, StepVerdict.NOT_MEASURED

TURNS = [
    Turn(number=0, response_latency_ms=900.0),
    Turn(number=1, response_latency_ms=700.0),
    Turn(number=2, response_latency_ms=1_300.0),
]
DOUBTED = [Turn(number=1, response_latency_ms=1_300.0, doubt="the machine was busy")]
YIELDED = BargeIn(BargeInKind.YIELDED, 1, silence_ms=350.0)
MISSED = BargeIn(BargeInKind.MISSED, 2)
BOTH = SessionMetrics(user_talk_ms=2_000.0, agent_talk_ms=5_000.0)


def scenario(limits: CallLimits) -> Scenario:
    return Scenario(name="limited", limits=limits, path=Path("a.call.toml"), limits_line=7)


def up_to(value_ms: float) -> Bounds:
    return Bounds(max=Duration(value_ms))


EACH: list[tuple[CallLimits, SessionMetrics, StepVerdict, str]] = [
    (CallLimits(response=up_to(1_300)), SessionMetrics(turns=TURNS), PASSED, ""),
    (
        CallLimits(response=up_to(1_299)),
        SessionMetrics(turns=TURNS),
        FAILED,
        "It was 1300 ms.",
    ),
    (
        CallLimits(response=up_to(1_000)),
        SessionMetrics(turns=DOUBTED),
        NOT_MEASURED,
        "Turn 1 took 1300 ms, which is too close to call: the machine was busy.",
    ),
    (
        CallLimits(response=up_to(1_000)),
        SessionMetrics(turns=TURNS[:1]),
        NOT_MEASURED,
        "No response time could be measured.",
    ),
    # As every output prints it: 1,300 ms.
    (
        CallLimits(response=up_to(1_300)),
        SessionMetrics(turns=[Turn(number=1, response_latency_ms=1_300.4)]),
        PASSED,
        "",
    ),
    (CallLimits(greeting=Duration(900)), SessionMetrics(turns=TURNS), PASSED, ""),
    (
        CallLimits(greeting=Duration(899)),
        SessionMetrics(turns=TURNS),
        FAILED,
        "It was 900 ms.",
    ),
    (CallLimits(greeting=Duration(899)), SessionMetrics(), NOT_MEASURED, "No greeting was heard."),
    (CallLimits(barge_in=up_to(350)), SessionMetrics(barge_ins=[YIELDED]), PASSED, ""),
    (
        CallLimits(barge_in=up_to(349)),
        SessionMetrics(barge_ins=[YIELDED]),
        FAILED,
        "It was 350 ms.",
    ),
    (
        CallLimits(barge_in=up_to(350)),
        SessionMetrics(barge_ins=[YIELDED, MISSED]),
        FAILED,
        "The agent did not stop for 1 of 2 interruptions.",
    ),
    (
        CallLimits(barge_in=up_to(350)),
        SessionMetrics(),
        NOT_MEASURED,
        "The agent was not interrupted.",
    ),
    (CallLimits(dead_air=Duration(2_000)), SessionMetrics(), PASSED, ""),
    (
        CallLimits(dead_air=Duration(3_000)),
        SessionMetrics(dead_air=[DeadAir(0, 3_001.0)]),
        FAILED,
        "It was 3001 ms.",
    ),
    (CallLimits(talk_over=Duration(0)), BOTH, PASSED, ""),
    (
        CallLimits(talk_over=Duration(100)),
        SessionMetrics(user_talk_ms=1.0, agent_talk_ms=1.0, overlap_ms=101.0),
        FAILED,
        "It was 101 ms.",
    ),
    (
        CallLimits(talk_over=Duration(100)),
        SessionMetrics(user_talk_ms=2_000.0, overlap_ms=0.0),
        NOT_MEASURED,
        "The caller and the agent were not both heard.",
    ),
    (CallLimits(findings=1), SessionMetrics(findings=1), PASSED, ""),
    (
        CallLimits(findings=1),
        SessionMetrics(findings=2),
        FAILED,
        "2 were reported; the limit is 1.",
    ),
    (CallLimits(errors=0), SessionMetrics(), PASSED, ""),
    (CallLimits(errors=0), SessionMetrics(errors=1), FAILED, "1 were reported; the limit is 0."),
]
KNOWN = {"dead_air", "findings", "errors"}
"""What is counted or timed in every call: it is always measured."""


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
    assert seen == {PASSED, FAILED} | (set() if name in KNOWN else {NOT_MEASURED})
