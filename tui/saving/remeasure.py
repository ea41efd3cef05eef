"""Remeasures a saved session: finds speech in its tracks and computes the figures from its events."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tui.audio.speech import TrackEdge, make_detector
from tui.models import events as e
from tui.models.turns.metrics import MetricsFold, SessionMetrics
from tui.saving.reading import SavedSession
from tui.saving.second_opinion import compare_edges

_CHUNK_MS = 1000
_SAME_NS = 300_000_000
"""Edges from two detectors that are closer than this, in ns, count as the same edge.

Edges from which response times are measured keep the call's times, which come from the device's callbacks. If
the track has the edge elsewhere, `compare_edges` marks the call's edge as disputed, also on the screen.
"""
_AGREES_NS = 40_000_000
"""Any other edge of the track that is this close to an edge of the call, in ns, confirms that edge.

Detectors judge windows of 32 ms, which may start at different samples.
"""
_PROOF_NS = 200_000_000
"""Delay of an edge's event in ns, as in a call. The event then follows the events on which it depends."""


def remeasure(saved: SavedSession) -> SessionMetrics:
    """Returns all figures of a session, computed with the current detector and rules."""
    fold = MetricsFold()
    for _ in remeasured_events(saved, fold):
        pass
    fold.metrics.audio_starts_ns = saved.audio.starts_ns if saved.audio else None
    return fold.metrics


def remeasured_events(saved: SavedSession, fold: MetricsFold) -> Iterator[e.SessionEvent]:
    """Yields a session's events, but with edges of speech that are newly detected in its tracks.

    Each event is folded before it is yielded, because the second detector examines the edges of the turns
    found so far. If a new edge confirms an edge of the call, the edge of the call is kept, so that the
    figures stay the same. Without tracks, yields the saved events. A new edge gets the number of the previous
    event.
    """
    for event in _events_again(saved, fold):
        fold.apply(event)
        yield event


def _events_again(saved: SavedSession, fold: MetricsFold) -> Iterator[e.SessionEvent]:
    audio, edges = saved.audio, speech_edges(saved)
    if audio is None or edges is None:
        yield from saved.events()
        return
    live = [event for event in saved.events() if isinstance(event, e.SpeechEdge)]
    edges = _confirming(_with_their_way(edges, live), live)
    at_edge = number = newest_ns = 0
    for event in saved.events():
        if isinstance(event, e.SpeechEdge | e.EdgeDisputed | e.EdgesCompared):
            continue
        newest_ns = max(newest_ns, event.at_ns)
        ends = isinstance(event, e.StatusChanged) and event.new in (e.Status.ENDED, e.Status.ERROR)
        while at_edge < len(edges) and (ends or edges[at_edge].at_ns + _PROOF_NS <= newest_ns):
            yield msgspec.structs.replace(edges[at_edge], number=number)
            at_edge += 1
        number = event.number
        yield event
    for edge in edges[at_edge:]:
        yield msgspec.structs.replace(edge, number=number)
    for compared in compare_edges(audio, fold.metrics.turns, at_ns=newest_ns):
        yield msgspec.structs.replace(compared, number=number)


def speech_edges(saved: SavedSession) -> list[e.SpeechEdge] | None:
    """Returns the edges of speech, and of other agent sounds, that are found in the tracks.

    The edges are in order of time. Returns None without tracks.
    """
    audio = saved.audio
    if audio is None:
        return None
    detectors = {
        speaker: make_detector(audio.rate, other_sounds=speaker is e.Party.AGENT)
        for speaker in (e.Party.USER, e.Party.AGENT)
    }
    found: dict[e.Party, list[e.SpeechEdge]] = {speaker: [] for speaker in detectors}
    chunk_frames = audio.rate * _CHUNK_MS // 1000
    for first_frame in range(0, audio.frames, chunk_frames):
        pair = audio.read(first_frame, chunk_frames)
        end_ns = audio.ns_at(first_frame + len(pair.user) // 2)
        for speaker, pcm in ((e.Party.USER, pair.user), (e.Party.AGENT, pair.agent)):
            found[speaker] += _events_of(detectors[speaker].feed(pcm, end_ns), speaker)
    for speaker, detector in detectors.items():
        found[speaker] += _events_of(detector.finish(audio.ns_at(audio.frames)), speaker)
    return list(heapq.merge(*found.values(), key=lambda edge: edge.at_ns))


def _with_their_way(edges: Iterable[e.SpeechEdge], live: Sequence[e.SpeechEdge]) -> list[e.SpeechEdge]:
    """Adds the delays from sample to socket, which the call measured, to the user's edges."""
    ways = {
        started: sorted(
            (edge for edge in live if edge.started is started and edge.captured_ns is not None),
            key=_at_ns,
        )
        for started in (True, False)
    }
    return [
        _on_the_way_of(edge, ways[edge.started]) if edge.speaker is e.Party.USER else edge for edge in edges
    ]


def _on_the_way_of(edge: e.SpeechEdge, ways: Sequence[e.SpeechEdge]) -> e.SpeechEdge:
    place = bisect_left(ways, edge.at_ns, key=_at_ns)
    near = [way for way in ways[max(place - 1, 0) : place + 1] if abs(way.at_ns - edge.at_ns) <= _SAME_NS]
    if not near:
        return edge
    way = min(near, key=lambda way: abs(way.at_ns - edge.at_ns))
    moved_ns = edge.at_ns - way.at_ns
    captured_ns, framed_ns, sent_ns = (
        None if at_ns is None else at_ns + moved_ns for at_ns in (way.captured_ns, way.framed_ns, way.sent_ns)
    )
    return msgspec.structs.replace(edge, captured_ns=captured_ns, framed_ns=framed_ns, sent_ns=sent_ns)


def _confirming(edges: Sequence[e.SpeechEdge], live: Iterable[e.SpeechEdge]) -> list[e.SpeechEdge]:
    """Replaces each edge that confirms an edge of the call by that edge.

    Returns the edges in order of time.
    """
    kinds: dict[tuple[e.Party, bool], list[e.SpeechEdge]] = {}
    for edge in live:
        kinds.setdefault((edge.speaker, edge.started), []).append(edge)
    for same in kinds.values():
        same.sort(key=_at_ns)
    return sorted(
        (_confirmed(edge, kinds.get((edge.speaker, edge.started), [])) for edge in edges), key=_at_ns
    )


def _confirmed(edge: e.SpeechEdge, live: Sequence[e.SpeechEdge]) -> e.SpeechEdge:
    place = bisect_left(live, edge.at_ns, key=_at_ns)
    near = live[max(place - 1, 0) : place + 1]
    nearest = min(near, key=lambda each: abs(each.at_ns - edge.at_ns), default=None)
    of_response = edge.started is (edge.speaker is e.Party.AGENT)
    agrees = nearest is not None and abs(nearest.at_ns - edge.at_ns) <= (
        _SAME_NS if of_response else _AGREES_NS
    )
    return nearest if nearest is not None and agrees and nearest.method == edge.method else edge


def _at_ns(edge: e.SpeechEdge) -> int:
    return edge.at_ns


def _events_of(edges: Iterable[TrackEdge], speaker: e.Party) -> list[e.SpeechEdge]:
    return [
        e.SpeechEdge(at_ns=edge.at_ns, speaker=speaker, started=edge.started, method=edge.method)
        for edge in edges
    ]
