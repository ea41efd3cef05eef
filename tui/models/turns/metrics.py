"""SessionMetrics: the counts and measurements of a session.

`MetricsFold` computes `SessionMetrics` from events. Live calls, headless calls and tests use the same fold.
"""

from __future__ import annotations

import msgspec

from tui.audio.calibration import Timing
from tui.models import events as e
from tui.models.turns.audible import Audible
from tui.models.turns.barge_ins import BargeInFold
from tui.models.turns.floor import Floor, FloorFold
from tui.models.turns.talk import TalkFold
from tui.models.turns.trust import Trust
from tui.models.turns.turn_fold import TurnFold
from tui.models.turns.turns import (
    IN_TEXT,
    NOT_ANSWERED,
    ONLY_SILENCE,
    BargeIn,
    DeadAir,
    Percentiles,
    Turn,
    percentiles_of,
)
from tui.units import NS_PER_MS

TURN_EVENTS = (
    e.SpeechEdge,
    e.PlaybackStarted,
    e.Transcribed,
    e.KeysPressed,
    e.UserSpeech,
    e.ToolChanged,
    e.LatencyReported,
    e.EdgeDisputed,
)
"""Events that can change the figures of a turn but are not counted."""


class Stalls(msgspec.Struct, omit_defaults=True):
    """Periods in which a device delivered or accepted no audio."""

    count: int = 0
    lasted_ms: float = 0.0

    def __str__(self) -> str:
        times = "once" if self.count == 1 else f"{self.count:,} times"
        return f"{times}, {self.lasted_ms / 1000:.1f} s" if self.lasted_ms else f"{times}, ongoing"


class SessionMetrics(msgspec.Struct, omit_defaults=True):
    """Figures of one session. A value that could not be measured is None, never 0."""

    started_ns: int | None = None
    """When the session became active."""
    timing: Timing | None = None
    """Timing accuracy of the call's devices; None if there are no devices."""
    audio_starts_ns: int | None = None
    """The time that corresponds to 0 s in audio.wav; None during the call, or if a track is missing."""
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
    """Number of times that the agent broke a rule of the protocol."""
    advice: int = 0
    """Number of pieces of advice; not included in ``findings``."""
    interruptions: int = 0
    losses: dict[str, float] = {}
    """Amounts lost, by name of the loss, in units of `tui.models.events.Loss.unit`."""
    conditions: dict[str, int] = {}
    """Number of occurrences of each `tui.models.events.Condition`, by name."""
    stalls: dict[str, Stalls] = {}
    """Stalls and absences of a device, by path ("capture", "playback"). The duration of a stall is added when it
    ends."""
    round_trip_ms: float | None = None
    send_p50_ms: float | None = None
    """Median time from capture callback to socket over all blocks; known after the call."""
    send_p99_ms: float | None = None
    send_worst_ms: float | None = None
    turns: list[Turn] = []
    """The turns and their measurements, starting with turn 0 (the greeting)."""
    barge_ins: list[BargeIn] = []
    user_talk_ms: float | None = None
    agent_talk_ms: float | None = None
    overlap_ms: float | None = None
    """Talk-over: total time in which both parties spoke."""
    edges_compared: int | None = None
    """Number of edges of turns that a second detector checked.

    None if it did not run, for example because a track is missing.
    """
    edges_disputed: int = 0
    """Number of those edges that the second detector did not confirm; their turns are marked as uncertain."""
    edges_left_out: int = 0
    """Number of edges that could not be compared, for lack of time or audio."""
    dead_air: list[DeadAir] = []
    """Periods of more than two seconds in which nobody spoke."""
    floor: Floor = msgspec.field(default_factory=Floor)
    """Who held the floor and how it changed hands, judged by the default `Thresholds`.

    For other rules, use `tui.models.turns.floor.judged_by`.
    """

    @property
    def greeting_latency_ms(self) -> float | None:
        """Time from when the session became active to the agent's first audible sample at the speaker."""
        return self.turns[0].response_ms if self.turns and self.turns[0].number == 0 else None

    @property
    def response_latencies_ms(self) -> list[float]:
        """Response times of the answered turns in order, excluding the greeting."""
        measured = (turn.response_ms for turn in self.turns if turn.number)
        return [latency_ms for latency_ms in measured if latency_ms is not None]

    @property
    def response_latency_ms(self) -> float | None:
        """Response time of the last answered turn."""
        turn = self.last_answered
        return turn.response_ms if turn else None

    @property
    def last_answered(self) -> Turn | None:
        """The last turn with a response time."""
        return next(
            (turn for turn in reversed(self.turns) if turn.number and turn.response_ms is not None), None
        )

    @property
    def turns_not_answered(self) -> int:
        """Number of user turns without an audible or written answer; late answers do not count."""
        return sum(turn.unmeasured in (NOT_ANSWERED, ONLY_SILENCE) for turn in self.turns)

    @property
    def turns_answered_in_text(self) -> int:
        """Number of user turns that were answered in text but without sound."""
        return sum(turn.unmeasured == IN_TEXT for turn in self.turns)

    def percentiles(self) -> Percentiles:
        """Percentiles of the response times."""
        return percentiles_of(self.response_latencies_ms)

    @property
    def lost(self) -> bool:
        """Whether any data was lost unintentionally."""
        return any(amount for loss, amount in self.losses.items() if e.Loss(loss).is_fault)

    def duration_s(self, now_ns: int) -> float | None:
        """Returns the duration of the active call; while the call is active, the duration so far."""
        if self.started_ns is None:
            return None
        return ((self.ended_ns or now_ns) - self.started_ns) / 1e9


