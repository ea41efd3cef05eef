"""The terms of the filter language.

Each kind of term is a class that defines its syntax, its help, and the events it selects.

A filter takes positions of events and returns those that match, in the same order. A filter works on many
positions at once and reads the columns of the log: with a million events, one function call per event would
cost more than the comparison.

To add a term, write a subclass of `Term` and list it in `TERMS`. The parser, the help and the completion are
derived from `TERMS`.
"""

from __future__ import annotations

import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, NamedTuple, Self

import msgspec

from tui.models.events import Direction
from tui.models.filter.patterns import FilterError, Pattern, pattern_of
from tui.models.log.describe import Severity
from tui.models.log.event_log import EventLog
from tui.models.log.marks import Marks
from tui.models.log.storage import Shape
from tui.units import NS_PER_S

Examples = Mapping[str, tuple[str, ...]]
"""Examples, by the name of the term."""


class Context(NamedTuple):
    """Data that a filter reads: the log and the user's marks."""

    log: EventLog
    marks: Marks


class Filter(msgspec.Struct, frozen=True):
    """A condition on events."""

    def __call__(self, among: Sequence[int], context: Context) -> Sequence[int]:
        """Returns the positions in ``among`` whose events match. ``among`` must be ascending."""
        return self._select(among, context)

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        raise NotImplementedError


class Everything(Filter, frozen=True):
    """The empty filter: matches every event."""

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return among

    def __str__(self) -> str:
        return ""


class And(Filter, frozen=True):
    """Matches an event if all terms match it."""

    terms: tuple[Filter, ...]

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        for term in self.terms:
            among = term(among, context)
        return among

    def __str__(self) -> str:
        return " and ".join(map(_inside, self.terms))


class Or(Filter, frozen=True):
    """Matches an event if any term matches it."""

    terms: tuple[Filter, ...]

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        found: set[int] = set()
        for term in self.terms:
            found.update(term([index for index in among if index not in found], context))
        return sorted(found)

    def __str__(self) -> str:
        return " or ".join(map(_inside, self.terms))


class Not(Filter, frozen=True):
    """Matches an event if the term does not match it."""

    term: Filter

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        found = set(self.term(among, context))
        return [index for index in among if index not in found]

    def __str__(self) -> str:
        return f"not {_inside(self.term)}"


class Term(Filter, frozen=True):
    """A condition, written as a word, a field (``name:value``) or a comparison (``name > value``)."""

    HELP: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Examples, with two spaces between alternatives, each with its meaning."""
    WORDS: ClassVar[tuple[str, ...]] = ()
    """Words that are complete conditions, in lower case; read by `from_word`."""
    FIELDS: ClassVar[Examples] = {}
    """Names that precede a colon, in lower case, each with examples for hints; read by `from_field`."""
    CHOICES: ClassVar[tuple[str, ...]] = ()
    """The values of the fields, if they are a fixed set; used for completion."""
    COMPARISONS: ClassVar[Examples] = {}
    """Names that precede a comparison operator, in lower case, each with examples; read by `from_comparison`."""

    @classmethod
    def from_word(cls, word: str) -> Self:
        """Returns the condition for one of `WORDS`."""
        raise NotImplementedError

    @classmethod
    def from_field(cls, name: str, value: str, column: int) -> Self:
        """Returns the condition ``name:value``. Raises `FilterError`.

        ``column`` is the position of the value in the filter text.
        """
        raise NotImplementedError

    @classmethod
    def from_comparison(cls, name: str, sign: str, value: str, column: int) -> Self:
        """Returns the condition ``name sign value``. Raises `FilterError`.

        ``column`` is the position of the value in the filter text.
        """
        raise NotImplementedError


class Text(Term, frozen=True):
    """Events whose row contains the given text in its summary or kind.

    The parser reads a word as a `Text` term unless the word belongs to another term.
    """

    HELP = (
        ("hello", "events whose summary or kind contains this word, in upper or lower case"),
        (
            '"not found"',
            "the same, for text with spaces, punctuation or words with a special meaning",
        ),
        ("/stop(ped)?$/", "events that match this regular expression; /…/i ignores case"),
    )

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


class Kind(Term, frozen=True):
    """Events whose kind contains the given text."""

    HELP = (("kind:chunk", 'events whose kind contains this; also kind:"recorded line", kind:/^mark$/'),)
    FIELDS = {"kind": ("kind:chunk",)}

    pattern: Pattern

    @classmethod
    def from_field(cls, name: str, value: str, column: int) -> Self:
        """Returns the condition ``kind:value``."""
        return cls(pattern_of(value, column))

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _shaped(among, context, lambda shape: self.pattern.matches(shape.kind))

    def __str__(self) -> str:
        return f"kind:{self.pattern}"


_DIRECTIONS = {"sent": Direction.SENT, "received": Direction.RECEIVED, "own": None}
_ARROWS = {">": "sent", "<": "received"}


class DirectionTerm(Term, frozen=True):
    """Events by direction: messages sent, messages received, or events of this program."""

    HELP = (
        ("dir:sent  >", "messages sent to the agent"),
        ("dir:received  <", "messages received from the agent"),
        ("dir:own", "events that are not messages but happened in this program"),
    )
    WORDS = tuple(_ARROWS)
    FIELDS = {"dir": ("dir:sent",)}
    CHOICES = tuple(_DIRECTIONS)

    direction: Direction | None

    @classmethod
    def from_word(cls, word: str) -> Self:
        """Returns the condition for ``→``, ``←`` or ``·``."""
        return cls(_DIRECTIONS[_ARROWS[word]])

    @classmethod
    def from_field(cls, name: str, value: str, column: int) -> Self:
        """Parses a direction, which is a name or an arrow."""
        direction = _ARROWS.get(value, value.lower())
        if direction not in _DIRECTIONS:
            raise FilterError(
                f"{value} is not a direction", column, "Write dir:sent, dir:received or dir:own."
            )
        return cls(_DIRECTIONS[direction])

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _shaped(among, context, lambda shape: shape.direction is self.direction)

    def __str__(self) -> str:
        return f"dir:{self.direction or 'own'}"


class _Judged(NamedTuple):
    help: str
    judge: Callable[[Shape], bool]


_CATEGORIES = {
    "errors": _Judged("events marked ✗", lambda shape: shape.level is Severity.ERROR),
    "warnings": _Judged("events marked !", lambda shape: shape.level is Severity.WARNING),
    "findings": _Judged(
        "the agent broke a rule of its protocol",
        lambda shape: shape.kind == "finding" and shape.direction is None,
    ),
    "advice": _Judged(
        "allowed but unwise, or a guess; never counts for --strict",
        lambda shape: shape.kind == "advice" and shape.direction is None,
    ),
    "losses": _Judged(
        "audio or messages that were lost", lambda shape: shape.kind == "loss" and shape.direction is None
    ),
    "unknown": _Judged("messages that the protocol does not define", lambda shape: not shape.known),
}


class Category(Term, frozen=True):
    """Events of one category. An event's category depends only on its `Shape`."""

    HELP = tuple((name, category.help) for name, category in _CATEGORIES.items())
    WORDS = tuple(_CATEGORIES)

    name: str

    @classmethod
    def from_word(cls, word: str) -> Self:
        """Returns the category with this name."""
        return cls(word)

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _shaped(among, context, _CATEGORIES[self.name].judge)

    def __str__(self) -> str:
        return self.name


