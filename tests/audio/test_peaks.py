from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from tui.audio.peaks import outline_of
from tui.audio.wav import WavFile


def test_the_outline_of_two_tracks_comes_minute_by_minute(tmp_path: Path) -> None:
    rate, seconds = 8_000, 90.005
    tracks = np.zeros((round(rate * seconds), 2), "<i2")
    tracks[rate * 10, 0] = -32_768
    tracks[-1, 1] = 16_384
    path = tmp_path / "audio.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, rate, 0, "NONE", ""))
        file.writeframes(tracks.tobytes())
    with WavFile(path) as opened:
        parts = list(outline_of(opened))
    assert [(part.first_bin, part.bins, part.bin_ms) for part in parts] == [
        (0, 9001, 10.0),
        (6000, 9001, 10.0),
    ]
    user, agent = (b"".join(part.tracks[track] for part in parts) for track in (0, 1))
    assert len(user) == len(agent) == 9001
    assert [index for index, peak in enumerate(user) if peak] == [1000]
    assert user[1000] == 255
    assert [index for index, peak in enumerate(agent) if peak] == [9000]
    assert agent[9000] == 128
