"""Detects where the user spoke over the agent, and whether and when the agent yielded.

The agent's signal may precede the user's onset in the event stream: the detector emits an onset with a delay,
when the onset is certain, and back-dates it. A flush therefore counts as a false barge-in only if no user
speech that may have caused it is reported within one second.
"""

from __future__ import annotations

import msgspec

from tui.models import events as e
from tui.models.turns.audible import KNOWN_AFTER_NS, Audible
from tui.models.turns.trust import Trust
from tui.models.turns.turns import BargeIn, BargeInKind
from tui.units import NS_PER_MS

YIELD_NS = 1_000_000_000
"""Time limit for the agent to yield, and longest time between user speech and a flush caused by it."""
_LATE_ONES = 8
"""Number of recent barge-ins that a period of lateness may affect, which may become known ten seconds later."""
_PAUSED_MS = 500.0
"""A flush counts as dropping words if it drops more audio than this.

An agent that streams silence in real time has less in the queue.
"""


class CutReplies:
    """Tracks how much audio was received for replies whose playback has ended.

    Each event takes constant time. Audio of a flushed reply may still arrive after its `PlaybackEnded`, so
    the length of the reply is not final when its playback ends.
    """

    def __init__(self) -> None:
        self.received_ms: dict[str, float] = {}
        """Total heard, unplayed and late audio of each reply whose playback has ended, in ms."""
        self.cut_by: dict[str, int] = {}
        """Number of the flush that cut off each reply; 0 if unknown."""
        self.barge_in_of: dict[int, BargeIn] = {}
        """The barge-in that each flush belongs to, by the number of the flush."""
        self._last_flush = 0

    def apply(self, event: e.SessionEvent) -> float:
        """Applies one event.

        Returns how many ms of audio the event adds to a reply that was cut off.
        """
        match event:
            case e.Flushed():
                self._last_flush = event.number
            case e.PlaybackEnded():
                self.received_ms[event.reply] = event.heard_ms + event.unheard_ms
                if event.unheard_ms > 0:
                    self.cut_by[event.reply] = self._last_flush
            case e.LossCounted(loss=e.Loss.UNHEARD) if event.reply in self.received_ms and event.count > 0:
                self.cut_by.setdefault(event.reply, 0)
                return self._receive(event.reply, event.count)
            case e.ReplyEnded() if event.reply in self.cut_by:
                return self._receive(event.reply, event.received_ms - self.received_ms[event.reply])
        return 0.0

    def _receive(self, reply: str, more_ms: float) -> float:
        self.received_ms[reply] += max(more_ms, 0.0)
        return max(more_ms, 0.0)


