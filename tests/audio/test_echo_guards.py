"""Tests the guards that keep the agent from hearing itself: the gate, and the canceller with a fake processor."""

from __future__ import annotations

import numpy as np
import pytest

from tui.audio import webrtc
from tui.audio.cancel import EchoCanceller
from tui.audio.echo_guard import EchoGate

MS = 1_000_000
RATE = 16_000
BLOCK = 320
LOUD = np.full(BLOCK, 8_000, "<i2").tobytes()
SILENT = bytes(2 * BLOCK)
HISS = np.full(BLOCK, 3, "<i2").tobytes()


def through(gate: EchoGate, end_ms: int, block: bytes = HISS) -> bytes:
    return gate.clean(end_ms * MS, end_ms * MS, block, RATE)


def test_the_gate_is_shut_while_the_agent_is_heard_and_a_little_after() -> None:
    gate = EchoGate()
    for start_ms, block in ((0, SILENT), (20, LOUD), (40, SILENT)):
        gate.agent_heard(start_ms * MS, block, RATE)
    assert through(gate, 20) == HISS, "before the agent is heard"
    assert through(gate, 40) == SILENT
    assert through(gate, 280) == SILENT, "a room rings for a while"
    assert through(gate, 300, SILENT) == SILENT
    assert through(gate, 320) == HISS
    assert gate.held_blocks == 2, "silence that is held back is no loss"


def test_the_gate_does_not_mind_what_a_flush_threw_away() -> None:
    gate = EchoGate()
    gate.agent_heard(100 * MS, LOUD, RATE)
    gate.agent_cut(50 * MS)
    assert through(gate, 120) == HISS


def test_a_cut_does_not_mind_a_block_that_the_device_takes_meanwhile() -> None:
    gate = EchoGate()
    meanwhile = [140 * MS]

    class Looked(int):
        """A time whose first comparison makes the playback thread hand over another block."""

        def __lt__(self, other: int) -> bool:
            if meanwhile:
                gate.agent_heard(meanwhile.pop(), LOUD, RATE)
            return int(self) < other

        def __ge__(self, other: int) -> bool:
            return not self < other

    gate.agent_heard(20 * MS, SILENT, RATE)
    gate.agent_heard(Looked(100 * MS), LOUD, RATE)
    gate.agent_heard(120 * MS, LOUD, RATE)
    gate.agent_cut(50 * MS)
    assert [played.start_ns for played in gate.take(1000 * MS)] == [20 * MS]


def test_the_gate_leaves_a_user_alone_whom_a_quiet_agent_cannot_be_taken_for() -> None:
    gate = EchoGate()
    gate.agent_heard(0, HISS, RATE)
    assert through(gate, 20, LOUD) == LOUD


class Books:
    """A processor that records its calls and marks cleaned audio."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []
        self.refusing = False

    def rendered(self, frame: bytes, rate: int) -> None:
        self.told.append(("rendered", len(frame), rate))

    def captured(self, frame: bytes, rate: int) -> bytes:
        if self.refusing:
            raise RuntimeError("sample rate not supported")
        self.told.append(("captured", len(frame), rate))
        return bytes(byte ^ 0xFF for byte in frame)

    def set_delay(self, delay_ms: int) -> None:
        self.told.append(("delay", delay_ms, 0))


def test_the_processor_gets_what_is_played_in_10_ms_before_it_can_come_back() -> None:
    books = Books()
    canceller = EchoCanceller(books)
    for start_ms, block in ((60, LOUD), (80, SILENT), (500, LOUD)):
        canceller.agent_heard(start_ms * MS, block, 8_000)
    cleaned = canceller.clean(40 * MS, 45 * MS, HISS, RATE)
    assert cleaned == bytes(byte ^ 0xFF for byte in HISS)
    played = [("rendered", 160, 8_000)] * 8
    assert books.told == [*played, ("delay", 80, 0), *[("captured", 320, RATE)] * 2], "silence included"


def test_what_a_flush_threw_away_is_not_said_to_be_played() -> None:
    books = Books()
    canceller = EchoCanceller(books)
    canceller.agent_heard(100 * MS, LOUD, RATE)
    canceller.agent_cut(50 * MS)
    canceller.clean(90 * MS, 90 * MS, HISS, RATE)
    assert [what for what, _, _ in books.told] == ["captured", "captured"]


def test_a_processor_that_fails_is_reported_and_lets_the_user_through() -> None:
    books = Books()
    canceller = EchoCanceller(books)
    books.refusing = True
    assert canceller.clean(0, 0, HISS, 44_100) == HISS
    assert canceller.failure == "Echo cancellation (44100 Hz) stopped: sample rate not supported."
    assert canceller.clean(0, 0, HISS, 44_100) == HISS


def test_without_the_package_the_sentence_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "find_spec", lambda name: None)
    with pytest.raises(webrtc.EchoUnavailable, match="pip install livekit"):
        webrtc.make_processor()
