"""The settings dialog: theme (with a preview), thresholds, confirmation before quitting, and keys."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.keys import format_key
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Select, Static
from textual.widgets.option_list import Option

from tui.config.model import Settings
from tui.models.turns.figures import Thresholds
from tui.screens.actions import APP, DIALOG, Action, ActionArea, bindings
from tui.screens.session_actions import SESSION
from tui.screens.themes import OFFERED
from tui.text.strict import SettingsError, to_struct
from tui.text.visible import one_line
from tui.widgets.choice import Choice
from tui.widgets.writing import WordLine

SETTINGS_KEYS = (
    Action("settings_save", "ctrl+s", "Save", "Apply the settings and write them to the settings file.", "save"),
    Action("settings_own_key", "backspace", "Own key", "Restore the action's default key.", "own_key"),
    Action("settings_close", "escape", "Close", "Close without changes.", "close"),
    *DIALOG,
)  # fmt: skip
KEY = (Action("key_cancel", "escape", "Cancel", "Keep the current key.", "cancel"),)
HINT = "tab next · enter open a list, or choose another key · ⌫ default key · ^s save · esc cancel"
_NAME_CELLS, _KEYS_CELLS = 23, 11
_QUITTING = {"yes": "asks first", "no": "ends the call and quits"}


class KeyScreen(ModalScreen[str | None], inherit_bindings=False):
    """Asks for a key. Returns the key's name in the settings file; None if the user pressed escape."""

    DEFAULT_CSS = """
    KeyScreen {
        align: center middle; background: $background 60%;
        Static {
            width: auto; max-width: 100%; height: auto; padding: 0 2; border: round $border; background: $surface;
        }
    }
    """
    TITLE = "Key"
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEY)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def compose(self) -> ComposeResult:
        """Yields the question."""
        yield Static(f"Press the new key for {self._name}. esc keeps the current one.", markup=False)

    def on_key(self, event: events.Key) -> None:
        """Closes with the pressed key, unless it is escape."""
        if event.key == "escape":
            return
        event.stop()
        typed = event.character if event.is_printable and event.key != "space" else None
        self.dismiss(typed or event.key)

    def action_cancel(self) -> None:
        """Closes without a new key."""
        self.dismiss(None)


class SettingsScreen(ModalScreen[Settings | None], inherit_bindings=False):
    """Edits the settings. Returns the changed settings, or None.

    While the user chooses a theme, the screen previews the theme.
    """

    CSS_PATH = "settings_form.tcss"
    TITLE = "Settings"
    AUTO_FOCUS = "#theme"
    BINDINGS: ClassVar[list[BindingType]] = bindings(SETTINGS_KEYS)

    def __init__(self, settings: Settings, theme: str) -> None:
        super().__init__()
        self._settings, self._theme = settings, theme
        limits = settings.thresholds
        self.theme = Choice({name: f"{name}: {look}" for name, look in OFFERED.items()}, id="theme")
        self.good = WordLine(placeholder="ms", id="good")
        self.slow = WordLine(placeholder="ms", id="slow")
        self.good.value, self.slow.value = f"{limits.good_ms:g}", f"{limits.slow_ms:g}"
        self.quitting = Choice(_QUITTING, id="quitting")
        self.keys = OptionList(id="keys", markup=False)
        self._bound = dict(settings.keys)
        self._problem = Static(id="problem", markup=False)

    def compose(self) -> ComposeResult:
        """Yields one line for each setting, and then the list of keys."""
        with Vertical(id="settings") as box:
            box.border_title = "Settings"
            yield Horizontal(Label("Theme"), self.theme, classes="field")
            bad = Label("Bad above (ms)", classes="second")
            yield Horizontal(Label("Good up to (ms)"), self.good, bad, self.slow, classes="field")
            yield Horizontal(Label("q during a call"), self.quitting, classes="field")
            self.keys.border_title = "Keys"
            yield self.keys
            yield self._problem
            yield Static(HINT, id="hint", markup=False)

    def on_mount(self) -> None:
        """Shows the effective settings."""
        self.theme.choose(self._theme)
        self.quitting.choose("yes" if self._settings.screen.confirm_quit else "no")
        self.keys.add_options(Option(self._line(action), id=action.id) for action in _bindable())
        self.keys.highlighted = 0

    def _line(self, action: Action) -> Content:
        changed = action.id in self._bound
        keys = " ".join(map(format_key, self._bound.get(action.id, action.keys.split(","))))
        name = f"{action.area}: {action.name}"
        # Two columns, so that keys are aligned with keys and names with names.
        return Content.assemble(
            (f"{name:<{_NAME_CELLS}}", "bold"),
            (f"{keys:<{_KEYS_CELLS}} ", "$primary bold" if changed else "$primary"),
            action.tooltip,
        )

    @on(Select.Changed, "#theme")
    def preview(self) -> None:
        """Shows the screen in the theme that is being chosen."""
        self.app.theme = self.theme.chosen

    @on(OptionList.OptionSelected, "#keys")
    def ask_key(self, event: OptionList.OptionSelected) -> None:
        """Asks for a new key for the selected action."""
        action = _bindable()[event.option_index]
        self.app.push_screen(KeyScreen(action.name), lambda key: self._bind(action, (key,)) if key else None)

    def action_own_key(self) -> None:
        """Resets the action under the cursor to its default key."""
        if self.keys.highlighted is not None and self.focused is self.keys:
            self._bind(_bindable()[self.keys.highlighted], ())

    def _bind(self, action: Action, keys: tuple[str, ...]) -> None:
        from tui.screens.keymap import keymap_of  # late: imports every screen, including this one

        others = {name: bound for name, bound in self._bound.items() if name != action.id}
        bound = {**others, action.id: keys} if keys else others
        problem = ""
        try:
            keymap_of(bound)
            self._bound = bound
        except SettingsError as error:
            problem = str(error)
        self._show_problem(problem)
        self.keys.replace_option_prompt(action.id, self._line(action))

    def _show_problem(self, sentence: str) -> None:
        self._problem.update(one_line(sentence, 400))
        self._problem.display = bool(sentence)

    def action_save(self) -> None:
        """Closes with the changed settings. If a setting has a problem, shows the problem instead."""
        try:
            limits = {"good_ms": _number(self.good.value), "slow_ms": _number(self.slow.value)}
            kept = msgspec.structs.asdict(self._settings.thresholds)
            thresholds = to_struct(Thresholds, kept | limits, "[thresholds]")
        except SettingsError as error:
            self._show_problem(str(error))
            return
        old = self._settings.screen
        theme = self.theme.chosen if self.theme.chosen != self._theme else old.theme
        screen = msgspec.structs.replace(old, theme=theme, confirm_quit=self.quitting.chosen == "yes")
        self.dismiss(
            msgspec.structs.replace(self._settings, thresholds=thresholds, screen=screen, keys=self._bound)
        )

    def action_close(self) -> None:
        """Closes without changes."""
        self.app.theme = self._theme
        self.dismiss(None)


def _bindable() -> list[Action]:
    """Returns the actions of the session screen and of the program, in the order of the list."""
    areas = list(ActionArea)
    return sorted((*SESSION, *APP), key=lambda action: areas.index(action.area or ActionArea.PROGRAM))


def _number(text: str) -> float | str:
    """Converts text to a number. Text that is not a number is returned unchanged, for the error message."""
    try:
        return float(text)
    except ValueError:
        return text
