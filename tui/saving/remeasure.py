"""Measuring a saved session again: the speech from its tracks, the figures from its events."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from tui.audio.speech import SpeechEdge, make_detector
from tui.models import events as e
from tui.models.metrics import MetricsFold, SessionMetrics
from tui.saving.reading import SavedSession

_CHUNK_MS = 1000
_PROOF_NS = 200_000_000
"""An edge is told so long after it, as in a call: behind the events of what it belongs to."""


def remeasure(saved: SavedSession) -> SessionMetrics:
    """All figures of a session, as today's detector and today's fold see them."""
    fold = MetricsFold()
    for event in remeasured_events(saved):
        fold.apply(event)
    return fold.metrics


def remeasured_events(saved: SavedSession) -> Iterator[e.SessionEvent]:
    """The events of a session with the edges of speech found again in its tracks, at the instants they have.

    Without tracks the events are those that were saved. The edges have no number of their own.
    """
    edges = speech_edges(saved)
    if edges is None:
        yield from saved.events()
        return
    at_edge = 0
    newest_ns = 0
    for event in saved.events():
        if isinstance(event, e.SpeechEdge):
            continue
        newest_ns = max(newest_ns, event.at_ns)
        while at_edge < len(edges) and edges[at_edge].at_ns + _PROOF_NS <= newest_ns:
            yield edges[at_edge]
            at_edge += 1
        yield event
    yield from edges[at_edge:]


def speech_edges(saved: SavedSession) -> list[e.SpeechEdge] | None:
    """Where speech begins and ends on both tracks, in time; None without tracks."""
    audio = saved.audio
    if audio is None:
        return None
    detectors = {speaker: make_detector(audio.rate) for speaker in (e.Speaker.USER, e.Speaker.AGENT)}
    found: dict[e.Speaker, list[e.SpeechEdge]] = {speaker: [] for speaker in detectors}
    chunk_frames = audio.rate * _CHUNK_MS // 1000
    for first_frame in range(0, audio.frames, chunk_frames):
        pair = audio.read(first_frame, chunk_frames)
        end_ns = audio.ns_at(first_frame + len(pair.user) // 2)
        for speaker, pcm in ((e.Speaker.USER, pair.user), (e.Speaker.AGENT, pair.agent)):
            found[speaker] += _told(detectors[speaker].feed(pcm, end_ns), speaker)
    for speaker, detector in detectors.items():
        found[speaker] += _told(detector.finish(audio.ns_at(audio.frames)), speaker)
    return list(heapq.merge(*found.values(), key=lambda edge: edge.at_ns))


def _told(edges: Iterable[SpeechEdge], speaker: e.Speaker) -> list[e.SpeechEdge]:
    return [
        e.SpeechEdge(at_ns=edge.at_ns, speaker=speaker, started=edge.started, method=edge.method)
        for edge in edges
    ]
