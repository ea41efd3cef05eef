from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.audio.signals import noise, silence_around, voice
from tui.audio.pcm import from_float
from tui.audio.silero import Scoring
from tui.audio.speech import SpeechDetector, TrackEdge, Window, make_detector

START_NS = 5_000_000_000
MS = 1_000_000


def edges_of(detector: SpeechDetector, sound: NDArray[np.float64], block_ms: int = 20) -> list[TrackEdge]:
    pcm = from_float(sound)
    block_bytes = 2 * detector.rate * block_ms // 1000
    edges: list[TrackEdge] = []
    for at in range(0, len(pcm), block_bytes):
        block = pcm[at : at + block_bytes]
        end_frame = (at + len(block)) // 2
        edges += detector.feed(block, START_NS + end_frame * 1_000_000_000 // detector.rate)
    return edges


def times_ms(edges: list[TrackEdge]) -> list[float]:
    return [(edge.at_ns - START_NS) / MS for edge in edges]


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("noise_rms", [0.0, 0.002])
def test_a_burst_of_speech_is_placed_within_a_block(rate: int, noise_rms: float) -> None:
    sound = silence_around(voice(rate, 1.5), rate, before_s=1, after_s=1)
    edges = edges_of(make_detector(rate), sound + noise(rate, 3.5, noise_rms))
    assert [(edge.started, edge.method) for edge in edges] == [(True, "silero"), (False, "silero")]
    assert times_ms(edges) == pytest.approx([1_000, 2_500], abs=20)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("before_s", [1.0, 1.003, 1.0085])
def test_an_edge_is_placed_to_the_millisecond_where_it_is_sharp(rate: int, before_s: float) -> None:
    speech = np.clip(voice(rate, 1.5) + 0.05, -1, 1)  # loud from its first sample to its last
    edges = edges_of(make_detector(rate), silence_around(speech, rate, before_s=before_s, after_s=1))
    assert times_ms(edges) == pytest.approx([1000 * before_s, 1000 * before_s + 1_500], abs=1.5)


@pytest.mark.parametrize("rms", [0.0, 0.0005, 0.02])
def test_silence_and_steady_noise_are_no_speech(rms: float) -> None:
    assert edges_of(make_detector(16_000), noise(16_000, 4, rms)) == []


def test_a_short_pause_does_not_end_speech_and_a_long_one_does() -> None:
    rate = 16_000
    said = [silence_around(voice(rate, 0.8), rate, before_s=pause, after_s=0) for pause in (1.0, 0.3, 0.9)]
    sound = silence_around(np.concatenate(said), rate, before_s=0, after_s=1)
    edges = edges_of(make_detector(rate), sound)
    assert [edge.started for edge in edges] == [True, False, True, False]
    assert times_ms(edges) == pytest.approx([1_000, 2_900, 3_800, 4_600], abs=20)


def test_a_stop_is_found_once_the_silence_is_long_enough() -> None:
    rate = 16_000
    detector = make_detector(rate, silence_ms=200)
    edges_of(detector, silence_around(voice(rate, 1), rate, before_s=0.5, after_s=0))
    assert detector.speaking
    told_ms = None
    for block in range(40):
        if any(not edge.started for edge in detector.feed(bytes(640), START_NS + (1_520 + 20 * block) * MS)):
            told_ms = 20 * (block + 1)
    assert told_ms is not None
    assert 180 <= told_ms <= 400
    assert not detector.speaking


def test_the_size_of_blocks_makes_no_difference() -> None:
    rate = 16_000
    sound = silence_around(voice(rate, 1), rate, before_s=1, after_s=1)
    found = [times_ms(edges_of(make_detector(rate), sound, block_ms)) for block_ms in (10, 20, 100, 3_000)]
    assert all(times == pytest.approx(found[0], abs=10) for times in found)


def test_the_release_of_a_final_stop_belongs_to_the_word() -> None:
    rate = 16_000
    release = noise(rate, 0.02, 0.1)
    sound = np.concatenate([np.zeros(rate), voice(rate, 1), np.zeros(rate // 10), release, np.zeros(rate)])
    assert times_ms(edges_of(make_detector(rate), sound))[1] == pytest.approx(2_120, abs=10)


class Scripted:
    """A classifier that ignores the audio and returns scripted decisions."""

    def __init__(self, windows: list[Window]) -> None:
        self.windows = windows

    def feed(self, pcm: bytes) -> Scoring[list[Window]]:
        windows, self.windows = self.windows, []
        yield from ()
        return windows


def test_edges_without_any_loud_block_stay_at_the_windows() -> None:
    windows = [Window(0, 320, speech=False), Window(320, 640, speech=True), Window(640, 9_600, speech=False)]
    detector = SpeechDetector(16_000, Scripted(windows), silence_ms=500)
    edges = detector.feed(bytes(2 * 9_600), START_NS + 600 * MS)
    assert times_ms(edges) == [20, 40]


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        make_detector(16_000).feed(b"\0\0\0", 0)
