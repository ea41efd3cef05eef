"""The dialog that asks for confirmation before a scenario's shell commands are run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.screens.actions import DIALOG, Action, bindings
from tui.text.visible import one_line

COMMANDS = (
    Action("commands_refuse", "escape", "Do not run", "Play the scenario without its commands.", "answer(False)"),
    *DIALOG,
)  # fmt: skip
_SHOWN = 8


class CommandsScreen(ModalScreen[bool], inherit_bindings=False):
    """Asks whether the commands may be run on this computer; returns True or False."""

    DEFAULT_CSS = """
    CommandsScreen {
        align: center middle; background: $background 60%;
        #commands { width: 76; max-width: 96%; height: auto; padding: 0 1; }
        #commands { border: round $border; background: $surface; }
        Horizontal { height: 1; margin: 1 0; }
        Button { margin-right: 2; }
        .command { color: $text-warning; }
    }
    """
    TITLE = "Commands"
    AUTO_FOCUS = "#refuse"
    BINDINGS: ClassVar[list[BindingType]] = bindings(COMMANDS)

    def __init__(self, commands: Sequence[str]) -> None:
        super().__init__()
        self._commands = commands

    def compose(self) -> ComposeResult:
        """Yields the commands and the two buttons."""
        with Vertical(id="commands") as box:
            box.border_title = "Run commands"
            yield Static("This scenario runs shell commands on this computer:", markup=False)
            for command in self._commands[:_SHOWN]:
                yield Static(f"  {one_line(command, 200)}", classes="command", markup=False)
            if len(self._commands) > _SHOWN:
                yield Static(f"  and {len(self._commands) - _SHOWN} more", markup=False)
            with Horizontal():
                yield Button("Do not run them", id="refuse", variant="primary", compact=True)
                yield Button("Run them", id="allow", compact=True)

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """Closes with the answer of the pressed button."""
        self.action_answer(event.button.id == "allow")

    def action_answer(self, allowed: bool) -> None:
        """Closes with the answer."""
        self.dismiss(allowed)
