"""CompareView: shows two events side by side or, in a narrow terminal, one above the other."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import ClassVar, NamedTuple

from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from tui.models.message.diff import Comparison, Difference, DiffRow, Missing
from tui.models.message.json import JsonNumber, JsonObject, as_json, path_text, shown_key
from tui.text.visible import one_line
from tui.widgets.cursor import CursorKeys, cursor_bindings
from tui.widgets.lines import LineView, components_in, line_of
from tui.widgets.tree_lines import cut_text, quoted
from tui.widgets.wrap import fit

SIDE_BY_SIDE = 100
"""Minimum width in cells for the side-by-side layout."""
_BEFORE_DIFFERENCE = 10
"""Number of equal characters that are shown before the first difference between two strings."""
_STYLES = {
    Difference.SAME: "compare--same",
    Difference.ADDED: "compare--added",
    Difference.REMOVED: "compare--removed",
    Difference.CHANGED: "compare--changed",
}


class _Line(NamedTuple):
    row: DiffRow
    right: bool | None = None
    """In the stacked layout, False for the left value and True for the right.

    None for both, or for an equal value.
    """


class CompareView(LineView, CursorKeys, inherit_bindings=False):
    """The rows of a comparison, with a cursor."""

    DEFAULT_CSS = """
    CompareView {
        .compare--same { color: $foreground-muted; }
        .compare--added { color: $text-success; }
        .compare--removed { color: $text-error; }
        .compare--changed { color: $text-warning; }
        .compare--cursor {
            color: $block-cursor-foreground; background: $block-cursor-background; text-style: none;
        }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)
    BINDINGS: ClassVar[list[BindingType]] = cursor_bindings("compare", "Line")

    class Moved(Message):
        """Reports that the cursor has moved, or that other rows are shown."""

    def __init__(self, comparison: Comparison, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.comparison = comparison
        self.differences_only = False
        self._lines: list[_Line] = []
        self._cursor = 0

    @property
    def row(self) -> DiffRow | None:
        """The row under the cursor."""
        return self._lines[self._cursor].row if self._lines else None

    def show_all(self, *, differences_only: bool) -> None:
        """Shows all rows, or only the rows that differ.

        The cursor stays on the same row if possible.
        """
        row, self.differences_only = self.row, differences_only
        self._lay_out()
        if row in (rows := [line.row for line in self._lines]):
            self.move_to(rows.index(row))

    def go_to_difference(self, *, forward: bool) -> bool:
        """Goes to the next or the previous difference.

        Returns False if there is no further difference.
        """
        here = self.row
        lines = range(self._cursor + 1, len(self._lines)) if forward else range(self._cursor - 1, -1, -1)
        for index in lines:
            row = self._lines[index].row
            if row.difference is not Difference.SAME and not row.inside and row is not here:
                self.move_to(index)
                return True
        return False

    def copied(self) -> tuple[str, str] | None:
        """Returns a name for the value under the cursor, and the full text of the value.

        If the row shows two values, returns the right value.
        """
        row = self.row
        if row is None:
            return None
        left = self._lines[self._cursor].right is False or isinstance(row.right, Missing)
        value = row.left if left else row.right
        side = "left" if left else "right"
        return f"{side} value of {path_text(row.path)}", value if type(value) is str else as_json(value)

    def on_resize(self) -> None:
        """Lays out the rows for the new width; the first time, also goes to the first difference."""
        first = not self._lines
        self.show_all(differences_only=self.differences_only)
        if first and self.row is not None and self.row.difference is Difference.SAME:
            self.go_to_difference(forward=True)

    def line_key(self, index: int) -> Hashable:
        """Returns the cache key of a line."""
        return index, index == self._cursor

    def draw_line(self, index: int, width: int) -> Strip:
        """Draws both values of a row or, in the stacked layout, one of them."""
        line = self._lines[index]
        style = self.component(
            _STYLES[line.row.difference], "compare--cursor" if index == self._cursor else ""
        )
        if not self._beside:
            glyph = {None: line.row.difference.value, False: "-", True: "+"}[line.right]
            side = _side(line.row, width - 2, right=self._right(line))
            return line_of((f"{glyph} {side}", style))
        half = (width - 5) // 2
        left = fit(_side(line.row, half, right=False), half)
        right = fit(_side(line.row, half, right=True), half)
        return line_of((f"{line.row.difference.value} {left} │ {right}", style))

    def _right(self, line: _Line) -> bool:
        return isinstance(line.row.left, Missing) if line.right is None else line.right

    @property
    def _beside(self) -> bool:
        return self.line_width >= SIDE_BY_SIDE

    def _lay_out(self) -> None:
        self._lines = []
        for row in self.comparison.rows:
            if self.differences_only and row.difference is Difference.SAME:
                continue
            if row.difference is Difference.CHANGED and not row.inside and not self._beside:
                self._lines += [_Line(row, False), _Line(row, True)]
            else:
                self._lines.append(_Line(row))
        self._cursor = max(min(self._cursor, len(self._lines) - 1), 0)
        self.set_lines(len(self._lines))
        self.forget_lines()
        self.refresh()
        self.post_message(self.Moved())

    # the cursor

    @property
    def cursor(self) -> int:
        """Index of the line with the cursor."""
        return self._cursor

    def count(self) -> int:
        """Returns the number of lines."""
        return len(self._lines)

    def move_to(self, index: int) -> None:
        """Moves the cursor to a line."""
        before, self._cursor = self._cursor, max(min(index, len(self._lines) - 1), 0)
        self.refresh_line(before)
        self.refresh_line(self._cursor)
        self.show_line(self._cursor)
        self.post_message(self.Moved())


def _side(row: DiffRow, cells: int, *, right: bool) -> str:
    """Returns the left or right value of a row, with its name; empty if the value is missing."""
    value, other = (row.right, row.left) if right else (row.left, row.right)
    if isinstance(value, Missing):
        return ""
    indent = " " * min(2 * max(len(row.path) - 1, 0), cells // 2)
    if row.alike:
        last = int(row.path[-1]) + row.alike - 1
        return f"{indent}{row.path[-1]}–{last}: {row.alike:,} alike"
    name = f"{indent}{one_line(shown_key(row.path[-1]), 40)}: " if row.path else ""
    return name + _shown(value, other, max(cells - len(name), 8))


def _shown(value: object, other: object, cells: int) -> str:
    match value:
        case JsonObject():
            return f"{{{len(value):,}}}" if value else "{}"
        case list():
            return f"[{len(value):,}]" if value else "[]"
        case JsonNumber():
            return one_line(value, cells)
        case str():
            return _text(value, other, cells)
        case _:
            return json.dumps(value)


def _alike_until(text: str, other: str) -> int:
    """Returns the length of the common beginning of two strings.

    Uses bisection, because the strings may be long.
    """
    low, high = 0, min(len(text), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text[:middle] == other[:middle] else (low, middle - 1)
    return low


def _text(text: str, other: object, cells: int) -> str:
    """Returns a string as it is shown, shortened to ``cells`` cells.

    For a long string that differs from ``other``, the part around the first difference is shown.
    """
    if type(other) is str and other != text and len(text) > cells - 2:
        alike = _alike_until(text, other)
        if alike > _BEFORE_DIFFERENCE:
            at = f"character {alike + 1:,}: …"
            part = text[alike - _BEFORE_DIFFERENCE : alike + cells]
            return one_line(at + quoted(part)[1:-1], cells)
    return cut_text(text, cells)
