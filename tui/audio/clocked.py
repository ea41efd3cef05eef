"""ClockedBlocks: a clock for silence, recorded lines and output to files, which have no device to drive them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass


@dataclass(eq=False, repr=False)
class ClockedBlocks:
    """Calls ``function(due_ns)`` once per block of monotonic time, without drift.

    After a late wake-up, the clock makes up for at most ``max_catch_up_ms`` of missed calls. It skips older
    blocks, for example after the process was suspended, and passes their number to ``on_skipped``.

    ``clock_ns`` and ``sleep_s`` exist for tests. Calls run on the loop that awaits `run`; an exception in
    ``function`` ends `run`.
    """

    block_ms: float
    function: Callable[[int], None]
    _: KW_ONLY
    on_skipped: Callable[[int], object] = lambda _: None
    max_catch_up_ms: float = 1_000
    clock_ns: Callable[[], int] = time.monotonic_ns
    sleep_s: Callable[[float], Awaitable[None]] = asyncio.sleep

    def __post_init__(self) -> None:
        self.block_ns = round(self.block_ms * 1_000_000)
        self._max_catch_up_blocks = max(int(self.max_catch_up_ms * 1_000_000) // self.block_ns, 1)
        self._due_ns: int | None = None

    async def run(self) -> None:
        """Calls the function until cancelled; the first call is immediate."""
        self._due_ns = self.clock_ns()
        while True:
            self.catch_up(self.clock_ns())
            # Sleeps even for 0 s, so that the loop's other tasks can run while the clock catches up.
            await self.sleep_s(max(self._due_ns - self.clock_ns(), 0) / 1e9)

    def catch_up(self, now_ns: int, *, most_blocks: int | None = None) -> None:
        """Makes the calls due by ``now_ns``, oldest first, but at most ``most_blocks``.

        Use either `catch_up` or `run`.

        The first call is due at the first catch-up.
        """
        if self._due_ns is None:
            self._due_ns = now_ns
        due_blocks = (now_ns - self._due_ns) // self.block_ns + 1 if now_ns >= self._due_ns else 0
        if due_blocks > self._max_catch_up_blocks:
            skipped_blocks = due_blocks - self._max_catch_up_blocks
            self._due_ns += skipped_blocks * self.block_ns
            self.on_skipped(skipped_blocks)
            due_blocks = self._max_catch_up_blocks
        # Due times advance by whole blocks rather than from now, so that late wake-ups do not add up to
        # drift.
        for _ in range(due_blocks if most_blocks is None else min(due_blocks, most_blocks)):
            due_ns, self._due_ns = self._due_ns, self._due_ns + self.block_ns
            self.function(due_ns)
