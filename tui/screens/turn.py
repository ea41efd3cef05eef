"""The Turn screen: shows one turn in full, and can show its events in the log."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from tui.bridge import Bridge
from tui.models.turns.figures import Thresholds
from tui.screens.actions import Action, bindings
from tui.screens.page import Page
from tui.widgets.turn_page import TurnPage

TURN = (
    Action("turn_events", "enter", "Events", "Show the turn's events in the log.", "events", show=True),
    Action("turn_next", "n,right", "Next", "Go to the next turn.", "turn(1)", show=True),
    Action("turn_previous", "N,left", "Previous", "Go to the previous turn.",
           "turn(-1)", key_display="N", show=True),
    Action("turn_close", "escape", "Back", "Go back to the turns.", "close", show=True),
)  # fmt: skip


class TurnScreen(Page[int | None], inherit_bindings=False):
    """Shows a turn. Returns the turn if the user asks for its events in the log, otherwise None."""

    CSS_PATH = "turn.tcss"
    TITLE = "Turn"
    ACTIONS = TURN
    BINDINGS: ClassVar[list[BindingType]] = bindings(TURN)

    def __init__(self, bridge: Bridge, thresholds: Thresholds, number: int) -> None:
        super().__init__()
        self.bridge = bridge
        self.page = TurnPage(bridge, thresholds, id="turn")
        self._number = number

    def body(self) -> ComposeResult:
        """Composes the widgets from top to bottom."""
        yield self.page

    def on_mount(self) -> None:
        """Shows the turn."""
        self._show(self._number)
        self.page.focus()

    def poll(self) -> None:
        """Shows changes to the turn. The app calls this every tick while the screen is shown."""
        if self.bridge.redraws.refreshed:
            self.page.update()

    def _show(self, number: int) -> None:
        self.page.show(number)
        last = self.bridge.state.metrics.turns[-1].number
        name = f"Turn {number} of {last}" if number else "Greeting"
        self.page.border_title = name

    def action_turn(self, step: int) -> None:
        """Goes to the next turn, or to the previous one if ``step`` is negative."""
        numbers = [turn.number for turn in self.bridge.state.metrics.turns]
        wanted = self.page.number + step
        if wanted in numbers:
            self._show(wanted)
        else:
            self.notify("No more turns in that direction.", markup=False)

    def action_events(self) -> None:
        """Closes the screen, and shows the events of the turn in the log."""
        self.dismiss(self.page.number)
