"""EventView: the rows of the log that match a filter, as lines, with runs that can be expanded.

A row is shown if one of its events matches. `update` filters new events as they arrive. When a filter is set,
`step` filters earlier events a slice at a time, newest first. The end of the log is therefore correct
immediately, and key presses are handled without delay.
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
"""Number of events filtered between two checks of the clock; they take about 2 ms."""


class ViewLine(NamedTuple):
    """One line of the view."""

    row: int
    """Index of the row in the log."""
    event: int
    """Index of the event that the line shows; for a run, the newest."""
    first: int
    """Index of the event whose time the line shows; for a run, the oldest."""
    member: bool
    """Whether the line shows a single event of an expanded run, listed below the run's line."""


class EventView:
    """The lines of one log that match one filter.

    Use it from one thread, and call `update` once per tick before drawing.

    Lines move when rows are inserted above them. To find a line later, keep its `ViewLine` and call
    `position`.
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
        self._expanded: dict[int, array[int]] = {}
        """Shown events of each expanded run, by row."""
        self._next = 0
        """Index of the first event that `update` has not filtered yet."""
        self._unscanned = self._scan_from = 0
        """`step` filters backward from `_scan_from`; the events before `_unscanned` are still to be filtered."""
        self._seen_rows: int | None = None
        self._registration = log.add_clear_callback(self._cleared)
        self.set_filter(self.filter)

    def close(self) -> None:
        """Unregisters the callbacks of the log."""
        self._registration.unregister()

    # What is shown.

    def set_filter(self, new: Filter) -> None:
        """Sets the filter and collapses expanded runs. Call `step` until `progress` is 1."""
        self.filter = new
        self._expanded.clear()
        self._next = self._unscanned = self._scan_from = len(self.log.events)
        self.rows = array("I")
        if isinstance(new, Everything):
            self.rows.extend(range(len(self.log.rows)))
            self._unscanned = 0

    @property
    def progress(self) -> float:
        """Share of the log that has been filtered, 0 to 1."""
        return 1 - self._unscanned / self._scan_from if self._unscanned else 1.0

    def step(self, budget_ms: float = 8.0) -> float:
        """Filters at least one slice of older events, and continues for about ``budget_ms``; returns the progress."""
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
        """Filters the events that were appended since the previous call. Returns False if there were none."""
        until = len(self.log.events)
        if until == self._next:
            return False
        found = self.select(range(self._next, until))
        self._next = until
        self._show(sorted(self._rows_of(found)))
        if self._expanded:
            for index in found:
                members = self._expanded.get(self.log.row_ids[index])
                if members is not None:
                    members.append(index)
        return True

    def select(self, among: Sequence[int]) -> list[int]:
        """Returns those of the events that have a row and match the filter."""
        row_ids = self.log.row_ids
        return [index for index in self.filter(among, self.context) if row_ids[index] != NO_ROW]

    @property
    def context(self) -> Context:
        """The data that filters read."""
        return Context(self.log, self.marks)

    # Lines and positions.

    def __len__(self) -> int:
        return len(self.rows) + sum(map(len, self._expanded.values()))

    def line(self, position: int) -> ViewLine:
        """Returns the line at a position. Raises IndexError beyond the last line."""
        if position < 0:
            raise IndexError(position)
        before = 0
        for row, members in sorted(self._expanded.items()):
            header = bisect_left(self.rows, row) + before
            if position <= header:
                break
            if position <= header + len(members):
                index = members[position - header - 1]
                return ViewLine(row, index, index, True)
            before += len(members)
        row = self.rows[position - before]
        return ViewLine(row, self.log.rows.lasts[row], self.log.rows.firsts[row], False)

    def lines(self, first: int, end: int) -> list[ViewLine]:
        """Returns the lines from ``first`` up to, but not including, ``end``; fewer at the end of the log."""
        if self._expanded:
            return [self.line(position) for position in range(first, min(end, len(self)))]
        firsts, lasts = self.log.rows.firsts, self.log.rows.lasts
        return [ViewLine(row, lasts[row], firsts[row], False) for row in self.rows[first:end]]

    def position(self, line: ViewLine) -> int:
        """Returns the position of a line, or of the next line if the line is no longer shown."""
        if line.member and line.row in self._expanded:
            return self.position_of(line.row) + 1 + bisect_left(self._expanded[line.row], line.event)
        return self.position_of(line.row)

    def position_of(self, row: int) -> int:
        """Returns the position of a row, or of the next row if the row is not shown.

        Returns the number of lines if no row follows.
        """
        shown_before = sum(len(members) for run, members in self._expanded.items() if run < row)
        return bisect_left(self.rows, row) + shown_before

    def position_from(self, index: int) -> int:
        """Returns the position of the first row that begins at this index or later."""
        return self.position_of(bisect_left(self.log.rows.firsts, index))

    def position_of_event(self, number: int) -> int | None:
        """Returns the position of the event with this number; None if it is not shown."""
        index = self.log.events.find(number)
        row = NO_ROW if index is None else self.log.row_ids[index]
        if index is None or not self.shows(row):
            return None
        return self.position(ViewLine(row, index, index, row in self._expanded))

    def shows(self, row: int) -> bool:
        """Returns whether this row is shown."""
        place = bisect_left(self.rows, row)
        return place < len(self.rows) and self.rows[place] == row

    # Runs.

    def expanded(self, row: int) -> Sequence[int] | None:
        """Returns the events shown below an expanded run; None if it is collapsed."""
        return self._expanded.get(row)

    def toggle_run(self, row: int) -> bool:
        """Expands or collapses a run; returns whether it is now expanded. A row that is not a run stays collapsed."""
        self.update()
        if self._expanded.pop(row, None) is not None or self.log.rows.counts[row] < 2 or not self.shows(row):
            return False
        self._expanded[row] = array("I", self.select(self.log.members(row)))
        return True

    # Following.

    @property
    def following(self) -> bool:
        """Whether the view stays at the end as rows are appended."""
        return self._seen_rows is None

    @property
    def unseen(self) -> int:
        """Number of rows appended since the view stopped following."""
        return 0 if self._seen_rows is None else len(self.rows) - bisect_left(self.rows, self._seen_rows)

    def follow(self) -> None:
        """Starts following, so that the view stays at the end as rows are appended."""
        self._seen_rows = None

    def hold(self) -> None:
        """Stops following, and counts the rows appended from now on."""
        if self._seen_rows is None:
            self._seen_rows = len(self.log.rows)

    # Marks.

    def number(self, line: ViewLine) -> int:
        """Returns the number of the event that is marked for a line.

        A mark belongs to the first event of the line, because a run may grow.
        """
        return self.log.events.numbers[line.first]

    def toggle_mark(self, line: ViewLine) -> bool:
        """Marks or unmarks a line; returns whether it is now marked. Unmarking a run removes all its marks."""
        if marked := self.marks_in(line):
            for number in marked:
                self.marks.toggle(number)
        else:
            self.marks.toggle(self.number(line))
        self._judge_again(line.row)
        return not marked

    def annotate(self, line: ViewLine, text: str) -> None:
        """Writes a note on a line; an empty text deletes the note."""
        self.marks.annotate(self.number(line), text)
        self._judge_again(line.row)

    def marks_in(self, line: ViewLine) -> list[int]:
        """Returns the marked events of a line, including those in a collapsed run."""
        numbers = self.log.events.numbers
        among = self.marks.between(numbers[line.first], numbers[line.event]) if self.marks else []
        return [n for n in among if self.log.row_ids[self.log.events.find(n) or 0] == line.row]

    def _judge_again(self, row: int) -> None:
        """Filters a row again, because the filter may depend on marks and notes."""
        self.update()
        members = self.select(self.log.members(row))
        if members:
            self._show([row])
        elif self.shows(row):
            del self.rows[bisect_left(self.rows, row)]
            self._expanded.pop(row, None)
        if row in self._expanded:
            self._expanded[row] = array("I", members)

    def _rows_of(self, events: Iterable[int]) -> set[int]:
        row_ids = self.log.row_ids
        return {row_ids[index] for index in events}

    def _show(self, found: list[int]) -> None:
        """Adds rows, which must be in ascending order."""
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
        """Resets the view for a new session."""
        self.marks.clear()
        self._seen_rows = None
        self.set_filter(self.filter)
