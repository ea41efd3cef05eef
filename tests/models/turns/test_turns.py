from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from tests.builders import (
    AGENT,
    USER,
    active,
    answered,
    at,
    begins,
    edge,
    ended,
    flushed,
    heard,
    loss,
    numbered,
    played,
    plays,
    said,
    speaks,
    spoken,
    tool,
    typed,
    user_speaks,
)
from tests.models.log.event_logs import event_lists, log_of
from tui.models import events as e
from tui.models.turns.metrics import MetricsFold, SessionMetrics
from tui.models.turns.turns import BargeIn, BargeInKind, DeadAir, Percentiles, percentile, percentiles_of


def fold(*events: e.SessionEvent) -> SessionMetrics:
    folder = MetricsFold()
    for event in numbered(events):
        folder.apply(event)
    return folder.metrics


def test_the_parts_of_a_latency_follow_one_another_and_sum_up_to_it() -> None:
    ping = e.RoundTripMeasured(at_ns=at(500), round_trip_ms=4)
    metrics = fold(active(), ping, *spoken(1000, 2000), *answered("r1", 2700))
    turn = metrics.turns[1]
    assert turn.response_latency_ms == 715
    parts = turn.parts
    assert (parts.capture_ms, parts.sending_ms, parts.agent_ms, parts.transport_ms) == (30, 1, 516, 4)
    assert (parts.prebuffer_ms, parts.device_ms, parts.leading_silence_ms) == (89, 60, 15)
    assert sum(length for _, length in parts.known()) == 715
    assert [name for name, _ in parts.known()][:2] == ["capture", "sending"]


def test_audio_that_waits_for_a_whole_message_is_a_part_of_its_own() -> None:
    began, ended_at = spoken(1000, 2000)
    held = msgspec.structs.replace(ended_at, captured_ns=at(2030), framed_ns=at(2180), sent_ns=at(2181))
    parts = fold(active(), began, held, *answered("r1", 2700)).turns[1].parts
    assert (parts.capture_ms, parts.framing_ms, parts.sending_ms) == (30, 150, 1)
    assert parts.to_agent_ms == 181
    assert sum(length for _, length in parts.known()) == 715


def test_a_turn_has_its_words_and_their_durations() -> None:
    call = tool("c1", 2300, name="weather")
    metrics = fold(
        active(),
        *spoken(1000, 2000),
        said(USER, "What is the", final=False, at_ms=2100),
        said(USER, "What is the weather?", at_ms=2200),
        call,
        *answered("r1", 2700, 800),
        said(AGENT, "It rains.", item="r1", at_ms=2800),
    )
    turn = metrics.turns[1]
    assert (turn.number, turn.user_speech_ms, turn.agent_speech_ms, turn.method) == (1, 1000, 775, "silero")
    assert (turn.user_text, turn.agent_text) == ("What is the weather?", "It rains.")
    assert (turn.tools, turn.replies, turn.interrupted, turn.typed) == (["weather"], ["r1"], False, False)
    assert (turn.first_event, turn.last_event) == (2, 12)


def test_a_reply_is_not_an_answer_before_it_is_heard() -> None:
    silent = (active(), *spoken(1000, 2000), begins("r", 2200), plays("r", 2600))
    assert fold(*silent).turns[1].response_latency_ms is None
    played_out = fold(*silent, played("r", 4600, 2000), ended(9000))
    assert played_out.turns[1].unmeasured == "the agent answered with silence"
    assert played_out.turns_not_answered == 1
    heard = fold(*silent, edge(AGENT, True, 3100))
    assert heard.turns[1].response_latency_ms == 1100
    assert heard.turns[1].parts.leading_silence_ms == 500
    assert heard.turns[1].parts.agent_ms is None


def test_the_greeting_is_turn_0_and_not_among_the_latencies() -> None:
    metrics = fold(active(100), *answered("hello", 400), *spoken(2000, 3000), *answered("r1", 3500))
    assert metrics.greeting_latency_ms == 315
    assert [turn.number for turn in metrics.turns] == [0, 1]
    assert metrics.turns[0].parts.agent_ms == 151
    assert metrics.response_latencies_ms == [515]


