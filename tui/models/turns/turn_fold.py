"""Where turns begin, which event belongs to which, and TurnFold: turns with their latencies, broken down.

A turn begins with user speech, reported by the agent or measured here, with typed words, or with a pressed key, once
the agent has answered the previous one. Speech that continues or is reported twice begins no turn, nor does another
key. Turn 0 comes before the first: the greeting.

Events come in the order in which they became known, not in order of time: the end of the user's speech is emitted
after the silence that proves it, often after the first chunk of the answer, and the agent's first audible sample a
moment after it was played. So a turn is measured again whenever one of its instants becomes known.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from typing import NamedTuple

from tui.models import events as e
from tui.models.turns.turns import NOT_ANSWERED, LatencyParts, Turn
from tui.units import NS_PER_MS

EARLY_NS = 40_000_000
"""Tolerance for an audible sample that a detector dates before the first sample of its reply."""
_EXCERPT_CHARS = 2_000
_KEPT_LATENESSES = 32
_UNSPOKEN = ("typed", "keys")


class TurnBoundary:
    """Detects the events with which turns begin."""

    def __init__(self) -> None:
        self._answered = True
        self._began_ns = 0
        """Agent sound dated before this is not an answer, even if its event comes later."""

    def begins(self, event: e.SessionEvent) -> bool:
        """Whether a turn begins with the next event of the session."""
        match event:
            case (
                e.UserSpeech(phase=e.SpeechPhase.STARTED)
                | e.SpeechEdge(speaker=e.Party.USER, started=True)
                | e.Transcribed(typed=True)
                | e.KeysPressed()
            ):
                begins, self._answered = self._answered, False
                if begins:
                    self._began_ns = event.at_ns
                return begins
            case e.ReplyStarted() | e.PlaybackStarted():
                self._answered = True
            case e.SpeechEdge(speaker=e.Party.AGENT, started=True) if event.at_ns >= self._began_ns:
                self._answered = True
        return False


class TurnIndex:
    """Folds events, by their position in the log, into the positions at which turns begin."""

    def __init__(self) -> None:
        self.starts = array("I")
        """Positions at which turn 1, 2, … begins; later events never change them."""
        self._boundary = TurnBoundary()

    def apply(self, index: int, event: e.SessionEvent) -> None:
        """Fold the event at this position."""
        if self._boundary.begins(event):
            self.starts.append(index)

    def turn_of(self, index: int) -> int:
        """The turn of the event at this position; 0 before the first."""
        return bisect_right(self.starts, index)

    def start_of(self, turn: int) -> int | None:
        """The position at which a turn begins; None when there is no such turn."""
        if turn == 0:
            return 0
        return self.starts[turn - 1] if 0 < turn <= len(self.starts) else None


class _Playing(NamedTuple):
    """Times of the first reply of a turn when it began to play."""

    at_ns: int
    arrived_ns: int | None
    handed_ns: int | None


class _Measured:
    """A turn and the times it is measured from."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.end: e.SpeechEdge | None = None
        self.playing: _Playing | None = None
        self.audible_ns: int | None = None
        self.reported_ns: dict[str, int] = {}
        self.speech_began_ns: int | None = None
        self.transport_ms: float | None = None


