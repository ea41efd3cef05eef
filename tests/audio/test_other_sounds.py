from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.audio.signals import noise, silence_around, tone, voice
from tests.audio.test_speech import START_NS, edges_of, times_ms
from tui.audio.pcm import to_float
from tui.audio.silero import Scoring
from tui.audio.speech import Method, SpeechDetector, TrackEdge, Window, make_detector

RATE = 16_000
MS = 1_000_000

Sound = NDArray[np.float64]


def sine(rate: int, seconds: float, hz: float = 440.0, amplitude: float = 0.3) -> Sound:
    return to_float(tone(rate, seconds, hz, amplitude)).astype(np.float64)


def quiet(seconds: float, rate: int = RATE) -> Sound:
    return np.zeros(round(rate * seconds))


def heard(sound: Sound, rate: int = RATE, block_ms: int = 20) -> list[TrackEdge]:
    """Returns the edges of an agent's track with this sound followed by a second of silence."""
    return edges_of(make_detector(rate, other_sounds=True), np.concatenate([sound, quiet(1, rate)]), block_ms)


def spans(edges: list[TrackEdge], method: Method) -> list[tuple[float, float]]:
    times = times_ms([edge for edge in edges if edge.method == method])
    return list(zip(times[::2], times[1::2], strict=True))


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("hz", [220.0, 440.0, 1_000.0])
@pytest.mark.parametrize("seconds", [0.1, 1.0, 12.0])
def test_a_tone_is_heard_from_its_first_millisecond_to_its_last(rate: int, hz: float, seconds: float) -> None:
    edges = heard(silence_around(sine(rate, seconds, hz), rate, before_s=1.003, after_s=0), rate)
    assert edges[0].started
    assert not edges[-1].started
    times = times_ms(edges)
    assert (times[0], times[-1]) == pytest.approx((1_003, 1_003 + 1_000 * seconds), abs=1.5)
    pauses = [begins - ends for ends, begins in zip(times[1::2], times[2::2], strict=False)]
    assert max(pauses, default=0) < 20


def test_a_melody_with_rests_is_one_sound_and_beeps_far_apart_are_several() -> None:
    notes = [np.concatenate([sine(RATE, 0.3, hz), quiet(0.3)]) for hz in (262, 330, 392, 523)]
    assert spans(heard(np.concatenate([quiet(1), *notes])), "energy") == [
        pytest.approx((1_000, 3_100), abs=2)
    ]
    beeps = [np.concatenate([quiet(1), sine(RATE, 0.2)]) for _ in range(3)]
    assert spans(heard(np.concatenate(beeps)), "energy") == [
        pytest.approx((began, began + 200), abs=2) for began in (1_000, 2_200, 3_400)
    ]


@pytest.mark.parametrize("rms_dbfs", [-70, -50])
def test_comfort_noise_is_no_sound(rms_dbfs: float) -> None:
    assert heard(noise(RATE, 8, 10 ** (rms_dbfs / 20))) == []


def test_a_click_is_no_sound() -> None:
    click = np.full(RATE // 100, 0.5)
    assert heard(np.concatenate([quiet(1), click, quiet(0.3), click, quiet(0.1), click])) == []


@pytest.mark.parametrize("noise_rms", [0.0, 0.002])
def test_speech_keeps_its_edges_to_the_sample(noise_rms: float) -> None:
    breath = np.concatenate([noise(RATE, 0.08, 0.02), quiet(0.15)])
    said = [quiet(1), breath, voice(RATE, 1.5), quiet(0.3), voice(RATE, 0.6), quiet(0.9), voice(RATE, 1)]
    sound = np.concatenate(said)
    sound += noise(RATE, len(sound) / RATE, noise_rms)
    assert heard(sound) == edges_of(make_detector(RATE), np.concatenate([sound, quiet(1)]))


def test_music_before_and_after_speech_is_heard_up_to_it_and_from_it() -> None:
    sound = np.concatenate([quiet(1), sine(RATE, 2), voice(RATE, 1.5), sine(RATE, 2)])
    edges = heard(sound)
    times = times_ms(edges)
    assert [edge.started for edge in edges] == [True, False] * (len(edges) // 2)
    assert times == sorted(times)
    assert (times[0], times[-1]) == pytest.approx((1_000, 6_500), abs=2)
    assert sum(times[1::2]) - sum(times[::2]) == pytest.approx(5_500, abs=100)
    assert "silero" in {edge.method for edge in edges}


def test_the_end_of_a_track_ends_its_sound() -> None:
    detector = make_detector(RATE, other_sounds=True)
    edges = edges_of(detector, np.concatenate([quiet(1), sine(RATE, 0.7)]))
    edges += detector.finish(START_NS + 1_700 * MS)
    assert times_ms(edges) == pytest.approx([1_000, 1_700], abs=10)
    assert detector.finish(START_NS + 1_700 * MS) == []


@dataclass
class Scripted:
    """A classifier with scripted speech."""

    speech: list[tuple[int, int]]
    """Speech, each as its first block of 10 ms and the block after the last."""
    fed_frames: int = 0
    judged: int = 0

    def feed(self, pcm: bytes) -> Scoring[list[Window]]:
        yield from ()
        self.fed_frames += len(pcm) // 2
        blocks = self.fed_frames * 100 // RATE
        windows = [
            Window(
                block * RATE // 100,
                (block + 1) * RATE // 100,
                any(began <= block < ended for began, ended in self.speech),
            )
            for block in range(self.judged, blocks)
        ]
        self.judged = blocks
        return windows


stretches = st.lists(
    st.tuples(st.sampled_from(["quiet", "sound", "speech"]), st.integers(1, 250)), min_size=1, max_size=8
)


def track_of(parts: list[tuple[str, int]]) -> tuple[Sound, list[tuple[int, int]]]:
    """Returns the sound of stretches with the given numbers of blocks, and which blocks are speech."""
    sound, speech, at = [quiet(1)], list[tuple[int, int]](), 100
    for kind, blocks in parts:
        level = {"quiet": 0.0, "sound": 0.3, "speech": 0.2}[kind]
        sound.append(sine(RATE, blocks / 100, amplitude=level) if level else quiet(blocks / 100))
        if kind == "speech":
            speech.append((at, at + blocks))
        at += blocks
    return np.concatenate([*sound, quiet(1)]), speech


@settings(max_examples=60, deadline=None)
@given(stretches, st.sampled_from([10, 20, 100, 1_000]))
def test_other_sounds_fill_what_speech_leaves_and_change_nothing_of_it(
    parts: list[tuple[str, int]], block_ms: int
) -> None:
    sound, speech = track_of(parts)
    alone = SpeechDetector(RATE, Scripted(speech), silence_ms=500)
    beside = SpeechDetector(RATE, Scripted(speech), silence_ms=500, other_sounds=True)
    edges = edges_of(beside, sound, block_ms)
    assert [edge for edge in edges if edge.method == "silero"] == edges_of(alone, sound, block_ms)
    times = times_ms(edges)
    assert [edge.started for edge in edges] == [True, False] * (len(edges) // 2)
    assert times == sorted(times)
    at_ms = 1_000
    for kind, blocks in parts:
        began_ms, at_ms = at_ms, at_ms + 10 * blocks
        if kind != "quiet" and blocks >= 130:
            heard_ms = sum(
                max(0.0, min(ended, at_ms) - max(began, began_ms))
                for began, ended in zip(times[::2], times[1::2], strict=True)
            )
            assert heard_ms >= at_ms - began_ms - 300
