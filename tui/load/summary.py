"""Summary: computes the figures of a load test from its records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from tui.load.conditions import Figures
from tui.load.lateness import BUSY
from tui.load.levels import CallLevel, Concurrency, Knee, knee_of, levels_of
from tui.load.records import CallBegan, CallEnding, CallRecord, Record, TurnRecord, WorkerSecond
from tui.models.turns.turns import percentile

MOST_UNTRUSTED = 0.2
"""Share of late turns at high load above which the load generator is considered the bottleneck."""
_STEADY = 0.9
"""Drift is measured only while the number of active calls is at least this share of its maximum."""
_LEAST_TURNS_FOR_DRIFT = 30
_LEAST_DRIFT, _LEAST_DRIFT_MS, _LEAST_Z = 0.1, 20.0, 4.0
_MOST_CLUSTERS, _MOST_KEPT = 20, 20
_FULL = 0.95


class Distribution(msgspec.Struct, frozen=True):
    """Percentiles in ms. A percentile is None if there are too few values."""

    count: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    worst_ms: float | None = None


class Drift(msgspec.Struct, frozen=True):
    """A change of response times while the number of calls stayed the same."""

    first_ms: float
    """Median of the first third of the turns at full load."""
    last_ms: float
    minutes: float
    """Time in minutes between the midpoints of the first and the last third."""


class Cluster(msgspec.Struct, frozen=True):
    """Failures of the same kind, whose reasons differ only in numbers."""

    kind: str
    reason: str
    count: int
    first_s: float
    """Time of the first failure, in seconds from the start of the load test."""
    calls_at_first: int
    """Number of calls that were active when the first failure occurred."""


class WorkerSummary(msgspec.Struct, frozen=True):
    """Figures of one worker."""

    name: str
    calls: int
    turns: int
    turns_not_trusted: int
    worst_lag_ms: float
    busiest: float
    """Largest processor time in one second, as a share of a core."""
    most_rss_bytes: int
    lost: int
    """Number of calls whose end was never reported."""


class CanarySummary(msgspec.Struct, frozen=True):
    """The canary's response times, alone and during the other calls."""

    idle: Distribution
    loaded: Distribution
    idle_folder: str = ""
    """Folder of the canary's saved session without the other calls."""
    loaded_folder: str = ""
    """Folder of the canary's worst saved session during the other calls."""


