"""Measures filtering and searching a million events in the running screen while keys are pressed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import perf_counter
from types import TracebackType

from textual import events
from textual.geometry import Region
from textual.strip import Strip

from benchmarks.measuring import Measured
from benchmarks.screen_parts.long_log import LongLog, long_log
from tui.models.filter.language import parse

EVENTS = 1_000_000
MAX_ALL_S, MAX_FIRST_S, MAX_KEY_S = 1.0, 0.1, 0.1
ROUNDS, QUICK_ROUNDS = 5, 1
KEY_EVERY_S = 0.1
REGEX = r"/order number \d*77 is/"
NOWHERE = "nothing like it"


def measure(*, quick: bool) -> Iterator[Measured]:
    """Yields the seconds from the user's action to the result on the screen."""
    yield from asyncio.run(_measure(QUICK_ROUNDS if quick else ROUNDS))


async def _measure(rounds: int) -> list[Measured]:
    async with long_log(EVENTS, auto_tick=True) as log:
        runs = [await _filter_s(log) for _ in range(rounds)]
        first_s, all_s, filter_key_s = (max(column) for column in zip(*runs, strict=True))
        log.pane.set_filter(parse(""))
        await log.pilot.pause()
        search_s, said, search_key_s = await _search_s(log)
    text = f"of {rounds} rounds the worst"
    return [
        _within(
            f"filter `{REGEX}` over {EVENTS:,} summaries, {text}: first rows painted", first_s, MAX_FIRST_S
        ),
        _within(f"the same: all {EVENTS:,} judged", all_s, MAX_ALL_S),
        _within("the same: the longest from a key to its paint", filter_key_s, MAX_KEY_S),
        Measured(
            f"search in {EVENTS:,} raw messages, read from the session file, without a match",
            f"{search_s:.1f} s, {said} states of progress shown",
            "in slices, with progress",
            said > 2,
        ),
        _within("the same: the longest from a key to its paint", search_key_s, MAX_KEY_S),
    ]


def _within(what: str, seconds: float, limit_s: float) -> Measured:
    return Measured(what, f"{seconds * 1000:.0f} ms", f"{limit_s * 1000:.0f} ms", seconds <= limit_s)


async def _filter_s(log: LongLog) -> tuple[float, float, float]:
    """Returns the seconds until the first rows are painted, until all are judged, and for the slowest key."""
    view = log.pane.view
    log.pane.set_filter(parse(""))
    log.pane.follow()
    await log.pilot.pause()
    first = 0.0
    async with Keys(log) as keys:
        began = perf_counter()
        log.pane.set_filter(parse(REGEX))
        while view.progress < 1:
            await keys.painted.wait()
            keys.painted.clear()
            if len(view) and not first:
                first = perf_counter() - began
        return first, perf_counter() - began, await keys.slowest_s()


async def _search_s(log: LongLog) -> tuple[float, int, float]:
    """Returns the seconds until the search ends, the number of progress reports, and the slowest key's seconds."""
    session, said = log.app.session, set()
    log.pane.move_to(0)
    async with Keys(log) as keys:
        began = perf_counter()
        session._search(NOWHERE)  # noqa: SLF001 - what the line for it calls
        while log.pane.remark != "no match":
            said.add(log.pane.remark)
            await keys.painted.wait()
            keys.painted.clear()
        return perf_counter() - began, len(said), await keys.slowest_s()


class Keys:
    """Toggles the times in the log ten times a second, and measures how long each toggle takes to appear."""

    def __init__(self, log: LongLog) -> None:
        self.painted = asyncio.Event()
        """Set when the log is painted."""
        self._log = log
        self._paint: Callable[[Region], list[Strip]] = log.pane.render_lines
        self._times: list[float] = []
        self._asked = log.pane.absolute
        self._shown, self._first = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Keys:
        self._log.pane.render_lines = self._render_lines  # type: ignore[method-assign]
        self._task = asyncio.ensure_future(self._press())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        self._log.pane.render_lines = self._paint  # type: ignore[method-assign]

    async def slowest_s(self) -> float:
        """Returns the seconds for the slowest key so far. There must be at least one."""
        await self._first.wait()
        return max(self._times)

    def _render_lines(self, crop: Region) -> list[Strip]:
        strips = self._paint(crop)
        self.painted.set()
        if self._log.pane.absolute is self._asked:
            self._shown.set()
        return strips

    async def _press(self) -> None:
        while True:
            self._asked = not self._asked
            self._shown.clear()
            began = perf_counter()
            self._log.app.post_message(events.Key("z", "z"))
            await self._shown.wait()
            self._times.append(perf_counter() - began)
            self._first.set()
            await asyncio.sleep(KEY_EVERY_S)