def test_a_latency_longer_than_the_session_is_not_reported() -> None:
    absurd = fold(
        active(), edge(USER, True, -5000), edge(USER, False, -4000), *answered("r", 1700), ended(9000)
    )
    (turn,) = [turn for turn in absurd.turns if turn.number]
    assert turn.response_latency_ms is None
    assert turn.unmeasured == "a time stamp is earlier than the start of the session"
    assert absurd.response_latencies_ms == []


def test_a_turn_without_a_latency_has_the_reason() -> None:
    silent = fold(active(), *spoken(1000, 2000), ended(9000))
    assert [turn.unmeasured for turn in silent.turns] == ["no greeting", "the agent did not answer"]
    hasty = fold(active(), edge(USER, True, 1000), *answered("r", 1700), edge(USER, False, 2500))
    assert hasty.turns[1].response_latency_ms is None
    assert hasty.turns[1].unmeasured == "the agent started before the user finished"
    heard_nothing = fold(active(), user_speaks(1000), *answered("r", 1700), ended(4000))
    assert heard_nothing.turns[1].unmeasured == "no user speech was detected"
    false_start = fold(active(), user_speaks(1000), ended(4000))
    assert false_start.turns[1].empty
    assert false_start.turns[1].unmeasured == "only the agent detected speech"
    recognised = fold(active(), user_speaks(1000), said(USER, "yes", at_ms=1500), ended(4000))
    assert recognised.turns[1].unmeasured == "the agent did not answer"
    endless = fold(active(), edge(USER, True, 1000), *answered("r", 1700), ended(4000))
    assert endless.turns[1].unmeasured == "the end of user speech was not detected"


def test_agent_reports_are_kept_with_the_time_they_leave_unexplained() -> None:
    stopped = user_speaks(2300, e.SpeechPhase.STOPPED)
    own = e.LatencyReported(at_ns=at(2600), name="llm", reported_ms=140, reply="r1")
    metrics = fold(
        active(),
        *spoken(1000, 2000),
        stopped,
        said(USER, "yes", at_ms=2350),
        begins("r1", 2550),
        own,
        plays("r1", 2700, arrived_ms=2551, handed_ms=2640),
        edge(AGENT, True, 2700),
    )
    turn = metrics.turns[1]
    assert turn.reported_ms == {"speech stopped": 300, "recognised": 350, "llm": 140}
    assert turn.unexplained_ms == 201


def test_speech_with_a_pause_in_it_is_one_turn_measured_from_its_last_end() -> None:
    metrics = fold(active(), *spoken(1000, 1500), *spoken(2200, 3000), *answered("r", 3600))
    assert len(metrics.turns) == 2
    assert metrics.turns[1].user_speech_ms == 1300
    assert metrics.turns[1].response_latency_ms == 615


def test_long_texts_of_a_turn_are_cut_with_an_ellipsis() -> None:
    whole = "w" * 2000
    metrics = fold(active(), *spoken(1000, 2000), said(USER, whole, at_ms=2100), *answered("r1", 2700))
    assert metrics.turns[1].user_text == whole
    metrics = fold(
        active(),
        *spoken(1000, 2000),
        said(USER, "word " * 500, at_ms=2100),
        said(USER, "and more", at_ms=2200),
        *answered("r1", 2700),
    )
    text = metrics.turns[1].user_text
    assert (len(text), text[-6:]) == (2000, " word…")


@pytest.mark.parametrize("by_item", [True, False])
def test_a_late_transcription_belongs_to_the_turn_of_its_item(by_item: bool) -> None:
    first, second = ("u1", "u2") if by_item else ("", "")
    metrics = fold(
        active(),
        user_speaks(1050, e.SpeechPhase.STARTED, first),
        *spoken(1000, 2000),
        user_speaks(2300, e.SpeechPhase.COMMITTED, first),
        *answered("r1", 2700),
        user_speaks(5050, e.SpeechPhase.STARTED, second),
        said(USER, "FIRST", item=first, at_ms=5300),
        *spoken(5000, 6000),
        said(USER, "SECOND", item=second, at_ms=6400),
        *answered("r2", 6700),
    )
    texts = [turn.user_text for turn in metrics.turns[1:]]
    assert texts == (["FIRST", "SECOND"] if by_item else ["", "FIRST SECOND"])
    if by_item:
        assert [turn.reported_ms["recognised"] for turn in metrics.turns[1:]] == [3300, 400]


