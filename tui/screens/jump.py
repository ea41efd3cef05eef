"""Jump mode: shows a letter over every widget that can have the focus; typing a letter focuses its widget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_lowercase
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.actions import Action, bindings

JUMP = (Action("jump_cancel", "escape", "Cancel", "Stay where you are.", "cancel"),)
_LETTERS = "asdfghjkl" + "".join(sorted(set(ascii_lowercase) - set("asdfghjkl")))
"""Letters in order of use, starting with the home row."""


class JumpScreen(ModalScreen[Widget | None], inherit_bindings=False):
    """Returns the widget whose letter was typed; None for any other key."""

    DEFAULT_CSS = """
    JumpScreen {
        background: $background 40%;
        Static {
            position: absolute; width: 3; height: 1;
            background: $warning; color: $background; text-style: bold; text-align: center;
        }
    }
    """
    TITLE = "Jump"
    BINDINGS: ClassVar[list[BindingType]] = bindings(JUMP)

    def __init__(self, targets: Iterable[Widget]) -> None:
        super().__init__()
        self.targets: Mapping[str, Widget] = dict(zip(_LETTERS, targets, strict=False))
        """The widgets by letter."""

    def compose(self) -> ComposeResult:
        """Yields the letters, each at the top left of its widget."""
        for letter, widget in self.targets.items():
            mark = Static(letter, markup=False)
            mark.styles.offset = widget.region.offset
            yield mark

    def on_key(self, event: events.Key) -> None:
        """Closes with the widget whose letter was typed."""
        event.stop()
        self.dismiss(self.targets.get(event.key))

    def action_cancel(self) -> None:
        """Closes without moving the focus."""
        self.dismiss(None)


def targets_on(screen: Screen[object]) -> list[Widget]:
    """Returns the visible widgets that can have the focus, in tab order."""
    return [widget for widget in screen.focus_chain if widget.region.overlaps(screen.region)]
