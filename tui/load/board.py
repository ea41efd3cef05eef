"""Board: collects the records of all workers, monitors the load test, and summarizes it.

Runs on the master's gevent hub.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from itertools import takewhile
from typing import Any

import gevent
import msgspec
from locust.env import Environment
from locust.runners import MasterRunner, Runner

from tui.load.canary import read_records
from tui.load.levels import Concurrency, knee_of
from tui.load.records import CallAccepted, CallBegan, CallEnding, CallRecord, Record, WorkerSecond, decode
from tui.load.snapshot import Snapshot
from tui.load.station import HANG_UP, HANG_UP_S
from tui.load.summary import Summary, summarise
from tui.models.turns.turns import percentile

logger = logging.getLogger(__name__)

_WATCH_S = 0.5
_NOBODY_S = 4.0
"""Minimum time, in seconds, before a load test without any accepted call is aborted."""
_NOBODY_CALLS = 5
"""Minimum number of failed calls before a load test without any accepted call is aborted."""
_RECENT_S = 30.0
_MOST_CALLS_FOR_KNEE = 5_000
_CANARY_CALLS = 20


@dataclass(eq=False)
class Board:
    """Collects the records of a load test. ``show`` receives a snapshot every ``show_every_s`` seconds."""

    runner: Runner
    _: KW_ONLY
    max_call_minutes: float | None = None
    show: Callable[[Snapshot], object]
    show_every_s: float = 5.0
    canary_file: str = ""

    def __post_init__(self) -> None:
        self._records = _Records()
        self._watcher: gevent.Greenlet | None = None
        self.ended_early = ""
        self.unreachable = ""
        """Reason why no call was accepted, if this ended the load test."""
        self.workers_gone = False
        """Whether the load test ended because all workers were lost."""

    def take_message(self, environment: Environment, msg: Any, **_: Any) -> None:
        """Handles the message `tui.load.station.RECORDS`, which contains records from a worker."""
        try:
            records = decode(msg.data)
        except msgspec.DecodeError as error:
            logger.error("Records of worker %s cannot be read: %s", msg.node_id, error)
            return
        for record in records:
            self._records.take(record)

    def begin(self) -> None:
        """Discards the records of the previous load test and starts monitoring a new test."""
        self._records = _Records()
        self.ended_early = self.unreachable = ""
        self.workers_gone = False
        if self._watcher is None:
            self._watcher = gevent.spawn(self._watch)

    def wait_for_calls(self) -> None:
        """Makes every worker hang up and waits for the records of the calls.

        If all workers were lost, also ends the load test, because Locust would not.
        """
        runner = self.runner
        if not isinstance(runner, MasterRunner):
            return
        if not runner.worker_count and not self.ended_early:
            self.workers_gone = True
            self._end("All workers were lost.")
        runner.send_message(HANG_UP)
        until_s = time.monotonic() + HANG_UP_S + 1
        while time.monotonic() < until_s:
            missing = {node.id for node in runner.clients.missing}
            if all(call.worker in missing for call in self._records.open.values()):
                break
            gevent.sleep(0.05)

    def summary(self, *, warm_up_s: float, scenario: str, target: str) -> Summary:
        """Computes the figures of the load test."""
        return summarise(
            self._records.everything,
            warm_up_s=warm_up_s,
            scenario=scenario,
            target=target,
            ended_early=self.ended_early,
        )

    # -- during the run --

    @property
    def accepted(self) -> bool:
        """Whether the agent has accepted any call so far."""
        return self._records.accepted

    def _watch(self) -> None:
        next_line_s = time.monotonic() + self.show_every_s
        while True:
            gevent.sleep(_WATCH_S)
            self.end_if_due()
            if time.monotonic() >= next_line_s:
                next_line_s += self.show_every_s
                try:
                    self.show(self.snapshot())
                except BrokenPipeError:
                    next_line_s = math.inf
                    self._end("The program that read the output has exited.")

    def end_if_due(self) -> None:
        """Ends the load test if the calls have reached their maximum total duration, or if no call was accepted."""
        records = self._records
        if self.ended_early or not records.everything:
            return
        minutes = records.minutes(time.time())
        if self.max_call_minutes is not None and minutes >= self.max_call_minutes:
            self._end(f"The total length of all calls reached {minutes:,.1f} minutes (--max-call-minutes).")
            return
        failed = records.ended
        least = min(_NOBODY_CALLS, max(self.runner.target_user_count, 1))
        if records.accepted or len(failed) < least or not failed[0].reason:
            return
        if time.time() - failed[0].began_s > _NOBODY_S:
            self.unreachable = failed[0].reason
            self._end(f"No call was accepted. {failed[0].reason}")

    def _end(self, why: str) -> None:
        self.ended_early = why
        logger.info(why)
        options = self.runner.environment.parsed_options
        gevent.spawn(self.runner.quit if options is None or options.headless else self.runner.stop)

    def snapshot(self) -> Snapshot:
        """Returns the current figures of the load test."""
        now_s, records, runner = time.time(), self._records, self.runner
        response_ms = [response_ms for _, response_ms in records.responses_since(now_s - _RECENT_S)]
        lasted_s = now_s - records.first_s if records.first_s is not None else 0.0
        return Snapshot(
            at_s=lasted_s,
            users=runner.user_count,
            calls=len(records.open),
            began=len(records.ended) + len(records.open),
            failed=sum(records.kinds.values()),
            calls_per_s=records.began_since(now_s - _RECENT_S) / max(min(lasted_s, _RECENT_S), 1.0),
            p50_ms=percentile(response_ms, 0.5),
            p95_ms=percentile(response_ms, 0.95),
            p99_ms=percentile(response_ms, 0.99),
            not_trusted=records.not_trusted,
            lag_ms=max((second.lag_ms for second in records.newest.values()), default=0.0),
            kinds=dict(records.kinds),
            workers_lost=len(runner.clients.missing) if isinstance(runner, MasterRunner) else 0,
            knee_calls=records.knee_calls(),
            canary_ms=[
                turn.response_ms
                for call in read_records(self.canary_file)[-_CANARY_CALLS:]
                for turn in call.turns
                if turn.response_ms is not None
            ],
        )


class _Records:
    """The records of a load test. Each record is counted when it arrives, because a test may last for hours."""

    def __init__(self) -> None:
        self.everything: list[Record] = []
        self.open: dict[str, CallBegan] = {}
        self.ended: list[CallRecord] = []
        self.kinds: Counter[str] = Counter()
        """Number of failed calls by kind."""
        self.newest: dict[str, WorkerSecond] = {}
        self.not_trusted = 0
        self.accepted = False
        """Whether any call was accepted, including calls in progress."""
        self._begun_s: deque[float] = deque(maxlen=100_000)
        """Times at which calls began, in order."""
        self._ended_minutes = 0.0
        self.first_s: float | None = None
        """Time at which the first call began; None if no call has begun."""

    def take(self, record: Record) -> None:
        if isinstance(record, CallAccepted):
            self.accepted = True
            return
        self.everything.append(record)
        match record:
            case CallBegan():
                self.open[record.call] = record
                self._begun_s.append(record.at_s)
                self.first_s = record.at_s if self.first_s is None else self.first_s
            case CallRecord():
                self.open.pop(record.call, None)
                self.ended.append(record)
                self.not_trusted += sum(not turn.trusted for turn in record.turns)
                self._ended_minutes += (record.ended_s - record.began_s) / 60
                if record.outcome is CallEnding.FAILED:
                    self.kinds[record.kind] += 1
            case WorkerSecond():
                self.newest[record.worker] = record

    def minutes(self, now_s: float) -> float:
        """Returns the total duration of all calls in minutes."""
        return self._ended_minutes + sum(now_s - call.at_s for call in self.open.values()) / 60

    def began_since(self, since_s: float) -> int:
        return sum(1 for _ in takewhile(lambda at_s: at_s > since_s, reversed(self._begun_s)))

    def knee_calls(self) -> int | None:
        """Returns the number of calls at the knee; None without a knee, or after too many calls to analyze."""
        if len(self.ended) > _MOST_CALLS_FOR_KNEE:
            return None
        # It is not known when the calls in progress were accepted, so they count from their beginning.
        concurrency = Concurrency(self.ended, (call.at_s for call in self.open.values()))
        knee = knee_of(
            [(concurrency.at(at_s), response_ms) for at_s, response_ms in self.responses_since(0.0)]
        )
        return knee.calls if knee else None

    def responses_since(self, since_s: float) -> list[tuple[float, float]]:
        """Returns the time, and the response time in ms, of each trusted turn since ``since_s``.

        Includes only calls that have ended since ``since_s``.
        """
        recent = takewhile(lambda call: call.ended_s > since_s, reversed(self.ended))
        return [
            (turn.at_s, turn.response_ms)
            for call in recent
            for turn in call.turns
            if turn.trusted and turn.response_ms is not None and turn.at_s > since_s
        ]
