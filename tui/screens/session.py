"""The session screen: strip, meters, panes, footer. Draws models, sends intents."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.containers import Vertical
from textual.message import Message

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.config.model import Thresholds
from tui.engine.wire import (
    ChangeVolume,
    HangUp,
    Interrupt,
    Record,
    SendDtmf,
    SendInstructions,
    SendText,
    SetMuted,
    SpeakLine,
)
from tui.models.events import Status
from tui.models.telemetry import Telemetry
from tui.protocols.abilities import lacking
from tui.screens.actions import SESSION, bindings
from tui.screens.reading_screen import ReadingScreen
from tui.screens.reasons import Situation, why_not
from tui.screens.replay import ReplayKeys
from tui.view.layout import Layout
from tui.widgets.banner import ErrorBanner, NoticeLine
from tui.widgets.keys import KeyBar
from tui.widgets.meters import Meters
from tui.widgets.strip import SessionStrip
from tui.widgets.talk import TalkButton
from tui.widgets.too_small import TooSmall

if TYPE_CHECKING:
    from tui.widgets.writing import WriteLine

_SILENT = Telemetry(at_ns=0)


class SessionScreen(ReplayKeys, ReadingScreen, inherit_bindings=False):
    """One call at a time, seen and steered."""

    TITLE = "Session"
    ACTIONS = SESSION
    BINDINGS: ClassVar[list[BindingType]] = bindings(SESSION)

    class CallWanted(Message):
        """Call the target (again)."""

    class TargetWanted(Message):
        """Choose another target."""

    def __init__(
        self, bridge: Bridge, layout: Layout | None = None, thresholds: Thresholds | None = None
    ) -> None:
        thresholds = thresholds or Thresholds()
        super().__init__(bridge, layout or Layout(), thresholds)
        self.can_call = False
        """Whether there is a target to call; the app's business."""
        self.instructions = ""
        """What the agent was last told to do in this call; the app says with what it begins."""
        self.strip = SessionStrip(bridge, thresholds, id="strip")
        self.meters = Meters(id="meters")
        self.banner = ErrorBanner(bridge, id="banner")
        self.notice = NoticeLine(bridge, id="notice")
        self.key_bar = KeyBar()
        self._registrations: tuple[Registration, ...] = ()
        self._offered: Situation | None = None

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        self.notice.saved = self.playhead is not None
        yield TooSmall()
        with Vertical(id="body"):
            yield self.strip
            yield self.meters
            yield from self.compose_replay()
            yield self.banner
            yield self.notice
            yield from self.compose_panes()
        yield self.key_bar

    def on_mount(self) -> None:
        """Listen for what changes which keys apply."""
        state = self.bridge.state
        self._registrations = (
            state.add_status_change_callback(self._changed),
            state.add_controls_change_callback(self._changed),
            state.add_error_callback(self._changed),
            self.bridge.log.add_clear_callback(self.close_detail),
        )
        # Where the focus has gone, a button that is let go may never be told of.
        self.watch(self.app, "app_focus", lambda focus: None if focus else self.talk.let_go(), init=False)
        self.log_pane.focus()

    def on_unmount(self) -> None:
        """Stop listening."""
        for registration in self._registrations:
            registration.unregister()

    def poll(self) -> None:
        """Draw what has no events: levels and the clock. Called every tick while this screen is shown."""
        over = self.bridge.state.status in (Status.ENDED, Status.ERROR)
        self.meters.poll(_SILENT if over else self.bridge.telemetry)
        if self.bridge.refreshed:
            self.strip.poll()
            self.panes.poll()
            if self.detail_open:
                self.detail.poll()
        self.poll_log()
        self.hear_on()
        self.poll_replay()

    @property
    def situation(self) -> Situation:
        """What decides which actions apply."""
        state = self.bridge.state
        return Situation(
            status=state.status,
            lacking=lacking(state.protocol),
            recording=state.recording,
            can_call=self.can_call,
            has_events=bool(self.bridge.log.rows),
            has_turns=bool(state.metrics.turns),
            has_error=state.last_error is not None,
            has_marks=bool(self.log_pane.view.marks.numbers),
            detail_open=self.detail_open,
            panes_stacked=self.panes.stacked,
            searching=self.searching,
            filtered=self.log_pane.filtered,
        )

    def offer_actions(self) -> None:
        """Have footer and help show what applies now, if that has changed."""
        now = self.situation
        if now != self._offered:
            self._offered = now
            self.talk.show_state(ready=now.talking, recording=now.recording)
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """True: applies. None: not now, which the footer leaves out and the help says. False: another has the key."""
        if (applies_here := self.check_replay_action(action)) is not None:
            return applies_here
        if action == "find_next" and parameters == ("n",) and not self.searching:
            return False
        return None if why_not(action, self.situation) else True

    def on_key(self, event: events.Key) -> None:
        """Have a key that does nothing just now say why."""
        entry = self.active_bindings.get(event.key)
        mute = entry is None or entry.enabled or entry.node is not self
        self.key_bar.say(
            "" if mute or entry is None else f"{entry.binding.description}: {self.why_not(entry)}"
        )

    def why_not(self, entry: ActiveBinding) -> str:
        """Why a key of this screen does nothing just now."""
        return why_not(entry.binding.action.partition("(")[0], self.situation)

    # what the keys do

    def action_record(self) -> None:
        """Start recording."""
        self.bridge.send(Record(on=True))

    def action_stop(self) -> None:
        """Stop recording."""
        self.bridge.send(Record(on=False))

    def action_toggle_record(self) -> None:
        """Start or stop recording."""
        self.bridge.send(Record(on=not self.bridge.state.recording))

    @on(TalkButton.Pressed)
    def _talk(self) -> None:
        self.bridge.send(Record(on=True))

    @on(TalkButton.Released)
    def _talk_no_more(self) -> None:
        self.bridge.send(Record(on=False))

    def action_mute(self) -> None:
        """Mute or unmute."""
        self.bridge.send(SetMuted(muted=not self.bridge.state.muted))

    def action_volume(self, step: float) -> None:
        """Louder or quieter."""
        self.bridge.send(ChangeVolume(by=step))

    def action_say(self, key: str) -> None:
        """Speak a caller line."""
        self.bridge.send(SpeakLine(key=key))

    def action_interrupt(self) -> None:
        """Flush playback."""
        self.bridge.send(Interrupt())

    def action_hang_up(self) -> None:
        """End the call."""
        self.bridge.send(HangUp())

    def action_keypad(self) -> None:
        """Open the keypad."""
        from tui.screens.keypad import KeypadScreen

        self.app.push_screen(KeypadScreen(lambda digit: self.bridge.send(SendDtmf(digits=digit))))

    @cached_property
    def write_line(self) -> WriteLine:
        """Where turns are typed; loaded from the start it would delay the first picture."""
        from tui.widgets.writing import WriteLine

        return WriteLine(id="write")

    async def action_write(self) -> None:
        """Open the line for a typed turn."""
        if not self.write_line.is_attached:
            await self.mount(self.write_line)
        self.write_line.open()

    def on_write_line_written(self, event: WriteLine.Written) -> None:
        """A typed turn."""
        self.bridge.send(SendText(text=event.text))

    def action_instructions(self) -> None:
        """Open the editor."""
        # The editor costs 12 ms to load, which the start of the program does without.
        from tui.screens.instructions import InstructionsScreen

        self.app.push_screen(InstructionsScreen(self.instructions), self._send_instructions)

    def _send_instructions(self, text: str | None) -> None:
        if text is not None:
            self.instructions = text
            self.bridge.send(SendInstructions(text=text))

    def action_call_again(self) -> None:
        """Call."""
        self.post_message(self.CallWanted())

    def action_new_target(self) -> None:
        """Choose."""
        self.post_message(self.TargetWanted())

    def action_close(self) -> None:
        """Close one thing: the line to write in, the detail, the search, the error, the notice."""
        if self.prompt.is_open:
            self.prompt.action_close()
        elif self.write_line.is_open:
            self.write_line.action_close()
        elif self.detail_open:
            self.close_detail()
        elif self.searching:
            self.end_search()
            self.offer_actions()
        elif self.banner.error is not None:
            self.banner.dismiss()
            self.offer_actions()
        else:
            self.notice.dismiss()

    @on(ErrorBanner.Clicked)
    def action_jump_to_error(self) -> None:
        """Show the last error's event."""
        error = self.bridge.state.last_error
        if error is not None:
            self.log_pane.focus()
            self.show_event(error.number)

    def _changed(self, *_: object) -> None:
        self.bridge.mark_dirty(self.offer_actions)
