"""Baselines: files of earlier results, for comparison with later results.

A figure counts as worse only if its increase exceeds both a relative and an absolute limit. An extra 20 ms on
a long response, or an extra 50 % on a short one, is therefore not reported. Percentiles are compared only if
both results contain enough turns. A pass rate is worse only if its 95 % interval does not overlap the
baseline's. Results of another scenario or protocol are rejected.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from tui.models.turns.turns import LEAST_TURNS, percentiles_of
from tui.scenario.model import Scenario
from tui.scenario.verdict import PassRate, ScenarioResult
from tui.text.numbers import milliseconds
from tui.text.strict import quoted

_FORMAT = 1
_MOST_BYTES = 1 << 24
_RULES = {"p50": (0.10, 50.0), "p95": (0.20, 100.0)}
"""The largest increase of each percentile that does not count as worse: as a share, and in ms."""


class BaselineError(ValueError):
    """Raised when a baseline cannot be used. The message is one sentence."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one scenario in a baseline."""

    fingerprint: str
    """Hash from `fingerprint`; results with a different hash belong to a different scenario."""
    protocol: str
    passed: int
    judged: int
    response_count: int
    p50_ms: float | None = None
    p95_ms: float | None = None


class BaselineFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a baseline."""

    opusagent_baseline: int
    """Version of this format."""
    scenarios: dict[str, Kept]
    """Figures by the path of the scenario's file, relative to the folder of the baseline."""


class Change(StrEnum):
    """Result of comparing a figure with its baseline."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "the same"
    NOT_COMPARED = "not compared"


class FigureChange(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a scenario, compared with its baseline."""

    scenario: str
    figure: str
    change: Change
    reason: str
    """A sentence."""


def fingerprint(scenario: Scenario) -> str:
    """Returns a hash of the steps and the caller's settings. Limits and numbers of runs do not affect the hash."""
    steps = [
        (step.KIND, {name: _written(getattr(step, name)) for name in _compared_fields(step)})
        for step in scenario.steps
    ]
    content = msgspec.json.encode([steps, _written(scenario.caller)], order="deterministic")
    return hashlib.sha256(content).hexdigest()[:16]


def _compared_fields(step: msgspec.Struct) -> list[str]:
    # A step's place in the file and the limits that it sets for the agent do not affect the call itself.
    return [name for name in step.__struct_fields__ if name not in ("line", "file", "within", "stop", "wer")]


def _written(value: Any) -> Any:
    """Converts a step's value to types that JSON can represent."""
    match value:
        case msgspec.Struct():
            return {name: _written(getattr(value, name)) for name in value.__struct_fields__}
        case Mapping():
            return {str(key): _written(each) for key, each in value.items()}
        case list() | tuple():
            return [_written(each) for each in value]
        case bool() | int() | None:
            return value
        case _:
            return str(value)


def save_baseline(path: Path, results: Sequence[tuple[Scenario, ScenarioResult]]) -> bytes:
    """Returns the content of a baseline file that is to be saved at ``path``.

    Raises `BaselineError` if a scenario was not judged.
    """
    kept = {}
    for scenario, result in results:
        if not result.rate.judged or any(run.unreachable for run in result.runs):
            raise BaselineError(f"No baseline was saved: {quoted(result.name)} was not judged.")
        found = percentiles_of(result.response_ms)
        kept[_key(path, scenario)] = Kept(
            fingerprint=fingerprint(scenario),
            protocol=result.protocol,
            passed=result.rate.passed,
            judged=result.rate.judged,
            response_count=found.count,
            p50_ms=found.p50_ms,
            p95_ms=found.p95_ms,
        )
    content = msgspec.json.encode(
        BaselineFile(opusagent_baseline=_FORMAT, scenarios=kept), order="deterministic"
    )
    return msgspec.json.format(content, indent=2) + b"\n"


