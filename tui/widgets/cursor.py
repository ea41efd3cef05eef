"""CursorKeys: keys and mouse for a view with a cursor on one of its lines."""

from __future__ import annotations

from abc import abstractmethod

from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget


class CursorKeys(Widget):
    """A mixin for views of lines. List it after the widget class. Its keys come from `cursor_bindings`."""

    @property
    @abstractmethod
    def cursor(self) -> int:
        """The line of the cursor."""

    @abstractmethod
    def count(self) -> int:
        """Returns the number of lines."""

    @abstractmethod
    def move_to(self, index: int) -> None:
        """Puts the cursor on a line, or the nearest line that exists, and scrolls it into view."""

    @property
    def page_lines(self) -> int:
        """Number of lines by which page up and page down move. One line of the previous page stays in view."""
        return max(self.scrollable_content_region.height - 1, 1)

    def action_cursor(self, lines: int) -> None:
        """Moves up or down."""
        self.move_to(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Moves the cursor up or down by pages."""
        self.move_to(self.cursor + pages * self.page_lines)

    def action_first(self) -> None:
        """Goes to the first line."""
        self.move_to(0)

    def action_last(self) -> None:
        """Goes to the last line."""
        self.move_to(self.count() - 1)

    def on_click(self, event: events.Click) -> None:
        """Passes a click on a line to `line_clicked`."""
        offset = event.get_content_offset(self)
        index = None if offset is None else self.line_at(offset.y)
        if index is not None and 0 <= index < self.count():
            self.line_clicked(index, event)

    def line_at(self, y: int) -> int | None:
        """Returns the line at this row of the view; None for a row without a line."""
        return y + self.scroll_offset.y

    def line_clicked(self, index: int, event: events.Click) -> None:
        """Puts the cursor on the line that was clicked."""
        self.move_to(index)


def own_key(key: str, action: str, name: str, tooltip: str, id: str) -> Binding:  # noqa: A002 - Textual's name
    """Returns the binding of a pane's own key. The pane's ``FOOTER`` decides whether the footer shows it."""
    return Binding(key, action, name, show=False, key_display={"enter": "⏎"}.get(key), tooltip=tooltip, id=id)


def cursor_bindings(prefix: str, unit: str = "Row", *, end: str = "last") -> list[BindingType]:
    """Returns the bindings of a view with a cursor, with ids such as ``prefix.up``.

    ``end`` is the action for the end key.
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
