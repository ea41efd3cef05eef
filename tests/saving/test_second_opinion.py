"""Tests that a second detector confirms correct edges of turns, and disputes those of a failing detector."""

from __future__ import annotations

import time
import wave
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.audio.recordings import sentences
from tests.audio.signals import noise
from tests.builders import MS
from tui.audio.g711 import decode_mulaw, encode_mulaw
from tui.audio.pcm import from_float
from tui.audio.resample import resample_floats
from tui.audio.speech import make_detector
from tui.models import events as e
from tui.models.turns.figures import response_of
from tui.models.turns.metrics import MetricsFold
from tui.models.turns.turns import Dispute, Turn
from tui.saving.saved_audio import SavedAudio
from tui.saving.second_opinion import compare_edges

RATE, STARTS_NS = 16_000, 5_000_000_000
Floats = NDArray[np.float64]


class Recorded(NamedTuple):
    """A simulated call: the content of both tracks, and its turns as the first detector finds them."""

    user: bytes
    agent: bytes
    rate: int
    turns: Sequence[Turn]

    def disputed(self, turns: Sequence[Turn] | None = None) -> list[int]:
        """Returns the numbers of the turns that the second detector disputes."""
        return sorted({event.turn for event in self.events(turns) if isinstance(event, e.EdgeDisputed)})

    def events(
        self, turns: Sequence[Turn] | None = None, until_s: float = float("inf")
    ) -> list[e.SessionEvent]:
        both = np.stack([np.frombuffer(pcm, "<i2") for pcm in (self.user, self.agent)], axis=1)
        with NamedTemporaryFile(suffix=".wav") as written:
            with wave.open(written.name, "wb") as file:
                file.setparams((2, 2, self.rate, 0, "NONE", ""))
                file.writeframes(both.tobytes())
            with Path(written.name).open("rb") as opened:
                audio = SavedAudio(opened, Path(written.name), STARTS_NS)
                return compare_edges(audio, self.turns if turns is None else turns, at_ns=1, until_s=until_s)


class Spoken(NamedTuple):
    """Both tracks of a call at 16 kHz, and the times at which the lines end and the prompts begin."""

    user: Floats
    agent: Floats
    truth: Sequence[tuple[int, int]]


