from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.audio import g711
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.levels import measure
from tui.audio.plain import MAX_SAMPLES, loudness, samples_of

PCM_8K = AudioFormat(Encoding.PCM16, 8_000)


@pytest.mark.parametrize(
    ("encoding", "decode"), [(Encoding.MULAW, g711.decode_mulaw), (Encoding.ALAW, g711.decode_alaw)]
)
def test_every_code_is_the_sample_of_the_tables_that_play_it(encoding: Encoding, decode: object) -> None:
    codes = bytes(range(256))
    assert callable(decode)
    assert list(samples_of(codes, encoding)) == list(struct.unpack("<256h", decode(codes)))


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=60))
def test_as_loud_as_the_meters_say(samples: list[int]) -> None:
    pcm = struct.pack(f"<{len(samples)}h", *samples)
    found, level = loudness(pcm, PCM_8K), measure(pcm)
    assert found is not None
    assert found.peak_dbfs == pytest.approx(level.peak_dbfs)
    assert found.rms_dbfs == pytest.approx(level.rms_dbfs, abs=1e-3)
    assert found.clipped_samples == level.clipped_frames
    assert found.measured_samples == len(samples)


def test_less_than_a_sample_has_no_level_and_an_odd_byte_is_left_out() -> None:
    assert loudness(b"", PCM_8K) is None
    assert loudness(b"\x01", PCM_8K) is None
    found = loudness(b"\x00\x40\x7f", PCM_8K)
    assert found is not None
    assert found.measured_samples == 1


def test_only_the_beginning_of_much_audio_is_measured() -> None:
    found = loudness(bytes(2 * MAX_SAMPLES) + b"\xff\x7f", PCM_8K)
    assert found is not None
    assert (found.measured_samples, found.peak_dbfs) == (MAX_SAMPLES, -90.0)
