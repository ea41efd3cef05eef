from __future__ import annotations

import subprocess
import sys
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import tui.assets
from tui.assets import AssetsMissing, Line, Prompt, audio_folder, caller_lines, prompts

_RECORDINGS: list[Line | Prompt] = [*caller_lines(), *prompts().values()]


def _samples(path: Path) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.mark.parametrize("recording", _RECORDINGS, ids=lambda recording: recording.path.stem)
def test_recordings_are_loud_whole_and_clean(recording: Line | Prompt) -> None:
    samples = _samples(recording.path)
    if isinstance(recording, Line):
        assert not samples[-16_000:].any()
        samples = samples[:-16_000]
    peak = np.abs(samples.astype(np.int32)).max()
    assert 22_500 < peak < 23_500
    assert np.abs(samples[[0, -1]]).max() < 100
    loud = np.flatnonzero(np.abs(samples) > 300)
    assert loud[0] < 1_600
    assert len(samples) - loud[-1] < 1_600


def _pitch_hz(recordings: Iterable[Line | Prompt]) -> float:
    """Returns the median pitch of all voiced frames, found by autocorrelation."""
    lags: list[int] = []
    for recording in recordings:
        frames = sliding_window_view(_samples(recording.path) / 32_768, 1024)[::640]
        frames = frames[np.abs(frames).max(axis=1) > 0.1] * np.hanning(1024)
        power = np.abs(np.fft.rfft(frames, 2048)) ** 2
        similar = np.fft.irfft(power)[:, 50:230]  # 70 to 320 Hz
        voiced = similar.max(axis=1) > power.mean(axis=1) / 2
        lags += (similar[voiced].argmax(axis=1) + 50).tolist()
    return 16_000 / float(np.median(lags))


def test_the_agents_voice_is_deeper_than_the_callers() -> None:
    assert _pitch_hz(prompts().values()) < 0.93 * _pitch_hz(caller_lines())


def test_there_is_something_to_try_everything_with() -> None:
    lines, said = caller_lines(), prompts()
    assert [line.key for line in lines] == list("123456789")
    assert {line.answer for line in lines} <= set(said)
    assert {"greeting", "fallback", "goodbye", *(f"dtmf-{digit}" for digit in "0123456789*#ABCD")} <= set(
        said
    )
    assert max(len(_samples(line.path)) for line in lines) > 16_000 * 9
    assert max(len(_samples(prompt.path)) for prompt in said.values()) > 16_000 * 8
    assert [line.answer for line in lines].count("goodbye") == 1


def test_nothing_lies_about_and_the_whole_is_small() -> None:
    files = {path for path in audio_folder().rglob("*") if path.is_file()}
    assert files == {recording.path for recording in _RECORDINGS} | {audio_folder() / "lines.toml"}
    assert sum(path.stat().st_size for path in files) < 4_000_000


def test_the_copy_in_a_wheel_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = audio_folder()
    wheel = tmp_path / "tui" / "_assets" / "audio"
    monkeypatch.setattr(tui.assets, "_PLACES", (wheel, clone))
    assert audio_folder() == clone
    wheel.mkdir(parents=True)
    (wheel / "lines.toml").touch()
    assert audio_folder() == wheel


def test_missing_recordings_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui.assets, "_PLACES", (tmp_path / "nowhere",))
    with pytest.raises(AssetsMissing, match="nowhere"):
        audio_folder()


def test_the_screens_process_loads_nothing_heavy_for_them() -> None:
    program = (
        "import sys, tui.assets, tui.agent.process\n"
        "tui.assets.caller_lines()\n"
        "heavy = {'numpy', 'websockets', 'msgspec', 'samplerate', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or None)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
