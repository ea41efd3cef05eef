from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from tests.agent.calls import prompt, recogniser, spoken
from tui.agent.recogniser import Hypotheses
from tui.assets import Line, caller_lines, prompts
from tui.audio.g711 import decode_mulaw, encode_mulaw
from tui.audio.pcm import from_float, to_float
from tui.audio.resample import resample_floats

_TAIL_BYTES = 32_000


def _quiet(duration_ms: int) -> bytes:
    return bytes(32 * duration_ms)


def _with_noise(pcm: bytes, snr_db: float) -> bytes:
    values = to_float(pcm)
    noise = np.random.default_rng(7).normal(size=len(values)).astype(np.float32)
    level = np.sqrt(np.mean(values[values != 0] ** 2)) * 10 ** (-snr_db / 20)
    return from_float(values + noise * level)


def _with_offset_and_hum(pcm: bytes) -> bytes:
    values = to_float(pcm)
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(len(values), dtype=np.float32) / 16_000)
    return from_float(values + 0.05 + hum)


def _at(rate: int, pcm: bytes) -> bytes:
    return from_float(resample_floats(to_float(pcm), 16_000, rate))


_VARIANTS: dict[str, Callable[[bytes], tuple[bytes, int]]] = {
    "as it is": lambda pcm: (pcm, 16_000),
    "late, with quiet around": lambda pcm: (_quiet(900) + pcm + _quiet(600), 16_000),
    "very soft": lambda pcm: (from_float(to_float(pcm) * 0.01), 16_000),
    "clipped": lambda pcm: (from_float(to_float(pcm) * 4), 16_000),
    "inverted": lambda pcm: (from_float(-to_float(pcm)), 16_000),
    "mu-law": lambda pcm: (decode_mulaw(encode_mulaw(_at(8_000, pcm))), 8_000),
    "24 kHz": lambda pcm: (_at(24_000, pcm), 24_000),
    "44.1 kHz": lambda pcm: (_at(44_100, pcm), 44_100),
    "noise at 5 dB": lambda pcm: (_with_noise(_quiet(300) + pcm, 5), 16_000),
    "hum and offset": lambda pcm: (_with_offset_and_hum(pcm), 16_000),
    "its first 60 ms lost": lambda pcm: (pcm[60 * 32 :], 16_000),
}


@pytest.mark.parametrize("line", caller_lines(), ids=lambda line: line.name)
@pytest.mark.parametrize("variant", _VARIANTS)
def test_knows_its_lines_through_what_happens_on_the_way(line: Line, variant: str) -> None:
    pcm, rate = _VARIANTS[variant](spoken(line.name)[:-_TAIL_BYTES])
    match = recogniser().recognise(pcm, rate)
    assert match is not None
    assert match.line == line
    assert 0.6 <= match.confidence <= 1


@pytest.mark.parametrize("name", prompts())
def test_knows_nothing_else(name: str) -> None:
    assert recogniser().recognise(prompt(name), 16_000) is None


@pytest.mark.parametrize("pcm", [b"", b"\1\0", bytes(32_000)], ids=["nothing", "one sample", "silence"])
def test_silence_does_not_match_a_line(pcm: bytes) -> None:
    assert recogniser().recognise(pcm, 16_000) is None
    assert recogniser().begin(pcm, 16_000) is None


def test_noise_does_not_match_a_line() -> None:
    rng = np.random.default_rng(3)
    for seconds in (0.4, 1.5, 2.5, 3.5, 9.5):
        noise = from_float(rng.normal(0, 0.1, round(16_000 * seconds)))
        assert recogniser().recognise(noise, 16_000) is None


def test_half_a_line_or_a_line_and_more_is_not_the_line() -> None:
    lamp, hours = spoken("lamp")[:-_TAIL_BYTES], spoken("hours")[:-_TAIL_BYTES]
    assert recogniser().recognise(lamp[: len(lamp) // 4 * 2], 16_000) is None
    assert recogniser().recognise(hours + prompt("refund"), 16_000) is None


def _hypotheses(pcm: bytes, rate: int = 16_000) -> list[str]:
    hypotheses = Hypotheses(recogniser(), rate)
    step = rate // 50 * 2
    heard = (hypotheses.feed(pcm[:end]) for end in range(step, len(pcm), step))
    return [words for words in heard if words]


def test_the_words_so_far_grow_with_the_sound() -> None:
    words = _hypotheses(_quiet(150) + spoken("appointment"))
    assert words[0] in ("I", "I would")
    assert words[-1] == "I would like to book an appointment for next Tuesday at ten."
    assert len(words) >= 8
    assert all(after.startswith(before.rstrip(",.")) for before, after in pairwise(words))


def test_speech_that_is_not_a_line_has_no_words() -> None:
    assert _hypotheses(prompt("workshop")) == []


def test_the_words_stop_when_the_audio_stops_matching_the_line() -> None:
    words = _hypotheses(spoken("lamp")[: 32 * 2_500] + prompt("workshop"))
    assert words
    assert len(words[-1]) < len("Well, my lamp arrived broken three weeks ago and I")
