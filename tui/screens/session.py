"""The session screen, with status line, meters, panes and footer.

The screen draws models; its parts run the actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.containers import Vertical
from textual.message import Message

from tui.bridge import Bridge
from tui.engine.wire import Record, SendText
from tui.models.events import ScenarioPhase, Status
from tui.models.telemetry import Telemetry
from tui.models.turns.figures import Thresholds
from tui.screens.actions import bindings
from tui.screens.availability import Availability
from tui.screens.call_controls import CallControls
from tui.screens.compositor import LineScreen
from tui.screens.log_search import LogSearch
from tui.screens.reading import Reading
from tui.screens.scenario_controls import ScenarioControls
from tui.screens.session_actions import ACTIONS_BY_ID, SESSION
from tui.screens.styled_once import StyledOnce
from tui.screens.tab_line import TabLine
from tui.view.layout import Layout
from tui.view.playhead import Playhead
from tui.widgets.banner import ErrorBanner, NoticeLine
from tui.widgets.event_log import EventLogPane
from tui.widgets.keys import KeyBar
from tui.widgets.meters import Meters
from tui.widgets.panes import Panes
from tui.widgets.rows import RowsView
from tui.widgets.strip import SessionStrip
from tui.widgets.tabs import PaneTabs
from tui.widgets.talk import TalkButton
from tui.widgets.too_small import TooSmall

if TYPE_CHECKING:
    from tui.screens.log_jumps import LogJumps
    from tui.screens.log_questions import LogQuestions
    from tui.screens.replay import Replay
    from tui.widgets.detail import DetailPane
    from tui.widgets.floor import FloorPane
    from tui.widgets.health import HealthPane
    from tui.widgets.ladder import LadderPane
    from tui.widgets.tools import ToolsPane
    from tui.widgets.transcript import TranscriptPane
    from tui.widgets.turns import TurnsPane
    from tui.widgets.waveform import WaveformStrip
    from tui.widgets.writing import WriteLine

_SILENT = Telemetry(at_ns=0)


class SessionScreen(StyledOnce, LineScreen[None], inherit_bindings=False):
    """Shows and controls a call or a saved session.

    ``playhead`` is the playhead of the saved session; None in a call.
    """

    TITLE = "Session"
    CSS_PATH = "session.tcss"
    ACTIONS = SESSION
    BINDINGS: ClassVar[list[BindingType]] = bindings(SESSION)

    class CallWanted(Message):
        """Requests another call to the target."""

    class TargetWanted(Message):
        """Requests the connect screen."""

    class SessionsWanted(Message):
        """Requests the list of saved sessions."""

    class ReportWanted(Message):
        """Requests that a report of the session be saved."""

    class LayoutChanged(Message):
        """Reports a layout of the panes that the user has changed, so that the app can store it."""

        def __init__(self, layout: Layout) -> None:
            super().__init__()
            self.layout = layout

    def __init__(
        self,
        bridge: Bridge,
        layout: Layout | None = None,
        thresholds: Thresholds | None = None,
        playhead: Playhead | None = None,
    ) -> None:
        super().__init__()
        self.bridge: Bridge = bridge
        bridge.grows = playhead is None or playhead.folds
        self.thresholds = thresholds or Thresholds()
        self._playhead = playhead
        self.strip = SessionStrip(bridge, self.thresholds, id="strip")
        self.meters = Meters(id="meters")
        self.log_pane: EventLogPane = EventLogPane(bridge, id="log")
        self.panes: Panes = Panes(
            self.log_pane,
            {
                "transcript": lambda: self.transcript,
                "turns": lambda: self.turns,
                "tools": lambda: self.tools,
                "floor": lambda: self.floor,
                "health": lambda: self.health,
                "detail": lambda: self.detail,
                "scenario": lambda: self.ladder,
            },
            layout or Layout(),
            transient={"detail", "scenario"},
            id="panes",
        )
        self.tab_line = TabLine(self.panes)
        self.banner = ErrorBanner(bridge, id="banner")
        self.notice = NoticeLine(bridge, id="notice")
        self._layout = self.panes.layout_now

    # the parts: each has its own state, and is loaded when it is first needed

    @cached_property
    def controls(self) -> CallControls:
        """The user's actions in the call."""
        return CallControls(self.bridge, self)

    @cached_property
    def scenario(self) -> ScenarioControls:
        """The pane and the actions of the session's scenario."""
        return ScenarioControls(self.bridge, self)

    @cached_property
    def search(self) -> LogSearch:
        """The search in the log."""
        return LogSearch(self.bridge, self.log_pane)

    @cached_property
    def jumps(self) -> LogJumps:
        """The object that moves the cursor to errors, turns, marks and other places in the log."""
        from tui.screens.log_jumps import LogJumps

        return LogJumps(self.bridge, self.log_pane, self.search)

    @cached_property
    def questions(self) -> LogQuestions:
        """The prompts for the log."""
        from tui.screens.log_questions import LogQuestions

        return LogQuestions(self.bridge, self.log_pane, self.search, self.jumps)

    @cached_property
    def reading(self) -> Reading:
        """The selected event, and the actions on it."""
        return Reading(self.bridge, self)

    @cached_property
    def replay(self) -> Replay | None:
        """The replay of the saved session; None in a call."""
        if self._playhead is None:
            return None
        from tui.screens.replay import Replay

        return Replay(self.bridge, self._playhead, self)

    @cached_property
    def availability(self) -> Availability:
        """The object that determines which actions apply now."""
        return Availability(self.bridge, self)

    # the side panes: panes that the first paint does not show are loaded on first use

    @cached_property
    def transcript(self) -> TranscriptPane:
        """The transcript pane."""
        from tui.widgets.transcript import TranscriptPane

        return TranscriptPane(self.bridge, id="transcript")

    @cached_property
    def turns(self) -> TurnsPane:
        """The pane with the turns and their latencies."""
        from tui.widgets.turns import TurnsPane

        return TurnsPane(self.bridge, self.thresholds, id="turns")

    @cached_property
    def tools(self) -> ToolsPane:
        """The pane with the agent's tool calls."""
        from tui.widgets.tools import ToolsPane

        return ToolsPane(self.bridge, id="tools")

    @cached_property
    def floor(self) -> FloorPane:
        """The pane that shows who has the floor."""
        from tui.widgets.floor import FloorPane

        return FloorPane(self.bridge, self.thresholds, id="floor")

    @cached_property
    def health(self) -> HealthPane:
        """The pane with figures of the audio path."""
        from tui.widgets.health import HealthPane

        return HealthPane(self.bridge, id="health")

    @cached_property
    def detail(self) -> DetailPane:
        """The pane that shows one event in full."""
        from tui.widgets.detail import DetailPane

        return DetailPane(self.bridge, id="detail")

    def use_thresholds(self, thresholds: Thresholds) -> None:
        """Sets the thresholds for grading response times."""
        self.thresholds = thresholds
        self.strip.thresholds = self.turns.thresholds = self.floor.thresholds = thresholds
        if self.is_mounted:
            self.strip.refresh_from_model()
            for pane in (self.turns, self.floor):
                pane.forget_lines()
                if pane.is_mounted:
                    pane.refresh_from_model()
                    pane.refresh()

    @cached_property
    def ladder(self) -> LadderPane:
        """The pane with the steps of the scenario."""
        from tui.widgets.ladder import LadderPane

        return LadderPane(self.bridge, id="scenario")

    # drawing

    def compose(self) -> ComposeResult:
        """Composes the widgets from top to bottom."""
        yield TooSmall()
        with Vertical(id="body"):
            yield self.strip
            yield self.meters
            if self.replay is not None:
                self.add_class("-replay")
                self.strip.hint = "no readable events"
                self.strip.recorded = True
                self.notice.saved = True
                yield from self.replay.widgets()
            yield self.banner
            yield self.notice
            yield self.tab_line
            yield self.panes
        yield KeyBar(self._key_names)

    def on_mount(self) -> None:
        """Subscribes to the changes that affect which keys apply."""
        state = self.bridge.state
        state.add_status_change_callback(self._changed)
        state.add_controls_change_callback(self._changed)
        state.add_error_callback(self._changed)
        self.bridge.log.add_clear_callback(self.reading.close)
        self.bridge.scenario.add_change_callback(self.scenario.changed)
        # If the terminal loses the focus, it may never report that the mouse button was released.
        self.watch(
            self.app, "app_focus", lambda focus: None if focus else self.tab_line.talk.let_go(), init=False
        )
        self.log_pane.focus()

    def poll(self) -> None:
        """Draws values that change without events, such as levels and the clock.

        The app calls this every tick while the screen is shown.
        """
        over = self.bridge.state.status in (Status.ENDED, Status.ERROR)
        self.meters.poll(_SILENT if over else self.bridge.latest.telemetry)
        if self.bridge.redraws.refreshed:
            self.strip.poll()
            self.panes.poll()
            if self.reading.is_open:
                self.detail.poll()
            # Marks, filter, search and panes have no callback.
            self.availability.update()
        self.log_pane.judge_on()
        self.search.poll()
        self.reading.poll()
        if self.replay is not None:
            self.replay.poll()

    def _changed(self, *_: object) -> None:
        self.bridge.mark_dirty(self.availability.update)

    @on(Panes.Changed)
    def panes_changed(self) -> None:
        """Updates the tabs and the footer, and posts a message if the layout has changed."""
        if "detail" in self.panes.panes and not self.reading.is_open:
            self.detail.forget()
        self.tab_line.show_tabs()
        self.availability.update()
        if self.panes.layout_now != self._layout:
            self._layout = self.panes.layout_now
            self.post_message(self.LayoutChanged(self._layout))

    def on_descendant_focus(self) -> None:
        """Updates the tabs and the footer after the focus has moved."""
        self.tab_line.show_tabs()

    # keys

    async def action_do(self, action_id: str) -> None:
        """Runs the action with this id."""
        action = ACTIONS_BY_ID[action_id]
        done = action.do(self) if callable(action.do) else None
        if isawaitable(done):
            await done

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Returns whether an action applies, in the same form as `Action.state`.

        ``parameters`` contains the id of the action.
        """
        return self.availability.state_of(str(parameters[0])) if action == "do" else True

    def on_key(self, event: events.Key) -> None:
        """Shows a notice if the key is not available at the moment."""
        entry = self.active_bindings.get(event.key)
        if entry is None:
            sentence = self.availability.why_not_here(self._bindings.key_to_bindings.get(event.key, ()))
        else:
            mute = entry.enabled or entry.node is not self
            sentence = "" if mute else f"{entry.binding.description}: {self.why_not(entry)}"
        self.query_one(KeyBar).show_notice(sentence)

    def _key_names(self) -> Mapping[str, str]:
        by_hand = self.bridge.scenario.phase is ScenarioPhase.BY_HAND
        return {"report": "Report"} | ({"hand": "Give back"} if by_hand else {})

    def why_not(self, entry: ActiveBinding) -> str:
        """Returns why a key of this screen is not available at the moment; "" if it is available."""
        return self.availability.why_not(entry.binding.id or "")

    # mouse and panes

    @on(TalkButton.Pressed)
    def _talk(self) -> None:
        self.bridge.send(Record(on=True))

    @on(TalkButton.Released)
    def _talk_no_more(self) -> None:
        self.bridge.send(Record(on=False))

    @on(PaneTabs.Chosen)
    async def go_to_tab(self, event: PaneTabs.Chosen) -> None:
        """Goes to the pane whose tab was clicked."""
        await self.action_do(event.name)

    @on(EventLogPane.Opened)
    def _open(self) -> None:
        self.reading.open()

    @on(EventLogPane.Highlighted)
    def _cursor_moved(self, event: EventLogPane.Highlighted) -> None:
        event.stop()
        if self.replay is not None:
            self.replay.follow_cursor()
        self.reading.follow_cursor()

    @on(RowsView.Chosen)
    def _show_row(self, event: RowsView.Chosen) -> None:
        """Shows the events of the selected tool call in the log."""
        self._show_event(event.event_number)

    def _show_event(self, number: int) -> None:
        self.log_pane.focus()
        self._go_to_event(number)

    def _go_to_event(self, number: int) -> None:
        if self.replay is not None:
            self.replay.seek_to_event(number)
        self.jumps.to_event(number)

    async def note(self) -> None:
        """Asks for a note on the selected event."""
        self._go_to_focused_row()
        await self.questions.ask_note()

    def mark(self) -> None:
        """Marks or unmarks the selected event."""
        self._go_to_focused_row()
        self.log_pane.toggle_mark()

    def _go_to_focused_row(self) -> None:
        """Moves the log's cursor to the event of the row that is selected in the focused pane.

        Actions apply to the event under the log's cursor, which might otherwise be out of sight.
        """
        pane = self.focused
        if isinstance(pane, RowsView) and pane.cursor < pane.count():
            self._go_to_event(pane.event_of(pane.cursor))

    def on_turns_pane_opened(self, event: TurnsPane.Opened) -> None:
        """Opens the screen for one turn. Pressing enter on that screen shows the events of the turn."""
        self._open_turn(event.number)

    def on_turns_pane_plot_wanted(self) -> None:
        """Opens the chart of response times. Pressing enter in the chart opens a turn."""
        from tui.screens.chart import ChartScreen

        chart = ChartScreen(self.bridge, self.thresholds, self.turns.go_to_turn)
        self.app.push_screen(chart, self._show_turn)

    def _open_turn(self, number: int | None) -> None:
        from tui.screens.turn import TurnScreen

        if number is not None:
            self.turns.go_to_turn(number)
            self.app.push_screen(TurnScreen(self.bridge, self.thresholds, number), self._show_turn)

    def _show_turn(self, number: int | None) -> None:
        turn = next((turn for turn in self.turns.turns if turn.number == number), None)
        if turn is not None:
            self._show_event(turn.first_event)

    @on(ErrorBanner.Clicked)
    def _banner_clicked(self) -> None:
        self.jump_to_error()

    def jump_to_error(self) -> None:
        """Goes to the event of the last error."""
        error = self.bridge.state.last_error
        if error is not None:
            self.log_pane.focus()
            self.jumps.to_event(error.number)

    def on_waveform_strip_sought(self, event: WaveformStrip.Sought) -> None:
        """Seeks to the time that was clicked in the waveform."""
        if self.replay is not None:
            self.replay.playhead.seek(event.at_ns)

    def on_write_line_written(self, event: WriteLine.Written) -> None:
        """Sends the text of the input line as a typed turn."""
        self.bridge.send(SendText(text=event.text))

    # actions that concern several panes

    def close(self) -> None:
        """Closes a prompt, the input line, a maximized pane, the detail pane, a search, an error or a notice.

        Each call closes only the first of them that is open.
        """
        if self.questions.prompt.is_open:
            self.questions.prompt.action_close()
        elif self.controls.write_line.is_open:
            self.controls.write_line.action_close()
        elif self.panes.is_maximized:
            self.panes.restore()
        elif self.reading.is_open:
            self.reading.close()
        elif self.search.active:
            self.search.end()
        elif self.banner.error is not None:
            self.banner.dismiss()
        else:
            self.notice.dismiss()

    def follow(self) -> None:
        """Scrolls the log and the transcript to their ends, and keeps them there."""
        self.log_pane.follow()
        self.transcript.follow()
        if self.bridge.scenario.rungs:
            self.ladder.follow()

    def go_to_turn_of_event(self) -> None:
        """Shows the turn that contains the event under the log's cursor."""
        line = self.log_pane.line
        if line is None:
            return
        self.panes.bring("turns")
        self.turns.focus()
        self.turns.go_to_turn(self.bridge.log.turns.turn_of(line.event))

    def export(self) -> None:
        """Opens the export dialog."""
        from tui.screens.export import ExportScreen

        self.app.push_screen(ExportScreen(self.bridge, self.log_pane.view, Path.cwd()))
