"""Checks the limits of a scenario. Percentiles are checked over all runs, all other limits in each call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tui.models.events import Party
from tui.models.turns.figures import Against, Figure, against, response_of, timed, too_close
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import LEAST_TURNS, BargeInKind, percentiles_of
from tui.scenario.model import Bounds, CallLimits, Scenario
from tui.scenario.values import Duration
from tui.scenario.verdict import Case, StepVerdict
from tui.units import NS_PER_MS

Silences = Sequence[tuple[int, int]]


def judge_call(scenario: Scenario, metrics: SessionMetrics, silences: Silences) -> list[Case]:
    """Returns a case for each limit that can be checked with one call.

    ``silences`` are the caller's intentional silences, which do not count as dead air.
    """
    return [_located(scenario, case) for case in _cases(scenario.limits, metrics, silences)]


def judge_runs(scenario: Scenario, response_ms: Sequence[float]) -> list[Case]:
    """Returns a case for each percentile with a limit, checked against the response times of all runs."""
    limits = scenario.limits.response
    found = percentiles_of(response_ms)
    cases = []
    for name, limit, value in (("p50", limits.p50, found.p50_ms), ("p95", limits.p95, found.p95_ms)):
        if limit is None:
            continue
        title = f"response {name} ≤ {limit}"
        if value is None:
            reason = f"At least {LEAST_TURNS} turns are needed; {found.count} were measured."
            cases.append(Case(name=title, verdict=StepVerdict.NOT_MEASURED, reason=reason))
        else:
            cases.append(_case(title, timed(value), limit))
    return [_located(scenario, case) for case in cases]


def _cases(limits: CallLimits, metrics: SessionMetrics, silences: Silences) -> Iterator[Case]:
    timing = metrics.timing
    if limits.response.max is not None:
        yield _response(limits.response.max, metrics)
    if limits.greeting is not None:
        title, greeting_ms = f"greeting ≤ {limits.greeting}", metrics.greeting_latency_ms
        greeting = timed(greeting_ms, metrics.turns[0].within_ms or 0.0 if metrics.turns else 0.0)
        yield _case(title, greeting, limits.greeting, missing="No greeting was heard.")
    yield from _barge_in(limits.barge_in, metrics)
    if limits.dead_air is not None:
        longest_ms = max(
            (_unasked_ms(air.at_ns, air.length_ms, silences) for air in metrics.dead_air), default=0.0
        )
        # Without dead air, there is no measured value that could be inexact.
        dead_air = timed(longest_ms, timing.dead_air.bound_ms if timing and longest_ms else 0.0)
        yield _case(f"dead_air ≤ {limits.dead_air}", dead_air, limits.dead_air)
    if limits.talk_over is not None:
        title = f"talk_over ≤ {limits.talk_over}"
        both_heard = metrics.user_talk_ms is not None and metrics.agent_talk_ms is not None
        overlap_ms = (metrics.overlap_ms or 0.0) if both_heard else None
        overlap = timed(overlap_ms, timing.dead_air.bound_ms if timing and overlap_ms else 0.0)
        missing = "The caller or the agent was not heard."
        yield _case(title, overlap, limits.talk_over, missing=missing)
    for name, most, count in (
        ("findings", limits.findings, metrics.findings),
        ("errors", limits.errors, metrics.errors),
    ):
        if most is not None:
            verdict = StepVerdict.FAILED if count > most else StepVerdict.PASSED
            reason = f"{count:,} were reported; the limit is {most:,}." if count > most else ""
            yield Case(name=f"{name} ≤ {most}", verdict=verdict, reason=reason)


def _response(limit: Duration, metrics: SessionMetrics) -> Case:
    title = f"response max ≤ {limit}"
    figures = ((turn.number, response_of(turn, None)) for turn in metrics.turns if turn.number)
    found = [(number, figure, against(figure, limit)) for number, figure in figures if figure.ms is not None]
    if not found:
        return Case(
            name=title, verdict=StepVerdict.NOT_MEASURED, reason="No response time could be measured."
        )
    for decisive in (Against.OVER, Against.TOO_CLOSE, Against.WITHIN):
        of_kind = [(number, figure) for number, figure, verdict in found if verdict is decisive]
        if of_kind:
            break
    number, worst = max(of_kind, key=lambda each: each[1].ms or 0.0)
    reason = f"{too_close(number, worst)}." if decisive is Against.TOO_CLOSE else ""
    return _case(title, worst, limit, reason)


def _barge_in(limits: Bounds, metrics: SessionMetrics) -> Iterator[Case]:
    times_ms = [found.silent_after_ms for found in metrics.barge_ins if found.kind is BargeInKind.YIELDED]
    missed = sum(found.kind is BargeInKind.MISSED for found in metrics.barge_ins)
    bound_ms = max((found.bound_ms + found.error_ms for found in metrics.barge_ins), default=0.0)
    if heard_ms := _heard_to_stop(metrics):
        times_ms += heard_ms
        bound_ms = max(bound_ms, metrics.timing.silence.bound_ms if metrics.timing else 0.0)
    known_ms = sorted(time_ms for time_ms in times_ms if time_ms is not None)
    for name, limit in limits.set:
        title = f"barge_in {name} ≤ {limit}"
        if missed:
            reason = f"The agent did not stop for {missed} of {missed + len(times_ms)} interruptions."
            yield Case(name=title, verdict=StepVerdict.FAILED, reason=reason)
        elif name != "max" and len(known_ms) < LEAST_TURNS:
            reason = f"At least {LEAST_TURNS} interruptions are needed; {len(known_ms)} were measured."
            yield Case(name=title, verdict=StepVerdict.NOT_MEASURED, reason=reason)
        else:
            found = percentiles_of(known_ms)
            value = found.worst_ms if name == "max" else getattr(found, f"{name}_ms")
            yield _case(title, timed(value, bound_ms), limit, missing="The agent was not interrupted.")


def _heard_to_stop(metrics: SessionMetrics) -> list[float]:
    """Returns the times, in ms, that the agent took to fall silent after an interruption.

    Includes only interruptions for which the agent sent no message. A full-duplex agent sends no message
    about an interruption: only its audio shows that it stopped.
    """
    announced_ns = [found.at_ns for found in metrics.barge_ins if found.at_ns is not None]
    bias_ms = metrics.timing.silence.bias_ms if metrics.timing else 0.0
    return [
        over.length_ms - bias_ms
        for over in metrics.floor.talk_overs
        if over.held_by is over.gave_way is Party.AGENT
        and not any(0 <= at_ns - over.at_ns <= over.length_ms * NS_PER_MS for at_ns in announced_ns)
    ]


def _unasked_ms(at_ns: int, length_ms: float, silences: Silences) -> float:
    """Returns the duration of a period of dead air, in ms, without the caller's intentional silences."""
    ends_ns = at_ns + length_ms * NS_PER_MS
    asked_ns = sum(max(min(ends_ns, until_ns) - max(at_ns, since_ns), 0) for since_ns, until_ns in silences)
    return length_ms - asked_ns / NS_PER_MS


def _case(title: str, figure: Figure, limit: Duration, unclear: str = "", *, missing: str = "") -> Case:
    """Returns the case for a figure and its limit.

    ``unclear`` is the reason if no verdict is possible; ``missing`` is the reason if the figure was not
    measured.
    """
    match against(figure, limit):
        case None:
            verdict, reason = StepVerdict.NOT_MEASURED, missing
        case Against.OVER:
            verdict, reason = StepVerdict.FAILED, f"It was {figure}."
        case Against.TOO_CLOSE:
            verdict = StepVerdict.NOT_MEASURED
            reason = unclear or f"It was {figure}, which is too close to call."
        case Against.WITHIN:
            verdict, reason = StepVerdict.PASSED, ""
    return Case(name=title, verdict=verdict, reason=reason, measured_ms=figure.ms)


def _located(scenario: Scenario, case: Case) -> Case:
    return msgspec.structs.replace(case, file=str(scenario.path), line=scenario.limits_line)
