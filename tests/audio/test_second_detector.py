"""Tests the second detector alone: the sounds that it finds in signals with known edges."""

from __future__ import annotations

import numpy as np
import pytest

from tests.audio.signals import noise, silence_around, tone, voice
from tui.audio.pcm import from_float, to_float
from tui.audio.second_detector import sounds_in

RATES = pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])


@RATES
def test_a_voice_in_silence_is_one_sound_with_sharp_edges(rate: int) -> None:
    (sound,) = sounds_in(from_float(silence_around(voice(rate, 1.2), rate, 1.0, 1.0)), rate)
    assert (sound.may_begin_ms, sound.begins_ms) == pytest.approx((1_000, 1_000), abs=20)
    assert (sound.ends_ms, sound.may_end_ms) == pytest.approx((2_200, 2_200), abs=20)


@RATES
def test_steady_noise_is_no_sound_and_a_tone_in_it_is(rate: int) -> None:
    hiss = noise(rate, 4, 0.01)
    assert sounds_in(from_float(hiss), rate) == []
    hiss[rate : 2 * rate] += to_float(tone(rate, 1, amplitude=0.2))
    (sound,) = sounds_in(from_float(hiss), rate)
    assert (sound.begins_ms, sound.ends_ms) == pytest.approx((1_000, 2_000), abs=20)


def test_a_click_is_no_sound_and_a_pause_of_half_a_second_parts_two() -> None:
    rate = 16_000
    samples = np.zeros(4 * rate)
    samples[rate // 2] = 0.9
    said = voice(rate, 0.5)
    for at_s in (1.0, 2.1):
        samples[round(at_s * rate) : round(at_s * rate) + len(said)] = said
    begins_ms = [sound.begins_ms for sound in sounds_in(from_float(samples), rate)]
    assert begins_ms == pytest.approx([1_000, 2_100], abs=20)


@pytest.mark.parametrize("pcm", [b"", bytes(2), bytes(32_000)])
def test_there_is_no_sound_in_nothing(pcm: bytes) -> None:
    assert sounds_in(pcm, 16_000) == []
