"""EventView: the rows of the log that a filter lets through, as lines, with runs that can be opened.

A row is shown when one of its events matches. What comes is judged when it comes (`update`); what is there when
a filter is set is judged from the newest backwards, a slice at a time (`step`), so that the end of the log is
right at once and a key pressed meanwhile finds the screen idle.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import NamedTuple

from tui.models.filter.terms import Context, Everything, Filter
from tui.models.log.event_log import NO_ROW, EventLog
from tui.models.log.marks import Marks

SLICE = 4096
"""Events that are judged between two looks at the clock; some 2 ms."""


class ViewLine(NamedTuple):
    """What stands in one line of the view."""

    row: int
    """Index of the row in the log."""
    event: int
    """Index of the event it shows: the newest of a run."""
    first: int
    """Index of the event whose time it bears: the oldest of a run."""
    member: bool
    """One event of an opened run, below the line of the run."""


class EventView:
    """The lines of one log under one filter. One thread; call `update` once a tick before drawing.

    Lines move when rows come in above them: keep a `ViewLine`, and ask `position` where it is now.
    """

    def __init__(
        self,
        log: EventLog,
        marks: Marks | None = None,
        *,
        slice_events: int = SLICE,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.log = log
        self.marks = Marks() if marks is None else marks
        self.filter: Filter = Everything()
        self.rows = array("I")
        """The rows shown, ascending."""
        self._slice, self._clock = slice_events, clock
        self._opened: dict[int, array[int]] = {}
        """Shown events of each opened run, by row."""
        self._next = 0
        """Events from here on have not been judged yet: `update` will."""
        self._unscanned = self._scan_from = 0
        """Events before the first have not been judged yet: `step` will; it began at the second."""
        self._seen_rows: int | None = None
        self._registration = log.add_clear_callback(self._cleared)
        self.set_filter(self.filter)

    def close(self) -> None:
        """Give back what was registered with the log."""
        self._registration.unregister()

    # What is shown.

    def set_filter(self, new: Filter) -> None:
        """Show what this filter lets through; opened runs are closed. `step` until `progress` is 1."""
        self.filter = new
        self._opened.clear()
        self._next = self._unscanned = self._scan_from = len(self.log.events)
        self.rows = array("I")
        if isinstance(new, Everything):
            self.rows.extend(range(len(self.log.rows)))
            self._unscanned = 0

    @property
    def progress(self) -> float:
        """How much of the log the filter has judged, 0..1."""
        return 1 - self._unscanned / self._scan_from if self._unscanned else 1.0

    def step(self, budget_ms: float = 8.0) -> float:
        """Judge older events for about so long, at least one slice; the progress."""
        deadline = self._clock() + budget_ms / 1000
        found: set[int] = set()
        while self._unscanned:
            start = max(self._unscanned - self._slice, 0)
            found.update(self._rows_of(self.select(range(start, self._unscanned))))
            self._unscanned = start
            if self._clock() >= deadline:
                break
        self._show(sorted(found))
        return self.progress

    def update(self) -> bool:
        """Judge what has come since; whether there was anything."""
        until = len(self.log.events)
        if until == self._next:
            return False
        found = self.select(range(self._next, until))
        self._next = until
        self._show(sorted(self._rows_of(found)))
        if self._opened:
            for index in found:
                members = self._opened.get(self.log.row_ids[index])
                if members is not None:
                    members.append(index)
        return True

    def select(self, among: Sequence[int]) -> list[int]:
        """The listed events among these that the filter lets through."""
        row_ids = self.log.row_ids
        return [index for index in self.filter(among, self.context) if row_ids[index] != NO_ROW]

    @property
    def context(self) -> Context:
        """What filters judge by."""
        return Context(self.log, self.marks)

    # Lines and positions.

    def __len__(self) -> int:
        return len(self.rows) + sum(map(len, self._opened.values()))

    def line(self, position: int) -> ViewLine:
        """What stands in a line. Raises IndexError beyond the last."""
        if position < 0:
            raise IndexError(position)
        before = 0
        for row, members in sorted(self._opened.items()):
            header = bisect_left(self.rows, row) + before
            if position <= header:
                break
            if position <= header + len(members):
                index = members[position - header - 1]
                return ViewLine(row, index, index, True)
            before += len(members)
        row = self.rows[position - before]
        return ViewLine(row, self.log.rows.lasts[row], self.log.rows.firsts[row], False)

    def position(self, line: ViewLine) -> int:
        """Where a line is now; where the next one is, if it is no longer shown."""
        if line.member and line.row in self._opened:
            return self.position_of(line.row) + 1 + bisect_left(self._opened[line.row], line.event)
        return self.position_of(line.row)

    def position_of(self, row: int) -> int:
        """Where a row is, or the next one that is shown; the number of lines when none follows."""
        opened_before = sum(len(members) for opened, members in self._opened.items() if opened < row)
        return bisect_left(self.rows, row) + opened_before

    def position_from(self, index: int) -> int:
        """Where the first row is that begins with the event at this index or later."""
        return self.position_of(bisect_left(self.log.rows.firsts, index))

    def position_of_event(self, number: int) -> int | None:
        """Where the event with this number is shown; None when it is not."""
        index = self.log.events.find(number)
        row = NO_ROW if index is None else self.log.row_ids[index]
        if index is None or not self.shows(row):
            return None
        return self.position(ViewLine(row, index, index, row in self._opened))

    def shows(self, row: int) -> bool:
        """Whether this row is shown."""
        place = bisect_left(self.rows, row)
        return place < len(self.rows) and self.rows[place] == row

    def delta_ns(self, position: int) -> int | None:
        """Time since the line above; None in the first."""
        if position == 0:
            return None
        at_ns = self.log.events.at_ns
        return at_ns[self.line(position).first] - at_ns[self.line(position - 1).first]

    # Runs.

    def opened(self, row: int) -> Sequence[int] | None:
        """The events shown below an opened run; None when it is closed."""
        return self._opened.get(row)

    def toggle_run(self, row: int) -> bool:
        """Open a run, or close it; whether it is open now. What is no run stays closed."""
        self.update()
        if self._opened.pop(row, None) is not None or self.log.rows.counts[row] < 2 or not self.shows(row):
            return False
        self._opened[row] = array("I", self.select(self.log.members(row)))
        return True

    # Following.

    @property
    def following(self) -> bool:
        """At the bottom, and staying there."""
        return self._seen_rows is None

    @property
    def unseen(self) -> int:
        """Rows that have come since the bottom was left."""
        return 0 if self._seen_rows is None else len(self.rows) - bisect_left(self.rows, self._seen_rows)

    def follow(self) -> None:
        """The reader is at the bottom."""
        self._seen_rows = None

    def hold(self) -> None:
        """The reader has left the bottom."""
        if self._seen_rows is None:
            self._seen_rows = len(self.log.rows)

    # Marks.

    def number(self, line: ViewLine) -> int:
        """The number by which a line is marked: that of its first event, as a run goes on."""
        return self.log.events.numbers[line.first]

    def toggle_mark(self, line: ViewLine) -> bool:
        """Mark a line, or no longer; whether it is marked now. A run is cleared of all its marks."""
        if marked := self.marks_in(line):
            for number in marked:
                self.marks.toggle(number)
        else:
            self.marks.toggle(self.number(line))
        self._judge_again(line.row)
        return not marked

    def annotate(self, line: ViewLine, text: str) -> None:
        """Write a note on a line; an empty one takes it away."""
        self.marks.annotate(self.number(line), text)
        self._judge_again(line.row)

    def marks_in(self, line: ViewLine) -> list[int]:
        """The marked events of a line; those of a run also while it is closed."""
        numbers = self.log.events.numbers
        among = self.marks.between(numbers[line.first], numbers[line.event]) if self.marks else []
        return [n for n in among if self.log.row_ids[self.log.events.find(n) or 0] == line.row]

    def _judge_again(self, row: int) -> None:
        """A filter may ask for marks and notes."""
        self.update()
        members = self.select(self.log.members(row))
        if members:
            self._show([row])
        elif self.shows(row):
            del self.rows[bisect_left(self.rows, row)]
            self._opened.pop(row, None)
        if row in self._opened:
            self._opened[row] = array("I", members)

    def _rows_of(self, events: Iterable[int]) -> set[int]:
        row_ids = self.log.row_ids
        return {row_ids[index] for index in events}

    def _show(self, found: list[int]) -> None:
        """Add rows, ascending ones; all but a few lie above or below those that are shown."""
        if not self.rows:
            self.rows.extend(found)
            return
        above = bisect_left(found, self.rows[0])
        below = bisect_right(found, self.rows[-1])
        between = found[above:below]
        self.rows.extend(found[below:])
        for row in between:
            if not self.shows(row):
                insort(self.rows, row)
        if above:
            self.rows = array("I", found[:above]) + self.rows

    def _cleared(self) -> None:
        """A new session began."""
        self.marks.clear()
        self._seen_rows = None
        self.set_filter(self.filter)
