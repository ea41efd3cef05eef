"""SessionState: the current state of the session, folded from events, with callbacks for observers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from tui.callbacks import (
    CallbackManager,
    CompletionCallback,
    ErrorCallback,
    Registration,
    StateChangeCallback,
)
from tui.exit_code import ExitCode
from tui.models import events as e
from tui.models.turns.audible import Audible
from tui.models.turns.metrics import MetricsFold, SessionMetrics

RATE_LIMITS = "rate limits"
"""Name of the `UsageReported` event that reports remaining limits rather than usage."""
MAX_USAGE_FIGURES = 64
"""Limit on the number of figures kept, because the agent chooses their names."""


class SessionError(Exception):
    """The exception that error callbacks receive for an `ErrorRaised` event."""

    def __init__(self, event: e.ErrorRaised) -> None:
        super().__init__(event.message)
        self.event = event


class Area(StrEnum):
    """The kinds of changes for which callbacks can be registered."""

    STATUS = "status"
    METRICS = "metrics"
    TURNS = "turns"
    CONTROLS = "controls"
    COMPLETION = "completion"
    ERROR = "error"


Completed = e.PlaybackEnded | e.LineChanged | e.ToolChanged
"""The events that completion callbacks receive."""


class SessionState:
    """Status, controls, metrics and last error of the current session.

    Only `apply` changes them. A `SessionStarted` event begins a new session and resets everything but the
    registered callbacks. Callbacks run while an event is applied, on the thread that applies it.
    """

    def __init__(self) -> None:
        self.callbacks = CallbackManager()
        self._reset()

    def _reset(self) -> None:
        self.status = e.Status.IDLE
        self.reason = ""
        """Reason for the status, in words."""
        self.started: e.SessionStarted | None = None
        """The event that began the session; None before the first session."""
        self.controls = Controls()
        self.notice: e.NoticeRaised | None = None
        self.advice: e.FindingRaised | None = None
        """The latest advice, not counting repetitions of earlier advice."""
        self.conditions: dict[tuple[str, e.Condition], e.ConditionChanged] = {}
        """Ongoing audio problems, by path ("capture", "playback") and condition."""
        self.last_error: e.ErrorRaised | None = None
        self.fatal_error: e.ErrorRaised | None = None
        """The first error that ended or prevented the call."""
        self.usage: dict[str, float] = {}
        """Usage of the session so far (``total_tokens``), and remaining limits (``tokens left``)."""
        self._metrics = MetricsFold()

    @property
    def target(self) -> str:
        """The URL being called, without secrets; empty before the first session."""
        return self.started.target if self.started else ""

    @property
    def title(self) -> str:
        """The name of the target; empty before the first session."""
        return self.started.title if self.started else ""

    @property
    def protocol(self) -> str:
        """The name of the protocol; empty before the first session."""
        return self.started.protocol if self.started else ""

    @property
    def session_id(self) -> str:
        """The id of the session; empty for a call that was refused before it started."""
        return self.started.session_id if self.started else ""

    @property
    def began_ns(self) -> int | None:
        """When the session began; None before the first session."""
        return self.started.at_ns if self.started else None

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for the end of the call. Response times and findings do not affect it."""
        if self.fatal_error is None:
            return ExitCode.FINE
        return _exit_code_of(self.fatal_error, accepted=self.metrics.started_ns is not None)

    @property
    def metrics(self) -> SessionMetrics:
        """The session's figures so far."""
        return self._metrics.metrics

    @property
    def audible(self) -> Audible:
        """The periods in which each party was heard."""
        return self._metrics.audible

    def add_status_change_callback(self, callback: StateChangeCallback[e.Status]) -> Registration:
        """Calls ``callback(old, new)`` whenever the status changes."""
        return self.callbacks.register_callback(Area.STATUS, callback)

    def add_metrics_update_callback(self, callback: Callable[[SessionMetrics], object]) -> Registration:
        """Calls ``callback(metrics)`` whenever a figure changes."""
        return self.callbacks.register_callback(Area.METRICS, callback)

    def add_turns_update_callback(self, callback: Callable[[SessionMetrics], object]) -> Registration:
        """Calls ``callback(metrics)`` whenever a figure other than the counts of audio messages may have changed."""
        return self.callbacks.register_callback(Area.TURNS, callback)

    def add_controls_change_callback(self, callback: Callable[[SessionState], object]) -> Registration:
        """Calls ``callback(state)`` when recording, mute, volume, devices, notice, recorded line or usage changes."""
        return self.callbacks.register_callback(Area.CONTROLS, callback)

    def add_error_callback(self, callback: ErrorCallback) -> Registration:
        """Calls ``callback(SessionError, source)`` for every error of the session."""
        return self.callbacks.register_callback(Area.ERROR, callback)

    def add_completion_callback(self, callback: CompletionCallback[Completed]) -> Registration:
        """Calls ``callback(event)`` when a recorded line, a tool call or the playback of a reply has finished."""
        return self.callbacks.register_callback(Area.COMPLETION, callback)

    def apply(self, event: e.SessionEvent) -> None:
        """Applies one event, and fires the callbacks for the changes."""
        if isinstance(event, e.SessionStarted):
            self._begin(event)
        if self._metrics.apply(event):
            self.callbacks.trigger(Area.METRICS, self.metrics)
            if not (isinstance(event, e.MessageLogged) and event.audio_ms):
                self.callbacks.trigger(Area.TURNS, self.metrics)
        match event:
            case e.StatusChanged():
                self.reason = event.reason
                self._update_status(event.new)
            case e.ErrorRaised():
                self.last_error = event
                if event.fatal:
                    self.fatal_error = self.fatal_error or event
                self.callbacks.trigger(Area.ERROR, SessionError(event), event.source)
            case _:
                if self._apply_controls(event):
                    self.callbacks.trigger(Area.CONTROLS, self)
        match event:
            case e.PlaybackEnded() | e.LineChanged(finished=True) | e.ToolChanged(finished=True):
                self.callbacks.trigger(Area.COMPLETION, event)

    def _begin(self, event: e.SessionStarted) -> None:
        old = self.status
        self._reset()
        self.started = event
        self.callbacks.trigger(Area.STATUS, old, self.status)

    def _update_status(self, new_status: SessionStatus) -> None:
        """Updates the status and fires its callbacks."""
        old_status, self.status = self.status, new_status
        self.callbacks.trigger(Area.STATUS, old_status, new_status)

    def _apply_controls(self, event: e.SessionEvent) -> bool:
        match event:
            case e.MessageLogged():
                return False  # checked first, because most events are messages
            case e.NoticeRaised():
                self.notice = event
            case e.FindingRaised(advice=True, count=1):
                self.advice = event
            case e.ConditionChanged():
                self._apply_condition(event)
            case e.UsageReported():
                self._count_usage(event)
            case _:
                return self.controls.apply(event)
        return True

    def _apply_condition(self, event: e.ConditionChanged) -> None:
        if event.active and event.condition.lasts:
            self.conditions[event.path, event.condition] = event
        else:
            self.conditions.pop((event.path, event.condition), None)

    def _count_usage(self, event: e.UsageReported) -> None:
        for figure, value in event.figures.items():
            name = f"{figure} left" if event.what == RATE_LIMITS else figure
            if name in self.usage or len(self.usage) < MAX_USAGE_FIGURES:
                self.usage[name] = value if event.what == RATE_LIMITS else self.usage.get(name, 0) + value


