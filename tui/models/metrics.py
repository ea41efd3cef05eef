"""What is counted and measured of a session, as one documented structure and its fold.

The same for a live call, a headless one and a test: `MetricsFold.apply` is fed the session's events in order
and answers whether a figure changed.
"""

from __future__ import annotations

import msgspec

from tui.models.events import (
    Direction,
    ErrorRaised,
    FindingRaised,
    Flushed,
    Loss,
    LossCounted,
    MessageLogged,
    PlaybackEnded,
    PlaybackStarted,
    RoundTripMeasured,
    SessionEvent,
    Speaker,
    SpeechEdge,
    Status,
    StatusChanged,
    Transcribed,
)
from tui.models.turns import BargeIn, Turn

_NS_PER_MS = 1_000_000


class DeadAir(msgspec.Struct, frozen=True):
    """Nobody was heard."""

    at_ns: int
    length_ms: float


class SessionMetrics(msgspec.Struct, omit_defaults=True):
    """Figures of one session. A value that could not be measured is None, never 0."""

    started_ns: int | None = None
    """When the session became active."""
    ended_ns: int | None = None
    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    audio_sent_ms: float = 0.0
    audio_received_ms: float = 0.0
    audio_heard_ms: float = 0.0
    unknown_messages: int = 0
    errors: int = 0
    findings: int = 0
    interruptions: int = 0
    losses: dict[str, float] = {}
    """Loss name to amount, in the unit `tui.models.events.Loss` states."""
    round_trip_ms: float | None = None
    greeting_latency_ms: float | None = None
    """Session active to the first sample of the agent at the speaker."""
    response_latencies_ms: list[float] = []
    """Per answered turn: end of user speech at the microphone (or of a typed turn) to first agent sample at the
    speaker."""

    turns: list[Turn] = []
    """Turn 0 (the greeting), 1, 2, … with everything measured of each."""
    barge_ins: list[BargeIn] = []
    user_talk_ms: float | None = None
    agent_talk_ms: float | None = None
    overlap_ms: float | None = None
    """How long both were heard at once."""
    dead_air: list[DeadAir] = []
    """Where for more than two seconds nobody was heard."""

    @property
    def response_latency_ms(self) -> float | None:
        """Of the last answered turn."""
        return self.response_latencies_ms[-1] if self.response_latencies_ms else None

    @property
    def lost(self) -> bool:
        """Whether anything at all was lost that the user did not ask to drop."""
        return any(amount for loss, amount in self.losses.items() if Loss(loss).is_fault)

    def duration_s(self, now_ns: int) -> float | None:
        """How long the call has been (or was) active."""
        if self.started_ns is None:
            return None
        return ((self.ended_ns or now_ns) - self.started_ns) / 1e9


class MetricsFold:
    """Folds events into `SessionMetrics`. Plain data and no time of its own; one thread."""

    def __init__(self) -> None:
        self.metrics = SessionMetrics()
        self._findings: dict[str, int] = {}
        self._user_ended_ns: int | None = None
        self._agent_began_ns: int | None = None

    def apply(self, event: SessionEvent) -> bool:
        """Fold one event; True when a figure changed."""
        m = self.metrics
        match event:
            case MessageLogged():
                self._count_message(event)
            case StatusChanged(new=Status.ACTIVE) if m.started_ns is None:
                m.started_ns = event.at_ns
            case StatusChanged(new=Status.ENDED | Status.ERROR) if m.ended_ns is None:
                m.ended_ns = event.at_ns
            case ErrorRaised():
                m.errors += 1
            case FindingRaised():
                self._findings[event.rule] = event.count
                m.findings = sum(self._findings.values())
            case LossCounted():
                m.losses[event.loss.value] = m.losses.get(event.loss.value, 0) + event.count
            case Flushed():
                m.interruptions += 1
            case RoundTripMeasured():
                m.round_trip_ms = event.round_trip_ms
            case PlaybackStarted():
                self._agent_began(event.at_ns)
            case PlaybackEnded():
                m.audio_heard_ms += event.heard_ms
            case SpeechEdge(speaker=Speaker.USER):
                self._user_edge(event)
            case Transcribed(typed=True):
                self._user_ended_ns = event.at_ns
                self._agent_began_ns = self._agent_began_ns or 0
            case _:
                return False
        return True

    def _count_message(self, event: MessageLogged) -> None:
        m = self.metrics
        if event.direction is Direction.SENT:
            m.messages_sent += 1
            m.bytes_sent += event.size_bytes
            m.audio_sent_ms += event.audio_ms
        else:
            m.messages_received += 1
            m.bytes_received += event.size_bytes
            m.audio_received_ms += event.audio_ms
            m.unknown_messages += not event.known

    def _agent_began(self, at_ns: int) -> None:
        m = self.metrics
        if self._agent_began_ns is None and m.started_ns is not None and self._user_ended_ns is None:
            m.greeting_latency_ms = (at_ns - m.started_ns) / _NS_PER_MS
        self._agent_began_ns = at_ns
        self._measure_response()

    def _user_edge(self, edge: SpeechEdge) -> None:
        self._user_ended_ns = None if edge.started else edge.at_ns
        self._measure_response()

    def _measure_response(self) -> None:
        """The edge is reported after the silence that proves it, so the answer may be folded before it."""
        user, agent = self._user_ended_ns, self._agent_began_ns
        if user is not None and agent is not None and agent >= user:
            self.metrics.response_latencies_ms.append((agent - user) / _NS_PER_MS)
            self._user_ended_ns = None
