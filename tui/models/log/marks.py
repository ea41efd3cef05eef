"""Marks: the events that the user has marked, and the user's notes, by event number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable

import msgspec


class Marking(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change to the marks, as it is saved. A field that is None changes nothing."""

    event: int
    """Number of the event."""
    marked: bool | None = None
    note: str | None = None
    """The new note; an empty text deletes the old one."""


class Marks:
    """The marked events, in order, and the notes. Unmarking an event does not delete its note."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        """Numbers of the marked events, ascending."""
        self.notes: dict[int, str] = {}
        self.on_change: Callable[[Marking], object] = lambda _: None
        """Called with each change that `toggle` and `annotate` make."""

    def __contains__(self, number: int) -> bool:
        return bool(self.between(number, number))

    def __len__(self) -> int:
        return len(self.numbers)

    def toggle(self, number: int) -> bool:
        """Marks or unmarks an event; returns whether it is now marked."""
        marked = number not in self
        self._change(Marking(number, marked=marked))
        return marked

    def between(self, low: int, high: int) -> list[int]:
        """Returns the marked events from one number to another, inclusive."""
        return self.numbers[bisect_left(self.numbers, low) : bisect_right(self.numbers, high)]

    def annotate(self, number: int, text: str) -> None:
        """Writes a note on an event; an empty text deletes the note."""
        text = text.strip()
        if text != self.notes.get(number, ""):
            self._change(Marking(number, note=text))

    def apply(self, change: Marking) -> None:
        """Applies a saved change, without calling `on_change`."""
        number = change.event
        if change.marked is not None and change.marked != (number in self):
            if change.marked:
                insort(self.numbers, number)
            else:
                self.numbers.remove(number)
        if change.note:
            self.notes[number] = change.note
        elif change.note is not None:
            self.notes.pop(number, None)

    def clear(self) -> None:
        """Removes all marks and notes, without calling `on_change`."""
        self.numbers.clear()
        self.notes.clear()

    def _change(self, change: Marking) -> None:
        self.apply(change)
        self.on_change(change)