class TurnFold:
    """Folds events into ``turns``, with constant work each. Uses no clock but the events' times."""

    def __init__(self, turns: list[Turn]) -> None:
        self.turns = turns
        self._boundary = TurnBoundary()
        self._now: _Measured | None = None
        self._active_ns: int | None = None
        self._of_reply: dict[str, _Measured] = {}
        self._heard: _Measured | None = None
        """The turn whose reply began to play last."""
        self._transport_ms: float | None = None
        self._latenesses: deque[e.LatenessSeen] = deque(maxlen=_KEPT_LATENESSES)

    @property
    def current(self) -> Turn | None:
        """The current turn; None before the session is active."""
        return self._now.turn if self._now else None

    def apply(self, event: e.SessionEvent) -> None:
        """Fold one event."""
        if self._boundary.begins(event):
            self._begin(event)
        if self._now:
            self._now.turn.last_event = event.number
        match event:
            case e.StatusChanged(new=e.Status.ACTIVE) if self._now is None:
                self._active_ns = event.at_ns
                self._begin(event, number=0)
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR) if self._now:
                self._explain(self._now)
            case e.SpeechEdge(speaker=e.Party.USER):
                self._user_edge(event)
            case e.SpeechEdge(speaker=e.Party.AGENT):
                self._agent_edge(event)
            case e.Transcribed():
                self._transcribed(event)
            case e.KeysPressed() if self._now:
                self._now.turn.keys = _joined(self._now.turn.keys, event.digits, "")
                self._ends_unspoken(self._now, event.at_ns, "keys")
            case e.UserSpeech(phase=e.SpeechPhase.STOPPED | e.SpeechPhase.COMMITTED):
                self._reported(f"speech {event.phase}", event.at_ns)
            case e.LatencyReported():
                self._latency_reported(event)
            case e.ReplyStarted():
                self._reply_started(event.reply)
            case e.PlaybackStarted():
                self._playback_started(event)
            case e.PlaybackEnded():
                self._playback_ended(event)
            case e.ToolChanged(finished=False) if self._now:
                self._now.turn.tools.append(event.name)
            case e.RoundTripMeasured():
                self._transport_ms = event.round_trip_ms
            case e.LatenessSeen():
                self._latenesses.append(event)
                for measured in (self._now, self._heard):
                    if measured:
                        self._doubt(measured)
            case _:
                pass

    # -- events --

    def _begin(self, event: e.SessionEvent, number: int | None = None) -> None:
        if self._now:
            self._explain(self._now)
        if number is None:
            number = self.turns[-1].number + 1 if self.turns else 1
        began_ns = event.at_ns if number == 0 else None
        self._now = _Measured(Turn(number=number, first_event=event.number, began_ns=began_ns))
        self.turns.append(self._now.turn)

    def _user_edge(self, edge: e.SpeechEdge) -> None:
        measured = self._now
        if measured is None or measured.turn.number == 0:
            return
        turn = measured.turn
        if edge.started:
            measured.speech_began_ns = edge.at_ns
            if turn.began_ns is None or turn.method in _UNSPOKEN:
                turn.began_ns = edge.at_ns
            measured.end = None
        else:
            if measured.speech_began_ns is not None:
                spoken_ms = (edge.at_ns - measured.speech_began_ns) / NS_PER_MS
                turn.user_speech_ms = (turn.user_speech_ms or 0.0) + spoken_ms
                measured.speech_began_ns = None
            measured.end = edge
            turn.method = edge.method
        self._measure(measured)

    def _transcribed(self, event: e.Transcribed) -> None:
        if event.speaker is e.Party.AGENT:
            measured = self._of_reply.get(event.item, self._now)
            if measured and event.final:
                measured.turn.agent_text = _joined(measured.turn.agent_text, event.text)
        elif self._now and event.final:
            self._now.turn.user_text = _joined(self._now.turn.user_text, event.text)
            if event.typed:
                self._now.turn.typed = True
                self._ends_unspoken(self._now, event.at_ns, "typed")
            else:
                self._reported("recognised", event.at_ns)

    def _ends_unspoken(self, measured: _Measured, at_ns: int, method: str) -> None:
        """Start waiting for the answer to typed words or keys when they are sent."""
        turn = measured.turn
        turn.began_ns = at_ns if turn.began_ns is None else turn.began_ns
        turn.method = method
        measured.end = e.SpeechEdge(
            at_ns=at_ns, speaker=e.Party.USER, started=False, method=method, sent_ns=at_ns
        )
        self._measure(measured)

    def _reply_started(self, reply: str) -> None:
        if self._now:
            self._now.turn.replies.append(reply)
            self._of_reply[reply] = self._now

    def _playback_started(self, event: e.PlaybackStarted) -> None:
        measured = self._of_reply.setdefault(event.reply, self._now) if self._now else None
        self._heard = measured
        if measured is None:
            return
        if event.reply not in measured.turn.replies:
            measured.turn.replies.append(event.reply)
        if measured.playing is None:
            measured.playing = _Playing(event.at_ns, event.arrived_ns, event.handed_ns)
            measured.transport_ms = self._transport_ms
            self._measure(measured)

    def _agent_edge(self, edge: e.SpeechEdge) -> None:
        measured = self._heard
        if measured is None or measured.playing is None:
            return
        if not edge.started:
            measured.turn.agent_ended_ns = edge.at_ns
        elif measured.audible_ns is None and edge.at_ns >= measured.playing.at_ns - EARLY_NS:
            measured.audible_ns = max(edge.at_ns, measured.playing.at_ns)
            self._measure(measured)

    def _playback_ended(self, event: e.PlaybackEnded) -> None:
        measured = self._of_reply.get(event.reply, self._now)
        if measured is None:
            return
        turn = measured.turn
        turn.agent_speech_ms = (turn.agent_speech_ms or 0.0) + event.heard_ms
        turn.agent_ended_ns = event.at_ns
        turn.interrupted = turn.interrupted or event.unheard_ms > 0

    def _reported(self, name: str, at_ns: int) -> None:
        """Note a report of the agent; if it repeats it at every pause, the last one counts."""
        if self._now and self._now.turn.number:
            self._now.reported_ns[name] = at_ns
            self._measure(self._now)

    def _latency_reported(self, event: e.LatencyReported) -> None:
        measured = self._of_reply.get(event.reply, self._now)
        if measured:
            measured.turn.reported_ms[event.name] = event.reported_ms

    # -- measuring --

    def _measure(self, measured: _Measured) -> None:
        turn, playing = measured.turn, measured.playing
        turn.user_ended_ns = measured.end.at_ns if measured.end else None
        began_ns = turn.user_ended_ns if turn.number else turn.began_ns
        turn.response_latency_ms, turn.unmeasured, turn.parts = None, "", LatencyParts()
        if turn.number and began_ns is not None:
            reported = {name: (at - began_ns) / NS_PER_MS for name, at in measured.reported_ns.items()}
            turn.reported_ms = {**turn.reported_ms, **reported}
        if playing is None:
            return
        turn.agent_began_ns = measured.audible_ns or playing.at_ns
        if began_ns is None:
            return
        if turn.agent_began_ns < began_ns:
            turn.unmeasured = "the agent started before the user finished"
            return
        if self._active_ns is not None and began_ns < self._active_ns:
            turn.unmeasured = "a time stamp is earlier than the start of the session"
            return
        turn.response_latency_ms = (turn.agent_began_ns - began_ns) / NS_PER_MS
        turn.parts = _parts(measured, playing, began_ns)
        if playing.arrived_ns is not None:
            before_ns = [at for at in measured.reported_ns.values() if at <= playing.arrived_ns]
            turn.unexplained_ms = _between(max(before_ns, default=None), playing.arrived_ns)
        self._doubt(measured)

    def _doubt(self, measured: _Measured) -> None:
        """Mark figures measured while the program itself was late."""
        turn = measured.turn
        if turn.response_latency_ms is None or turn.agent_began_ns is None:
            return
        end_ns = turn.agent_began_ns
        start_ns = end_ns - int(turn.response_latency_ms * NS_PER_MS)
        for lateness in self._latenesses:
            if lateness.since_ns <= end_ns and lateness.at_ns >= start_ns:
                turn.doubt = f"{lateness.what} was {lateness.late_ms:.0f} ms late"

    def _explain(self, measured: _Measured) -> None:
        """Set the reason why a finished turn has no response time, if it has none."""
        turn = measured.turn
        if turn.response_latency_ms is not None or turn.unmeasured:
            return
        if turn.empty:
            turn.unmeasured = "only the agent detected speech"
        elif measured.playing is None:
            turn.unmeasured = NOT_ANSWERED if turn.number else "no greeting"
        elif turn.began_ns is None:
            turn.unmeasured = "no user speech was detected"
        else:
            turn.unmeasured = "the end of user speech was not detected"


