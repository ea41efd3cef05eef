"""Uses the second detector to check the edges from which the response times of a session are measured."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from tui.audio.second_detector import SoundFound, sounds_in
from tui.models import events as e
from tui.models.turns.turns import Turn
from tui.saving.saved_audio import SavedAudio
from tui.units import NS_PER_MS

TOLERANCE_MS = 30.0
"""Largest distance of a confirmed edge from the interval in which the second detector finds it.

With this tolerance, under 1 % of the correct edges of the recorded lines and prompts are disputed (clean,
with noise at 15 dB, and as mu-law).
"""
_BEFORE_NS, _AFTER_NS = 2_500_000_000, 1_500_000_000
"""The period examined around an edge, which is long enough to determine the noise floor."""
_LONGEST_NS = 15_000_000_000
_MISSED_MS = 250.0
"""Shortest sound between the two edges that counts as missed. A shorter sound may be a breath."""
_NOT_SOUND = ("typed", "keys")


class _Around(NamedTuple):
    """The sounds on one track near an edge. Times are in ms relative to the edge."""

    sounds: Sequence[SoundFound]

    def begin_off_ms(self) -> float | None:
        """Returns how much later than the edge the nearest sound begins; 0 if within the tolerance.

        Returns None if there are no sounds.
        """
        return self._off_ms([(sound.may_begin_ms, sound.begins_ms) for sound in self.sounds])

    def end_off_ms(self) -> float | None:
        """Returns how much later than the edge the nearest sound ends; 0 if within the tolerance.

        Returns None if there are no sounds.
        """
        return self._off_ms([(sound.ends_ms, sound.may_end_ms) for sound in self.sounds])

    def missed(self, since_ms: float, until_ms: float) -> list[SoundFound]:
        """Returns the sounds of at least `_MISSED_MS` that lie between two times, in order."""
        return [
            sound
            for sound in self.sounds
            if sound.length_ms >= _MISSED_MS
            and sound.may_begin_ms > since_ms + TOLERANCE_MS
            and sound.may_end_ms < until_ms - TOLERANCE_MS
        ]

    def _off_ms(self, intervals: Sequence[tuple[float, float]]) -> float | None:
        offsets_ms = [first_ms if first_ms > 0 else min(last_ms, 0.0) for first_ms, last_ms in intervals]
        nearest_ms = min(offsets_ms, key=abs, default=None)
        if nearest_ms is None:
            return None
        return nearest_ms if abs(nearest_ms) > TOLERANCE_MS else 0.0


def compare_edges(
    audio: SavedAudio, turns: Sequence[Turn], *, at_ns: int, until_s: float = inf
) -> list[e.SessionEvent]:
    """Returns an event for each edge that the second detector does not confirm, then an `EdgesCompared` event.

    Checks the edges of measured turns. All events have the time ``at_ns``. Edges that are not checked before
    ``until_s`` (`time.monotonic`) are only counted. Do not call this on an event loop: reading the tracks
    takes about 10 ms per turn. Raises `OSError`.
    """
    disputed: list[e.SessionEvent] = []
    compared = left_out = 0
    for number, turn in enumerate(turns):
        edges = _edges_of(turn)
        gap = (
            None
            if edges
            else _gap_of(turn, turns[max(number - 1, 0) : number], turns[number + 1 : number + 2])
        )
        if gap and _has(audio, gap.edge_ns) and time.monotonic() <= until_s:
            compared += 1
            if (second_ns := _missed_in(audio, gap)) is not None:
                disputed.append(
                    e.EdgeDisputed(at_ns=at_ns, turn=turn.number, edge=gap.edge, second_ns=second_ns)
                )
        if not edges:
            continue
        if time.monotonic() > until_s or not all(_has(audio, edge_ns) for edge_ns in edges.values()):
            left_out += len(edges)
            continue
        compared += len(edges)
        for edge, second_ns in _disputes(audio, edges):
            disputed.append(
                e.EdgeDisputed(
                    at_ns=at_ns, turn=turn.number, edge=edge, first_ns=edges[edge], second_ns=second_ns
                )
            )
    if not compared and not left_out:
        return []
    counts = e.EdgesCompared(at_ns=at_ns, compared=compared, disputed=len(disputed), left_out=left_out)
    return [*disputed, counts]


class _Gap(NamedTuple):
    """A period that contains an edge of a turn if the first detector missed the edge."""

    edge: e.CheckedEdge
    since_ns: int
    until_ns: int

    @property
    def edge_ns(self) -> int:
        """Time of the other party's edge, from which the search for the missing edge starts."""
        return self.since_ns if self.edge is e.CheckedEdge.AGENT_BEGAN else self.until_ns


