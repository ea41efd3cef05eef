"""Tests turns and barge-ins of agents whose messages do not show when they speak."""

from __future__ import annotations

from tests.builders import (
    AGENT,
    MS,
    USER,
    active,
    at,
    begins,
    edge,
    ended,
    flushed,
    heard,
    played,
    plays,
    said,
    spoken,
    tool,
    typed,
)
from tests.models.turns.test_turns import fold
from tui.models import events as e
from tui.models.turns.audible import Audible
from tui.models.turns.turns import BargeInKind

STREAM = (begins("reply-1", 20), plays("reply-1", 100, arrived_ms=21, handed_ms=60))
"""The only reply of an agent that streams without a pause, including silence."""


def test_answers_in_an_unbroken_stream_are_measured_where_they_are_heard() -> None:
    first = (*spoken(3000, 4000), *heard(4600, 5600))
    second = (*spoken(7000, 8000), *heard(8580, 9000))
    metrics = fold(active(), *STREAM, *first, *second, ended(9500))
    assert [turn.unmeasured for turn in metrics.turns] == ["no greeting", "", ""]
    assert metrics.response_latencies_ms == [600, 580]
    assert [turn.agent_speech_ms for turn in metrics.turns] == [None, 1000, 420]
    assert metrics.barge_ins == []
    parts = metrics.turns[2].parts
    assert (parts.capture_ms, parts.sending_ms) == (30, 1)
    assert (parts.agent_ms, parts.device_ms, parts.leading_silence_ms) == (None, None, None)


def test_an_unbroken_stream_with_a_greeting_and_none_with_an_answer() -> None:
    metrics = fold(active(), *STREAM, *heard(400, 1400), *spoken(3000, 4000), ended(9000))
    assert metrics.greeting_latency_ms == 400
    assert metrics.turns[1].unmeasured == "the agent did not answer"
    assert metrics.turns_not_answered == 1


def test_a_user_who_pauses_while_silence_is_streamed_takes_one_turn() -> None:
    metrics = fold(active(), *STREAM, *spoken(3000, 4000), *spoken(5500, 6000), *heard(6500, 7000))
    assert [turn.response_latency_ms for turn in metrics.turns] == [None, 500]


def test_music_between_words_is_neither_answer_nor_talk_over() -> None:
    greeting = (*heard(500, 1500), edge(AGENT, True, 1500, method="energy"))
    answer = (
        edge(AGENT, False, 4600, method="energy"),
        *heard(4600, 5600),
        edge(AGENT, True, 5600, method="energy"),
    )
    metrics = fold(active(), *STREAM, *greeting, *spoken(3000, 4000), *answer, *spoken(8000, 9000))
    assert metrics.greeting_latency_ms == 500
    assert metrics.response_latencies_ms == [600]
    assert metrics.barge_ins == []


def test_a_tone_that_answers_is_an_answer() -> None:
    tone = (edge(AGENT, True, 4600, method="energy"), edge(AGENT, False, 5600, method="energy"))
    metrics = fold(active(), *STREAM, *spoken(3000, 4000), *tone)
    assert metrics.response_latencies_ms == [600]


def test_music_on_hold_that_lasts_is_background_until_it_ends() -> None:
    audible = Audible()
    for event in (*spoken(0, 100), edge(AGENT, True, 500, method="energy")):
        audible.apply(event)
    assert audible.heard_between(AGENT, at(9_000), at(9_000))
    assert not audible.heard_between(AGENT, at(11_000), at(11_000))
    for event in (edge(AGENT, False, 12_000, method="energy"), edge(AGENT, True, 13_000, method="energy")):
        audible.apply(event)
    assert audible.heard_between(AGENT, at(13_500), at(13_500))


