"""From PortAudio's thread to an asyncio loop: blocks of captured audio, in order, none lost unseen."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What delivers blocks without a gap. Each opening of a device, and each run of the clock, is another one."""

    rate: int
    from_device: bool


class Block(NamedTuple):
    """What was delivered at once, and all that is to be known of where it comes from."""

    at_ns: int
    """When the device's callback was entered, or a block of silence was due."""
    source: Source
    pcm: bytes


class Captured(NamedTuple):
    """A captured block on its way to the wire."""

    end_ns: int
    """When its last sample left the microphone."""
    captured_ns: int
    """When the device's callback delivered it."""
    pcm: bytes


class CaptureHandoff:
    """A bounded queue with one producer thread and one consuming loop.

    Appending never waits and never asks for a lock; only a sleeping consumer is woken, since waking is a
    system call that lets go of the interpreter. When the consumer is two seconds behind, the oldest
    block goes and is counted.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, block_ms: float = 20, max_ms: float = 2_000
    ) -> None:
        self.dropped_blocks = 0
        self._loop = loop
        self._blocks: deque[Block] = deque()
        self._max_blocks = max(int(max_ms // block_ms), 1)
        self._arrived = asyncio.Event()
        self._asleep = False

    def put(self, block: Block) -> None:
        """Append a block, from PortAudio's thread; its samples are a copy of PortAudio's buffer."""
        if len(self._blocks) >= self._max_blocks:
            try:
                self._blocks.popleft()
            except IndexError:
                pass  # the consumer came in between: nothing to drop
            else:
                self.dropped_blocks += 1
        self._blocks.append(block)
        if self._asleep:
            self._asleep = False
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
                self._loop.call_soon_threadsafe(self._arrived.set)

    def skip(self, blocks: int) -> None:
        """Count blocks that were to come from the loop's clock, for which it was too late. From the loop."""
        self.dropped_blocks += blocks

    def take(self) -> list[Block]:
        """Everything that waits, oldest first; possibly nothing. From the loop."""
        taken: list[Block] = []
        while True:
            try:
                taken.append(self._blocks.popleft())
            except IndexError:
                return taken

    async def wait(self) -> None:
        """Until there is something to take. From the loop, by one task."""
        while not self._blocks:
            self._arrived.clear()
            self._asleep = True
            # A block may have come before the flag was up; then nobody wakes us.
            if self._blocks:
                break
            await self._arrived.wait()
        self._asleep = False

    def __len__(self) -> int:
        return len(self._blocks)
