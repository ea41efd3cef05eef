from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tui.assets import caller_lines, prompts
from tui.audio.echo import SPAN_MS, Echo, Track, find_echo
from tui.audio.pcm import from_float, to_float
from tui.audio.wav import read_wav

MS = 1_000_000
RATE = 16_000
FRAMES = RATE * SPAN_MS // 1000


def speech(path: object) -> NDArray[np.float32]:
    values = to_float(read_wav(str(path), RATE))[:FRAMES]
    return np.pad(values, (0, FRAMES - len(values)))


def delayed(values: NDArray[np.float32], ms: float, gain: float) -> NDArray[np.float32]:
    frames = int(RATE * ms / 1000)
    return np.concatenate([np.zeros(frames, np.float32), values])[: len(values)] * np.float32(gain)


def track_of(values: NDArray[np.float32]) -> NDArray[np.float32]:
    track = Track(RATE)
    for start in range(0, len(values), 320):
        end_ms = (start + 320) * 1000 // RATE
        track.feed(end_ms * MS, from_float(values[start : start + 320]))
    return track.until(SPAN_MS * MS)


def echo_of(heard: NDArray[np.float32], played: NDArray[np.float32]) -> Echo | None:
    return find_echo(track_of(heard), track_of(played), Track(RATE).rate)


PLAYED = speech(prompts()["greeting"].path)


def test_what_comes_back_is_found_with_its_delay_and_level() -> None:
    noise = np.random.default_rng(1).normal(0, 0.001, FRAMES).astype(np.float32)
    echo = echo_of(delayed(PLAYED, 62, 0.126) + noise, PLAYED)
    assert echo is not None
    assert echo.delay_ms == pytest.approx(62, abs=2)
    assert echo.gain_db == pytest.approx(-18, abs=1)


@pytest.mark.parametrize("line", caller_lines(), ids=lambda line: line.name)
def test_a_user_who_speaks_over_the_agent_is_no_echo(line: object) -> None:
    for prompt in prompts().values():
        assert echo_of(speech(line.path), speech(prompt.path)) is None  # type: ignore[attr-defined]


def test_silence_and_noise_are_no_echo() -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, FRAMES).astype(np.float32)
    silence = np.zeros(FRAMES, np.float32)
    assert echo_of(noise, PLAYED) is None
    assert echo_of(silence, PLAYED) is None
    assert echo_of(PLAYED, silence) is None
