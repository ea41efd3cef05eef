"""Tests remeasuring a session: speech from its tracks, and from its events what only the call could know."""

from __future__ import annotations

import pytest

from tests.report.sessions import QUESTION_MS
from tui.models import events as e
from tui.models.turns.floor_figures import floor_figures
from tui.models.turns.metrics import MetricsFold
from tui.saving.reading import SavedSession
from tui.saving.remeasure import remeasure, remeasured_events, speech_edges

MS = 1_000_000


def test_how_long_speech_took_to_the_socket_is_what_the_call_measured(saved: SavedSession) -> None:
    parts = remeasure(saved).turns[1].parts
    assert (parts.capture_ms, parts.sending_ms) == (15, 3)
    assert parts.agent_ms is not None
    measured = ["capture", "sending", "agent", "prebuffer", "device", "leading silence"]
    assert [name for name, _ in parts.known()] == measured


def test_edges_are_those_of_the_tracks_and_follow_events_that_are_there(saved: SavedSession) -> None:
    numbers = [event.number for event in saved.events()]
    events = list(remeasured_events(saved, MetricsFold()))
    edges = [event for event in events if isinstance(event, e.SpeechEdge)]
    assert [event.number for event in events] == sorted(event.number for event in events)
    assert {edge.number for edge in edges} <= set(numbers)
    began = [edge.at_ns for edge in edges if edge.speaker is e.Party.USER and edge.started]
    assert began == pytest.approx([QUESTION_MS * MS], abs=200 * MS)


def test_every_edge_comes_before_the_end(saved: SavedSession) -> None:
    events = list(remeasured_events(saved, MetricsFold()))
    ended = next(
        event for event in events if isinstance(event, e.StatusChanged) and event.new is e.Status.ENDED
    )
    assert not any(isinstance(event, e.SpeechEdge) for event in events[events.index(ended) :])


def test_a_turn_belongs_to_the_events_it_has_in_the_log(saved: SavedSession) -> None:
    first, second = remeasure(saved).turns
    assert 0 < first.first_event <= first.last_event
    assert first.last_event <= second.first_event <= second.last_event


def test_the_call_dates_the_edges_so_that_the_screen_and_the_disk_show_the_same_figures(
    saved: SavedSession,
) -> None:
    live = {event.at_ns for event in saved.events() if isinstance(event, e.SpeechEdge)}
    on_tracks = {edge.at_ns for edge in speech_edges(saved) or []}
    assert on_tracks - live, "the tracks have them elsewhere"
    shown = MetricsFold()
    for event in saved.events():
        shown.apply(event)
    again = remeasure(saved)
    for before, after in zip(shown.metrics.turns, again.turns, strict=True):
        assert before.response_latency_ms is not None
        assert after.response_latency_ms == pytest.approx(before.response_latency_ms, abs=2)
    figures = floor_figures(again.floor, again.timing)
    assert figures == floor_figures(shown.metrics.floor, shown.metrics.timing)
    assert figures.agent.offsets == 1


def test_a_call_whose_edges_the_tracks_do_not_have_is_marked_when_it_is_measured_again(
    saved: SavedSession,
) -> None:
    # The fixture places the end of the question at its last sample, after more silence than the tolerance.
    again = remeasure(saved)
    assert again.edges_compared == 3
    assert again.edges_disputed == sum(len(turn.disputes) for turn in again.turns)
    assert all(bool(turn.doubt) == bool(turn.disputes) for turn in again.turns)
