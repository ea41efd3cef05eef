"""The editor for the agent's instructions."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from tui.screens.actions import Action, bindings
from tui.text.visible import harmless

INSTRUCTIONS = (
    Action("instructions_send", "ctrl+s", "Send", "Send the instructions.", "send"),
    Action("instructions_close", "escape", "Close", "Close without sending.", "close"),
)


class InstructionsArea(TextArea):
    """A text area that strips control characters from pasted text."""

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default().stop()
        await super()._on_paste(events.Paste(harmless(event.text)))


class InstructionsScreen(ModalScreen[str | None], inherit_bindings=False):
    """Edits the agent's instructions. Returns the text to send, or None."""

    CSS_PATH = "instructions.tcss"
    TITLE = "Instructions"
    BINDINGS: ClassVar[list[BindingType]] = bindings(INSTRUCTIONS)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.area = InstructionsArea(harmless(text), compact=True, id="area")

    def compose(self) -> ComposeResult:
        """Yields the editor, in a box over the session."""
        with Vertical(id="instructions") as box:
            box.border_title = "Instructions"
            yield self.area
            yield Static("^s send · esc cancel", id="hint", markup=False)

    def action_send(self) -> None:
        """Closes the editor and returns the text, stripped of leading and trailing blanks."""
        self.dismiss(self.area.text.strip())

    def action_close(self) -> None:
        """Closes without sending."""
        self.dismiss(None)
