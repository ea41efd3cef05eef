"""The Callbacks screen: the callbacks of the screen's and the engine's process, with measured durations."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from tui.bridge import Bridge
from tui.screens.actions import CALLBACKS, bindings
from tui.screens.page import Page
from tui.text.visible import one_line
from tui.widgets.callback_rows import FIGURES, LAST_ERROR, SLOW_MS, CallbackRow, CallbackRows, Column
from tui.widgets.callback_table import CallbackHeader, CallbackTable, table_places

REFRESH_NS = 500_000_000
"""Refresh interval in ns, the same as the engine's interval for sending its table."""
_OFF = "Press space to trace callbacks in this program and in the engine, or start with --trace-callbacks."


class CallbacksScreen(Page[None], inherit_bindings=False):
    """A table of callbacks that can be sorted, and a switch for tracing.

    Tracing stays off until the user turns it on.
    """

    CSS_PATH = "callbacks.tcss"
    TITLE = "Callbacks"
    ACTIONS = CALLBACKS
    BINDINGS: ClassVar[list[BindingType]] = bindings(CALLBACKS)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge = bridge
        self.rows = CallbackRows()
        self.table = CallbackTable(self.rows, id="table")
        self.header = CallbackHeader(self.rows, id="header")
        self._status = Static(id="status", markup=False)
        self._detail = Static(id="detail", markup=False)
        self._refreshed_ns: int | None = None
        self._shown: Content | None = None

    def body(self) -> ComposeResult:
        """Composes the widgets from top to bottom."""
        yield self._status
        yield self.header
        yield self.table
        yield self._detail

    def on_mount(self) -> None:
        """Shows the current measurements."""
        self.table.focus()
        self.refresh_rows()

    def poll(self) -> None:
        """Refreshes the rows twice a second. The app calls this every tick while the screen is shown."""
        now_ns = self.bridge.clock_ns()
        if self._refreshed_ns is None or now_ns - self._refreshed_ns >= REFRESH_NS:
            self._refreshed_ns = now_ns
            self.refresh_rows()

    def refresh_rows(self) -> None:
        """Shows the latest measurements."""
        self.table.take(self.bridge.callback_stats())
        self._show_status()

    # key actions

    def action_trace(self) -> None:
        """Turns tracing on or off."""
        self.bridge.trace_callbacks(not self.bridge.tracing_callbacks)
        self.refresh_rows()

    def action_sort_by(self, step: int) -> None:
        """Sorts by the next column, or by the previous one if ``step`` is negative."""
        columns = [place.column for place in table_places(self.size.width)]
        at = columns.index(self.rows.column) if self.rows.column in columns else 0
        self._sort_by(columns[(at + step) % len(columns)])

    def action_reverse(self) -> None:
        """Reverses the sort order."""
        self._sort_by(self.rows.column)

    @on(CallbackHeader.Chosen)
    def _sort_by_chosen(self, event: CallbackHeader.Chosen) -> None:
        self._sort_by(event.column)

    def _sort_by(self, column: Column) -> None:
        self.table.sort(column)
        self.header.refresh()

    @on(CallbackTable.Highlighted)
    def _show_detail(self) -> None:
        row = self.rows.current
        self._detail.update(Content() if row is None else self._full(row), layout=False)

    def _full(self, row: CallbackRow) -> Content:
        """Returns all columns of the row under the cursor, also those that the table has no room for."""
        shown = {place.column for place in table_places(self.size.width)}
        names = " · ".join(one_line(name, 100) for name in row.key)
        times = "no longer registered" if not row.stats.registered else f"registered ×{row.stats.registered}"
        error = "no error" if row.stats.last_error is None else f"last error: {LAST_ERROR.text(row)}"
        hidden = [f"{column.title} {column.text(row)}" for column in FIGURES if column not in shown]
        return Content("\n").join(
            (
                Content.assemble((names, "bold $foreground"), (f" · {times}", "$foreground-muted")),
                Content.assemble(
                    (error, "$text-error" if row.stats.errors else "$foreground-muted"),
                    (f" · {' · '.join(hidden)} ms" if hidden else "", "$foreground-muted"),
                ),
            )
        )

    def _show_status(self) -> None:
        rows = self.rows.rows
        slow, failing = sum(row.slow for row in rows), sum(row.stats.errors > 0 for row in rows)
        parts = [f"{len(rows):,} callbacks", "times in ms"]
        if slow:
            parts.append(f"! {slow:,} slow (p99 over {SLOW_MS:g} ms)")
        if failing:
            parts.append(f"✗ {failing:,} failing")
        head = ("● tracing is on", "bold $text-success")
        if not self.bridge.tracing_callbacks:
            head, parts = ("○ tracing is off", "bold $text-warning"), [*parts, _OFF]
        text = Content.assemble(head, (f"  {' · '.join(parts)}", "$foreground"))
        if text != self._shown:
            self._shown = text
            self._status.update(text)
