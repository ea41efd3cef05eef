"""SavedEngine: takes the place of an engine, so that the screen shows a saved session like a call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tui.engine import wire
from tui.engine.link import EngineLink
from tui.models.events import NoticeRaised, SessionEvent, SessionStarted
from tui.saving.reading import SavedSession
from tui.saving.record import AUDIO_FILE
from tui.view.playhead import Playhead

AT_ONCE_EVENTS = 5_000
"""Maximum number of events per `drain`, so that the screen does not freeze while a long session is being read."""


class SavedEngine:
    """An `EngineLink` for a saved session. A real engine, ``sound``, plays the audio.

    With ``speed``, the session is replayed at that multiple of real time. Without ``speed``, the whole
    session is available immediately. In both cases `playhead` holds the current time.
    """

    alive = True

    def __init__(
        self,
        saved: SavedSession,
        *,
        speed: float | None = None,
        sound: EngineLink | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.saved = saved
        self.finished = False
        """Whether every event has been returned."""
        self._events: Iterator[SessionEvent] = saved.events()
        self._first = self._next = next(self._events, None)
        self._last_number = 0
        audio = saved.audio
        self._last_ns = first_ns = self._first.at_ns if self._first else audio.starts_ns if audio else 0
        self._began = False
        self._shown_problems = 0
        self._sound = sound
        self._clip: int | None = None
        last_ns = max(saved.last_ns or first_ns, audio.ns_at(audio.frames) if audio else first_ns)
        self.playhead = Playhead(
            first_ns,
            last_ns,
            clock_ns=clock_ns,
            audio_path=str(saved.folder / AUDIO_FILE) if audio and sound else "",
            audio_starts_ns=audio.starts_ns if audio else first_ns,
            speed=speed or 1.0,
            folds=speed is not None,
        )
        if speed is not None:
            self.playhead.play()

    @property
    def log_path(self) -> str:
        """Log file of the engine that plays the audio."""
        return self._sound.log_path if self._sound else ""

    def drain(self) -> list[wire.FrameItem]:
        """Returns the events that are due, and the items from the engine that plays the audio."""
        items: list[wire.FrameItem] = self._heard()
        if not self._began:
            # Sent first, because the screen cannot show the message of an event before it knows the file.
            self._began = True
            items.append(
                wire.MessagesFile(path=str(self.saved.messages_path), session=str(self.saved.folder))
            )
            if self.playhead.audio_path:
                self.send(wire.FindPeaks(path=self.playhead.audio_path))
        folds, now_ns = self.playhead.folds, self.playhead.at_ns
        if folds and now_ns < self._last_ns and isinstance(self._first, SessionStarted):
            self._begin_again()
        # Limited for each tick, because a saved hour has a million events and the screen handles keys between ticks.
        given = 0
        while self._next is not None and given < AT_ONCE_EVENTS and not (folds and self._next.at_ns > now_ns):
            given += 1
            # The latest time, which need not be that of the newest event, because edges of speech are back-dated.
            self._last_number, self._last_ns = self._next.number, max(self._last_ns, self._next.at_ns)
            items.append(wire.EventItem(event=self._next))
            self._next = next(self._events, None)
        self.playhead.reach(self._last_ns)
        was_finished, self.finished = self.finished, self._next is None
        if not folds and not was_finished:
            items.append(wire.ReadingSession(share=1.0 if self.finished else self._share_read()))
        return [*items, *self._problems()]

    def send(self, command: wire.Command) -> None:
        """Passes sound commands to the engine that plays the audio. Ignores other commands."""
        if self._sound and isinstance(
            command, wire.PlayAudio | wire.FindPeaks | wire.ListDevices | wire.Pause | wire.Shutdown
        ):
            self._sound.send(command)
            if isinstance(command, wire.PlayAudio):
                self._clip = command.clip

    def now_ns(self) -> int:
        """Returns the current time in the session, on the clock of its events."""
        return self.playhead.at_ns if self.playhead.folds else self._last_ns

    def _share_read(self) -> float:
        """Estimates from the times of events what share of the session has been read, 0..1."""
        head = self.playhead
        passed_ns, whole_ns = self._last_ns - head.first_ns, head.last_ns - head.first_ns
        return min(max(passed_ns / whole_ns, 0.0), 0.99) if whole_ns > 0 else 0.0

    def _begin_again(self) -> None:
        """Reads the events from the beginning again, because the models cannot go back in time."""
        self._events = self.saved.events()
        self._next = next(self._events, None)
        self._last_ns = self.playhead.first_ns
        self._shown_problems = 0

    def _heard(self) -> list[wire.FrameItem]:
        if self._sound is None:
            return []
        items = [
            item
            for item in self._sound.drain()
            if isinstance(item, wire.PlayingAudio | wire.Peaks | wire.DeviceList)
        ]
        # The bridge waits for the end of its clip, which a dead engine cannot report.
        if self._clip is not None and not self._sound.alive:
            problem = f"The engine process has ended, so nothing can be played. See its log: {self.log_path}"
            items.append(wire.PlayingAudio(clip=self._clip, at_ms=0.0, playing=False, problem=problem))
            self._clip = None
        return list(items)

    def _problems(self) -> Iterator[wire.EventItem]:
        """Yields a notice for each unreadable part of the session, after all events."""
        while self.finished and self._shown_problems < len(self.saved.problems):
            self._shown_problems += 1
            notice = NoticeRaised(
                number=self._last_number + self._shown_problems,
                at_ns=self._last_ns,
                text=self.saved.problems[self._shown_problems - 1],
                of_opening=True,
            )
            yield wire.EventItem(event=notice)