def test_final_words_replace_the_earlier_ones_of_the_same_item_and_part_only() -> None:
    agent = e.Party.AGENT
    written = e.Transcribed(
        at_ns=at(2830), speaker=agent, text="(link)", final=True, item="r1", part=1, written=True
    )
    metrics = fold(
        active(),
        *spoken(1000, 2000),
        *answered("r1", 2700),
        said(agent, "One two three four", item="r1", at_ms=2800),
        written,
        said(agent, "One two...", item="r1", at_ms=2900),
        said(agent, "no item", at_ms=2950),
        said(agent, "again", at_ms=2960),
    )
    assert metrics.turns[1].agent_text == "One two... (link) no item again"


def test_a_typed_turn_is_measured_from_the_words() -> None:
    metrics = fold(active(), *answered("hello", 400, 100), typed("hi", 1000), *answered("r1", 1700))
    turn = metrics.turns[1]
    assert (turn.typed, turn.method, turn.user_text) == (True, "typed", "hi")
    assert turn.response_latency_ms == 715
    assert turn.parts.capture_ms is None


def test_pressed_keys_begin_a_turn_that_is_measured_from_the_last_of_them() -> None:
    keys = [
        e.KeysPressed(at_ns=at(ms), digits=digit) for ms, digit in ((1000, "5"), (1200, "#"), (3000, "1"))
    ]
    metrics = fold(active(), *keys[:2], *answered("r1", 1700), keys[2])
    greeting, turn, another = metrics.turns
    assert (greeting.agent_began_ns, greeting.agent_text) == (None, "")
    assert (turn.keys, turn.method, turn.response_latency_ms) == ("5#", "keys", 515)
    assert turn.agent_speech_ms is not None
    assert (another.keys, another.response_latency_ms) == ("1", None)


def test_a_flush_after_a_key_press_is_not_a_false_barge_in() -> None:
    stops = e.Flushed(at_ns=at(1010), reason="the agent cleared it", unheard_ms=900, by_agent=True)
    later = plays("r2", 4000)
    events = (active(), *answered("r1", 500), e.KeysPressed(at_ns=at(1000), digits="5"), stops, later)
    assert fold(*events).barge_ins == []


@pytest.mark.parametrize(("since_ms", "until_ms", "doubted"), [(2100, 2300, True), (3000, 3100, False)])
def test_figures_measured_while_the_program_was_late_are_uncertain(
    since_ms: float, until_ms: float, doubted: bool
) -> None:
    late = e.LatenessSeen(at_ns=at(until_ms), what="the event loop", late_ms=90, since_ns=at(since_ms))
    turn = fold(active(), *spoken(1000, 2000), late, *answered("r", 2700)).turns[1]
    assert turn.doubt == ("the event loop was 90 ms late" if doubted else "")
    after = fold(active(), *spoken(1000, 2000), *answered("r", 2700), late).turns[1]
    assert bool(after.doubt) is doubted


def test_a_barge_in_is_timed_from_onset_to_signal_to_silence() -> None:
    metrics = fold(
        active(),
        begins("r", 100),
        *speaks("r", 200),
        user_speaks(1290),
        flushed(1300, silent_ms=1315),
        played("r", 1315, 1115, 700),
        edge(USER, True, 1000),
        edge(USER, False, 2000),
    )
    assert metrics.barge_ins == [
        BargeIn(
            kind=BargeInKind.YIELDED,
            turn=1,
            event=6,
            at_ns=at(1000),
            signal_ms=290,
            silence_ms=315,
            stop_ms=15,
            talk_over_ms=315,
            unheard_ms=700,
        )
    ]
    assert metrics.turns[0].interrupted


def test_the_onset_may_be_emitted_before_the_agent_stops() -> None:
    metrics = fold(active(), *speaks("r", 200), edge(USER, True, 1000), flushed(1300, silent_ms=1310))
    assert [(b.kind, b.silence_ms) for b in metrics.barge_ins] == [(BargeInKind.YIELDED, 310)]


