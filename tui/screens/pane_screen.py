"""PaneScreen: the panes of the session screen, which of them are seen, and the ways between them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message

from tui.bridge import Bridge
from tui.config.model import Thresholds
from tui.screens.actions import TABS
from tui.screens.log_screen import LogScreen
from tui.view.layout import Layout
from tui.widgets.event_log import EventLogPane
from tui.widgets.panes import Panes
from tui.widgets.rows import RowsView
from tui.widgets.tabs import PaneTabs, Tab
from tui.widgets.talk import TalkButton

if TYPE_CHECKING:
    from tui.widgets.detail import DetailPane
    from tui.widgets.health import HealthPane
    from tui.widgets.tools import ToolsPane
    from tui.widgets.transcript import TranscriptPane
    from tui.widgets.turns import TurnsPane


class PaneScreen(LogScreen):
    """The log, the panes at its side, and the line of tabs that names them."""

    class LayoutChanged(Message):
        """The user has arranged the panes otherwise; it is worth remembering."""

        def __init__(self, layout: Layout) -> None:
            super().__init__()
            self.layout = layout

    def __init__(self, bridge: Bridge, layout: Layout, thresholds: Thresholds) -> None:
        super().__init__(bridge)
        self._thresholds = thresholds
        self.panes = Panes(
            self.log_pane,
            {
                "transcript": lambda: self.transcript,
                "turns": lambda: self.turns,
                "tools": lambda: self.tools,
                "health": lambda: self.health,
                "detail": lambda: self.detail,
            },
            layout,
            transient={"detail"},
            id="panes",
        )
        self.tabs = PaneTabs(id="tabs")
        self.talk = TalkButton(id="talk")
        self._remembered = self.panes.layout_now
        self._keys: dict[str, str] = {}
        """Of the tabs, by the id of their action."""
        self._at = ""
        """The pane that has the keys, or gets them back from a line to write in."""

    # the panes at the side: what is not seen in the first picture is not loaded for it

    @cached_property
    def transcript(self) -> TranscriptPane:
        """Who said what."""
        from tui.widgets.transcript import TranscriptPane

        return TranscriptPane(self.bridge, id="transcript")

    @cached_property
    def turns(self) -> TurnsPane:
        """Latencies, turn by turn."""
        from tui.widgets.turns import TurnsPane

        return TurnsPane(self.bridge, self._thresholds, id="turns")

    @cached_property
    def tools(self) -> ToolsPane:
        """What the agent called."""
        from tui.widgets.tools import ToolsPane

        return ToolsPane(self.bridge, id="tools")

    @cached_property
    def health(self) -> HealthPane:
        """How the audio path does."""
        from tui.widgets.health import HealthPane

        return HealthPane(self.bridge, id="health")

    @cached_property
    def detail(self) -> DetailPane:
        """One event."""
        from tui.widgets.detail import DetailPane

        return DetailPane(self.bridge, id="detail")

    def compose_panes(self) -> ComposeResult:
        """The line of tabs, and what they name."""
        with Horizontal(id="tabs-line"):
            yield self.tabs
            yield self.talk
        yield self.panes

    # which panes are seen

    def action_pane(self, name: str) -> None:
        """Go to a pane, or from it back to the log."""
        self.panes.visit(name)

    @on(PaneTabs.Chosen)
    async def go_to_tab(self, event: PaneTabs.Chosen) -> None:
        """Go to the pane that was clicked; the callbacks have a screen of their own."""
        action = next(action for action in TABS if action.id == event.name)
        await self.app.run_action(action.action, self.app if action.id == "callbacks" else self)

    def action_resize(self, by: float) -> None:
        """Give the focused side of the screen more room, or less."""
        self.panes.resize(by)

    def action_resize_height(self, factor: float) -> None:
        """Make the focused pane higher or lower."""
        self.panes.resize_height(factor)

    @on(Panes.Changed)
    def panes_changed(self) -> None:
        """Have tabs and keys say so, and the layout remembered."""
        if "detail" in self.panes.panes and not self.detail_open:
            self.detail.forget()
        self.show_tabs()
        self.offer_actions()
        if self.panes.layout_now != self._remembered:
            self._remembered = self.panes.layout_now
            self.post_message(self.LayoutChanged(self._remembered))

    def on_descendant_focus(self) -> None:
        """Another pane has the keys."""
        self.show_tabs()

    def show_tabs(self) -> None:
        """Name the panes with the keys they have now."""
        # A line to write in takes the letters, not their names.
        self._keys |= {
            entry.binding.id or "": self.app.get_key_display(entry.binding)
            for entry in reversed(self.active_bindings.values())
        }
        tabs = tuple(Tab(action.id, self._keys.get(action.id, ""), action.name) for action in TABS)
        if self.focused is not None and self.panes.has(self.focused):
            self._at = f"pane_{self.focused.id}"
        self.tabs.show_tabs(tabs, {f"pane_{name}" for name in ("log", *self.panes.shown)}, self._at)

    # the detail

    @property
    def detail_open(self) -> bool:
        """Whether an event is shown in detail."""
        return "detail" in self.panes.shown

    @on(EventLogPane.Opened)
    def action_open_event(self) -> None:
        """Show the log's row in detail, or go there if it is; what is read no longer moves."""
        row = self.log_pane.row
        if row is None:
            return
        self.log_pane.hold()
        if self.detail_open and self.detail.shows(row):
            self.detail.focus()
            return
        self.panes.bring("detail")
        self.detail.show(row, at_once=True)

    @on(EventLogPane.Highlighted)
    def show_highlighted(self) -> None:
        """The detail goes along with the cursor."""
        row = self.log_pane.row
        if self.detail_open and row is not None:
            self.detail.show(row, at_once=False)

    def close_detail(self) -> None:
        """Give the pane before it its place back."""
        if self.detail_open:
            self.panes.put_away("detail")

    def action_toggle_raw(self) -> None:
        """Raw or pretty."""
        self.detail.toggle_raw()

    # from one pane to another

    @on(RowsView.Chosen)
    def show_row(self, event: RowsView.Chosen) -> None:
        """The events of a turn or a tool call, in the log."""
        self.log_pane.focus()
        self.show_event(event.event_number)

    def action_turn_of_event(self) -> None:
        """From the log's row to its turn."""
        line = self.log_pane.line
        if line is None:
            return
        self.panes.bring("turns")
        self.turns.focus()
        self.turns.go_to_turn(self.bridge.log.turns.turn_of(line.event))

    def action_follow(self) -> None:
        """Follow log and transcript."""
        self.log_pane.follow()
        self.transcript.follow()
