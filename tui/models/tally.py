"""Tally: things that may happen thousands of times a second, told at once and then once a second with a count."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Kind = TypeVar("Kind", bound=Hashable)
INTERVAL_NS = 1_000_000_000


class Tally(Generic[Kind]):
    """Counts kinds of things. Time is passed in; for one thread."""

    def __init__(self, interval_ns: int = INTERVAL_NS) -> None:
        self._interval_ns = interval_ns
        self._counts: dict[Kind, int] = {}
        self._told: dict[Kind, tuple[int, int]] = {}

    def add(self, kind: Kind, at_ns: int, more: int = 1) -> int | None:
        """Count one, or more; gives the count when it is to be told now: at first, or after a silence."""
        self._counts[kind] = self._counts.get(kind, 0) + more
        _, told_ns = self._told.get(kind, (0, at_ns - self._interval_ns))
        return self._tell(kind, at_ns) if at_ns - told_ns >= self._interval_ns else None

    def untold(self, at_ns: int, *, all_of_them: bool = False) -> list[tuple[Kind, int]]:
        """The kinds that have grown since they were told, with their counts, once the interval has passed."""
        grown = [
            kind
            for kind, (told, told_ns) in self._told.items()
            if self._counts[kind] > told and (all_of_them or at_ns - told_ns >= self._interval_ns)
        ]
        return [(kind, self._tell(kind, at_ns)) for kind in grown]

    def _tell(self, kind: Kind, at_ns: int) -> int:
        self._told[kind] = (self._counts[kind], at_ns)
        return self._counts[kind]
