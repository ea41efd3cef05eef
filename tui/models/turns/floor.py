"""Determines who has the floor and how it changes hands, from the audible speech of both parties.

The floor is the right to speak. A party that speaks alone has the floor until the other party takes it. Nothing
that a protocol reports is used, so the figures are comparable between agents that take turns and agents that
may speak at any time. The agent's own reports (barge-ins and speech events) are shown beside these figures.

All figures are based on stretches of speech, which are separated by at least half a second of silence; a
shorter silence is part of a stretch. Terms and definitions:

* Floor transfer offset: start of the new speaker's turn minus end of the previous speaker's; a gap is
  positive, an overlap negative. De Ruiter, Mitterer & Enfield (2006), Language 82, 515-535. People answer
  after about 200 ms (mean of ten languages 208 ms: Stivers et al. (2009), PNAS 106, 10587-10592).
* Gap, pause, overlap between speakers, overlap within a speaker: distinguished by who speaks before and after.
  Heldner & Edlund (2010), Journal of Phonetics 38, 555-568.
* Lapse: a silence long enough to end the turn even if the same party speaks next. Sacks, Schegloff &
  Jefferson (1974), Language 50, 696-735.
* Backchannel: short speech by the listener that does not take the floor. Yngve (1970), Chicago Linguistic
  Society 6, 567-578; up to one second long, as for the "very short utterances" of Edlund et al. (2010),
  Interspeech, and in Full-Duplex-Bench (2025).

Sound alone does not show the speaker's intention: a short "stop" followed by agent speech counts as a false
interruption, and a short answer in a pause of at most twice `Thresholds.backchannel_gap_ms` counts as a
backchannel.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from statistics import median
from typing import NamedTuple

import msgspec

from tui.models import events as e
from tui.models.turns.audible import KNOWN_AFTER_NS, Audible, Stretch
from tui.models.turns.figures import BACKCHANNEL_GAP_MS, BACKCHANNEL_MS, Thresholds
from tui.models.turns.talk import DEAD_AIR_NS
from tui.units import NS_PER_MS

PEOPLE_MS = 200.0
"""Mean floor transfer offset between people."""
TERMINAL_NS = 200_000_000
"""Shortest time in which anybody reacts to speech.

A floor holder who stops sooner than this after the other party's onset was about to stop anyway.
"""
RESUMES_NS = 2_000_000_000
"""Longest time within which the floor holder resumes after a false interruption."""
_ADJOINS_NS = 100_000_000
"""A silence of at most this length within a turn is not a pause, but a change from a sound to speech."""


class Speech(msgspec.Struct, omit_defaults=True):
    """A stretch of one party's speech that contains no silence of half a second or more."""

    began_ns: int
    by: e.Party
    event: int = 0
    """Number of the event that reported the start of the speech."""
    ended_ns: int | None = None
    """End of the speech; None until the end is known."""


class FloorTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A period in which one party held the floor, from its first sound to its last."""

    by: e.Party
    began_ns: int
    ended_ns: int | None = None
    """End of the turn; None until the end is known."""
    offset_ms: float | None = None
    """Floor transfer offset from the other party's turn to this turn: a gap or, if negative, an overlap.

    None if there was no earlier turn, or if the same party spoke last.
    """
    event: int = 0

    @property
    def length_ms(self) -> float | None:
        """Duration of the turn, including pauses."""
        return None if self.ended_ns is None else (self.ended_ns - self.began_ns) / NS_PER_MS


class TalkOver(msgspec.Struct, frozen=True, omit_defaults=True):
    """Speech of one party while the other holds the floor.

    Backchannels during which the holder kept talking, and overlaps with the last `TERMINAL_NS` of a turn, do
    not count.
    """

    at_ns: int
    """Onset of the party that did not hold the floor."""
    length_ms: float
    """Time until one of the parties was silent.

    If that party was the floor holder, this is the time that it took to yield.
    """
    held_by: e.Party
    gave_way: e.Party
    resumed_ms: float | None = None
    """Length of the silence before the holder continued, if the other party's speech was only a backchannel."""
    event: int = 0


class Backchannel(msgspec.Struct, frozen=True, omit_defaults=True):
    """Short speech by the party that did not hold the floor, after which the holder went on."""

    at_ns: int
    length_ms: float
    by: e.Party
    event: int = 0


