from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.signals import tone
from tui.audio.pcm import from_float, samples_of, to_float, with_gain
from tui.audio.resample import LiveResampler, resample_floats

RATES = [
    (8_000, 16_000),
    (16_000, 8_000),
    (24_000, 16_000),
    (16_000, 24_000),
    (44_100, 16_000),
    (16_000, 48_000),
]


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_resampling_keeps_the_length_of_a_stream(from_rate: int, to_rate: int) -> None:
    resampler = LiveResampler(from_rate, to_rate)
    pcm = tone(from_rate, 0.5)
    out = resampler.feed(pcm) + resampler.finish()
    assert len(out) // 2 == round(len(pcm) // 2 * to_rate / from_rate)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_resampling_keeps_pitch_position_and_level_of_a_tone(from_rate: int, to_rate: int) -> None:
    out = resample_floats(to_float(tone(from_rate, 0.5)), from_rate, to_rate)
    expected = to_float(tone(to_rate, 0.5))
    middle = slice(to_rate // 10, -to_rate // 10)
    assert np.abs(out[middle] - expected[middle]).max() < 0.001


@given(rates=st.sampled_from(RATES), seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_result_does_not_depend_on_how_the_stream_was_cut(rates: tuple[int, int], seed: int) -> None:
    from_rate, to_rate = rates
    cuts = random.Random(seed)
    pcm = tone(from_rate, 0.1, hz=1_234)
    whole = LiveResampler(from_rate, to_rate)
    expected = whole.feed(pcm) + whole.finish()
    parts, resampler, rest = b"", LiveResampler(from_rate, to_rate), pcm
    while rest:
        size_bytes = 2 * cuts.randint(0, 500)
        parts += resampler.feed(rest[:size_bytes])
        rest = rest[size_bytes:]
    assert parts + resampler.finish() == expected


def test_less_than_6_5_ms_is_held_back() -> None:
    for from_rate, to_rate in RATES:
        given_frames = len(LiveResampler(from_rate, to_rate).feed(tone(from_rate, 1))) // 2
        assert (to_rate - given_frames) / to_rate < 0.0065


def test_a_finished_resampler_starts_a_new_stream() -> None:
    resampler = LiveResampler(24_000, 16_000)
    first = resampler.feed(tone(24_000, 0.1)) + resampler.finish()
    assert resampler.feed(tone(24_000, 0.1)) + resampler.finish() == first
    assert resampler.finish() == b""


def test_equal_rates_return_the_bytes_unchanged() -> None:
    pcm = tone(16_000, 0.02)
    assert LiveResampler(16_000, 16_000).feed(pcm) is pcm
    assert LiveResampler(16_000, 16_000).finish() == b""
    values = to_float(pcm)
    assert resample_floats(values, 8_000, 8_000) is values


def test_overshoot_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(1_600) // 40 % 2, 1.0, -1.0).astype(np.float32)
    out = samples_of(from_float(resample_floats(square, 8_000, 16_000))).astype(np.int32)
    assert out.max() == 32_767
    assert out.min() == -32_768
    assert np.all(out[10:70] < -25_000)
    assert np.all(out[90:150] > 25_000)


def test_resampling_nothing_returns_nothing() -> None:
    assert len(resample_floats(to_float(b""), 8_000, 16_000)) == 0
    assert LiveResampler(8_000, 16_000).feed(b"") == b""


def test_every_sample_survives_conversion_to_float_and_back() -> None:
    pcm = np.arange(-32_768, 32_768, dtype="<i2").tobytes()
    assert from_float(to_float(pcm)) == pcm


def test_floats_are_rounded_to_the_nearest_and_clipped() -> None:
    values = np.array([0.6 / 32_768, -0.6 / 32_768, 2.0, -2.0, np.nan, np.inf])
    assert samples_of(from_float(values)).tolist() == [1, -1, 32_767, -32_768, 0, 32_767]


def test_gain_moves_over_the_block_and_is_exact_at_one() -> None:
    pcm = np.full(101, 10_000, "<i2").tobytes()
    assert with_gain(pcm, 1.0, 1.0) is pcm
    fading = samples_of(with_gain(pcm, 1.0, 0.0))
    assert (fading[0], fading[50], fading[-1]) == (10_000, 5_000, 0)
    assert samples_of(with_gain(pcm, 10.0, 10.0)).max() == 32_767
