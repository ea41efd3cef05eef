from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from tui.saving.placing import LOOK_AHEAD_NS, TrackPlacer

RATE = 16_000
BLOCK = 320
BLOCK_NS = 20_000_000
ORIGIN_NS = 5_000_000_000


Samples = np.ndarray[tuple[int], np.dtype[np.int16]]


def loud(blocks: int) -> Samples:
    return (np.arange(blocks * BLOCK) % 9_000 + 1_000).astype("<i2")


class Laid:
    """A track, fed block by block, and the positions of its samples."""

    def __init__(self, rate: int = RATE) -> None:
        self.placer = TrackPlacer(RATE, ORIGIN_NS)
        self.rate = rate
        self.track = np.zeros(RATE * 120, "<i2")

    def feed(self, start_ns: int, pcm: bytes) -> None:
        self.placer.feed(start_ns, pcm, self.rate)
        self.put(self.placer.settle(start_ns))

    def finish(self) -> None:
        self.put(self.placer.finish())

    def lay(self, sound: Samples, start_ns: Callable[[int], int]) -> None:
        """Feeds a whole sound, each block at the time that ``start_ns`` returns for its index."""
        for index, block in enumerate(blocks_of(sound)):
            self.feed(ORIGIN_NS + start_ns(index), block)
        self.finish()

    def put(self, placed: object) -> None:
        for frame, pcm in placed:  # type: ignore[attr-defined]
            samples = np.frombuffer(pcm, "<i2")
            assert not self.track[frame : frame + len(samples)].any(), "two blocks lie on each other"
            self.track[frame : frame + len(samples)] = samples


def blocks_of(samples: Samples) -> list[bytes]:
    return [samples[at : at + BLOCK].tobytes() for at in range(0, len(samples), BLOCK)]


def test_blocks_are_placed_at_their_times() -> None:
    laid, sound = Laid(), loud(50)
    laid.lay(sound, lambda index: 1_000_000_000 + index * BLOCK_NS)
    assert np.array_equal(laid.track[RATE : RATE + len(sound)], sound)
    assert not laid.track[:RATE].any()


@pytest.mark.parametrize("seed", range(5))
def test_jitter_neither_separates_nor_moves_samples(seed: int) -> None:
    """Callbacks arrive late, some in bursts, but the track has no gaps and is off by less than a block."""
    laid, sound, rng = Laid(), loud(400), random.Random(seed)
    now_ns = 0
    for index, block in enumerate(blocks_of(sound)):
        due_ns = ORIGIN_NS + BLOCK_NS * 10 + index * BLOCK_NS
        late_ns = rng.choice([0, 300_000, 2_000_000, 15_000_000, 90_000_000 if index % 50 == 3 else 0])
        now_ns = max(now_ns, due_ns + late_ns)
        laid.feed(now_ns, block)
    laid.finish()
    first = int(np.flatnonzero(laid.track)[0])
    assert abs(first - 10 * BLOCK) < BLOCK
    assert np.array_equal(laid.track[first : first + len(sound)], sound)


def test_a_gap_keeps_its_length() -> None:
    laid, sound = Laid(), loud(100)
    laid.lay(sound, lambda index: index * BLOCK_NS + (370_000_000 if index >= 50 else 0))
    half = 50 * BLOCK
    resumed = half + RATE * 370 // 1000
    assert np.array_equal(laid.track[:half], sound[:half])
    assert not laid.track[half:resumed].any()
    assert np.array_equal(laid.track[resumed : resumed + half], sound[half:])


@pytest.mark.parametrize("parts_per_million", [-3000, 3000])
def test_drift_is_corrected_in_silence_and_never_within_a_word(parts_per_million: int) -> None:
    """A minute with a bad clock is off by 180 ms without correction, and by less than 30 ms with it."""
    laid = Laid()
    word, pause = loud(40), np.zeros(10 * BLOCK, "<i2")
    sound = np.concatenate([np.concatenate([word, pause])] * 60)
    block_ns = BLOCK_NS * (1 + parts_per_million / 1e6)
    laid.lay(sound, lambda index: BLOCK_NS + round(index * block_ns))
    track = laid.track.tobytes()
    at = 0
    for number in range(60):
        at = track.find(word.tobytes(), at)
        assert at >= 0, f"word {number} is cut"
        wanted_ns = BLOCK_NS + number * 50 * block_ns
        assert abs(at / 2 / RATE * 1e9 - wanted_ns) < 30_000_000
        at += 2


def test_a_primed_device_takes_two_blocks_at_once_and_is_placed_by_its_pace() -> None:
    laid, sound = Laid(), loud(60)
    laid.lay(sound, lambda index: (5 + max(index - 1, 0)) * BLOCK_NS)
    first = int(np.flatnonzero(laid.track)[0])
    assert first == 4 * BLOCK
    assert np.array_equal(laid.track[first : first + len(sound)], sound)


def test_another_rate_is_resampled_and_stays_in_time() -> None:
    laid = Laid(rate=8_000)
    seconds = np.arange(8_000 * 4) / 8_000
    sound = (8_000 * np.sin(2 * np.pi * 440 * seconds)).astype("<i2")
    for index in range(200):
        laid.feed(ORIGIN_NS + index * BLOCK_NS, sound[index * 160 : (index + 1) * 160].tobytes())
    laid.finish()
    wanted = 8_000 * np.sin(2 * np.pi * 440 * np.arange(RATE * 4) / RATE)
    assert np.abs(laid.track[RATE : 3 * RATE] - wanted[RATE : 3 * RATE]).max() < 80


def test_cut_audio_makes_room_for_the_next_reply() -> None:
    laid = Laid()
    laid.lay(loud(20), lambda index: index * BLOCK_NS + 130_000_000)
    frame = laid.placer.cut(ORIGIN_NS + 300_000_000)
    assert frame == RATE * 3 // 10
    laid.track[frame:] = 0
    again = loud(5)
    laid.lay(again, lambda index: 310_000_000 + index * BLOCK_NS)
    at = RATE * 31 // 100
    assert np.array_equal(laid.track[at : at + len(again)], again)


def test_late_blocks_are_placed_at_their_time() -> None:
    """The first word waits for the user stream and arrives a second later."""
    laid, sound = Laid(), loud(10)
    laid.placer.feed(ORIGIN_NS, bytes(2 * BLOCK), RATE)
    laid.put(laid.placer.settle(ORIGIN_NS + 2_000_000_000))
    for index, block in enumerate(blocks_of(sound)):
        laid.placer.feed(ORIGIN_NS + 500_000_000 + index * BLOCK_NS, block, RATE)
    laid.put(laid.placer.settle(ORIGIN_NS + 1_500_000_000 + LOOK_AHEAD_NS))
    assert np.array_equal(laid.track[RATE // 2 : RATE // 2 + len(sound)], sound)
