"""Compares the JSON of two events side by side, with equal parts on one line.

Members are compared by name and elements by position. If two values differ, their contents are compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from tui.models.message.json import JsonObject, Key, Path, as_json, children_of

MAX_ROWS = 10_000
"""Maximum number of rows in a comparison."""


class Difference(StrEnum):
    """How a value differs. The enum value is a glyph that is readable without color."""

    SAME = " "
    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


class Missing:
    """Marker for a missing value."""


MISSING = Missing()


class DiffRow(NamedTuple):
    """One line of a comparison: a value on the left and on the right."""

    path: Path
    left: object
    right: object
    difference: Difference
    inside: bool = False
    """Whether rows for the value's contents follow."""
    alike: int = 0
    """Number of equal elements that this row represents; 0 for a row of one value."""


class Comparison(NamedTuple):
    """The rows of a comparison."""

    rows: list[DiffRow]
    added: int
    removed: int
    changed: int
    complete: bool
    """False if there are more rows than `MAX_ROWS`."""

    def __str__(self) -> str:
        if not (self.added or self.removed or self.changed):
            return "no difference"
        counts = (self.changed, "changed"), (self.removed, "only left"), (self.added, "only right")
        more = "" if self.complete else ", and more"
        return ", ".join(f"{count:,} {what}" for count, what in counts if count) + more


def compare(left: object, right: object) -> Comparison:
    """Returns the comparison of two JSON values."""
    rows: list[DiffRow] = []
    counts = dict.fromkeys(Difference, 0)
    complete = True
    for row in _rows(left, right):
        if len(rows) == MAX_ROWS:
            complete = False
            break
        rows.append(row)
        if not row.inside:
            counts[row.difference] += 1
    return Comparison(
        rows,
        counts[Difference.ADDED],
        counts[Difference.REMOVED],
        counts[Difference.CHANGED],
        complete,
    )


def _rows(left: object, right: object) -> Iterator[DiffRow]:
    """Yields the rows depth first. Avoids recursion, because JSON may be deeply nested."""
    waiting: deque[DiffRow | tuple[Path, object, object]] = deque([((), left, right)])
    while waiting:
        item = waiting.popleft()
        if isinstance(item, DiffRow):
            yield item
            continue
        path, one, other = item
        alike_in_kind = children_of(one) and children_of(other) and type(one) is type(other)
        if alike_in_kind and not (path and _equal(one, other)):
            if path:
                yield DiffRow(path, one, other, Difference.CHANGED, inside=True)
            waiting.extendleft(reversed(list(_below(path, one, other))))
            continue
        yield DiffRow(path, one, other, _difference(one, other))


def _below(path: Path, left: object, right: object) -> Iterator[DiffRow | tuple[Path, object, object]]:
    if isinstance(left, list) and isinstance(right, list):
        yield from _elements(path, left, right)
        return
    assert isinstance(left, JsonObject)
    assert isinstance(right, JsonObject)
    ones, others = _named(left), _named(right)
    for key, value in ones.items():
        yield (*path, key), value, others.get(key, MISSING)
    for key, value in others.items():
        if key not in ones:
            yield (*path, key), MISSING, value


def _named(members: JsonObject) -> dict[Key, object]:
    """Returns the members by name. A repeated name gets a number appended."""
    named: dict[Key, object] = {}
    for name, value in members:
        key, again = name, 1
        while key in named:
            again += 1
            key = f"{name} (×{again})"
        named[key] = value
    return named


def _elements(
    path: Path, left: list[object], right: list[object]
) -> Iterator[DiffRow | tuple[Path, object, object]]:
    place, longest = 0, max(len(left), len(right))
    while place < longest:
        alike = 0
        while place + alike < min(len(left), len(right)) and _equal(
            left[place + alike], right[place + alike]
        ):
            alike += 1
        if alike > 1:
            here = (*path, place)
            yield DiffRow(here, left[place], right[place], Difference.SAME, alike=alike)
            place += alike
            continue
        one = left[place] if place < len(left) else MISSING
        yield (*path, place), one, right[place] if place < len(right) else MISSING
        place += 1


def _difference(left: object, right: object) -> Difference:
    if isinstance(left, Missing):
        return Difference.ADDED
    if isinstance(right, Missing):
        return Difference.REMOVED
    return Difference.SAME if _equal(left, right) else Difference.CHANGED


def _equal(left: object, right: object) -> bool:
    try:
        return type(left) is type(right) and left == right
    except RecursionError:
        return as_json(left) == as_json(right)
