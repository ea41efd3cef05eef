"""Evaluates all runs of a scenario together: each step, each limit, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui.exit_code import ExitCode
from tui.models.turns.metrics import SessionMetrics
from tui.scenario.limits import judge_call, judge_runs
from tui.scenario.model import Scenario, Step
from tui.scenario.verdict import THE_CALL, UNREACHABLE, Case, RunResult, ScenarioResult, StepVerdict

_UNJUDGED_SHARE = 0.2
"""Largest allowed share of runs that could not be judged."""


def case_of(step: Step) -> Case:
    """Returns the case for a step, without a verdict."""
    return Case(name=step.title, verdict=StepVerdict.NOT_MEASURED, file=step.file, line=step.line)


def planned_cases(scenario: Scenario) -> list[Case]:
    """Returns the cases of a scenario's run without verdicts, in the order of the results."""
    steps = [case_of(step) for step in scenario.steps]
    limits = judge_call(scenario, SessionMetrics(), [])
    call = Case(name=THE_CALL, verdict=StepVerdict.NOT_MEASURED, file=str(scenario.path), line=1)
    return [call, *steps, *limits]


def planned_limits(scenario: Scenario) -> list[Case]:
    """Returns the cases for the limits that apply to all runs together, without verdicts."""
    return judge_runs(scenario, [])


def rate_title(least_rate: float) -> str:
    """Returns the name of the case that checks the pass rate."""
    return f"pass rate ≥ {least_rate:.0%}"


def judged(scenario: Scenario, runs: Sequence[RunResult]) -> ScenarioResult:
    """Returns the result of a scenario."""
    result = ScenarioResult(
        name=scenario.name,
        file=str(scenario.path),
        protocol=next((run.protocol for run in runs if run.protocol), ""),
        least_rate=scenario.pass_rate,
        runs=runs,
    )
    return msgspec.structs.replace(result, limits=judge_runs(scenario, result.response_ms))


def summarize(scenario: Scenario, result: ScenarioResult) -> list[Case]:
    """Returns a case for each step and limit over all runs, then the pass rate if there is more than one run.

    A case has failed only if the scenario failed. For a case that did not fail, the reason states how many
    failures the pass rate allowed. The measured time is the longest over all runs.
    """
    planned = planned_cases(scenario)
    judged_runs = [run for run in result.runs if not (run.late or run.not_applicable or run.unreachable)]
    whole = [run for run in judged_runs if len(run.cases) == len(planned)]
    found = [_call(planned[0], result)]
    for index, case in enumerate(planned[1:], 1):
        found.append(_over_runs(case, [run.cases[index] for run in whole], result))
    found += result.limits
    if scenario.repeat > 1 or len(result.runs) > 1:
        found.append(
            Case(
                name=rate_title(result.least_rate),
                verdict=result.rate_verdict,
                reason=f"{result.rate}.",
                file=str(scenario.path),
                line=1,
            )
        )
    return found


def _call(planned: Case, result: ScenarioResult) -> Case:
    """Returns the case that checks whether the calls took place."""
    troubles = [run.failed_first for run in result.runs if run.unreachable or run.late or run.not_applicable]
    cases = [case for case in troubles if case] + [
        run.cases[0] for run in result.runs if run.cases and not run.late
    ]
    code = UNREACHABLE if any(run.unreachable for run in result.runs) else ""
    return msgspec.structs.replace(_over_runs(planned, cases, result), code=code)


def _over_runs(planned: Case, cases: Sequence[Case], result: ScenarioResult) -> Case:
    failed = [case for case in cases if case.verdict is StepVerdict.FAILED]
    unmeasured = [case for case in cases if case.verdict is StepVerdict.NOT_MEASURED]
    measured_ms = [case.measured_ms for case in cases if case.measured_ms is not None]
    if failed:
        # A failure that the pass rate allows is not a failure of the scenario.
        allowed = result.rate_verdict is StepVerdict.PASSED
        verdict = StepVerdict.PASSED if allowed else StepVerdict.FAILED
        reason = _counted("failed", failed, len(cases))
    elif len(unmeasured) == len(cases):
        verdict = StepVerdict.NOT_MEASURED
        reason = unmeasured[0].reason if unmeasured else "The call did not take place."
    else:
        verdict, reason = StepVerdict.PASSED, ""
        if unmeasured:
            reason = _counted("was not measured", unmeasured, len(cases))
    worst_ms = max(measured_ms, default=None)
    return msgspec.structs.replace(planned, verdict=verdict, reason=reason, measured_ms=worst_ms)


def _counted(what: str, cases: Sequence[Case], count: int) -> str:
    reason = cases[0].reason
    return reason if count == 1 else f"It {what} in {len(cases)} of {count} runs. {reason}".rstrip()


def exit_code(results: Sequence[ScenarioResult], *, worse: bool = False) -> ExitCode:
    """Returns the exit code of all scenarios. ``worse``: whether any scenario is worse than its baseline."""
    runs = [run for result in results for run in result.runs]
    if any(run.unreachable for run in runs):
        return ExitCode.UNREACHABLE
    if worse or any(result.verdict is StepVerdict.FAILED for result in results):
        return ExitCode.LIMIT_EXCEEDED
    unjudged = sum(run.verdict is StepVerdict.NOT_MEASURED for run in runs)
    return ExitCode.NOT_JUDGED if unjudged > _UNJUDGED_SHARE * len(runs) else ExitCode.FINE