def test_speech_over_the_agents_words_is_a_barge_in_and_over_its_silence_is_none() -> None:
    stream = (active(), *STREAM, edge(AGENT, True, 400))
    over_words = fold(*stream, *spoken(3000, 4500), ended(6000))
    assert [barge_in.kind for barge_in in over_words.barge_ins] == [BargeInKind.MISSED]
    cleared = fold(*stream, edge(USER, True, 3000), flushed(3200, silent_ms=3210), ended(6000))
    assert [barge_in.kind for barge_in in cleared.barge_ins] == [BargeInKind.YIELDED]
    cleared_silence = e.Flushed(at_ns=at(3202), reason="clear", unheard_ms=60, by_agent=True)
    late_end = edge(AGENT, False, 2700)
    silent = fold(*stream, edge(USER, True, 3000), cleared_silence, late_end, ended(6000))
    assert silent.barge_ins == []


def test_an_agent_that_stopped_within_a_second_has_not_missed_the_barge_in() -> None:
    stopped = fold(
        active(), *STREAM, edge(AGENT, True, 400), *spoken(3000, 4200), edge(AGENT, False, 3700), ended(6000)
    )
    assert stopped.barge_ins == []


def test_a_greeting_before_acceptance_is_a_greeting() -> None:
    early = (begins("r", 20), plays("r", 100, arrived_ms=21), edge(AGENT, True, 110))
    metrics = fold(
        *early, active(1500), edge(AGENT, False, 1900), played("r", 2000, 1900), *spoken(3000, 4000)
    )
    greeting = metrics.turns[0]
    assert (greeting.number, greeting.agent_speech_ms) == (0, 1790)
    assert greeting.unmeasured == "the greeting started before the agent accepted the session"
    assert metrics.greeting_latency_ms is None
    assert [turn.number for turn in metrics.turns] == [0, 1]


def test_where_words_are_the_answer_they_answer_typed_turns() -> None:
    metrics = fold(
        active(),
        said(AGENT, "Welcome.", at_ms=50),
        typed("hello", 1000),
        said(AGENT, "Hi.", item="a1", at_ms=1200),
        typed("bye", 3000),
        said(AGENT, "Bye.", item="a2", at_ms=3200),
        ended(4000),
    )
    assert [turn.unmeasured for turn in metrics.turns] == [
        "greeting in text",
        "answered in text",
        "answered in text",
    ]
    assert [turn.agent_text for turn in metrics.turns] == ["Welcome.", "Hi.", "Bye."]
    assert metrics.turns_not_answered == 0
    assert metrics.response_latencies_ms == []


def test_words_of_a_spoken_answer_are_not_an_answer_in_text() -> None:
    words = said(AGENT, "We open at nine.", item="r1", at_ms=4400)
    metrics = fold(
        active(), *spoken(3000, 4000), words, begins("r1", 4410), plays("r1", 4500), *heard(4510, 5000)
    )
    assert (metrics.turns[1].unmeasured, metrics.turns[1].response_latency_ms) == ("", 510)


def test_words_of_an_earlier_reply_that_come_late_are_no_answer() -> None:
    greeting = (begins("r0", 20), plays("r0", 100), *heard(110, 1100))
    late = said(AGENT, "Welcome.", item="r0", at_ms=3500)
    metrics = fold(active(), *greeting, *spoken(3000, 4000), late, *spoken(5000, 6000), ended(9000))
    assert [turn.unmeasured for turn in metrics.turns[1:]] == ["the agent did not answer"]
    assert metrics.turns[0].agent_text == "Welcome."


def test_what_is_said_before_and_after_a_tool_are_two_figures() -> None:
    filler = (begins("r1", 4400), plays("r1", 4500), *heard(4500, 5300))
    answer = (begins("r2", 8500), plays("r2", 8600), *heard(8600, 9900))
    called = (tool("c", 5400), *spoken(6000, 6500), tool("c", 8400, finished=True))
    metrics = fold(active(), *spoken(3000, 4000), *filler, *called, *answer, ended(10_000))
    assert [turn.number for turn in metrics.turns] == [0, 1], "a running tool holds its turn open"
    turn = metrics.turns[1]
    assert (turn.response_latency_ms, turn.after_tools_ms) == (500, 4600)
    assert turn.agent_speech_ms == 2100


