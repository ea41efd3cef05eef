"""Turn-taking figures and moments, as the screen, `metrics`, `--json` and the report show them.

The functions expect a `Floor` to which `tui.models.turns.floor.judged_by` has applied the user's rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from statistics import median

import msgspec

from tui.audio.calibration import Bound, Timing
from tui.models import events as e
from tui.models.turns.figures import Figure, timed
from tui.models.turns.floor import PEOPLE_MS, Backchannel, Floor, FloorPause, TalkOver
from tui.text import numbers


class SideOfFloor(msgspec.Struct, frozen=True):
    """The turn-taking figures of one party."""

    turns: int
    """Number of times the party held the floor."""
    offset: Figure
    """Median floor transfer offset of the party's turns; negative if they began before the other party's ended."""
    offsets: int
    """Number of offsets in the median."""
    gave_way: int
    """Number of talk-overs in which the party fell silent first, regardless of who held the floor."""
    yields: int
    """Number of those talk-overs in which the party held the floor."""
    yielded: Figure
    """Median time from the other party's onset to this party's silence, when it yielded."""
    slowest_yield: Figure
    false_interruptions: int
    """Number of yields after which the party went on, because the other party spoke only a backchannel."""
    resumed: Figure
    """Median silence before the party went on."""
    backchannels: int
    pauses: int
    """Number of pauses within the party's turns."""
    pause: Figure
    """Median length of these pauses."""
    longest_ms: float | None
    """The party's longest monologue."""


class FloorFigures(msgspec.Struct, frozen=True):
    """The turn-taking figures of both parties."""

    user: SideOfFloor
    agent: SideOfFloor
    talk_overs: int
    people_offset_ms: float = PEOPLE_MS
    """The floor transfer offset between people, for comparison."""


class MomentKind(StrEnum):
    """Kinds of turn-taking moments."""

    TURN = "turn"
    TALK_OVER = "talk-over"
    BACKCHANNEL = "backchannel"
    PAUSE = "pause"


class FloorMoment(msgspec.Struct, frozen=True):
    """A turn-taking event, described in words."""

    kind: MomentKind
    by: e.Party
    """The party that took the floor, spoke over the other, spoke the backchannel or paused."""
    at_ns: int
    until_ns: int | None
    figure: Figure
    """The offset, or the length of the talk-over, backchannel or pause."""
    words: str
    event: int
    """Number of the event at which the moment can be found."""


class _Times:
    """Converts turn-taking times to figures, with the ± of the devices.

    A time from one party's edge to the other's depends on the delays of both devices. A time from the user's
    edge to the agent's has the bias of a response time. A time from the agent's edge to the user's has the
    same bias with the opposite sign. Between two edges of one party, the delay of the device cancels out.
    """

    def __init__(self, timing: Timing | None) -> None:
        self._offset = timing.response if timing else Bound()
        self._silence = timing.silence if timing else Bound()

    def offset(self, ms: float | None, to: e.Party) -> Figure:
        return _between(ms, self._offset, to)

    def given_way(self, ms: float | None, by: e.Party) -> Figure:
        """Returns the time from the other party's onset until the floor holder ``by``, who yielded, was silent."""
        return _between(ms, self._silence, by)

    def of(self, over: TalkOver) -> Figure:
        """Returns the length of a talk-over."""
        gave_way = over.gave_way is over.held_by
        return self.given_way(over.length_ms, over.held_by) if gave_way else timed(over.length_ms)


def floor_figures(floor: Floor, timing: Timing | None = None) -> FloorFigures:
    """Returns the turn-taking figures, with the ± of the devices."""
    times = _Times(timing)
    user, agent = (_side(floor, by, times) for by in (e.Party.USER, e.Party.AGENT))
    return FloorFigures(user, agent, talk_overs=len(floor.talk_overs))


