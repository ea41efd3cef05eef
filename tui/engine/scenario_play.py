"""ScenarioPlay: plays a scenario in the engine's call. The user can take over the call."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tui.callbacks import Registration, spawn
from tui.engine.wire import PlayScenario
from tui.models.audio_manager import AudioManager
from tui.models.events import SessionEvent, Status
from tui.models.target import Target
from tui.protocols.abilities import lacking
from tui.scenario.lines import lines_of
from tui.scenario.performance import Performance
from tui.scenario.player import Aids
from tui.scenario.reading import ScenarioError, read_scenario
from tui.session.listening import Limits
from tui.session.live import LiveSession
from tui.speech.errors import SpeechError
from tui.speech.process import SpeechProcess
from tui.text.visible import one_line


class ScenarioPlay:
    """Plays one scenario at a time, in one call. Runs on the engine's loop."""

    def __init__(self, audio: AudioManager, target: Target) -> None:
        self._audio = audio
        self._target = target
        self._performance: Performance | None = None
        self._task: asyncio.Task[None] | None = None
        self._sound: Registration | None = None
        self._hurry = asyncio.Event()
        self._speech: SpeechProcess | None = None
        """The voice and the recognizer of the newest scenario."""

    def take(self, event: SessionEvent) -> None:
        """Passes an event of the call to the scenario."""
        if self._performance is not None:
            self._performance.take(event)

    async def prepare(self, wanted: PlayScenario) -> Performance:
        """Reads a scenario and synthesizes its lines. Slow. Raises `ScenarioError`."""
        self._end_speech()
        self._speech = SpeechProcess(synthesizer=wanted.synthesizer, model=wanted.speech_model)
        try:
            performance = await asyncio.to_thread(_read, wanted, self._target, self._speech)
        except SpeechError as error:
            raise ScenarioError(f"{wanted.path}: {error}") from error
        if reason := performance.scenario.lacks(lacking(self._target.protocol)):
            raise ScenarioError(reason)
        return performance

    def follow(self, performance: Performance, session: LiveSession, *, whole_call: bool) -> None:
        """Starts playing the scenario in ``session``. If ``whole_call``, hangs up at the end of the scenario."""
        self._performance = performance
        performance.follow(session)
        self._task = spawn(self._play(performance, session, whole_call=whole_call), "scenario")

    async def begin(self, wanted: PlayScenario, session: LiveSession) -> None:
        """Plays a scenario in the active call, unless a scenario is already playing."""
        if self._task is not None and not self._task.done():
            session.journal.notice("A scenario is already being played.", "Wait until it ends, or hang up.")
            return
        try:
            performance = await self.prepare(wanted)
        except ScenarioError as error:
            session.journal.error("scenario", "impossible", one_line(str(error), 500))
            return
        if session.state.status is Status.ACTIVE:
            self.follow(performance, session, whole_call=False)

    async def steer(self, *, by_hand: bool) -> None:
        """Lets the user take over the call if ``by_hand``; otherwise the scenario continues."""
        if self._performance is not None:
            await (self._performance.take_over() if by_hand else self._performance.give_back())

    def hurry(self) -> None:
        """Makes `finish` stop waiting for the scenario's remaining work."""
        self._hurry.set()

    async def finish(self) -> None:
        """Waits after the call for the scenario's remaining work, such as transcription, and judges the scenario."""
        performance, task = self._performance, self._task
        if performance is None or task is None:
            return
        performance.listening.end()
        hurry = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait([task, hurry], return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        task.cancel()
        await asyncio.wait([task])
        performance.judge()

    def close(self) -> None:
        """Stops the scenario and releases its resources."""
        if self._task is not None:
            self._task.cancel()
        if self._sound is not None:
            self._sound.unregister()
        self._end_speech()

    def _end_speech(self) -> None:
        """Ends the speech process, even if it is still busy."""
        if self._speech is not None:
            spawn(asyncio.to_thread(self._speech.close), "end of speech recognition")

    async def _play(self, performance: Performance, session: LiveSession, *, whole_call: bool) -> None:
        if not await performance.accepted(self._target):
            return
        self._sound = await performance.prepare_sound()
        if whole_call:
            await performance.play()
            if not performance.by_hand:
                session.hang_up()
            await performance.judge_words()
        else:
            # Wait until the agent's current speech ends, because it began before the scenario was listening.
            await performance.listening.until(
                lambda: not self._audio.playback.playing, self._target.max_turn_s
            )
            await performance.play(since_ns=session.journal.clock_ns())


def _read(wanted: PlayScenario, target: Target, speech: SpeechProcess) -> Performance:
    """Reads a scenario file and synthesizes its lines. Raises `ScenarioError` or `SpeechError`."""
    scenario = read_scenario(Path(wanted.path))
    lines = lines_of(scenario, speech.speak)

    async def may_run(command: str) -> bool:
        return command in wanted.commands

    # A user is watching, so verdicts are given as soon as possible; recognition does not disturb the engine's
    # process.
    aids = Aids(lines=lines, may_run=may_run, hear=speech.hear, hears_meanwhile=True)
    return Performance(scenario, Limits.of(target), aids=aids)