def test_a_flush_without_user_speech_is_a_false_barge_in() -> None:
    metrics = fold(active(), *speaks("r", 200), flushed(1300, silent_ms=1310), ended(3000))
    (barge_in,) = metrics.barge_ins
    assert (barge_in.kind, barge_in.at_ns, barge_in.stop_ms) == (BargeInKind.FALSE, at(1300), 10)


@pytest.mark.parametrize("reported_late", [False, True])
def test_audio_that_arrives_after_the_flush_is_unheard_too(reported_late: bool) -> None:
    late = [loss(e.Loss.UNHEARD, 4_000, "r", at_ms=1400), loss(e.Loss.UNHEARD, 20, "another", at_ms=1400)]
    done = [user_speaks(3000, e.SpeechPhase.STOPPED)]
    metrics = fold(
        active(),
        *speaks("r", 200),
        flushed(1300, silent_ms=1310),
        played("r", 1310, 1110, 700),
        *(done + late if reported_late else late + done),
    )
    assert [(b.kind, b.unheard_ms) for b in metrics.barge_ins] == [(BargeInKind.FALSE, 4_700)]


def test_an_agent_that_keeps_talking_for_a_second_missed_the_barge_in() -> None:
    metrics = fold(active(), *speaks("r", 200), edge(USER, True, 1000), edge(USER, False, 2500), ended(3000))
    assert [(b.kind, b.turn) for b in metrics.barge_ins] == [(BargeInKind.MISSED, 1)]


def test_an_interruption_by_key_and_a_finished_reply_are_not_barge_ins() -> None:
    speaking = (active(), *speaks("r", 200), edge(USER, True, 1000))
    own = fold(*speaking, flushed(1200, by_agent=False), ended(5000))
    assert own.barge_ins == []
    done = fold(*speaking, edge(AGENT, False, 1390), played("r", 1400, 1200), edge(USER, False, 3000))
    assert done.barge_ins == []


def test_talk_time_overlap_and_dead_air() -> None:
    metrics = fold(
        active(),
        edge(AGENT, True, 500),
        edge(USER, True, 1500),
        edge(AGENT, False, 2000),
        edge(USER, False, 3000),
        edge(AGENT, True, 5500),
        edge(AGENT, False, 6000),
        ended(6500),
    )
    assert (metrics.user_talk_ms, metrics.agent_talk_ms, metrics.overlap_ms) == (1500, 2000, 500)
    assert metrics.dead_air == [DeadAir(at(3000), 2500)]


def test_nothing_heard_is_not_measured_and_not_zero() -> None:
    metrics = fold(active(), ended(1000))
    assert (metrics.user_talk_ms, metrics.agent_talk_ms, metrics.overlap_ms) == (None, None, None)


def test_percentiles_are_withheld_below_twenty_turns() -> None:
    assert percentiles_of([]) == Percentiles(0, None, None, None)
    assert percentiles_of([500] * 19) == Percentiles(19, 500, None, None)
    assert percentiles_of([float(n) for n in range(1, 21)]) == Percentiles(20, 20, 10, 19)
    assert percentiles_of([float(n) for n in range(1, 101)]) == Percentiles(100, 100, 50, 95)
    assert percentile([5.0], 0.5) is None
    assert percentile([1.0, 2.0], 0.5) == 1.0


@given(event_lists())
def test_turns_are_those_of_the_log(events: list[e.SessionEvent]) -> None:
    log = log_of(*events)
    metrics = fold(*events)
    begun = [turn for turn in metrics.turns if turn.number]
    assert [turn.first_event - 1 for turn in begun] == list(log.turns.starts)
    assert all(turn.response_latency_ms is None or turn.response_latency_ms >= 0 for turn in begun)


def test_silence_after_the_last_answer_is_not_dead_air_and_after_an_unanswered_turn_it_is() -> None:
    answered = (active(), edge(USER, True, 500), edge(USER, False, 1500), edge(AGENT, True, 2000))
    assert fold(*answered, edge(AGENT, False, 3000), ended(140_000)).dead_air == []
    unanswered = (active(), edge(AGENT, True, 100), edge(AGENT, False, 900), edge(USER, True, 1500))
    metrics = fold(*unanswered, edge(USER, False, 2500), ended(9000))
    assert metrics.dead_air == [DeadAir(at(2500), 6500)]