class MetricsFold:
    """Folds events into `SessionMetrics`. Uses only the times of events, never a clock. Not thread-safe."""

    def __init__(self) -> None:
        self.metrics = SessionMetrics()
        self._findings: dict[str, int] = {}
        self._advice: dict[str, int] = {}
        self.audible = Audible()
        self._trust = Trust()
        self._turns = TurnFold(self.metrics.turns, self.audible, self._trust)
        self._barge_ins = BargeInFold(self.metrics.barge_ins, self.audible, self._trust)
        self._stalls = StallFold(self.metrics.stalls)
        self._talk = TalkFold(self.audible)
        self._floor = FloorFold(self.metrics.floor)

    def apply(self, event: e.SessionEvent) -> bool:
        """Applies one event; returns whether a figure changed."""
        counted = self._count(event)
        if isinstance(event, e.MessageLogged) and event.audio_ms:
            return True  # most events are audio messages, which affect no other figures
        self.audible.apply(event)
        self._trust.apply(event)
        self._turns.apply(event)
        turn = self._turns.current
        changed = self._barge_ins.apply(event, turn.number if turn else 0)
        self._stalls.apply(event)
        if self._talk.apply(event):
            self._take_talk()
            changed = True
        changed |= self._floor.apply(event, self.audible)
        return counted or changed or isinstance(event, TURN_EVENTS)

    def _count(self, event: e.SessionEvent) -> bool:
        m = self.metrics
        match event:
            case e.MessageLogged():
                self._count_message(event)
            case e.StatusChanged(new=e.Status.ACTIVE) if m.started_ns is None:
                m.started_ns = event.at_ns
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR) if m.ended_ns is None:
                m.ended_ns = event.at_ns
            case e.ErrorRaised():
                m.errors += 1
            case e.FindingRaised(advice=True):
                self._advice[event.rule] = event.count
                m.advice = sum(self._advice.values())
            case e.FindingRaised():
                self._findings[event.rule] = event.count
                m.findings = sum(self._findings.values())
            case e.LossCounted():
                m.losses[event.loss.value] = m.losses.get(event.loss.value, 0) + event.count
            case e.ConditionChanged(active=True):
                m.conditions[event.condition.value] = m.conditions.get(event.condition.value, 0) + 1
            case e.Flushed():
                m.interruptions += 1
            case e.RoundTripMeasured():
                m.round_trip_ms = event.round_trip_ms
            case e.SendingMeasured():
                m.send_p50_ms, m.send_p99_ms = event.p50_ms, event.p99_ms
                m.send_worst_ms = event.worst_ms
            case e.EdgesCompared():
                m.edges_compared, m.edges_disputed = event.compared, event.disputed
                m.edges_left_out = event.left_out
            case e.PlaybackEnded():
                m.audio_heard_ms += event.heard_ms
            case e.AudioOpened():
                m.timing = event.timing
            case _:
                return False
        return True

    def _count_message(self, event: e.MessageLogged) -> None:
        m = self.metrics
        if event.direction is e.Direction.SENT:
            m.messages_sent += event.count
            m.bytes_sent += event.size_bytes
            m.audio_sent_ms += event.audio_ms
        else:
            m.messages_received += event.count
            m.bytes_received += event.size_bytes
            m.audio_received_ms += event.audio_ms
            m.unknown_messages += not event.known

    def _take_talk(self) -> None:
        m, talk = self.metrics, self._talk
        m.user_talk_ms = talk.talk_ms.get(e.Party.USER)
        m.agent_talk_ms = talk.talk_ms.get(e.Party.AGENT)
        m.overlap_ms, m.dead_air = talk.overlap_ms, talk.dead_air


class StallFold:
    """Folds device conditions into ``stalls``, by path.

    If a stalled device turns out to be lost, only one stall is counted.
    """

    def __init__(self, stalls: dict[str, Stalls]) -> None:
        self._stalls = stalls
        self._since_ns: dict[str, int] = {}
        """Start times of ongoing stalls, by path."""
        self._until_ns: dict[str, int] = {}

    def apply(self, event: e.SessionEvent) -> bool:
        """Applies one event; returns whether a figure changed."""
        match event:
            case e.ConditionChanged(condition=e.Condition.STALLED | e.Condition.VANISHED):
                if event.active:
                    self._begin(event.path, event.at_ns if event.since_ns is None else event.since_ns)
                else:
                    self._end(event.path, event.at_ns)
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR):
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
