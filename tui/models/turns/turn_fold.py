"""TurnBoundary finds where turns begin, TurnIndex finds the turn of an event, and TurnFold measures latencies.

A turn begins with user speech (reported by the agent or measured here), typed words or a pressed key, once
the agent has answered the previous turn. Continued speech, speech that is reported twice, and further keys do
not start a turn. Turn 0 is the greeting.

An answer begins where it is first heard. Messages and playback do not show where an answer begins: an agent
may stream silence or music between its words, and may greet before it accepts the session. If nothing is
heard, text counts as the answer. Agent speech that ends before the user's speech does (a backchannel) is not
an answer; the answer follows later.

Events arrive in the order in which they became known, not in chronological order. The end of the user's
speech is emitted after the silence that confirms it, often after the first chunk of the answer. The agent's
first audible sample is reported shortly after it was played. A turn is therefore measured again whenever one
of its times becomes known.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tui.models import events as e
from tui.models.turns.audible import KNOWN_AFTER_NS, Audible
from tui.models.turns.figures import BACKCHANNEL_MS
from tui.models.turns.trust import Trust
from tui.models.turns.turns import IN_TEXT, NOT_ANSWERED, ONLY_SILENCE, Dispute, LatencyParts, Turn
from tui.units import NS_PER_MS

EARLY_NS = 40_000_000
"""Tolerance for an audible sample that a detector places before the first sample of its reply."""
_SHORT_NS = round(BACKCHANNEL_MS * NS_PER_MS)
_EXCERPT_CHARS = 2_000
_KEPT_PLAYINGS = 8
_ANY_NS = -(2**63)
_UNSPOKEN = ("typed", "keys")
_LATE_ONES = 8
"""Number of recent turns that a period of lateness may affect, which may become known ten seconds later."""


@dataclass(slots=True)
class _During:
    """Sound or text of the agent during the user's speech."""

    since_ns: int
    until_ns: int | None = None
    """End of the sound or text; None until the end is known."""


class TurnBoundary:
    """Detects the events with which turns begin."""

    def __init__(self) -> None:
        self._turn = 0
        self._answered = True
        self._began_ns = 0
        """Agent sound that began before this time is not an answer, even if its event arrives later."""
        self._due_ns: int | None = None
        """When the latest reply began to be sent or played. A reply may be heard before its sound is detected."""
        self._speaking = False
        """Whether the user is being heard, as far as is known."""
        self._during: _During | None = None
        """Sound or text of the agent during the user's speech. It is an answer only if it outlasts the speech."""
        self._turn_of: dict[str, int] = {}
        """The turn in which each reply or text of the agent first appeared."""
        self.tools: set[str] = set()
        """Ids of tool calls in progress."""

    def begins(self, event: e.SessionEvent) -> bool:
        """Returns whether a turn begins with this event. Call it for each event of the session, in order."""
        match event:
            case (
                e.UserSpeech(phase=e.SpeechPhase.STARTED)
                | e.SpeechEdge(speaker=e.Party.USER, started=True)
                | e.Transcribed(typed=True)
                | e.KeysPressed()
            ):
                return self._user_acts(event)
            case e.ReplyStarted() | e.PlaybackStarted():
                self._turn_of.setdefault(event.reply, self._turn)
                self._due_ns = event.at_ns
            case e.Transcribed(speaker=e.Party.AGENT):
                first_seen = self._turn_of.setdefault(event.item, self._turn) if event.item else self._turn
                if first_seen == self._turn:
                    self._answers(_During(event.at_ns, event.at_ns))
            case e.SpeechEdge(speaker=e.Party.USER):
                self._user_ends(event.at_ns)
            case e.SpeechEdge(started=True) if event.at_ns >= self._began_ns:
                self._answers(_During(event.at_ns))
            case e.SpeechEdge() if self._during:
                self._during.until_ns = event.at_ns
            case e.ToolChanged():
                (self.tools.discard if event.finished else self.tools.add)(event.call)
        return False

    def _user_acts(self, event: e.SessionEvent) -> bool:
        # If the agent reports user speech while it speaks, it is being interrupted, whether or not the user
        # had paused.
        self._answered |= self._during is not None and self._during.until_ns is None
        begins = self._begins_at(event.at_ns)
        self._speaking |= isinstance(event, e.SpeechEdge)
        return begins

    def _begins_at(self, at_ns: int) -> bool:
        is_due = self._due_ns is not None and abs(at_ns - self._due_ns) <= KNOWN_AFTER_NS
        # A running tool keeps its turn open: what the agent has said so far is not its answer.
        if self.tools or not (self._answered or is_due):
            return False
        self._answered, self._began_ns, self._due_ns = False, at_ns, None
        self._speaking, self._during = False, None
        self._turn += 1
        return True

    def _answers(self, during: _During) -> None:
        if not self._speaking:
            self._answered = True
        elif self._during is None or self._during.until_ns is not None:
            self._during = during

    def _user_ends(self, at_ns: int) -> None:
        during, self._speaking, self._during = self._during, False, None
        self._answered |= during is not None and (during.until_ns is None or during.until_ns > at_ns)


