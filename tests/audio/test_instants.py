from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.audio.instants import BlockInstants, SoundInstants

MS = 1_000_000
RATE, BLOCK = 16_000, 320


def test_nothing_is_known_before_the_first_callback() -> None:
    assert BlockInstants(RATE).at(0) is None


@given(st.lists(st.integers(0, 15), min_size=60, max_size=300))
def test_late_callbacks_do_not_move_a_sample(late_ms: list[int]) -> None:
    instants = BlockInstants(RATE)
    for index, late in enumerate([0, *late_ms]):
        instants.feed((1000 + 20 * index + late) * MS, BLOCK * index)
    earliest = min([0, *late_ms])
    assert instants.at(BLOCK * len(late_ms)) == (1000 + 20 * len(late_ms) + earliest) * MS


def test_blocks_taken_in_one_burst_are_dated_by_the_steady_ones_that_follow() -> None:
    instants = BlockInstants(RATE)
    for index in range(5):
        instants.feed(1000 * MS, BLOCK * index)
    for index in range(5, 20):
        instants.feed((1000 + 20 * (index - 4)) * MS, BLOCK * index)
    assert instants.at(0) == (1000 - 80) * MS
    assert instants.at(BLOCK * 10) == (1000 + 120) * MS


def test_a_stall_restarts_the_measurement() -> None:
    instants = BlockInstants(RATE)
    instants.feed(1000 * MS, 0)
    instants.feed(4000 * MS, BLOCK)
    assert instants.at(BLOCK) == 4000 * MS


def test_a_clock_that_drifts_is_followed() -> None:
    instants = BlockInstants(RATE)
    for index in range(3000):  # a device 100 ppm slow, for a minute
        instants.feed(int((20 * index * 1.0001) * MS), BLOCK * index)
    at_ns = instants.at(BLOCK * 2999)
    assert at_ns is not None
    assert abs(at_ns - 20 * 2999 * 1.0001 * MS) < 1.1 * MS


def fed(instants: BlockInstants | SoundInstants, blocks: range, late_ms: float = 0) -> None:
    for index in blocks:
        instants.feed(int((1000 + 20 * index + late_ms) * MS), BLOCK * index)


def test_lost_samples_move_the_estimate_when_the_instants_before_them_are_old() -> None:
    instants = BlockInstants(RATE)
    fed(instants, range(100))
    fed(instants, range(100, 197), late_ms=30)  # a loss of 30 ms: all later blocks arrive 30 ms later
    assert instants.take_move(5 * MS) is None
    fed(instants, range(197, 202), late_ms=30)
    move = instants.take_move(5 * MS)
    assert move is not None
    assert move.moved_ns == 30 * MS
    # Blocks after the loss had wrong times.
    assert move.since_ns <= (1000 + 20 * 100 + 30) * MS
    fed(instants, range(202, 400), late_ms=30)
    assert instants.take_move(5 * MS) is None


def test_callbacks_that_are_all_a_little_late_for_seconds_do_not_move_the_estimate() -> None:
    """A sound server delivers in steps, so that the callbacks of some seconds are late by up to a block."""
    instants = BlockInstants(RATE)
    fed(instants, range(100))
    for first in (100, 300):
        fed(instants, range(first, first + 150), late_ms=15)
        assert instants.at(0) == 1000 * MS
        fed(instants, range(first + 150, first + 200))
    assert instants.take_move(5 * MS) is None


def test_a_small_loss_is_known_when_no_earlier_callback_is_recent() -> None:
    instants = BlockInstants(RATE)
    fed(instants, range(100))
    fed(instants, range(100, 590), late_ms=10)
    assert instants.at(0) == 1000 * MS
    fed(instants, range(590, 610), late_ms=10)
    assert instants.at(0) == 1010 * MS
    assert instants.take_move(5 * MS) == (10 * MS, 2990 * MS)


def test_a_stream_that_settles_is_in_doubt_from_its_start() -> None:
    instants = BlockInstants(RATE)
    fed(instants, range(10), late_ms=40)
    fed(instants, range(10, 12))
    move = instants.take_move(5 * MS)
    assert move == (40 * MS, 1040 * MS)


def test_a_clock_that_keeps_time_does_not_move() -> None:
    instants = BlockInstants(RATE)
    assert instants.take_move(0) is None
    for index in range(400):
        instants.feed((1000 + 20 * index + (index * 7) % 19) * MS, BLOCK * index)
        assert instants.take_move(5 * MS) is None


def test_a_stall_is_not_a_move() -> None:
    instants = BlockInstants(RATE)
    fed(instants, range(100))
    fed(instants, range(100, 200), late_ms=400)
    assert instants.take_move(5 * MS) is None


def test_blocks_taken_in_pairs_are_heard_one_after_the_other() -> None:
    instants = SoundInstants(RATE)
    for pair in range(20):
        callback_ns = (1000 + 40 * pair) * MS
        for index, lead_ms in ((2 * pair, 125), (2 * pair + 1, 145)):
            instants.feed(callback_ns + lead_ms * MS, BLOCK * index)
    assert instants.at(BLOCK * 30) == (1000 + 125 + 20 * 30) * MS


def test_a_few_wrong_leads_are_ignored() -> None:
    instants = SoundInstants(RATE)
    for index in range(50):
        instants.feed((1045 + 20 * index + (30 if index % 10 == 0 else 0)) * MS, BLOCK * index)
    assert instants.at(BLOCK * 50) == (1045 + 20 * 50) * MS


def test_a_gap_the_device_does_not_report_is_seen_a_tenth_of_a_second_later() -> None:
    instants = SoundInstants(RATE)
    fed(instants, range(100), late_ms=45)
    fed(instants, range(100, 105), late_ms=45 + 23)
    assert instants.at(BLOCK * 100) == (1045 + 20 * 100 + 23) * MS


def test_a_restart_forgets_the_blocks_before_it() -> None:
    instants = SoundInstants(RATE)
    instants.feed(1045 * MS, 0)
    instants.restart()
    assert instants.at(BLOCK) is None
    instants.feed(1200 * MS, BLOCK)
    assert instants.at(2 * BLOCK) == 1220 * MS


def test_leads_that_are_corrected_gradually_are_seen_to_move() -> None:
    instants = SoundInstants(RATE)
    for index in range(400):
        wrong_ms = max(50 - 0.16 * index, 0)
        instants.feed(int((1045 + 20 * index + wrong_ms) * MS), BLOCK * index)
        if 50 <= index < 300:
            assert 5 * MS < instants.moved_ns < 10 * MS
    assert instants.moved_ns == 0


def test_under_50_blocks_do_not_move() -> None:
    instants = SoundInstants(RATE)
    for index in range(49):
        instants.feed((1045 + 21 * index) * MS, BLOCK * index)
    assert instants.moved_ns == 0
