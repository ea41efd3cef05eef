"""Tests the edges of speech in the recordings against the edges that Silero's own runtime found, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.audio.recordings import TRACKS
from tests.audio.signals import noise
from tui.assets import caller_lines
from tui.audio.pcm import from_float
from tui.audio.silero import WINDOW_FRAMES, SileroNetwork, WindowInput, WindowScore
from tui.audio.speech import make_detector
from tui.audio.wav import read_wav

_FROZEN = {
    "clean": """
        1500 3806 6306 9626 12127 21637 24137 24480 26980 30592 33092 34618 37118 38771 41271 43663
        46163 48558 51058 54239 55740 59387 60888 63629 65129 70274 71774 73007 74508 80547 82047
        83773 85273 86345 87845 102524 104024 108976 110476 112375
    """,
    "noise": """
        1521 3805 6310 9625 12137 21636 24138 24477 26992 30576 33093 34610 37120 38770 41273 43600
        46172 48557 51070 54153 55741 59380 60891 63551 65131 70260 71776 72970 74581 80546 82047
        83773 85273 86338 87847 102523 104025 108975 110550 112374
    """,
    "far away": """
        1510 3805 6308 9625 12131 21636 24138 24478 26982 30576 33093 34610 37120 38770 41272 43619
        46165 48557 51060 54153 55741 59384 60890 63551 65130 70260 71776 72990 74581 80546 82047
        83773 85273 86339 87847 102524 104025 108975 110511 112374
    """,
    "mu-law": """
        1500 3807 6306 9626 12127 21637 24137 24480 26980 30592 33092 34530 37118 38771 41271 43663
        46163 48559 51058 54239 55740 59387 60888 63629 65130 70273 71774 73007 74510 80547 82047
        83773 85273 86345 87845 102524 104024 108976 110477 112375
    """,
}
EDGES_MS = {name: [int(edge) for edge in edges.split()] for name, edges in _FROZEN.items()}
EDGES_MS["quiet noise"] = EDGES_MS["clean"]
"""Times at which speech alternately starts and ends, by track."""
MS = 1_000_000
Floats = NDArray[np.float32]


def edges_ms(rate: int, pcm: bytes) -> list[float]:
    """Returns the times of all edges, which alternate, of a track fed in blocks of 20 ms."""
    detector = make_detector(rate)
    block_bytes = 2 * rate // 50
    edges = []
    for at in range(0, len(pcm), block_bytes):
        block = pcm[at : at + block_bytes]
        edges += detector.feed(block, (at + len(block)) // 2 * 1_000_000_000 // rate)
    assert [edge.started for edge in edges] == [True, False] * (len(edges) // 2)
    return [edge.at_ns / MS for edge in edges]


@pytest.mark.parametrize("name", EDGES_MS)
def test_no_edge_of_the_recordings_moves_by_a_block(name: str) -> None:
    rate, pcm = TRACKS[name]
    assert edges_ms(rate, pcm()) == pytest.approx(EDGES_MS[name], abs=9.9)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns a list that gets an entry for every window that the network judges."""
    judged: list[int] = []
    score = SileroNetwork.score

    def counted(network: SileroNetwork, windows: Sequence[WindowInput]) -> list[WindowScore]:
        judged.extend([1] * len(windows))
        return score(network, windows)

    monkeypatch.setattr(SileroNetwork, "score", counted)
    return judged


@pytest.mark.parametrize("dbfs", [None, -75])
def test_the_network_rests_in_a_long_silence_and_hears_what_comes_after_it(
    runs: list[int], dbfs: float | None
) -> None:
    line = read_wav(next(line.path for line in caller_lines() if line.name == "yes"), 16_000)
    pause = bytes(2 * 20 * 16_000) if dbfs is None else from_float(noise(16_000, 20, 10 ** (dbfs / 20)))
    first, first_end, second, second_end = edges_ms(16_000, pause + line + pause + line + pause)
    assert second - first == pytest.approx(20_000 + len(line) / 32, abs=10)
    assert second_end - second == pytest.approx(first_end - first, abs=10)
    windows = (3 * 20 + 2 * len(line) / 32_000) * 16_000 / WINDOW_FRAMES
    assert len(runs) < windows / 5


def test_the_network_does_not_rest_where_speech_is_possible(runs: list[int]) -> None:
    assert edges_ms(16_000, from_float(noise(16_000, 4, 10 ** (-66 / 20)))) == []
    assert len(runs) == 4 * 16_000 // WINDOW_FRAMES