class FloorPause(msgspec.Struct, frozen=True, omit_defaults=True):
    """A silence of both parties within a turn, after which the holder spoke again within two seconds."""

    at_ns: int
    length_ms: float
    by: e.Party
    event: int = 0
    """Number of the event that reported the end of the silence."""


class Floor(msgspec.Struct, omit_defaults=True):
    """The floor turns of a session, and all turn-taking events in chronological order."""

    user: list[Speech] = []
    agent: list[Speech] = []
    """The speech of each party, which is drawn as lanes."""
    turns: list[FloorTurn] = []
    talk_overs: list[TalkOver] = []
    backchannels: list[Backchannel] = []
    pauses: list[FloorPause] = []

    @property
    def holder(self) -> e.Party | None:
        """The party that holds the floor, as far as is known; None before the first speech."""
        return self.turns[-1].by if self.turns else None

    def offsets_ms(self, to: e.Party) -> list[float]:
        """Returns the floor transfer offsets of a party's turns."""
        return [turn.offset_ms for turn in self.turns if turn.by is to and turn.offset_ms is not None]

    def offset_ms(self, to: e.Party) -> float | None:
        """Returns the median floor transfer offset of a party's turns."""
        offsets_ms = self.offsets_ms(to)
        return median(offsets_ms) if offsets_ms else None

    def yields_ms(self, by: e.Party) -> list[float]:
        """Returns how long a party took to fall silent, for each time that it yielded the floor.

        The time starts at the other party's onset.
        """
        return [each.length_ms for each in self.talk_overs if each.held_by is by and each.gave_way is by]

    def longest(self, by: e.Party) -> FloorTurn | None:
        """Returns a party's longest completed turn. Backchannels by the other party do not end a turn."""
        over = [turn for turn in self.turns if turn.by is by and turn.length_ms is not None]
        return max(over, key=lambda turn: turn.length_ms or 0.0, default=None)


class _Fate(Enum):
    """Outcome of speech by the party that did not hold the floor."""

    TAKES = auto()
    """The speech takes the floor after the holder has ended."""
    INTERRUPTS = auto()
    """The speech takes the floor from the holder, who yields."""
    GIVES_WAY = auto()
    """The speech ends while the holder speaks."""
    BACKCHANNEL = auto()
    RESUMED = auto()
    """The speech was a backchannel at which the holder stopped, and then resumed."""