def _gap_of(turn: Turn, previous: Sequence[Turn], following: Sequence[Turn]) -> _Gap | None:
    """Returns the period in which the first detector may have missed an edge of a turn; None if no edge is missing.

    ``previous`` and ``following`` contain the neighboring turn, if there is one.
    """
    if not turn.number or turn.agent_text_ns is not None or turn.interrupted or turn.method in _NOT_SOUND:
        return None
    user_ns, agent_ns = turn.user_ended_ns, turn.agent_began_ns
    if user_ns is not None and agent_ns is None:
        begins_ns = [next_turn.began_ns for next_turn in following if next_turn.began_ns is not None]
        return _Gap(e.CheckedEdge.AGENT_BEGAN, user_ns, min([user_ns + _LONGEST_NS, *begins_ns]))
    if user_ns is None and agent_ns is not None:
        answers_ns = [last.agent_began_ns for last in previous if last.agent_began_ns is not None]
        return _Gap(e.CheckedEdge.USER_ENDED, max([agent_ns - _LONGEST_NS, *answers_ns]), agent_ns)
    return None


def _missed_in(audio: SavedAudio, gap: _Gap) -> int | None:
    """Returns the time of the missing edge, if the gap contains a missed sound; otherwise None."""
    is_of_agent = gap.edge is e.CheckedEdge.AGENT_BEGAN
    party = e.Party.AGENT if is_of_agent else e.Party.USER
    stretch = _stretch(audio, party, gap.edge_ns, gap.since_ns, gap.until_ns)
    found = stretch.missed(*((at_ns - gap.edge_ns) / NS_PER_MS for at_ns in (gap.since_ns, gap.until_ns)))
    if not found:
        return None
    return _moved(gap.edge_ns, found[0].begins_ms if is_of_agent else found[-1].ends_ms)


def _edges_of(turn: Turn) -> dict[e.CheckedEdge, int]:
    """Returns the edges of audible sound from which the response time of a turn is measured."""
    edges: dict[e.CheckedEdge, int] = {}
    if turn.response_latency_ms is None:
        return edges
    # Audio withheld from the agent is silence on the user's track.
    withheld = turn.parts.capture_ms is not None and turn.parts.sending_ms is None
    if turn.number and turn.user_ended_ns is not None and turn.method not in _NOT_SOUND and not withheld:
        edges[e.CheckedEdge.USER_ENDED] = turn.user_ended_ns
    if turn.agent_began_ns is not None:
        edges[e.CheckedEdge.AGENT_BEGAN] = turn.agent_began_ns
    return edges


def _has(audio: SavedAudio, at_ns: int) -> bool:
    return 0 <= audio.frame_at(at_ns) <= audio.frames


def _disputes(
    audio: SavedAudio, edges: dict[e.CheckedEdge, int]
) -> Iterator[tuple[e.CheckedEdge, int | None]]:
    """Yields each edge that the second detector does not confirm, with the time at which it finds the edge.

    The time is None if the second detector finds no edge.
    """
    user_ns, agent_ns = edges.get(e.CheckedEdge.USER_ENDED), edges.get(e.CheckedEdge.AGENT_BEGAN)
    if user_ns is not None:
        until_ns = user_ns if agent_ns is None else min(agent_ns, user_ns + _LONGEST_NS)
        stretch = _stretch(audio, e.Party.USER, user_ns, user_ns, until_ns)
        missed = stretch.missed(0, (until_ns - user_ns) / NS_PER_MS)
        off_ms = missed[-1].ends_ms if missed else stretch.end_off_ms()
        if off_ms != 0:
            yield e.CheckedEdge.USER_ENDED, _moved(user_ns, off_ms)
    if agent_ns is not None:
        since_ns = agent_ns if user_ns is None else max(user_ns, agent_ns - _LONGEST_NS)
        stretch = _stretch(audio, e.Party.AGENT, agent_ns, since_ns, agent_ns)
        missed = stretch.missed((since_ns - agent_ns) / NS_PER_MS, 0)
        off_ms = missed[0].begins_ms if missed else stretch.begin_off_ms()
        if off_ms != 0:
            yield e.CheckedEdge.AGENT_BEGAN, _moved(agent_ns, off_ms)


def _moved(edge_ns: int, off_ms: float | None) -> int | None:
    return None if off_ms is None else edge_ns + round(off_ms * NS_PER_MS)


def _stretch(audio: SavedAudio, party: e.Party, edge_ns: int, since_ns: int, until_ns: int) -> _Around:
    """Returns the sounds near an edge, for a period that includes ``since_ns`` and ``until_ns``."""
    first_frame = max(audio.frame_at(min(edge_ns - _BEFORE_NS, since_ns)), 0)
    last_frame = audio.frame_at(max(edge_ns + _AFTER_NS, until_ns))
    pair = audio.read(first_frame, last_frame - first_frame)
    pcm = pair.user if party is e.Party.USER else pair.agent
    edge_ms = (edge_ns - audio.ns_at(first_frame)) / NS_PER_MS
    return _Around([SoundFound(*(ms - edge_ms for ms in sound)) for sound in sounds_in(pcm, audio.rate)])
