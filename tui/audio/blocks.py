"""Passes captured blocks from PortAudio's thread to an asyncio loop, in order, each with its time and source."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from tui.audio.instants import BlockInstants, ClockMove
from tui.audio.resample import LiveResampler


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An uninterrupted sequence of blocks. Opening a device or restarting the silence clock creates a new source."""

    rate: int
    from_device: bool


class Stamp(NamedTuple):
    """The time and source of a block.

    Replaces PortAudio's ``time`` argument in calls of the microphone's callback.
    """

    at_ns: int
    """When the device's callback was entered, or when a block of silence was due."""
    source: Source


class Block(NamedTuple):
    """A captured block in the queue between the microphone and the loop."""

    at_ns: int
    source: Source | None
    """None if the block is not from the microphone's stream; the block then has the agent's sample rate."""
    pcm: bytes
    """16-bit mono PCM, copied from PortAudio's buffer."""


class Captured(NamedTuple):
    """A captured block at the agent's sample rate, with its times."""

    end_ns: int
    """When the last sample of the block left the microphone."""
    captured_ns: int
    """When the device's callback delivered the block."""
    pcm: bytes


class CaptureHandoff:
    """A bounded queue between one producer thread and one consuming loop.

    If the consumer falls two seconds behind, the oldest block is dropped and counted.
    """

    def __init__(self, *, block_ms: float = 20, max_ms: float = 2_000) -> None:
        self.dropped_blocks = 0
        self.overflows = 0
        """Number of blocks that followed lost samples, according to PortAudio."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: int | None = None
        self._blocks: deque[Block] = deque()
        self._max_blocks = max(int(max_ms // block_ms), 1)
        self._arrived = asyncio.Event()
        self._asleep = False

    def put(self, block: Block) -> None:
        """Appends a block. Called on PortAudio's thread or on the loop; never waits and never takes a lock."""
        if len(self._blocks) >= self._max_blocks:
            try:
                self._blocks.popleft()
            except IndexError:
                pass  # the consumer has emptied the queue since its length was read
            else:
                self.dropped_blocks += 1
        # deque.append and popleft are atomic under the GIL, so neither side needs a lock.
        self._blocks.append(block)
        # Only a sleeping consumer is woken. Waking it writes to the loop's socket, and that system call
        # releases the GIL, which PortAudio's thread may have to wait to reacquire.
        if self._asleep and self._loop is not None:
            self._asleep = False
            if threading.get_ident() == self._loop_thread:  # the block is from a clock, not from PortAudio
                self._arrived.set()
                return
            with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing is waiting
                self._loop.call_soon_threadsafe(self._arrived.set)

    def skip(self, blocks: int) -> None:
        """Counts ``blocks`` of silence as dropped because they were due too long ago. Must be called on the loop."""
        self.dropped_blocks += blocks

    def take(self) -> list[Block]:
        """Removes and returns all queued blocks, oldest first. The list may be empty. Must be called on the loop."""
        taken: list[Block] = []
        while True:
            try:
                taken.append(self._blocks.popleft())
            except IndexError:
                return taken

    async def wait(self) -> None:
        """Waits until a block is queued. Must be called on the loop, in one task only."""
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        while not self._blocks:
            self._arrived.clear()
            self._asleep = True
            # A block may have arrived before the flag was set, in which case the producer did not wake this
            # task.
            if self._blocks:
                break
            await self._arrived.wait()
        self._asleep = False

    def __len__(self) -> int:
        return len(self._blocks)


class BlockTiming:
    """Computes the times of captured blocks from the sample count, and resamples the blocks to the agent's rate.

    Runs on the loop.
    """

    def __init__(self, rate: int) -> None:
        self._dropped_blocks = 0
        self.restart(rate)

    def restart(self, rate: int) -> None:
        """Resets the sample count, and resamples to ``rate`` (in Hz) from now on."""
        self._rate = rate
        self._elsewhere = Source(rate, from_device=False)
        self._source: Source | None = None
        self._instants = BlockInstants(rate)
        self._counted_frames = 0
        self._resampler = LiveResampler(rate, rate)

    def follow(self, block: Block, dropped_blocks: int) -> Source:
        """Prepares for the next block and returns its source.

        ``dropped_blocks`` is the total number dropped by the hand-off so far.

        After a dropped block or a change of source, the sample count restarts; otherwise all later blocks
        would get times that are too early.
        """
        source = block.source or self._elsewhere
        if source is not self._source or dropped_blocks != self._dropped_blocks:
            self._instants, self._counted_frames = BlockInstants(source.rate), 0
            self._dropped_blocks = dropped_blocks
        if source is not self._source:
            self._source = source
            self._resampler = LiveResampler(source.rate, self._rate)
        return source

    def end_ns(self, block: Block) -> int:
        """Returns when the last sample of the block left the microphone. Call once per block, after `follow`."""
        self._instants.feed(block.at_ns, self._counted_frames)
        end_ns = self._instants.at(self._counted_frames)
        self._counted_frames += len(block.pcm) // 2
        return block.at_ns if end_ns is None else end_ns

    def resample(self, pcm: bytes) -> bytes:
        """Converts samples of the current source to the agent's rate."""
        return self._resampler.feed(pcm)

    def take_move(self, limit_ns: int) -> ClockMove | None:
        """Returns how far block times have shifted since the last reported shift; None if at most ``limit_ns``."""
        return self._instants.take_move(limit_ns)

    def is_current(self, source: Source | None) -> bool:
        """Returns whether the last block came from ``source``."""
        return source is not None and source is self._source

    def started_ns(self, source: Source | None) -> int | None:
        """Returns the estimated time of the first frame of ``source``; None if ``source`` is not current."""
        return self._instants.at(0) if self.is_current(source) else None