class TurnIndex:
    """Records the positions in the log at which turns begin."""

    def __init__(self) -> None:
        self.starts = array("I")
        """Positions at which turns 1, 2, … begin; later events never change them."""
        self._boundary = TurnBoundary()

    def apply(self, index: int, event: e.SessionEvent) -> None:
        """Records whether a turn begins with the event at this position."""
        if self._boundary.begins(event):
            self.starts.append(index)

    def turn_of(self, index: int) -> int:
        """Returns the turn of the event at this position; 0 before the first turn."""
        return bisect_right(self.starts, index)

    def start_of(self, turn: int) -> int | None:
        """Returns the position at which a turn begins; None if there is no such turn."""
        if turn == 0:
            return 0
        return self.starts[turn - 1] if 0 < turn <= len(self.starts) else None


class _Playing(NamedTuple):
    """Times of a reply, recorded when it began to play."""

    at_ns: int
    arrived_ns: int | None
    handed_ns: int | None
    begun_ns: int | None
    """When the agent began to send the reply."""
    transport_ms: float | None
    """The latest round trip measured at that time."""


@dataclass(slots=True)
class _LastTool:
    """The periods in which the tools of a turn ran, and the first audible sample after the last tool."""

    began_ns: int | None = None
    """Start of the first tool that is still running; None if no tool is running."""
    ran_ns: list[tuple[int, int]] = field(default_factory=list)
    """Periods in which at least one tool ran."""
    ended_ns: int | None = None
    answered_ns: int | None = None


@dataclass(slots=True)
class _Sound:
    """A stretch of the agent's sound in a turn, and the reply in which it was first heard."""

    began_ns: int
    """Start of the sound, but never earlier than the first sample of the reply."""
    playing: _Playing | None
    ended_ns: int | None = None
    """End of the sound; None until the end is known."""


class _Measured:
    """A turn, and the times from which its figures are computed."""

    def __init__(self, turn: Turn, since_ns: int) -> None:
        self.turn = turn
        self.since_ns = since_ns
        """Agent sound that began before this time belongs to an earlier turn."""
        self.end: e.SpeechEdge | None = None
        self.sounds: list[_Sound] = []
        """Sounds of the agent in this turn, up to the answer."""
        self.begun_ns: dict[str, int] = {}
        """Time at which the agent began to send each reply of the turn."""
        self.reported_ns: dict[str, int] = {}
        self.speech_began_ns: int | None = None
        self.tool = _LastTool()
        self.played = False
        """Whether any part of the turn's replies left the speaker, audible or not."""
        self.user_words, self.agent_words = _Words(), _Words()

    @property
    def answer(self) -> _Sound | None:
        """The sound with which the agent answers; None if it has not answered, as far as is known.

        Sound that ended before the user's speech did is not an answer, unless it was too long for a
        backchannel and no other sound follows.
        """
        outside = (sound for sound in self.sounds if not self._is_within_speech(sound))
        long = (sound for sound in self.sounds if (sound.ended_ns or 0) - sound.began_ns > _SHORT_NS)
        return next(outside, None) or next(long, None)

    @property
    def audible_ns(self) -> int | None:
        """Time of the first audible sample of the answer."""
        return self.answer.began_ns if self.answer else None

    @property
    def playing(self) -> _Playing | None:
        """The times of the reply in which the answer was first heard."""
        return self.answer.playing if self.answer else None

    def heard(self, sound: _Sound) -> None:
        """Records a sound, unless the turn has been answered."""
        if all(self._is_within_speech(earlier) for earlier in self.sounds):
            self.sounds.append(sound)

    def _is_within_speech(self, sound: _Sound) -> bool:
        """Returns whether the user spoke before and after the sound, as far as is known."""
        began_ns, ended_ns = self.turn.began_ns, self.end.at_ns if self.end else None
        if began_ns is None or sound.ended_ns is None or sound.began_ns < began_ns:
            return False
        return self.speech_began_ns is not None if ended_ns is None else sound.ended_ns < ended_ns


