from __future__ import annotations

import numpy as np
import pytest

from tests.audio.signals import tone
from tui.audio.levels import LevelMeter, MeterReading, measure
from tui.audio.plain import FLOOR_DBFS

SECOND_NS = 1_000_000_000


def constant(value: int, frames: int = 320) -> bytes:
    return np.full(frames, value, "<i2").tobytes()


def read(meter: LevelMeter, now_ns: int) -> MeterReading:
    reading = meter.read(now_ns)
    assert reading is not None
    return reading


def test_a_full_scale_sine_peaks_at_0_and_has_an_rms_of_minus_3() -> None:
    level = measure(tone(16_000, 1, amplitude=0.999))
    assert level.peak_dbfs == pytest.approx(0, abs=0.05)
    assert level.rms_dbfs == pytest.approx(-3.01, abs=0.05)
    assert level.clipped_frames == 0


def test_half_the_amplitude_is_6_db_less() -> None:
    assert measure(constant(16_384)).peak_dbfs == pytest.approx(-6.02, abs=0.01)


def test_the_lowest_sample_is_full_scale_and_not_negative() -> None:
    level = measure(constant(-32_768))
    assert (level.peak_dbfs, level.rms_dbfs) == (0, 0)
    assert level.clipped_frames == 320


def test_samples_at_full_scale_are_counted() -> None:
    assert measure(np.array([32_767, -32_768, 32_766, 0], "<i2").tobytes()).clipped_frames == 2


@pytest.mark.parametrize("pcm", [b"", constant(0)])
def test_exact_zeros_are_recognised(pcm: bytes) -> None:
    level = measure(pcm)
    assert (level.peak_dbfs, level.rms_dbfs) == (FLOOR_DBFS, FLOOR_DBFS)
    assert measure(constant(1)).peak_dbfs == FLOOR_DBFS


def test_a_meter_that_measured_nothing_has_no_reading() -> None:
    assert LevelMeter().read(0) is None


def test_a_bar_falls_after_a_loud_block_and_the_peak_is_held() -> None:
    meter = LevelMeter()
    meter.feed(constant(-32_768), 0)
    reading = read(meter, SECOND_NS)
    assert (reading.rms_dbfs, reading.held_peak_dbfs) == (-40, 0)
    assert read(meter, 2 * SECOND_NS).held_peak_dbfs == pytest.approx(-20)
    much_later = read(meter, 60 * SECOND_NS)
    assert much_later.held_peak_dbfs == much_later.rms_dbfs == FLOOR_DBFS


def test_a_short_peak_between_two_readings_is_not_missed() -> None:
    meter = LevelMeter()
    meter.feed(constant(-32_768), 0)
    meter.feed(constant(0), 20_000_000)
    assert read(meter, 20_000_000).rms_dbfs == pytest.approx(-0.8)


def test_a_louder_block_takes_over_at_once() -> None:
    meter = LevelMeter()
    meter.feed(constant(100), 0)
    meter.feed(constant(-32_768), 1)
    meter.feed(constant(-32_768), 2)
    reading = read(meter, 2)
    assert (reading.rms_dbfs, reading.held_peak_dbfs) == (0, 0)


def test_clipping_is_shown_as_long_as_its_peak_is_held_and_not_for_the_rest_of_a_call() -> None:
    meter = LevelMeter()
    meter.feed(constant(1_000), 0)
    meter.feed(constant(32_767), 1)
    seen = []
    for at_ms in (0, 1_400, 1_600):
        meter.feed(constant(1_000), at_ms * 1_000_000 + 2)
        reading = read(meter, at_ms * 1_000_000 + 2)
        seen.append((reading.clipped, reading.held_peak_dbfs > -0.1))
    assert seen == [(True, True), (True, True), (False, False)]
