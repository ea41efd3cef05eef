"""Reading: the selected event, and the actions that show, copy, play and compare it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.bridge import Bridge
from tui.engine.wire import PlayAudio
from tui.models.log.event_log import Row
from tui.models.transcript import in_text

if TYPE_CHECKING:
    from tui.screens.session import SessionScreen
    from tui.widgets.detail import Copied

_NOTHING_TO_COMPARE = "Mark an event (b), go to another one, then compare."


class Reading:
    """The selected event: the one in the detail pane; if the pane is closed, the one under the log's cursor.

    Call `poll` every tick.
    """

    def __init__(self, bridge: Bridge, screen: SessionScreen) -> None:
        self._bridge = bridge
        self._screen = screen
        self._pane = screen.log_pane
        self._panes = screen.panes
        self._clip: int | None = None
        """The bridge's clip number for the event's audio while it plays."""
        self._clip_ms = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the detail pane shows an event."""
        return "detail" in self._panes.shown

    @property
    def row(self) -> Row | None:
        """The selected event's row in the log."""
        return (self._screen.detail.row if self.is_open else None) or self._pane.row

    # show

    def open(self) -> None:
        """Shows the event under the log's cursor in the detail pane, and stops the log from following.

        If the pane already shows the event, moves the focus to the pane.
        """
        row, detail = self._pane.row, self._screen.detail
        if row is None:
            return
        self._pane.hold()
        if self.is_open and detail.shows(row):
            detail.focus()
            return
        self._panes.bring("detail")
        detail.show(row, at_once=True)

    def follow_cursor(self) -> None:
        """Shows the event under the log's cursor in the detail pane. Does nothing if the pane is closed."""
        row = self._pane.row
        if self.is_open and row is not None:
            self._screen.detail.show(row, at_once=False)

    def close(self) -> None:
        """Closes the detail pane. Restores the pane that the detail pane replaced."""
        if self.is_open:
            self._panes.put_away("detail")

    # copy

    def copy_value(self) -> None:
        """Copies the value under the detail pane's cursor; if the pane is closed, copies the message."""
        self._copy(self._screen.detail.copied_value() if self.is_open else self._event())

    def copy_path(self) -> None:
        """Copies the path of the value under the detail pane's cursor."""
        self._copy(self._screen.detail.copied_path(), "A raw message has no paths to copy.")

    def copy_message(self) -> None:
        """Copies the complete message as it was sent or received."""
        self._copy(self._event())

    def copy_transcript(self) -> None:
        """Copies the transcript as text."""
        from tui.screens.clipboard import copy

        bridge = self._bridge
        start_ns = bridge.log.events.at_ns[0] if len(bridge.log.events) else 0
        copy(self._screen.app, "transcript", in_text(bridge.transcript.entries, start_ns))

    def _event(self) -> Copied | None:
        row = self.row
        return None if row is None else self._screen.detail.copied_event(row)

    def _copy(
        self, copied: Copied | None, otherwise: str = "The message was not saved, so nothing was copied."
    ) -> None:
        from tui.screens.clipboard import copy

        if copied is None:
            self._screen.notify(otherwise, severity="warning", markup=False)
        else:
            copy(self._screen.app, copied.what, copied.text)

    # play

    def play(self) -> None:
        """Plays the audio of the message, or of all messages of a run. Stops the audio if it is playing."""
        if self._clip is not None:
            self._bridge.player.play(PlayAudio())
            self._played()
            return
        row, log = self.row, self._bridge.log
        if row is None:
            return
        run = log.members(row.index) if row.count > 1 else [row.last]
        sound = self._screen.detail.audio.of_run(run)
        if sound is None:
            problem = "This event has no audio (or the audio wasn't saved)."
            self._screen.notify(problem, severity="warning", markup=False)
            return
        self._clip_ms = sound.ms
        self._clip = self._bridge.player.play(PlayAudio(wire=sound.wire, format=sound.format))
        cut = f" of {row.audio_ms / 1000:.2f}" if row.audio_ms > sound.ms + 1 else ""
        self._pane.show_remark(f"▶ {sound.ms / 1000:.2f}{cut} s, p stops")

    def poll(self) -> None:
        """Shows the progress of the audio that is playing, or why it cannot be played."""
        player = self._bridge.player
        if self._clip is not None and self._clip != player.clip:
            self._played()  # the playhead of a saved session is playing now
        playing = player.playing
        if self._clip is None or playing is None:
            return
        if playing.problem:
            title = "Playback failed"
            self._screen.notify(playing.problem, title=title, severity="error", markup=False)
        if playing.playing:
            self._pane.show_remark(f"▶ {playing.at_ms / 1000:.1f} of {self._clip_ms / 1000:.1f} s, p stops")
        else:
            self._played()

    def _played(self) -> None:
        self._clip = None
        self._pane.show_remark("")

    # compare

    def compare(self) -> None:
        """Compares the two marked events.

        If only one event is marked, compares the marked event with the selected event.
        """
        pair = self._compared()
        if pair is None:
            self._screen.notify(_NOTHING_TO_COMPARE, markup=False)
            return
        # Imported late, because the screen takes a few ms to load.
        from tui.screens.compare import CompareScreen

        self._screen.app.push_screen(CompareScreen(self._bridge, *sorted(pair)))

    def _compared(self) -> tuple[int, int] | None:
        """Returns the indexes of the two marked events, or of the event under the cursor and the nearest mark.

        Returns None if there are no two events to compare.
        """
        log, numbers = self._bridge.log, self._pane.view.marks.numbers
        marks = [index for index in map(log.events.find, numbers) if index is not None]
        line = self._pane.line
        if len(marks) == 2:
            return marks[0], marks[1]
        if line is None:
            return None
        others = [mark for mark in marks if mark not in (line.event, line.first)]
        if not others:
            return None
        before = [mark for mark in others if mark < line.event]
        return line.event, before[-1] if before else others[0]
