"""SavedEngine: a saved session in the engine's place, so that the screen opens it as it shows a live one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from tui.engine.wire import Command, EngineReady, EventItem, FrameItem, SessionFile
from tui.models.events import SessionEvent
from tui.saving.reading import SavedSession

AT_ONCE_EVENTS = 5_000
"""As many a call, so that a long session does not stop the screen while it is read."""


class SavedEngine:
    """What `tui.bridge.EngineLink` asks for, over a saved session. Commands do nothing.

    ``speed`` is how much faster than it was the session goes by, or None for at once.
    """

    alive = True
    log_path = ""

    def __init__(
        self,
        saved: SavedSession,
        *,
        speed: float | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.saved = saved
        self.finished = False
        """Whether every event was given."""
        self._speed = speed
        self._clock_ns = clock_ns
        self._events: Iterator[SessionEvent] = saved.events()
        self._next: SessionEvent | None = next(self._events, None)
        self._first_ns = self._last_ns = self._next.at_ns if self._next else 0
        self._began_ns: int | None = None

    def drain(self) -> list[FrameItem]:
        """The events that are due."""
        items: list[FrameItem] = []
        if self._began_ns is None:
            self._began_ns = self._clock_ns()
            path = str(self.saved.messages_path)
            items += [EngineReady(pid=os.getpid(), log=""), SessionFile(path=path)]
        now_ns = self.now_ns()
        while self._next is not None and len(items) < AT_ONCE_EVENTS:
            if self._speed is not None and self._next.at_ns > now_ns:
                break
            self._last_ns = max(self._last_ns, self._next.at_ns)
            items.append(EventItem(event=self._next))
            self._next = next(self._events, None)
        self.finished = self._next is None
        return items

    def send(self, command: Command) -> None:
        """There is nobody to carry it out."""

    def now_ns(self) -> int:
        """The instant of the session that is now, on the clock of its events: a clock for the bridge."""
        if self._speed is None or self._began_ns is None or self.finished:
            return self._last_ns
        return self._first_ns + int((self._clock_ns() - self._began_ns) * self._speed)
