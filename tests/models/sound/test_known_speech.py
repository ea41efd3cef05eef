"""Tests that the known edges of recorded lines are the edges that a detector finds in the call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.assets import caller_lines
from tui.audio.pcm import frames_to_ns
from tui.audio.speech import TrackEdge, make_detector
from tui.models import events as e
from tui.models.sound.known_speech import KnownSpeech
from tui.models.sound.lines import CallerLine, RecordedLines
from tui.models.sound.pending import PendingEvents
from tui.scenario.lines import spoken_line

RATE = 16_000
BLOCK_BYTES = 2 * RATE // 50
MS = 1_000_000


class Caller:
    """Plays lines in blocks of 20 ms. Both detectors receive the same blocks."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.lines = RecordedLines([], PendingEvents(lambda: self.now_ns), rate=RATE)
        self.known_edges: list[TrackEdge] = []
        self.known = KnownSpeech(self.lines, RATE, self.known_edges.extend)
        self.detector = make_detector(RATE)
        self.found_edges: list[TrackEdge] = []

    def blocks(self, lasts_ms: int, *, muted: bool = False) -> None:
        for _ in range(lasts_ms // 20):
            self.now_ns += 20 * MS
            self.lines.block_end_ns = self.now_ns
            block = self.lines(bytes(BLOCK_BYTES))
            if muted:
                block = bytes(BLOCK_BYTES)
            self.known.feed(block, self.now_ns)
            self.found_edges += self.detector.feed(block, self.now_ns)

    def finish(self) -> None:
        self.known.finish(self.now_ns)
        self.found_edges += self.detector.finish(self.now_ns)

    def edges_ms(self) -> tuple[list[tuple[bool, float]], list[tuple[bool, float]]]:
        """Returns the known and the found edges."""
        known, found = (
            [(edge.started, edge.at_ns / MS) for edge in edges]
            for edges in (self.known_edges, self.found_edges)
        )
        return known, found


def line_at(index: int) -> CallerLine:
    return spoken_line(Path(caller_lines()[index].path)).line


def length_ms(line: CallerLine) -> int:
    return int(Path(line.path).stat().st_size / 2 / RATE * 1000)


@pytest.mark.parametrize("begins_ms", [0, 7.3, 13])
async def test_known_edges_are_those_that_a_detector_finds(begins_ms: float) -> None:
    caller = Caller()
    caller.blocks(1_000)
    for index in (0, 1):
        line = line_at(index)
        await caller.lines.speak(line, caller.now_ns + round((100 + begins_ms) * MS))
        caller.blocks(length_ms(line) + 1_200)
    known, found = caller.edges_ms()
    assert len(known) >= 4
    assert [started for started, _ in known] == [started for started, _ in found]
    assert [at_ms for _, at_ms in known] == pytest.approx([at_ms for _, at_ms in found], abs=10)


async def test_an_end_is_known_after_half_a_second_and_a_short_pause_between_lines_is_none() -> None:
    caller, line = Caller(), line_at(0)
    await caller.lines.speak(line, 0)
    caller.blocks(round(line.edges_ns[-1] / MS) + 200)
    last_ms = line.edges_ns[-1] / MS
    assert [edge.started for edge in caller.known_edges] == [True]
    await caller.lines.speak(line, caller.now_ns)
    begins_ms = caller.now_ns / MS
    caller.blocks(length_ms(line) + 1_000)
    assert [edge.started for edge in caller.known_edges] == [True, False]
    assert caller.known_edges[1].at_ns / MS == begins_ms + last_ms


async def test_what_the_agent_never_hears_is_silence() -> None:
    caller, line = Caller(), line_at(0)
    await caller.lines.speak(line, 0)
    caller.blocks(length_ms(line) + 1_000, muted=True)
    assert caller.edges_ms() == ([], [])
    await caller.lines.speak(line, caller.now_ns)
    began_ms = caller.now_ns / MS
    caller.blocks(600)
    caller.blocks(1_000, muted=True)
    known, _ = caller.edges_ms()
    assert known == [(True, began_ms + line.edges_ns[0] / MS), (False, began_ms + 600)]


async def test_a_line_that_is_stopped_or_replaced_is_not_heard_to_its_end() -> None:
    caller, first, second = Caller(), line_at(0), line_at(1)
    await caller.lines.speak(first, 0)
    caller.blocks(800)
    await caller.lines.speak(second, 1_600 * MS)
    caller.blocks(2_000)
    caller.finish()
    known, _ = caller.edges_ms()
    assert known[:3] == [
        (True, first.edges_ns[0] / MS),
        (False, 800),
        (True, 1_600 + second.edges_ns[0] / MS),
    ]


def test_the_edges_of_a_line_are_determined_when_it_is_read() -> None:
    line = spoken_line(Path(caller_lines()[0].path))
    assert (line.onset_ns, line.end_ns) == (line.line.edges_ns[0], line.line.edges_ns[-1])
    assert 0 < line.onset_ns < line.end_ns <= line.length_ns
    assert line.length_ns == frames_to_ns(round(line.length_ns * RATE / 1e9), RATE)
    assert e.LineChanged(at_ns=0, name=line.line.name, text="").name == line.line.name
