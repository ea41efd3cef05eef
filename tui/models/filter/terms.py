"""What filters are made of. A filter takes positions of events and gives those that match, in their order.

It works on many positions at once, on the columns of the log, because a call of a function for each of a
million events would cost more than the comparison it makes. Terms print as `tui.models.filter.language` reads them.
"""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tui.models.events import Direction
from tui.models.filter.patterns import Pattern
from tui.models.log.describe import Severity
from tui.models.log.event_log import EventLog
from tui.models.log.marks import Marks
from tui.models.log.storage import Shape
from tui.units import NS_PER_S


class Context(NamedTuple):
    """What events are judged by, beside themselves."""

    log: EventLog
    marks: Marks


class Filter(msgspec.Struct, frozen=True):
    """A condition on events."""

    def __call__(self, among: Sequence[int], context: Context) -> Sequence[int]:
        """The positions among these, ascending ones, whose events match."""
        return self._select(among, context)

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        raise NotImplementedError


class Everything(Filter, frozen=True):
    """The empty filter."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return among

    def __str__(self) -> str:
        return ""


class And(Filter, frozen=True):
    """All of them."""

    terms: tuple[Filter, ...]

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        for term in self.terms:
            among = term(among, context)
        return among

    def __str__(self) -> str:
        return " and ".join(map(_inside, self.terms))


class Or(Filter, frozen=True):
    """Any of them."""

    terms: tuple[Filter, ...]

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        found: set[int] = set()
        for term in self.terms:
            found.update(term([index for index in among if index not in found], context))
        return sorted(found)

    def __str__(self) -> str:
        return " or ".join(map(_inside, self.terms))


class Not(Filter, frozen=True):
    """What does not match."""

    term: Filter

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        found = set(self.term(among, context))
        return [index for index in among if index not in found]

    def __str__(self) -> str:
        return f"not {_inside(self.term)}"


class Text(Filter, frozen=True):
    """Words or a regular expression in the summary or the kind: in what a row shows."""

    pattern: Pattern

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        by_kind = _shaped(among, context, lambda shape: self.pattern.matches(shape.kind))
        if not by_kind:
            return self.pattern.select(among, context.log.events.texts)
        found = set(by_kind)
        rest = [index for index in among if index not in found]
        return sorted(by_kind + self.pattern.select(rest, context.log.events.texts))

    def __str__(self) -> str:
        return str(self.pattern)


class Kind(Filter, frozen=True):
    """Words or a regular expression in the kind."""

    pattern: Pattern

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _shaped(among, context, lambda shape: self.pattern.matches(shape.kind))

    def __str__(self) -> str:
        return f"kind:{self.pattern}"


class DirectionTerm(Filter, frozen=True):
    """Sent, received, or our own."""

    direction: Direction | None

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _shaped(among, context, lambda shape: shape.direction is self.direction)

    def __str__(self) -> str:
        return f"dir:{self.direction or 'own'}"


CATEGORIES: dict[str, Callable[[Shape], bool]] = {
    "errors": lambda shape: shape.level is Severity.ERROR,
    "warnings": lambda shape: shape.level is Severity.WARNING,
    "findings": lambda shape: shape.kind == "finding" and shape.direction is None,
    "losses": lambda shape: shape.kind == "loss" and shape.direction is None,
    "unknown": lambda shape: not shape.known,
}
"""Words that say what sort of event is meant."""


class Category(Filter, frozen=True):
    """One of `CATEGORIES`."""

    name: str

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _shaped(among, context, CATEGORIES[self.name])

    def __str__(self) -> str:
        return self.name


class Audio(Filter, frozen=True):
    """Messages that carry audio."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        audio_ms = context.log.events.audio_ms
        return [index for index in among if audio_ms[index] > 0]

    def __str__(self) -> str:
        return "audio"


class TranscriptTerm(Filter, frozen=True):
    """Messages of the agent with the words of either side."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        worded = context.log.events.worded
        if not among:
            return among
        there = set(worded[bisect_left(worded, among[0]) : bisect_right(worded, among[-1])])
        return [index for index in among if index in there]

    def __str__(self) -> str:
        return "transcript"


class Marked(Filter, frozen=True):
    """Marked events."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _numbered(among, context, set(context.marks.numbers))

    def __str__(self) -> str:
        return "marked"


class Noted(Filter, frozen=True):
    """Events with a note."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _numbered(among, context, set(context.marks.notes))

    def __str__(self) -> str:
        return "noted"


class Size(Filter, frozen=True):
    """Messages larger or smaller than so many bytes."""

    sign: str
    size_bytes: int

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        sizes, compare, limit = context.log.events.sizes, SIGNS[self.sign], self.size_bytes
        return [index for index in among if compare(sizes[index], limit)]

    def __str__(self) -> str:
        return f"size {self.sign} {self.size_bytes}"


SIGNS: dict[str, Callable[[int, int], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}


class Within(Filter, frozen=True):
    """From one value to another, both included; None is open."""

    low: int | None
    high: int | None

    def _holds(self, value: int) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def _range(self, show: Callable[[int], str] = str) -> str:
        low, high = ("" if end is None else show(end) for end in (self.low, self.high))
        return low if low and low == high else f"{low}..{high}"


class Number(Within, frozen=True):
    """By the number of the event."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        numbers = context.log.events.numbers
        return [index for index in among if self._holds(numbers[index])]

    def __str__(self) -> str:
        return f"number:{self._range()}"


class TurnTerm(Within, frozen=True):
    """By turn; 0 is what comes before the user first speaks."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        turn_of = context.log.turns.turn_of
        return [index for index in among if self._holds(turn_of(index))]

    def __str__(self) -> str:
        return f"turn:{self._range()}"


class Time(Within, frozen=True):
    """By nanoseconds since the session's start."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        at_ns = context.log.events.at_ns
        return [index for index in among if self._holds(at_ns[index] - at_ns[0])]

    def __str__(self) -> str:
        low, high = ("" if end is None else _seconds(end) for end in (self.low, self.high))
        return f"time:{low}..{high}"


def _shaped(among: Sequence[int], context: Context, wanted: Callable[[Shape], bool]) -> list[int]:
    """Judge each shape that occurs once, and events by theirs."""
    shape_ids, shapes = context.log.events.shape_ids, context.log.events.shapes
    right = {shape_id for shape_id in {shape_ids[index] for index in among} if wanted(shapes[shape_id])}
    return [index for index in among if shape_ids[index] in right] if right else []


def _numbered(among: Sequence[int], context: Context, wanted: set[int]) -> list[int]:
    numbers = context.log.events.numbers
    return [index for index in among if numbers[index] in wanted] if wanted else []


def _inside(term: Filter) -> str:
    return f"({term})" if isinstance(term, And | Or) else str(term)


def _seconds(time_ns: int) -> str:
    whole, rest = divmod(time_ns, NS_PER_S)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")