class BargeInFold:
    """Folds events into ``barge_ins``, in constant time per event.

    ``audible`` and ``trust`` must process each event before this fold. ``audible`` shows whether the agent
    was speaking: speech over streamed silence is not a barge-in.
    """

    def __init__(self, barge_ins: list[BargeIn], audible: Audible, trust: Trust) -> None:
        self.barge_ins = barge_ins
        self._trust = trust
        self._audible = audible
        self._now_ns = 0
        self._newest: tuple[BargeIn, e.Flushed] | None = None
        """The latest barge-in to which the agent yielded, with its flush."""
        self._onset_ns: int | None = None
        """Time at which the user last started to speak."""
        self._speaking = False
        self._unspoken_ns: int | None = None
        """Time at which the user last typed or pressed a key. An agent that stops because of that yields."""
        self._signal_ns: int | None = None
        """Time at which the agent last signaled that it hears the user."""
        self._over: BargeIn | None = None
        """The current barge-in, to which the agent has not yet yielded."""
        self._flush: e.Flushed | None = None
        """A flush by the agent that no known user speech explains."""
        self._cut = CutReplies()

    def apply(self, event: e.SessionEvent, turn: int) -> bool:
        """Applies one event in turn number ``turn``; returns whether a barge-in was added or changed."""
        known = len(self.barge_ins)
        more_ms = self._cut.apply(event)
        self._now_ns = max(self._now_ns, event.at_ns)
        match event:
            case e.LossCounted() | e.ReplyEnded() if more_ms > 0:
                self._late(self._cut.cut_by[event.reply], more_ms)
            case e.KeysPressed() | e.Transcribed(typed=True):
                self._unspoken_ns = event.at_ns
            case e.UserSpeech(phase=e.SpeechPhase.STARTED):
                self._signal_ns = event.at_ns
            case e.SpeechEdge(speaker=e.Party.USER, started=True):
                self._onset(event, turn)
            case e.SpeechEdge(speaker=e.Party.USER):
                self._speaking = False
            case e.SpeechEdge(started=False):
                self._agent_ended()
            case e.Flushed(by_agent=True):
                self._flushed(event, turn)
            case e.Flushed():
                self._over = None
            case e.LatenessSeen():
                for barge_in in self.barge_ins[-_LATE_ONES:]:
                    self._doubt(barge_in)
        self._judge(turn)
        return len(self.barge_ins) != known or more_ms > 0

    def _late(self, number: int, late_ms: float) -> None:
        """Adds audio that arrived after the flush with this number to the flush's unplayed audio."""
        if self._flush is not None and self._flush.number == number:
            self._flush = msgspec.structs.replace(self._flush, unheard_ms=self._flush.unheard_ms + late_ms)
        elif number in self._cut.barge_in_of:
            self._cut.barge_in_of[number].unheard_ms += late_ms

    def _append(self, barge_in: BargeIn, flush: e.Flushed) -> None:
        self._add(barge_in)
        self._cut.barge_in_of[flush.number] = barge_in

    def _add(self, barge_in: BargeIn) -> None:
        barge_in.bias_ms, barge_in.bound_ms = self._trust.silence
        barge_in.signal_bound_ms = self._trust.one_device.bound_ms
        self.barge_ins.append(barge_in)
        self._doubt(barge_in)

    def _doubt(self, barge_in: BargeIn) -> None:
        """Marks a barge-in as uncertain if this program was late while it was measured."""
        if barge_in.at_ns is None:
            return
        lasted_ms = (barge_in.signal_ms, barge_in.silence_ms, barge_in.stop_ms)
        longest_ms = max((ms for ms in lasted_ms if ms is not None), default=0.0)
        end_ns = barge_in.at_ns + round(longest_ms * NS_PER_MS)
        reason, late_ms = self._trust.late_between(barge_in.at_ns, end_ns)
        if reason:
            barge_in.doubt, barge_in.error_ms = reason, max(barge_in.error_ms, late_ms)

    def _onset(self, edge: e.SpeechEdge, turn: int) -> None:
        self._onset_ns, self._speaking = edge.at_ns, True
        if self._flush is not None and abs(_asked_ns(self._flush) - edge.at_ns) <= YIELD_NS:
            flush, self._flush = self._flush, None
            over = BargeIn(kind=BargeInKind.YIELDED, turn=turn, at_ns=edge.at_ns, event=flush.number)
            self._yielded(over, flush)
        elif self._heard_at(edge.at_ns):
            self._over = BargeIn(kind=BargeInKind.MISSED, turn=turn, at_ns=edge.at_ns, event=edge.number)

    def _heard_at(self, at_ns: int) -> bool:
        return self._audible.heard_between(e.Party.AGENT, at_ns, at_ns)

    def _interrupts(self, onset_ns: int, flush: e.Flushed) -> bool:
        """Returns whether user speech began while the agent spoke, or in a pause of the agent's speech."""
        since_ns = onset_ns if flush.unheard_ms < _PAUSED_MS else onset_ns - YIELD_NS
        return self._audible.heard_between(e.Party.AGENT, since_ns, max(onset_ns, _silent_ns(flush)))

    def _agent_ended(self) -> None:
        """Drops the current barge-in if the agent was already silent.

        The detector reports silence half a second after the silence began.
        """
        over = self._over
        if over and over.at_ns is not None and not self._heard_at(over.at_ns):
            self._over = None
        if self._newest is None:
            return
        barge_in, flush = self._newest
        if barge_in.at_ns is not None and not self._interrupts(barge_in.at_ns, flush):
            self.barge_ins.remove(barge_in)
            del self._cut.barge_in_of[flush.number]
            self._newest = None

    def _flushed(self, flush: e.Flushed, turn: int) -> None:
        over = self._over
        if over is not None and over.at_ns is not None and _asked_ns(flush) - over.at_ns <= YIELD_NS:
            over.event, over.turn = flush.number, turn
            self._yielded(over, flush)
        else:
            self._flush = flush

    def _yielded(self, over: BargeIn, flush: e.Flushed) -> None:
        assert over.at_ns is not None
        self._over = None
        if not self._interrupts(over.at_ns, flush):
            return
        onset_ns, asked_ns, silent_ns = over.at_ns, _asked_ns(flush), flush.silent_ns
        # If the agent reports speech before it flushes, the report is its first reaction.
        signal_ns = asked_ns
        if self._signal_ns is not None and abs(asked_ns - self._signal_ns) <= YIELD_NS:
            signal_ns = min(self._signal_ns, asked_ns)
        over.kind = BargeInKind.YIELDED
        over.signal_ms = (signal_ns - onset_ns) / NS_PER_MS
        over.unheard_ms = flush.unheard_ms
        if silent_ns is not None:
            over.silence_ms = (silent_ns - onset_ns) / NS_PER_MS
            over.stop_ms = (silent_ns - asked_ns) / NS_PER_MS
            if self._audible.heard_between(e.Party.AGENT, onset_ns, max(onset_ns, silent_ns)):
                over.talk_over_ms = max(over.silence_ms, 0.0)
        self._append(over, flush)
        self._newest = over, flush

    def _judge(self, turn: int) -> None:
        """Decides an open barge-in or flush after one second, once all sound of that second is known."""
        # Uses event times rather than a clock, so that a replay yields the same results as the live session.
        over, flush = self._over, self._flush
        if over is not None and over.at_ns is not None:
            yielded_ns = over.at_ns + YIELD_NS
            if self._now_ns > yielded_ns + KNOWN_AFTER_NS:
                self._over = None
                if self._audible.heard_between(e.Party.AGENT, yielded_ns, yielded_ns):
                    over.talk_over_ms = YIELD_NS / NS_PER_MS
                    self._add(over)
        if flush is not None and self._now_ns - _asked_ns(flush) > YIELD_NS:
            self._flush = None
            asked_ns = _asked_ns(flush)
            heard = self._audible.heard_between(e.Party.AGENT, asked_ns - YIELD_NS, asked_ns)
            if heard and not self._user_acts_at(asked_ns):
                self._append(_false(flush, turn), flush)

    def _user_acts_at(self, at_ns: int) -> bool:
        return self._speaking or any(
            acted_ns is not None and abs(acted_ns - at_ns) <= YIELD_NS
            for acted_ns in (self._onset_ns, self._unspoken_ns)
        )


def _false(flush: e.Flushed, turn: int) -> BargeIn:
    asked_ns = _asked_ns(flush)
    stop_ms = None if flush.silent_ns is None else (flush.silent_ns - asked_ns) / NS_PER_MS
    return BargeIn(
        kind=BargeInKind.FALSE,
        turn=turn,
        event=flush.number,
        at_ns=asked_ns,
        stop_ms=stop_ms,
        unheard_ms=flush.unheard_ms,
    )


def _silent_ns(flush: e.Flushed) -> int:
    return _asked_ns(flush) if flush.silent_ns is None else flush.silent_ns


def _asked_ns(flush: e.Flushed) -> int:
    return flush.at_ns if flush.asked_ns is None else flush.asked_ns
