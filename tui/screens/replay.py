"""Replay: keeps the log, the transcript and the sound of a saved session at the position of the playhead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.widget import Widget

from tui.bridge import Bridge, ClipControl
from tui.engine.wire import PlayAudio
from tui.models.log.search import at_instant
from tui.view.playhead import Playhead, Sound
from tui.widgets.transport import Transport
from tui.widgets.waveform import WaveformStrip

if TYPE_CHECKING:
    from tui.screens.session import SessionScreen


class TrackSound:
    """Plays the tracks at the position of the playhead, and advances the playhead with the sound."""

    def __init__(self, player: ClipControl, playhead: Playhead) -> None:
        self.problem = ""
        """Reason why nothing can be played. The playhead then follows the clock."""
        self._player = player
        self._playhead = playhead
        self._clip: int | None = None
        """Number of the clip of the tracks that should be playing now; None if there is none."""
        self._jumps = playhead.jumps - 1

    def poll(self) -> None:
        """Restarts the sound if the playhead has jumped; otherwise, advances the playhead.

        Call it every tick.
        """
        head = self._playhead
        if head.jumps != self._jumps:
            self._jumps = head.jumps
            self._follow_playhead()
        if self._clip is not None and self._clip != self._player.clip:
            # A single message is being played.
            self._clip = None
            head.pause()
            self._jumps = head.jumps
        if self._clip is None:
            head.advance()
            return
        playing = self._player.playing
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
            self._clip = self._player.play(
                PlayAudio(
                    path=head.audio_path,
                    track=head.sound.value,
                    start_ms=max(head.audio_ms, 0.0),
                    speed=head.speed,
                )
            )
            self.problem = ""
        elif self._clip is not None:
            self._player.play(PlayAudio())
            self._clip = None


class Replay:
    """Keeps the log's cursor and the playhead together.

    Call `poll` every tick. With ``--speed``, events arrive as the playhead reaches them. The log then follows
    the latest event, and the cursor is independent of the playhead.
    """

    def __init__(self, bridge: Bridge, playhead: Playhead, screen: SessionScreen) -> None:
        self.playhead = playhead
        self.waveform = WaveformStrip(bridge, playhead, id="waveform")
        self._bridge = bridge
        self._screen = screen
        self._pane = screen.log_pane
        self._transport = Transport(playhead, id="transport")
        self._sound = TrackSound(bridge.player, playhead)
        self._led_for = (-1, -1)
        """The position and the number of rows for which the cursor was last placed."""
        self._led_to: int | None = None
        """Number of the event to which the playhead or the user has moved the cursor."""

    def widgets(self) -> Iterator[Widget]:
        """Yields the widgets that replace the level meters."""
        yield self._transport
        yield self.waveform

    def poll(self) -> None:
        """Advances the playhead, and draws its position."""
        head = self.playhead
        self._sound.poll()
        now = head.at_ns, len(self._pane.view)
        if now != self._led_for:
            self._led_for = now
            self._lead()
        line = self._pane.line
        turn = self._bridge.log.turns.turn_of(line.first) if line is not None else 0
        self._transport.poll(turn, self._sound.problem)
        self.waveform.poll()

    # the cursor follows the playhead

    def _lead(self) -> None:
        head, pane, transcript = self.playhead, self._pane, self._screen.transcript
        if not head.folds:
            transcript.hold()
        transcript.show_instant(head.at_ns)
        if head.folds or not len(pane.view):
            return
        position = at_instant(pane.view, head.at_ns)
        if position != pane.cursor or pane.following:
            pane.move_to(position, centre=True)
        self._led_to = self._number_at_cursor()

    # the playhead follows the cursor

    def follow_cursor(self) -> None:
        """Moves the playhead to the log's cursor, if the user has moved the cursor."""
        head, number = self.playhead, self._number_at_cursor()
        # Until the playhead has placed the cursor, the cursor follows the end of the log as events are read.
        if head.folds or number is None or self._led_to is None or number == self._led_to:
            return
        self._led_to = number
        self._seek_to_cursor()
        self._placed()

    def _placed(self) -> None:
        """Records that the cursor is at the line for the playhead's position, so that `poll` does not move it."""
        self._led_for = self.playhead.at_ns, len(self._pane.view)
        self._screen.transcript.show_instant(self.playhead.at_ns)

    def seek_to_event(self, number: int) -> None:
        """Seeks to an event, such as the start of a turn or a tool call.

        The caller moves the log's cursor.
        """
        events = self._bridge.log.events
        index = events.find(number)
        if index is not None:
            self.playhead.seek(events.at_ns[index])
            # Events that were logged late are not in chronological order, so the next tick would move the
            # cursor away.
            self._placed()

    def step(self, lines: int) -> None:
        """Moves the cursor by a number of log lines, and the playhead with it."""
        self._pane.action_cursor(lines)
        self._seek_to_cursor()

    def toggle_run(self) -> None:
        """Expands or collapses the run of messages under the cursor."""
        line = self._pane.line
        if line is not None:
            self._pane.open_run(open_=self._pane.view.expanded(line.row) is None)

    def _number_at_cursor(self) -> int | None:
        line = self._pane.line
        return None if line is None else self._bridge.log.events.numbers[line.first]

    def _seek_to_cursor(self) -> None:
        line = self._pane.line
        if line is not None:
            self.playhead.seek(self._bridge.log.events.at_ns[line.first])
