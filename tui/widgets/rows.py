"""RowsView: shows rows with a cursor, head lines above them, and the selected row in full below them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from tui.widgets.cursor import CursorKeys, cursor_bindings, own_key
from tui.widgets.lines import FollowView, Piece, components_in, line_of
from tui.widgets.wrap import fit, wrap

FOOT_LINES = 4
"""Minimum number of lines in the foot. The foot is taller if the rows leave lines empty."""
LEAST_ROWS = 3
"""Number of rows for which the foot leaves room in a focused pane; one less if space is limited."""
AMPLE_ROWS = 8
"""Number of rows for which the foot leaves room in a pane without focus."""
_GAP = "  "


class RowsView(FollowView, CursorKeys, inherit_bindings=False):
    """A scrolling list of rows, with a head and a foot that do not scroll.

    Enter or a double click chooses a row.
    """

    DEFAULT_CSS = """
    RowsView {
        .rows--plain { color: $foreground; }
        .rows--muted { color: $foreground-muted; }
        .rows--heading { color: $primary; text-style: bold; }
        .rows--good { color: $text-success; text-style: bold; }
        .rows--slow { color: $text-warning; text-style: bold; }
        .rows--bad { color: $text-error; text-style: bold; }
        .rows--bar { color: $primary; }
        .rows--cursor { background: $surface-lighten-2; }
        .rows--foot { background: $surface; }
        &:focus .rows--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)
    BINDINGS: ClassVar[list[BindingType]] = [
        *cursor_bindings("rows", end="follow_end"),
        own_key("enter", "choose", "Events", "Show the row's events in the log.", "rows.choose"),
    ]
    FOOTER: ClassVar[Sequence[str]] = ("rows.choose", "follow")

    class Chosen(Message):
        """Requests that the log show the events of a row. ``event_number`` is the number of the first event."""

        def __init__(self, event_number: int) -> None:
            super().__init__()
            self.event_number = event_number

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._cursor = 0
        self._foot_at = 0
        self._heads: Sequence[Sequence[Piece]] = ()
        self._foot: list[list[Piece]] = []
        self._vital_lines = 0

    @property
    def cursor(self) -> int:
        """Index of the row with the cursor."""
        return self._cursor

    # overridden by subclasses

    @abstractmethod
    def count(self) -> int:
        """Returns the number of rows."""

    @abstractmethod
    def event_of(self, index: int) -> int:
        """Returns the number of the event with which a row begins."""

    @abstractmethod
    def heads(self, width: int, height: int) -> Sequence[Sequence[Piece]]:
        """Returns the head lines. Returns fewer lines if ``height`` is small."""

    @abstractmethod
    def row(self, index: int, width: int) -> Sequence[Piece]:
        """Returns the pieces of text in a row."""

    @abstractmethod
    def row_key(self, index: int) -> Hashable:
        """Returns the cache key of a row, which must change when the row looks different."""

    @abstractmethod
    def in_full(self, index: int) -> Sequence[Piece]:
        """Returns the details of a row, which the foot shows.

        Each piece is kept on one line if possible.
        """

    vital_pieces = 0
    """Number of leading pieces of `in_full` that the foot always shows completely, even if it has to be taller."""

    @property
    def least_lines(self) -> int:
        """Number of lines that the head must leave free for a row and the most important part of the foot."""
        return 1 + (self._vital_lines if self.has_focus else 0)

    # drawing

    @property
    def foot_lines(self) -> int:
        """Number of lines in the foot.

        The foot uses the lines that the rows leave empty. In a focused pane, the foot may use more lines.
        """
        room = self.row_room
        empty = room - self.count()
        least = max(FOOT_LINES, self._vital_lines)
        if self.has_focus:
            least_rows = max(min(LEAST_ROWS, room // 2, room - self._vital_lines), 1)
            return min(len(self._foot), max(room - least_rows, 0), max(least, empty))
        most = max(empty, least if room - least >= AMPLE_ROWS else 0)
        return min(len(self._foot), most) if most >= min(len(self._foot), least) else 0

    @property
    def row_room(self) -> int:
        """Number of lines for the rows and the foot together."""
        return self._view.height - len(self._heads)

    def lay_out(self) -> None:
        """Lays out the head, and the foot for the row under the cursor."""
        view = self._view
        shown = self.cursor < self.count()
        pieces, width = self.in_full(self.cursor) if shown else (), max(view.width, 1)
        self._foot = laid_out(pieces, width) if pieces else []
        vital = pieces[: self.vital_pieces]
        self._vital_lines = len(laid_out(vital, width)) if vital else 0
        # The heads come last, because they leave room for the required part of the foot.
        self._heads = self.heads(view.width - 1, view.height) if view.width > 1 else ()

    @property
    def has_lines(self) -> bool:
        """Whether there are rows to draw."""
        return bool(self.count())

    def refresh_from_model(self) -> None:
        """Updates the number of rows, and redraws changed rows."""
        count = self.count()
        if self.following or self.cursor >= count:
            self._cursor = max(count - 1, 0)
        self.measure()
        self.grow(len(self._heads) + count + self.foot_lines, count)

    def measure(self) -> None:
        """Updates the size of the view, and the line at which the foot begins."""
        super().measure()
        self.lay_out()
        self._foot_at = self._view.height - self.foot_lines

    def key_at(self, y: int) -> Hashable:
        """Returns the cache key of line ``y`` of the view, which belongs to the head, a row or the foot."""
        heads = len(self._heads)
        if y < heads:
            return "head", tuple(self._heads[y])
        if y >= self._foot_at:
            return "foot", tuple(self._foot_line(y - self._foot_at, self._view.width))
        index = self.scroll_offset.y + y - heads
        return (
            (index, index == self.cursor, self.has_focus, self.row_key(index))
            if index < self.count()
            else self.empty_text_at(y - heads)
        )

    def draw_at(self, y: int) -> Strip:
        """Draws line ``y`` of the view, which belongs to the head, a row or the foot."""
        width, heads = self._view.width, len(self._heads)
        if y < heads:
            return self._drawn([(" ", "rows--muted"), *self._heads[y]], "")
        if y >= self._foot_at:
            return self._drawn(self._foot_line(y - self._foot_at, width), "rows--foot")
        index = self.scroll_offset.y + y - heads
        if index >= self.count():
            return self.draw_empty_text(y - heads)
        at_cursor = index == self.cursor
        row = [("▌" if at_cursor else " ", "rows--muted"), *self.row(index, width - 1)]
        return self._drawn(row, "rows--cursor" if at_cursor else "")

    def _drawn(self, pieces: Sequence[Piece], highlight: str) -> Strip:
        strip = line_of(*((text, self.component(style, highlight)) for text, style in pieces))
        return strip.adjust_cell_length(self._view.width, self.component("rows--plain", highlight))

    def _foot_line(self, line: int, width: int) -> Sequence[Piece]:
        lines = self._foot
        if line == self.foot_lines - 1 and len(lines) > line + 1 and not self._is_vital(line, width):
            return [(fit("".join(text for text, _ in lines[line]), width - 2) + " …", "rows--muted")]
        return lines[line] if line < len(lines) else []

    def _is_vital(self, line: int, width: int) -> bool:
        """Returns whether a line of the foot must be complete, without a mark that more lines follow."""
        text = "".join(text for text, _ in self._foot[line])
        return line < self._vital_lines and cell_len(text) > width - 2

    # the cursor

    def move_to(self, index: int) -> None:
        """Moves the cursor to a row, and scrolls the row into view."""
        count = self.count()
        self._cursor = min(max(index, 0), max(count - 1, 0))
        self.hold()
        self.lay_out()
        rows = self.row_room - self.foot_lines
        top = self.scroll_offset.y
        if not top <= self.cursor < top + rows:
            target = self.cursor if self.cursor < top else self.cursor - rows + 1
            self.scroll_to(y=target, animate=False)
        self.refresh()

    @property
    def page_lines(self) -> int:
        """Number of rows that page up and page down move: the visible rows minus one."""
        return max(self.row_room - self.foot_lines - 1, 1)

    def action_choose(self) -> None:
        """Chooses the row under the cursor."""
        if self.cursor < self.count():
            self.post_message(self.Chosen(self.event_of(self.cursor)))

    def follow(self) -> None:
        """Moves the cursor to the last row, and keeps it on the last row as rows are added."""
        self._cursor = max(self.count() - 1, 0)
        super().follow()

    def line_at(self, y: int) -> int | None:
        """Returns the index of the row at line ``y`` of the view.

        Returns None in the head and in the foot.
        """
        heads = len(self._heads)
        in_rows = heads <= y < self._view.height - self.foot_lines
        return y + self.scroll_offset.y - heads if in_rows else None

    def line_clicked(self, index: int, event: events.Click) -> None:
        """Moves the cursor to the clicked row. A double click chooses the row."""
        self.move_to(index)
        if event.chain > 1:
            self.action_choose()

    def on_resize(self) -> None:
        """Lays out the view, and hides the foot if it does not fit."""
        self._foot_changed()

    def on_focus(self) -> None:
        """Lays out the view with a foot, because the pane has the focus."""
        self._foot_changed()

    def on_blur(self) -> None:
        """Lays out the view, with a foot only if there is plenty of room."""
        self._foot_changed()

    def _foot_changed(self) -> None:
        self.refresh_from_model()
        if not self.following:
            self.move_to(self.cursor)


def laid_out(pieces: Sequence[Piece], width: int) -> list[list[Piece]]:
    """Arranges pieces on lines. Wraps a piece that is longer than a line; a newline piece ends the line."""
    lines: list[list[Piece]] = [[]]
    used = 0
    for text, style in pieces:
        if text == "\n":
            lines.append([])
            used = 0
            continue
        gap = _GAP if lines[-1] else ""
        if lines[-1] and used + len(gap) + cell_len(text) > width:
            lines.append([])
            gap, used = "", 0
        first, *rest = wrap(text, max(width, 1))
        lines[-1].append((gap + first, style))
        lines += [[(line, style)] for line in rest]
        used = cell_len(rest[-1]) if rest else used + len(gap) + cell_len(first)
    return lines
