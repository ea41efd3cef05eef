"""The only place where engine and screen meet: drain, fold, refresh. Knows no Textual.

The bridge owns the screen's models. `tick` takes what the engine has sent, folds it, and lets each panel that
a callback marked dirty refresh once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from tui.callbacks import CallbackStats, callback_tracing
from tui.engine.link import EngineLink
from tui.engine.wire import (
    CallbackFigures,
    Command,
    Connect,
    DeviceList,
    EventItem,
    FrameItem,
    MessagesFile,
    Peaks,
    PlayAudio,
    PlayingAudio,
    TelemetryItem,
    TraceCallbacks,
)
from tui.models.events import (
    ErrorRaised,
    MessageLogged,
    SessionEvent,
    SessionStarted,
    Status,
    StatusChanged,
)
from tui.models.log.event_log import EventLog
from tui.models.raw_message import read_raw_message
from tui.models.session_state import SessionState
from tui.models.telemetry import Telemetry
from tui.models.transcript import Transcript
from tui.view.waveform import Waveform


class Bridge:
    """The screen's models, fed from the engine. One thread: the screen's."""

    def __init__(self, engine: EngineLink, clock_ns: Callable[[], int]) -> None:
        self.engine = engine
        self.clock_ns = clock_ns
        self.state = SessionState()
        self.log = EventLog()
        self.transcript = Transcript()
        self.telemetry = Telemetry(at_ns=0)
        self.telemetry_in_call = Telemetry(at_ns=0)
        """The last of this session while it was up: what comes while it ends is of devices that are given back."""
        self.playing: PlayingAudio | None = None
        """How far what `play` was given last is; None until the engine says."""
        self.waveform = Waveform()
        """Of the saved session that is shown."""
        self.devices: DeviceList | None = None
        self.engine_callbacks: tuple[CallbackStats, ...] = ()
        """What tracing has measured in the engine; see `trace_callbacks`."""
        self.began_anew = False
        """A session has begun since the last `refresh`: what is drawn is no longer there."""
        self.refreshed = False
        """Whether panels were refreshed since the last `drain`."""
        self._dirty: dict[Callable[[], None], None] = {}
        self._raw: int | None = None
        self._engine_lost = False
        self.clip = 0
        """The number of what `play` was given last."""
        self.output = "auto"
        """The speaker of `play`, as the option of that name: a call's own, once there was one."""

    def mark_dirty(self, refresh: Callable[[], None]) -> None:
        """Have ``refresh`` called once at the end of this tick."""
        self._dirty[refresh] = None

    def tick(self) -> None:
        """Drain, fold, refresh. Called by the screen's timer, or by hand in a test."""
        self.drain()
        self.refresh()

    def drain(self) -> None:
        """Fold what has arrived."""
        self.refreshed = False
        for item in self.engine.drain():
            self._take(item)
        self._notice_lost_engine()

    def refresh(self) -> None:
        """Have each dirty panel refresh once; may be done more seldom than `drain`."""
        self.refreshed = True
        dirty, self._dirty, self.began_anew = self._dirty, {}, False
        for refresh in dirty:
            refresh()

    def fold(self, event: SessionEvent) -> None:
        """Fold one event into every model."""
        if isinstance(event, SessionStarted):
            self.began_anew = True
            self.telemetry = self.telemetry_in_call = Telemetry(at_ns=0)
        self.state.apply(event)
        self.log.apply(event)
        self.transcript.apply(event)

    def send(self, command: Command) -> None:
        """Hand an intent of the user to the engine."""
        if isinstance(command, Connect):
            self.output = command.target.output
        self.engine.send(command)

    def play(self, audio: PlayAudio) -> int:
        """Play this in place of whatever plays; gives the number that `playing` has while it does.

        Without a path and wire it only stops.
        """
        self.clip += 1
        self.playing = None
        self.send(msgspec.structs.replace(audio, clip=self.clip, output=self.output))
        return self.clip

    def trace_callbacks(self, on: bool) -> None:
        """Measure every registered callback, here and in the engine, or no longer."""
        callback_tracing.enable() if on else callback_tracing.disable()
        self.send(TraceCallbacks(on=on))

    @property
    def tracing_callbacks(self) -> bool:
        """Whether callbacks are being measured."""
        return callback_tracing.enabled

    def callback_stats(self) -> list[tuple[str, CallbackStats]]:
        """What tracing has measured so far, with the process it was measured in."""
        here = [("screen", stats) for stats in callback_tracing.snapshot()]
        return [("engine", stats) for stats in self.engine_callbacks] + here

    def replace_engine(self, engine: EngineLink) -> None:
        """Go on with a new engine after the old one was lost; the models keep what they know."""
        self.engine = engine
        self._engine_lost = False
        if self.tracing_callbacks:
            self.trace_callbacks(True)

    def raw_message(self, event: MessageLogged) -> bytes | None:
        """The message as it was on the wire; None when it was not kept or can no longer be read."""
        return read_raw_message(self._raw, event)

    def close(self) -> None:
        """Give back the session file."""
        if self._raw is not None:
            os.close(self._raw)
            self._raw = None

    def _take(self, item: FrameItem) -> None:
        match item:
            case EventItem():
                self.fold(item.event)
            case TelemetryItem():
                self.telemetry = item.telemetry
                if self.state.status in (Status.ACTIVE, Status.RESUMING):
                    self.telemetry_in_call = item.telemetry
            case MessagesFile():
                self.close()
                try:
                    self._raw = os.open(Path(item.path), os.O_RDONLY | os.O_CLOEXEC)
                except OSError:
                    self._raw = None
            case DeviceList():
                self.devices = item
            case CallbackFigures():
                self.engine_callbacks = item.stats
            case PlayingAudio():
                if item.clip == self.clip:
                    self.playing = item
            case Peaks():
                self.waveform.take(item.first_bin, item.bins, item.bin_ms, item.tracks)

    def _notice_lost_engine(self) -> None:
        if self.engine.alive or self._engine_lost:
            return
        self._engine_lost = True
        number = self.log.events[-1].number if self.log.events else 0
        self.fold(
            ErrorRaised(
                number=number + 1,
                at_ns=self.clock_ns(),
                source="engine",
                code="engine-lost",
                message="The engine process has ended; the call is over.",
                hint=f"Call again: that starts a new one. Its log: {self.engine.log_path}",
                fatal=True,
            )
        )
        if self.state.status.live:
            self.fold(
                StatusChanged(
                    number=number + 2, at_ns=self.clock_ns(), old=self.state.status, new=Status.ERROR
                )
            )