@cache
def spoken() -> Spoken:
    """Returns a call in which an agent's sentences follow the ends of a user's sentences."""
    user: list[Floats] = [np.zeros(RATE)]
    agent: list[Floats] = [np.zeros(RATE)]
    truth, frames = [], RATE
    whole = sentences()
    lines = [line[: _audible(line)[1]][-RATE:] for line in whole[:9]]
    answers = [answer[: 3 * RATE // 5] for answer in whole[9:]]
    for number, answer in enumerate(answers):
        line = lines[number % len(lines)]
        wait = RATE * (450 + 37 * (number % 8)) // 1000
        pause = RATE * (800 + 13 * (number % 5)) // 1000
        user += [line, np.zeros(wait + len(answer) + pause)]
        agent += [np.zeros(len(line) + wait), answer, np.zeros(pause)]
        truth.append((_ns(frames + _audible(line)[1]), _ns(frames + len(line) + wait + _audible(answer)[0])))
        frames += len(line) + wait + len(answer) + pause
    return Spoken(np.concatenate(user), np.concatenate(agent), truth)


def _audible(sound: Floats) -> tuple[int, int]:
    """Returns the first frame that exceeds -50 dBFS, and the frame after the last."""
    loud = np.flatnonzero(np.abs(sound) > 10 ** (-50 / 20))
    return int(loud[0]), int(loud[-1]) + 1


def _ns(frames: int) -> int:
    return STARTS_NS + frames * 1_000_000_000 // RATE


def _edges(pcm: bytes, rate: int) -> list[tuple[bool, int]]:
    detector, second_bytes = make_detector(rate), 2 * rate
    found = []
    for at in range(0, len(pcm), second_bytes):
        block = pcm[at : at + second_bytes]
        found += detector.feed(block, STARTS_NS + (at + len(block)) // 2 * 1_000_000_000 // rate)
    found += detector.finish(STARTS_NS + len(pcm) // 2 * 1_000_000_000 // rate)
    return [(edge.started, edge.at_ns) for edge in found]


def _recorded(user: bytes, agent: bytes, rate: int) -> Recorded:
    begins = [at_ns for started, at_ns in _edges(agent, rate) if started]
    turns: list[Turn] = []
    ends = [at_ns for started, at_ns in _edges(user, rate) if not started]
    for end_ns, next_ns in zip(ends, [*ends[1:], 2**62], strict=True):
        begin_ns = next((at_ns for at_ns in begins if end_ns < at_ns < next_ns), None)
        if begin_ns is not None:
            turns.append(_turn(len(turns) + 1, end_ns, begin_ns))
    return Recorded(user, agent, rate, turns)


def _turn(number: int, user_ended_ns: int, agent_began_ns: int) -> Turn:
    latency_ms = (agent_began_ns - user_ended_ns) / MS
    return Turn(
        number, user_ended_ns=user_ended_ns, agent_began_ns=agent_began_ns, response_latency_ms=latency_ms
    )


def _noisy(sound: Floats, seed: int) -> bytes:
    speech_rms = float(np.sqrt(np.mean(sound[np.abs(sound) > 0.003] ** 2)))
    return from_float(
        sound + noise(RATE, len(sound) / RATE, speech_rms * 10 ** (-15 / 20), seed)[: len(sound)]
    )


def _by_telephone(sound: Floats) -> bytes:
    return decode_mulaw(encode_mulaw(from_float(resample_floats(sound.astype(np.float32), RATE, 8_000))))


_KINDS: dict[str, Callable[[], Recorded]] = {
    "clean": lambda: _recorded(from_float(spoken().user), from_float(spoken().agent), RATE),
    "noise": lambda: _recorded(_noisy(spoken().user, 1), _noisy(spoken().agent, 2), RATE),
    "mu-law": lambda: _recorded(_by_telephone(spoken().user), _by_telephone(spoken().agent), 8_000),
}


_RIGHT_MS = {"clean": 40, "noise": 125, "mu-law": 40}
"""Tolerance in ms for a correct edge. Noise at 15 dB hides the quiet ends of words."""


@cache
def recorded(kind: str) -> Recorded:
    return _KINDS[kind]()


def _right(kind: str) -> list[Turn]:
    """Returns the turns whose edges the first detector found correctly, allowing for the noise."""
    within_ns = _RIGHT_MS[kind] * MS
    return [
        turn
        for turn in recorded(kind).turns
        if any(
            abs((turn.user_ended_ns or 0) - ended_ns) < within_ns
            and abs((turn.agent_began_ns or 0) - began_ns) < within_ns
            for ended_ns, began_ns in spoken().truth
        )
    ]


def test_at_most_two_percent_of_the_right_turns_are_disputed() -> None:
    right = {kind: _right(kind) for kind in _KINDS}
    assert {kind: len(turns) >= 8 for kind, turns in right.items()} == dict.fromkeys(_KINDS, True)
    disputed = sum(len(recorded(kind).disputed(turns)) for kind, turns in right.items())
    assert disputed <= 0.02 * sum(map(len, right.values()))


@pytest.mark.parametrize("off_ms", [-200, -60, 60, 200])
@pytest.mark.parametrize("edge", ["user_ended_ns", "agent_began_ns"])
def test_every_turn_of_a_detector_that_is_late_or_early_is_disputed(edge: str, off_ms: int) -> None:
    call, right = recorded("clean"), _right("clean")
    wrong = []
    for turn in right:
        edges = {"user_ended_ns": turn.user_ended_ns or 0, "agent_began_ns": turn.agent_began_ns or 0}
        edges[edge] += off_ms * MS
        wrong.append(_turn(turn.number, **edges))
    assert call.disputed(wrong) == [turn.number for turn in right]
    offs_ms = [
        (event.second_ns - event.first_ns) / MS
        for event in call.events(wrong)
        if isinstance(event, e.EdgeDisputed) and event.first_ns is not None and event.second_ns is not None
    ]
    assert offs_ms == pytest.approx([-off_ms] * len(right), abs=25)


def test_an_edge_where_there_is_no_sound_is_disputed_and_so_is_a_word_that_was_missed() -> None:
    call = recorded("clean")
    first = call.turns[0]
    assert first.user_ended_ns is not None
    assert first.agent_began_ns is not None
    nowhere = _turn(1, STARTS_NS + 100 * MS, first.agent_began_ns)
    missed = _turn(2, STARTS_NS + 950 * MS, first.agent_began_ns)
    disputes = [event for event in call.events([nowhere, missed]) if isinstance(event, e.EdgeDisputed)]
    assert [(each.turn, each.edge) for each in disputes] == [
        (1, "end of user speech"),
        (2, "end of user speech"),
    ]
    assert [each.second_ns for each in disputes] == pytest.approx([first.user_ended_ns] * 2, abs=15 * MS)


@pytest.mark.parametrize("deaf_to", ["agent_began_ns", "user_ended_ns"])
def test_every_turn_of_a_detector_that_finds_nothing_is_marked(deaf_to: str) -> None:
    call, right = recorded("clean"), _right("clean")
    edges = ("user_ended_ns", "agent_began_ns")
    deaf = [Turn(turn.number) for turn in right]
    for turn, heard in zip(deaf, right, strict=True):
        for edge in edges:
            setattr(turn, edge, None if edge == deaf_to else getattr(heard, edge))
    events = [event for event in call.events(deaf) if isinstance(event, e.EdgeDisputed)]
    assert [event.turn for event in events] == [turn.number for turn in right]
    missed = {event.turn: event.second_ns for event in events}
    assert [missed[turn.number] for turn in right] == pytest.approx(
        [getattr(turn, deaf_to) for turn in right], abs=40 * MS
    )
    fold = MetricsFold()
    fold.metrics.turns += deaf
    for event in events:
        fold.apply(event)
    assert {response_of(turn, None).doubt for turn in fold.metrics.turns} == {str(Dispute(events[0].edge))}
    assert {turn.error_ms for turn in fold.metrics.turns} == {None}


def test_a_turn_that_nobody_answered_is_not_marked() -> None:
    call, (first, *_) = recorded("clean"), _right("clean")
    assert first.user_ended_ns is not None
    assert first.agent_began_ns is not None
    unanswered = Turn(1, user_ended_ns=first.user_ended_ns)
    following = Turn(2, began_ns=first.agent_began_ns - 40 * MS, agent_text_ns=1)
    assert call.events([unanswered, following]) == [e.EdgesCompared(at_ns=1, compared=1, disputed=0)]


def test_edges_that_cannot_be_heard_are_not_compared() -> None:
    call = recorded("clean")
    (first, *_), end_ns = call.turns, STARTS_NS + 10**15
    assert first.agent_began_ns is not None
    typed = _turn(1, STARTS_NS + 100 * MS, first.agent_began_ns)
    typed.method = "typed"
    beyond = _turn(2, end_ns, end_ns + 500 * MS)
    unmeasured = Turn(3, user_ended_ns=STARTS_NS, agent_text_ns=STARTS_NS + 500 * MS)
    assert call.events([typed, beyond, unmeasured]) == [
        e.EdgesCompared(at_ns=1, compared=1, disputed=0, left_out=2)
    ]
    assert call.events([first], until_s=time.monotonic() - 1) == [
        e.EdgesCompared(at_ns=1, compared=0, disputed=0, left_out=2)
    ]


def test_a_turn_with_a_disputed_edge_is_marked_with_both_instants_and_counted() -> None:
    fold = MetricsFold()
    fold.metrics.turns += [_turn(1, 0, 500 * MS), _turn(2, 2_000 * MS, 2_500 * MS)]
    for event in (
        e.EdgeDisputed(
            at_ns=9, turn=2, edge=e.CheckedEdge.USER_ENDED, first_ns=2_000 * MS, second_ns=2_203 * MS
        ),
        e.EdgeDisputed(at_ns=9, turn=2, edge=e.CheckedEdge.AGENT_BEGAN, first_ns=2_500 * MS),
        e.EdgesCompared(at_ns=9, compared=4, disputed=2),
    ):
        fold.apply(event)
    first, second = fold.metrics.turns
    assert not first.doubt
    assert second.doubt == (
        "a second detector finds the end of user speech 203 ms later; "
        "a second detector finds no start of the answer there"
    )
    assert [(each.first_ns, each.second_ns) for each in second.disputes] == [
        (2_000 * MS, 2_203 * MS),
        (2_500 * MS, None),
    ]
    assert (fold.metrics.edges_compared, fold.metrics.edges_disputed) == (4, 2)
