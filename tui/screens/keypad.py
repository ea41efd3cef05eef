"""The keypad, which sends DTMF keys and can be used with keyboard or mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.screens.actions import Action, bindings

KEYS = "123456789*0#"
COLUMNS = 3
_NAMES = {"*": "asterisk", "#": "number_sign"}
_SHOWN = 22

KEYPAD = (
    *(
        Action(
            f"dtmf_{_NAMES.get(key, key)}",
            key,
            f"Press {key}",
            f"Send the DTMF key {key}.",
            f"press('{key}')",
        )
        for key in KEYS
    ),
    Action("keypad_next", "tab,right", "Right", "Move to the next key.", "move(1)"),
    Action("keypad_previous", "shift+tab,left", "Left", "Move to the previous key.", "move(-1)"),
    Action("keypad_below", "down", "Down", "Move to the key below.", f"move({COLUMNS})"),
    Action("keypad_above", "up", "Up", "Move to the key above.", f"move(-{COLUMNS})"),
    Action("keypad_close", "escape,K", "Close", "Go back to the session.", "close", key_display="esc"),
)


class KeypadScreen(ModalScreen[None], inherit_bindings=False):
    """Twelve telephone keys, in the usual arrangement. Pressing a key sends it."""

    CSS_PATH = "keypad.tcss"
    TITLE = "Keypad"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYPAD)

    def __init__(self, send: Callable[[str], None]) -> None:
        super().__init__()
        self._send = send
        self._digits = ""
        self._pressed = Static("–", id="pressed", markup=False)

    def compose(self) -> ComposeResult:
        """Yields the twelve keys."""
        with Vertical(id="keypad") as box:
            box.border_title = "Keypad"
            yield self._pressed
            with Grid(id="keys"):
                for key in KEYS:
                    yield Button(key, name=key, compact=True)
            yield Static("arrows, enter · esc close", id="hint", markup=False)

    @on(Button.Pressed)
    def press_button(self, event: Button.Pressed) -> None:
        """Sends the key of a button that was pressed with the mouse or with enter."""
        self.action_press(event.button.name or "")

    def action_press(self, key: str) -> None:
        """Sends a key, and shows the keys sent so far."""
        self._digits += key
        self._pressed.update(self._digits[-_SHOWN:], layout=False)
        self._send(key)

    def action_move(self, by: int) -> None:
        """Moves the focus by a number of keys, wrapping around at the end."""
        buttons = list(self.query(Button))
        at = buttons.index(self.focused) if isinstance(self.focused, Button) else 0 if by < 0 else -by
        buttons[(at + by) % len(buttons)].focus()

    def action_close(self) -> None:
        """Closes the keypad."""
        self.dismiss()
