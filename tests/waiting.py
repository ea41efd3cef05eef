"""Waits for conditions without a notification."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT_S = 10.0


async def wait_for(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Lets other tasks run until a condition holds. Raises `TimeoutError`."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.002)