class Flag(Term, frozen=True):
    """A condition without a value, written as a single word."""

    @classmethod
    def from_word(cls, word: str) -> Self:
        """Returns the condition for the word."""
        return cls()

    def __str__(self) -> str:
        return self.WORDS[0]


class Audio(Flag, frozen=True):
    """Messages that carry audio."""

    HELP = (("audio", "messages that carry audio"),)
    WORDS = ("audio",)

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        audio_ms = context.log.events.audio_ms
        return [index for index in among if audio_ms[index] > 0]


class TranscriptTerm(Flag, frozen=True):
    """Messages from the agent that contain a transcript of either party."""

    HELP = (("transcript", "messages from the agent that contain the text of what either side said"),)
    WORDS = ("transcript",)

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        worded = context.log.events.worded.positions
        if not among:
            return among
        there = set(worded[bisect_left(worded, among[0]) : bisect_right(worded, among[-1])])
        return [index for index in among if index in there]


class Marked(Flag, frozen=True):
    """Marked events."""

    HELP = (("marked", "events you marked"),)
    WORDS = ("marked",)

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _numbered(among, context, set(context.marks.numbers))


class Noted(Flag, frozen=True):
    """Events with a note."""

    HELP = (("noted", "events you wrote a note on"),)
    WORDS = ("noted",)

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        return _numbered(among, context, set(context.marks.notes))


class Range(Term, frozen=True):
    """A range of values, both ends included. None stands for an open end."""

    low: int | None
    high: int | None

    @classmethod
    def from_field(cls, name: str, value: str, column: int) -> Self:
        """Parses ``low..high`` (either end may be omitted) or a single value."""
        return cls(*_range(name, _whole, value, column, cls.FIELDS[name]))

    def _holds(self, value: int) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def _written(self) -> str:
        low, high = ("" if end is None else str(end) for end in (self.low, self.high))
        return low if low and low == high else f"{low}..{high}"


class TurnTerm(Range, frozen=True):
    """Events in a range of turns. Turn 0 contains all events before the user first speaks."""

    HELP = (("turn:3  turn:2..4", "turns; 0 is everything before you first speak"),)
    FIELDS = {"turn": ("turn:3", "turn:2..4")}

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        turn_of = context.log.turns.turn_of
        return [index for index in among if self._holds(turn_of(index))]

    def __str__(self) -> str:
        return f"turn:{self._written()}"


