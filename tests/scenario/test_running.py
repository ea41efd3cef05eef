"""Tests many runs without calls: their order, and their combined results."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tui.exit_code import ExitCode
from tui.models.target import Target
from tui.scenario.model import CallLimits, Scenario, Silence
from tui.scenario.results import exit_code, judged, planned_cases, summarize
from tui.scenario.running import Batch, Planned
from tui.scenario.values import Duration
from tui.scenario.verdict import Case, RunResult, StepVerdict

PASSED, FAILED, NOT_MEASURED = StepVerdict.PASSED, StepVerdict.FAILED, StepVerdict.NOT_MEASURED
TARGET = Target(url="ws://127.0.0.1:9/audiocodes")
OK = RunResult(cases=[Case(name="a", verdict=PASSED)])
BAD = RunResult(cases=[Case(name="a", verdict=FAILED, reason="It did not happen.")])
UNJUDGED = RunResult(late="It was late.")
NOT_CARRIED = RunResult(not_applicable="It has no keys.")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.scenario.running._APART_S", 0.0)


def scenario(name: str = "a", pass_rate: float = 1.0) -> Scenario:
    step = Silence(silence=Duration(1), file="a.call.toml", line=3)
    limits = CallLimits(errors=0)
    return Scenario(
        name=name, pass_rate=pass_rate, steps=[step], limits=limits, path=Path("a.call.toml"), limits_line=1
    )


def held_in_turn(runs: Sequence[RunResult]) -> Callable[[Scenario, Target], Awaitable[RunResult]]:
    left = list(runs)

    async def hold(scenario: Scenario, target: Target) -> RunResult:
        await asyncio.sleep(0)
        return left.pop(0)

    return hold


def play(runs: Sequence[RunResult], plan: Planned, *, jobs: int = 1, fail_fast: bool = False) -> Batch:
    batch = Batch([plan], fail_fast=fail_fast)
    asyncio.run(batch.play(held_in_turn(runs), jobs))
    return batch


def test_runs_are_numbered_and_held_as_many_at_a_time_as_asked() -> None:
    now, most = 0, 0

    async def hold(scenario: Scenario, target: Target) -> RunResult:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return OK

    shown: list[tuple[str, int]] = []
    batch = Batch(
        [Planned(scenario("a"), TARGET, 3), Planned(scenario("b"), TARGET, 2)],
        show=lambda plan, run: shown.append((plan.scenario.name, run.number)),
    )
    asyncio.run(batch.play(hold, 2))
    assert most == 2
    assert sorted(shown) == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)]
    assert [(result.name, len(result.runs)) for _, result in batch.results] == [("a", 3), ("b", 2)]


@pytest.mark.parametrize(
    ("runs", "pass_rate", "held"),
    [
        ([OK, BAD, OK, OK], 1.0, 2),
        ([BAD, OK, OK, OK], 0.75, 4),  # the scenario can still pass
        ([BAD, OK, BAD, OK], 0.75, 3),
        ([UNJUDGED, UNJUDGED, OK, OK], 1.0, 4),
    ],
)
def test_fail_fast_stops_once_a_scenario_cannot_pass(
    runs: list[RunResult], pass_rate: float, held: int
) -> None:
    plan = Planned(scenario(pass_rate=pass_rate), TARGET, 4)
    ((_, result),) = play(runs, plan, fail_fast=True).results
    assert len(result.runs) == held


def test_what_the_protocol_cannot_carry_is_found_once() -> None:
    ((_, result),) = play([NOT_CARRIED], Planned(scenario(), TARGET, 5)).results
    assert len(result.runs) == 1


def test_calls_under_way_are_ended_when_the_batch_is_cancelled() -> None:
    ended = []

    async def hold(scenario: Scenario, target: Target) -> RunResult:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(scenario.name)
        return OK

    async def cancelled() -> Batch:
        batch = Batch([Planned(scenario(), TARGET, 3)])
        playing = asyncio.ensure_future(batch.play(hold, 2))
        await asyncio.sleep(0.01)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        return batch

    assert asyncio.run(cancelled()).results == []
    assert ended == ["a", "a"]


@pytest.mark.parametrize(
    ("runs", "worse", "code"),
    [
        ([OK] * 5, False, ExitCode.FINE),
        ([OK] * 5, True, ExitCode.LIMIT_EXCEEDED),
        ([OK] * 4 + [BAD], False, ExitCode.LIMIT_EXCEEDED),
        ([OK] * 4 + [UNJUDGED], False, ExitCode.FINE),
        ([OK] * 3 + [UNJUDGED], False, ExitCode.NOT_JUDGED),
        ([BAD] + [UNJUDGED] * 3, False, ExitCode.LIMIT_EXCEEDED),
        ([BAD, RunResult(unreachable="Nobody listens.")], False, ExitCode.UNREACHABLE),
        ([NOT_CARRIED], False, ExitCode.NOT_JUDGED),
    ],
)
def test_the_exit_code_of_all_runs(runs: list[RunResult], worse: bool, code: ExitCode) -> None:
    assert exit_code([judged(scenario(), runs)], worse=worse) is code


def whole(*verdicts: StepVerdict) -> RunResult:
    """Returns a run with the verdicts of its step and its limit; the call itself passed."""
    planned = planned_cases(scenario())
    reasons = {FAILED: "It did not happen.", NOT_MEASURED: "It was too late."}
    cases = [
        Case(name=case.name, verdict=verdict, reason=reasons.get(verdict, ""), file=case.file, line=case.line)
        for case, verdict in zip(planned, (PASSED, *verdicts), strict=True)
    ]
    return RunResult(cases=cases)


ONE_OF_TWO = [whole(PASSED, PASSED), whole(FAILED, PASSED)]
FAILED_ONCE = "It failed in 1 of 2 runs. It did not happen."
MISSED_ONCE = "It was not measured in 1 of 2 runs. It was too late."


@pytest.mark.parametrize(
    ("runs", "pass_rate", "verdict", "reason"),
    [
        ([whole(PASSED, PASSED)] * 2, 1.0, PASSED, ""),
        ([whole(FAILED, PASSED)], 1.0, FAILED, "It did not happen."),
        (ONE_OF_TWO, 0.9, FAILED, FAILED_ONCE),
        (ONE_OF_TWO, 0.5, PASSED, FAILED_ONCE),
        ([whole(NOT_MEASURED, PASSED)], 1.0, NOT_MEASURED, "It was too late."),
        ([whole(NOT_MEASURED, PASSED), whole(PASSED, PASSED)], 1.0, PASSED, MISSED_ONCE),
        ([UNJUDGED], 1.0, NOT_MEASURED, "The call did not take place."),
    ],
)
def test_a_step_is_judged_over_all_runs(
    runs: list[RunResult], pass_rate: float, verdict: StepVerdict, reason: str
) -> None:
    limited = scenario(pass_rate=pass_rate)
    call, step, limit, *rest = summarize(limited, judged(limited, runs))
    assert (step.name, step.line, step.verdict, step.reason) == ("silence 1 ms", 3, verdict, reason)
    assert (call.name, limit.name) == ("the call", "errors ≤ 0")
    assert [case.name for case in rest] == ([f"pass rate ≥ {pass_rate:.0%}"] if len(runs) > 1 else [])


def test_an_agent_that_cannot_be_called_fails_the_call_and_measures_nothing_else() -> None:
    runs = [RunResult(unreachable="Nobody listens.")]
    call, *rest = summarize(scenario(), judged(scenario(), runs))
    assert (call.verdict, call.reason, call.code) == (FAILED, "Nobody listens.", "unreachable")
    assert {case.verdict for case in rest} == {NOT_MEASURED}
