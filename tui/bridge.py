"""Bridge: connects engine and screen in three steps: drain, fold, refresh.

The bridge does not depend on Textual. The bridge owns the screen's models. `tick` takes the items that the
engine has sent, folds them into the models, and refreshes each dirty panel once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from tui.callbacks import CallbackStats, callback_tracing
from tui.engine import wire
from tui.engine.link import EngineLink
from tui.models import events as e
from tui.models.log.event_log import EventLog
from tui.models.log.marks import Marking, Marks
from tui.models.raw_message import read_raw_message
from tui.models.scenario_progress import ScenarioProgress
from tui.models.session_state import SessionState
from tui.models.telemetry import Telemetry
from tui.models.transcript import Transcript
from tui.saving.marks_file import append_marking, read_marks
from tui.saving.record import UNSAVED
from tui.view.waveform import Waveform


class Latest:
    """The latest values that the engine has reported in addition to events."""

    def __init__(self) -> None:
        self.telemetry = Telemetry(at_ns=0)
        self.telemetry_in_call = Telemetry(at_ns=0)
        """The last telemetry of the active session. Later values describe devices that are being closed."""
        self.devices: wire.DeviceList | None = None
        self.reading: float | None = None
        """Share of a saved session that has been read, 0..1; None in a call, and once everything has been read."""
        self.callbacks: tuple[CallbackStats, ...] = ()
        """Measurements of callbacks in the engine; see `Bridge.trace_callbacks`."""

    def begin_session(self) -> None:
        """Resets the telemetry of the previous session."""
        self.telemetry = self.telemetry_in_call = Telemetry(at_ns=0)


class ClipControl:
    """Plays audio outside a call through the engine, one clip at a time: a message or tracks of a saved session."""

    def __init__(self, send: Callable[[wire.Command], None]) -> None:
        self.clip = 0
        """The number of the last clip passed to `play`."""
        self.playing: wire.PlayingAudio | None = None
        """Progress of the current clip; None until the engine reports it."""
        self.output = "auto"
        """The speaker to use, as a value of the option `--output`. After a call, this is the call's speaker."""
        self._send = send

    def play(self, audio: wire.PlayAudio) -> int:
        """Plays ``audio`` in place of the current clip; returns the new value of `clip`.

        If ``audio`` has neither ``path`` nor ``wire``, only stops playback.
        """
        self.clip += 1
        self.playing = None
        self._send(msgspec.structs.replace(audio, clip=self.clip, output=self.output))
        return self.clip

    def take(self, playing: wire.PlayingAudio) -> None:
        """Takes a progress report from the engine. Ignores reports about earlier clips."""
        if playing.clip == self.clip:
            self.playing = playing


class Redraws:
    """The panels to redraw at the end of the tick."""

    def __init__(self) -> None:
        self.refreshed = False
        """Whether panels were refreshed since the last `Bridge.drain`."""
        self.overdue = False
        """Whether a session has begun since the last refresh, so that the content on the screen is out of date."""
        self._dirty: dict[Callable[[], None], None] = {}

    def mark(self, refresh: Callable[[], None]) -> None:
        """Schedules a call of ``refresh``. Several requests for the same panel in one tick cause only one call."""
        self._dirty[refresh] = None

    def refresh(self) -> None:
        """Calls each scheduled ``refresh``. Panels marked in the meantime wait for the next tick."""
        self.refreshed = True
        dirty, self._dirty, self.overdue = self._dirty, {}, False
        for refresh in dirty:
            refresh()


class RawFile:
    """The file with the raw messages of a session, which stays readable after it has been unlinked."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def open(self, path: Path) -> None:
        """Opens the file. If that fails, `read` returns None."""
        self.close()
        with suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, event: e.MessageLogged) -> bytes | None:
        """Returns the event's message as it was on the wire; None if it was not kept or cannot be read."""
        return read_raw_message(self._descriptor, event)

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class SessionFolder:
    """The folder of the shown session, if it is saved, and the session's marks and notes."""

    def __init__(self) -> None:
        self.path: Path | None = None
        """Folder of the session; None if the session is not saved."""
        self.saving_ended = False
        """Whether saving ended before the session did."""
        self.marks = Marks()
        self.marks.on_change = self._keep
        self.raw = RawFile()
        self._problem = ""
        self._warned = False

    def use(self, path: Path | None) -> None:
        """Sets the folder in which marks and notes are saved; None to save nothing."""
        self.path, self.saving_ended, self._warned = path, False, False

    def load(self) -> None:
        """Loads the marks and notes of a session that begins."""
        self.marks.clear()
        if self.path is not None:
            saved = read_marks(self.path)
            self.marks.numbers, self.marks.notes = saved.numbers, saved.notes

    def take_problem(self) -> str:
        """Returns and clears the reason why the last mark or note was not saved; empty if it was saved."""
        problem, self._problem = self._problem, ""
        return problem

    def _keep(self, change: Marking) -> None:
        if self.path is None:
            if not self._warned:
                self._problem = (
                    "This session is not being saved: marks and notes will be lost when it ends."
                    " Press x to export them."
                )
            self._warned = True
            return
        try:
            append_marking(self.path, change)
        except OSError as error:
            self._problem = f"The mark or note could not be saved: {error.strerror or error}."


