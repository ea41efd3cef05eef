"""Tally: limits frequent reports to one per interval without losing counts."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from tui.units import NS_PER_S

Kind = TypeVar("Kind", bound=Hashable)


def is_round(count: int) -> bool:
    """Returns whether a count is 1, 10, 100 and so on.

    A mistake that is repeated many times is reported only at these counts.
    """
    return str(count).strip("0") == "1"


class Count(NamedTuple):
    """The total of one kind of event, and the part of it that is to be reported."""

    total: float
    """Total since the beginning."""
    new: float
    """Increase since the previous report of this kind."""


class Tally(Generic[Kind]):
    """Keeps counts by kind of event.

    A kind is due at its first count, and then once per interval if its count has grown. Times are in ns; any
    clock can be used. Not thread-safe.
    """

    def __init__(self, interval_ns: int = NS_PER_S) -> None:
        self._interval_ns = interval_ns
        self._totals: dict[Kind, float] = {}
        self._reported: dict[Kind, tuple[float, int]] = {}

    def add(self, kind: Kind, at_ns: int, more: float = 1) -> Count | None:
        """Adds ``more`` to the count. If the count is due, marks it as reported and returns it."""
        return self.update(kind, self._totals.get(kind, 0) + more, at_ns)

    def update(self, kind: Kind, total: float, at_ns: int, *, final: bool = False) -> Count | None:
        """Works like `add`, for a total that is counted elsewhere. If ``final``, any increase is due."""
        self._totals[kind] = total
        before, reported_ns = self._reported.get(kind, (0, at_ns - self._interval_ns))
        if total <= before or (at_ns - reported_ns < self._interval_ns and not final):
            return None
        self._reported[kind] = (total, at_ns)
        return Count(total, total - before)

    def due(self, at_ns: int, *, final: bool = False) -> list[tuple[Kind, Count]]:
        """Returns the kinds that are due, and marks them as reported."""
        counts = [
            (kind, self.update(kind, total, at_ns, final=final)) for kind, total in self._totals.items()
        ]
        return [(kind, count) for kind, count in counts if count is not None]
