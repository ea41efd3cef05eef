"""Tests that a tone counts as a user turn, but noise does not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.agent.calls import Call, recogniser, spoken
from tui.agent.hearing import Ear, TurnBegan, TurnEnded, is_tone
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.twilio import TWILIO


def tone(*hertz: int, rate: int = 8_000, seconds: float = 1.0, level: float = 0.3) -> bytes:
    at = np.arange(int(rate * seconds)) / rate
    return pcm(level * sum(np.sin(2 * np.pi * each * at) for each in hertz) / len(hertz))


def noise(rate: int = 8_000, seconds: float = 1.0, level: float = 0.1) -> bytes:
    return pcm(level * np.random.default_rng(7).standard_normal(int(rate * seconds)))


def pcm(samples: object) -> bytes:
    return bytes((np.clip(np.asarray(samples), -1, 1) * 32767).astype("<i2").tobytes())


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("hertz", [(440,), (1_000,), (697, 1_209), (350, 440)], ids=str)
def test_tones(hertz: tuple[int, ...], rate: int) -> None:
    assert is_tone(tone(*hertz, rate=rate), rate)


@pytest.mark.parametrize("rate", [8_000, 24_000])
def test_what_is_not_a_tone(rate: int) -> None:
    assert not is_tone(noise(rate), rate)
    assert not is_tone(bytes(2 * rate), rate)
    assert not is_tone(tone(50, rate=rate), rate)
    assert not is_tone(b"", rate)


@pytest.mark.parametrize("name", ["number", "hours", "services"])
def test_speech_is_not_a_tone(name: str) -> None:
    speech = spoken(name, 8_000)
    assert not is_tone(speech[16_000:24_000], 8_000)


def test_a_tone_is_one_turn_and_is_answered() -> None:
    call = Call(protocol=TWILIO)
    call.speak(tone(440) + bytes(16_000))
    call.wait_for_reply()
    assert call.texts == []  # Twilio messages contain no words
    assert len(call.audio()) > 8_000


@pytest.mark.parametrize("chunk_bytes", [320, 16_000])
def test_the_ear_begins_and_ends_with_the_tone(chunk_bytes: int) -> None:
    ear = Ear(AudioFormat(Encoding.PCM16, 8_000), recogniser(), 400)
    sound = bytes(16_000) + tone(440) + bytes(16_000)
    heard = [
        each for at in range(0, len(sound), chunk_bytes) for each in ear.feed(sound[at : at + chunk_bytes])
    ]
    assert [type(each) for each in heard] == [TurnBegan, TurnEnded]
    assert isinstance(heard[1], TurnEnded)
    assert heard[1].speech_ms == pytest.approx(1_000, abs=30)
    assert heard[1].text.endswith("s of speech)")


def test_a_tone_that_is_committed_by_the_caller_is_a_turn() -> None:
    ear = Ear(AudioFormat(Encoding.PCM16, 8_000), recogniser(), 400)
    ear.ends_turns = False
    assert [type(each) for each in ear.feed(tone(440))] == [TurnBegan]
    assert ear.commit().speech_ms == pytest.approx(1_000, abs=30)
    assert ear.commit().pcm == b""


def test_noise_is_not_a_turn() -> None:
    ear = Ear(AudioFormat(Encoding.PCM16, 8_000), recogniser(), 400)
    assert list(ear.feed(bytes(16_000) + noise(seconds=3) + bytes(16_000))) == []
