"""Marks: the events a reader has marked, and their notes, by event number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort


class Marks:
    """Marked events, in order, and notes. A note stays when its event is no longer marked."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        """Numbers of the marked events, ascending."""
        self.notes: dict[int, str] = {}

    def __contains__(self, number: int) -> bool:
        return bool(self.between(number, number))

    def __len__(self) -> int:
        return len(self.numbers)

    def toggle(self, number: int) -> bool:
        """Mark or unmark an event; returns whether it is marked now."""
        index = bisect_left(self.numbers, number)
        if number in self:
            del self.numbers[index]
            return False
        insort(self.numbers, number)
        return True

    def between(self, low: int, high: int) -> list[int]:
        """Returns the marked events from one number to another, both included."""
        return self.numbers[bisect_left(self.numbers, low) : bisect_right(self.numbers, high)]

    def annotate(self, number: int, text: str) -> None:
        """Write a note on an event; an empty one deletes it."""
        if text := text.strip():
            self.notes[number] = text
        else:
            self.notes.pop(number, None)

    def clear(self) -> None:
        """Delete all marks and notes."""
        self.numbers.clear()
        self.notes.clear()
