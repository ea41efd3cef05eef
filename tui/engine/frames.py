"""Sends items to the screen in batches, and keeps them while the screen is not reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tui.engine.wire import MAX_FRAME_BYTES, EventItem, FrameItem, pack
from tui.models.events import SessionEvent

MAX_HELD_EVENTS = 400_000
"""Maximum number of events kept for a screen that is not reading (stopped with ctrl+z): about 20
minutes of a busy call."""
_MAX_BACKLOG_BYTES = MAX_FRAME_BYTES // 8
_ITEMS_OF_A_FRAME = 2_000


class Frames:
    """Sends items to the screen in batches. Runs on the engine's loop.

    ``write`` sends a frame; ``backlog`` returns how many bytes the screen has not read.
    """

    def __init__(self, write: Callable[[bytes], None], backlog: Callable[[], int]) -> None:
        self.paused = False
        """Whether the screen has announced that it will not read for now."""
        self._write = write
        self._backlog = backlog
        self._items: list[FrameItem] = []
        self._latest: dict[type[FrameItem], FrameItem] = {}
        self._dropped = 0
        self._filled = asyncio.Event()

    async def filled(self) -> None:
        """Waits until there are items to send."""
        await self._filled.wait()

    def add(self, item: FrameItem) -> None:
        """Adds an item to the next batch."""
        self._items.append(item)
        self._filled.set()

    def add_event(self, event: SessionEvent) -> None:
        """Adds an event to the next batch. If `MAX_HELD_EVENTS` are waiting, only counts the event as dropped."""
        self._filled.set()
        if len(self._items) < MAX_HELD_EVENTS:
            self._items.append(EventItem(event=event))
        else:
            self._dropped += 1

    def replace(self, item: FrameItem) -> None:
        """Adds an item to the next batch, in place of an unsent item of the same type."""
        # Old telemetry is useless, and a screen that was stopped must not have to read minutes of it.
        self._latest[type(item)] = item
        self._filled.set()

    def flush(self) -> int:
        """Sends the waiting items if the screen is reading.

        Returns how many events have been dropped since the previous batch.
        """
        # The transport buffers without limit, so events that a stopped screen leaves unread are held here, where they
        # can be counted and dropped.
        if self.paused or self._backlog() > _MAX_BACKLOG_BYTES:
            return 0
        items = [*self._items, *self._latest.values()]
        self._items, self._latest = [], {}
        self._filled.clear()
        # Split into several frames, because the screen decodes each frame completely between two ticks.
        for start in range(0, len(items), _ITEMS_OF_A_FRAME):
            self._write(pack(items[start : start + _ITEMS_OF_A_FRAME]))
        dropped, self._dropped = self._dropped, 0
        return dropped