def _parts(measured: _Measured, playing: _Playing, began_ns: int) -> LatencyParts:
    end = measured.end
    captured_ns, sent_ns = (end.captured_ns, end.sent_ns) if end else (None, began_ns)
    agent_ms, transport_ms = _between(sent_ns, playing.arrived_ns), measured.transport_ms
    if end is None or agent_ms is None or transport_ms is None or transport_ms > agent_ms:
        transport_ms = None
    else:
        agent_ms -= transport_ms
    return LatencyParts(
        capture_ms=_between(began_ns, captured_ns) if end else None,
        sending_ms=_between(captured_ns, sent_ns),
        agent_ms=agent_ms,
        transport_ms=transport_ms,
        prebuffer_ms=_between(playing.arrived_ns, playing.handed_ns),
        device_ms=_between(playing.handed_ns, playing.at_ns),
        leading_silence_ms=_between(playing.at_ns, measured.audible_ns),
    )


def _between(start_ns: int | None, end_ns: int | None) -> float | None:
    """Duration in ms; None if an end is unknown, or if they are reversed by more than the accuracy of times."""
    if start_ns is None or end_ns is None or end_ns < start_ns - EARLY_NS:
        return None
    return (end_ns - start_ns) / NS_PER_MS


def _joined(text: str, more: str, by: str = " ") -> str:
    joined = f"{text}{by}{more}".strip()
    return joined if len(joined) <= _EXCERPT_CHARS else joined[: _EXCERPT_CHARS - 1] + "…"
