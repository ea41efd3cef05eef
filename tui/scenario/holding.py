"""Holds one run of a scenario, without a screen and without sound devices. Many may run in one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tui.handlers.tools.file import Tool
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.session_state import SessionState
from tui.models.target import Target
from tui.protocols.abilities import lacking
from tui.saving.deleting import delete_sessions
from tui.scenario.caller_sound import CallerSound
from tui.scenario.limits import judge_call
from tui.scenario.model import Expect, Scenario
from tui.scenario.player import NO_AIDS, Aids, Player
from tui.scenario.seen import Seen
from tui.scenario.values import SignKind
from tui.scenario.verdict import Case, RunResult, StepVerdict
from tui.session.dialling import DiallingError, ProtocolNotDetected, settle
from tui.session.listening import Limits, Listening
from tui.session.live import LiveSession
from tui.session.set_up import CallSetUp
from tui.text.visible import one_line

_WITHOUT_DEVICES = {"input": "lines", "output": "none"}


async def hold(
    scenario: Scenario,
    target: Target,
    *,
    aids: Aids = NO_AIDS,
    tools: Sequence[Tool] = (),
    show: Callable[[e.SessionEvent], object] = lambda _: None,
    keep: Callable[[RunResult], bool] = lambda run: run.verdict is not StepVerdict.PASSED,
) -> RunResult:
    """Call the agent, play the scenario, hang up, and judge. Returns the run, also where nobody could be called.

    An agent whose protocol cannot carry the steps is not called.

    ``show`` receives every event. A session that is saved is deleted again unless ``keep`` wants it.
    """
    try:
        dialled = await settle(msgspec.structs.replace(target, **_WITHOUT_DEVICES))
    except (DiallingError, ProtocolNotDetected) as error:
        return RunResult(unreachable=one_line(str(error)))
    if not_applicable := scenario.lacks(lacking(dialled.target.protocol)):
        return RunResult(not_applicable=not_applicable)
    limits = Limits(max_turn_s=target.max_turn_s, quiet_s=target.quiet_s)
    listening = Listening(limits, lambda _: None)
    audio = AudioManager()
    seen = Seen(time.monotonic_ns, keeps_messages=_reads_messages(scenario))
    set_up = CallSetUp(audio, _sinks(listening.take, seen.take, show))
    await set_up.prepare(dialled.target)
    session = set_up.session(dialled, tools=tools)
    if scenario.caller.noise or scenario.caller.line:
        sound = await asyncio.to_thread(CallerSound, scenario, lambda: audio.capture.format.rate)
        audio.capture.chain.add_callback(sound)
    listening.follow(session.state, session.pending)
    seen.follow(session)
    player = Player(scenario, session, seen=seen, listening=listening, aids=aids)
    try:
        await _play(player, session, listening, dialled.target)
    finally:
        await set_up.close()
    folder = str(set_up.writer.folder) if set_up.writer else ""
    run = _judged(scenario, player, session.state, folder)
    if folder and not keep(run):
        await asyncio.to_thread(delete_sessions, [Path(folder)])
        run = msgspec.structs.replace(run, folder="")
    return run


async def _play(player: Player, session: LiveSession, listening: Listening, target: Target) -> None:
    """Hold the call for as long as the scenario takes."""
    running = asyncio.ensure_future(session.run())
    running.add_done_callback(lambda _: listening.end())
    try:
        connect_s = target.connect_timeout_s + target.accept_timeout_s
        if await listening.until(lambda: session.state.status is e.Status.ACTIVE, connect_s):
            await player.play()
    finally:
        session.hang_up()
        await running


def _judged(scenario: Scenario, player: Player, state: SessionState, folder: str) -> RunResult:
    metrics, fatal = state.metrics, state.fatal_error
    if metrics.started_ns is None:
        why = one_line(fatal.message) if fatal else "The agent did not accept the session."
        return RunResult(unreachable=why, folder=folder)
    call = Case(name="the call", verdict=StepVerdict.PASSED)
    if fatal is not None:
        call = Case(name="the call", verdict=StepVerdict.FAILED, reason=one_line(fatal.message))
    return RunResult(
        cases=[call, *player.cases, *judge_call(scenario, metrics, player.silences)],
        folder=folder,
        response_ms=metrics.response_latencies_ms,
        late=player.late,
    )


def _reads_messages(scenario: Scenario) -> bool:
    signs = [step.expect for step in scenario.steps if isinstance(step, Expect)]
    signs += [when.sign for step in scenario.steps if (when := getattr(step, "when", None)) and when.sign]
    return any(sign.kind is SignKind.MESSAGE for sign in signs)


def _sinks(*sinks: Callable[[e.SessionEvent], object]) -> Callable[[e.SessionEvent], None]:
    def take(event: e.SessionEvent) -> None:
        for sink in sinks:
            sink(event)

    return take
