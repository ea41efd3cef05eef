"""The model of the table of callbacks: columns, sort order and cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tui.callbacks import CallbackStats
from tui.text import numbers
from tui.text.visible import one_line

SLOW_MS = 5.0
"""Duration in ms above which a callback's 99th percentile is marked as slow."""
MAX_TEXT = 200


class CallbackRow(NamedTuple):
    """The statistics of one callback for one event in one process."""

    process: str
    stats: CallbackStats

    @property
    def key(self) -> tuple[str, str, str]:
        """The process, event and name of the callback, which identify the row."""
        return self.process, self.stats.event, self.stats.name

    @property
    def slow(self) -> bool:
        """Whether the callback's 99th percentile is above `SLOW_MS`."""
        return self.stats.p99_ms is not None and self.stats.p99_ms > SLOW_MS


Sortable = tuple[float, str] | None
"""Sort key of a value; None for a value that was not measured, which sorts last."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its title, and the value of each row."""

    title: str
    value: Callable[[CallbackRow], Sortable]
    text: Callable[[CallbackRow], str]
    is_text: bool = False

    @property
    def falls(self) -> bool:
        """Whether the column is sorted in descending order."""
        return not self.is_text


def _named(title: str, get: Callable[[CallbackRow], str | None], blank: str = "") -> Column:
    def value(row: CallbackRow) -> Sortable:
        text = get(row)
        return None if text is None else (0.0, text.casefold())

    return Column(title, value, lambda row: one_line(get(row) or blank, MAX_TEXT), is_text=True)


def _counted(title: str, get: Callable[[CallbackStats], int]) -> Column:
    """Returns a column of counts. Shows a dash if the callback was never called while tracing was on."""

    def value(row: CallbackRow) -> Sortable:
        return (float(get(row.stats)), "") if row.stats.calls else None

    return Column(title, value, lambda row: numbers.count(get(row.stats)) if row.stats.calls else "–")


def _timed(title: str, get: Callable[[CallbackStats], float | None]) -> Column:
    def value(row: CallbackRow) -> Sortable:
        time = get(row.stats)
        return None if time is None else (time, "")

    return Column(title, value, lambda row: _milliseconds(get(row.stats)))


def _milliseconds(value: float | None) -> str:
    """Formats milliseconds in at most five characters."""
    if value is None:
        return "–"
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 1000 else 0
    return f"{value:.{digits}f}" if value < 99_999 else "99999"


PROCESS = _named("process", lambda row: row.process)
EVENT = _named("event", lambda row: row.stats.event)
CALLBACK = _named("callback", lambda row: row.stats.name)
CALLS = _counted("calls", lambda stats: stats.calls)
ERRORS = _counted("errors", lambda stats: stats.errors)
MEAN = _timed("mean", lambda stats: stats.mean_ms)
P50 = _timed("p50", lambda stats: stats.p50_ms)
P99 = _timed("p99", lambda stats: stats.p99_ms)
MAX = _timed("max", lambda stats: stats.max_ms)
LAST_ERROR = _named("last error", lambda row: row.stats.last_error, "–")
COLUMNS: Sequence[Column] = (
    PROCESS, EVENT, CALLBACK, CALLS, ERRORS, MEAN, P50, P99, MAX, LAST_ERROR
)  # fmt: skip
FIGURES = (CALLS, ERRORS, MEAN, P50, P99, MAX)
_CELLS = {PROCESS: 9, CALLS: 7, ERRORS: 8, MEAN: 6, P50: 6, P99: 6, MAX: 6}
_NARROW, _WIDE = 74, 112


class ColumnPlace(NamedTuple):
    """A column, and its width in cells."""

    column: Column
    cells: int


def places(width: int) -> list[ColumnPlace]:
    """Returns the columns that fit into ``width`` cells."""
    left_out = {LAST_ERROR} if width < _WIDE else set()
    if width < _NARROW:
        left_out |= {MEAN, P50}
    shown = [column for column in COLUMNS if column not in left_out]
    rest = max(width - sum(_CELLS.get(column, 0) for column in shown), 0)
    event = rest // (4 if LAST_ERROR in shown else 3)
    error = rest // 3 if LAST_ERROR in shown else 0
    cells = {**_CELLS, EVENT: event, LAST_ERROR: error, CALLBACK: rest - event - error}
    return [ColumnPlace(column, cells[column]) for column in shown]


class CallbackRows:
    """The rows in sort order. When the order changes, the cursor stays on the same callback."""

    def __init__(self) -> None:
        self.rows: list[CallbackRow] = []
        self.column = P99
        self.descending = True
        self.cursor = 0
        self._picked: tuple[str, str, str] | None = None

    @property
    def current(self) -> CallbackRow | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def take(self, stats: Iterable[tuple[str, CallbackStats]]) -> None:
        """Replaces the statistics of all callbacks."""
        self.rows = [CallbackRow(process, measured) for process, measured in stats]
        self._order()

    def sort(self, column: Column) -> None:
        """Sorts by a column. If the rows are already sorted by ``column``, reverses the order."""
        same = column is self.column
        self.descending = not self.descending if same else column.falls
        self.column = column
        self._order()

    def move_to(self, index: int) -> None:
        """Moves the cursor to a row."""
        self.cursor = min(max(index, 0), max(len(self.rows) - 1, 0))
        self._picked = self.current.key if self.current else None

    def _order(self) -> None:
        by_name = sorted(self.rows, key=lambda row: row.key)
        measured = [(value, row) for row in by_name if (value := self.column.value(row)) is not None]
        measured.sort(key=lambda pair: pair[0], reverse=self.descending)
        unmeasured = [row for row in by_name if self.column.value(row) is None]
        self.rows = [row for _, row in measured] + unmeasured
        keys = [row.key for row in self.rows]
        self.cursor = (
            keys.index(self._picked) if self._picked in keys else min(self.cursor, max(len(keys) - 1, 0))
        )