class Moment(msgspec.Struct, frozen=True):
    """Figures of one interval of the test, for plots over time."""

    at_s: float
    calls: int
    turns: int
    p50_ms: float | None
    p95_ms: float | None
    failed: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a load test."""

    scenario: str = ""
    target: str = ""
    began_s: float = 0.0
    length_s: float = 0.0
    calls: int = 0
    completed: int = 0
    failed: int = 0
    stopped: int = 0
    lost: int = 0
    """Number of calls lost because their worker was lost."""
    warm_up: int = 0
    """Number of calls that began during the warm-up; they are included only in `calls`."""
    most_calls: int = 0
    """Largest number of simultaneous calls."""
    set_up: int = 0
    """Number of calls that the agent accepted."""
    set_up_tried: int = 0
    response: Distribution = Distribution()
    greeting: Distribution = Distribution()
    connect: Distribution = Distribution()
    barge_in: Distribution = Distribution()
    barge_ins_missed: int = 0
    dead_air: int = 0
    not_answered: int = 0
    """Number of trusted turns without a measured response time."""
    not_trusted: int = 0
    """Number of turns that were excluded because the worker was late."""
    findings: dict[str, int] = {}
    """Number of calls in which the agent broke a protocol rule, by rule."""
    levels: Sequence[CallLevel] = ()
    knee: Knee | None = None
    generator_limit: str = ""
    """Explains why the load generator, not the agent, was the bottleneck; empty if it was not.

    If it was, `knee` is None.
    """
    drift: Drift | None = None
    clusters: Sequence[Cluster] = ()
    workers: Sequence[WorkerSummary] = ()
    moments: Sequence[Moment] = ()
    canary: CanarySummary | None = None
    kept: Sequence[str] = ()
    """Folders of kept sessions, the worst first."""
    ended_early: str = ""
    """Reason why the load test ended early; empty if it did not."""

    @property
    def figures(self) -> Figures:
        """The figures that conditions can use, by the names in `tui.load.conditions.OF_A_RUN`."""
        ended = self.completed + self.failed
        turns = self.response.count + self.not_trusted
        return {
            "p50": self.response.p50_ms,
            "p95": self.response.p95_ms,
            "p99": self.response.p99_ms,
            "worst": self.response.worst_ms,
            "greeting-p95": self.greeting.p95_ms,
            "connect-p95": self.connect.p95_ms,
            "barge-in-p95": self.barge_in.p95_ms,
            "failed": self.failed / ended if ended else None,
            "refused": 1 - self.set_up / self.set_up_tried if self.set_up_tried else None,
            "lost": float(self.lost),
            "not-trusted": self.not_trusted / turns if turns else None,
            "dead-air": float(self.dead_air),
            "findings": float(sum(self.findings.values())),
            "calls": float(self.calls),
            "turns": float(self.response.count),
        }


def distribution_of(values: Iterable[float | None]) -> Distribution:
    """Computes the percentiles of measured values; ignores None."""
    known = sorted(value for value in values if value is not None)
    p50, p95, p99 = (percentile(known, share) for share in (0.5, 0.95, 0.99))
    return Distribution(len(known), p50, p95, p99, known[-1] if known else None)


def summarise(
    records: Iterable[Record],
    *,
    warm_up_s: float = 0.0,
    scenario: str = "",
    target: str = "",
    ended_early: str = "",
) -> Summary:
    """Computes the summary of a load test from all records.

    Calls that begin in the first ``warm_up_s`` seconds are counted but not evaluated.
    """
    began, ended, seconds = _sorted_out(records)
    start_s = min((call.at_s for call in began), default=0.0)
    concurrency = Concurrency(ended)
    counted = [call for call in ended if call.began_s >= start_s + warm_up_s]
    turns = [turn for call in counted for turn in call.turns]
    trusted = [turn for turn in turns if turn.trusted]
    responses = [
        (concurrency.at(turn.at_s), turn.response_ms) for turn in trusted if turn.response_ms is not None
    ]
    workers = _workers(began, ended, counted, seconds)
    limit = _generator_limit(counted, turns, concurrency, workers, seconds)
    summary = Summary(
        scenario=scenario,
        target=target,
        began_s=start_s,
        length_s=max((call.ended_s for call in ended), default=start_s) - start_s,
        calls=len(began),
        lost=sum(worker.lost for worker in workers),
        warm_up=len(ended) - len(counted),
        most_calls=concurrency.most,
        response=distribution_of(response_ms for _, response_ms in responses),
        not_answered=sum(turn.response_ms is None for turn in trusted),
        not_trusted=len(turns) - len(trusted),
        levels=levels_of(responses),
        knee=None if limit else knee_of(responses),
        generator_limit=limit,
        drift=_drift(trusted, concurrency),
        clusters=_clusters(counted, start_s, concurrency),
        workers=workers,
        moments=_moments(ended, trusted, start_s, concurrency),
        kept=_kept(ended),
        ended_early=ended_early,
    )
    return _with_calls(summary, counted)


def _with_calls(summary: Summary, calls: Sequence[CallRecord]) -> Summary:
    """Adds the figures of whole calls to a summary. Ignores times from calls in which the worker was late."""
    outcomes = Counter(call.outcome for call in calls)
    tried = [call for call in calls if call.active_s is not None or call.outcome is CallEnding.FAILED]
    in_time = [call for call in calls if not call.late_ms]
    return msgspec.structs.replace(
        summary,
        completed=outcomes[CallEnding.COMPLETED],
        failed=outcomes[CallEnding.FAILED],
        stopped=outcomes[CallEnding.STOPPED],
        set_up=sum(call.active_s is not None for call in tried),
        set_up_tried=len(tried),
        greeting=distribution_of(call.greeting_ms for call in in_time),
        connect=distribution_of(call.connect_ms for call in in_time),
        barge_in=distribution_of(each for call in in_time for each in call.barge_in_ms),
        barge_ins_missed=sum(call.barge_ins_missed for call in in_time),
        dead_air=sum(len(call.dead_air_ms) for call in calls),
        findings=dict(Counter(rule for call in calls for rule in call.findings)),
    )


def with_canary(summary: Summary, calls: Sequence[CallRecord]) -> Summary:
    """Adds the canary's figures to a summary. Ignores turns in which the canary was late."""
    if not calls:
        return summary

    def heard(found: Sequence[CallRecord]) -> Distribution:
        return distribution_of(turn.response_ms for call in found for turn in call.turns if turn.trusted)

    idle = [call for call in calls if call.ended_s < summary.began_s]
    loaded = [call for call in calls if call.ended_s >= summary.began_s]
    worst = max(loaded, key=lambda call: call.worst_response_ms or 0.0, default=None)
    canary = CanarySummary(
        heard(idle), heard(loaded), idle[0].folder if idle else "", worst.folder if worst else ""
    )
    return msgspec.structs.replace(summary, canary=canary)