def test_a_filler_that_is_heard_after_a_quick_tool_is_not_the_answer_after_it() -> None:
    quick = (
        begins("r1", 4400),
        tool("c", 4410),
        tool("c", 4420, finished=True),
        plays("r1", 4500),
        *heard(4500, 5300),
    )
    answer = (begins("r2", 4900), plays("r2", 5310), *heard(5900, 7000))
    turn = fold(active(), *spoken(3000, 4000), *quick, *answer).turns[1]
    assert (turn.response_latency_ms, turn.after_tools_ms) == (500, 1900)


def test_without_a_tool_or_an_answer_after_it_there_is_no_second_figure() -> None:
    asked = (active(), *spoken(3000, 4000), *heard(4500, 5300))
    called = (tool("c", 5400), tool("c", 6000, finished=True))
    assert fold(*asked).turns[1].after_tools_ms is None
    assert fold(*asked, *called, ended(9000)).turns[1].after_tools_ms is None
    next_turn = fold(*asked, *called, *spoken(7000, 8000))
    assert [turn.number for turn in next_turn.turns] == [0, 1, 2]


def test_an_answer_that_arrived_before_withheld_speech_ended_has_no_response_time() -> None:
    reply = (begins("r", 9450), plays("r", 9540, arrived_ms=9460, handed_ms=9500))
    withheld = (edge(USER, True, 7000), *reply, edge(USER, False, 9990), edge(AGENT, True, 10_450))
    turn = fold(active(), *withheld).turns[1]
    assert (turn.response_latency_ms, turn.parts.known()) == (None, [])
    assert turn.unmeasured == "the agent started before the user finished"


def test_the_parts_of_an_eager_answer_are_never_longer_than_its_response_time() -> None:
    reply = (begins("r", 9450), plays("r", 9540, arrived_ms=9460, handed_ms=9500))
    sent = (*spoken(7000, 9990)[:1], *reply, spoken(7000, 9990)[1], edge(AGENT, True, 10_450))
    turn = fold(active(), *sent).turns[1]
    assert turn.response_latency_ms == 460
    assert turn.parts.known() == [("capture", 30), ("sending", 1)]
    assert turn.unexplained_ms is None


def test_a_reply_right_after_another_needs_no_pause_to_be_an_answer() -> None:
    interrupted = (active(), *STREAM, edge(AGENT, True, 400), *spoken(3000, 3300))
    answer = (begins("r2", 3500), plays("r2", 3600, arrived_ms=3510))
    metrics = fold(*interrupted, *answer, edge(AGENT, False, 5000))
    assert metrics.turns[1].response_latency_ms == 300
    assert [turn.agent_speech_ms for turn in metrics.turns] == [3200, 1400]
    # If its first words follow a silence, it is heard from their onset.
    late = fold(*interrupted, *answer, edge(AGENT, False, 3310), *heard(4100, 5000))
    assert late.turns[1].response_latency_ms == 800
    assert [turn.agent_speech_ms for turn in late.turns] == [2910, 900]


def test_a_reply_cut_off_before_it_was_heard_is_no_answer() -> None:
    cut = (begins("r", 4400), said(AGENT, "We", item="r", at_ms=4410), played("r", 4500, 0, 700))
    turn = fold(active(), *spoken(3000, 4000), *cut, ended(9000)).turns[1]
    assert turn.unmeasured == "the answer was cut off before it was heard"


def test_last_heard_ignores_music_on_hold() -> None:
    audible = Audible()
    for event in (*heard(0, 1000), edge(AGENT, True, 1000, method="energy")):
        audible.apply(event)
    assert audible.last_heard_ns(AGENT, 5000 * MS) == 1000 * MS
    audible.apply(edge(USER, True, 2000))
    assert audible.last_heard_ns(USER, 5000 * MS) == 5000 * MS


def test_the_end_of_a_sound_that_never_began_counts_nothing() -> None:
    metrics = fold(active(), edge(AGENT, False, 500), *spoken(3000, 4000), edge(AGENT, False, 4500))
    assert [turn.agent_speech_ms for turn in metrics.turns] == [None, None]
