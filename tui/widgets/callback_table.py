"""CallbackTable: shows calls, errors and timings of each callback, below a header that can be clicked."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.callbacks import CallbackStats
from tui.widgets.callback_rows import (
    CALLBACK,
    ERRORS,
    MAX,
    P99,
    CallbackRow,
    CallbackRows,
    Column,
    ColumnPlace,
    places,
)
from tui.widgets.cursor import CursorKeys, cursor_bindings
from tui.widgets.lines import LineView, components_in, line_of
from tui.widgets.wrap import fit

_MARK_CELLS = 1
_SLOW = "! slow "


class CallbackHeader(Widget):
    """The titles of the columns. An arrow shows the sort order."""

    DEFAULT_CSS = """
    CallbackHeader {
        height: 1;
        background: $panel;
        .callback-header--title { color: $foreground-muted; background: $panel; }
        .callback-header--sorted { color: $primary; background: $panel; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)

    class Chosen(Message):
        """Requests that the table be sorted by a column."""

        def __init__(self, column: Column) -> None:
            super().__init__()
            self.column = column

    def __init__(self, rows: CallbackRows, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._rows = rows
        self.tooltip = "Click a title to sort by it; click again to reverse"

    def render_line(self, y: int) -> Strip:
        """Draws the titles of the columns."""
        title, chosen = (
            self.get_component_rich_style(f"callback-header--{name}") for name in ("title", "sorted")
        )
        parts = [(" " * _MARK_CELLS, title)]
        for place in self._places():
            here = place.column is self._rows.column
            text = place.column.title + (("▼" if self._rows.descending else "▲") if here else "")
            parts.append((_cell(text, place), chosen if here else title))
        return line_of(*parts).adjust_cell_length(self.size.width, title)

    def on_click(self, event: events.Click) -> None:
        """Requests that the table be sorted by the clicked column."""
        end = _MARK_CELLS
        for place in self._places():
            end += place.cells
            if event.x < end:
                self.post_message(self.Chosen(place.column))
                break

    def _places(self) -> list[ColumnPlace]:
        return table_places(self.size.width)


class CallbackTable(LineView, CursorKeys, inherit_bindings=False):
    """The rows of the table, of which only the visible ones are drawn."""

    TITLE = "Callbacks"
    DEFAULT_CSS = """
    CallbackTable {
        border: none;
        &:focus { border: none; }
        .callback-table--text { color: $foreground; }
        .callback-table--quiet { color: $foreground-muted; }
        .callback-table--slow { color: $text-warning; text-style: bold; }
        .callback-table--failed { color: $text-error; text-style: bold; }
        .callback-table--cursor {
            color: $block-cursor-foreground; background: $block-cursor-background; text-style: none;
        }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)
    BINDINGS: ClassVar[list[BindingType]] = cursor_bindings("callbacks")

    class Highlighted(Message):
        """Reports that the cursor is on another row, or that the content of its row has changed."""

    def __init__(self, rows: CallbackRows, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._rows = rows

    def take(self, stats: Iterable[tuple[str, CallbackStats]]) -> None:
        """Shows new statistics."""
        self._rows.take(stats)
        self._changed()

    def sort(self, column: Column) -> None:
        """Sorts by a column, and keeps the row under the cursor visible."""
        self._rows.sort(column)
        self._changed()
        self.show_line(self.cursor)

    @property
    def cursor(self) -> int:
        """Index of the row with the cursor."""
        return self._rows.cursor

    def count(self) -> int:
        """Returns the number of rows."""
        return len(self._rows.rows)

    def move_to(self, index: int) -> None:
        """Moves the cursor to a row."""
        self._rows.move_to(index)
        self._changed()
        self.show_line(self.cursor)

    def line_key(self, index: int) -> Hashable:
        """Returns the cache key of a row: its content, and whether the cursor is on it."""
        return self._rows.rows[index], index == self.cursor

    def draw_line(self, index: int, width: int) -> Strip:
        """Draws the row of one callback."""
        row, at_cursor = self._rows.rows[index], index == self.cursor
        highlight = "callback-table--cursor" if at_cursor else ""
        parts = [("▌" if at_cursor else " ", self.component("callback-table--quiet", highlight))]
        for place in table_places(width + self.scrollbar_size_vertical):
            text = (_SLOW if row.slow and place.column is CALLBACK else "") + place.column.text(row)
            look = _look(row, place.column)
            parts.append((_cell(text, place), self.component(f"callback-table--{look}", highlight)))
        return line_of(*parts)

    def _changed(self) -> None:
        self.set_lines(self.count())
        self.refresh()
        self.post_message(self.Highlighted())


def table_places(width: int) -> list[ColumnPlace]:
    """Returns the columns that fit into a header or table ``width`` cells wide.

    Leaves room for the cursor mark and the scrollbar.
    """
    return places(width - _MARK_CELLS - 1)


def _cell(text: str, place: ColumnPlace) -> str:
    if place.column.is_text:
        return fit(text, place.cells - 1) + " "
    return " " * (place.cells - 1 - cell_len(text)) + text + " "


def _look(row: CallbackRow, column: Column) -> str:
    if column is ERRORS and row.stats.errors:
        return "failed"
    if row.slow and column in (CALLBACK, P99, MAX):
        return "slow"
    return "text" if row.stats.calls and row.stats.registered else "quiet"
