"""Input fields that remove terminal control characters from pasted text."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.geometry import Region
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.text.visible import harmless

MAX_CHARACTERS = 10_000
_VISIBLE = r"[!-~\u00a1-\u00ac\u00ae-\u1fff\u3001-\ud7ff]"
"""Matches a character of a URL or a name."""


class TextLine(Input):
    """A line of input. Pasted lines are joined, and text beyond the limit is cut off."""

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default().stop()
        self.paste(event.text)

    def show_end(self) -> None:
        """Moves the cursor to the end of the text, and scrolls to it once the width of the field is known."""
        self.cursor_position = len(self.value)
        end = Region(cell_len(self.value), 0, width=1, height=1)
        self.call_after_refresh(
            self.scroll_to_region, end, force=True, animate=False, x_axis=True, y_axis=False
        )

    def paste(self, text: str) -> None:
        """Replaces the selection with the part of the text that the field accepts."""
        line = self.clean(text)
        room = self.max_length - len(self.value) if self.max_length else len(line)
        self.replace(line[: max(room, 0)], *self.selection)

    def clean(self, text: str) -> str:
        """Returns the part of a pasted text that the field accepts."""
        return harmless(" ".join(text.split()))


class WordLine(TextLine):
    """A line of input for a URL or a name, without blanks or invisible characters."""

    def __init__(self, *, placeholder: str, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(placeholder=placeholder, restrict=f"{_VISIBLE}*", id=id, compact=True)

    def clean(self, text: str) -> str:
        """Returns the characters of a pasted text that could also be typed.

        Textual's `Input` would reject the whole paste if it contained a character that cannot be typed.
        """
        return "".join(re.findall(_VISIBLE, text))


class WriteLine(Horizontal):
    """The input line for typed turns.

    Entering text sends it and leaves the line open; entering nothing closes the line. The line is not a modal
    screen, because everything behind a modal screen is repainted at each change, at twice the cost.
    """

    TITLE = "Write"
    DEFAULT_CSS = """
    WriteLine {
        display: none; height: 1; padding: 0 1; background: $panel;
        Static { width: 7; color: $primary; text-style: bold; }
        Input { width: 1fr; background: $panel; background-tint: transparent; }
        &.-open { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close the line", show=False, id="write.close"),
    ]

    class Written(Message):
        """Requests that a typed turn be sent."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.line = TextLine(
            placeholder="Type a message · enter send · esc cancel",
            max_length=MAX_CHARACTERS,
            select_on_focus=False,
            compact=True,
        )
        self._came_from: Widget | None = None

    def compose(self) -> ComposeResult:
        """Yields the label and the input field."""
        yield Static("Write", markup=False)
        yield self.line

    @property
    def is_open(self) -> bool:
        """Whether the line is shown."""
        return self.has_class("-open")

    def open(self) -> None:
        """Shows the line, and moves the focus to it."""
        if not self.is_open:
            self._came_from = self.screen.focused
        self.add_class("-open")
        self.screen.set_focus(self.line)

    def action_close(self) -> None:
        """Hides the line, and returns the focus to the previous widget."""
        self.remove_class("-open")
        self.screen.set_focus(self._came_from)

    @on(Input.Submitted)
    def _entered(self) -> None:
        text = self.line.value.strip()
        self.line.clear()
        if text:
            self.post_message(self.Written(text))
        else:
            self.action_close()
