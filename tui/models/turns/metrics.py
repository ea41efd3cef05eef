"""What is counted and measured of a session, as one documented structure and its fold.

The same for a live call, a headless one and a test: `MetricsFold.apply` is fed the session's events in order
and answers whether a figure changed.
"""

from __future__ import annotations

import msgspec

from tui.models.events import (
    Condition,
    ConditionChanged,
    Direction,
    ErrorRaised,
    FindingRaised,
    Flushed,
    KeysPressed,
    LatencyReported,
    Loss,
    LossCounted,
    MessageLogged,
    Party,
    PlaybackEnded,
    PlaybackStarted,
    RoundTripMeasured,
    SendingMeasured,
    SessionEvent,
    SpeechEdge,
    Status,
    StatusChanged,
    ToolChanged,
    Transcribed,
    UserSpeech,
)
from tui.models.turns.barge_ins import BargeInFold
from tui.models.turns.talk import TalkFold
from tui.models.turns.turn_fold import TurnFold
from tui.models.turns.turns import NOT_ANSWERED, BargeIn, DeadAir, Percentiles, Turn, percentiles_of
from tui.units import NS_PER_MS

TOLD_OF_TURNS = (
    SpeechEdge,
    PlaybackStarted,
    Transcribed,
    KeysPressed,
    UserSpeech,
    ToolChanged,
    LatencyReported,
)
"""Events that change figures of a turn, beside those that are counted."""


class Stalls(msgspec.Struct, omit_defaults=True):
    """Of one device: the times in which no sound passed it."""

    count: int = 0
    lasted_ms: float = 0.0

    def __str__(self) -> str:
        times = "once" if self.count == 1 else f"{self.count:,} times"
        return f"{times}, {self.lasted_ms / 1000:.1f} s" if self.lasted_ms else f"{times}, not over"


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
    conditions: dict[str, int] = {}
    """`tui.models.events.Condition` to how often it arose."""
    stalls: dict[str, Stalls] = {}
    """"capture" or "playback" to how often that device stalled or was gone, and for how long; both while it is
    over, or the session is."""
    round_trip_ms: float | None = None
    send_p50_ms: float | None = None
    """Capture callback → socket, of all blocks; known when the call is over."""
    send_p99_ms: float | None = None
    send_worst_ms: float | None = None
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
    def greeting_latency_ms(self) -> float | None:
        """Session active to the agent's first audible sample at the speaker."""
        return self.turns[0].response_latency_ms if self.turns and self.turns[0].number == 0 else None

    @property
    def response_latencies_ms(self) -> list[float]:
        """Of the answered turns, in order; without the greeting."""
        measured = (turn.response_latency_ms for turn in self.turns if turn.number)
        return [latency_ms for latency_ms in measured if latency_ms is not None]

    @property
    def response_latency_ms(self) -> float | None:
        """Of the last answered turn."""
        measured = (turn.response_latency_ms for turn in reversed(self.turns) if turn.number)
        return next((latency_ms for latency_ms in measured if latency_ms is not None), None)

    @property
    def turns_not_answered(self) -> int:
        """How many turns of the user had no answer to the end; one that was late is none of them."""
        return sum(turn.unmeasured == NOT_ANSWERED for turn in self.turns)

    def percentiles(self) -> Percentiles:
        """Of the response latencies."""
        return percentiles_of(self.response_latencies_ms)

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
        self._turns = TurnFold(self.metrics.turns)
        self._barge_ins = BargeInFold(self.metrics.barge_ins)
        self._stalls = StallFold(self.metrics.stalls)
        self._talk = TalkFold()

    def apply(self, event: SessionEvent) -> bool:
        """Fold one event; True when a figure changed."""
        counted = self._count(event)
        if isinstance(event, MessageLogged) and event.audio_ms:
            return True  # most events of a call are these, and nothing else is in them
        self._turns.apply(event)
        turn = self._turns.current
        told = self._barge_ins.apply(event, turn.number if turn else 0)
        self._stalls.apply(event)
        if self._talk.apply(event):
            self._tell_talk()
            told = True
        return counted or told or isinstance(event, TOLD_OF_TURNS)

    def last_heard_ns(self, speaker: Party, now_ns: int) -> int | None:
        """When they were heard last: now, while they are; None: never yet."""
        return self._talk.last_heard_ns(speaker, now_ns)

    def _count(self, event: SessionEvent) -> bool:
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
            case ConditionChanged(active=True):
                m.conditions[event.condition.value] = m.conditions.get(event.condition.value, 0) + 1
            case Flushed():
                m.interruptions += 1
            case RoundTripMeasured():
                m.round_trip_ms = event.round_trip_ms
            case SendingMeasured():
                m.send_p50_ms, m.send_p99_ms = event.p50_ms, event.p99_ms
                m.send_worst_ms = event.worst_ms
            case PlaybackEnded():
                m.audio_heard_ms += event.heard_ms
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

    def _tell_talk(self) -> None:
        m, talk = self.metrics, self._talk
        m.user_talk_ms = talk.talk_ms.get(Party.USER)
        m.agent_talk_ms = talk.talk_ms.get(Party.AGENT)
        m.overlap_ms, m.dead_air = talk.overlap_ms, talk.dead_air


class StallFold:
    """Folds what is told of devices into ``stalls``, by path. A stall that is found to be a loss is one with it."""

    def __init__(self, stalls: dict[str, Stalls]) -> None:
        self._stalls = stalls
        self._since_ns: dict[str, int] = {}
        """By path, of what has not ended yet."""
        self._until_ns: dict[str, int] = {}

    def apply(self, event: SessionEvent) -> bool:
        """Fold one event; True when a figure changed."""
        match event:
            case ConditionChanged(condition=Condition.STALLED | Condition.VANISHED):
                if event.active:
                    self._begin(event.path, event.at_ns if event.since_ns is None else event.since_ns)
                else:
                    self._end(event.path, event.at_ns)
            case StatusChanged(new=Status.ENDED | Status.ERROR):
                for path in tuple(self._since_ns):
                    self._end(path, event.at_ns)
            case _:
                return False
        return True

    def _begin(self, path: str, since_ns: int) -> None:
        counted_until_ns = self._until_ns.get(path, since_ns)
        self._since_ns[path] = max(since_ns, counted_until_ns)
        self._stalls.setdefault(path, Stalls()).count += since_ns >= counted_until_ns

    def _end(self, path: str, at_ns: int) -> None:
        since_ns = self._since_ns.pop(path, None)
        if since_ns is not None:
            self._until_ns[path] = at_ns
            self._stalls[path].lasted_ms += (at_ns - since_ns) / NS_PER_MS