class _Words:
    """The words of one party in a turn. Later words of the same item and part replace the earlier ones."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], str] = {}

    def put(self, event: e.Transcribed) -> str:
        """Stores final words under their item and part; without an item, adds them as new words.

        Returns all words of the turn.
        """
        key = (event.item, event.part) if event.item else ("", len(self._parts))
        self._parts[key] = event.text[: _EXCERPT_CHARS + 1]
        return _excerpt(" ".join(filter(None, self._parts.values())))


class TurnFold:
    """Folds events into ``turns``, in constant time per event.

    Uses only the times of events, never a clock. ``audible`` and ``trust`` must have processed each event
    first.
    """

    def __init__(self, turns: list[Turn], audible: Audible, trust: Trust) -> None:
        self.turns = turns
        self._audible = audible
        self._boundary = TurnBoundary()
        self._now: _Measured | None = None
        self._active_ns: int | None = None
        self._of_reply: dict[str, _Measured] = {}
        """The turn in which each reply or text of the agent first appeared."""
        self._earlier: _Measured | None = None
        """The previous turn."""
        self._playings: deque[_Playing] = deque(maxlen=_KEPT_PLAYINGS)
        self._sounding: list[tuple[_Measured, int]] = []
        """The turns to which the agent's current sound belongs, each with the time at which its part began."""
        self._of_speech: dict[str, _Measured] = {}
        """The turn in which the agent reported user speech, by item; a transcript may arrive turns later."""
        self._transport_ms: float | None = None
        self._trust = trust

    @property
    def current(self) -> Turn | None:
        """The current turn; None before the session is active."""
        return self._now.turn if self._now else None

    def apply(self, event: e.SessionEvent) -> None:
        """Applies one event."""
        if self._boundary.begins(event):
            self._begin(event)
        elif self._now is None and _is_of_agent(event):
            self._begin(event, number=0)  # the agent greets before it accepts the session
        if self._now:
            self._now.turn.last_event = event.number
        match event:
            case e.StatusChanged(new=e.Status.ACTIVE) if self._active_ns is None:
                self._active(event)
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR) if self._now:
                self._explain(self._now)
            case e.SpeechEdge(speaker=e.Party.USER):
                self._user_edge(event)
            case e.SpeechEdge(started=True):
                self._agent_begins(event.at_ns)
            case e.SpeechEdge():
                self._agent_ends(event.at_ns)
            case e.Transcribed():
                self._transcribed(event)
            case e.KeysPressed() if self._now:
                self._now.turn.keys = _excerpt(self._now.turn.keys + event.digits)
                self._ends_unspoken(self._now, event.at_ns, "keys")
            case e.UserSpeech():
                measured = self._turn_of_speech(event.item)
                if event.phase is not e.SpeechPhase.STARTED:
                    self._reported(measured, f"speech {event.phase}", event.at_ns)
            case e.LatencyReported():
                self._latency_reported(event)
            case e.ReplyStarted():
                self._reply_started(event)
            case e.PlaybackStarted():
                self._playback_started(event)
            case e.PlaybackEnded():
                self._playback_ended(event)
            case e.ToolChanged() if self._now:
                self._tool_changed(self._now, event)
            case e.RoundTripMeasured():
                self._transport_ms = event.round_trip_ms
            case e.LatenessSeen():
                for turn in self.turns[-_LATE_ONES:]:
                    self._doubt(turn)
            case e.EdgeDisputed():
                self._disputed(event)

    # -- events --

    def _begin(self, event: e.SessionEvent, number: int | None = None) -> None:
        if self._now:
            self._explain(self._now)
        if number is None:
            number = self.turns[-1].number + 1 if self.turns else 1
        since_ns = event.at_ns if number else _ANY_NS
        self._earlier, self._now = self._now, _Measured(Turn(number, event.number), since_ns)
        self.turns.append(self._now.turn)

    def _active(self, event: e.StatusChanged) -> None:
        self._active_ns = event.at_ns
        if self._now is None:
            self._begin(event, number=0)
        if self._now and self._now.turn.number == 0:
            self._now.turn.began_ns = event.at_ns
            self._measure(self._now)

    def _user_edge(self, edge: e.SpeechEdge) -> None:
        measured = self._now
        if measured is None or measured.turn.number == 0:
            return
        turn = measured.turn
        # Speech while a tool runs, after a first answer, is not a new question, so the figures stay
        # unchanged.
        waits_for_tool = bool(self._boundary.tools) and measured.audible_ns is not None
        if edge.started:
            measured.speech_began_ns = edge.at_ns
            if turn.began_ns is None or turn.method in _UNSPOKEN:
                turn.began_ns = edge.at_ns
            if not waits_for_tool:
                measured.end = None
        else:
            if measured.speech_began_ns is not None:
                spoken_ms = (edge.at_ns - measured.speech_began_ns) / NS_PER_MS
                turn.user_speech_ms = (turn.user_speech_ms or 0.0) + spoken_ms
                measured.speech_began_ns = None
            if not waits_for_tool or measured.end is None:
                measured.end = edge
                turn.method = edge.method
        self._measure(measured)

    def _transcribed(self, event: e.Transcribed) -> None:
        if event.speaker is e.Party.AGENT:
            measured = self._turn_of(event.item)
            if measured and event.text:
                if measured.turn.agent_text_ns is None:
                    measured.turn.agent_text_ns = event.at_ns
                    self._measure(measured)
                if event.final:
                    measured.turn.agent_text = measured.agent_words.put(event)
        elif (measured := self._turn_of_speech(event.item)) and event.final:
            measured.turn.user_text = measured.user_words.put(event)
            if event.typed:
                measured.turn.typed = True
                self._ends_unspoken(measured, event.at_ns, "typed")
            else:
                self._reported(measured, "recognised", event.at_ns)

    def _turn_of_speech(self, item: str) -> _Measured | None:
        """Returns the turn in which the agent first reported this speech; the current turn if the speech is new."""
        if item and self._now:
            return self._of_speech.setdefault(item, self._now)
        return self._now

    def _ends_unspoken(self, measured: _Measured, at_ns: int, method: str) -> None:
        """Ends the user's part of a turn with typed words or keys.

        The wait for the answer starts when the words or keys are sent.
        """
        turn = measured.turn
        turn.began_ns = at_ns if turn.began_ns is None else turn.began_ns
        turn.method = method
        measured.end = e.SpeechEdge(
            at_ns=at_ns, speaker=e.Party.USER, started=False, method=method, sent_ns=at_ns
        )
        self._measure(measured)

    def _turn_of(self, reply: str) -> _Measured | None:
        """Returns the turn in which the reply or text with this id first appeared; the current turn if it is new."""
        if self._now is None or not reply:
            return self._now
        return self._of_reply.setdefault(reply, self._now)

    def _reply_started(self, event: e.ReplyStarted) -> None:
        if self._now:
            self._now.turn.replies.append(event.reply)
            self._now.begun_ns[event.reply] = event.at_ns
            self._of_reply[event.reply] = self._now

    def _playback_started(self, event: e.PlaybackStarted) -> None:
        measured = self._turn_of(event.reply)
        begun_ns = measured.begun_ns.get(event.reply) if measured else None
        playing = _Playing(event.at_ns, event.arrived_ns, event.handed_ns, begun_ns, self._transport_ms)
        self._playings.append(playing)
        if measured is None:
            return
        if event.reply not in measured.turn.replies:
            measured.turn.replies.append(event.reply)
        answer = measured.answer
        if answer is not None and abs(answer.began_ns - event.at_ns) <= EARLY_NS:
            answer.playing = playing
            self._measure(measured)
        # A reply that follows another too closely for a pause to be detected has no separate edge.
        if self._sounding and self._audible.current(e.Party.AGENT) is not None:
            if measured is not self._sounding[-1][0] and measured.audible_ns is None:
                self._sounding.append((measured, event.at_ns))
            self._heard_in(measured, event.at_ns)

    def _agent_begins(self, at_ns: int) -> None:
        measured = self._now
        if measured and at_ns < measured.since_ns:
            measured = self._earlier
        if measured:
            self._sounding = [(measured, at_ns)]
            self._heard_in(measured, at_ns)

    def _heard_in(self, measured: _Measured, at_ns: int) -> None:
        """Records in a turn when the agent was first heard."""
        begun = [playing for playing in self._playings if playing.at_ns <= at_ns + EARLY_NS]
        playing = begun[-1] if begun else None
        ended_ns = measured.tool.ended_ns
        if ended_ns is not None and measured.tool.answered_ns is None and at_ns >= ended_ns:
            # A reply that was sent before the result belongs to the speech before the tool, even if it is
            # heard later.
            before = playing and playing.begun_ns is not None and playing.begun_ns < ended_ns <= playing.at_ns
            measured.tool.answered_ns = None if before else at_ns
        measured.heard(_Sound(max(at_ns, playing.at_ns) if playing else at_ns, playing))
        self._measure(measured)

    def _agent_ends(self, at_ns: int) -> None:
        sounding, self._sounding = self._sounding, []
        while len(sounding) > 1 and at_ns <= sounding[-1][1] + EARLY_NS:
            # The sound ended before the next reply began, so that reply has yet to be heard.
            measured, _ = sounding.pop()
            measured.sounds.pop()
            self._measure(measured)
        ends_ns = [since_ns for _, since_ns in sounding[1:]] + [at_ns]
        for (measured, since_ns), until_ns in zip(sounding, ends_ns, strict=False):
            turn = measured.turn
            turn.agent_speech_ms = (turn.agent_speech_ms or 0.0) + max(until_ns - since_ns, 0) / NS_PER_MS
            turn.agent_ended_ns = until_ns
            self._sound_ends(measured, until_ns)
            if measured.tool.answered_ns is not None and at_ns <= measured.tool.answered_ns:
                measured.tool.answered_ns = None
                self._measure(measured)

    def _sound_ends(self, measured: _Measured, at_ns: int) -> None:
        answer, newest = measured.answer, measured.sounds[-1]
        if newest.ended_ns is None:
            newest.ended_ns = max(at_ns, newest.began_ns)
        if measured.answer is not answer:
            self._measure(measured)

    def _playback_ended(self, event: e.PlaybackEnded) -> None:
        measured = self._turn_of(event.reply)
        if measured:
            measured.played = measured.played or event.heard_ms > 0
            measured.turn.interrupted = measured.turn.interrupted or event.unheard_ms > 0

    def _tool_changed(self, measured: _Measured, event: e.ToolChanged) -> None:
        tool = measured.tool
        if event.finished:
            tool.ended_ns = event.at_ns
            if tool.began_ns is not None and not self._boundary.tools:
                tool.ran_ns.append((tool.began_ns, event.at_ns))
                tool.began_ns = None
        else:
            measured.turn.tools.append(event.name)
            tool.began_ns = event.at_ns if tool.began_ns is None else tool.began_ns
        tool.answered_ns = None

    def _reported(self, measured: _Measured | None, name: str, at_ns: int) -> None:
        """Records a report from the agent. If the agent repeats a report at every pause, the last report counts."""
        if measured and measured.turn.number:
            measured.reported_ns[name] = at_ns
            self._measure(measured)

    def _latency_reported(self, event: e.LatencyReported) -> None:
        measured = self._turn_of(event.reply)
        if measured:
            measured.turn.reported_ms[event.name] = event.reported_ms

    def _disputed(self, event: e.EdgeDisputed) -> None:
        """Notes in the turn that the second detector did not confirm one of its edges."""
        turn = next((turn for turn in self.turns if turn.number == event.turn), None)
        if turn is None:
            return
        turn.disputes.append(Dispute(event.edge, event.first_ns, event.second_ns))
        turn.doubt = "; ".join(map(str, turn.disputes))
        off_ms = [abs(dispute.off_ms) for dispute in turn.disputes if dispute.off_ms is not None]
        # If only one detector found the edge, it may be off by any amount, so no bound is known.
        turn.error_ms = sum(off_ms) if len(off_ms) == len(turn.disputes) else None

    # -- measuring --

    def _measure(self, measured: _Measured) -> None:
        turn, audible_ns = measured.turn, measured.audible_ns
        turn.user_ended_ns = measured.end.at_ns if measured.end else None
        began_ns = turn.user_ended_ns if turn.number else turn.began_ns
        turn.response_latency_ms, turn.unmeasured, turn.parts = None, "", LatencyParts()
        turn.after_tools_ms = _between(began_ns, measured.tool.answered_ns)
        turn.unexplained_ms = turn.tools_ms = None
        if turn.number and began_ns is not None:
            reported = {name: (at - began_ns) / NS_PER_MS for name, at in measured.reported_ns.items()}
            turn.reported_ms = {**turn.reported_ms, **reported}
        turn.agent_began_ns = audible_ns
        if audible_ns is None:
            if turn.agent_text_ns is not None:
                turn.unmeasured = IN_TEXT if turn.number else "greeting in text"
            return
        if began_ns is None:
            return
        turn.unmeasured = self._why_unmeasured(measured, audible_ns, began_ns)
        if turn.unmeasured:
            return
        turn.response_latency_ms = (audible_ns - began_ns) / NS_PER_MS
        spoken = turn.number > 0 and turn.method not in _UNSPOKEN
        turn.bias_ms, turn.bound_ms = self._trust.response if spoken else self._trust.one_device
        turn.parts = _parts(measured, began_ns, turn.response_latency_ms)
        arrived_ns = measured.playing.arrived_ns if measured.playing else None
        if arrived_ns is not None and arrived_ns >= began_ns - EARLY_NS:
            ran_ns = [(since, until) for since, until in measured.tool.ran_ns if until <= arrived_ns]
            reports_ns = [*measured.reported_ns.values(), *(until for _, until in ran_ns)]
            before_ns = [at for at in reports_ns if at <= arrived_ns]
            turn.unexplained_ms = _between(max(before_ns, default=None), arrived_ns)
            tools_ms = sum(max(until - max(since, began_ns), 0) for since, until in ran_ns) / NS_PER_MS
            turn.tools_ms = tools_ms or None
        self._doubt(turn)

    def _why_unmeasured(self, measured: _Measured, audible_ns: int, began_ns: int) -> str:
        """Returns why the time between the user's speech and the answer does not count as a response time.

        Returns "" if the time counts.
        """
        playing, end = measured.playing, measured.end
        if self._active_ns is not None and measured.turn.number and began_ns < self._active_ns:
            return "a time stamp is earlier than the start of the session"
        # Withheld speech cannot delay the agent's answer, so the arrival of the answer counts, not its sound.
        withheld = end is not None and end.sent_ns is None and end.method not in _UNSPOKEN
        arrived_ns = playing.arrived_ns if playing and playing.at_ns >= measured.since_ns else None
        if withheld and arrived_ns is not None and arrived_ns < began_ns - EARLY_NS:
            audible_ns = arrived_ns
        if audible_ns >= began_ns:
            return ""
        if measured.turn.number:
            return "the agent started before the user finished"
        return "the greeting started before the agent accepted the session"

    def _doubt(self, turn: Turn) -> None:
        """Marks a turn as uncertain if this program was late while it was measured."""
        if turn.response_latency_ms is None or turn.agent_began_ns is None:
            return
        end_ns = turn.agent_began_ns
        start_ns = end_ns - int(turn.response_latency_ms * NS_PER_MS)
        reason, late_ms = self._trust.late_between(start_ns, end_ns)
        if reason:
            turn.doubt, turn.error_ms = reason, max(turn.error_ms or 0.0, late_ms)

    def _explain(self, measured: _Measured) -> None:
        """If a finished turn has no response time, records the reason."""
        turn = measured.turn
        if measured.audible_ns is None and turn.interrupted:
            turn.unmeasured = "the answer was cut off before it was heard"
        if turn.response_latency_ms is not None or turn.unmeasured:
            return
        if turn.empty:
            turn.unmeasured = "only the agent detected speech"
        elif measured.speech_began_ns is not None and measured.sounds:
            turn.unmeasured = "the end of user speech was not detected"
        elif measured.audible_ns is None and turn.number:
            turn.unmeasured = ONLY_SILENCE if measured.played else NOT_ANSWERED
        elif measured.audible_ns is None:
            turn.unmeasured = "no greeting"
        elif turn.began_ns is None:
            turn.unmeasured = "no user speech was detected"
        else:
            turn.unmeasured = "the end of user speech was not detected"


