"""Measures a frame of the log with few and many rows: new events are folded, and the pane is updated and painted."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator
from time import perf_counter

from benchmarks.measuring import Measured
from benchmarks.screen_parts.long_log import LongLog, long_log
from tui.models.filter.language import parse

FEW, MANY = 1_000, 1_000_000
MAX_RATIO = 1.3
ROUNDS, QUICK_ROUNDS = 400, 100
EVENTS_A_FRAME = 10
"""Number of events per frame in a call with 50 messages a second each way, at ten frames a second."""


def measure(*, quick: bool) -> Iterator[Measured]:
    """Yields the ratio of the medians; both logs are measured in turn."""
    yield from asyncio.run(_measure(QUICK_ROUNDS if quick else ROUNDS))


async def _measure(rounds: int) -> list[Measured]:
    async with long_log(FEW) as few, long_log(MANY) as many:
        return [await _compare(what, few, many, rounds) for what in WAYS]


async def _compare(what: str, few: LongLog, many: LongLog, rounds: int) -> Measured:
    begin, change = WAYS[what]
    for log in (few, many):
        begin(log)
        await log.pilot.pause()
    times = [(_frame_s(few, change), _frame_s(many, change)) for _ in range(rounds)]
    small, large = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = large / small
    return Measured(
        f"a frame with {MANY:,} rows: {what}",
        f"{ratio:.2f} times ({large * 1000:.2f} ms against {small * 1000:.2f} ms)",
        f"{MAX_RATIO} times one with {FEW:,} rows",
        ratio <= MAX_RATIO,
    )


def _frame_s(log: LongLog, change: Callable[[LongLog], object]) -> float:
    began = perf_counter()
    change(log)
    log.paint()
    return perf_counter() - began


def _follow(log: LongLog) -> None:
    log.pane.follow()


def _hold(log: LongLog) -> None:
    log.pane.move_to(len(log.pane.view) // 2, centre=True)


def _filter(log: LongLog) -> None:
    log.pane.set_filter(parse("kind:9"))
    while log.pane.view.progress < 1:
        log.pane.judge_on()


def _filter_and_hold(log: LongLog) -> None:
    _filter(log)
    _hold(log)


def _grow(log: LongLog) -> None:
    log.take_events(EVENTS_A_FRAME)


def _page(log: LongLog) -> None:
    pane = log.pane
    pane.forget_lines()  # otherwise, a thousand rows would all be in the cache
    if pane.cursor + 2 * pane.size.height > len(pane.view):
        pane.move_to(len(pane.view) // 2)
    pane.action_page(1)


WAYS: dict[str, tuple[Callable[[LongLog], None], Callable[[LongLog], None]]] = {
    "followed": (_follow, _grow),
    "held": (_hold, _grow),
    "scrolled by pages, each line drawn anew": (_hold, _page),
    "filtered and held": (_filter_and_hold, _grow),
}
"""What is done: the preparation, and the action before each frame."""
