"""CursorKeys: what the keys and the mouse do with a cursor that is in one of many lines."""

from __future__ import annotations

from abc import abstractmethod

from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget


class CursorKeys(Widget):
    """A mixin for views of lines, to be named after the widget class; the keys are those of `cursor_bindings`."""

    @property
    @abstractmethod
    def cursor(self) -> int:
        """The line it is in."""

    @abstractmethod
    def count(self) -> int:
        """How many lines there are."""

    @abstractmethod
    def move_to(self, index: int) -> None:
        """Put it into a line, or the nearest there is, and the line where it can be seen."""

    @property
    def page_lines(self) -> int:
        """How far page up and page down go: a line of what was seen stays in sight."""
        return max(self.scrollable_content_region.height - 1, 1)

    def action_cursor(self, lines: int) -> None:
        """Up and down."""
        self.move_to(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Page up and down."""
        self.move_to(self.cursor + pages * self.page_lines)

    def action_first(self) -> None:
        """Home."""
        self.move_to(0)

    def action_last(self) -> None:
        """End."""
        self.move_to(self.count() - 1)

    def on_click(self, event: events.Click) -> None:
        """A click on a line."""
        offset = event.get_content_offset(self)
        index = None if offset is None else self.line_at(offset.y)
        if index is not None and 0 <= index < self.count():
            self.line_clicked(index, event)

    def line_at(self, y: int) -> int | None:
        """Which line stands there, counted from the top of what is seen; None where lines never do."""
        return y + self.scroll_offset.y

    def line_clicked(self, index: int, event: events.Click) -> None:
        """Put it there."""
        self.move_to(index)


def cursor_bindings(prefix: str, unit: str = "Row", *, end: str = "last") -> list[BindingType]:
    """The keys of a view with a cursor; a keymap names them ``prefix.up`` and so on. ``end``: what that key does."""
    follows = ", and follow" if end == "follow_end" else ""
    keys = (
        ("up", "cursor(-1)", f"{unit} up", "up"),
        ("down", "cursor(1)", f"{unit} down", "down"),
        ("pageup", "page(-1)", "Page up", "page_up"),
        ("pagedown", "page(1)", "Page down", "page_down"),
        ("home", "first", f"First {unit.lower()}", "first"),
        ("end", end, f"Last {unit.lower()}{follows}", "last"),
    )
    return [Binding(key, action, name, show=False, id=f"{prefix}.{of}") for key, action, name, of in keys]
