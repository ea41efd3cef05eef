from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import chunk, delta, error, finding, loss, message, said, started
from tests.models.log.event_logs import RECEIVED, SENT, event_lists, log_of
from tui.callbacks.testing import MockCallback
from tui.models import events as e
from tui.models.log import event_log, export
from tui.models.log import pairs as event_pairs
from tui.models.log import search as event_search
from tui.models.log.describe import UNLISTED, describe
from tui.models.log.event_log import EventLog, Row
from tui.protocols.log_rules import LogRules


def summaries(log: EventLog) -> list[str]:
    return [log.summary(row) for row in log.rows]


def test_a_run_of_audio_is_one_row_per_direction() -> None:
    log = log_of(message("a"), chunk(RECEIVED), chunk(SENT), chunk(RECEIVED), chunk(SENT), chunk(RECEIVED))
    assert summaries(log) == ["summary of a", "3 × audio, 0.06 s", "2 × audio, 0.04 s"]
    assert [row.size_bytes for row in log.rows] == [10, 2700, 1800]


def test_a_run_shows_its_rate() -> None:
    assert summaries(log_of(*(chunk(at_ms=20 * n) for n in range(51)))) == ["51 × audio, 1.02 s, 50/s"]
    assert summaries(log_of(*(delta("a word", at_ms=300 * n) for n in range(3)))) == ["a word (×3, 3.33/s)"]


def test_a_run_of_no_measurable_length_has_no_rate() -> None:
    assert summaries(log_of(delta("a", at_ms=5), delta("b", at_ms=5), delta("c", at_ms=4))) == ["c (×3)"]


@pytest.mark.parametrize(
    ("protocol", "kind", "rows"),
    [
        ("openai", "response.output_text.delta", 1),
        ("openai", "input_audio_buffer.append", 1),
        ("audiocodes", "userStream.speech.hypothesis", 1),
        ("audiocodes", "response.output_text.delta", 3),
        ("twilio", "media", 1),
        ("elevenlabs", "user_audio_chunk", 1),
        ("gemini", "realtimeInput.audio", 1),
        ("pcm", "any.chunk", 1),
        ("pcm", "ping", 3),
        ("./mine.py", "say", 1),
        ("./mine.py", "said", 3),
    ],
)
def test_the_protocol_decides_which_messages_without_audio_fold(protocol: str, kind: str, rows: int) -> None:
    begun = msgspec.structs.replace(started(), protocol=protocol, log_rules=LogRules(runs=("say",)))
    assert len(log_of(begun, *[message(kind)] * 3)) == 1 + rows


def test_any_other_row_ends_a_run() -> None:
    log = log_of(chunk(), message("playStream.stop"), chunk(), chunk())
    assert summaries(log) == [
        "summary of playStream.chunk",
        "summary of playStream.stop",
        "2 × audio, 0.04 s",
    ]


def test_an_event_that_restates_a_message_has_no_row_and_ends_no_run() -> None:
    log = log_of(chunk(), said(e.Party.USER, "hi"), e.RoundTripMeasured(at_ns=0, round_trip_ms=1), chunk())
    assert len(log.events) == 4
    assert summaries(log) == ["2 × audio, 0.04 s"]
    assert log.members(0) == [0, 3]
    assert log.row_of(2) == 0, "the row before it stands for it"
    assert log_of(said(e.Party.USER, "hi")).row_of(1) is None


def test_a_new_session_empties_the_log_and_notifies() -> None:
    log, callback = log_of(message()), MockCallback()
    before = log.events
    log.add_clear_callback(callback)
    log.apply(started())
    callback.assert_called_once()
    assert len(log) == 1
    assert log.events is not before


def test_appending_fires_the_callback() -> None:
    log, callback = EventLog(), MockCallback()
    log.add_append_callback(callback)
    event = message()
    log.apply(event)
    callback.assert_called_with(event)


def test_kinds_are_listed_once_in_order() -> None:
    log = log_of(message("b"), message("a"), message("b", SENT), error())
    assert list(log.kinds()) == ["b", "a", "error"]
    log.apply(said(e.Party.USER, "hello"))
    assert list(log.kinds()) == ["b", "a", "error"], "what restates a message has no row to be found"


def test_rows_and_events_can_be_sliced_and_counted_from_the_end() -> None:
    log = log_of(message("a"), message("b", size_bytes=7))
    assert log.rows[-1] == log.rows[1] == Row(1, 1, 1, 1, 0.0, 7)
    assert log.rows[0:2] == list(log.rows)
    assert log.events[-1:] == [log.events[1]]
    with pytest.raises(IndexError):
        log.rows[2]
    with pytest.raises(IndexError):
        log.events[2]


@given(event_lists())
def test_events_come_out_as_they_went_in(events: list[e.SessionEvent]) -> None:
    log = log_of(*events)
    assert log.events == events
    assert list(log.events) == events
    for text, event in zip(log.events.texts, events, strict=True):
        assert text == ("" if isinstance(event, UNLISTED) else describe(event).summary)


