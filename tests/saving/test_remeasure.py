"""A session measured again: speech from its tracks, and what only the call itself could know from its events."""

from __future__ import annotations

import pytest

from tests.report.sessions import QUESTION_MS
from tui.models import events as e
from tui.saving.reading import SavedSession
from tui.saving.remeasure import remeasure, remeasured_events

MS = 1_000_000


def test_how_long_speech_took_to_the_socket_is_what_the_call_measured(saved: SavedSession) -> None:
    parts = remeasure(saved).turns[1].parts
    assert (parts.capture_ms, parts.sending_ms) == (15, 3)
    assert parts.agent_ms is not None
    assert [name for name, _ in parts.known()] == [
        "capture",
        "sending",
        "agent",
        "prebuffer",
        "device",
        "leading silence",
    ]


def test_edges_are_those_of_the_tracks_and_follow_events_that_are_there(saved: SavedSession) -> None:
    numbers = [event.number for event in saved.events()]
    events = list(remeasured_events(saved))
    edges = [event for event in events if isinstance(event, e.SpeechEdge)]
    assert [event.number for event in events] == sorted(event.number for event in events)
    assert {edge.number for edge in edges} <= set(numbers)
    began = [edge.at_ns for edge in edges if edge.speaker is e.Party.USER and edge.started]
    assert began == pytest.approx([QUESTION_MS * MS], abs=200 * MS)


def test_every_edge_comes_before_the_end(saved: SavedSession) -> None:
    events = list(remeasured_events(saved))
    assert isinstance(events[-1], e.StatusChanged)
    assert events[-1].new is e.Status.ENDED


def test_a_turn_belongs_to_the_events_it_has_in_the_log(saved: SavedSession) -> None:
    first, second = remeasure(saved).turns
    assert 0 < first.first_event <= first.last_event
    assert first.last_event <= second.first_event <= second.last_event


def test_an_edge_that_is_confirmed_keeps_the_instant_of_the_call(saved: SavedSession) -> None:
    live = [event for event in saved.events() if isinstance(event, e.SpeechEdge)]
    again = [event for event in remeasured_events(saved) if isinstance(event, e.SpeechEdge)]
    confirmed = [
        edge
        for edge in again
        if any(
            (edge.speaker, edge.started, edge.method) == (each.speaker, each.started, each.method)
            and abs(edge.at_ns - each.at_ns) <= 40 * MS
            for each in live
        )
    ]
    assert confirmed
    assert {edge.at_ns for edge in confirmed} <= {edge.at_ns for edge in live}
    corrected = [edge for edge in again if edge not in confirmed]
    assert corrected, "an edge that the tracks do not confirm is that of the tracks"
