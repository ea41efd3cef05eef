from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tui.audio.arrivals import FIRST_TARGET_MS, LEAST_TARGET_MS, MOST_TARGET_MS, Arrivals

MS = 1_000_000


def arrived(*at_ms: float, audio_ms: float = 20) -> Arrivals:
    arrivals = Arrivals()
    for at in at_ms:
        arrivals.feed("r", int(at * MS), audio_ms)
    return arrivals


def test_under_20_chunks_have_no_jitter() -> None:
    arrivals = arrived(0, 20)
    assert arrivals.jitter_ms is None
    assert arrivals.target_ms == FIRST_TARGET_MS
    assert Arrivals().delivery_ratio is None


def test_a_reply_sent_at_once_needs_the_least_depth() -> None:
    arrivals = arrived(*range(50))
    assert arrivals.jitter_ms == 0
    assert arrivals.target_ms == LEAST_TARGET_MS
    assert arrivals.delivery_ratio == 20


def test_late_chunks_raise_the_target_depth() -> None:
    steady = [20 * n for n in range(40)]
    assert arrived(*steady).target_ms == LEAST_TARGET_MS
    held_up = arrived(*[at + (150 if n % 5 == 4 else 0) for n, at in enumerate(steady)])
    assert held_up.jitter_ms == 150
    assert held_up.target_ms == 170
    assert (
        arrived(*[at + (900 if n % 5 == 4 else 0) for n, at in enumerate(steady)]).target_ms == MOST_TARGET_MS
    )


def test_thousands_of_chunks_at_once_are_as_cheap_as_one_each() -> None:
    arrivals = arrived(*[n / 100 for n in range(20_000)], audio_ms=0.2)
    assert [arrivals.target_ms for _ in range(20_000)] == [LEAST_TARGET_MS] * 20_000


def test_each_reply_is_measured_from_its_own_first_chunk() -> None:
    arrivals = arrived(*[20 * n for n in range(30)])
    arrivals.feed("next", 5000 * MS, 20)
    assert arrivals.jitter_ms == 0


def test_chunks_older_than_ten_seconds_are_forgotten() -> None:
    arrivals = arrived(*[170 * n for n in range(30)])
    assert (arrivals.jitter_ms or 0) > 1000
    for n in range(30):
        arrivals.feed("later", (60_000 + 20 * n) * MS, 20)
    assert arrivals.jitter_ms == 0


@given(st.lists(st.tuples(st.integers(0, 900), st.sampled_from([10, 20, 200])), min_size=20, max_size=80))
def test_jitter_is_the_95th_percentile_of_the_last_ten_seconds(chunks: list[tuple[int, int]]) -> None:
    arrivals, at, sound_ms = Arrivals(), 0, 0
    late: list[tuple[int, float]] = []
    for gap, audio_ms in chunks:
        at += gap
        late.append((at, max(at - chunks[0][0] - sound_ms, 0)))
        arrivals.feed("r", at * MS, audio_ms)
        sound_ms += audio_ms
    recent = sorted(late_ms for came, late_ms in late if came >= at - 10_000)
    expected = recent[math.ceil(len(recent) * 0.95) - 1] if len(recent) >= 20 else None
    assert arrivals.jitter_ms == expected
