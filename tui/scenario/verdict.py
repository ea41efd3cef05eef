"""Verdicts on steps, limits, runs and scenarios; the pass rate and its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

_Z_95 = 1.959964
"""The 97.5 % quantile of the normal distribution, for a 95 % confidence interval."""


class StepVerdict(StrEnum):
    """Verdict on a step, a limit or the call."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"
    """The case could not be judged, because something that it needs was missing or this program was too late."""
    DONE = "done"
    """A caller step, which is not judged."""

    @classmethod
    def of_all(cls, verdicts: Iterable[StepVerdict]) -> StepVerdict:
        """Combines several verdicts: "failed" takes precedence over "not measured"."""
        found = set(verdicts)
        return next((each for each in (cls.FAILED, cls.NOT_MEASURED) if each in found), cls.PASSED)


SILENT_AFTER_TOOL = "silent_after_tool"
"""Reason code for a missing answer to the result of a tool."""
UNREACHABLE = "unreachable"
"""Reason code for an agent that could not be called."""
THE_CALL = "the call"
"""Name of the case that checks whether the call took place at all."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a step, a limit, or the call itself."""

    name: str
    verdict: StepVerdict
    reason: str = ""
    """A sentence."""
    code: str = ""
    """Reason code of the failure, if one is defined for it, such as `SILENT_AFTER_TOOL`."""
    file: str = ""
    line: int = 0
    """Line in the scenario file; 0 if there is none."""
    measured_ms: float | None = None
    """The measured time, if the case measures a time."""
    began_ms: float | None = None
    """Start of the step, in ms after the session became active."""


class PassRate(msgspec.Struct, frozen=True):
    """Share of the judged runs that passed, with Wilson's 95 % confidence interval.

    Source: Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """

    passed: int
    judged: int

    @property
    def share(self) -> float | None:
        """Pass rate, 0..1; None if no run could be judged."""
        return self.passed / self.judged if self.judged else None

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of the confidence interval of the pass rate, 0..1."""
        n = self.judged
        if not n:
            return 0.0, 1.0
        share, z2 = self.passed / n, _Z_95 * _Z_95
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        # Exactly 0 and 1 at the ends, where rounding errors would yield 1e-17.
        low = 0.0 if self.passed == 0 else max(middle - half, 0.0)
        return low, 1.0 if self.passed == n else min(middle + half, 1.0)

    def __str__(self) -> str:
        low, high = self.interval
        if self.share is None:
            return "not judged"
        return f"{self.share:.0%} ({self.passed}/{self.judged}, {low:.0%}–{high:.0%})"


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a scenario."""

    number: int = 1
    """Number of the run within its scenario, starting at 1."""
    protocol: str = ""
    """The agent's protocol; empty if unknown."""
    cases: Sequence[Case] = ()
    folder: str = ""
    """Folder of the saved session; empty if it was not kept."""
    report: str = ""
    """Path of the session's report; empty if none was written."""
    response_ms: Sequence[float] = ()
    slowest_turn: int = 0
    """Number of the turn with the longest response time; 0 if none was measured."""
    unreachable: str = ""
    """Reason why the agent could not be called; empty if it could."""
    not_applicable: str = ""
    """Reason why the agent's protocol cannot carry the steps, in which case no call was made; empty if it can."""
    cut_short: bool = False
    """Whether the call ended before all steps were carried out, although no step hung up."""
    late: str = ""
    """Reason why nothing in the run can be judged, such as caller audio that was late; empty if the
    run can be judged.
    """

    @property
    def verdict(self) -> StepVerdict:
        """Verdict on the run."""
        if self.late or self.not_applicable:
            return StepVerdict.NOT_MEASURED
        if self.unreachable:
            return StepVerdict.FAILED
        return StepVerdict.of_all(case.verdict for case in self.cases)

    @property
    def failed_first(self) -> Case | None:
        """The first case that failed; otherwise the first that was not measured."""
        if why := self.unreachable or self.late or self.not_applicable:
            return Case(name=THE_CALL, verdict=self.verdict, reason=why)
        verdict = self.verdict
        return next((case for case in self.cases if case.verdict is verdict is not StepVerdict.PASSED), None)


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of a scenario against one target."""

    name: str
    file: str
    protocol: str = ""
    least_rate: float = 1.0
    runs: Sequence[RunResult] = ()
    limits: Sequence[Case] = ()
    """Limits that are checked for all runs together."""

    @property
    def rate(self) -> PassRate:
        """Pass rate of the runs that could be judged."""
        verdicts = [run.verdict for run in self.runs]
        passed = verdicts.count(StepVerdict.PASSED)
        return PassRate(passed, passed + verdicts.count(StepVerdict.FAILED))

    @property
    def rate_verdict(self) -> StepVerdict:
        """Verdict on the pass rate: passed if enough of the judged runs passed."""
        share = self.rate.share
        if share is None:
            return StepVerdict.NOT_MEASURED
        return StepVerdict.PASSED if share >= self.least_rate else StepVerdict.FAILED

    @property
    def verdict(self) -> StepVerdict:
        """Verdict on the scenario: as for the pass rate, but "failed" if a limit over all runs failed."""
        failed = any(case.verdict is StepVerdict.FAILED for case in self.limits)
        return StepVerdict.FAILED if failed else self.rate_verdict

    @property
    def response_ms(self) -> list[float]:
        """Response times of all runs that could be judged, in ms."""
        return [response_ms for run in self.runs if not run.late for response_ms in run.response_ms]

    @property
    def slowest(self) -> RunResult | None:
        """The run with the longest response time; None if none was measured."""
        measured = [run for run in self.runs if run.response_ms and not run.late]
        return max(measured, key=lambda run: max(run.response_ms), default=None)

    @property
    def failed_run(self) -> RunResult | None:
        """The first run that failed; otherwise the first that was not measured."""
        for verdict in (StepVerdict.FAILED, StepVerdict.NOT_MEASURED):
            if found := next((run for run in self.runs if run.verdict is verdict), None):
                return found
        return None

    @property
    def failed_first(self) -> Case | None:
        """The first case that failed in any run or over all runs; otherwise the first that was not measured."""
        run = self.failed_run
        found = [run.failed_first if run else None, *self.limits]
        ranked = sorted(
            (case for case in found if case and case.verdict is not StepVerdict.PASSED),
            key=lambda case: case.verdict is not StepVerdict.FAILED,
        )
        return ranked[0] if ranked else None
