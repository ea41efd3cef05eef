"""Defines the actions, and when each action applies. Keys, footer, help and palette are derived from the actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import msgspec
from textual.binding import Binding, BindingType

from tui.screens.needs import Need, Origin, Situation, nothing

if TYPE_CHECKING:
    from tui.screens.session import SessionScreen


class ActionArea(StrEnum):
    """Groups of actions by purpose, in the order in which the help and the palette show them."""

    CALL = "Call"
    REPLAY = "Replay"
    FIND = "Find"
    READ = "Read"
    KEEP = "Keep"
    PANES = "Panes"
    PROGRAM = "Program"


class Action(msgspec.Struct, frozen=True):
    """An action that the user can run with a key or from the palette."""

    id: str
    """Stable id, which keymaps in the settings refer to."""
    keys: str
    name: str
    """Name in one or two words, for the footer and the palette."""
    tooltip: str
    """Sentence for the help, the palette and the tooltip."""
    do: Callable[[SessionScreen], object] | str = ""
    """Function that runs the action, or the name of a Textual action; by default the Textual action ``id``.

    The function receives the session screen; if it returns an awaitable, that is awaited.
    """
    needs: Need = nothing
    """Returns a short reason why the action is not available at the moment; "" if it is available."""
    area: ActionArea | None = None
    """Group of the action; None for an action that belongs to a single screen."""
    show: bool = False
    """Whether the footer shows the action."""
    key_display: str | None = None
    palette: bool = True
    priority: bool = False
    origin: Origin | None = None
    """Origin to which the action is limited; None if it applies to both calls and saved sessions."""
    yields_key: bool = False
    """Whether the action leaves its key to another action while it does not apply."""

    @property
    def action(self) -> str:
        """The action string of the binding, in Textual's notation."""
        return f"do('{self.id}')" if callable(self.do) else self.do or self.id

    def state(self, now: Situation) -> bool | None:
        """Returns True if the action applies, None if it does not apply now, False if it never applies here.

        The footer hides an action that does not apply now; the help states the reason.
        """
        if self.origin not in (None, now.origin):
            return False
        if not self.needs(now):
            return True
        return False if self.yields_key else None


_program = partial(Action, area=ActionArea.PROGRAM)


@runtime_checkable
class HasActions(Protocol):
    """A screen whose actions the command palette lists."""

    ACTIONS: ClassVar[Sequence[Action]]


LINE_KEYS = "1-9"
"""Footer label for the keys of all recorded lines."""


@cache
def spoken() -> Mapping[str, str]:
    """Returns labels such as "Say: Hello, …" for the recorded lines, by action id; empty if there are no lines.

    The text of the lines is read on first use, so that reading does not delay the first paint.
    """
    from tui.assets import AssetsMissing, caller_lines

    try:
        return {f"say_{line.key}": f"Say: {line.text}" for line in caller_lines()}
    except AssetsMissing:
        return {}


# fmt: off
CALLBACKS: Sequence[Action] = (
    Action("trace", "space", "Trace", "Start or stop tracing the callbacks of the screen and the engine.", show=True),
    Action("sort_next", "right", "Sort", "Sort by the next column (or click its title).", "sort_by(1)", show=True),
    Action("sort_previous", "left", "Sort", "Sort by the previous column.", "sort_by(-1)"),
    Action("callbacks_close", "escape,T", "Back", "Go back; tracing continues.",
           "close", key_display="esc", show=True),
    Action("reverse", "r", "Reverse", "Reverse the sort order.", show=True),
)

APP: Sequence[Action] = (
    _program("help", "question_mark,f1", "Help", "Search the keys that work here and the figures on the screen.",
             key_display="?", show=True),
    _program("palette", "ctrl+p", "All", "Search all available commands.",
             "command_palette", show=True, palette=False, priority=True),
    _program("theme", "f3", "Theme", "Choose a theme: dark, light or the terminal's own colors.", "change_theme"),
    _program("settings", "f4", "Settings", "Change theme, thresholds and keys, and write them to the settings file."),
    _program("callbacks", "T", "Callbacks",
             "Show every callback with its calls, errors and durations; turn tracing on or off."),
    Action("screenshot", "f12", "Screenshot", "Save a screenshot (SVG and text) in the current folder.",
           "take_picture", area=ActionArea.KEEP),
    Action("jump", "ctrl+g", "Jump", "Show a letter over every pane, field and button; type one to go there.",
           area=ActionArea.PANES),
    Action("devices", "A", "Devices", "Choose the microphone and the speaker, even during a call.",
           area=ActionArea.CALL),
    _program("suspend", "ctrl+z", "Suspend",
             "Suspend the program and return to the shell; fg resumes it. The call continues.",
             "suspend_process", priority=True),
    _program("quit", "q", "Quit", "End the call and quit, after asking once if a call is active.",
             "leave", show=True),
    _program("quit_now", "ctrl+c,ctrl+q", "Quit", "End the call and quit, from anywhere.",
             "quit", key_display="^c", palette=False, priority=True),
    Action("next_pane", "tab", "Next pane", "Go to the next pane.", "focus_next", area=ActionArea.PANES),
    Action("previous_pane", "shift+tab", "Previous pane", "Go to the previous pane.",
           "focus_previous", area=ActionArea.PANES),
)


DIALOG: Sequence[Action] = (
    Action("dialog_next", "tab,down,right", "Next field", "Go to the next field.", "app.focus_next"),
    Action("dialog_previous", "shift+tab,up,left", "Previous field", "Go to the previous field.",
           "app.focus_previous"),
)
"""Keys for every dialog, because the program's global keys do not reach a modal screen.

A field that uses an arrow key keeps that key.
"""
# fmt: on


def bindings(actions: Iterable[Action]) -> list[BindingType]:
    """Returns the actions as Textual bindings."""
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
