"""Measures the cost of notifying subscribers with the callbacks kit, a handwritten loop, psygnal, pyee and blinker.

Run ``python benchmarks/dispatch.py`` from the root folder. It takes about half a minute and prints a Markdown
table. Because the machine's speed varies, all ways are timed in turn in many short rounds: a ratio is the
median of the ratios within a round, and a time is the best of all rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter_ns

import psygnal
from blinker import Signal as Blinker
from pyee.asyncio import AsyncIOEventEmitter

# a script can import only from its own folder, but the kit is in the root folder
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tui.callbacks import CallbackManager

ROUNDS = 300
CALLS_PER_ROUND = 2000
"""Number of callback calls per round and way."""
SUBSCRIBERS = (1, 10, 100)

Ways = dict[str, Callable[[], object]]
CoroutineWays = dict[str, Callable[[], Awaitable[object]]]
Rounds = dict[str, list[float]]


def plain_ways(subscribers: int) -> Ways:
    """Returns, by library, functions that call plain callbacks, which do nothing.

    All callbacks differ, because some libraries merge equal ones.
    """

    def make() -> Callable[[int], None]:
        def callback(value: int) -> None:
            pass

        return callback

    callbacks = [make() for _ in range(subscribers)]

    def naive(value: int) -> None:
        for callback in callbacks:
            try:
                callback(value)
            except Exception as error:  # noqa: BLE001 - the loop of the guide
                print(error)

    manager, signal = CallbackManager(), psygnal.SignalInstance((int,))
    emitter, blinker = AsyncIOEventEmitter(), Blinker()
    for callback in callbacks:
        manager.register_callback("event", callback)
        signal.connect(callback)
        emitter.on("event", callback)
        blinker.connect(callback, weak=False)
    return {
        "naive": lambda: naive(1),
        "kit": lambda: manager.trigger("event", 1),
        "psygnal": lambda: signal.emit(1),
        "pyee": lambda: emitter.emit("event", 1),
        "blinker": lambda: blinker.send(1),
    }


def coroutine_ways(subscribers: int) -> CoroutineWays:
    """Returns, by library, functions that call coroutine callbacks and return when all have finished."""
    ended = 0

    def make() -> Callable[[int], Awaitable[None]]:
        async def callback(value: int) -> None:
            nonlocal ended
            ended += 1

        return callback

    callbacks = [make() for _ in range(subscribers)]

    async def naive(value: int) -> None:
        for callback in callbacks:
            try:
                await callback(value)
            except Exception as error:  # noqa: BLE001 - the loop of the guide
                print(error)

    async def emit(send: Callable[[], object]) -> None:
        expected = ended + subscribers
        send()
        while ended < expected:  # noqa: ASYNC110 - an event would cost more than what is timed
            await asyncio.sleep(0)

    manager, signal = CallbackManager(), psygnal.SignalInstance((int,))
    emitter, blinker = AsyncIOEventEmitter(), Blinker()
    for callback in callbacks:
        manager.register_callback("event", callback)
        signal.connect(callback)
        emitter.on("event", callback)
        blinker.connect(callback, weak=False)
    return {
        "naive": lambda: naive(1),
        "kit": lambda: manager.trigger_callbacks("event", 1),
        "psygnal": lambda: emit(lambda: signal.emit(1)),
        "pyee": lambda: emit(lambda: emitter.emit("event", 1)),
        "blinker": lambda: blinker.send_async(1),
    }


def time_plain(ways: Ways, calls: int) -> Rounds:
    rounds: Rounds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, tell in ways.items():
            started_ns = perf_counter_ns()
            for _ in range(calls):
                tell()
            rounds[name].append((perf_counter_ns() - started_ns) / calls)
    return rounds


async def time_coroutines(ways: CoroutineWays, calls: int) -> Rounds:
    rounds: Rounds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, tell in ways.items():
            started_ns = perf_counter_ns()
            for _ in range(calls):
                await tell()
            rounds[name].append((perf_counter_ns() - started_ns) / calls)
    return rounds


def row(title: str, subscribers: int, rounds: Rounds) -> str:
    cells = [title, str(subscribers), f"{min(rounds['naive']) / 1000:.2f} µs"]
    for name in list(rounds)[1:]:
        ratio = statistics.median(
            own / naive for own, naive in zip(rounds[name], rounds["naive"], strict=True)
        )
        cells.append(f"{min(rounds[name]) / 1000:.2f} µs ({ratio:.2f}x)")
    return f"| {' | '.join(cells)} |"


async def main() -> None:
    psygnal.set_async_backend("asyncio")
    await asyncio.sleep(0)  # lets its worker start
    print("| callbacks | subscribers | loop by hand | kit | psygnal | pyee | blinker |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for subscribers in SUBSCRIBERS:
        print(row("plain", subscribers, time_plain(plain_ways(subscribers), CALLS_PER_ROUND // subscribers)))
    for subscribers in SUBSCRIBERS:
        rounds = await time_coroutines(coroutine_ways(subscribers), CALLS_PER_ROUND // subscribers)
        print(row("coroutine", subscribers, rounds))


if __name__ == "__main__":
    asyncio.run(main())
