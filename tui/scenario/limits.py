"""Judges the limits of a scenario: those of one call by its metrics, percentiles by all runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tui.models.turns.figures import response_of, shown_ms
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import LEAST_TURNS, BargeInKind, percentiles_of
from tui.scenario.model import Bounds, CallLimits, Scenario
from tui.scenario.values import Duration
from tui.scenario.verdict import Case, StepVerdict
from tui.text.numbers import milliseconds
from tui.units import NS_PER_MS

Silences = Sequence[tuple[int, int]]


def judge_call(scenario: Scenario, metrics: SessionMetrics, silences: Silences) -> list[Case]:
    """Returns a case for each limit that one call can be judged by.

    ``silences`` are the periods of intended silence of the caller, which do not count as dead air.
    """
    return [_located(scenario, case) for case in _cases(scenario.limits, metrics, silences)]


def judge_runs(scenario: Scenario, response_ms: Sequence[float]) -> list[Case]:
    """Returns a case for each percentile with a limit, judged by the response times of all runs."""
    limits = scenario.limits.response
    found = percentiles_of(response_ms)
    cases = []
    for name, limit, value in (("p50", limits.p50, found.p50_ms), ("p95", limits.p95, found.p95_ms)):
        if limit is None:
            continue
        title = f"response {name} ≤ {limit}"
        if value is None:
            reason = f"It needs at least {LEAST_TURNS} turns; {found.count} were measured."
            cases.append(Case(name=title, verdict=StepVerdict.NOT_MEASURED, reason=reason))
        else:
            cases.append(_compared(title, value, limit))
    return [_located(scenario, case) for case in cases]


def _cases(limits: CallLimits, metrics: SessionMetrics, silences: Silences) -> Iterator[Case]:
    if limits.response.max is not None:
        yield _response(limits.response.max, metrics)
    if limits.greeting is not None:
        title, greeting_ms = f"greeting ≤ {limits.greeting}", metrics.greeting_latency_ms
        yield _compared(title, greeting_ms, limits.greeting, "No greeting was heard.")
    yield from _barge_in(limits.barge_in, metrics)
    if limits.dead_air is not None:
        longest_ms = max(
            (_unasked_ms(air.at_ns, air.length_ms, silences) for air in metrics.dead_air), default=0.0
        )
        yield _compared(f"dead_air ≤ {limits.dead_air}", longest_ms, limits.dead_air)
    if limits.talk_over is not None:
        title = f"talk_over ≤ {limits.talk_over}"
        both_heard = metrics.user_talk_ms is not None and metrics.agent_talk_ms is not None
        overlap_ms = (metrics.overlap_ms or 0.0) if both_heard else None
        yield _compared(title, overlap_ms, limits.talk_over, "The caller and the agent were not both heard.")
    for name, most, count in (
        ("findings", limits.findings, metrics.findings),
        ("errors", limits.errors, metrics.errors),
    ):
        if most is not None:
            failed = count > most
            reason = f"{count:,} were reported; the limit is {most:,}." if failed else ""
            yield Case(name=f"{name} ≤ {most}", verdict=_failed_if(failed), reason=reason)


def _response(limit: Duration, metrics: SessionMetrics) -> Case:
    title = f"response max ≤ {limit}"
    figures = ((turn.number, response_of(turn, None)) for turn in metrics.turns if turn.number)
    found = [(number, figure, figure.ms) for number, figure in figures if figure.ms is not None]
    if not found:
        return Case(
            name=title, verdict=StepVerdict.NOT_MEASURED, reason="No response time could be measured."
        )
    number, worst, worst_ms = max(found, key=lambda each: each[2])
    slow = [figure for _, figure, ms in found if ms > limit]
    if slow and all(figure.doubt for figure in slow):
        reason = f"Turn {number} took {milliseconds(worst_ms)}, but that is uncertain: {worst.doubt}."
        return Case(name=title, verdict=StepVerdict.NOT_MEASURED, reason=reason, measured_ms=worst_ms)
    return _compared(title, worst_ms, limit)


def _barge_in(limits: Bounds, metrics: SessionMetrics) -> Iterator[Case]:
    times_ms = [found.silence_ms for found in metrics.barge_ins if found.kind is BargeInKind.YIELDED]
    missed = sum(found.kind is BargeInKind.MISSED for found in metrics.barge_ins)
    known_ms = sorted(time_ms for time_ms in times_ms if time_ms is not None)
    for name, limit in limits.set:
        title = f"barge_in {name} ≤ {limit}"
        if missed:
            reason = f"The agent did not stop for {missed} of {missed + len(times_ms)} interruptions."
            yield Case(name=title, verdict=StepVerdict.FAILED, reason=reason)
        elif name != "max" and len(known_ms) < LEAST_TURNS:
            reason = f"It needs at least {LEAST_TURNS} interruptions; {len(known_ms)} were measured."
            yield Case(name=title, verdict=StepVerdict.NOT_MEASURED, reason=reason)
        else:
            found = percentiles_of(known_ms)
            value = found.worst_ms if name == "max" else getattr(found, f"{name}_ms")
            yield _compared(title, value, limit, "The agent was not interrupted.")


def _unasked_ms(at_ns: int, length_ms: float, silences: Silences) -> float:
    """Returns the part of a period of dead air that the caller did not intend, in ms."""
    ends_ns = at_ns + length_ms * NS_PER_MS
    asked_ns = sum(max(min(ends_ns, until_ns) - max(at_ns, since_ns), 0) for since_ns, until_ns in silences)
    return length_ms - asked_ns / NS_PER_MS


def _compared(title: str, value_ms: float | None, limit: Duration, missing: str = "") -> Case:
    if value_ms is None:
        return Case(name=title, verdict=StepVerdict.NOT_MEASURED, reason=missing)
    ms = shown_ms(value_ms)
    failed = ms > limit
    reason = f"It was {milliseconds(ms)}." if failed else ""
    return Case(name=title, verdict=_failed_if(failed), reason=reason, measured_ms=ms)


def _failed_if(failed: bool) -> StepVerdict:
    return StepVerdict.FAILED if failed else StepVerdict.PASSED


def _located(scenario: Scenario, case: Case) -> Case:
    return msgspec.structs.replace(case, file=str(scenario.path), line=scenario.limits_line)