class _Standing(NamedTuple):
    """The state of the floor between two stretches of speech."""

    turn: FloorTurn | None = None
    """The current turn."""
    last: Speech | None = None
    """The latest speech of the holder."""
    heard_ns: int = 0
    """End of the latest speech of either party."""
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Lengths of the lists in `Floor`, not counting the current turn."""


class FloorFold:
    """Folds edges of speech into `Floor`. The edges may arrive out of order.

    Decisions depend on later speech (speech is a backchannel only if the holder goes on), and edges of the
    two tracks arrive up to `KNOWN_AFTER_NS` late. At each edge, the fold therefore judges the latest
    stretches again, and settles the stretches that can no longer change. The cost of an edge depends only on
    the number of unsettled stretches. Not thread-safe.
    """

    def __init__(self, floor: Floor, rules: Thresholds | None = None) -> None:
        self.floor = floor
        self._rules = rules or Thresholds()
        self._open: dict[e.Party, Speech] = {}
        self._tail: list[Speech] = []
        """Speech that is not settled yet, by onset."""
        self._settled = _Standing()
        self._newest_ns = 0
        self._closed = False

    def apply(self, event: e.SessionEvent, audible: Audible) -> bool:
        """Applies one event; returns whether a figure may have changed.

        ``audible`` must have processed the event first.
        """
        match event:
            case e.SpeechEdge(started=True) if event.speaker not in self._open:
                stretch = audible.current(event.speaker)
                if stretch is None or audible.is_background(stretch, event.at_ns):
                    return False
                self.begin(event.speaker, event.at_ns, event.number)
            case e.SpeechEdge(started=False) if event.speaker in self._open:
                if _is_background(audible.last(event.speaker), audible):
                    self._forget(event.speaker)
                else:
                    self.end(event.speaker, event.at_ns)
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR) if not self._closed:
                self.close(event.at_ns)
                return True
            case _:
                return False
        self._fold_again()
        return True

    def begin(self, by: e.Party, at_ns: int, event: int = 0) -> None:
        """Records the start of a party's speech."""
        lane = self._lane(by)
        before = lane[-1] if lane else None
        if before and before.ended_ns is not None and at_ns - before.ended_ns <= _ADJOINS_NS:
            before.ended_ns = None
            speech = before
        else:
            speech = Speech(at_ns, by, event)
            lane.append(speech)
            insort(self._tail, speech, key=_began_ns)
        self._open[by] = speech
        self._newest_ns = max(self._newest_ns, at_ns)

    def end(self, by: e.Party, at_ns: int) -> None:
        """Records the end of a party's speech."""
        speech = self._open.pop(by)
        speech.ended_ns = max(at_ns, speech.began_ns)
        self._newest_ns = max(self._newest_ns, at_ns)

    def close(self, at_ns: int) -> None:
        """Ends the session: ends ongoing speech, and decides all open questions."""
        for by in tuple(self._open):
            self.end(by, at_ns)
        self._closed = True
        self._fold_again()

    def _forget(self, by: e.Party) -> None:
        """Drops a sound that turned out to be background."""
        speech = self._open.pop(by)
        self._lane(by).remove(speech)
        if speech in self._tail:
            self._tail.remove(speech)

    def _lane(self, by: e.Party) -> list[Speech]:
        return self.floor.user if by is e.Party.USER else self.floor.agent

    def _fold_again(self) -> None:
        """Folds the unsettled speech, and settles the part that can no longer change."""
        floor, state = self.floor, self._settled
        turns, talk_overs, backchannels, pauses = state.counts
        del floor.turns[turns:], floor.talk_overs[talk_overs:]
        del floor.backchannels[backchannels:], floor.pauses[pauses:]
        settled = 0
        for place, speech in enumerate(self._tail):
            after = self._step(state, speech, self._tail[place + 1 :])
            if after is None:
                break
            if settled == place and self._is_certain(state, speech):
                settled, self._settled = place + 1, after
            state = after
        if state.turn and state.last:
            floor.turns.append(msgspec.structs.replace(state.turn, ended_ns=state.last.ended_ns))
        del self._tail[:settled]

    def _is_certain(self, state: _Standing, speech: Speech) -> bool:
        """Returns whether later edges can no longer change the outcome of the speech."""
        ends_ns = speech.ended_ns, state.last.ended_ns if state.last else 0
        return all(
            at_ns is not None and at_ns + RESUMES_NS + KNOWN_AFTER_NS < self._newest_ns for at_ns in ends_ns
        )

    def _step(self, state: _Standing, speech: Speech, later: Sequence[Speech]) -> _Standing | None:
        """Returns the state after a stretch of speech; None while its outcome is undecided."""
        turn, last = state.turn, state.last
        if turn is None or last is None:
            return self._took(state, speech, None)
        if speech.by is turn.by:
            return self._went_on(state, turn, speech)
        fate = self._fate(speech, last, later)
        if fate is None:
            return None
        floor, ended_ns, until_ns = self.floor, last.ended_ns, speech.ended_ns
        if fate in (_Fate.INTERRUPTS, _Fate.RESUMED):
            assert ended_ns is not None
            resumed_ms = _ms(ended_ns, later[0].began_ns) if fate is _Fate.RESUMED else None
            both_ms = _ms(speech.began_ns, ended_ns)
            over = TalkOver(speech.began_ns, both_ms, turn.by, turn.by, resumed_ms, speech.event)
            floor.talk_overs.append(over)
        if fate in (_Fate.INTERRUPTS, _Fate.TAKES):
            assert ended_ns is not None
            ended = msgspec.structs.replace(turn, ended_ns=ended_ns)
            floor.turns.append(ended)
            return self._took(state, speech, _ms(ended_ns, speech.began_ns))
        assert until_ns is not None
        length_ms = _ms(speech.began_ns, until_ns)
        if fate is _Fate.GIVES_WAY:
            over = TalkOver(speech.began_ns, length_ms, turn.by, speech.by, None, speech.event)
            floor.talk_overs.append(over)
        else:
            floor.backchannels.append(Backchannel(speech.began_ns, length_ms, speech.by, speech.event))
        return self._after(state, turn, last, speech)

    def _took(self, state: _Standing, speech: Speech, offset_ms: float | None) -> _Standing:
        """Returns the state after speech that takes the floor and begins a turn."""
        turn = FloorTurn(speech.by, speech.began_ns, None, offset_ms, speech.event)
        return self._after(state, turn, speech, speech)

    def _went_on(self, state: _Standing, turn: FloorTurn, speech: Speech) -> _Standing:
        """Returns the state after the holder of the floor has spoken again."""
        silent_ns = speech.began_ns - state.heard_ns
        if silent_ns > DEAD_AIR_NS:
            ended_ns = state.last.ended_ns if state.last else None
            self.floor.turns.append(msgspec.structs.replace(turn, ended_ns=ended_ns))
            return self._took(state, speech, None)
        if silent_ns > _ADJOINS_NS:
            self.floor.pauses.append(
                FloorPause(state.heard_ns, silent_ns / NS_PER_MS, speech.by, speech.event)
            )
        return self._after(state, turn, speech, speech)

    def _after(self, state: _Standing, turn: FloorTurn, last: Speech, speech: Speech) -> _Standing:
        floor = self.floor
        heard_ns = self._newest_ns if speech.ended_ns is None else speech.ended_ns
        counts = len(floor.turns), len(floor.talk_overs), len(floor.backchannels), len(floor.pauses)
        return _Standing(turn, last, max(state.heard_ns, heard_ns), counts)

    def _fate(self, speech: Speech, last: Speech, later: Sequence[Speech]) -> _Fate | None:
        """Returns the outcome of speech by the party without the floor; None while it is undecided."""
        began_ns, ended_ns, holder_ns = speech.began_ns, speech.ended_ns, last.ended_ns
        longest_ns, gap_ns = (
            round(ms * NS_PER_MS) for ms in (self._rules.backchannel_ms, self._rules.backchannel_gap_ms)
        )
        is_long = (self._newest_ns if ended_ns is None else ended_ns) - began_ns > longest_ns
        if holder_ns is None or (ended_ns is not None and began_ns < holder_ns and ended_ns <= holder_ns):
            # The holder is still speaking: until both ends are known, either party may have stopped first.
            if ended_ns is None:
                return None
            return _Fate.GIVES_WAY if is_long else _Fate.BACKCHANNEL
        both_ns = holder_ns - began_ns
        interrupts = both_ns >= TERMINAL_NS
        takes = _Fate.INTERRUPTS if interrupts else _Fate.TAKES
        if is_long or -both_ns > gap_ns:
            return takes
        if ended_ns is None:
            return None
        within_ns = RESUMES_NS if interrupts else gap_ns
        after = later[0] if later else None
        if after is None:
            is_over = self._closed or self._newest_ns > ended_ns + within_ns
            return takes if is_over else None
        goes_on = after.by is last.by and after.began_ns - ended_ns <= within_ns
        if not goes_on:
            return takes
        return _Fate.RESUMED if interrupts else _Fate.BACKCHANNEL


