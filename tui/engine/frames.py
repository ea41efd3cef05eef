"""Frames: batches of items for the screen, held back while it does not read."""

from __future__ import annotations

from collections.abc import Callable

from tui.engine.wire import MAX_FRAME_BYTES, EventItem, FrameItem, pack
from tui.models.events import SessionEvent

MAX_HELD_EVENTS = 400_000
"""The most events kept for a screen that does not read (stopped with ctrl+z): about 20 minutes of a busy call."""
_MAX_BACKLOG_BYTES = MAX_FRAME_BYTES // 8
_ITEMS_OF_A_FRAME = 2_000


class Frames:
    """Batches of items: ``write`` takes frames, ``backlog`` returns the bytes unread. On the engine's loop."""

    def __init__(self, write: Callable[[bytes], None], backlog: Callable[[], int]) -> None:
        self.paused = False
        """Whether the screen has announced that it will not read for now."""
        self._write = write
        self._backlog = backlog
        self._items: list[FrameItem] = []
        self._latest: dict[type[FrameItem], FrameItem] = {}
        self._dropped = 0

    def add(self, item: FrameItem) -> None:
        """Send an item with the next batch."""
        self._items.append(item)

    def add_event(self, event: SessionEvent) -> None:
        """Send an event; beyond `MAX_HELD_EVENTS` it is counted instead."""
        if len(self._items) < MAX_HELD_EVENTS:
            self._items.append(EventItem(event=event))
        else:
            self._dropped += 1

    def replace(self, item: FrameItem) -> None:
        """Send an item in place of an earlier one of its kind that has not gone yet: the latest wins."""
        # Telemetry of a moment ago is of no use, and a screen that was stopped must not find minutes of it.
        self._latest[type(item)] = item

    def flush(self) -> int:
        """Send what is pending, unless the screen is not reading. Returns how many events were dropped meanwhile."""
        # The transport buffers without limit, so what a stopped screen leaves unread has to be held here, where it
        # can be counted and dropped.
        if self.paused or self._backlog() > _MAX_BACKLOG_BYTES:
            return 0
        items = [*self._items, *self._latest.values()]
        self._items, self._latest = [], {}
        # In several frames, because the screen decodes each as a whole between two of its ticks.
        for start in range(0, len(items), _ITEMS_OF_A_FRAME):
            self._write(pack(items[start : start + _ITEMS_OF_A_FRAME]))
        dropped, self._dropped = self._dropped, 0
        return dropped
