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
from tui.models.controls import Controls
from tui.models.events import (
    Condition,
    ConditionChanged,
    ErrorRaised,
    FindingRaised,
    LineChanged,
    MessageLogged,
    NoticeRaised,
    Party,
    PlaybackEnded,
    SessionEvent,
    SessionStarted,
    Status,
    StatusChanged,
    ToolChanged,
    UsageReported,
)
from tui.models.turns.audible import Audible
from tui.models.turns.metrics import MetricsFold, SessionMetrics

RATE_LIMITS = "rate limits"
"""Name of the `UsageReported` event that reports remaining limits rather than usage."""
MAX_USAGE_FIGURES = 64
"""Limit on the number of figures kept, because the agent chooses their names."""


class SessionError(Exception):
    """The exception that error callbacks receive for an `ErrorRaised` event."""

    def __init__(self, event: ErrorRaised) -> None:
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


Completed = PlaybackEnded | LineChanged | ToolChanged
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
        self.status = Status.IDLE
        self.reason = ""
        """Reason for the status, in words."""
        self.started: SessionStarted | None = None
        """The event that began the session; None before the first session."""
        self.controls = Controls()
        self.notice: NoticeRaised | None = None
        self.advice: FindingRaised | None = None
        """The latest advice, not counting repetitions of earlier advice."""
        self.conditions: dict[tuple[str, Condition], ConditionChanged] = {}
        """Ongoing audio problems, by path ("capture", "playback") and condition."""
        self.last_error: ErrorRaised | None = None
        self.fatal_error: ErrorRaised | None = None
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

    def last_heard_ns(self, speaker: Party, now_ns: int) -> int | None:
        """Returns when the party was last heard.

        Returns ``now_ns`` while the party is speaking, and None if it was never heard.
        """
        return self._metrics.last_heard_ns(speaker, now_ns)

    def add_status_change_callback(self, callback: StateChangeCallback[Status]) -> Registration:
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

    def apply(self, event: SessionEvent) -> None:
        """Applies one event, and fires the callbacks for the changes."""
        if isinstance(event, SessionStarted):
            self._begin(event)
        if self._metrics.apply(event):
            self.callbacks.trigger(Area.METRICS, self.metrics)
            if not (isinstance(event, MessageLogged) and event.audio_ms):
                self.callbacks.trigger(Area.TURNS, self.metrics)
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
        self.started = event
        self.callbacks.trigger(Area.STATUS, old, self.status)

    def _update_status(self, new_status: SessionStatus) -> None:
        """Updates the status and fires its callbacks."""
        old_status, self.status = self.status, new_status
        self.callbacks.trigger(Area.STATUS, old_status, new_status)

    def _apply_controls(self, event: SessionEvent) -> bool:
        match event:
            case MessageLogged():
                return False  # checked first, because most events are messages
            case NoticeRaised():
                self.notice = event
            case FindingRaised(advice=True, count=1):
                self.advice = event
            case ConditionChanged():
                self._apply_condition(event)
            case UsageReported():
                self._count_usage(event)
            case _:
                return self.controls.apply(event)
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


def _exit_code_of(fatal: ErrorRaised, *, accepted: bool) -> ExitCode:
    """Returns the exit code of a call that this error ended. ``accepted``: whether the call had become active."""
    match fatal:
        case ErrorRaised(source="engine"):
            return ExitCode.CRASHED
        case ErrorRaised(code="impossible"):
            return ExitCode.USAGE
        case ErrorRaised(source="agent", code="silent") if not accepted:
            return ExitCode.NOT_ANSWERED
        case ErrorRaised(source="socket") | ErrorRaised(code="unreachable" | "unknown") if not accepted:
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.PROTOCOL_ERROR


SessionStatus = Status
"""Alias for `Status`: the name used in the callbacks guide."""