def floor_of(speech: Iterable[Speech], rules: Thresholds | None = None) -> Floor:
    """Returns the floor of a session from the speech of both parties.

    Speech without an end lasts until the last edge.
    """
    fold = FloorFold(Floor(), rules)
    newest_ns = 0
    for each in sorted(speech, key=_began_ns):
        fold.begin(each.by, each.began_ns, each.event)
        if each.ended_ns is not None:
            fold.end(each.by, each.ended_ns)
        newest_ns = max(newest_ns, each.began_ns, each.ended_ns or 0)
    fold.close(newest_ns)
    return fold.floor


def judged_by(floor: Floor, rules: Thresholds) -> Floor:
    """Returns the floor as judged by these rules. The default rules return it unchanged."""
    if (rules.backchannel_ms, rules.backchannel_gap_ms) == (BACKCHANNEL_MS, BACKCHANNEL_GAP_MS):
        return floor
    return floor_of([*floor.user, *floor.agent], rules)


def _is_background(stretch: Stretch | None, audible: Audible) -> bool:
    return (
        stretch is not None
        and stretch.ended_ns is not None
        and audible.is_background(stretch, stretch.ended_ns)
    )


def _ms(since_ns: int, until_ns: int) -> float:
    return (until_ns - since_ns) / NS_PER_MS


def _began_ns(speech: Speech) -> int:
    return speech.began_ns
