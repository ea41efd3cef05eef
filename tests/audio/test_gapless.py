"""Tests speech detection on a microphone that loses audio, against the edges on the saved track, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.audio.recordings import TRACKS
from tui.audio.blocks import Block, BlockTiming, Source
from tui.audio.detector_pool import DetectorPool, PooledSpeech
from tui.audio.gapless import GaplessSpeech
from tui.audio.pcm import frames_to_ns
from tui.audio.speech import TrackEdge, make_detector
from tui.saving.placing import Placed, TrackPlacer

MS = 1_000_000
BLOCK_MS = 20
ORIGIN_NS = 5_000 * MS
RATE = 16_000
PART_MS = (4_800, 11_600)
SPOKEN = [(True, 1_506.0), (False, 4_826.0)]
"""The edges of the only sentence in this part of the recording."""


class Delivered(NamedTuple):
    """A block, and how many ms after the origin the device's callback delivered it."""

    at_ms: float
    pcm: bytes


class Edges(NamedTuple):
    live: list[tuple[bool, float]]
    saved: list[tuple[bool, float]]


def recording() -> list[Delivered]:
    """Returns the part of the recording as a device delivers it: each block at its end."""
    pcm = TRACKS["clean"][1]()
    block_bytes = 2 * RATE * BLOCK_MS // 1000
    first, last = (at_ms // BLOCK_MS for at_ms in PART_MS)
    return [
        Delivered((number - first + 1) * BLOCK_MS, pcm[number * block_bytes : (number + 1) * block_bytes])
        for number in range(first, last)
    ]


def without(blocks: Sequence[Delivered], begin_ms: int, end_ms: int) -> list[Delivered]:
    """Returns the blocks of a device that lost everything between two times."""
    return [block for block in blocks if not begin_ms < block.at_ms <= end_ms]


def held_up(blocks: Sequence[Delivered], begin_ms: int, end_ms: int) -> list[Delivered]:
    """Returns the blocks of a device that delivered everything between two times at the end, in a burst."""
    return [
        block._replace(at_ms=end_ms + number / 10) if begin_ms < block.at_ms <= end_ms else block
        for number, block in enumerate(blocks)
    ]


def edges_of(blocks: Sequence[Delivered]) -> Edges:
    """Returns the edges that are found during the call and on the saved track, in ms after the origin."""
    source, timing, pool = Source(RATE, from_device=True), BlockTiming(RATE), DetectorPool()
    live: list[TrackEdge] = []
    speech = GaplessSpeech(PooledSpeech(pool, make_detector(RATE), live.extend), RATE)
    placer, placed, end_ns = TrackPlacer(RATE, ORIGIN_NS), list[Placed](), ORIGIN_NS
    for at_ms, pcm in blocks:
        block = Block(ORIGIN_NS + round(at_ms * MS), source, pcm)
        timing.follow(block, 0)
        end_ns = timing.end_ns(block)
        speech.feed(pcm, end_ns)
        pool.judge_due(block.at_ns)
        placer.feed(end_ns - frames_to_ns(len(pcm) // 2, RATE), pcm, RATE)
        placed += placer.settle(block.at_ns)
    speech.finish(end_ns)
    return Edges(_in_ms(live), _in_ms(_on_track([*placed, *placer.finish()])))


def _on_track(placed: Sequence[Placed]) -> list[TrackEdge]:
    track, detector, edges = bytearray(), make_detector(RATE), list[TrackEdge]()
    for frame, pcm in placed:
        track += bytes(2 * frame - len(track)) + pcm
    end_ns = ORIGIN_NS
    for at in range(0, len(track), 2 * RATE):
        second = bytes(track[at : at + 2 * RATE])
        end_ns += frames_to_ns(len(second) // 2, RATE)
        edges += detector.feed(second, end_ns)
    return edges + detector.finish(end_ns)


def _in_ms(edges: Sequence[TrackEdge]) -> list[tuple[bool, float]]:
    return [(edge.started, (edge.at_ns - ORIGIN_NS) / MS) for edge in edges]


def same(first: Sequence[tuple[bool, float]], second: Sequence[tuple[bool, float]], *, to_ms: float) -> bool:
    return [started for started, _ in first] == [started for started, _ in second] and (
        [at_ms for _, at_ms in first] == pytest.approx([at_ms for _, at_ms in second], abs=to_ms)
    )


def test_a_whole_track_has_the_edges_of_the_recording() -> None:
    edges = edges_of(recording())
    assert same(edges.live, SPOKEN, to_ms=3)
    assert same(edges.saved, SPOKEN, to_ms=3)


@pytest.mark.parametrize("begin_ms", [2_000, 2_500, 3_300])
def test_audio_lost_in_a_sentence_splits_it_during_the_call_and_on_the_saved_track(begin_ms: int) -> None:
    edges = edges_of(without(recording(), begin_ms, begin_ms + 800))
    assert len(edges.live) == 4
    assert same(edges.live, edges.saved, to_ms=2)
    assert edges.live[1][1] <= begin_ms
    assert edges.live[2][1] >= begin_ms + 800


@pytest.mark.parametrize("begin_ms", [4_860, 5_000, 5_200])
def test_audio_lost_after_a_sentence_does_not_move_its_end(begin_ms: int) -> None:
    edges = edges_of(without(recording(), begin_ms, begin_ms + 600))
    assert same(edges.live, SPOKEN, to_ms=3)
    assert same(edges.saved, SPOKEN, to_ms=3)


def test_a_sentence_before_a_long_gap_ends_where_it_was_cut() -> None:
    blocks = recording()
    later = [block._replace(at_ms=block.at_ms + 30_000) for block in blocks if block.at_ms > 3_000]
    edges = edges_of([*without(blocks, 3_000, 9_000), *later])
    assert len(edges.live) == 4
    assert same(edges.live, edges.saved, to_ms=2)
    assert 2_700 < edges.live[1][1] <= 3_000
    assert 33_000 <= edges.live[2][1] < 33_300


@pytest.mark.parametrize("held_ms", [250, 600, 1_400])
@pytest.mark.parametrize("begin_ms", [1_400, 2_500, 4_700])
def test_audio_that_is_only_late_moves_no_edge(begin_ms: int, held_ms: int) -> None:
    edges = edges_of(held_up(recording(), begin_ms, begin_ms + held_ms))
    assert same(edges.live, SPOKEN, to_ms=3)
    assert same(edges.saved, SPOKEN, to_ms=3)


def test_a_call_that_ends_within_a_gap_ends_the_sentence() -> None:
    blocks = recording()
    edges = edges_of([block for block in blocks if block.at_ms <= 3_000 or 4_000 < block.at_ms <= 4_040])
    assert [started for started, _ in edges.live] == [True, False, True, False]
    assert edges.live[1][1] <= 3_000
