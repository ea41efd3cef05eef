from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.view.waveform import Waveform


def test_parts_are_joined_at_any_width() -> None:
    waveform = Waveform()
    assert waveform.columns(0, 0, 1000, 5) == bytes(5)
    waveform.take(0, 8, 10.0, (bytes([10, 30, 0, 0]), bytes(4)))
    assert waveform.duration_ms == 80
    assert waveform.known_bins == 4
    waveform.take(4, 8, 10.0, (bytes([0, 2, 200, 200]), bytes([0, 0, 0, 9])))
    assert waveform.columns(0, 0, 80, 4) == bytes([20, 0, 1, 200])
    assert waveform.columns(1, 0, 80, 2) == bytes([0, 2])
    assert waveform.columns(0, 0, 80, 16) == bytes(v for v in (10, 30, 0, 0, 0, 2, 200, 200) for _ in (0, 1))
    assert waveform.columns(0, 40, 80, 4) == bytes([0, 2, 200, 200])


def test_a_short_sound_is_visible_when_zoomed_out() -> None:
    waveform = Waveform()
    waveform.take(0, 1000, 10.0, (bytes(500) + b"\x05" + bytes(499),))
    assert waveform.columns(0, 0, 10_000, 2) == bytes([0, 1])
    assert waveform.columns(1, 0, 10_000, 2) == bytes(2)


@given(st.binary(max_size=50), st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(0, 300))
def test_any_stretch_can_be_drawn(peaks: bytes, start_ms: float, span_ms: float, width: int) -> None:
    waveform = Waveform()
    waveform.take(0, len(peaks), 10.0, (peaks,))
    columns = waveform.columns(0, start_ms, start_ms + span_ms, width)
    assert len(columns) == width
    assert max(columns, default=0) <= max(peaks, default=0)
