"""Carries out the screen's commands, runs one call at a time, and sends its events to the screen in batches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from tui import assets, collector
from tui.audio import devices
from tui.audio.devices import AudioDeviceError
from tui.audio.in_thread import in_thread
from tui.audio.peaks import outline_of
from tui.audio.wav import AudioFileError, WavFile
from tui.callbacks import callback_tracing, safe_callback_execution, spawn
from tui.callbacks.errors import error_message
from tui.engine import wire
from tui.engine.clip_player import ClipPlayer
from tui.engine.frames import Frames
from tui.engine.session_file import SessionFile
from tui.handlers.tools.file import ToolsFileError, load_tools
from tui.handlers.tools.running import DaemonThreads
from tui.models.audio_manager import AudioManager
from tui.models.events import SessionEvent, Status
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.models.sound.lines import CallerLine
from tui.models.target import Target
from tui.session.dialling import DiallingError, settle
from tui.session.ending import OURS
from tui.session.live import LiveSession
from tui.session.set_up import CallSetUp

if TYPE_CHECKING:
    from tui.engine.scenario_play import ScenarioPlay

logger = logging.getLogger(__name__)

BATCH_INTERVAL_S = 0.04
"""Shortest time between two frames.

When events are frequent, an event waits half of this time on average, and then for the screen's next tick (16
per second). If frames were only as frequent as ticks, the effect of a key would appear 11 ms later.
"""
PATIENCE_S = 0.5
"""How long a command that needs a device may delay later commands."""
TABLE_EVERY_BATCHES = 12
_MOST_NAME_CHARS = 40
"""Maximum length of a spoken sentence's name, which is the beginning of the sentence."""
_BY_HAND = (
    wire.Record,
    wire.SetMuted,
    wire.SpeakLine,
    wire.SpeakSentence,
    wire.SendDtmf,
    wire.SendText,
    wire.SendInstructions,
    wire.Interrupt,
)
"""The user's actions in a call, which also take over the call from a scenario."""
_SENTENCES = (ValueError, ToolsFileError, assets.AssetsMissing)
"""Exceptions that prevent a call; their message is a sentence for the user."""


