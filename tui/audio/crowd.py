"""Crowd: resources that all calls of a load-test worker share, so that each call costs much less.

Load-test calls have no screen and no sound device. One timer serves the blocks of all calls, and the speech
detectors of the calls run in batches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from tui.audio.clocked import ClockedBlocks
from tui.audio.detector_pool import DetectorPool

BLOCK_MS = 20
_SLOTS = 5
"""Number of slots into which a block is divided to spread the calls.

If all calls sent at once, the last call would be late.
"""


@dataclass(eq=False, repr=False)
class Ticking:
    """A function that `SharedClock` calls for every block until `cancel`.

    ``slot`` is the list of functions that are called at the same time.
    """

    slot: list[Ticking]
    function: Callable[[int], None]
    on_skipped: Callable[[int], object]

    def __post_init__(self) -> None:
        self.slot.append(self)

    def cancel(self) -> None:
        """Stops the calls of the function. Can be called repeatedly."""
        if self in self.slot:
            self.slot.remove(self)


class SharedClock:
    """One timer for the blocks of many calls. Belongs to the loop that runs `run`."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._slots: list[list[Ticking]] = [[] for _ in range(_SLOTS)]
        self._turns = 0
        """Number of slots served or skipped so far."""
        self._blocks = ClockedBlocks(BLOCK_MS / _SLOTS, self._serve, on_skipped=self._skip, clock_ns=clock_ns)

    def call(self, function: Callable[[int], None], on_skipped: Callable[[int], object]) -> Ticking:
        """Registers ``function``, which is called with ``due_ns`` once per block; returns a handle to cancel it."""
        return Ticking(min(self._slots, key=len), function, on_skipped)

    async def run(self) -> None:
        """Calls the registered functions when they are due, until cancelled."""
        await self._blocks.run()

    def catch_up(self, now_ns: int) -> None:
        """Makes all calls that are due by ``now_ns``."""
        self._blocks.catch_up(now_ns)

    def _serve(self, due_ns: int) -> None:
        number = self._turns % _SLOTS
        self._turns += 1
        for ticking in tuple(self._slots[number]):
            ticking.function(due_ns)

    def _skip(self, turns: int) -> None:
        for number, slot in enumerate(self._slots):
            first = (number - self._turns) % _SLOTS
            if blocks := len(range(first, turns, _SLOTS)):
                for ticking in slot:
                    ticking.on_skipped(blocks)
        self._turns += turns


class Crowd:
    """The clock and the speech detectors that a worker's calls share. Belongs to the loop that runs `run`."""

    def __init__(self) -> None:
        self.clock = SharedClock()
        self.detectors = DetectorPool()

    async def run(self) -> None:
        """Runs the clock and the detectors until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.clock.run())
            tasks.create_task(self.detectors.run())
