from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from tests.audio.signals import tone
from tui.audio.clip import Clip, wav_clip, wire_clip
from tui.audio.formats import AudioFormat, Encoding, encode
from tui.audio.pcm import samples_of
from tui.audio.wav import AudioFileError

RATE = 8_000
USER = np.arange(4_000, dtype="<i2")
AGENT = np.full(4_000, 7, "<i2")


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    """Returns a file with half a second of a user on the left and an agent on the right."""
    path = tmp_path / "audio.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.stack([USER, AGENT], axis=1).tobytes())
    return path


def whole(clip: Clip) -> list[int]:
    """Returns all samples and closes the clip."""
    pieces: list[bytes] = []
    while (piece := clip.next_piece()) is not None:
        pieces.append(piece)
    clip.close()
    return list(samples_of(b"".join(pieces)))


@pytest.mark.parametrize(("track", "sound"), [(None, USER + AGENT), (0, USER), (1, AGENT)])
def test_both_tracks_are_heard_together_or_one_alone(
    tracks: Path, track: int | None, sound: np.ndarray[tuple[int], np.dtype[np.int16]]
) -> None:
    clip = wav_clip(tracks, track=track, start_ms=100, end_ms=350, speed=1)
    assert whole(clip) == sound[800:2_800].tolist()


def test_a_stretch_beyond_the_file_ends_with_it(tracks: Path) -> None:
    assert whole(wav_clip(tracks, track=0, start_ms=-50, end_ms=60_000, speed=1)) == USER.tolist()
    beyond = wav_clip(tracks, track=0, start_ms=900, end_ms=None, speed=1)
    assert beyond.ms_at(0) == 500
    assert whole(beyond) == []


def test_a_file_that_is_cut_off_while_it_plays_ends_there(tracks: Path) -> None:
    clip = wav_clip(tracks, track=0, start_ms=0, end_ms=None, speed=1)
    with tracks.open("r+b") as file:
        file.truncate(44 + 1_000 * 4)
    assert whole(clip) == USER[:1_000].tolist()


def test_twice_the_speed_is_half_as_long_and_an_octave_higher() -> None:
    second = AudioFormat(Encoding.PCM16, RATE)
    clip = wire_clip(tone(RATE, 1, 440), second, start_ms=0, end_ms=None, speed=2)
    assert clip.ms_at(2_000) == 500
    heard = np.array(whole(clip), float)
    assert len(heard) == RATE // 2
    assert np.argmax(np.abs(np.fft.rfft(heard))) * 2 == pytest.approx(880, abs=2)


def test_what_was_on_the_wire_sounds_as_it_did() -> None:
    ulaw = AudioFormat(Encoding.MULAW, RATE)
    clip = wire_clip(encode(tone(RATE, 0.25), ulaw), ulaw, start_ms=0, end_ms=None, speed=1)
    assert np.abs(np.array(whole(clip)) - samples_of(tone(RATE, 0.25))).max() < 600
    odd = wire_clip(b"\1\0\2", AudioFormat(Encoding.PCM16, RATE), start_ms=0, end_ms=None, speed=1)
    assert whole(odd) == [1]


def test_a_missing_file_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="does not exist"):
        wav_clip(tmp_path / "audio.wav", track=None, start_ms=0, end_ms=None, speed=1)
