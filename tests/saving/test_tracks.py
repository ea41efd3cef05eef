from __future__ import annotations

import stat
import wave
from pathlib import Path

import numpy as np
import pytest

from tui.audio.formats import AudioFormat, Encoding
from tui.saving import stereo
from tui.saving.stereo import Channel, StereoFile, TracksFull
from tui.saving.tracks import AgentCut, AgentHeard, TracksWriter, UserSent

RATE = 8_000
BLOCK_NS = 20_000_000
BLOCK = 160
ORIGIN_NS = 77_000_000_000


def pcm(value: int, frames: int = BLOCK) -> bytes:
    return np.full(frames, value, "<i2").tobytes()


def both(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def test_the_header_is_right_after_every_step(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    file = StereoFile(path, RATE)
    assert len(both(path)) == 0
    file.put(Channel.AGENT, 10, pcm(7, 5))
    assert len(both(path)) == 0
    file.extend(12)
    assert both(path)[:, Channel.AGENT].tolist() == [0] * 10 + [7] * 5
    file.put(Channel.USER, 12, pcm(-3, 5))
    file.extend(30)
    assert both(path)[:, Channel.USER].tolist() == [0] * 12 + [-3] * 5 + [0] * 13
    file.clear(Channel.AGENT, 12)
    assert both(path)[10:15, Channel.AGENT].tolist() == [7, 7, 0, 0, 0]
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_samples_before_the_beginning_are_dropped(tmp_path: Path) -> None:
    file = StereoFile(tmp_path / "audio.wav", RATE)
    file.put(Channel.USER, -3, pcm(1, 5))
    file.put(Channel.USER, -9, pcm(1, 5))
    file.extend(3)
    file.close()
    assert both(tmp_path / "audio.wav")[:, 0].tolist() == [1, 1, 0]


def test_a_wav_file_ends_at_4_gb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stereo, "_MAX_FRAMES", 100)
    file = StereoFile(tmp_path / "audio.wav", RATE)
    with pytest.raises(TracksFull):
        file.put(Channel.USER, 90, pcm(1, 20))
    with pytest.raises(TracksFull):
        file.extend(101)
    file.close()


def heard(tracks: TracksWriter, first: int, blocks: int, value: int, latency_ns: int) -> None:
    for index in range(first, first + blocks):
        tracks.take(AgentHeard(ORIGIN_NS + index * BLOCK_NS + latency_ns, pcm(value), RATE))


def test_audio_in_an_aborted_device_is_not_on_the_track(tmp_path: Path) -> None:
    """With 120 ms of latency, audio pulled in the last 120 ms before the cut was never heard."""
    tracks = TracksWriter(tmp_path / "audio.wav", ORIGIN_NS)
    tracks.take(AudioFormat(Encoding.MULAW, RATE))
    heard(tracks, 0, 50, 1000, 120_000_000)
    tracks.settle(ORIGIN_NS + 50 * BLOCK_NS)
    tracks.take(AgentCut(ORIGIN_NS + 50 * BLOCK_NS))
    heard(tracks, 60, 10, 500, 120_000_000)
    tracks.close(ORIGIN_NS + 80 * BLOCK_NS)
    agent = both(tmp_path / "audio.wav")[:, Channel.AGENT]
    assert np.flatnonzero(agent == 1000).tolist() == list(range(6 * BLOCK, 50 * BLOCK))
    assert np.flatnonzero(agent == 500).tolist() == list(range(66 * BLOCK, 76 * BLOCK))


def test_silence_is_written_where_there_is_no_audio(tmp_path: Path) -> None:
    tracks = TracksWriter(tmp_path / "audio.wav", ORIGIN_NS)
    tracks.take(AudioFormat(Encoding.MULAW, RATE))
    tracks.settle(ORIGIN_NS + 5_000_000_000)
    assert 4.5 * RATE < len(both(tmp_path / "audio.wav")) <= 5 * RATE
    tracks.take(UserSent(ORIGIN_NS + 5_020_000_000, pcm(9), RATE))
    tracks.close(ORIGIN_NS + 6_000_000_000)
    user = both(tmp_path / "audio.wav")[:, Channel.USER]
    assert len(user) == 6 * RATE
    assert np.flatnonzero(user).tolist() == list(range(5 * RATE, 5 * RATE + BLOCK))


def test_without_audio_there_is_no_file(tmp_path: Path) -> None:
    tracks = TracksWriter(tmp_path / "audio.wav", ORIGIN_NS)
    tracks.take(AgentCut(ORIGIN_NS))
    tracks.settle(ORIGIN_NS)
    tracks.close(ORIGIN_NS)
    assert tracks.rate is None
    assert not list(tmp_path.iterdir())
