from __future__ import annotations

from hypothesis import given

from tests.builders import AGENT, USER, begins, edge, ends, message, plays, started, user_speaks
from tests.models.log.event_logs import event_lists, log_of
from tui.models import events as e
from tui.models.turns.turn_fold import TurnIndex


def turns_of(*events: e.SessionEvent) -> list[int]:
    log = log_of(*events)
    return [log.turns.turn_of(index) for index in range(len(events))]


def test_the_greeting_is_turn_0() -> None:
    assert turns_of(started(), begins(), ends(), user_speaks(), message()) == [0, 0, 0, 1, 1]


def test_a_turn_ends_when_the_user_speaks_after_an_answer() -> None:
    assert turns_of(user_speaks(), begins(), user_speaks(), begins(), ends(), user_speaks()) == [
        1,
        1,
        2,
        2,
        2,
        3,
    ]


def test_speech_that_is_reported_twice_or_goes_on_is_one_turn() -> None:
    events = (user_speaks(), edge(USER), edge(USER, started=False), edge(USER), user_speaks())
    assert turns_of(*events) == [1] * 5


def test_agent_speech_that_was_only_heard_is_an_answer_too() -> None:
    assert turns_of(user_speaks(), edge(AGENT), edge(USER)) == [1, 1, 2]
    assert turns_of(user_speaks(), plays(), user_speaks()) == [1, 1, 2]
    assert turns_of(user_speaks(), edge(AGENT, started=False), user_speaks()) == [1, 1, 1]


def test_earlier_agent_sound_that_is_reported_late_is_not_an_answer() -> None:
    greeting = (plays(at_ms=500), edge(USER, at_ms=800), edge(AGENT, at_ms=510))
    assert turns_of(*greeting, user_speaks()) == [0, 1, 1, 1]
    assert turns_of(*greeting, edge(AGENT, at_ms=900), user_speaks()) == [0, 1, 1, 1, 2]


def test_keys_pressed_one_after_another_are_one_turn_until_they_are_answered() -> None:
    key = e.KeysPressed(at_ns=0, digits="5")
    assert turns_of(begins(), key, key, begins(), key) == [0, 1, 1, 1, 2]


def test_where_turns_begin() -> None:
    log = log_of(started(), user_speaks(), begins(), user_speaks())
    assert [log.turns.start_of(turn) for turn in range(-1, 4)] == [None, 0, 1, 3, None]


@given(event_lists())
def test_no_later_event_changes_the_turn_of_an_earlier_one(events: list[e.SessionEvent]) -> None:
    turns, seen = TurnIndex(), []
    for index, event in enumerate(events):
        turns.apply(index, event)
        seen.append(turns.turn_of(index))
    assert seen == sorted(seen)
    assert seen == [turns.turn_of(index) for index in range(len(events))]
