"""A block clock for endpoints without a device: silent or recorded microphones, null and file speakers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class ClockedBlocks:
    """Calls ``function(due_ns)`` once for every block of monotonic time, without drift.

    A late wake-up is made good by as many calls as fell due, up to ``max_catch_up_ms``; what is beyond that
    (a suspended laptop, a stopped process) is skipped and counted. ``clock_ns`` and ``sleep_s`` are there
    for tests. Runs in the loop of whoever awaits `run`; an exception of ``function`` ends it.
    """

    def __init__(
        self,
        block_ms: float,
        function: Callable[[int], None],
        *,
        max_catch_up_ms: float = 1_000,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep_s: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.block_ns = round(block_ms * 1_000_000)
        self.blocks = 0
        """Calls made."""
        self.skipped_blocks = 0
        """Calls never made, as they fell due too long ago."""
        self.worst_late_ns = 0
        """The longest time between a call's due instant and the call, skipped ones left out."""
        self._function = function
        self._max_catch_up_blocks = max(int(max_catch_up_ms * 1_000_000) // self.block_ns, 1)
        self._clock_ns = clock_ns
        self._sleep_s = sleep_s

    async def run(self) -> None:
        """Tick until cancelled; the first call comes at once."""
        due_ns = self._clock_ns()
        while True:
            now_ns = self._clock_ns()
            due_blocks = (now_ns - due_ns) // self.block_ns + 1 if now_ns >= due_ns else 0
            if due_blocks > self._max_catch_up_blocks:
                skipped_blocks = due_blocks - self._max_catch_up_blocks
                self.skipped_blocks += skipped_blocks
                due_ns += skipped_blocks * self.block_ns
                due_blocks = self._max_catch_up_blocks
            for _ in range(due_blocks):
                self.worst_late_ns = max(self.worst_late_ns, now_ns - due_ns)
                self._function(due_ns)
                self.blocks += 1
                due_ns += self.block_ns
            await self._sleep_s(max(due_ns - self._clock_ns(), 0) / 1e9)
