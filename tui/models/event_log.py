"""EventLog: every event of the session, and the rows it is shown as.

A run of audio chunks, of deltas, or of messages nobody knows is one row per kind until something else comes,
so that a call reads as its messages and not as fifty chunks a second. An event that restates a message has no row.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tui.callbacks import CallbackManager, Registration
from tui.models.describe import UNLISTED, describe
from tui.models.events import Direction, MessageLogged, SessionEvent, SessionStarted

RUNS = ("chunk", "delta", "append", "media", "hypothesis", "audio")
"""Ends of the names of messages of which many follow each other, in any protocol."""
APPENDED = "appended"
CLEARED = "cleared"


class Row(msgspec.Struct, gc=False):
    """What one line of the log stands for: an event, or a run of audio chunks of one direction."""

    first: int
    """Index of its first event in the store."""
    last: int
    count: int = 1
    audio_ms: float = 0.0
    size_bytes: int = 0


class EventLog:
    """Append-only store of a session's events and the rows made of them. One thread; constant cost."""

    def __init__(self, callbacks: CallbackManager | None = None) -> None:
        self.callbacks = callbacks or CallbackManager()
        self.events: list[SessionEvent] = []
        self.rows: list[Row] = []
        self._runs: dict[tuple[Direction, str], Row] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def add_append_callback(self, callback: Callable[[SessionEvent], object]) -> Registration:
        """Call ``callback(event)`` for every appended event."""
        return self.callbacks.register_callback(APPENDED, callback)

    def add_clear_callback(self, callback: Callable[[], object]) -> Registration:
        """Call ``callback()`` when a new session empties the log."""
        return self.callbacks.register_callback(CLEARED, callback)

    def apply(self, event: SessionEvent) -> None:
        """Append one event; a `SessionStarted` empties the log first."""
        if isinstance(event, SessionStarted):
            self.events.clear()
            self.rows.clear()
            self._runs.clear()
            self.callbacks.trigger(CLEARED)
        index = len(self.events)
        self.events.append(event)
        if isinstance(event, MessageLogged) and _comes_in_runs(event):
            self._extend_run(event, index)
        elif not isinstance(event, UNLISTED):
            self._runs.clear()
            size_bytes = event.size_bytes if isinstance(event, MessageLogged) else 0
            self.rows.append(Row(index, index, size_bytes=size_bytes))
        self.callbacks.trigger(APPENDED, event)

    def row_of(self, number: int) -> int | None:
        """Index of the row that shows the event with this number; None when it is not in the log."""
        index = self._index_of(number)
        if index is None:
            return None
        low, high = 0, len(self.rows)
        while low < high:
            middle = (low + high) // 2
            if self.rows[middle].first <= index:
                low = middle + 1
            else:
                high = middle
        event = self.events[index]
        for candidate in range(low - 1, max(low - 3, -1), -1):
            row = self.rows[candidate]
            if row.first == index or (row.count > 1 and _same_run(self.events[row.first], event)):
                return candidate
        return low - 1

    def event(self, row: Row) -> SessionEvent:
        """The event a row shows: the newest of a run."""
        return self.events[row.last]

    def summary(self, row: Row) -> str:
        """The one line of a row."""
        if row.count == 1:
            return describe(self.events[row.last]).summary
        if row.audio_ms:
            return f"{row.count} × audio, {row.audio_ms / 1000:.2f} s"
        return f"{describe(self.events[row.last]).summary} (×{row.count})"

    def _extend_run(self, event: MessageLogged, index: int) -> None:
        key = (event.direction, event.kind)
        run = self._runs.get(key)
        if run is None:
            self._runs[key] = Row(index, index, 1, event.audio_ms, event.size_bytes)
            self.rows.append(self._runs[key])
            return
        run.last = index
        run.count += 1
        run.audio_ms += event.audio_ms
        run.size_bytes += event.size_bytes

    def _index_of(self, number: int) -> int | None:
        if not self.events or number < self.events[0].number:
            return None
        index = number - self.events[0].number
        return index if index < len(self.events) else None


def _comes_in_runs(event: MessageLogged) -> bool:
    return event.audio_ms > 0 or not event.known or event.kind.endswith(RUNS)


def _same_run(a: SessionEvent, b: SessionEvent) -> bool:
    return (
        isinstance(a, MessageLogged)
        and isinstance(b, MessageLogged)
        and (a.direction, a.kind) == (b.direction, b.kind)
    )