def floor_lines(figures: FloorFigures) -> Iterator[tuple[str, str]]:
    """Yields each figure as a name and a phrase.

    Yields nothing if the floor never changed hands and nobody was interrupted.
    """
    agent, user = figures.agent, figures.user
    if not (agent.offsets or user.offsets or figures.talk_overs):
        return
    sides = [("agent", agent), ("user", user)]
    offsets = [
        f"{name} {side.offset} after the other's end (median of {side.offsets})"
        for name, side in sides
        if side.offsets
    ]
    yield "floor", f"{'; '.join(offsets) or 'never changed hands'}; people {PEOPLE_MS:.0f} ms"
    if figures.talk_overs:
        gave_way = ", ".join(
            f"{name} gave way {_times(side.gave_way)}" for name, side in sides if side.gave_way
        )
        both = agent.gave_way and user.gave_way
        yield "talk-over", f"{_times(figures.talk_overs)}: {gave_way}" if both else gave_way
    for name, side in sides:
        if side.yields:
            worst = f", slowest {side.slowest_yield}" if side.yields > 1 else ""
            yield (
                "yield",
                f"{name} silent {side.yielded} after the other's onset (median of {side.yields}{worst})",
            )
        if side.false_interruptions:
            after = f"{side.resumed}{' (median)' if side.false_interruptions > 1 else ''}"
            stopped = f"{name} stopped for a backchannel {_times(side.false_interruptions)}"
            yield "resumed", f"{stopped}, and resumed after {after}"
    for word, counts in (
        ("backchannel", [(name, side.backchannels, "") for name, side in sides]),
        ("pause", [(name, side.pauses, f" (median {side.pause})") for name, side in sides]),
    ):
        said = [f"{name} {_times(count)}{more if count else ''}" for name, count, more in counts if count]
        if said:
            yield word, ", ".join(said)
    longest = [
        f"{name} {numbers.seconds(side.longest_ms)}" for name, side in sides if side.longest_ms is not None
    ]
    if longest:
        yield "longest", f"{', '.join(longest)} without a change of speaker"


def moments_of(floor: Floor, timing: Timing | None = None) -> list[FloorMoment]:
    """Returns the turn-taking moments in chronological order, with the ± of the devices."""
    times = _Times(timing)
    found = [*_turns(floor, times), *_talk_overs(floor, times)]
    found += [_lasting(MomentKind.BACKCHANNEL, each, "backchannel") for each in floor.backchannels]
    found += [_lasting(MomentKind.PAUSE, each, "pauses") for each in floor.pauses]
    return sorted(found, key=lambda moment: moment.at_ns)


def _between(ms: float | None, error: Bound, until: e.Party) -> Figure:
    """Returns the time from an edge of one party's speech to an edge of the other's.

    ``until`` is the party whose edge ends the measured time.
    """
    bias_ms = error.bias_ms if until is e.Party.AGENT else -error.bias_ms
    return timed(None if ms is None else ms - bias_ms, error.bound_ms)


def _turns(floor: Floor, times: _Times) -> Iterator[FloorMoment]:
    for turn in floor.turns:
        offset = times.offset(turn.offset_ms, turn.by)
        if offset.ms is None:
            words = f"{turn.by} begins"
        elif offset.ms < 0:
            words = f"{turn.by} takes the floor before {turn.by.other} ends"
        else:
            words = f"{turn.by} takes the floor after a gap"
        length_ms = turn.length_ms
        words += f", for {numbers.seconds(length_ms)}" if length_ms is not None else ", and holds it"
        yield FloorMoment(MomentKind.TURN, turn.by, turn.began_ns, turn.ended_ns, offset, words, turn.event)


def _talk_overs(floor: Floor, times: _Times) -> Iterator[FloorMoment]:
    for over in floor.talk_overs:
        by = over.held_by.other
        words = f"{by} speaks over {over.held_by}, {over.gave_way} gives way"
        if over.resumed_ms is not None:
            words += f" and resumes after {timed(over.resumed_ms)}: a false interruption"
        until_ns = over.at_ns + round(over.length_ms * 1e6)
        yield FloorMoment(MomentKind.TALK_OVER, by, over.at_ns, until_ns, times.of(over), words, over.event)


def _lasting(kind: MomentKind, each: Backchannel | FloorPause, does: str) -> FloorMoment:
    until_ns = each.at_ns + round(each.length_ms * 1e6)
    words = f"{each.by} {does}"
    return FloorMoment(kind, each.by, each.at_ns, until_ns, timed(each.length_ms), words, each.event)


def _side(floor: Floor, by: e.Party, times: _Times) -> SideOfFloor:
    yields_ms = floor.yields_ms(by)
    resumed_ms = [
        each.resumed_ms for each in floor.talk_overs if each.held_by is by and each.resumed_ms is not None
    ]
    pauses_ms = [each.length_ms for each in floor.pauses if each.by is by]
    longest = floor.longest(by)
    return SideOfFloor(
        turns=sum(turn.by is by for turn in floor.turns),
        offset=times.offset(floor.offset_ms(by), by),
        offsets=len(floor.offsets_ms(by)),
        gave_way=sum(each.gave_way is by for each in floor.talk_overs),
        yields=len(yields_ms),
        yielded=times.given_way(median(yields_ms) if yields_ms else None, by),
        slowest_yield=times.given_way(max(yields_ms, default=None), by),
        false_interruptions=len(resumed_ms),
        resumed=_median(resumed_ms),
        backchannels=sum(each.by is by for each in floor.backchannels),
        pauses=len(pauses_ms),
        pause=_median(pauses_ms),
        longest_ms=longest.length_ms if longest else None,
    )


def _median(values_ms: Sequence[float]) -> Figure:
    return timed(median(values_ms) if values_ms else None)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
