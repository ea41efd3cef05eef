from __future__ import annotations

import pytest

from tui.audio.clocked import ClockedBlocks

MS = 1_000_000
START_NS = 7_000 * MS


class Stop(Exception):
    """Raised to end the clock."""


class FakeTime:
    """A clock that sleeps advance. The sleeps in ``late_ms`` end late by the given time."""

    def __init__(self, late_ms: dict[int, int] | None = None, sleeps: int = 10) -> None:
        self.now_ns = START_NS
        self.late_ms = late_ms or {}
        self.sleeps = sleeps
        self.slept = 0

    def clock_ns(self) -> int:
        return self.now_ns

    async def sleep_s(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1_000_000_000) + self.late_ms.get(self.slept, 0) * MS
        self.slept += 1
        if self.slept == self.sleeps:
            raise Stop


async def run(time: FakeTime, max_catch_up_ms: float = 1_000) -> tuple[int, list[int]]:
    """Returns how many blocks were skipped, and when the others were due, in ms."""
    dues: list[int] = []
    skipped: list[int] = []
    blocks = ClockedBlocks(
        20,
        dues.append,
        on_skipped=skipped.append,
        max_catch_up_ms=max_catch_up_ms,
        clock_ns=time.clock_ns,
        sleep_s=time.sleep_s,
    )
    with pytest.raises(Stop):
        await blocks.run()
    return sum(skipped), [(due_ns - START_NS) // MS for due_ns in dues]


async def test_a_block_is_due_every_20_ms_from_the_start() -> None:
    assert await run(FakeTime(sleeps=5)) == (0, [0, 20, 40, 60, 80])


async def test_late_wake_ups_do_not_add_up() -> None:
    assert await run(FakeTime(late_ms=dict.fromkeys(range(100), 3), sleeps=100)) == (
        0,
        [20 * number for number in range(100)],
    )


async def test_missed_blocks_are_caught_up() -> None:
    assert await run(FakeTime(late_ms={1: 70}, sleeps=4)) == (0, [0, 20, 40, 60, 80, 100, 120])


async def test_after_a_long_stop_at_most_max_catch_up_ms_is_caught_up() -> None:
    skipped_blocks, dues_ms = await run(FakeTime(late_ms={0: 10_000}, sleeps=3), max_catch_up_ms=100)
    assert dues_ms == [0, 9_940, 9_960, 9_980, 10_000, 10_020, 10_040]
    assert skipped_blocks == 496
    assert len(dues_ms) + skipped_blocks == 10_040 // 20 + 1


async def test_an_exception_of_the_function_ends_the_clock() -> None:
    def fail(due_ns: int) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        await ClockedBlocks(20, fail, clock_ns=lambda: 0).run()
