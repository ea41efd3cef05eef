"""CursorKeys: keys and mouse actions of a view that has a cursor."""

from __future__ import annotations

from abc import abstractmethod

from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget


class CursorKeys(Widget):
    """A mixin for views of lines with a cursor.

    List it after the widget class. `cursor_bindings` returns the keys for the cursor.
    """

    @property
    @abstractmethod
    def cursor(self) -> int:
        """Index of the line with the cursor."""

    @abstractmethod
    def count(self) -> int:
        """Returns the number of lines."""

    @abstractmethod
    def move_to(self, index: int) -> None:
        """Moves the cursor to a line, or to the nearest line that exists, and scrolls it into view."""

    @property
    def page_lines(self) -> int:
        """Number of lines that page up and page down move: the visible lines minus one."""
        return max(self.scrollable_content_region.height - 1, 1)

    def action_cursor(self, lines: int) -> None:
        """Moves the cursor down by a number of lines, or up if the number is negative."""
        self.move_to(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Moves the cursor down by a number of pages, or up if the number is negative."""
        self.move_to(self.cursor + pages * self.page_lines)

    def action_first(self) -> None:
        """Moves the cursor to the first line."""
        self.move_to(0)

    def action_last(self) -> None:
        """Moves the cursor to the last line."""
        self.move_to(self.count() - 1)

    def on_click(self, event: events.Click) -> None:
        """Calls `line_clicked` if a line was clicked."""
        offset = event.get_content_offset(self)
        index = None if offset is None else self.line_at(offset.y)
        if index is not None and 0 <= index < self.count():
            self.line_clicked(index, event)

    def line_at(self, y: int) -> int | None:
        """Returns the index of the line at row ``y`` of the view; None if there is no line."""
        return y + self.scroll_offset.y

    def line_clicked(self, index: int, event: events.Click) -> None:
        """Moves the cursor to the clicked line."""
        self.move_to(index)


def own_key(key: str, action: str, name: str, tooltip: str, id: str) -> Binding:  # noqa: A002 - Textual's name
    """Returns a binding that belongs to one pane.

    The footer shows the key if the pane's ``FOOTER`` contains the id of the binding.
    """
    return Binding(key, action, name, show=False, key_display={"enter": "⏎"}.get(key), tooltip=tooltip, id=id)


def cursor_bindings(prefix: str, unit: str = "Row", *, end: str = "last") -> list[BindingType]:
    """Returns the bindings for moving a cursor, with ids such as ``prefix.up``.

    ``unit`` is the word for a line in the descriptions of the keys. ``end`` is the action of the end key.
    """
    follows = ", and follow" if end == "follow_end" else ""
    keys = (
        ("up,k", "cursor(-1)", f"{unit} up", "up"),
        ("down,j", "cursor(1)", f"{unit} down", "down"),
        ("pageup", "page(-1)", "Page up", "page_up"),
        ("pagedown", "page(1)", "Page down", "page_down"),
        ("home", "first", f"First {unit.lower()}", "first"),
        ("end", end, f"Last {unit.lower()}{follows}", "last"),
    )
    return [Binding(key, action, name, show=False, id=f"{prefix}.{of}") for key, action, name, of in keys]
