"""The screen that compares two saved sessions turn by turn."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from tui.library import CommandFailed, Library
from tui.screens.actions import Action, bindings
from tui.screens.page import Page
from tui.text.visible import one_line
from tui.widgets.session_comparison import SessionComparisonView

COMPARE_SESSIONS = (
    Action("sessions_next_difference", "n", "Next", "Go to the next turn that differs.", "difference", show=True),
    Action("sessions_previous_difference", "N", "Previous", "Go to the previous turn that differs.",
           "difference(False)", show=True),
    Action("sessions_compare_close", "escape", "Back", "Go back.", "close", show=True),
)  # fmt: skip


class CompareSessionsScreen(Page[None], inherit_bindings=False):
    """Remeasures both sessions in a separate process, and shows them side by side."""

    CSS_PATH = "compare_sessions.tcss"
    TITLE = "Compare sessions"
    ACTIONS = COMPARE_SESSIONS
    BINDINGS: ClassVar[list[BindingType]] = bindings(COMPARE_SESSIONS)

    def __init__(self, library: Library, left: Path, right: Path) -> None:
        super().__init__()
        self.view = SessionComparisonView(id="sessions")
        self._library = library
        self._folders = left, right

    def body(self) -> ComposeResult:
        """Composes the widgets from top to bottom."""
        yield self.view

    def on_mount(self) -> None:
        """Starts measuring both sessions."""
        self.view.border_title = "Compare sessions · turns paired by number · Δ right minus left · ≠ differs"
        self.view.focus()
        self._measure()

    @work(exclusive=True, group="compare", description="measure two sessions")
    async def _measure(self) -> None:
        try:
            comparison = await self._library.compare(*self._folders)
        except (CommandFailed, OSError) as error:
            self.view.show(None, one_line(f"The sessions cannot be compared: {error}", 400))
        else:
            self.view.show(comparison)

    def action_difference(self, forward: bool = True) -> None:
        """Goes to the next turn that differs, or to the previous one if not ``forward``."""
        if not self.view.go_to_difference(forward=forward):
            self.notify("No more differences in that direction.", markup=False)