def _exit_code_of(fatal: e.ErrorRaised, *, accepted: bool) -> ExitCode:
    """Returns the exit code of a call that this error ended. ``accepted``: whether the call had become active."""
    match fatal:
        case e.ErrorRaised(source="engine"):
            return ExitCode.CRASHED
        case e.ErrorRaised(code="impossible"):
            return ExitCode.USAGE
        case e.ErrorRaised(source="agent", code="silent") if not accepted:
            return ExitCode.NOT_ANSWERED
        case e.ErrorRaised(source="socket") | e.ErrorRaised(code="unreachable" | "unknown") if not accepted:
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.PROTOCOL_ERROR


SessionStatus = e.Status
"""Alias for `Status`: the name used in the callbacks guide."""


class Controls:
    """Recording, mute, volume, device names and the current recorded line, derived from events."""

    def __init__(self) -> None:
        self.recording = False
        self.muted = False
        self.volume = 1.0
        self.capture = ""
        """Name of the capture device; empty if there is none."""
        self.playback = ""
        """Name of the playback device; empty if there is none."""
        self.line = ""
        """Name of the recorded line that is playing; empty if no line is playing."""

    def apply(self, event: e.SessionEvent) -> bool:
        """Applies one event. Returns whether the event set a control."""
        match event:
            case e.RecordingChanged():
                self.recording = event.recording
            case e.MutedChanged():
                self.muted = event.muted
            case e.VolumeChanged():
                self.volume = event.volume
            case e.AudioOpened():
                self.capture, self.playback = event.capture, event.playback
            case e.LineChanged():
                self.line = "" if event.finished else event.name
            case _:
                return False
        return True
