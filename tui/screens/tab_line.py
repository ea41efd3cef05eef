"""TabLine: a line with the names and keys of the panes, and with the talk button at the end."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from tui.screens.session_actions import PANES, SCENARIO_PANE
from tui.widgets.panes import Panes
from tui.widgets.tabs import PaneTabs, Tab
from tui.widgets.talk import TalkButton


class TabLine(Horizontal):
    """A line of tabs that shows which panes are visible, and which pane has the focus."""

    def __init__(self, panes: Panes) -> None:
        super().__init__(id="tabs-line")
        self.talk = TalkButton(id="talk")
        self.with_scenario = False
        """Whether the session has a scenario; if so, its pane is listed as well."""
        self._panes = panes
        self._tabs = PaneTabs(id="tabs")
        self._keys: dict[str, str] = {}
        """Keys of the tabs, by the id of their action."""
        self._at = ""
        """The pane that has the focus or will regain it when an input line closes."""

    def compose(self) -> ComposeResult:
        """Composes the widgets from left to right."""
        yield self._tabs
        yield self.talk

    def show_tabs(self) -> None:
        """Draws the tabs of the panes with their current keys."""
        # While an input line is open, letters go to it, but the tabs keep their names.
        self._keys |= {
            entry.binding.id or "": self.app.get_key_display(entry.binding)
            for entry in reversed(self.screen.active_bindings.values())
        }
        named = (*PANES, SCENARIO_PANE) if self.with_scenario else PANES
        tabs = tuple(Tab(action.id, self._keys.get(action.id, ""), action.name) for action in named)
        focused = self.screen.focused
        if focused is not None and self._panes.has(focused):
            self._at = f"pane_{focused.id}"
        self._tabs.show_tabs(tabs, {f"pane_{name}" for name in ("log", *self._panes.shown)}, self._at)
