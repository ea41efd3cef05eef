"""TalkButton: keeps the microphone on while the mouse button is held down.

No key can replace the mouse, because terminals do not report key releases.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.lines import components_in, line_of

_LEAST_CELLS = 14
"""Minimum width for the longer labels."""


class TalkButton(Widget):
    """Keeps the microphone on while the mouse holds it down.

    The button is released when the mouse button is released anywhere on the screen, or when the terminal
    loses the focus.
    """

    DEFAULT_CSS = """
    TalkButton {
        height: 1;
        width: 18;
        max-width: 18%;
        .talk--idle { color: $foreground-muted; background: $panel; }
        .talk--ready { color: $primary; background: $panel; text-style: bold; }
        .talk--open { color: $background; background: $text-error; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)

    class Pressed(Message):
        """Requests that recording start."""

    class Released(Message):
        """Requests that recording stop."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.held = False
        self._ready = self._recording = False
        self.tooltip = (
            "Hold the mouse button to talk, or use space, r and s (terminals do not report key releases)"
        )

    def show_state(self, *, ready: bool, recording: bool) -> None:
        """Shows whether a call is active and whether the microphone is on."""
        if (ready, recording) != (self._ready, self._recording):
            self._ready, self._recording = ready, recording
            self.refresh()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Requests that recording start."""
        if self._ready and event.button == 1:
            self.held = True
            self.capture_mouse()
            self.post_message(self.Pressed())
            self.refresh()

    def on_mouse_up(self) -> None:
        """Requests that recording stop."""
        self.let_go()

    def let_go(self) -> None:
        """Releases the button if it is held down."""
        if self.held:
            self.held = False
            self.release_mouse()
            self.post_message(self.Released())
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draws the label, which says what a press does, or that the microphone is on."""
        width = self.size.width
        if self._recording:
            long, short, look = "talking" if self.held else "mic on", "mic on", "talk--open"
        else:
            long, short, look = "hold to talk", "talk", "talk--ready" if self._ready else "talk--idle"
        words = long if width >= _LEAST_CELLS else short
        return line_of((f"◉ {words}".center(width), self.get_component_rich_style(look)))
