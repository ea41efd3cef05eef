"""Tests the resources shared by the calls of a load test: one timer, and detectors that run together."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.audio.recordings import TRACKS
from tui.audio import detector_pool
from tui.audio.crowd import BLOCK_MS, SharedClock
from tui.audio.detector_pool import DetectorPool, PooledSpeech, TakeEdges
from tui.audio.speech import SpeechDetector, TrackEdge, make_detector

MS = 1_000_000


class Caller:
    """Takes the blocks of one call."""

    def __init__(self, clock: SharedClock) -> None:
        self.dues_ms: list[float] = []
        self.skipped = 0
        self.ticking = clock.call(lambda due_ns: self.dues_ms.append(due_ns / MS), self._skip)

    def _skip(self, blocks: int) -> None:
        self.skipped += blocks


def test_every_call_gets_one_block_in_20_ms_and_not_all_at_the_same_time() -> None:
    clock = SharedClock(clock_ns=lambda: 0)
    callers = [Caller(clock) for _ in range(7)]
    for now_ms in range(0, 200, 3):  # a timer that is always late
        clock.catch_up(now_ms * MS)
    for caller in callers:
        first_ms = caller.dues_ms[0]
        assert caller.dues_ms == [first_ms + BLOCK_MS * number for number in range(10)]
    assert sorted({caller.dues_ms[0] for caller in callers}) == [0, 4, 8, 12, 16]


def test_a_call_that_has_ended_gets_no_block_and_its_place_is_taken_again() -> None:
    clock = SharedClock(clock_ns=lambda: 0)
    callers = [Caller(clock) for _ in range(5)]
    for now_ms in (0, 16):
        clock.catch_up(now_ms * MS)
    callers[2].ticking.cancel()
    clock.catch_up(36 * MS)
    assert [len(caller.dues_ms) for caller in callers] == [2, 2, 1, 2, 2]
    late = Caller(clock)
    clock.catch_up(56 * MS)
    assert late.dues_ms == [48]


def test_blocks_that_are_too_old_are_counted_for_every_call() -> None:
    clock = SharedClock(clock_ns=lambda: 0)
    callers = [Caller(clock) for _ in range(5)]
    for now_ms in (0, 16):
        clock.catch_up(now_ms * MS)
    clock.catch_up(3_016 * MS)  # as after a suspended process: 50 of 150 blocks are not too old
    assert [(len(caller.dues_ms), caller.skipped) for caller in callers] == [(51, 100)] * 5
    assert all(caller.dues_ms[-1] - caller.dues_ms[-2] == BLOCK_MS for caller in callers)


class Track:
    """A track that is fed in blocks of 20 ms, from a recording."""

    def __init__(self, name: str, begin_ms: int, lasts_ms: int) -> None:
        self.rate, pcm = TRACKS[name]
        per_ms = 2 * self.rate // 1000
        self.pcm = pcm()[begin_ms * per_ms : (begin_ms + lasts_ms) * per_ms]
        self.detector = make_detector(self.rate, other_sounds=True)
        self.edges: list[TrackEdge] = []
        self._at = 0

    def next_block(self) -> tuple[bytes, int]:
        """Returns a block, and when its last sample ended."""
        block = self.pcm[self._at : self._at + 2 * self.rate // 50]
        self._at += len(block)
        return block, self._at // 2 * 1_000_000_000 // self.rate


def alone(track: Track) -> list[TrackEdge]:
    """Returns the edges that a separate detector finds."""
    edges: list[TrackEdge] = []
    while (block := track.next_block())[0]:
        edges += track.detector.feed(*block)
    return edges


def assert_alike(edges: list[TrackEdge], expected: list[TrackEdge]) -> None:
    """Checks that speech starts and ends at the same milliseconds."""
    assert [edge.started for edge in edges] == [edge.started for edge in expected]
    assert [edge.at_ns / MS for edge in edges] == pytest.approx([each.at_ns / MS for each in expected], abs=1)


PARTS = [("clean", 1_000, 3_500), ("clean", 24_000, 1_200), ("clean", 5_800, 4_500)]


async def test_detectors_that_run_together_find_the_edges_that_each_finds_alone() -> None:
    pool, tracks = DetectorPool(), [Track(*part) for part in PARTS]
    blocks = True
    while blocks:
        blocks = False
        for track in tracks:
            # Several blocks between two batches, as on a busy worker.
            for block, end_ns in (track.next_block() for _ in range(3)):
                blocks = blocks or bool(block)
                if block:
                    pool.feed(track.detector, block, end_ns, track.edges.extend)
        await pool.judge()
    expected = [alone(Track(*part)) for part in PARTS]
    assert all(len(edges) >= 2 for edges in expected)
    for track, edges in zip(tracks, expected, strict=True):
        assert_alike(track.edges, edges)


def test_long_silence_is_skipped_and_the_edges_after_it_are_those_of_the_whole_track() -> None:
    class Counting(DetectorPool):
        fed_ms = 0.0

        def feed(self, detector: SpeechDetector, pcm: bytes, end_ns: int, take: TakeEdges) -> None:
            self.fed_ms += len(pcm) / 2 * 1_000 / detector.rate
            super().feed(detector, pcm, end_ns, take)

    pool, track, whole = Counting(), Track(*PARTS[0]), Track(*PARTS[0])
    speech = PooledSpeech(pool, track.detector, track.edges.extend)
    track.pcm = whole.pcm = bytes(2 * 4 * track.rate) + track.pcm
    expected = alone(whole)
    while (block := track.next_block())[0]:
        speech.feed(*block)
        pool.judge_due(block[1])
    speech.finish(block[1])
    # Of 7,500 ms; of the 4,500 ms before the first sound, the first second and the last 300 ms.
    assert pool.fed_ms == 4_300
    assert len(expected) >= 2
    assert_alike(track.edges, expected)


async def test_a_track_that_ends_is_judged_at_once_even_in_the_middle_of_a_batch() -> None:
    pool, track = DetectorPool(), Track(*PARTS[0])
    others = [Track(*PARTS[0]) for _ in range(20)]  # more than one run of the network can process
    length_ns = len(track.pcm) // 2 * 1_000_000_000 // track.rate
    half = len(track.pcm) // 4 * 2
    for each in (*others, track):
        pool.feed(each.detector, each.pcm[:half], length_ns // 2, each.edges.extend)
    judging = asyncio.ensure_future(pool.judge())
    await asyncio.sleep(0)  # the first run of many
    pool.feed(track.detector, track.pcm[half:], length_ns, track.edges.extend)
    pool.settle(track.detector)
    expected = [edge.started for edge in alone(Track(*PARTS[0]))]
    assert [edge.started for edge in track.edges] == expected
    judging.cancel()


def test_deferring_batches_changes_neither_the_edges_nor_when_they_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Counting(DetectorPool):
        deferred = 0

        def judge_due(self, now_ns: int) -> None:
            super().judge_due(now_ns)
            self.deferred = max(self.deferred, self._deferred)

    def edges_of(most_deferred: int) -> tuple[int, list[tuple[str, int, TrackEdge]]]:
        monkeypatch.setattr(detector_pool, "_MOST_DEFERRED", most_deferred)
        found: list[tuple[str, int, TrackEdge]] = []
        pool, now_ns = Counting(), 0
        tracks = {name: Track("clean", begin_ms, 4_000) for name, begin_ms in (("a", 1_000), ("b", 5_800))}

        def take(name: str, edges: list[TrackEdge]) -> None:
            found.extend((name, now_ns, edge) for edge in edges)

        speech = {
            name: PooledSpeech(pool, track.detector, partial(take, name)) for name, track in tracks.items()
        }
        for _ in range(200):
            for name, track in tracks.items():
                block, end_ns = track.next_block()
                # The times of a device's blocks vary a little.
                speech[name].feed(block, end_ns + end_ns % 7)
                now_ns = max(now_ns, end_ns)
            pool.judge_due(now_ns)
        for each in speech.values():
            each.finish(now_ns)
        return pool.deferred, found

    at_once, deferred = edges_of(1), edges_of(4)
    assert (at_once[0], deferred[0]) == (0, 3)
    assert len(at_once[1]) >= 4
    assert deferred[1] == at_once[1]


def test_settling_a_track_that_was_never_fed_does_nothing() -> None:
    detector: SpeechDetector = make_detector(16_000)
    DetectorPool().settle(detector)
    assert not detector.speaking