class Engine:
    """The engine without its pipes.

    ``write`` sends a frame to the screen; ``backlog`` returns how many bytes the screen has not read. If
    ``warm``, PortAudio is loaded at the start.
    """

    def __init__(
        self, write: Callable[[bytes], None], backlog: Callable[[], int], *, warm: bool = True
    ) -> None:
        self._warm = warm
        self._in_order = asyncio.Lock()
        """Held by one call-related command at a time; waiting commands continue in order of arrival."""
        self._frames = Frames(write, backlog)
        self._audio = AudioManager()
        self._clips = ClipPlayer(self._frames.replace)
        self._session: LiveSession | None = None
        self._call: asyncio.Task[None] | None = None
        self._early: list[wire.Command] = []
        """Commands for the call that is being dialed, carried out once it has begun."""
        self._shutdown = asyncio.Event()
        self._file: SessionFile | None = None
        self._set_up: CallSetUp | None = None
        self._scenario: ScenarioPlay | None = None

    async def run(self) -> None:
        """Runs until `Shutdown` or `shut_down`, then ends the call as its protocol requires."""
        flusher = spawn(self._flush_batches(), "engine batches")
        warmer = spawn(self._load_portaudio(), "load PortAudio") if self._warm else None
        await self._shutdown.wait()
        # The call is ended first, because the screen waits only 3 s for the goodbye on the wire and closing a device
        # may hang.
        await self._end_call()
        await self._clips.close()
        if warmer:
            warmer.cancel()
        flusher.cancel()
        # The last events are sent even if the screen has announced that it is not reading, because the screen is now
        # waiting.
        self._frames.paused = False
        self._frames.flush()

    async def _load_portaudio(self) -> None:
        """Loads PortAudio in advance, so that neither the first call nor the first device list waits for it."""
        with contextlib.suppress(AudioDeviceError):  # the command that needs PortAudio will report it
            await in_thread(devices.list_devices, cancellable=True, limit_s=devices.listing_limit_s())

    def shut_down(self) -> None:
        """Ends the engine, because the screen has exited or is quitting."""
        self._shutdown.set()

    async def handle(self, command: wire.Command) -> None:
        """Carries out a command. Ignores commands for a call if there is no call."""
        session = self._session
        match command:
            case wire.Connect():
                await self._connect(command)
            case wire.ListDevices():
                await _a_moment(self._list_devices(command.anew))
            case wire.PlayAudio():
                self._clips.play(command)
            case wire.FindPeaks():
                # Not awaited, because a long recording takes seconds to read and later commands would have to wait.
                spawn(self._find_peaks(command.path), "outline of a recording")
            case wire.Pause():
                self._frames.paused = command.paused
            case wire.TraceCallbacks():
                callback_tracing.enable() if command.on else callback_tracing.disable()
                self._add_callback_figures()
            case wire.HangUp():
                self._hang_up()
            case wire.Shutdown():
                self.shut_down()
            case _ if session is not None:
                await _a_moment(self._one_after_another(session, command))
            case _ if self._call is not None and not self._call.done():
                # A key pressed while the target is being dialed is meant for the call that follows.
                self._early.append(command)
            case _:
                logger.info("no call for %s", type(command).__name__)

    async def _one_after_another(self, session: LiveSession, command: wire.Command) -> None:
        async with self._in_order:
            await self._handle_in_call(session, command)

    async def _handle_in_call(self, session: LiveSession, command: wire.Command) -> None:
        if self._scenario is not None and isinstance(command, _BY_HAND):
            await self._scenario.steer(by_hand=True)
        match command:
            case wire.PlayScenario():
                # Not awaited, because its lines may have to be synthesized first and later commands would have to
                # wait.
                spawn(self._scenario_play(session.target).begin(command, session), "scenario of a call")
            case wire.SteerScenario() if self._scenario is not None:
                await self._scenario.steer(by_hand=command.by_hand)
            case wire.Record():
                await session.user.record(command.on)
            case wire.SetMuted():
                session.user.set_muted(command.muted)
            case wire.ChangeVolume():
                session.user.change_volume(command.by)
            case wire.SpeakLine():
                await self._speak(session, command.key)
            case wire.SpeakSentence():
                # Not awaited, because a voice takes a second to load.
                spawn(self._speak_sentence(session, command), "a sentence")
            case wire.SendDtmf():
                session.user.send_dtmf(command.digits)
            case wire.SendText():
                await session.user.send_text(command.text)
            case wire.SendInstructions():
                session.user.send_instructions(command.text)
            case wire.Interrupt():
                await session.user.interrupt()
            case wire.SwitchDevice():
                await self._audio.switch(command.direction, command.device)

    async def _list_devices(self, again: bool) -> None:
        try:
            if again:
                await self._look_again()
            found = await in_thread(list_devices, cancellable=True, limit_s=devices.listing_limit_s())
        except AudioDeviceError as error:
            found = wire.DeviceList(devices=(), problem=str(error))
        self._frames.add(found)

    async def _look_again(self) -> None:
        """Makes PortAudio read the device list again, which interrupts the audio of a call."""
        if self._call is not None and not self._call.done():
            await self._audio.rescan()
        else:
            await in_thread(devices.refresh_devices, limit_s=devices.listing_limit_s())

    async def _speak(self, session: LiveSession, key: str) -> None:
        for line, recorded in zip(assets.caller_lines(), caller_lines(), strict=True):
            if line.key == key:
                await session.user.speak(recorded)

    async def _speak_sentence(self, session: LiveSession, command: wire.SpeakSentence) -> None:
        from tui.speech.errors import SpeechError
        from tui.speech.process import SpeechProcess

        def speak() -> str:
            with SpeechProcess(synthesizer=command.synthesizer) as speech:
                return str(speech.speak(command.text))

        try:
            path = await asyncio.to_thread(speak)
        except SpeechError as error:
            session.journal.notice(str(error))
        else:
            await session.user.speak(CallerLine(command.text[:_MOST_NAME_CHARS], command.text, path))

    async def _connect(self, command: wire.Connect) -> None:
        # One call at a time, because two would read the same microphone.
        await self._end_call()
        self._session = self._file = self._scenario = None
        self._early = []
        target, set_up = command.target, CallSetUp(self._audio, self._take_event)
        self._set_up = set_up
        self._emit_dialling(target)
        try:
            await set_up.start_saving(target)
            self._keep_messages(set_up)
        except Exception as error:  # noqa: BLE001 - the screen has to show any exception
            self._report_impossible(target, set_up, error)
            await set_up.close()
        else:
            self._call = spawn(self._hold(target, set_up, command.scenario), "call")
            # Let the task start: if it were cancelled before that, its handlers would not run and the call would
            # never be reported as ended.
            await asyncio.sleep(0)

    def _keep_messages(self, set_up: CallSetUp) -> None:
        """Chooses the file for raw messages (the saved session's, or a temporary file) and reports its path."""
        if set_up.writer is None:
            self._file = SessionFile(on_failure=set_up.problems.report)
        file = set_up.writer or self._file
        assert file is not None
        session = str(set_up.writer.folder) if set_up.writer else ""
        self._frames.add(wire.MessagesFile(path=str(file.path), session=session))

    async def _hold(self, target: Target, set_up: CallSetUp, scenario: wire.PlayScenario | None) -> None:
        """Runs a call from dialing to its end. Cancel the task to hang up while dialing."""
        try:
            # In this task rather than in the command, so that hanging up does not have to wait for an unresponsive
            # sound system.
            await set_up.find_devices(target, lines=caller_lines())
            self._session = await self._dial(target, set_up, scenario)
        except asyncio.CancelledError:
            self._report_hung_up(target, set_up)
        except Exception as error:  # noqa: BLE001 - as above
            self._report_impossible(target, set_up, error)
        else:
            await self._session.run()
            if self._scenario is not None:
                await self._scenario.finish()
        finally:
            if self._scenario is not None:
                self._scenario.close()
            await set_up.close()
            # On a thread, because returning memory to the system takes some milliseconds, during which the next call
            # may begin.
            await asyncio.to_thread(collector.give_back)

    async def _dial(
        self, target: Target, set_up: CallSetUp, scenario: wire.PlayScenario | None
    ) -> LiveSession:
        """Completes the target, loads its tools and the scenario, and returns the session.

        Raises any error that prevents the call.
        """
        dialled = await settle(target)
        performance = await self._scenario_play(dialled.target).prepare(scenario) if scenario else None
        # The user's file is run on a thread, so that its top-level code cannot block the engine.
        tools = await DaemonThreads("tools file").run(load_tools, target.tools) if target.tools else []
        session = set_up.session(
            dialled,
            tools=tools,
            telemetry=lambda telemetry: self._frames.replace(wire.TelemetryItem(telemetry=telemetry)),
            keep_raw=self._file.append if self._file else lambda _: -1,
            on_begun=lambda: spawn(self._catch_up(), "commands received while dialing"),
        )
        if performance is not None:
            self._scenario_play(dialled.target).follow(performance, session, whole_call=True)
        return session

    def _scenario_play(self, target: Target) -> ScenarioPlay:
        """Returns the object that plays scenarios in this call. Imports its module on first use."""
        from tui.engine.scenario_play import ScenarioPlay

        if self._scenario is None:
            self._scenario = ScenarioPlay(self._audio, target)
        return self._scenario

    async def _catch_up(self) -> None:
        # The list is taken before its commands are carried out, so that commands that arrive meanwhile go to the
        # session instead.
        early, self._early = self._early, []
        for command in early:
            await safe_callback_execution(self.handle, command, type(command).__name__)

    def _hang_up(self) -> None:
        if self._session:
            self._session.hang_up()
        elif self._call and not self._call.cancelling():
            self._call.cancel()

    def _emit_dialling(self, target: Target) -> None:
        """Shows the call on the screen at once, because its session begins only after dialing."""
        journal = self._begun_journal(target, self._frames.add_event)
        journal.become(Status.CONNECTING)

    def _report_impossible(self, target: Target, set_up: CallSetUp, error: Exception) -> None:
        """Emits a session that contains only the error, for a call that cannot begin."""
        source, code, hint = "settings", "impossible", ""
        if isinstance(error, DiallingError):
            source, code, sentence, hint = error.source, error.code, error.message, error.hint
        elif isinstance(error, _SENTENCES):
            sentence = str(error)
        else:
            logger.error("the call could not be started", exc_info=error)
            reason = error_message(error).rstrip(".")
            sentence = f"The call could not be started: {type(error).__name__}{reason and ': '}{reason}."
        journal = self._begun_journal(target, set_up.take)
        set_up.problems.begun(journal)
        journal.error(source, code, sentence, hint, fatal=True)
        journal.become(Status.ERROR, sentence)

    def _report_hung_up(self, target: Target, set_up: CallSetUp) -> None:
        """Emits a session without messages, for a call that the user hung up while dialing."""
        journal = self._begun_journal(target, set_up.take)
        set_up.problems.begun(journal)
        for status in (Status.CONNECTING, Status.ENDING, Status.ENDED):
            journal.become(status, "" if status is Status.CONNECTING else OURS)

    def _begun_journal(self, target: Target, sink: Callable[[SessionEvent], object]) -> Journal:
        """Returns a journal for a call that has no session yet."""
        journal = Journal(
            SessionState(),
            sink=sink,
            keep_raw=lambda _: -1,
            clock_ns=time.monotonic_ns,
            redactor=target.redactor(),
        )
        journal.begin(target, volume=self._audio.volume)
        return journal

    async def _end_call(self) -> None:
        if self._call and not self._call.done():
            self._hang_up()
            if self._scenario is not None:
                self._scenario.hurry()
            await asyncio.gather(self._call, return_exceptions=True)
        if self._set_up:
            await self._set_up.close()
        if self._file:
            # Closed here rather than at the end of the call, because the screen still reads the messages of the last
            # call.
            self._file.close()

    def _take_event(self, event: SessionEvent) -> None:
        if self._scenario is not None:
            self._scenario.take(event)
        self._frames.add_event(event)

    async def _find_peaks(self, path: str) -> None:
        try:
            with await asyncio.to_thread(WavFile, path) as file:
                outline = outline_of(file)
                while part := await asyncio.to_thread(next, outline, None):
                    self._frames.add(wire.Peaks(path=path, **msgspec.structs.asdict(part)))
        except AudioFileError as error:
            self._frames.add(wire.Peaks(path=path, problem=str(error)))

    def _add_callback_figures(self) -> None:
        if callback_tracing.enabled:
            self._frames.replace(wire.CallbackFigures(stats=callback_tracing.snapshot()))

    async def _flush_batches(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = 0.0
        for batch in count(1):
            if not callback_tracing.enabled:  # its figures are due regularly
                await self._frames.filled()
            await asyncio.sleep(max(due_s - loop.time(), 0))
            due_s = loop.time() + BATCH_INTERVAL_S
            if batch % TABLE_EVERY_BATCHES == 0:
                self._add_callback_figures()
            # Reported in the call itself, so that the log shows where events are missing.
            missed = self._frames.flush()
            if missed and self._session:
                message = f"The screen stopped reading events for too long: {missed} events were not shown."
                self._session.journal.error("engine", "screen-behind", message)


async def _a_moment(work: Coroutine[Any, Any, None]) -> None:
    """Waits briefly for ``work``, in which a driver may hang, then returns so that `HangUp` can be handled."""
    task = spawn(work, "command")
    done, _ = await asyncio.wait([task], timeout=PATIENCE_S)
    for finished in done:
        finished.result()


def list_devices() -> wire.DeviceList:
    """Returns the sound devices for the screen. Blocks while PortAudio loads."""
    problem = devices.audio_problem() or ""
    return wire.DeviceList(devices=() if problem else tuple(devices.list_devices()), problem=problem)


def caller_lines() -> list[CallerLine]:
    """Returns the recorded lines, in the order of their keys."""
    return [CallerLine(line.name, line.text, str(line.path)) for line in assets.caller_lines()]
