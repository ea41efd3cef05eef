from __future__ import annotations

from tui.audio.load import AutoLatency, CallbackLoad

MS = 1_000_000


def test_two_gaps_in_ten_seconds_ask_for_more_latency() -> None:
    auto = AutoLatency()
    assert not auto.look(1 * MS, 0)
    assert not auto.look(500 * MS, 3)  # the start of a stream does not count
    assert not auto.look(2000 * MS, 4)
    assert auto.look(9000 * MS, 5)


def test_gaps_far_apart_do_not() -> None:
    auto = AutoLatency()
    assert not any(auto.look(second * 1000 * MS, second // 11) for second in range(1, 60))


def test_the_load_is_the_worst_of_the_last_second() -> None:
    load = CallbackLoad(20)
    assert load.worst(0, []) is None
    assert load.worst(1 * MS, [1 * MS, 5 * MS]) == 0.25
    assert load.worst(500 * MS, [2 * MS]) == 0.25
    assert load.worst(1400 * MS, [1 * MS]) == 0.1
