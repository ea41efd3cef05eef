"""ClockedBlocks: a clock for silence, recorded lines and output to files, which have no device to drive them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class ClockedBlocks:
    """Calls ``function(due_ns)`` once per block of monotonic time, without drift.

    After a late wake-up, the clock makes up for at most ``max_catch_up_ms`` of missed calls. It skips older
    blocks, for example after the process was suspended, and passes their number to ``on_skipped``.

    ``clock_ns`` and ``sleep_s`` exist for tests. Calls run on the loop that awaits `run`; an exception in
    ``function`` ends `run`.
    """

    def __init__(
        self,
        block_ms: float,
        function: Callable[[int], None],
        *,
        on_skipped: Callable[[int], object] = lambda _: None,
        max_catch_up_ms: float = 1_000,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep_s: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.block_ns = round(block_ms * 1_000_000)
        self._function = function
        self._on_skipped = on_skipped
        self._max_catch_up_blocks = max(int(max_catch_up_ms * 1_000_000) // self.block_ns, 1)
        self._clock_ns = clock_ns
        self._sleep_s = sleep_s
        self._due_ns: int | None = None

    async def run(self) -> None:
        """Calls the function until cancelled; the first call is immediate."""
        self._due_ns = self._clock_ns()
        while True:
            self.catch_up(self._clock_ns())
            # Sleeps even for 0 s, so that the loop's other tasks can run while the clock catches up.
            await self._sleep_s(max(self._due_ns - self._clock_ns(), 0) / 1e9)

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
            self._on_skipped(skipped_blocks)
            due_blocks = self._max_catch_up_blocks
        # Due times advance by whole blocks rather than from now, so that late wake-ups do not add up to
        # drift.
        for _ in range(due_blocks if most_blocks is None else min(due_blocks, most_blocks)):
            due_ns, self._due_ns = self._due_ns, self._due_ns + self.block_ns
            self._function(due_ns)
