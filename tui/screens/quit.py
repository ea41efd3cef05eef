"""The dialog that asks for confirmation before quitting during a call."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.models.session_state import SessionState
from tui.screens.actions import DIALOG, Action, bindings

QUIT = (
    Action("quit_confirm", "q", "Quit", "End the call and quit.", "answer(True)"),
    Action("quit_cancel", "escape", "Stay", "Continue the call.", "answer(False)"),
    *DIALOG,
)


class QuitScreen(ModalScreen[bool], inherit_bindings=False):
    """Asks whether to quit; returns True or False. The call continues while the question is shown."""

    DEFAULT_CSS = """
    QuitScreen {
        align: center middle; background: $background 60%;
        #quit { width: 50; height: auto; padding: 0 1; border: round $border; background: $surface; }
        Horizontal { height: 1; margin: 1 0; }
        Button { margin-right: 2; }
        #hint { height: auto; color: $foreground-muted; }
    }
    """
    TITLE = "Quit"
    AUTO_FOCUS = "#leave"
    BINDINGS: ClassVar[list[BindingType]] = bindings(QUIT)

    def __init__(self, state: SessionState) -> None:
        super().__init__()
        self._state = state
        self._question = Static("The call is still active. End it and quit?", id="question", markup=False)
        self._leave = Button("End call and quit", id="leave", variant="primary", compact=True)

    def compose(self) -> ComposeResult:
        """Yields the question and the two buttons."""
        with Vertical(id="quit") as box:
            box.border_title = "Quit"
            yield self._question
            with Horizontal():
                yield self._leave
                yield Button("Stay", id="stay", compact=True)
            yield Static(
                "enter or q quit · esc stay\nThe settings (f4) can turn this question off.",
                id="hint",
                markup=False,
            )

    def poll(self) -> None:
        """Changes the question if the call has ended. The app calls this every tick."""
        if self.is_mounted and not self._state.status.live and str(self._leave.label) != "Quit":
            self._question.update("The call has ended in the meantime. Quit?")
            self._leave.label = "Quit"

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """Closes with the answer of the pressed button."""
        self.action_answer(event.button.id == "leave")

    def action_answer(self, leave: bool) -> None:
        """Closes with the answer."""
        self.dismiss(leave)
