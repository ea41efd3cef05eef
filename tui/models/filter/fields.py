"""The words, fields and values of the filter language, and how it says that one of them cannot be read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from tui.models.events import Direction
from tui.models.filter.patterns import Pattern, Phrase, Regex
from tui.models.filter.terms import (
    CATEGORIES,
    Audio,
    Category,
    DirectionTerm,
    Filter,
    Kind,
    Marked,
    Noted,
    Number,
    Time,
    TranscriptTerm,
    TurnTerm,
)
from tui.units import NS_PER_S

WAYS = {"sent": Direction.SENT, "received": Direction.RECEIVED, "own": None}
"""What can stand behind ``dir:``."""
WORDS: dict[str, Filter] = {name: Category(name) for name in CATEGORIES} | {
    "audio": Audio(),
    "transcript": TranscriptTerm(),
    "marked": Marked(),
    "noted": Noted(),
    ">": DirectionTerm(Direction.SENT),
    "<": DirectionTerm(Direction.RECEIVED),
}
"""Words that are a whole condition."""

# Compiled when they are met first, as nobody filters before the first picture.
_QUOTED = r'(?s)"((?:[^"\\]|\\.)*)"'
_REGEX = r"(?si)/((?:[^/\\]|\\.)*)/(i?)"
_SIZE = r"(?ia)(\d{1,12}(?:\.\d{1,9})?)([km]?)b?"
_TIME = r"(?a)(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,9}(?:\.\d{1,9})?)"
_WHOLE = r"(?a)\d{1,15}"


class FilterError(ValueError):
    """A filter that cannot be read. The text is a sentence for the user."""

    def __init__(self, problem: str, column: int, hint: str) -> None:
        super().__init__(f"Column {column}: {problem}. {hint}")
        self.problem = problem
        self.column = column
        """Where it is, from 1."""
        self.hint = hint
        """What to write instead."""


def field_filter(name: str, value: str, column: int) -> Filter:
    """What ``name:value`` means. Raises `FilterError`."""
    field = FIELDS.get(name.lower())
    if field is None:
        near = difflib.get_close_matches(name.lower(), FIELDS, 1)
        meant = f"Did you mean {near[0]}:? " if near else ""
        hint = f'{meant}Fields are {", ".join(FIELDS)}; to look for the text, put it in "quotes".'
        raise FilterError(f"there is no field {name}", column, hint)
    at = column + len(name) + 1
    if not value:
        raise FilterError(f"{name}: has no value", at, f"Write it right behind the colon: {field.example}.")
    return field.read(value, at)


def pattern_of(text: str, column: int) -> Pattern:
    """A quoted text, a regular expression between slashes, or a word. Raises `FilterError`."""
    if quoted := re.fullmatch(_QUOTED, text):
        return Phrase(re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL))
    if regex := re.fullmatch(_REGEX, text):
        return _regex(regex[1], bool(regex[2]), column + 1)
    if text[0] not in '"/':
        return Phrase(text)
    what = "quotation" if text[0] == '"' else "regular expression"
    hint = f"Write {text[0]} at its end, or find the sign itself in quotes: {Phrase(text[0])}."
    raise FilterError(f"this {what} does not end", column, hint)


def size_bytes(value: str, column: int) -> int:
    """A number of bytes. Raises `FilterError`."""
    match = re.fullmatch(_SIZE, value)
    if match is None:
        problem = f"{value} is no size" if value else "the size is missing"
        raise FilterError(problem, column, "Write bytes: size > 500, size > 2k or size > 1.5M.")
    return int(Decimal(match[1]) * {"": 1, "k": 1000, "m": 1_000_000}[match[2].lower()])


def _regex(source: str, ignore_case: bool, column: int) -> Regex:
    try:
        return Regex(source, ignore_case)
    except re.error as error:
        problem, at = error.msg, column + (error.pos or 0)
    except (RecursionError, OverflowError):
        problem, at = "too much of it", column
    hint = 'To find it as it stands, put it in "quotes".'
    raise FilterError(f"this is no regular expression: {problem}", at, hint)


def _way(value: str, column: int) -> Filter:
    way = {">": "sent", "<": "received"}.get(value, value.lower())
    if way not in WAYS:
        raise FilterError(f"{value} is no direction", column, "Write dir:sent, dir:received or dir:own.")
    return DirectionTerm(WAYS[way])


def _time_ns(value: str) -> int | None:
    match = re.fullmatch(_TIME, value)
    if match is None:
        return None
    return int((int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + Decimal(match[3])) * NS_PER_S)


def _whole(value: str) -> int | None:
    return int(value) if re.fullmatch(_WHOLE, value) else None


def _range(
    name: str, read: Callable[[str], int | None], value: str, column: int
) -> tuple[int | None, int | None]:
    low_text, dots, high_text = value.partition("..")
    if not dots and name != "time":  # at which instant nothing is likely to be
        high_text = low_text
    low, high = read(low_text), read(high_text)
    unread = (low is None and low_text) or (high is None and high_text)
    if unread or (low is None and high is None) or (not dots and name == "time"):
        raise FilterError(f"{value} is no range", column, f"Write it as in {FIELDS[name].example}.")
    if low is not None and high is not None and low > high:
        raise FilterError(f"{value} runs backwards", column, f"Write {name}:{high_text}..{low_text}.")
    return low, high


def _side(name: str, value: str, column: int) -> int:
    time_ns = _time_ns(value)
    if time_ns is None:
        raise FilterError(f"{value} is no time", column, f"Write it as in {FIELDS[name].example}.")
    return time_ns


class Field(NamedTuple):
    """What can stand before a colon."""

    read: Callable[[str, int], Filter]
    example: str


FIELDS = {
    "kind": Field(lambda value, at: Kind(pattern_of(value, at)), "kind:chunk"),
    "dir": Field(_way, "dir:sent"),
    "turn": Field(lambda value, at: TurnTerm(*_range("turn", _whole, value, at)), "turn:3 or turn:2..4"),
    "time": Field(
        lambda value, at: Time(*_range("time", _time_ns, value, at)), "time:10..20, time:1:30.. or time:..5"
    ),
    "after": Field(lambda value, at: Time(_side("after", value, at), None), "after:10 or after:1:30"),
    "before": Field(lambda value, at: Time(None, _side("before", value, at)), "before:10 or before:1:30"),
    "number": Field(
        lambda value, at: Number(*_range("number", _whole, value, at)), "number:100 or number:100..200"
    ),
}
"""By name."""
