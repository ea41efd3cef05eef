"""Checks the user's keymap, and converts it to a Textual keymap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import KEY_ALIASES, Keys, format_key, key_to_character
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList

from tui.screens.actions import APP, bindings
from tui.screens.callbacks import CallbacksScreen
from tui.screens.chart import ChartScreen
from tui.screens.commands import CommandsScreen
from tui.screens.compare import CompareScreen
from tui.screens.compare_sessions import CompareSessionsScreen
from tui.screens.connect import ConnectScreen
from tui.screens.devices import DevicesScreen
from tui.screens.export import ExportScreen
from tui.screens.filter_help import FilterHelpScreen
from tui.screens.help import HelpScreen
from tui.screens.instructions import InstructionsScreen
from tui.screens.jump import JumpScreen
from tui.screens.keypad import KeypadScreen
from tui.screens.needs import Origin
from tui.screens.quit import QuitScreen
from tui.screens.report import ReportScreen
from tui.screens.session import SessionScreen
from tui.screens.session_actions import ACTIONS_BY_ID
from tui.screens.sessions import SessionsScreen
from tui.screens.settings_form import KeyScreen, SettingsScreen
from tui.screens.turn import TurnScreen
from tui.text.strict import SettingsError, did_you_mean, quoted
from tui.widgets.callback_table import CallbackTable
from tui.widgets.compare import CompareView
from tui.widgets.detail import DetailPane
from tui.widgets.event_log import EventLogPane
from tui.widgets.floor import FloorPane
from tui.widgets.health import HealthPane
from tui.widgets.ladder import LadderPane
from tui.widgets.prompt import PromptLine
from tui.widgets.session_comparison import SessionComparisonView
from tui.widgets.session_rows import SessionsView
from tui.widgets.tools import ToolsPane
from tui.widgets.transcript import TranscriptPane
from tui.widgets.turn_page import TurnPage
from tui.widgets.turns import TurnsPane
from tui.widgets.writing import WriteLine

PLACES: Mapping[type[DOMNode], tuple[type[DOMNode], ...]] = {
    SessionScreen: (
        EventLogPane,
        TranscriptPane,
        TurnsPane,
        HealthPane,
        ToolsPane,
        FloorPane,
        LadderPane,
        DetailPane,
        PromptLine,
        WriteLine,
    ),
    ConnectScreen: (OptionList, Input),
    SessionsScreen: (SessionsView, Input),
    CallbacksScreen: (CallbackTable,),
    CompareScreen: (CompareView,),
    CompareSessionsScreen: (SessionComparisonView,),
    ReportScreen: (Input,),
    TurnScreen: (TurnPage,),
    ChartScreen: (OptionList,),
    ExportScreen: (Input,),
    DevicesScreen: (OptionList,),
    InstructionsScreen: (),
    KeypadScreen: (),
    QuitScreen: (),
    JumpScreen: (),
    SettingsScreen: (Input, OptionList),
    KeyScreen: (),
    CommandsScreen: (),
    HelpScreen: (Input,),
    FilterHelpScreen: (),
}
"""Every screen, with the widgets that have their own keys while they are focused."""
_MODIFIERS = {"ctrl", "alt", "shift", "super", "hyper", "meta"}
_NAMED_KEYS = {key.value for key in Keys}
_SAME_TO_A_TERMINAL = {alias: key for key, aliases in KEY_ALIASES.items() for alias in aliases}
_UNWRITABLE = {",": "comma", " ": "space"}


def keymap_of(keys: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Converts the keys in the settings to a Textual keymap.

    Raises `SettingsError` for an unknown action, an unusable key, or a key that two actions would share.
    """
    owners = [_bound(App), *(_bound(owner) for screen, panes in PLACES.items() for owner in (screen, *panes))]
    urgent = {binding.id: binding.priority for owned in owners for binding in owned if binding.id}
    keymap: dict[str, str] = {}
    for action, its_keys in keys.items():
        if action not in urgent:
            raise SettingsError(f"[keys] unknown action {quoted(action)}{did_you_mean(action, urgent)}")
        keymap[action] = ",".join(_key(key, action, urgent=urgent[action]) for key in its_keys)
    for screen, panes in PLACES.items():
        for pane, origin in product(panes or (screen,), Origin):
            _check_place(screen, pane, origin, keymap)
    for owned in owners:
        _keep_neighbours(owned, keymap)
    return keymap