class Baseline:
    """A baseline that is read from a file.

    Raises `BaselineError` if the file is not a valid baseline, or `OSError` if the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        content = path.read_bytes()
        if len(content) > _MOST_BYTES:
            raise BaselineError(f"{path} is larger than {_MOST_BYTES:,} bytes.")
        try:
            version = msgspec.json.decode(content, type=dict[str, Any]).get("opusagent_baseline")
            if version == _FORMAT:
                self._scenarios = msgspec.json.decode(content, type=BaselineFile).scenarios
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BaselineError(f"{path} is not a baseline: {error}.") from error
        if version != _FORMAT:
            raise BaselineError(
                f"{path} is not a baseline that this version can read. Save it again with --save-baseline."
            )

    def check(self, scenario: Scenario) -> None:
        """Raises `BaselineError` if the scenario has changed since the baseline was saved.

        Call this before any calls are made.
        """
        kept = self._scenarios.get(_key(self._path, scenario))
        if kept is not None and kept.fingerprint != fingerprint(scenario):
            raise BaselineError(
                f"The steps or the [caller] section of {scenario.path} have changed since {self._path} was saved, so "
                "the results cannot be compared. Save it again with --save-baseline."
            )

    def compare(self, scenario: Scenario, result: ScenarioResult) -> list[FigureChange]:
        """Compares each figure with its baseline. Raises `BaselineError` if the protocol differs."""
        kept = self._scenarios.get(_key(self._path, scenario))
        if kept is None:
            return [_not_compared(result, "everything", "The baseline does not contain this scenario.")]
        if result.protocol and kept.protocol and result.protocol != kept.protocol:
            raise BaselineError(
                f"{scenario.path} now uses the protocol {result.protocol}, but used {kept.protocol} when "
                f"{self._path} was saved, so the results cannot be compared."
            )
        return [_rates(kept, result), *_percentiles(kept, result)]


def _rates(kept: Kept, result: ScenarioResult) -> FigureChange:
    before, now = PassRate(kept.passed, kept.judged), result.rate
    if not now.judged:
        return _not_compared(result, "pass rate", "No run was judged.")
    (before_low, before_high), (now_low, now_high) = before.interval, now.interval
    change = Change.SAME
    if now_high < before_low:
        change = Change.WORSE
    elif now_low > before_high:
        change = Change.BETTER
    reason = f"It is {now}; the baseline is {before}."
    return FigureChange(scenario=result.name, figure="pass rate", change=change, reason=reason)


def _percentiles(kept: Kept, result: ScenarioResult) -> Iterator[FigureChange]:
    found = percentiles_of(result.response_ms)
    for name, (share, floor_ms) in _RULES.items():
        figure = f"response {name}"
        before_ms, now_ms = getattr(kept, f"{name}_ms"), getattr(found, f"{name}_ms")
        if before_ms is None or now_ms is None:
            turns = f"{found.count} were measured, and the baseline contains {kept.response_count}"
            yield _not_compared(result, figure, f"At least {LEAST_TURNS} turns are needed; {turns}.")
            continue
        allowed_ms = max(before_ms * share, floor_ms)
        change = Change.SAME
        if now_ms - before_ms > allowed_ms:
            change = Change.WORSE
        elif before_ms - now_ms > allowed_ms:
            change = Change.BETTER
        reason = (
            f"It is {milliseconds(now_ms)}; the baseline is {milliseconds(before_ms)}, "
            f"with an allowed increase of {milliseconds(allowed_ms)}."
        )
        yield FigureChange(scenario=result.name, figure=figure, change=change, reason=reason)


def _not_compared(result: ScenarioResult, figure: str, reason: str) -> FigureChange:
    return FigureChange(scenario=result.name, figure=figure, change=Change.NOT_COMPARED, reason=reason)


def _key(baseline: Path, scenario: Scenario) -> str:
    return Path(os.path.relpath(scenario.path.resolve(), baseline.resolve().parent)).as_posix()
