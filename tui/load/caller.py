"""Caller: makes a call of a load test and creates the call's record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tui.audio.crowd import Crowd
from tui.handlers.tools.file import Tool
from tui.load.caller_thread import Ticket
from tui.load.conditions import Criterion, figures_of_call
from tui.load.lateness import Lateness
from tui.load.records import CallEnding, CallRecord, TurnRecord
from tui.models import events as e
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import BargeInKind, Turn
from tui.scenario.holding import hold
from tui.scenario.lines import SpokenLine
from tui.scenario.model import Scenario
from tui.scenario.player import Aids
from tui.scenario.verdict import RunResult, StepVerdict
from tui.session.live import LiveSession
from tui.text.visible import one_line
from tui.units import NS_PER_MS, NS_PER_S

_LATE_FOR_RESPONSE_NS = 100_000_000
"""Period in ns before the end of the caller's speech. If the worker is late in it, the agent hears the end late."""


class CallerScript(msgspec.Struct, frozen=True, kw_only=True):
    """The scenario and the settings that all callers of a load test share."""

    scenario: Scenario
    target: Target
    """The target. Names a folder for saved sessions if sessions may be kept."""
    lines: Mapping[str, SpokenLine] = {}
    tools: Sequence[Tool] = ()
    keep_if: Criterion | None = None
    """Condition for keeping a saved session; None keeps all saved sessions."""


class _Watch:
    """Collects the events of a call from which the call's record is computed. Runs on the call's loop."""

    def __init__(self, accepted: Callable[[], object]) -> None:
        self._accepted = accepted
        self.began_ns = time.monotonic_ns()
        self.began_s = time.time()
        self.connected_ns: int | None = None
        self.active_ns: int | None = None
        self.fatal: e.ErrorRaised | None = None
        self.findings: set[str] = set()
        self.late: list[e.LatenessSeen] = []
        self.session: LiveSession | None = None

    def take(self, event: e.SessionEvent) -> None:
        match event:
            case e.MessageLogged():
                return  # checked first, because nearly every event is one of these
            case e.StatusChanged(new=e.Status.INITIATING):
                self.connected_ns = event.at_ns
            case e.StatusChanged(new=e.Status.ACTIVE) if self.active_ns is None:
                self.active_ns = event.at_ns
                self._accepted()
            case e.ErrorRaised(fatal=True):
                self.fatal = self.fatal or event
            case e.FindingRaised(advice=False):
                self.findings.add(event.rule)
            case e.LatenessSeen(what="sending" | "the event loop"):
                self.late.append(event)

    def wall_s(self, at_ns: int) -> float:
        return self.began_s + (at_ns - self.began_ns) / NS_PER_S


async def hold_call(
    script: CallerScript,
    call: str,
    worker: str,
    lateness: Lateness,
    ticket: Ticket[CallRecord],
    *,
    saves: bool,
    crowd: Crowd | None = None,
    accepted: Callable[[], object] = lambda: None,
) -> CallRecord:
    """Makes a call that follows the script; returns its record.

    ``saves`` is whether to save the call. ``crowd`` holds the resources that the worker's calls share; None
    for the canary. ``accepted`` is called when the agent accepts the call.
    """
    watch = _Watch(accepted)
    target = script.target if saves else msgspec.structs.replace(script.target, save="")

    def record_of(run: RunResult) -> CallRecord:
        return _record(watch, run, call=call, worker=worker, lateness=lateness, stopped=ticket.hung_up)

    def is_kept(run: RunResult) -> bool:
        return script.keep_if is None or script.keep_if.holds(figures_of_call(record_of(run)))

    def follow(session: LiveSession) -> None:
        watch.session = session
        ticket.end = session.hang_up

    run = await hold(
        script.scenario,
        target,
        aids=Aids(lines=script.lines),
        tools=script.tools,
        show=watch.take,
        follow=follow,
        keep=is_kept,
        crowd=crowd,
    )
    return record_of(run)


def _record(
    watch: _Watch, run: RunResult, *, call: str, worker: str, lateness: Lateness, stopped: bool
) -> CallRecord:
    metrics = watch.session.state.metrics if watch.session else SessionMetrics()
    outcome, kind, reason = outcome_of(
        run, fatal=watch.fatal, accepted=watch.active_ns is not None, stopped=stopped
    )
    now_ns = time.monotonic_ns()
    connect_ms = watch.connected_ns and (watch.connected_ns - watch.began_ns) / NS_PER_MS

    def late_ms(since_ns: int, until_ns: int) -> float:
        own = (late.late_ms for late in watch.late if late.since_ns <= until_ns and late.at_ns >= since_ns)
        return round(max(lateness.between(since_ns, until_ns), *own, 0.0), 1)

    yielded = [barge for barge in metrics.barge_ins if barge.kind is BargeInKind.YIELDED]
    return CallRecord(
        call=call,
        worker=worker,
        began_s=watch.began_s,
        active_s=None if watch.active_ns is None else watch.wall_s(watch.active_ns),
        ended_s=watch.wall_s(now_ns),
        outcome=outcome,
        kind=kind,
        reason=reason,
        connect_ms=connect_ms,
        greeting_ms=metrics.greeting_latency_ms,
        turns=[_turn(turn, watch, late_ms) for turn in metrics.turns if turn.number and turn.user_ended_ns],
        barge_in_ms=[barge.silence_ms for barge in yielded if barge.silence_ms is not None],
        barge_ins_missed=sum(barge.kind is BargeInKind.MISSED for barge in metrics.barge_ins),
        dead_air_ms=[air.length_ms for air in metrics.dead_air],
        findings=sorted(watch.findings),
        late_ms=late_ms(watch.began_ns, now_ns),
        folder=run.folder,
    )


def _turn(turn: Turn, watch: _Watch, late_ms: Callable[[int, int], float]) -> TurnRecord:
    ended_ns = turn.user_ended_ns or 0
    answered_ns = turn.agent_began_ns or ended_ns + 10 * NS_PER_S
    return TurnRecord(
        watch.wall_s(ended_ns),
        turn.response_latency_ms,
        late_ms(ended_ns - _LATE_FOR_RESPONSE_NS, answered_ns),
    )


def outcome_of(
    run: RunResult, *, fatal: e.ErrorRaised | None, accepted: bool, stopped: bool
) -> tuple[CallEnding, str, str]:
    """Returns how a call ended, what kind of failure it was, and a sentence about the failure."""
    if stopped and (fatal is None or accepted):
        return CallEnding.STOPPED, "", ""
    if fatal is not None:
        return CallEnding.FAILED, f"{fatal.source} {fatal.code}", one_line(fatal.message, 200)
    if why := run.unreachable or run.not_applicable:
        return (
            CallEnding.FAILED,
            "not applicable" if run.not_applicable else "unreachable",
            one_line(why, 200),
        )
    missed = next((case for case in run.cases if case.verdict is StepVerdict.NOT_MEASURED), None)
    if run.cut_short and missed is not None:
        return CallEnding.FAILED, "closed early", one_line(f"{missed.name}: {missed.reason}", 200)
    if run.verdict is StepVerdict.FAILED and (failed := run.failed_first):
        return CallEnding.FAILED, "scenario", one_line(f"{failed.name}: {failed.reason}", 200)
    return CallEnding.COMPLETED, "", ""