def _sorted_out(
    records: Iterable[Record],
) -> tuple[list[CallBegan], list[CallRecord], list[WorkerSecond]]:
    began: list[CallBegan] = []
    ended: list[CallRecord] = []
    seconds: list[WorkerSecond] = []
    for record in records:
        match record:
            case CallBegan():
                began.append(record)
            case CallRecord():
                ended.append(record)
            case WorkerSecond():
                seconds.append(record)
    return began, ended, seconds


def _workers(
    began: Sequence[CallBegan],
    ended: Sequence[CallRecord],
    counted: Sequence[CallRecord],
    seconds: Sequence[WorkerSecond],
) -> list[WorkerSummary]:
    calls = Counter(call.worker for call in began)
    returned = Counter(call.worker for call in ended)
    summaries = []
    for name in sorted(calls):
        turns = [turn for call in counted if call.worker == name for turn in call.turns]
        own = [second for second in seconds if second.worker == name]
        summaries.append(
            WorkerSummary(
                name,
                calls[name],
                len(turns),
                sum(not turn.trusted for turn in turns),
                max((second.lag_ms for second in own), default=0.0),
                max((second.processor for second in own), default=0.0),
                max((second.rss_bytes for second in own), default=0),
                calls[name] - returned[name],
            )
        )
    return summaries


_LOCAL_LIMITS = {
    "Too many open files": "file descriptors ran out: raise the limit with ulimit -n",
    "Cannot assign requested address": "local ports ran out: use more machines",
    "Cannot allocate memory": "memory ran out",
}
"""Local causes of failed calls, by the operating system's error text."""


