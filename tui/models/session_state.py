"""SessionState: what is true of the session now, folded from its events, with callbacks for who shows it."""

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
from tui.models.events import (
    AudioOpened,
    Condition,
    ConditionChanged,
    ErrorRaised,
    LineChanged,
    MutedChanged,
    NoticeRaised,
    Party,
    PlaybackEnded,
    RecordingChanged,
    SessionEvent,
    SessionStarted,
    Status,
    StatusChanged,
    ToolChanged,
    UsageReported,
    VolumeChanged,
)
from tui.models.exit_code import ExitCode, exit_code_of
from tui.models.turns.metrics import MetricsFold, SessionMetrics

RATE_LIMITS = "rate limits"
"""The `UsageReported` that tells what is left, by the name of the limit, and not what was used."""
MAX_USAGE_FIGURES = 64
"""Kept of what an agent reports, whatever it calls them."""


class SessionError(Exception):
    """An `ErrorRaised` event as the exception that error callbacks are given."""

    def __init__(self, event: ErrorRaised) -> None:
        super().__init__(event.message)
        self.event = event


class Area(StrEnum):
    """What a callback can be registered for."""

    STATUS = "status"
    METRICS = "metrics"
    CONTROLS = "controls"
    COMPLETION = "completion"
    ERROR = "error"


Completed = PlaybackEnded | LineChanged | ToolChanged
"""What completion callbacks are told of."""


class SessionState:
    """Status, controls, metrics and the last error of one session at a time.

    `apply` is the only thing that changes it. A `SessionStarted` event begins a new session: everything but
    the registered callbacks starts afresh. Callbacks fire during the fold, on the thread that folds.
    """

    def __init__(self, callbacks: CallbackManager | None = None) -> None:
        self.callbacks = callbacks or CallbackManager()
        self._reset()

    def _reset(self) -> None:
        self.status = Status.IDLE
        self.reason = ""
        self.target = ""
        self.title = ""
        self.protocol = ""
        self.session_id = ""
        self.recording = False
        self.muted = False
        self.volume = 1.0
        self.capture = ""
        self.playback = ""
        self.line = ""
        self.notice: NoticeRaised | None = None
        self.conditions: dict[tuple[str, Condition], ConditionChanged] = {}
        """What is the matter with audio now, by path ("capture", "playback") and condition."""
        self.last_error: ErrorRaised | None = None
        self.fatal_error: ErrorRaised | None = None
        """What ended the call, or kept it from beginning; where there are several, the first."""
        self.began_ns: int | None = None
        self.usage: dict[str, float] = {}
        """What the session has used so far (``total_tokens``), and what is left (``tokens left``)."""
        self._metrics = MetricsFold()

    @property
    def exit_code(self) -> ExitCode:
        """What came of the call, as far as its own end tells: nothing is said of how good it was."""
        if self.fatal_error is None:
            return ExitCode.FINE
        return exit_code_of(self.fatal_error, accepted=self.metrics.started_ns is not None)

    @property
    def metrics(self) -> SessionMetrics:
        """The figures so far."""
        return self._metrics.metrics

    def last_heard_ns(self, speaker: Party, now_ns: int) -> int | None:
        """When they were heard last: now, while they are; None: never yet."""
        return self._metrics.last_heard_ns(speaker, now_ns)

    def add_status_change_callback(self, callback: StateChangeCallback[Status]) -> Registration:
        """Call ``callback(old, new)`` at every step of the status."""
        return self.callbacks.register_callback(Area.STATUS, callback)

    def add_metrics_update_callback(self, callback: Callable[[SessionMetrics], object]) -> Registration:
        """Call ``callback(metrics)`` whenever a figure changed."""
        return self.callbacks.register_callback(Area.METRICS, callback)

    def add_controls_change_callback(self, callback: Callable[[SessionState], object]) -> Registration:
        """Call ``callback(state)`` when recording, mute, volume, devices, notice, spoken line or usage changed."""
        return self.callbacks.register_callback(Area.CONTROLS, callback)

    def add_error_callback(self, callback: ErrorCallback) -> Registration:
        """Call ``callback(SessionError, source)`` for every error of the session."""
        return self.callbacks.register_callback(Area.ERROR, callback)

    def add_completion_callback(self, callback: CompletionCallback[Completed]) -> Registration:
        """Call ``callback(event)`` when a caller line or a tool call finished, or a reply was played."""
        return self.callbacks.register_callback(Area.COMPLETION, callback)

    def apply(self, event: SessionEvent) -> None:
        """Fold one event and fire the callbacks of what it changed."""
        if isinstance(event, SessionStarted):
            self._begin(event)
        if self._metrics.apply(event):
            self.callbacks.trigger(Area.METRICS, self.metrics)
        match event:
            case StatusChanged():
                self.reason = event.reason
                self._update_status(event.new)
            case ErrorRaised():
                self.last_error = event
                if event.fatal:
                    self.fatal_error = self.fatal_error or event
                self.callbacks.trigger(Area.ERROR, SessionError(event), event.source)
            case _:
                if self._apply_controls(event):
                    self.callbacks.trigger(Area.CONTROLS, self)
        match event:
            case PlaybackEnded() | LineChanged(finished=True) | ToolChanged(finished=True):
                self.callbacks.trigger(Area.COMPLETION, event)
            case _:
                pass

    def _begin(self, event: SessionStarted) -> None:
        old = self.status
        self._reset()
        self.began_ns = event.at_ns
        self.target, self.title, self.protocol = event.target, event.title, event.protocol
        self.session_id = event.session_id
        self.callbacks.trigger(Area.STATUS, old, self.status)

    def _update_status(self, new_status: SessionStatus) -> None:
        """Update status and trigger callbacks."""
        old_status, self.status = self.status, new_status
        self.callbacks.trigger(Area.STATUS, old_status, new_status)

    def _apply_controls(self, event: SessionEvent) -> bool:
        match event:
            case RecordingChanged():
                self.recording = event.recording
            case MutedChanged():
                self.muted = event.muted
            case VolumeChanged():
                self.volume = event.volume
            case AudioOpened():
                self.capture, self.playback = event.capture, event.playback
            case LineChanged():
                self.line = "" if event.finished else event.name
            case NoticeRaised():
                self.notice = event
            case ConditionChanged():
                self._apply_condition(event)
            case UsageReported():
                self._count_usage(event)
            case _:
                return False
        return True

    def _apply_condition(self, event: ConditionChanged) -> None:
        if event.active and event.condition.lasts:
            self.conditions[event.path, event.condition] = event
        else:
            self.conditions.pop((event.path, event.condition), None)

    def _count_usage(self, event: UsageReported) -> None:
        for figure, value in event.figures.items():
            name = f"{figure} left" if event.what == RATE_LIMITS else figure
            if name in self.usage or len(self.usage) < MAX_USAGE_FIGURES:
                self.usage[name] = value if event.what == RATE_LIMITS else self.usage.get(name, 0) + value


SessionStatus = Status
"""The guide's name for the status."""
