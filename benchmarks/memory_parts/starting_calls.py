"""Measures the longest gap between messages of a reply that the local agent sends while other calls start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import pairwise

from benchmarks.measuring import Measured
from benchmarks.memory_parts.callers import calling
from benchmarks.memory_parts.many_callers import agent_command

MAX_GAP_MS = 30.0
"""Maximum gap in ms; the messages are 20 ms apart."""
STARTING = 6
START_EVERY_S = 0.4
ROUNDS, QUICK_ROUNDS = 5, 2


def measure(*, quick: bool) -> Iterator[Measured]:
    """Yields the longest gap over all rounds, and the longest gap of the same reply without other calls."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with agent_command() as (_, url):
        beside = [asyncio.run(_worst_gap_ms(url, STARTING)) for _ in range(rounds)]
        alone = [asyncio.run(_worst_gap_ms(url, 0)) for _ in range(rounds)]
    yield Measured(
        f"worst gap in a reply while {STARTING} calls start, {rounds} rounds",
        f"{max(beside):.1f} ms ({max(alone):.1f} ms with no other call)",
        f"{MAX_GAP_MS:.0f} ms",
        max(beside) < MAX_GAP_MS,
    )


async def _worst_gap_ms(url: str, starting: int) -> float:
    async with AsyncExitStack() as others, calling(url) as caller:
        hearing = asyncio.ensure_future(caller.hear())
        for _ in range(starting):
            await asyncio.sleep(START_EVERY_S)
            await others.enter_async_context(calling(url))
        assert not hearing.done(), "the reply was over before all calls had started"
        times = await hearing
    return 1000 * max(after - before for before, after in pairwise(times))