class Time(Range, frozen=True):
    """Events in a range of times, in nanoseconds since the session's start."""

    HELP = (
        ("time:10..20", "seconds since the session started; also 1:30, minutes and seconds"),
        ("after:10  before:1:30", "the same, open at one end"),
    )
    FIELDS = {
        "time": ("time:10..20", "time:1:30..", "time:..5"),
        "after": ("after:10", "after:1:30"),
        "before": ("before:10", "before:1:30"),
    }

    @classmethod
    def from_field(cls, name: str, value: str, column: int) -> Self:
        """Parses a time range; one end may be omitted."""
        examples = cls.FIELDS[name]
        if name == "time":
            # A single time is rejected: hardly any event has exactly that time.
            return cls(*_range(name, _time_ns, value, column, examples, single=False))
        time_ns = _time_ns(value)
        if time_ns is None:
            raise FilterError(f"{value} is not a time", column, _hint(examples))
        return cls(time_ns, None) if name == "after" else cls(None, time_ns)

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        at_ns = context.log.events.at_ns
        return [index for index in among if self._holds(at_ns[index] - at_ns[0])]

    def __str__(self) -> str:
        low, high = ("" if end is None else _seconds(end) for end in (self.low, self.high))
        return f"time:{low}..{high}"


class Number(Range, frozen=True):
    """Events in a range of event numbers."""

    HELP = (("number:100..", "events by number; also ..200, 100..200 or a single number"),)
    FIELDS = {"number": ("number:100", "number:100..200")}

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        numbers = context.log.events.numbers
        return [index for index in among if self._holds(numbers[index])]

    def __str__(self) -> str:
        return f"number:{self._written()}"


_SIGNS: dict[str, Callable[[int, int], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}


class Size(Term, frozen=True):
    """Messages in a range of sizes, in bytes."""

    HELP = (("size > 2k", "messages by size in bytes; also >= < <= = and 1.5M"),)
    COMPARISONS = {"size": ("size > 2k", "size > 500", "size > 1.5M")}

    sign: str
    size_bytes: int

    @classmethod
    def from_comparison(cls, name: str, sign: str, value: str, column: int) -> Self:
        """Parses a number of bytes, optionally with the unit k or M (1,000 or 1,000,000)."""
        match = re.fullmatch(_SIZE, value)
        if match is None:
            problem = f"{value} is not a size" if value else "the size is missing"
            raise FilterError(problem, column, _hint(cls.COMPARISONS[name]))
        return cls(sign, int(Decimal(match[1]) * {"": 1, "k": 1000, "m": 1_000_000}[match[2].lower()]))

    def _select(self, among: Sequence[int], context: Context) -> Sequence[int]:
        sizes, compare, limit = context.log.events.sizes, _SIGNS[self.sign], self.size_bytes
        return [index for index in among if compare(sizes[index], limit)]

    def __str__(self) -> str:
        return f"size {self.sign} {self.size_bytes}"


TERMS: tuple[type[Term], ...] = (
    Text,
    Kind,
    DirectionTerm,
    Category,
    Audio,
    TranscriptTerm,
    Marked,
    Noted,
    TurnTerm,
    Time,
    Number,
    Size,
)
"""Every term, in the order in which the help lists them."""
WORDS: dict[str, Filter] = {word: term.from_word(word) for term in TERMS for word in term.WORDS}
"""Words that are complete conditions."""
FIELDS: dict[str, type[Term]] = {name: term for term in TERMS for name in term.FIELDS}
"""Names that precede a colon."""
COMPARISONS: dict[str, type[Term]] = {name: term for term in TERMS for name in term.COMPARISONS}
"""Names that precede a comparison operator."""

# Syntax of values. Strings rather than compiled patterns, because compiling would delay the first screen.
_SIZE = r"(?ia)(\d{1,12}(?:\.\d{1,9})?)([km]?)b?"
_TIME = r"(?a)(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,9}(?:\.\d{1,9})?)"
_WHOLE = r"(?a)\d{1,15}"


def _time_ns(value: str) -> int | None:
    match = re.fullmatch(_TIME, value)
    if match is None:
        return None
    return int((int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + Decimal(match[3])) * NS_PER_S)


def _whole(value: str) -> int | None:
    return int(value) if re.fullmatch(_WHOLE, value) else None


def _range(
    name: str,
    read: Callable[[str], int | None],
    value: str,
    column: int,
    examples: Sequence[str],
    *,
    single: bool = True,
) -> tuple[int | None, int | None]:
    """Parses ``low..high``; one end may be omitted. If ``single``, also parses a single value.

    Raises `FilterError`, whose message contains ``examples``.
    """
    low_text, dots, high_text = value.partition("..")
    if not dots and single:
        high_text = low_text
    low, high = read(low_text), read(high_text)
    unread = (low is None and low_text) or (high is None and high_text)
    if unread or (low is None and high is None) or not (dots or single):
        raise FilterError(f"{value} is not a range", column, _hint(examples))
    if low is not None and high is not None and low > high:
        raise FilterError(f"{value} runs backwards", column, f"Write {name}:{high_text}..{low_text}.")
    return low, high


def _hint(examples: Sequence[str]) -> str:
    return f"Write it like {' or '.join(examples)}."


def _shaped(among: Sequence[int], context: Context, wanted: Callable[[Shape], bool]) -> list[int]:
    """Returns the positions whose shape ``wanted`` accepts. Tests each shape only once."""
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
