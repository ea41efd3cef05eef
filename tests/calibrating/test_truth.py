"""Tests the results of a calibration call with simulated devices, whose speaker is late by a known time."""

from __future__ import annotations

import numpy as np
import pytest

from tui.audio.pcm import from_float
from tui.calibrating.truth import (
    CallerInLoop,
    FigureErrors,
    PlayedTrack,
    Samples,
    TruthOfCall,
    find,
    spread_of,
)
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import BargeIn, BargeInKind, Turn

RATE, BLOCK = 16_000, 320
MS = 1_000_000
PER_MS = RATE // 1_000
START_NS = 5_000 * MS
"""Time at which frame 0 passes both devices."""
DICE = np.random.default_rng(7)


def noise(length_ms: int) -> Samples:
    """Returns a unique sound."""
    return DICE.uniform(-0.3, 0.3, length_ms * PER_MS).astype(np.float32)


LINE = noise(800)
ANSWERS_MS = (1_900, 4_400, 6_900)
"""When each answer begins at the speaker, according to its driver."""
LINES_MS = (700, 3_200, 5_700)
CUT_MS = 7_300
"""When the last answer is cut by a line that begins shortly before."""
BARGE_IN_MS = 7_200


def played() -> Samples:
    """Returns the agent's track, including cut audio, because it was handed to the device."""
    track = np.zeros(10_000 * PER_MS, np.float32)
    for at_ms in ANSWERS_MS:
        track[at_ms * PER_MS : (at_ms + 600) * PER_MS] = noise(600)
    return track


def held(late_ms: int | None, *, program_ms: float = 0.0) -> tuple[SessionMetrics, CallerInLoop, PlayedTrack]:
    """Makes a call whose microphone hears the speaker ``late_ms`` later than reported, or not at all if that is None.

    The program's own figures are too long by ``program_ms``.
    """
    sound = played()
    blocks = [
        (START_NS + at * 1_000 // PER_MS * 1_000, from_float(sound[at : at + BLOCK]), RATE)
        for at in range(0, len(sound), BLOCK)
    ]
    heard = np.zeros(len(sound), np.float32) + DICE.normal(0, 0.0002, len(sound)).astype(np.float32)
    if late_ms is not None:
        audible = sound.copy()
        audible[CUT_MS * PER_MS :] = 0
        heard[late_ms * PER_MS :] += 0.4 * audible[: len(sound) - late_ms * PER_MS]
    ends_ns = iter(range(START_NS + 20 * MS, START_NS + 11_000 * MS, 20 * MS))
    caller = CallerInLoop(lambda: next(ends_ns))
    for at in range(0, len(heard), BLOCK):
        for line_ms in (*LINES_MS, BARGE_IN_MS):
            if at == line_ms * PER_MS:
                caller.say(from_float(LINE), 16, RATE)
        caller(from_float(heard[at : at + BLOCK]))
    turns = [
        Turn(
            number=number,
            user_ended_ns=START_NS + (line_ms + 801) * MS,
            agent_began_ns=START_NS + answer_ms * MS,
            response_latency_ms=answer_ms - line_ms - 801 + program_ms,
        )
        for number, (line_ms, answer_ms) in enumerate(zip(LINES_MS, ANSWERS_MS, strict=True), 1)
    ]
    barge_in = BargeIn(
        kind=BargeInKind.YIELDED,
        turn=4,
        at_ns=START_NS + (BARGE_IN_MS + 1) * MS,
        silence_ms=CUT_MS - BARGE_IN_MS - 1 + program_ms,
    )
    return SessionMetrics(turns=turns, barge_ins=[barge_in]), caller, PlayedTrack(blocks, RATE)


def errors(late_ms: int | None, **how: float) -> FigureErrors:
    metrics, caller, track = held(late_ms, **how)
    onsets_ns = [START_NS + (at_ms + 3) * MS for at_ms in LINES_MS]
    return TruthOfCall(metrics, caller, track).errors(onsets_ns)


@pytest.mark.parametrize("late_ms", [0, 37, 480])
def test_a_delay_that_the_driver_does_not_state_is_found(late_ms: int) -> None:
    found = errors(late_ms)
    assert found.loops == pytest.approx([late_ms] * 3, abs=0.1)
    # Figures are too short by the same amount.
    assert found.responses == pytest.approx([-late_ms] * 3, abs=0.1)
    assert found.silences == pytest.approx([-late_ms], abs=1.1)
    assert found.onsets == pytest.approx([2.0] * 3, abs=0.1)


def test_without_a_loop_only_the_program_is_compared() -> None:
    found = errors(None, program_ms=6.0)
    assert found.loops == []
    assert found.responses == pytest.approx([6.0] * 3, abs=0.1)
    assert found.silences == []


def test_uncertain_turns_and_earlier_ones_are_left_out() -> None:
    metrics, caller, track = held(37)
    metrics.turns[0].doubt = "the machine was busy"
    found = TruthOfCall(metrics, caller, track).errors([], since_ns=START_NS)
    assert len(found.loops) == 0  # two values are too few
    metrics.turns[0].doubt = ""
    assert len(TruthOfCall(metrics, caller, track).errors([], START_NS + 4_000 * MS).responses) == 2


def test_the_caller_speaks_at_known_frames_and_keeps_what_is_heard() -> None:
    caller = CallerInLoop(lambda: START_NS)
    caller(b"\1\0" * BLOCK)
    silence = bytes(2 * 10 * PER_MS)
    spoken = caller.say(silence + from_float(LINE) + silence, 32, RATE)
    assert (spoken.began, spoken.ended) == (BLOCK + 32 + 160, BLOCK + 32 + 160 + len(LINE))
    said = b"".join(caller(b"\2\0" * BLOCK) for _ in range(60))
    assert said.strip(b"\0") == from_float(LINE).strip(b"\0")
    assert len(said) == 60 * 2 * BLOCK
    assert np.unique(np.round(caller.heard() * 32_768)).tolist() == [1, 2]


def test_a_track_of_another_rate_is_followed_at_the_microphones() -> None:
    tone = np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000).astype(np.float32) * 0.3
    sound = np.concatenate([np.zeros(12_000, np.float32), tone])
    blocks = [
        (START_NS + at * 1_000_000_000 // 24_000, from_float(sound[at : at + 480]), 24_000)
        for at in range(0, len(sound), 480)
    ]
    track = PlayedTrack(blocks, RATE)
    assert len(track.samples) == 24_000
    onset = track.onset_near(START_NS + 600 * MS)
    assert onset == pytest.approx(8_000, abs=PER_MS)
    assert track.at_ns(8_000) == START_NS + 500 * MS


def test_only_what_is_alike_is_found() -> None:
    probe, other = noise(300), noise(2_000)
    track = np.concatenate([other, 0.01 * probe, other])
    assert find(track, probe) == len(other)
    assert find(other, probe) is None
    assert find(np.zeros(RATE, np.float32), probe) is None
    assert find(probe[:100], probe) is None


def test_bias_and_spread() -> None:
    spread = spread_of([-37.0, -36.0, -38.5, -37.0])
    assert spread is not None
    assert (spread.bias_ms, spread.spread_ms, spread.count) == (-37.0, 1.5, 4)
    assert str(spread) == "bias -37.0 ms, ± 1.5 ms (p95 of 4)"
    assert spread_of([1.0, 2.0]) is None