def in_order_of_knowledge(*pairs: tuple[e.SpeechEdge, e.SpeechEdge]) -> list[e.SessionEvent]:
    """Returns edges in the order in which the detectors report them: onsets after 90 ms, ends after half a second."""
    known = [(each.at_ns + at(90 if each.started else 520), each) for pair in pairs for each in pair]
    return [each for _, each in sorted(known, key=lambda pair: pair[0])]


ASKS = spoken(1_000, 5_000)
"""The user's question, in tests of agent speech during it."""


@pytest.mark.parametrize(
    "utterance",
    [
        pytest.param(heard(2_500, 2_900), id="backchannel"),
        pytest.param(heard(4_000, 4_700), id="backchannel shortly before the end"),
        pytest.param(heard(2_500, 4_400), id="talk-over in which the agent gave way"),
    ],
)
def test_what_the_agent_says_within_the_users_speech_is_not_the_answer(
    utterance: tuple[e.SpeechEdge, e.SpeechEdge],
) -> None:
    events = in_order_of_knowledge(ASKS, utterance, heard(6_000, 8_000))
    metrics = fold(active(), *events, ended(9_000))
    (turn,) = (turn for turn in metrics.turns if turn.number)
    assert (turn.response_latency_ms, turn.unmeasured) == (1_000, "")
    assert turn.agent_began_ns == at(6_000)
    assert turn.parts.capture_ms == 30


def test_an_utterance_within_speech_that_goes_on_after_a_pause_does_not_begin_a_turn() -> None:
    events = in_order_of_knowledge(
        spoken(1_000, 3_000),
        heard(2_000, 2_400),
        spoken(3_700, 5_000),
        heard(6_000, 8_000),
        spoken(9_000, 9_500),
    )
    metrics = fold(active(), *events, ended(10_000))
    assert [turn.response_latency_ms for turn in metrics.turns if turn.number] == [1_000, None]
    assert metrics.turns[1].user_speech_ms == 3_300


@pytest.mark.parametrize(
    ("utterance", "reason"),
    [
        pytest.param(heard(4_700, 5_300), "the agent started before the user finished", id="lasts longer"),
        pytest.param(heard(2_500, 4_400), "the agent started before the user finished", id="long"),
        pytest.param(heard(2_500, 2_900), "the agent did not answer", id="backchannel"),
    ],
)
def test_only_what_was_said_during_the_speech_has_no_response_time(
    utterance: tuple[e.SpeechEdge, e.SpeechEdge], reason: str
) -> None:
    metrics = fold(active(), *in_order_of_knowledge(ASKS, utterance), ended(9_000))
    (turn,) = (turn for turn in metrics.turns if turn.number)
    assert (turn.response_latency_ms, turn.unmeasured) == (None, reason)


def test_an_answer_that_outlasts_the_users_speech_is_followed_by_a_turn() -> None:
    events = in_order_of_knowledge(ASKS, heard(4_700, 7_000), spoken(8_000, 9_000), heard(9_500, 9_900))
    metrics = fold(active(), *events, ended(11_000))
    assert [turn.response_latency_ms for turn in metrics.turns if turn.number] == [None, 500]


def test_words_that_arrive_during_the_users_speech_are_not_the_answer() -> None:
    began, over = ASKS
    words = [said(AGENT, "Mhm.", item="a", at_ms=2_000)]
    more = in_order_of_knowledge(spoken(6_000, 7_000))
    assert [turn.number for turn in fold(active(), began, *words, over, *more).turns] == [0, 1]
    late = [said(AGENT, "Yes.", item="b", at_ms=5_200)]  # known before the end of the speech
    assert [turn.number for turn in fold(active(), began, *words, *late, over, *more).turns] == [0, 1, 2]


def test_a_backchannel_after_the_agent_had_ended_is_not_a_missed_barge_in() -> None:
    asks = spoken(3_000, 6_000)
    before = heard(500, 2_900)
    assert not fold(
        active(), *in_order_of_knowledge(before, asks, heard(3_950, 4_300)), ended(9_000)
    ).barge_ins
    speaks_on = in_order_of_knowledge(heard(500, 4_300), asks)
    (missed,) = fold(active(), *speaks_on, ended(9_000)).barge_ins
    assert missed.kind is BargeInKind.MISSED
