"""ReplayKeys: the playhead's part of the session screen, when a saved session is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from tui.bridge import Bridge
from tui.engine.wire import PlayAudio
from tui.models.log.search import at_instant
from tui.screens.log_screen import LogScreen
from tui.screens.reasons import NEED_A_CALL
from tui.view.playhead import Playhead, Sound
from tui.widgets.event_log import EventLogPane
from tui.widgets.rows import RowsView
from tui.widgets.strip import SessionStrip

if TYPE_CHECKING:
    from tui.widgets.transcript import TranscriptPane
    from tui.widgets.transport import Transport
    from tui.widgets.waveform import WaveformStrip

LIVE_ACTIONS = NEED_A_CALL | {"stop", "call_again", "new_target"}
"""What needs a call, and whose keys a saved session has other uses for."""
REPLAY_ACTIONS = frozenset({"play", "seek", "step_event", "speed", "change_sound", "zoom", "toggle_run"})


class TrackSound:
    """Has the tracks heard where the playhead is, and the playhead be where they are heard."""

    def __init__(self, bridge: Bridge, playhead: Playhead) -> None:
        self.problem = ""
        """Why nothing is heard; the playhead then goes by the clock."""
        self._bridge = bridge
        self._playhead = playhead
        self._clip: int | None = None
        """What of ours is to be heard now."""
        self._jumps = playhead.jumps - 1

    def poll(self) -> None:
        """Called every tick."""
        head = self._playhead
        if head.jumps != self._jumps:
            self._jumps = head.jumps
            self._follow_playhead()
        if self._clip is not None and self._clip != self._bridge.clip:
            # One message alone is listened to.
            self._clip = None
            head.pause()
            self._jumps = head.jumps
        if self._clip is None:
            head.advance()
            return
        playing = self._bridge.playing
        if playing is None:
            head.wait()
        elif playing.playing:
            head.advance(playing.at_ms)
        else:
            self.problem = playing.problem
            if playing.problem:
                head.sound = Sound.OFF
            self._clip = None
            head.advance()

    def _follow_playhead(self) -> None:
        head = self._playhead
        if head.audible:
            self._clip = self._bridge.play(
                PlayAudio(
                    path=head.audio_path,
                    track=head.sound.value,
                    start_ms=max(head.audio_ms, 0.0),
                    speed=head.speed,
                )
            )
            self.problem = ""
        elif self._clip is not None:
            self._bridge.play(PlayAudio())
            self._clip = None


class ReplayKeys(LogScreen):
    """Log, transcript and sound go with the playhead, and the playhead with the log's cursor.

    Where events come as the playhead reaches them (``--speed``), the log follows its end and its cursor is free.
    """

    strip: SessionStrip
    transcript: TranscriptPane
    transport: Transport
    waveform: WaveformStrip
    playhead: Playhead | None = None
    """Of the saved session that is shown; None in a call. To be set before the screen is mounted."""
    _led_for = (-1, -1)
    """The instant and the rows for which the cursor was put where it is."""
    _led_to: int | None = None
    """Number of the event that the playhead, or the user, has put the cursor on."""

    def compose_replay(self) -> ComposeResult:
        """What stands in place of the meters."""
        if self.playhead is not None:
            from tui.widgets.transport import Transport
            from tui.widgets.waveform import WaveformStrip

            self.add_class("-replay")
            self.strip.hint = "no events can be read"
            self.sound = TrackSound(self.bridge, self.playhead)
            self.transport = Transport(self.playhead, id="transport")
            self.waveform = WaveformStrip(self.bridge, self.playhead, id="waveform")
            yield self.transport
            yield self.waveform

    def poll_replay(self) -> None:
        """Called every tick."""
        head = self.playhead
        if head is None:
            return
        self.sound.poll()
        now = head.at_ns, len(self.log_pane.view)
        if now != self._led_for:
            self._led_for = now
            self._lead(head)
        line = self.log_pane.line
        turn = self.bridge.log.turns.turn_of(line.first) if line is not None else 0
        self.transport.poll(turn, self.sound.problem)
        self.waveform.poll()

    def check_replay_action(self, action: str) -> bool | None:
        """True: applies. False: another action has the key. None: of no concern to the playhead."""
        if action in REPLAY_ACTIONS:
            return self.playhead is not None
        return False if self.playhead is not None and action in LIVE_ACTIONS else None

    # the playhead leads, and is led

    def _lead(self, head: Playhead) -> None:
        view, pane = self.log_pane.view, self.log_pane
        if not head.folds:
            self.transcript.hold()
        self.transcript.show_instant(head.at_ns)
        if head.folds or not len(view):
            return
        position = at_instant(view, head.at_ns)
        if position != pane.cursor or pane.following:
            pane.move_to(position, centre=True)
        self._led_to = self._number_at_cursor()

    @on(EventLogPane.Highlighted)
    def _seek_to_cursor(self) -> None:
        head, number = self.playhead, self._number_at_cursor()
        if head is None or head.folds or number is None or number == self._led_to:
            return
        self._led_to = number
        self._seek_to_line(head)
        self._led_for = head.at_ns, len(self.log_pane.view)
        self.transcript.show_instant(head.at_ns)

    def _number_at_cursor(self) -> int | None:
        line = self.log_pane.line
        return None if line is None else self.bridge.log.events.numbers[line.first]

    def _seek_to_line(self, head: Playhead) -> None:
        line = self.log_pane.line
        if line is not None:
            head.seek(self.bridge.log.events.at_ns[line.first])

    def on_waveform_strip_sought(self, event: WaveformStrip.Sought) -> None:
        """To where the mouse was."""
        if self.playhead is not None:
            self.playhead.seek(event.at_ns)

    @on(RowsView.Chosen)
    def _seek_to_row(self, event: RowsView.Chosen) -> None:
        """A turn, or a tool call."""
        events = self.bridge.log.events
        index = events.find(event.event_number)
        if self.playhead is not None and index is not None:
            self.playhead.seek(events.at_ns[index])

    # what the keys do

    def action_play(self) -> None:
        """Play or pause."""
        if self.playhead is not None:
            self.playhead.pause() if self.playhead.playing else self.playhead.play()

    def action_seek(self, seconds: float) -> None:
        """On or back."""
        if self.playhead is not None:
            self.playhead.seek(self.playhead.at_ns + round(seconds * 1e9))

    def action_step_event(self, lines: int) -> None:
        """To the next line of the log, or to the one before."""
        if self.playhead is not None:
            self.log_pane.action_cursor(lines)
            self._seek_to_line(self.playhead)

    def action_speed(self, speed: float) -> None:
        """As fast as it was, or faster."""
        if self.playhead is not None:
            self.playhead.set_speed(speed)

    def action_change_sound(self) -> None:
        """Which tracks are heard."""
        if self.playhead is not None:
            self.playhead.change_sound()

    def action_zoom(self, factor: float) -> None:
        """The waveform closer, or further away."""
        self.waveform.zoom_by(factor)

    def action_toggle_run(self) -> None:
        """Show every message of a run, or one line of it again."""
        line = self.log_pane.line
        if line is not None:
            self.log_pane.open_run(open_=self.log_pane.view.opened(line.row) is None)
