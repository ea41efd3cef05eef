"""The columns of the event log, from left to right in `COLUMNS`, each with its width and drawing function.

To add a column, write a function that draws it and list it in `COLUMNS`. If a column draws a value that is
neither in the event nor in its row, add the value to `Look`: a line is drawn again only when its look
changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from rich.cells import cell_len

from tui.models.events import Direction, SessionStarted
from tui.models.filter.patterns import Pattern
from tui.models.log.describe import Severity
from tui.models.log.storage import Shape
from tui.models.log.view import EventView, ViewLine
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.lines import Piece
from tui.widgets.wrap import fit

WIDE = 90
"""Minimum width in cells for all columns. In a narrower log, the size is drawn only if the summary leaves room."""
BACK_DATED = "↶"
"""Symbol next to a time that is earlier than the time of the line above."""

_MEMBER = "└ "
"""Prefix of the kind of a message in an expanded run."""

_ARROWS = {
    Direction.SENT: ("→", "event-log--sent"),
    Direction.RECEIVED: ("←", "event-log--received"),
    None: ("·", "event-log--own"),
}
_LEVEL_STYLES = {Severity.WARNING: "event-log--warning", Severity.ERROR: "event-log--error"}


class Look(NamedTuple):
    """The values that determine how a line looks, except its position and width.

    A look is part of the cache key of a line.
    """

    line: ViewLine
    marked: bool
    note: str
    opened: bool
    delta_ns: int | None
    absolute: bool
    pattern: Pattern | None
    highlight: str
    longest_kind: int


def looks_at(
    view: EventView,
    first: int,
    end: int,
    absolute: bool,
    pattern: Pattern | None,
    highlight: Callable[[int], str],
    longest_kind: int,
) -> Iterator[Look]:
    """Yields the looks of the lines from ``first`` to ``end`` (exclusive), or to the last line.

    ``highlight`` returns the name of a line's highlight, or "". ``longest_kind`` is the width in cells of the
    longest kind in the whole log.
    """
    lines = view.lines(max(first - 1, 0), end)
    at_ns, marks, notes = view.log.events.at_ns, view.marks, view.marks.notes
    before_ns = at_ns[lines.pop(0).first] if first > 0 and lines else None
    for position, line in enumerate(lines, first):
        now_ns = at_ns[line.first]
        yield Look(
            line,
            bool(marks) and bool(view.marks_in(line)),
            notes.get(view.number(line), "") if notes else "",
            view.expanded(line.row) is not None,
            None if before_ns is None else now_ns - before_ns,
            absolute,
            pattern,
            highlight(position),
            longest_kind,
        )
        before_ns = now_ns


class LongestKind:
    """Measures the widest kind of event in a log."""

    def __init__(self) -> None:
        self.cells = 0
        """The width of the longest kind, in cells."""
        self._measured = 0

    def measure(self, shapes: Sequence[Shape]) -> None:
        """Measures the shapes that were added to ``shapes`` since the last call.

        If there are fewer shapes than before, the log was cleared, and measuring starts over.
        """
        if len(shapes) < self._measured:
            self.cells = self._measured = 0
        for shape in shapes[self._measured :]:
            if shape.listed:
                self.cells = max(self.cells, cell_len(_MEMBER + one_line(shape.kind, 80)))
        self._measured = len(shapes)


class LogLine:
    """A line that is being drawn. Values that several columns need are looked up only once."""

    __slots__ = ("is_run", "level_style", "look", "row", "shape", "size", "summary", "view")

    def __init__(self, view: EventView, look: Look, width: int) -> None:
        line, log = look.line, view.log
        self.view, self.look = view, look
        self.row = row = log.rows[line.row]
        # The shape contains what `describe` would return, so the event need not be rebuilt for each draw.
        self.shape = log.events.shape(line.event)
        self.level_style = _LEVEL_STYLES.get(self.shape.level)
        self.is_run = row.count > 1 and not line.member
        text = log.events.texts[line.event] if line.member else log.summary(row)
        if look.note:
            text = f"✎ {look.note} · {text}"
        # The match may be far to the right.
        self.summary = one_line(text, width if look.pattern is None else _SEARCHED_CHARS)
        self.size = numbers.size(log.events.sizes[line.event] if line.member else row.size_bytes)

    def text(self, text: str, cells: int, style: str, *, keep_ends: bool = False) -> list[Piece]:
        """Returns a text that fills ``cells`` cells, including a space at its end. Highlights search matches.

        If a match would be cut off, the text is scrolled so that the match is visible.
        """
        fitted = fit(text, cells - 1, keep_ends=keep_ends)
        if self.look.pattern is None:
            return [(fitted + " ", style)]
        spans = self.look.pattern.spans(fitted)
        if not spans and (found := self.look.pattern.spans(text)):
            start, end = found[0]
            left_out = max(start - max(cells - 2 - (end - start), 0) // 2, 1)
            fitted = fit("…" + text[left_out:], cells - 1)
            spans = self.look.pattern.spans(fitted)
        parts, at = [], 0
        for start, end in spans:
            parts += [(fitted[at:start], style), (fitted[start:end], "event-log--match")]
            at = end
        return [*parts, (fitted[at:] + " ", style)]


Draw = Callable[[LogLine, int], list[Piece]]
"""Draws one column of a line in the given number of terminal cells."""


def _cursor(line: LogLine, cells: int) -> list[Piece]:
    return [("▌" if line.look.highlight else " ", "event-log--time")]


def _time(line: LogLine, cells: int) -> list[Piece]:
    look, time = line.look, _time_text(line)
    back_dated = look.delta_ns is not None and look.delta_ns < 0
    if look.marked or back_dated:
        time = f"{'◆' if look.marked else BACK_DATED}{time.rjust(cells - 1)}"
    return [(time.rjust(cells), "event-log--marked" if look.marked else "event-log--time")]


def _delta(line: LogLine, cells: int) -> list[Piece]:
    delta_ns = line.look.delta_ns
    if delta_ns is None:
        text = ""
    else:
        seconds = delta_ns / 1e9
        text = f"Δ{seconds:.3f}" if abs(seconds) < 1000 else f"Δ{seconds:.0f}"
    return [(text.rjust(cells), "event-log--own")]


def _direction(line: LogLine, cells: int) -> list[Piece]:
    arrow, style = _ARROWS[line.shape.direction]
    return [(f" {arrow} ", style)]


def _level(line: LogLine, cells: int) -> list[Piece]:
    """Draws the symbol of the event's level or, for a run, a symbol that shows whether the run is expanded."""
    glyph = line.shape.level.value
    if line.is_run and not glyph.strip():
        glyph = "▾" if line.look.opened else "▸"
    return [(f"{glyph} ", line.level_style or "event-log--own")]


