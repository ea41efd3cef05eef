from __future__ import annotations

import pytest

from tui.scenario.verdict import Case, PassRate, RunResult, ScenarioResult, StepVerdict

PASSED = Case(name="a", verdict=StepVerdict.PASSED)
DONE = Case(name="b", verdict=StepVerdict.DONE)
UNMEASURED = Case(name="c", verdict=StepVerdict.NOT_MEASURED)
FAILED = Case(name="d", verdict=StepVerdict.FAILED)


@pytest.mark.parametrize(
    ("passed", "judged", "low", "high", "text"),
    [
        (0, 0, 0.0, 1.0, "not judged"),
        (0, 10, 0.0, 0.2775, "0% (0/10, 0%–28%)"),
        (10, 10, 0.7225, 1.0, "100% (10/10, 72%–100%)"),
        (18, 20, 0.6990, 0.9721, "90% (18/20, 70%–97%)"),
        (81, 263, 0.2553, 0.3662, "31% (81/263, 26%–37%)"),
    ],
)
def test_a_pass_rate_has_the_interval_of_wilson(
    passed: int, judged: int, low: float, high: float, text: str
) -> None:
    rate = PassRate(passed, judged)
    assert rate.interval == pytest.approx((low, high), abs=0.0001)
    assert str(rate) == text


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (RunResult(cases=[PASSED, DONE]), StepVerdict.PASSED),
        (RunResult(cases=[PASSED, UNMEASURED, DONE]), StepVerdict.NOT_MEASURED),
        (RunResult(cases=[UNMEASURED, FAILED, PASSED]), StepVerdict.FAILED),
        (RunResult(cases=[FAILED], late="Step 2 began late."), StepVerdict.NOT_MEASURED),
        (RunResult(unreachable="Nobody listens."), StepVerdict.FAILED),
        (RunResult(not_applicable="It has no keys."), StepVerdict.NOT_MEASURED),
    ],
)
def test_one_failed_case_fails_a_run_and_lateness_judges_none(run: RunResult, verdict: StepVerdict) -> None:
    assert run.verdict is verdict


def test_a_scenario_passes_if_enough_of_the_judged_runs_do() -> None:
    runs = [RunResult(cases=[case]) for case in (PASSED, PASSED, PASSED, FAILED, UNMEASURED)]
    result = ScenarioResult(name="s", file="s.call.toml", least_rate=0.75, runs=runs)
    assert (result.rate, result.verdict) == (PassRate(3, 4), StepVerdict.PASSED)
    stricter = ScenarioResult(name="s", file="s.call.toml", least_rate=0.76, runs=runs)
    assert stricter.verdict is StepVerdict.FAILED
    unjudged = ScenarioResult(name="s", file="s.call.toml", runs=runs[4:])
    assert unjudged.verdict is StepVerdict.NOT_MEASURED


def test_what_failed_first_comes_before_what_was_not_measured() -> None:
    runs = [RunResult(cases=[UNMEASURED]), RunResult(cases=[PASSED, UNMEASURED, FAILED])]
    assert ScenarioResult(name="s", file="s.call.toml", runs=runs).failed_first is FAILED
    assert ScenarioResult(name="s", file="s.call.toml", runs=runs[:1]).failed_first is UNMEASURED
