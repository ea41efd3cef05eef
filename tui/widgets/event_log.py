"""EventLogPane: shows the session's events, one on each line, with a cursor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.filter.patterns import Pattern
from tui.models.filter.terms import Everything, Filter
from tui.models.log.event_log import Row
from tui.models.log.view import EventView, ViewLine
from tui.text.redaction import without_secrets
from tui.text.visible import one_line
from tui.widgets.cursor import CursorKeys, cursor_bindings
from tui.widgets.hints import KEYS_TO_CALL
from tui.widgets.lines import FollowView, components_in, line_of
from tui.widgets.log_columns import LongestKind, Look, looks_at, pieces, with_heads

FILTER_BUDGET_MS = 25.0
"""Time per tick for filtering older events, in ms. Key presses never wait longer than this."""

_NAMED_KINDS = 12
"""Number of kinds that are suggested when nothing matches."""


class EventLogPane(FollowView, CursorKeys, inherit_bindings=False):
    """Shows time, direction, level, kind, summary and size of each row that matches the filter.

    Lines may be inserted anywhere. The cursor and the top of the view stay on the same events.
    """

    TITLE = "Events"
    LEAST_TITLE_CELLS = 10
    HELP = (
        "▸ ▾ └ run of similar messages · ◆ marked · ✎ note · ! warning · ✗ error · ↶ out of order: the event was "
        "detected later and back-dated to when it happened"
    )
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
        .event-log--marked { color: $accent; text-style: bold; }
        .event-log--match { text-style: reverse bold; }
        .event-log--cursor {
            color: $block-cursor-foreground; background: $block-cursor-background; text-style: none;
        }
        .event-log--cursor-blurred { background: $surface-lighten-2; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)
    BINDINGS: ClassVar[list[BindingType]] = cursor_bindings("log", end="follow_end")

    class Highlighted(Message):
        """Reports that the cursor is on another row, or that its row has changed."""

        def __init__(self, pane: EventLogPane) -> None:
            super().__init__()
            self.pane = pane

        @property
        def control(self) -> EventLogPane:
            """The pane that posted the message."""
            return self.pane

    class Opened(Highlighted):
        """Requests that the row under the cursor be shown in detail."""

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        self.view = EventView(bridge.log, bridge.folder.marks)
        super().__init__(id=id)
        self.bridge = bridge
        self.pattern: Pattern | None = None
        """The search pattern to highlight."""
        self.remark = ""
        """Result of the last search or jump, shown in the title."""
        self.absolute = False
        """Whether times of day are shown instead of times since the session's start."""
        self._cursor = 0
        self._cursor_follows = True
        self._kinds = LongestKind()
        self._anchor: ViewLine | None = None
        """The row to which the cursor moves once the running filter has reached it."""

    @property
    def cursor(self) -> int:
        """Index of the line with the cursor."""
        return self._cursor

    def count(self) -> int:
        """Returns the number of lines."""
        return len(self.view)

    @property
    def line(self) -> ViewLine | None:
        """The line under the cursor."""
        return self._line_at(self._cursor)

    @property
    def row(self) -> Row | None:
        """The row under the cursor. In an expanded run, a row that contains only the event under the cursor."""
        line, log = self.line, self.bridge.log
        if line is None:
            return None
        if not line.member:
            return log.rows[line.row]
        index = line.event
        return Row(line.row, index, index, 1, log.events.audio_ms[index], log.events.sizes[index])

    @property
    def unseen(self) -> int:
        """Number of rows appended since the view stopped following."""
        return self.view.unseen

    @property
    def filtered(self) -> bool:
        """Whether a filter is set."""
        return not isinstance(self.view.filter, Everything)

    def listen(self) -> Iterable[Registration]:
        """Subscribes to new events, and to the clearing of the log."""
        yield self.bridge.log.add_append_callback(self.changed)
        yield self.bridge.log.add_clear_callback(self._cleared)

    def on_unmount(self) -> None:
        """Unregisters the callbacks, and closes the view of the log."""
        super().on_unmount()
        self.view.close()

    def refresh_from_model(self) -> None:
        """Shows new rows and runs that have grown."""
        self._kinds.measure(self.bridge.log.events.shapes)
        self._change(self.view.update)

    def judge_on(self) -> None:
        """Filters a slice of older events, if a filter is running. Called every tick."""
        if self.view.progress < 1:
            self._change(partial(self.view.step, FILTER_BUDGET_MS))

    def _change(self, change: Callable[[], object]) -> None:
        with self.in_place():
            change()
        if self.view.progress == 1:
            self._anchor = None

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """A context in which the rows of the view may change.

        When the context ends, the cursor and the top of the view are on the same events as before.
        """
        cursor, top = self._anchor or self.line, self._line_at(self.scroll_offset.y)
        yield
        lines = len(self.view)
        self.grow(lines, len(self.view.rows))
        if self.following and self._cursor_follows:
            self._place_cursor(max(lines - 1, 0))
            return
        if not self.following and top is not None:
            with self._moving_ourselves():
                self.scroll_to(y=self.view.position(top), animate=False)
        if cursor is not None:
            index = max(min(self.view.position(cursor), lines - 1), 0)
            now = self._line_at(index)
            if now is not None and (now.row, now.first) == (cursor.row, cursor.first):
                self._cursor = index  # a growing run is not opened again in the detail pane
            else:
                self._place_cursor(index)
            if self._anchor is not None:
                self._show_cursor(centre=True)

    @property
    def place(self) -> ViewLine | None:
        """The line with the cursor, or the line to which the cursor will move.

        None while the cursor stays at the end of the log.
        """
        return None if self.following and self._cursor_follows else self._anchor or self.line

    def set_filter(self, wanted: Filter, anchor: ViewLine | None = None) -> None:
        """Shows only events that match the filter ``wanted``.

        Moves the cursor to ``anchor`` or near it; without an anchor, the cursor stays near its line.
        """
        anchor = anchor or self.place
        self.view.set_filter(wanted)
        self._anchor = anchor
        self.forget_lines()
        self.refresh_from_model()
        self.judge_on()

    def set_pattern(self, pattern: Pattern | None) -> None:
        """Highlights the matches of a pattern; None removes the highlights."""
        self.pattern = pattern
        self.show_remark("")
        self.refresh()

    def show_remark(self, remark: str) -> None:
        """Shows a remark in the title. The remark replaces the previous one."""
        self.remark = remark
        self._update_title()

    def toggle_times(self) -> None:
        """Switches between times of day and times since the session's start."""
        self.absolute = not self.absolute
        self.refresh()

    def open_run(self, *, open_: bool) -> None:
        """Expands or collapses the run under the cursor."""
        line = self.line
        if line is None or (self.view.expanded(line.row) is not None) is open_:
            return
        self.hold()
        with self.in_place():
            self.view.toggle_run(line.row)

    def toggle_mark(self) -> bool:
        """Marks or unmarks the line under the cursor; returns whether it is now marked."""
        line, marked = self.line, False
        if line is not None:
            with self.in_place():
                marked = self.view.toggle_mark(line)
            self._warn_of_unsaved()
        return marked

    def annotate(self, line: ViewLine, text: str) -> None:
        """Writes a note on a line; an empty text deletes the note."""
        with self.in_place():
            self.view.annotate(line, without_secrets(text))
        self._warn_of_unsaved()

    def _warn_of_unsaved(self) -> None:
        if problem := self.bridge.folder.take_problem():
            self.notify(problem, title="Not saved", severity="warning", markup=False)

    def move_to(self, index: int, *, centre: bool = False) -> None:
        """Moves the cursor to a line, and scrolls the line into view."""
        last = len(self.view) - 1
        if last < 0:
            return
        index = min(max(index, 0), last)
        self._anchor = None
        if self.pattern is None:
            self.remark = ""  # the remark was about another line
        self._cursor_follows = index == last
        self._place_cursor(index)
        if index == last:
            self.follow()
        else:
            self._show_cursor(centre=centre)
            self.hold()

    def follow(self) -> None:
        """Moves the cursor to the end of the log, and keeps the cursor there as events arrive."""
        self._cursor_follows, self._anchor = True, None
        super().follow()
        self._place_cursor(max(len(self.view) - 1, 0))

    def hold(self) -> None:
        """Stops following the end of the log. The cursor stays where it is."""
        self._cursor_follows = False
        super().hold()

    def following_changed(self) -> None:
        """Counts new rows while the pane is not following; stops counting when it follows again."""
        self.view.follow() if self.following else self.view.hold()

    def line_clicked(self, index: int, event: events.Click) -> None:
        """Moves the cursor to the clicked line. A double click opens the line."""
        if event.chain == 1:
            self.move_to(index)
        else:
            self.post_message(self.Opened(self))

    def on_resize(self) -> None:
        """Keeps the cursor in view unless the pane is following, and adapts the title to the width."""
        self._update_title()
        if not self.following:
            self._show_cursor()

    def title_parts(self) -> list[str]:
        """Returns the number of events, the state of the filter, and the remark."""
        count = len(self.bridge.log.events)
        parts = [self.TITLE, f"{count:,}"] if count else [self.TITLE]
        if self.filtered:
            shown = len(self.view.rows)
            share = f", {self.view.progress:.0%} searched" if self.view.progress < 1 else ""
            parts[1:] = [f"{shown:,} row{'' if shown == 1 else 's'} of {count:,}{share}"]
        parts += filter(None, (self.remark, self.bridge.log.limit_notice))
        if self.filtered:
            parts.append(f"filter {one_line(str(self.view.filter), 60)}")
        if self.pattern is not None:
            parts.append(f"search {one_line(str(self.pattern), 30)}")
        return parts

    def title_of(self, parts: list[str]) -> str:
        """Returns the title, with the names of the columns if there is room."""
        title = super().title_of(parts)
        if not self.count():
            return title
        inset = 2 if self.styles.border_left[0] else 1
        return with_heads(title, inset, self.line_width, self.absolute, self._kinds.cells)

    def why_empty(self) -> str:
        """Returns the text for an empty log.

        The text says that there are no events yet, or that none match the filter; it suggests other filters.
        """
        log, count = self.bridge.log, len(self.bridge.log.events)
        if not self.filtered or not count:
            return f"No events yet. Every message sent or received will appear here. {KEYS_TO_CALL}"
        if self.view.progress < 1:
            return ""  # the title shows the filter's progress
        from tui.models.filter.completion import suggestions

        seen = tuple(log.kinds())
        kinds = [one_line(kind, 40) for kind in seen[: _NAMED_KINDS + 1]]
        kinds[_NAMED_KINDS:] = ["…"] * (len(kinds) > _NAMED_KINDS)
        near = " or ".join(one_line(condition, 40) for condition in suggestions(self.view.filter, seen))
        return (
            f"None of the {count:,} events match the filter {one_line(str(self.view.filter), 200)}."
            f"{f' Did you mean {near}?' if near else ''}\n"
            f"backspace clears the filter, f edits it. Kinds seen so far (tab completes them):\n{', '.join(kinds)}"
        )

    def line_key(self, index: int) -> Hashable:
        """Returns the look of a line as its cache key, because another line may get the same index later."""
        return self._look(index)

    def keys(self, height: int) -> Iterable[Hashable]:
        """Returns the cache keys of all visible lines.

        The look of a line depends on the previous line. Computing all looks together reads each line only
        once.
        """
        top = self.scroll_offset.y
        looks: list[Hashable] = list(
            looks_at(
                self.view, top, top + height, self.absolute, self.pattern, self._highlight, self._kinds.cells
            )
        )
        return looks + [self.empty_text_at(y) for y in range(len(looks), height)]

    def draw_line(self, index: int, width: int) -> Strip:
        """Draws one line."""
        look = self._look(index)
        return line_of(
            *((text, self.component(name, look.highlight)) for text, name in pieces(self.view, look, width))
        )

    def _look(self, index: int) -> Look:
        return next(
            looks_at(
                self.view, index, index + 1, self.absolute, self.pattern, self._highlight, self._kinds.cells
            )
        )

    def _highlight(self, index: int) -> str:
        if index != self._cursor:
            return ""
        return "event-log--cursor" if self.has_focus else "event-log--cursor-blurred"

    def _line_at(self, position: int) -> ViewLine | None:
        return self.view.line(position) if 0 <= position < len(self.view) else None

    def _show_cursor(self, *, centre: bool = False) -> None:
        with self._moving_ourselves():
            self.show_line(self._cursor, centre=centre)

    def _place_cursor(self, index: int) -> None:
        if index != self._cursor:
            self.refresh_line(self._cursor)
            self._cursor = index
            self.refresh_line(index)
        if self.is_attached:
            # To the screen directly, because each container on the way would handle it ten times a second.
            self.screen.post_message(self.Highlighted(self))

    def _cleared(self) -> None:
        self.forget_lines()
        self._cursor, self._cursor_follows, self._anchor, self.remark = 0, True, None, ""
        self.following = True
        self.changed()
