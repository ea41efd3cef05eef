"""Tests chirps between a simulated speaker and microphone, at every rate of the protocols."""

from __future__ import annotations

import numpy as np
import pytest

from tui.audio.pcm import from_float, to_float
from tui.audio.resample import resample_floats
from tui.calibrating.chirps import LENGTH_MS, chirp_loops_ms, chirps_pcm
from tui.calibrating.truth import CallerInLoop, PlayedTrack, Samples

MS = 1_000_000
START_NS = 5_000 * MS
"""Time at which frame 0 passes both devices."""
BEGINS_MS, WHOLE_MS = 600, 3_600


def in_loop(
    late_ms: int, *, rate: int, from_rate: int, volume: float = 0.4, noise: float = 0.0002, hole_ms: int = 0
) -> list[float]:
    """Plays the chirps from a queue at ``from_rate``; the microphone, at ``rate``, hears them ``late_ms`` late.

    The device runs dry for ``hole_ms`` before the third chirp.
    """
    played = np.zeros(WHOLE_MS * from_rate // 1_000, np.float32)
    sound = to_float(chirps_pcm(from_rate))
    third = 700 * from_rate // 1_000
    sound = np.concatenate([sound[:third], np.zeros(hole_ms * from_rate // 1_000, np.float32), sound[third:]])
    begins = BEGINS_MS * from_rate // 1_000
    played[begins : begins + len(sound)] = sound
    block = from_rate // 50
    track = PlayedTrack(
        [
            (
                START_NS + number * 20 * MS,
                from_float(played[number * block : (number + 1) * block]),
                from_rate,
            )
            for number in range(WHOLE_MS // 20)
        ],
        rate,
    )
    return chirp_loops_ms(
        START_NS + BEGINS_MS * MS, microphone(volume * played, late_ms, rate, from_rate, noise), track
    )


def microphone(played: Samples, late_ms: int, rate: int, from_rate: int, noise: float) -> CallerInLoop:
    """Returns a microphone that hears the speaker ``late_ms`` later than reported."""
    dice = np.random.default_rng(3)
    audible = played if rate == from_rate else resample_floats(played, from_rate, rate)
    heard = dice.normal(0, noise, WHOLE_MS * rate // 1_000).astype(np.float32)
    late = late_ms * rate // 1_000
    heard[late:] += audible[: len(heard) - late]
    ends_ns = iter(range(START_NS + 20 * MS, START_NS + 100_000 * MS, 20 * MS))
    caller = CallerInLoop(lambda: next(ends_ns))
    for at in range(0, len(heard), rate // 50):
        caller(from_float(heard[at : at + rate // 50]))
    return caller


@pytest.mark.parametrize(
    ("from_rate", "rate"),
    [(8_000, 8_000), (16_000, 16_000), (24_000, 24_000), (48_000, 48_000), (24_000, 8_000), (8_000, 48_000)],
)
def test_the_round_trip_is_found_at_every_rate(from_rate: int, rate: int) -> None:
    assert in_loop(137, rate=rate, from_rate=from_rate) == pytest.approx([137.0] * 3, abs=0.15)


@pytest.mark.parametrize("late_ms", [0, 37, 480, 1_400])
def test_any_delay_of_devices_is_found(late_ms: int) -> None:
    assert in_loop(late_ms, rate=16_000, from_rate=16_000) == pytest.approx([late_ms] * 3, abs=0.1)


def test_chirps_are_heard_through_noise_that_is_as_loud() -> None:
    found = in_loop(37, rate=16_000, from_rate=16_000, volume=0.05, noise=0.01)
    assert found == pytest.approx([37.0] * 3, abs=0.2)


def test_a_device_that_ran_dry_moves_the_later_chirps() -> None:
    found = in_loop(37, rate=16_000, from_rate=16_000, hole_ms=45)
    assert found == pytest.approx([37.0] * 3, abs=0.1)


@pytest.mark.parametrize(("volume", "noise"), [(0.0, 0.0002), (0.0, 0.1), (0.0005, 0.1)])
def test_without_a_loop_nothing_is_found(volume: float, noise: float) -> None:
    assert in_loop(37, rate=16_000, from_rate=16_000, volume=volume, noise=noise) == []


def test_chirps_are_audible_and_end_in_silence() -> None:
    pcm = to_float(chirps_pcm(8_000))
    assert len(pcm) == LENGTH_MS * 8
    assert 0.2 < float(np.max(np.abs(pcm))) < 0.3
    assert not pcm[:480].any()
    assert not pcm[-480:].any()
