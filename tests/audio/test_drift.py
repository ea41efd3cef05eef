from __future__ import annotations

import random

import pytest

from tui.audio.drift import ClockDrift, DriftMeter

SECOND = 1_000_000_000


def run(clock: ClockDrift, seconds: int, ppm: float, start_ns: int = 0) -> None:
    """Feeds a device that runs ``ppm`` fast, with realistic timing errors."""
    noise = random.Random(1)
    for second in range(seconds):
        drifted_ns = -round(second * ppm * 1000)
        clock.feed(second * SECOND, start_ns + drifted_ns + noise.randrange(300_000))


@pytest.mark.parametrize("ppm", [-80.0, 0.0, 25.0])
def test_a_clock_that_runs_fast_or_slow_is_measured_in_a_minute(ppm: float) -> None:
    clock = ClockDrift()
    run(clock, 90, ppm)
    assert clock.ppm == pytest.approx(ppm, abs=5)


def measured(clock: ClockDrift) -> bool:
    return clock.ppm is not None


def test_a_figure_needs_half_a_minute_and_a_jump_restarts_it() -> None:
    clock = ClockDrift()
    run(clock, 30, 0)
    assert not measured(clock)
    clock.feed(30 * SECOND, 0)
    assert measured(clock)
    clock.feed(31 * SECOND, 20_000_000)
    assert not measured(clock), "the device was reopened or ran dry"


def test_capture_is_compared_with_playback() -> None:
    meter = DriftMeter()
    for second in range(60):
        meter.feed(second * SECOND, -second * 40_000, second * 10_000)
    assert meter.ppm == pytest.approx(50)
    meter.feed(60 * SECOND, -60 * 40_000, None)
    assert meter.ppm is None