@given(event_lists())
def test_every_listed_event_is_found_in_the_row_that_shows_it(events: list[e.SessionEvent]) -> None:
    log = log_of(*events)
    for event in log.events:
        row_index = log.row_of(event.number)
        if isinstance(event, UNLISTED):
            continue
        assert row_index is not None
        row = log.rows[row_index]
        assert event in [log.events[index] for index in log.members(row_index)]
        assert row.index == row_index
        if isinstance(event, e.MessageLogged):
            shown = log.event(row)
            assert isinstance(shown, e.MessageLogged)
            assert (shown.kind, shown.direction) == (event.kind, event.direction)


@given(event_lists())
def test_rows_account_for_every_message(events: list[e.SessionEvent]) -> None:
    log = log_of(*events)
    messages = [event for event in events if isinstance(event, e.MessageLogged)]
    assert sum(row.size_bytes for row in log.rows) == sum(event.size_bytes for event in messages)
    assert sum(row.count for row in log.rows) == sum(not isinstance(event, UNLISTED) for event in events)
    assert [row.count for row in log.rows] == [len(log.members(row.index)) for row in log.rows]


def test_a_number_that_is_not_there_has_no_row() -> None:
    assert EventLog().row_of(1) is None
    assert log_of(message()).row_of(2) is None


@given(st.lists(st.integers(1, 5), max_size=20))
def test_numbers_may_have_gaps(steps: list[int]) -> None:
    log, number = EventLog(), 0
    numbers = []
    for step in steps:
        number += step
        numbers.append(number)
        log.apply(e.NoticeRaised(number=number, at_ns=0, text=str(number)))
    for wanted in range(number + 2):
        index = log.events.find(wanted)
        assert index == (numbers.index(wanted) if wanted in numbers else None)


def test_a_full_log_counts_omitted_messages_and_shows_a_notice() -> None:
    log = log_of(*(message(f"kind {n}") for n in range(200)), max_bytes=5000)
    listed = len(log.events) - 1
    assert 5 < listed < 100
    assert log.left_out == 200 - listed
    notice = log.events[-1]
    assert isinstance(notice, e.NoticeRaised)
    assert "full" in notice.text
    assert log.limit_notice == f"the log is full (0 MB): {log.left_out} events are not listed"


def test_a_full_log_still_lists_other_events() -> None:
    log = log_of(message(), message(), error(), finding(), loss(), max_bytes=0)
    kinds = [type(event) for event in log.events]
    assert kinds == [e.NoticeRaised, e.ErrorRaised, e.FindingRaised, e.LossCounted]
    assert log.left_out == 2
    log.apply(started())
    assert (log.left_out, log.limit_notice) == (0, "")


def test_at_the_very_end_it_leaves_out_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "RESERVED_BYTES", 0)
    log = log_of(error(), error(), max_bytes=0)
    assert (len(log.events), log.left_out) == (1, 2)


def test_kinds_that_an_agent_invents_count_as_held() -> None:
    one, many = EventLog(), EventLog()
    for n in range(1, 500):
        one.apply(e.MessageLogged(number=n, at_ns=0, direction=RECEIVED, kind="m", summary="x"))
        many.apply(e.MessageLogged(number=n, at_ns=0, direction=RECEIVED, kind=f"m{n}", summary="x"))
    assert many.events.held_bytes - one.events.held_bytes > 300 * 498


def test_the_bytes_held_are_estimated_with_equal_texts_counted_once() -> None:
    same, different = EventLog(), EventLog()
    for n in range(1, 500):
        same.apply(e.MessageLogged(number=n, at_ns=0, direction=SENT, kind="m", summary="x" * 100))
        different.apply(e.MessageLogged(number=n, at_ns=0, direction=SENT, kind="m", summary=f"{n:0100}"))
    assert same.events.held_bytes < 110 * 500 < 200 * 500 < different.events.held_bytes


def test_the_models_of_the_log_do_without_numpy_and_textual() -> None:
    modules = [module.__name__ for module in (event_log, event_pairs, event_search, export)]
    code = f"import sys, {', '.join(modules)}; sys.exit(bool({{'numpy', 'textual'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_event_is_kept_as_it_came() -> None:
    shortened = e.MessageLogged(
        number=2, at_ns=5, direction=e.Direction.SENT, kind="k", size_bytes=900, offset=7, kept_bytes=90
    )
    whole = e.MessageLogged(number=3, at_ns=6, direction=e.Direction.SENT, kind="k", size_bytes=9, offset=97)
    log = EventLog()
    for event in (started(), shortened, whole):
        log.apply(event)
    assert list(log.events)[1:] == [shortened, whole]


def test_a_rate_of_thousands_is_written_out() -> None:
    assert summaries(log_of(chunk(at_ms=0), chunk(at_ms=0.5))) == ["2 × audio, 0.04 s, 2,000/s"]


@pytest.mark.parametrize(
    ("protocol", "audio", "mark"),
    [("twilio", "media", "mark"), ("audiocodes", "playStream.chunk", "playStream.mark.set")],
)
def test_marks_between_chunks_fold_into_a_run_as_the_chunks_do(protocol: str, audio: str, mark: str) -> None:
    events: list[e.SessionEvent] = [msgspec.structs.replace(started(), protocol=protocol)]
    for number in range(50):
        events += [message(audio, at_ms=number * 20, audio_ms=20), message(mark, at_ms=number * 20 + 1)]
    log = log_of(*events)
    assert [(row.count, log.events.shape(row.last).kind) for row in log.rows][1:] == [(50, audio), (50, mark)]