def every_action(keymap: Mapping[str, str]) -> dict[str, list[tuple[str, str, str]]]:
    """Returns the actions that a keymap can name, grouped by the heading of the place where they apply.

    A tuple contains the id, the keys and the description of an action.
    """
    found: dict[str, dict[str, tuple[list[str], str]]] = {}
    owners: list[tuple[type[DOMNode], type[DOMNode]]] = [(App, App)]
    owners += [(screen, owner) for screen, panes in PLACES.items() for owner in (screen, *panes)]
    for place, owner in owners:
        for binding in (each for each in _bound(owner) if each.id):
            action, there = binding.id or "", found.setdefault(_where(place, binding), {})
            keys, _ = there.setdefault(action, ([], binding.tooltip or binding.description))
            now = map(format_key, keymap.get(action, binding.key).split(","))
            keys += [key for key in now if key not in keys]
    return {
        where: [(action, " ".join(keys), text) for action, (keys, text) in there.items()]
        for where, there in found.items()
    }


def _where(screen: type[DOMNode], binding: Binding) -> str:
    """Returns the heading for the place where an action applies."""
    if screen is App:
        return "Everywhere"
    origin = _only(binding)
    return _title(screen) + (f" ({origin.value})" if origin else "")


def _only(binding: Binding) -> Origin | None:
    """Returns the origin to which an action is limited: calls or saved sessions.

    Returns None for an action that is not limited.
    """
    action = ACTIONS_BY_ID.get(binding.id or "")
    return None if action is None else action.origin


def _title(screen: type[DOMNode]) -> str:
    return getattr(screen, "TITLE", None) or screen.__name__


def _bound(owner: type[DOMNode]) -> list[Binding]:
    """Returns the bindings of a screen, a pane or the program, one for each key."""
    return list(Binding.make_bindings(bindings(APP) if owner is App else owner.BINDINGS))


def _key(text: str, action: str, *, urgent: bool) -> str:
    """Converts the name of a key in the settings to Textual's name. Raises `SettingsError`."""
    where = f"[keys] {action} = {quoted(text)}"
    written = _UNWRITABLE.get(text, text.strip())
    key = next(iter(Binding.make_bindings([Binding(written, "")]))).key if len(written) == 1 else written
    *modifiers, base = key.split("+")
    if not set(modifiers) <= _MODIFIERS or not (base in _NAMED_KEYS or key_to_character(base)):
        near = did_you_mean(key, _NAMED_KEYS)
        raise SettingsError(f'{where}: unknown key{near}; keys are written like "x", "f5", "ctrl+x".')
    if key in _SAME_TO_A_TERMINAL:
        raise SettingsError(
            f"{where}: terminals send {_SAME_TO_A_TERMINAL[key]} for that key. Pick another key."
        )
    if modifiers == ["shift"] and len(base) == 1:
        raise SettingsError(
            f"{where}: terminals send {quoted(base.upper())} for that key. Write that instead."
        )
    if urgent and (key_to_character(key) or "\n").isprintable():
        raise SettingsError(
            f"{where}: this action also works while you type, so its key must not type a character."
        )
    return key


def _check_place(
    screen: type[DOMNode], pane: type[DOMNode], origin: Origin, keymap: Mapping[str, str]
) -> None:
    """Raises `SettingsError` if ``keymap`` makes two actions share a key on this screen and pane.

    Considers only actions that apply to events of ``origin``.
    """
    modal = issubclass(screen, ModalScreen)
    ours = [binding for binding in _bound(App) if binding.priority or not modal]
    here = [*ours, *_bound(screen), *(_bound(pane) if pane is not screen else ())]
    here = [binding for binding in here if _only(binding) in (None, origin)]
    shared = {(_name(a), _name(b)) for a, b in product(here, here) if a.key == b.key}
    now = [(binding, key) for binding in here for key in keymap.get(binding.id or "", binding.key).split(",")]
    for (new, key), (other, its_key) in product(now, now):
        if (
            key == its_key
            and new.id in keymap
            and new.action != other.action
            and (_name(new), _name(other)) not in shared
        ):
            taken = f"{other.description} ({other.id})" if other.id else other.description
            raise SettingsError(
                f"[keys] {new.id} = {quoted(format_key(key))}: that key is already bound to {taken} "
                f"on the {_title(screen)} screen. "
                + (f"Pick another key, or rebind {other.id} too." if other.id else "Pick another key.")
            )


def _keep_neighbours(owned: list[Binding], keymap: dict[str, str]) -> None:
    """Adds the other actions of a rebound key to the keymap, with their default keys.

    Textual removes a rebound key from all of its actions unless the keymap contains them.
    """
    before = -1
    while before != len(keymap):
        before = len(keymap)
        left = {binding.key for binding in owned if binding.id in keymap}
        for binding in owned:
            if binding.key in left and binding.id and binding.id not in keymap:
                keymap[binding.id] = ",".join(each.key for each in owned if each.id == binding.id)


def _name(binding: Binding) -> str:
    return binding.id or binding.description
