"""ReadingScreen: what can be done with the event that is read: copy, hear and compare it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.engine.wire import PlayAudio
from tui.models.log.event_log import Row
from tui.screens.clipboard import copy
from tui.screens.pane_screen import PaneScreen

if TYPE_CHECKING:
    from tui.widgets.detail import Copied

_NOTHING_TO_COMPARE = "Mark an event (b), go to another one, and compare them."


class ReadingScreen(PaneScreen):
    """The detail's part of the session screen."""

    _clip: int | None = None
    """What of `Bridge.playing` is ours, while it plays."""
    _clip_ms = 0.0

    @property
    def _row(self) -> Row | None:
        """What is read: the event in the detail, or else the one under the log's cursor."""
        return (self.detail.row if self.detail_open else None) or self.log_pane.row

    # copy

    def action_copy_value(self) -> None:
        """The value under the detail's cursor."""
        self._copy(self.detail.copied_value() if self.detail_open else self._event())

    def action_copy_path(self) -> None:
        """Where that value is."""
        self._copy(self.detail.copied_path(), "There is no path here: the message is shown as it came.")

    def action_copy_message(self) -> None:
        """All of the message, as it came."""
        self._copy(self._event())

    def _event(self) -> Copied | None:
        row = self._row
        return None if row is None else self.detail.copied_event(row)

    def _copy(
        self, copied: Copied | None, otherwise: str = "The message was not kept: nothing was copied."
    ) -> None:
        if copied is None:
            self.notify(otherwise, severity="warning", markup=False)
        else:
            copy(self.app, copied.what, copied.text)

    # hear

    def action_play_event(self) -> None:
        """Play the audio of the message, or of all messages of a run; stop it while it plays."""
        if self._clip is not None:
            self.bridge.play(PlayAudio())
            self._played()
            return
        row, log = self._row, self.bridge.log
        if row is None:
            return
        run = log.members(row.index) if row.count > 1 else [row.last]
        sound = self.detail.audio.of_run(run)
        if sound is None:
            self.notify(
                "There is no audio in this event, or it was not kept.", severity="warning", markup=False
            )
            return
        self._clip_ms = sound.ms
        self._clip = self.bridge.play(PlayAudio(wire=sound.wire, format=sound.format))
        cut = f" of {row.audio_ms / 1000:.2f}" if row.audio_ms > sound.ms + 1 else ""
        self.log_pane.say(f"▶ {sound.ms / 1000:.2f}{cut} s, p stops")

    def hear_on(self) -> None:
        """Say how far it is. Called every tick."""
        playing = self.bridge.playing
        if self._clip is not None and self._clip != self.bridge.clip:
            self._played()  # a saved session's playhead plays on
        if self._clip is None or playing is None:
            return
        if playing.problem:
            self.notify(playing.problem, title="It could not be played", severity="error", markup=False)
        if playing.playing:
            self.log_pane.say(f"▶ {playing.at_ms / 1000:.1f} of {self._clip_ms / 1000:.1f} s, p stops")
        else:
            self._played()

    def _played(self) -> None:
        self._clip = None
        self.log_pane.say("")

    # compare

    def action_compare_events(self) -> None:
        """Compare two marked events, or the marked one and this."""
        pair = self._compared()
        if pair is None:
            self.notify(_NOTHING_TO_COMPARE, markup=False)
            return
        # The screen costs some ms to load, which the start of the program does without.
        from tui.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen(self.bridge, *sorted(pair)))

    def _compared(self) -> tuple[int, int] | None:
        """Indexes of two events: both marked ones; or this and the mark before it, or else the one after."""
        log, numbers = self.bridge.log, self.log_pane.view.marks.numbers
        marks = [index for index in map(log.events.find, numbers) if index is not None]
        line = self.log_pane.line
        if len(marks) == 2:
            return marks[0], marks[1]
        if line is None:
            return None
        others = [mark for mark in marks if mark not in (line.event, line.first)]
        if not others:
            return None
        before = [mark for mark in others if mark < line.event]
        return line.event, before[-1] if before else others[0]
