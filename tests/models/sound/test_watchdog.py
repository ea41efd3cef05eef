from __future__ import annotations

from itertools import pairwise

from tui.models.sound.device_care import Health, Watchdog

MS = 1_000_000


def watch(dog: Watchdog, from_ms: int, to_ms: int, callback_ms: int) -> list[int]:
    """Checks every ten milliseconds; returns the times in ms at which the health changed."""
    looks = range(from_ms, to_ms + 1, 10)
    return [now for now in looks if dog.look(now * MS, callback_ms * MS, vanished=False)]


def test_half_a_second_without_a_callback_is_a_stall_and_the_next_one_ends_it() -> None:
    dog = Watchdog(20)
    assert watch(dog, 1000, 1600, 990) == [1490]
    assert (dog.health, dog.since_ns) == (Health.STALLED, 990 * MS)
    assert dog.look(1700 * MS, 1699 * MS, vanished=False)
    assert dog.health is Health.WORKS


def test_long_blocks_are_given_ten_of_them() -> None:
    dog = Watchdog(100)
    assert watch(dog, 0, 1200, 0) == [1000]


def test_a_program_that_was_stopped_itself_does_not_blame_the_device() -> None:
    dog = Watchdog(20)
    watch(dog, 1000, 1100, 1090)
    assert watch(dog, 3000, 3400, 1090) == [], "the first callback after it is still to come"
    assert watch(dog, 3410, 3600, 1090) == [3500], "but it is due within half a second"


def test_a_stalled_device_can_turn_out_to_have_gone() -> None:
    dog = Watchdog(20)
    dog.look(600 * MS, 0, vanished=False)
    assert dog.look(700 * MS, 0, vanished=True)
    assert (dog.health, dog.since_ns) == (Health.VANISHED, 0)


def test_it_is_reopened_after_growing_pauses() -> None:
    dog = Watchdog(20)
    assert not dog.retry_due(0)
    dog.look(1000 * MS, 900 * MS, vanished=True)
    tried = [now for now in range(1000, 40_000, 10) if dog.retry_due(now * MS)]
    assert tried[0] == 1500
    assert [b - a for a, b in pairwise(tried)] == [1000, 2000, 4000, 8000, 8000, 8000]
