"""EventLogPane: the session's events, one line each, with a cursor."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.describe import Level, describe
from tui.models.event_log import Row
from tui.models.text import one_line
from tui.widgets import numbers
from tui.widgets.lines import FollowView, line_of
from tui.widgets.wrap import fit

_TIME_CELLS, _SIZE_CELLS = 10, 5
_ARROW_STYLES = {"→": "event-log--sent", "←": "event-log--received"}
_LEVEL_STYLES = {Level.WARNING: "event-log--warning", Level.ERROR: "event-log--error"}


class EventLogPane(FollowView, inherit_bindings=False):
    """Time, direction, level, kind, summary and size of each row; the cursor's row can be opened."""

    TITLE = "Events"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "event-log--time",
        "event-log--sent",
        "event-log--received",
        "event-log--own",
        "event-log--kind",
        "event-log--summary",
        "event-log--quiet",
        "event-log--warning",
        "event-log--error",
        "event-log--cursor",
        "event-log--cursor-blurred",
    }
    DEFAULT_CSS = """
    EventLogPane {
        .event-log--time { color: $foreground-muted; }
        .event-log--sent { color: $secondary; }
        .event-log--received { color: $primary; }
        .event-log--own { color: $foreground-muted; }
        .event-log--kind { color: $foreground; }
        .event-log--summary { color: $foreground; }
        .event-log--quiet { color: $foreground-muted; }
        .event-log--warning { color: $text-warning; }
        .event-log--error { color: $text-error; text-style: bold; }
        .event-log--cursor {
            color: $block-cursor-foreground; background: $block-cursor-background; text-style: none;
        }
        .event-log--cursor-blurred { background: $surface-lighten-2; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor(-1)", "Row up", show=False, id="log.up"),
        Binding("down", "cursor(1)", "Row down", show=False, id="log.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="log.page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="log.page_down"),
        Binding("home", "first", "First row", show=False, id="log.first"),
        Binding("end", "follow_end", "Last row, and follow", show=False, id="log.last"),
    ]

    class Highlighted(Message):
        """The cursor is on another row, or its row has changed."""

        def __init__(self, pane: EventLogPane) -> None:
            super().__init__()
            self.pane = pane

        @property
        def control(self) -> EventLogPane:
            """The pane."""
            return self.pane

    class Opened(Highlighted):
        """The cursor's row is to be shown in detail."""

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self._cursor = 0
        self._cursor_follows = True

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        rows = self.bridge.log.rows
        return rows[self._cursor] if self._cursor < len(rows) else None

    def listen(self) -> Iterable[Registration]:
        """Appended and cleared."""
        yield self.bridge.log.add_append_callback(self.changed)
        yield self.bridge.log.add_clear_callback(self._cleared)

    def refresh_from_model(self) -> None:
        """New rows, and runs that have grown."""
        rows = len(self.bridge.log)
        self.grow(rows, rows)
        if self.following and self._cursor_follows:
            self._place_cursor(max(rows - 1, 0))

    def move_to(self, index: int, *, centre: bool = False) -> None:
        """Put the cursor on a row, and the row where it can be seen."""
        last = len(self.bridge.log) - 1
        if last < 0:
            return
        index = min(max(index, 0), last)
        self._cursor_follows = index == last
        self._place_cursor(index)
        if index == last:
            self.follow()
        else:
            with self._moving_ourselves():
                self.show_line(index, centre=centre)
            self.hold()

    def follow(self) -> None:
        """Go to the end and stay there, with the cursor."""
        self._cursor_follows = True
        super().follow()
        self._place_cursor(max(len(self.bridge.log) - 1, 0))

    def hold(self) -> None:
        """Stop following; the cursor stays where it is."""
        self._cursor_follows = False
        super().hold()

    def action_cursor(self, rows: int) -> None:
        """Up and down."""
        self.move_to(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        """Page up and down."""
        self.move_to(self._cursor + pages * max(self.scrollable_content_region.height - 1, 1))

    def action_first(self) -> None:
        """Home."""
        self.move_to(0)

    def on_click(self, event: events.Click) -> None:
        """Select a row; a double click opens it."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y + self.scroll_offset.y >= len(self.bridge.log):
            return
        if event.chain == 1:
            self.move_to(offset.y + self.scroll_offset.y)
        else:
            self.post_message(self.Opened(self))

    def on_resize(self) -> None:
        """Keep the cursor in sight while a row is being read."""
        if not self.following:
            with self._moving_ourselves():
                self.show_line(self._cursor)

    def title_parts(self) -> list[str]:
        """How many events there are."""
        count = len(self.bridge.log.events)
        return [self.TITLE, f"{count:,}"] if count else [self.TITLE]

    def line_key(self, index: int) -> Hashable:
        """A run grows in place."""
        row = self.bridge.log.rows[index]
        return index, row.last, self._highlight(index)

    def draw_line(self, index: int, width: int) -> Strip:
        """One row."""
        log, row = self.bridge.log, self.bridge.log.rows[index]
        what = describe(log.event(row))
        highlight = self._highlight(index)
        level = _LEVEL_STYLES.get(what.level)
        own = what.arrow not in _ARROW_STYLES
        kind_style = level or ("event-log--own" if own else "event-log--kind")
        text_style = level or ("event-log--quiet" if row.count > 1 else "event-log--summary")

        kind_cells = 18 if width < 90 else 28
        summary_cells = max(width - _TIME_CELLS - kind_cells - _SIZE_CELLS - 9, 8)
        time = numbers.since(log.events[row.first].at_ns, log.events[0].at_ns)
        cells = (
            ("▌" if highlight else " ", "event-log--time"),
            (time.rjust(_TIME_CELLS), "event-log--time"),
            (f" {what.arrow} ", _ARROW_STYLES.get(what.arrow, "event-log--own")),
            (f"{what.level.value} ", level or "event-log--own"),
            (fit(one_line(what.kind, 80), kind_cells, keep_end=True) + " ", kind_style),
            (fit(one_line(log.summary(row), summary_cells), summary_cells) + " ", text_style),
            (numbers.size(row.size_bytes).rjust(_SIZE_CELLS), "event-log--time"),
        )
        return line_of(*((text, self.component(name, highlight)) for text, name in cells))

    def _highlight(self, index: int) -> str:
        if index != self._cursor:
            return ""
        return "event-log--cursor" if self.has_focus else "event-log--cursor-blurred"

    def _place_cursor(self, index: int) -> None:
        if index != self._cursor:
            self.refresh_line(self._cursor)
            self._cursor = index
            self.refresh_line(index)
        self.post_message(self.Highlighted(self))

    def _cleared(self) -> None:
        self.forget_lines()
        self._cursor, self._cursor_follows, self.following = 0, True, True
        self.changed()
