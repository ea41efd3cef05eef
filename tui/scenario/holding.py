"""Makes a scripted call, without a screen and without PortAudio. One event loop can run many headless calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tui.audio.crowd import BLOCK_MS, Crowd
from tui.handlers.tools.file import Tool
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.target import Target
from tui.protocols.abilities import lacking
from tui.saving.deleting import delete_sessions
from tui.scenario.model import Scenario
from tui.scenario.performance import Performance, reads_messages
from tui.scenario.player import NO_AIDS, Aids
from tui.scenario.verdict import RunResult, StepVerdict
from tui.session.dialling import Dialled, DiallingError, ProtocolNotDetected, settle
from tui.session.listening import Limits
from tui.session.live import LiveSession
from tui.session.set_up import CallSetUp
from tui.text.visible import one_line

_WITHOUT_DEVICES = {"input": "lines", "output": "none"}


class HeadlessCall:
    """One scripted call. Call `prepare`, then `hold`.

    ``show`` receives every event. ``note`` receives a sentence when a time limit, rather than the agent, ends
    the agent's turn. ``answer_s`` is the longest wait for the agent's answer after a tool call. Load tests
    pass ``crowd``; see `hold`. ``sums_audio`` has the same meaning as in `MessageLog`.
    """

    def __init__(
        self,
        scenario: Scenario,
        dialled: Dialled,
        *,
        aids: Aids = NO_AIDS,
        answer_s: float = 10.0,
        show: Callable[[e.SessionEvent], object] = lambda _: None,
        note: Callable[[str], None] = lambda _: None,
        crowd: Crowd | None = None,
        sums_audio: bool = False,
    ) -> None:
        limits = Limits.of(dialled.target, answer_s)
        self.performance = Performance(scenario, limits, aids=aids, note=note)
        self._dialled = dialled
        self._audio = AudioManager(crowd=crowd)
        self._set_up = CallSetUp(self._audio, _sinks(self.performance.take, show))
        self._sums_audio = sums_audio
        self.session: LiveSession

    @property
    def folder(self) -> str:
        """Folder in which the session is saved; empty if it is not saved."""
        return str(self._set_up.writer.folder) if self._set_up.writer else ""

    async def prepare(self, tools: Sequence[Tool] = ()) -> None:
        """Starts saving and creates the session. Raises an error if the call cannot be made."""
        try:
            await self._set_up.start_saving(self._dialled.target)
            await self._set_up.find_devices(self._dialled.target)
            self.session = self._set_up.session(self._dialled, tools=tools, sums_audio=self._sums_audio)
            self.performance.follow(self.session)
            # Before the call, because creating noise takes time and would block the event loop.
            await self.performance.prepare_sound()
        except BaseException:
            await self._set_up.close()
            raise

    async def hold(self, *, open_line: bool = True) -> None:
        """Calls the agent, plays the script, hangs up, and finishes saving."""
        async with self.held() as active:
            if active:
                await self.performance.play(open_line=open_line)
                await self.performance.listening.resumed()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """Calls the agent for the duration of the block; yields whether the agent accepted the call."""
        session, listening = self.session, self.performance.listening
        try:
            running = asyncio.ensure_future(session.run())
            running.add_done_callback(lambda _: listening.end())
            try:
                yield await self.performance.accepted(self._dialled.target)
            finally:
                session.hang_up()
                await running
            await self.performance.judge_words()
            self.performance.judge()
        finally:
            await self._set_up.close()


async def hold(
    scenario: Scenario,
    target: Target,
    *,
    aids: Aids = NO_AIDS,
    tools: Sequence[Tool] = (),
    show: Callable[[e.SessionEvent], object] = lambda _: None,
    follow: Callable[[LiveSession], object] = lambda _: None,
    keep: Callable[[RunResult], bool] = lambda run: run.verdict is not StepVerdict.PASSED,
    crowd: Crowd | None = None,
) -> RunResult:
    """Calls the agent, plays the scenario, hangs up, and judges the run.

    Returns a run even if the agent could not be called. Does not call an agent whose protocol cannot carry
    the steps.

    ``show`` receives every event. ``follow`` receives the session before it begins. If the call is saved,
    ``keep`` decides whether the saved session is kept. With ``crowd``, the call costs a fraction of the
    processor time, so that many calls can run at once. ``crowd`` is ignored if the call is saved, if its
    caller has noise or a bad line, or if its scenario checks single messages.
    """
    if target.save or target.block_ms != BLOCK_MS or reads_messages(scenario):
        crowd = None
    if scenario.caller.noise or scenario.caller.line:
        crowd = None
    try:
        dialled = await dial(target)
    except (DiallingError, ProtocolNotDetected) as error:
        return RunResult(unreachable=one_line(str(error)))
    if not_applicable := scenario.lacks(lacking(dialled.target.protocol)):
        return RunResult(not_applicable=not_applicable, protocol=dialled.target.protocol)
    call = HeadlessCall(scenario, dialled, aids=aids, show=show, crowd=crowd)
    await call.prepare(tools)
    follow(call.session)
    await call.hold()
    run = msgspec.structs.replace(call.performance.result(call.folder), protocol=dialled.target.protocol)
    if run.folder and not keep(run):
        await asyncio.to_thread(delete_sessions, [Path(run.folder)])
        run = msgspec.structs.replace(run, folder="")
    return run


async def dial(target: Target) -> Dialled:
    """Returns a target with its protocol and URL, for a call without sound devices.

    Raises `DiallingError`, `ProtocolNotDetected`.
    """
    return await settle(msgspec.structs.replace(target, **_WITHOUT_DEVICES))


def _sinks(*sinks: Callable[[e.SessionEvent], object]) -> Callable[[e.SessionEvent], None]:
    def take(event: e.SessionEvent) -> None:
        for sink in sinks:
            sink(event)

    return take