def _kind(line: LogLine, cells: int) -> list[Piece]:
    style = line.level_style or ("event-log--own" if line.shape.direction is None else "event-log--kind")
    kind = (_MEMBER if line.look.line.member else "") + one_line(line.shape.kind, 80)
    return line.text(kind, cells, style, keep_ends=True)


def _summary(line: LogLine, cells: int) -> list[Piece]:
    style = line.level_style or ("event-log--quiet" if line.row.count > 1 else "event-log--summary")
    return line.text(line.summary, cells, style)


def _size(line: LogLine, cells: int) -> list[Piece]:
    return [(f"{line.size:>5} ", "event-log--time")]


class LogColumn(NamedTuple):
    """A column. The width includes the space before the next column. A width of 0 hides the column."""

    draw: Draw
    cells: int
    """Width in a log narrower than `WIDE`."""
    wide_cells: int
    head: str = ""
    """Name of the column, shown in the log's title line."""


TIME = LogColumn(_time, 10, 10)
KIND = LogColumn(_kind, 10, 10, "kind")
SUMMARY = LogColumn(_summary, 9, 9, "summary")
SIZE = LogColumn(_size, 6, 6, "bytes")
COLUMNS = (
    LogColumn(_cursor, 1, 1),
    TIME,
    LogColumn(_delta, 0, 9),
    LogColumn(_direction, 3, 3),
    LogColumn(_level, 2, 2),
    KIND,
    SUMMARY,
    SIZE,
)
"""The columns from left to right.

The kind gets as many cells as the longest kind needs, up to half of the line, and the summary gets the rest.
"""
_TIME_OF_DAY_CELLS = 13
_SEARCHED_CHARS = 4_000
_KIND_CELLS = 19
"""Minimum width for the kind."""


@cache
def _laid_out(
    width: int, absolute: bool, with_size: bool, longest_kind: int
) -> tuple[list[tuple[LogColumn, int]], int]:
    """Returns the visible columns with their widths, and the width of the summary."""
    wide = width >= WIDE
    cells = {column: column.wide_cells if wide else column.cells for column in COLUMNS}
    if absolute:
        cells[TIME] = _TIME_OF_DAY_CELLS
    if not with_size:
        cells[SIZE] = 0
    # The size may be drawn in some lines only, without moving the columns before it.
    free = max(width - sum(cells.values()) + (0 if wide else cells[SIZE]), 0)
    most = max((free + cells[KIND]) // 2, _KIND_CELLS)
    cells[KIND] += max(min(longest_kind + 1 - cells[KIND], most - cells[KIND], free), 0)
    cells[SUMMARY] += max(width - sum(cells.values()), 0)
    return [(column, cells[column]) for column in COLUMNS if cells[column]], cells[SUMMARY]


def with_heads(title: str, inset: int, width: int, absolute: bool, longest_kind: int) -> str:
    """Returns the title of a log, followed by the names of the columns to the right of the title.

    ``width`` is the width of the lines; ``inset`` is the number of cells between the start of the lines and
    the title.
    """
    start = -inset
    columns, _ = _laid_out(width, absolute, width >= WIDE, longest_kind)
    for column, cells in columns:
        at = start + (cells - 1 - len(column.head) if column is SIZE else 0)
        gap = at - cell_len(title)
        if column.head and gap >= 2 and at + len(column.head) <= width - 2:
            title += f" {'─' * (gap - 2)} {column.head}"
        start += cells
    return title


def pieces(view: EventView, look: Look, width: int) -> list[Piece]:
    """Returns a line of the log as pieces of text with their styles."""
    line = LogLine(view, look, width)
    columns, summary_cells = _laid_out(width, look.absolute, width >= WIDE, look.longest_kind)
    if width < WIDE and line.size and cell_len(line.summary) + SIZE.cells < summary_cells:
        columns, _ = _laid_out(width, look.absolute, True, look.longest_kind)
    parts: list[Piece] = []
    for column, cells in columns:
        parts += column.draw(line, cells)
    return parts


def _time_text(line: LogLine) -> str:
    """Returns the time of day as text.

    If the time of day is not wanted or unknown, returns the seconds since the session's start.
    """
    events = line.view.log.events
    at_ns, start_ns = events.at_ns[line.look.line.first], events.at_ns[0]
    begin = events[0] if line.look.absolute else None
    if isinstance(begin, SessionStarted):
        try:
            moment = datetime.fromisoformat(begin.started_utc).astimezone()
            moment += timedelta(microseconds=(at_ns - start_ns) // 1000)
            return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
        except (ValueError, OverflowError, OSError):
            pass  # if the start time is unknown, the seconds are shown
    return numbers.since(at_ns, start_ns)
