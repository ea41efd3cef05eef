from __future__ import annotations

import numpy as np
import pytest

from tui.assets import caller_lines, prompts
from tui.audio.encoding_check import EncodingCheck
from tui.audio.formats import AudioFormat, Encoding, encode
from tui.audio.wav import read_wav

GREETING = prompts()["greeting"].path
LABELS = [
    AudioFormat(Encoding.MULAW, 8_000),
    AudioFormat(Encoding.ALAW, 8_000),
    AudioFormat(Encoding.PCM16, 8_000),
    AudioFormat(Encoding.PCM16, 24_000),
]


def judged(label: AudioFormat, wire: bytes, chunk_bytes: int = 640) -> list[str]:
    check = EncodingCheck(label)
    said = [check.feed(wire[at : at + chunk_bytes]) for at in range(0, len(wire), chunk_bytes)]
    return [text for text in said if text]


@pytest.mark.parametrize("label", LABELS, ids=str)
@pytest.mark.parametrize("gain", [0.05, 1.0])
def test_speech_in_the_encoding_of_its_label_is_never_suspected(label: AudioFormat, gain: float) -> None:
    for path in [*(line.path for line in caller_lines()), *(prompt.path for prompt in prompts().values())]:
        samples = np.frombuffer(read_wav(path, label.rate), "<i2") * gain
        assert judged(label, encode(samples.astype("<i2").tobytes(), label)) == []


@pytest.mark.parametrize(
    "label", [AudioFormat(Encoding.MULAW, 8_000), AudioFormat(Encoding.ALAW, 8_000)], ids=str
)
@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("chunk_bytes", [640, 641, 10**6])
def test_pcm_under_a_g711_label_is_found_once(label: AudioFormat, rate: int, chunk_bytes: int) -> None:
    (text,) = judged(label, read_wav(GREETING, rate), chunk_bytes)
    assert text.startswith(f"Audio labeled {label} is actually 16-bit PCM and plays as noise")
    assert "correlate at 0." in text


@pytest.mark.parametrize(
    ("encoding", "name"), [(Encoding.MULAW, "mu-law"), (Encoding.ALAW, "A-law")], ids=["mulaw", "alaw"]
)
def test_g711_under_a_pcm_label_is_found_once(encoding: Encoding, name: str) -> None:
    wire = encode(read_wav(GREETING, 8_000), AudioFormat(encoding, 8_000))
    (text,) = judged(AudioFormat(Encoding.PCM16, 16_000), wire)
    assert text.startswith(f"Audio labeled pcm16 16 kHz is actually {name} and plays as noise")


def test_tones_noise_and_silence_prove_nothing() -> None:
    noise = np.random.default_rng(7).integers(-32_768, 32_767, 40_000).astype("<i2").tobytes()
    ticks = np.arange(40_000) / 8_000
    for label in LABELS:
        for frequency in (440, 1_000, 1_500, 2_000, 3_000, 3_900):
            tone = (np.sin(2 * np.pi * frequency * ticks) * 20_000).astype("<i2").tobytes()
            assert judged(label, encode(tone, label)) == []
        assert judged(label, encode(noise, label)) == []
        assert judged(label, encode(bytes(80_000), label)) == []
        assert judged(label, bytes(80_000)) == []
