from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tui.scenario.caller_sound import CallerSound
from tui.scenario.model import CallerSetting, Noise, PhoneLine, Scenario
from tui.scenario.reading import ScenarioError
from tui.scenario.values import Percent

RATE = 8_000
SILENCE = bytes(320)
TONE = np.full(160, 1_000, "<i2").tobytes()


def sound(noise: Noise | None = None, line: PhoneLine | None = None) -> CallerSound:
    setting = CallerSetting(noise=noise, line=line)
    return CallerSound(Scenario(name="noisy", caller=setting, path=Path("a.call.toml")), lambda: RATE)


def blocks(made: CallerSound, block: bytes = SILENCE, count: int = 100) -> list[bytes]:
    return [made(block) for _ in range(count)]


def rms_dbfs(pcm: bytes) -> float:
    values = np.frombuffer(pcm, "<i2") / 32_768
    return float(20 * np.log10(np.sqrt(np.mean(values**2))))


@pytest.mark.parametrize("kind", ["white", "hum", "babble"])
def test_noise_has_its_level_below_speech_and_repeats_exactly(kind: str) -> None:
    made = blocks(sound(Noise(kind, snr_db=12.0)), count=500)
    assert rms_dbfs(b"".join(made)) == pytest.approx(-38.0, abs=0.1)
    assert blocks(sound(Noise(kind, snr_db=12.0)), count=500) == made


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_noise_of_any_rate_takes_the_event_loop_no_time(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = CallerSetting(noise=Noise("babble", snr_db=12.0))
    made = CallerSound(Scenario(name="noisy", caller=setting, path=Path("a.call.toml")), lambda: rate)
    monkeypatch.setattr(
        "tui.scenario.caller_sound.read_wav", lambda *_: pytest.fail("read in the event loop")
    )
    found = b"".join(made(bytes(rate // 25)) for _ in range(550))
    assert rms_dbfs(found[: 20 * rate]) == pytest.approx(-38.0, abs=0.1)
    assert found[20 * rate :] == found[: 2 * rate]  # the sound repeats after ten seconds


@pytest.mark.parametrize("kind", ["white", "babble"])
def test_another_seed_makes_another_noise(kind: str) -> None:
    assert blocks(sound(Noise(kind, seed=1))) != blocks(sound(Noise(kind, seed=2)))


def test_lost_packets_are_silent_and_the_same_ones_each_time() -> None:
    line = PhoneLine(loss=Percent(0.25), seed=7)
    made = blocks(sound(line=line), TONE, 1_000)
    assert set(made) == {TONE, SILENCE}
    assert 200 < made.count(SILENCE) < 300
    assert blocks(sound(line=line), TONE, 1_000) == made
    assert blocks(sound(line=PhoneLine(loss=Percent(0.25), seed=8)), TONE, 1_000) != made


@pytest.mark.parametrize(("codec", "value"), [("none", 1_000), ("mulaw", 988), ("alaw", 1_008)])
def test_the_codec_of_the_line_rounds_samples(codec: str, value: int) -> None:
    line = PhoneLine(codec=codec)  # type: ignore[arg-type]  # the parameters are its literals
    assert set(np.frombuffer(sound(line=line)(TONE), "<i2").tolist()) == {value}


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("babbel", 'unknown noise "babbel": use a WAV file or babble, white, hum; did you mean "babble"?'),
        ("missing.wav", "missing.wav"),
    ],
)
def test_a_noise_that_cannot_be_read_is_refused(kind: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=r"^a\.call\.toml: noise: ") as raised:
        sound(Noise(kind))
    assert says in str(raised.value)