class Bridge:
    """The screen's models, which the engine's events update. Runs only on the screen's thread."""

    grows = True
    """Whether more events can arrive; False for a saved session that has been read completely."""

    def __init__(self, engine: EngineLink, clock_ns: Callable[[], int]) -> None:
        self.engine = engine
        self.clock_ns = clock_ns
        self.state = SessionState()
        self.log = EventLog()
        self.transcript = Transcript()
        self.scenario = ScenarioProgress()
        self.latest = Latest()
        self.waveform = Waveform()
        """The waveform of the saved session that is shown."""
        self.player = ClipControl(self.send)
        self.redraws = Redraws()
        self.folder = SessionFolder()
        self._engine_lost = False

    def mark_dirty(self, refresh: Callable[[], None]) -> None:
        """Schedules a call of ``refresh`` at the end of the tick."""
        self.redraws.mark(refresh)

    def tick(self) -> None:
        """Runs the three steps drain, fold and refresh. Called by the screen's timer, or directly by tests."""
        self.drain()
        self.refresh()

    def drain(self) -> None:
        """Processes all items that the engine has sent."""
        self.redraws.refreshed = False
        for item in self.engine.drain():
            self._take(item)
        self._notice_lost_engine()

    def refresh(self) -> None:
        """Refreshes each dirty panel once. May be called less often than `drain`."""
        self.redraws.refresh()

    def fold(self, event: e.SessionEvent) -> None:
        """Applies an event to every model."""
        if isinstance(event, e.SessionStarted):
            self.redraws.overdue = True
            self.latest.begin_session()
        self.state.apply(event)
        self.log.apply(event)
        self.transcript.apply(event)
        self.scenario.apply(event)
        if isinstance(event, e.SessionStarted):
            self.folder.load()  # after the log has dropped the marks of the previous session
        elif isinstance(event, e.ErrorRaised) and event.code == UNSAVED:
            self.folder.saving_ended = True

    def send(self, command: wire.Command) -> None:
        """Sends a user's command to the engine."""
        if isinstance(command, wire.Connect):
            self.player.output = command.target.output
            self.folder.use(None)
        self.engine.send(command)

    def trace_callbacks(self, on: bool) -> None:
        """Starts or stops measuring every registered callback, in this process and in the engine."""
        callback_tracing.enable() if on else callback_tracing.disable()
        self.send(wire.TraceCallbacks(on=on))

    @property
    def tracing_callbacks(self) -> bool:
        """Whether callbacks are being measured."""
        return callback_tracing.enabled

    def callback_stats(self) -> list[tuple[str, CallbackStats]]:
        """Returns the callback measurements so far, each with the name of its process."""
        here = [("screen", stats) for stats in callback_tracing.snapshot()]
        return [("engine", stats) for stats in self.latest.callbacks] + here

    def replace_engine(self, engine: EngineLink) -> None:
        """Switches to a new engine after the previous one was lost. The models keep their state."""
        self.engine = engine
        self._engine_lost = False
        if self.tracing_callbacks:
            self.trace_callbacks(True)

    def raw_message(self, event: e.MessageLogged) -> bytes | None:
        """Returns the event's message as it was on the wire; None if it was not kept or cannot be read."""
        return self.folder.raw.read(event)

    def close(self) -> None:
        """Closes the file with the raw messages."""
        self.folder.raw.close()

    def _take(self, item: wire.FrameItem) -> None:
        match item:
            case wire.EventItem():
                self.fold(item.event)
            case wire.TelemetryItem():
                self.latest.telemetry = item.telemetry
                if self.state.status in (e.Status.ACTIVE, e.Status.RESUMING):
                    self.latest.telemetry_in_call = item.telemetry
            case wire.MessagesFile():
                self.folder.raw.open(Path(item.path))
                self.folder.use(Path(item.session) if item.session else None)
            case wire.DeviceList():
                self.latest.devices = item
            case wire.CallbackFigures():
                self.latest.callbacks = item.stats
            case wire.PlayingAudio():
                self.player.take(item)
            case wire.ReadingSession():
                self.latest.reading = None if item.share >= 1 else item.share
            case wire.Peaks():
                self.waveform.take(item.first_bin, item.bins, item.bin_ms, item.tracks)

    def _notice_lost_engine(self) -> None:
        if self.engine.alive or self._engine_lost:
            return
        self._engine_lost = True
        number = self.log.events[-1].number if self.log.events else 0
        self.fold(
            e.ErrorRaised(
                number=number + 1,
                at_ns=self.clock_ns(),
                source="engine",
                code="engine-lost",
                message="The engine process has ended; the call is over.",
                hint=f"Call again to start a new engine. The old engine's log: {self.engine.log_path}",
                fatal=True,
            )
        )
        if self.state.status.live:
            self.fold(
                e.StatusChanged(
                    number=number + 2, at_ns=self.clock_ns(), old=self.state.status, new=e.Status.ERROR
                )
            )