def _generator_limit(
    calls: Sequence[CallRecord],
    turns: Sequence[TurnRecord],
    concurrency: Concurrency,
    workers: Sequence[WorkerSummary],
    seconds: Sequence[WorkerSecond],
) -> str:
    """Explains why the load generator was the bottleneck; empty if it was not."""
    for words, sentence in _LOCAL_LIMITS.items():
        if any(words in call.reason for call in calls):
            return f"On the load generator, {sentence}."
    if any(second.descriptors > _FULL * second.descriptors_limit > 0 for second in seconds):
        return "On the load generator, file descriptors ran out: raise the limit with ulimit -n."
    if not turns:
        return ""
    at_load = sorted(turns, key=lambda turn: concurrency.at(turn.at_s))[len(turns) // 2 :]
    late = sum(not turn.trusted for turn in at_load)
    if late <= MOST_UNTRUSTED * len(at_load):
        return ""
    slow = [worker for worker in workers if worker.turns_not_trusted > MOST_UNTRUSTED * worker.turns]
    # Even if each worker was late for only a few turns, together they may have been late for too many.
    late_workers = slow or [worker for worker in workers if worker.turns_not_trusted]
    busy = [worker for worker in late_workers if worker.busiest > BUSY]
    why = "their processor was busy" if len(busy) > len(late_workers) / 2 else "their event loops fell behind"
    worst_ms = max((worker.worst_lag_ms for worker in late_workers), default=0.0)
    share = late / len(at_load)
    return (
        f"At high load, {share:.0%} of the turns are not trusted: {len(late_workers)} of {len(workers)} workers were "
        f"too slow ({why}, by up to {worst_ms:,.0f} ms). Use more workers, or more machines."
    )


def _drift(turns: Sequence[TurnRecord], concurrency: Concurrency) -> Drift | None:
    least = _STEADY * concurrency.most
    steady = sorted(
        (turn.at_s, turn.response_ms)
        for turn in turns
        if turn.response_ms is not None and concurrency.at(turn.at_s) >= least
    )
    if len(steady) < _LEAST_TURNS_FOR_DRIFT:
        return None
    at_s, response_ms = (np.array(column, float) for column in zip(*steady, strict=True))
    ranks = np.argsort(np.argsort(response_ms))
    z = float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1]) * float(np.sqrt(len(ranks) - 1))
    third = len(steady) // 3
    first_ms, last_ms = float(np.median(response_ms[:third])), float(np.median(response_ms[-third:]))
    change_ms = abs(last_ms - first_ms)
    if abs(z) < _LEAST_Z or change_ms < max(_LEAST_DRIFT * first_ms, _LEAST_DRIFT_MS):
        return None
    apart_s = float(np.median(at_s[-third:]) - np.median(at_s[:third]))
    return Drift(round(first_ms, 1), round(last_ms, 1), round(apart_s / 60, 2))


def _clusters(calls: Sequence[CallRecord], start_s: float, concurrency: Concurrency) -> list[Cluster]:
    groups: dict[tuple[str, str], list[CallRecord]] = {}
    for call in sorted(calls, key=lambda call: call.ended_s):
        if call.outcome is CallEnding.FAILED:
            groups.setdefault((call.kind, re.sub(r"\d+", "N", call.reason)), []).append(call)
    found = sorted(groups.values(), key=len, reverse=True)[:_MOST_CLUSTERS]
    return [
        Cluster(
            group[0].kind,
            group[0].reason,
            len(group),
            round(group[0].ended_s - start_s, 1),
            concurrency.at(group[0].began_s),
        )
        for group in found
    ]


def _moments(
    calls: Sequence[CallRecord], turns: Sequence[TurnRecord], start_s: float, concurrency: Concurrency
) -> list[Moment]:
    """Divides the test into up to 120 equal intervals, of a second or more; returns the figures of each."""
    end_s = max((call.ended_s for call in calls), default=start_s)
    width_s = max((end_s - start_s) / 120, 1.0)
    parts = int((end_s - start_s) // width_s) + 1
    responses: list[list[float]] = [[] for _ in range(parts)]
    failed = [0] * parts
    for turn in turns:
        if turn.response_ms is not None:
            responses[min(max(int((turn.at_s - start_s) // width_s), 0), parts - 1)].append(turn.response_ms)
    for call in calls:
        if call.outcome is CallEnding.FAILED:
            failed[min(max(int((call.ended_s - start_s) // width_s), 0), parts - 1)] += 1
    return [
        Moment(
            round(part * width_s, 1),
            concurrency.at(start_s + (part + 0.5) * width_s),
            len(found),
            percentile(found, 0.5),
            percentile(found, 0.95),
            failed[part],
        )
        for part, found in enumerate(responses)
    ]


def _kept(calls: Sequence[CallRecord]) -> list[str]:
    kept = [call for call in calls if call.folder]
    kept.sort(key=lambda call: (call.outcome is not CallEnding.FAILED, -(call.worst_response_ms or 0.0)))
    return [call.folder for call in kept[:_MOST_KEPT]]
