"""Actions: keys, footer, help and palette are made from them, and when each applies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import msgspec
from textual.binding import Binding, BindingType

from tui.screens.needs import Origin, Situation, nothing

if TYPE_CHECKING:
    from tui.screens.session import SessionScreen


class Action(msgspec.Struct, frozen=True):
    """Something the user can do."""

    id: str
    """Stable: what a keymap in the settings names."""
    keys: str
    name: str
    """In the footer and the palette: one or two words."""
    tooltip: str
    """In the help, the palette and beside the mouse: a sentence."""
    call: str = ""
    """Textual's action; the id unless given. Not used with ``do``."""
    show: bool = False
    """In the footer."""
    key_display: str | None = None
    palette: bool = True
    priority: bool = False
    do: Callable[[SessionScreen], object] | None = None
    """For actions of the session screen: what it does there. An awaitable it returns is awaited."""
    needs: Callable[[Situation], str] = nothing
    """Returns why the action does nothing just now, in a few words; "" where it applies."""
    origin: Origin | None = None
    """Whether only a call or only a saved session has this action."""
    yields_key: bool = False
    """While it does not apply, its key belongs to another action."""

    @property
    def action(self) -> str:
        """What Textual is to run."""
        return f"do('{self.id}')" if self.do is not None else self.call or self.id

    def state(self, now: Situation) -> bool | None:
        """True: applies. None: not now, which the footer leaves out and the help explains. False: not here."""
        if self.origin not in (None, now.origin):
            return False
        if not self.needs(now):
            return True
        return False if self.yields_key else None


@runtime_checkable
class HasActions(Protocol):
    """A screen whose actions the command palette lists."""

    ACTIONS: ClassVar[Sequence[Action]]


LINE_KEYS = "1-9"
"""How the footer shows the keys of the caller lines, all as one."""


@cache
def spoken() -> Mapping[str, str]:
    """What each key of `LINE_KEYS` says, by the action's id: "Say: Hello, …"; nothing without the recordings.

    Read when it is first wanted: the first picture does without.
    """
    from tui.assets import AssetsMissing, caller_lines

    try:
        return {f"say_{line.key}": f"Say: {line.text}" for line in caller_lines()}
    except AssetsMissing:
        return {}


CALLBACKS: Sequence[Action] = (
    Action(
        "trace",
        "space",
        "Trace",
        "Start or stop measuring every callback, here and in the engine.",
        show=True,
    ),
    Action(
        "sort_next",
        "right",
        "Sort",
        "Sort by the next column (a click on its title does too).",
        "sort_by(1)",
        show=True,
        key_display="→",
    ),
    Action("sort_previous", "left", "Sort", "Sort by the column before.", "sort_by(-1)", key_display="←"),
    Action(
        "callbacks_close",
        "escape,T",
        "Back",
        "Back to where you were; measuring goes on.",
        "close",
        show=True,
        key_display="esc",
    ),
    Action("reverse", "r", "Reverse", "Sort the other way round.", show=True),
)

APP: Sequence[Action] = (
    Action("help", "question_mark,f1", "Help", "Every key that works here.", show=True, key_display="?"),
    Action(
        "palette",
        "ctrl+p",
        "All",
        "Search everything that can be done now.",
        "command_palette",
        show=True,
        key_display="^p",
        palette=False,
        priority=True,
    ),
    Action("theme", "f3", "Theme", "Choose colours: dark, light, the terminal's own.", "change_theme"),
    Action(
        "callbacks",
        "T",
        "Callbacks",
        "Every callback: calls, errors, and how long it takes; the switch for it.",
    ),
    Action(
        "devices",
        "A",
        "Devices",
        "Microphones and speakers: what is in use, and another one, also in mid-call.",
    ),
    Action(
        "suspend",
        "ctrl+z",
        "Suspend",
        "Back to the shell; fg returns. The call goes on.",
        "suspend_process",
        key_display="^z",
        priority=True,
    ),
    Action("quit", "q", "Quit", "End the call and leave.", "quit", show=True),
    Action(
        "quit_now",
        "ctrl+c,ctrl+q",
        "Quit",
        "End the call and leave, from anywhere.",
        "quit",
        key_display="^c",
        palette=False,
        priority=True,
    ),
    Action("next_pane", "tab", "Next pane", "Go to the next pane.", "focus_next", palette=False),
    Action("previous_pane", "shift+tab", "Previous pane", "Go back a pane.", "focus_previous", palette=False),
)


def bindings(actions: Iterable[Action]) -> list[BindingType]:
    """The actions as Textual's bindings."""
    return [
        Binding(
            action.keys,
            action.action,
            action.name,
            show=action.show,
            key_display=action.key_display,
            priority=action.priority,
            tooltip=action.tooltip,
            id=action.id,
        )
        for action in actions
    ]
