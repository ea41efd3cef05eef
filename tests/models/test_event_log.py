from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import chunk, message, numbered, said, started, status
from tui.callbacks.testing import MockCallback
from tui.models import events as e
from tui.models.event_log import EventLog
from tui.models.events import Direction, Status

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


def log_of(*events: e.SessionEvent) -> EventLog:
    log = EventLog()
    for event in numbered(events):
        log.apply(event)
    return log


def summaries(log: EventLog) -> list[str]:
    return [log.summary(row) for row in log.rows]


def test_a_run_of_audio_is_one_row_per_direction() -> None:
    log = log_of(message("a"), chunk(RECEIVED), chunk(SENT), chunk(RECEIVED), chunk(SENT), chunk(RECEIVED))
    assert summaries(log) == ["summary of a", "3 × audio, 0.06 s", "2 × audio, 0.04 s"]
    assert [row.size_bytes for row in log.rows] == [10, 2700, 1800]


def test_any_other_row_ends_a_run() -> None:
    log = log_of(chunk(), message("playStream.stop"), chunk(), chunk())
    assert summaries(log) == [
        "summary of playStream.chunk",
        "summary of playStream.stop",
        "2 × audio, 0.04 s",
    ]


def test_what_restates_a_message_has_no_row_and_ends_no_run() -> None:
    log = log_of(chunk(), said(e.Speaker.USER, "hi"), e.RoundTripMeasured(at_ns=0, round_trip_ms=1), chunk())
    assert len(log.events) == 4
    assert summaries(log) == ["2 × audio, 0.04 s"]


def test_a_new_session_empties_it_and_says_so() -> None:
    log, callback = log_of(message()), MockCallback()
    log.add_clear_callback(callback)
    log.apply(started())
    callback.assert_called_once()
    assert len(log) == 1


def test_appending_is_told() -> None:
    log, callback = EventLog(), MockCallback()
    log.add_append_callback(callback)
    event = message()
    log.apply(event)
    callback.assert_called_with(event)


kinds = st.sampled_from(
    [
        chunk(RECEIVED),
        chunk(SENT),
        message("m"),
        status(Status.IDLE, Status.CONNECTING),
        said(e.Speaker.USER, "x"),
    ]
)


@given(st.lists(kinds, max_size=40))
def test_every_listed_event_is_found_in_the_row_that_shows_it(events: list[e.SessionEvent]) -> None:
    log = log_of(*events)
    for event in log.events:
        row_index = log.row_of(event.number)
        if isinstance(event, e.Transcribed):
            continue
        assert row_index is not None
        row = log.rows[row_index]
        assert log.events[row.first].number <= event.number <= log.events[row.last].number
        if isinstance(event, e.MessageLogged):
            shown = log.event(row)
            assert isinstance(shown, e.MessageLogged)
            assert (shown.kind, shown.direction) == (event.kind, event.direction)


@given(st.lists(kinds, max_size=40))
def test_rows_account_for_every_message(events: list[e.SessionEvent]) -> None:
    log = log_of(*events)
    messages = [event for event in events if isinstance(event, e.MessageLogged)]
    assert sum(row.size_bytes for row in log.rows) == sum(event.size_bytes for event in messages)
    assert sum(row.count for row in log.rows) == sum(not isinstance(event, e.Transcribed) for event in events)


def test_a_number_that_is_not_there_has_no_row() -> None:
    assert EventLog().row_of(1) is None
    assert log_of(message()).row_of(2) is None