def _is_of_agent(event: e.SessionEvent) -> bool:
    """Returns whether the event shows that the agent has started its greeting."""
    match event:
        case e.ReplyStarted() | e.PlaybackStarted():
            return True
        case e.SpeechEdge() | e.Transcribed():
            return event.speaker is e.Party.AGENT
        case _:
            return False


def _parts(measured: _Measured, began_ns: int, latency_ms: float) -> LatencyParts:
    end, playing = measured.end, measured.playing
    captured_ns, sent_ns = (end.captured_ns, end.sent_ns) if end else (None, began_ns)
    framed_ns = end.framed_ns if end else None
    capture_ms = _between(began_ns, captured_ns) if end else None
    framing_ms = _between(captured_ns, framed_ns)
    sending_ms = _between(captured_ns if framed_ns is None else framed_ns, sent_ns)
    if playing is None or (playing.arrived_ns is not None and playing.arrived_ns < began_ns - EARLY_NS):
        # The answer is part of a stream that began earlier, so the arrival time of its first sample is
        # unknown.
        ours = LatencyParts(capture_ms=capture_ms, framing_ms=framing_ms, sending_ms=sending_ms)
        return ours if sum(length_ms for _, length_ms in ours.known()) <= latency_ms else LatencyParts()
    agent_ms, transport_ms = _between(sent_ns, playing.arrived_ns), playing.transport_ms
    if end is None or agent_ms is None or transport_ms is None or transport_ms > agent_ms:
        transport_ms = None
    else:
        agent_ms -= transport_ms
    return LatencyParts(
        capture_ms=capture_ms,
        framing_ms=framing_ms,
        sending_ms=sending_ms,
        agent_ms=agent_ms,
        transport_ms=transport_ms,
        prebuffer_ms=_between(playing.arrived_ns, playing.handed_ns),
        device_ms=_between(playing.handed_ns, playing.at_ns),
        leading_silence_ms=_between(playing.at_ns, measured.audible_ns),
    )


def _between(start_ns: int | None, end_ns: int | None) -> float | None:
    """Returns the duration between two times, in ms.

    Returns None if either time is unknown, or if the end precedes the start by more than the tolerance.
    """
    if start_ns is None or end_ns is None or end_ns < start_ns - EARLY_NS:
        return None
    return (end_ns - start_ns) / NS_PER_MS


def _excerpt(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _EXCERPT_CHARS else text[: _EXCERPT_CHARS - 1] + "…"
