from __future__ import annotations

from tests.builders import (
    AGENT,
    MS,
    USER,
    chunk,
    edge,
    error,
    finding,
    loss,
    message,
    speaks,
    started,
    status,
    typed,
)
from tests.models.turns.test_turns import fold
from tui.models import events as e
from tui.models.events import Condition, Direction, Status
from tui.models.turns.metrics import SessionMetrics, Stalls
from tui.models.turns.turns import NOT_ANSWERED, Turn

STALLED, VANISHED = Condition.STALLED, Condition.VANISHED


def short_reply(at_ms: float) -> tuple[e.SessionEvent, ...]:
    """Returns the events of a reply of 300 ms, all of it audible."""
    return *speaks(f"r{at_ms}", at_ms), edge(AGENT, False, at_ms + 300)


def test_nothing_measured_is_none_and_not_zero() -> None:
    metrics = fold(started())
    assert metrics.response_latency_ms is None
    assert metrics.greeting_latency_ms is None
    assert metrics.round_trip_ms is None
    assert metrics.duration_s(5) is None


def test_sending_delays_are_known_at_the_end() -> None:
    assert fold(started()).send_p50_ms is None
    metrics = fold(e.SendingMeasured(at_ns=9, blocks=500, p50_ms=0.4, p99_ms=2.5, worst_ms=31))
    assert (metrics.send_p50_ms, metrics.send_p99_ms, metrics.send_worst_ms) == (0.4, 2.5, 31)


def test_messages_are_counted_by_direction() -> None:
    metrics = fold(message(), message("x", known=False), chunk(Direction.SENT), chunk(Direction.RECEIVED))
    assert (metrics.messages_sent, metrics.messages_received) == (1, 3)
    assert (metrics.bytes_sent, metrics.bytes_received) == (900, 920)
    assert (metrics.audio_sent_ms, metrics.audio_received_ms) == (20, 20)
    assert metrics.unknown_messages == 1


def test_an_answer_that_is_folded_before_the_edge_it_answers_is_measured_too() -> None:
    metrics = fold(edge(USER, True, 0), *short_reply(1640), edge(USER, False, 1000))
    assert metrics.response_latencies_ms == [640]


def test_an_older_reply_answers_nothing() -> None:
    metrics = fold(*short_reply(100), edge(USER, True, 200), edge(USER, False, 1000))
    assert metrics.response_latencies_ms == []
    assert metrics.response_latency_ms is None


def test_each_turn_is_answered_once() -> None:
    metrics = fold(
        edge(USER, True, 0),
        edge(USER, False, 1000),
        *short_reply(1500),
        *short_reply(2500),
        edge(USER, True, 3000),
        edge(USER, False, 4000),
        *short_reply(4300),
    )
    assert metrics.response_latencies_ms == [500, 300]


def test_losses_add_up_and_intended_ones_are_not_faults() -> None:
    unheard = loss(e.Loss.UNHEARD, 120)
    dropped = loss(e.Loss.CAPTURE_DROPPED)
    assert not fold(unheard, unheard).lost
    metrics = fold(unheard, dropped, dropped)
    assert metrics.lost
    assert metrics.losses == {"unheard": 120, "capture dropped": 4}


def test_the_duration_stops_with_the_session() -> None:
    active = status(Status.INITIATING, Status.ACTIVE, at_ms=1000)
    ended = status(Status.ENDING, Status.ENDED, at_ms=4000)
    assert fold(active).duration_s(3000 * MS) == 2
    assert fold(active, ended).duration_s(9000 * MS) == 3


def test_errors_findings_and_interruptions_are_counted() -> None:
    metrics = fold(error(), error(), finding(), e.Flushed(at_ns=0, reason="barge-in", unheard_ms=5))
    assert (metrics.errors, metrics.findings, metrics.interruptions) == (2, 1, 1)


def test_the_answer_to_a_typed_turn_is_not_a_greeting() -> None:
    active = status(Status.INITIATING, Status.ACTIVE, at_ms=100)
    metrics = fold(active, typed("hi", 1000), *short_reply(1700))
    assert metrics.greeting_latency_ms is None
    assert metrics.response_latencies_ms == [700]


def test_a_turn_that_is_answered_late_is_not_one_without_an_answer() -> None:
    late, never = Turn(number=1, response_latency_ms=4000.0), Turn(number=2, unmeasured=NOT_ANSWERED)
    greeting = Turn(number=0, unmeasured="no greeting")
    assert SessionMetrics(turns=[greeting, late, never]).turns_not_answered == 1


def condition(
    what: Condition, at_ms: int, *, active: bool = True, since_ms: int | None = None, path: str = "capture"
) -> e.ConditionChanged:
    since_ns = None if since_ms is None else since_ms * MS
    return e.ConditionChanged(at_ns=at_ms * MS, condition=what, path=path, active=active, since_ns=since_ns)


def test_every_stall_is_counted_from_the_last_sound_by_device() -> None:
    assert fold(
        condition(STALLED, 1500, since_ms=1000),
        condition(STALLED, 1700, active=False, since_ms=1000),
        condition(STALLED, 4000, since_ms=3500),
        condition(STALLED, 4100, path="playback"),
        condition(STALLED, 4200, active=False),
        condition(STALLED, 4600, active=False, path="playback"),
    ).stalls == {"capture": Stalls(2, 1400.0), "playback": Stalls(1, 500.0)}


def test_a_stall_that_turns_out_to_be_a_lost_device_counts_once() -> None:
    assert fold(
        condition(STALLED, 1500, since_ms=1000),
        condition(STALLED, 2000, active=False, since_ms=1000),
        condition(VANISHED, 2000, since_ms=1000),
        condition(VANISHED, 5000, active=False, since_ms=1000),
    ).stalls == {"capture": Stalls(1, 4000.0)}


def test_the_end_of_the_session_ends_a_stall() -> None:
    begun = condition(STALLED, 1500, since_ms=1000)
    assert fold(begun).stalls == {"capture": Stalls(1)}
    assert fold(begun, status(Status.ENDING, Status.ENDED, at_ms=3000)).stalls == {
        "capture": Stalls(1, 2000.0)
    }


def test_other_conditions_are_not_stalls() -> None:
    assert fold(condition(Condition.ECHO, 1000), condition(Condition.ARRIVAL_STALL, 1000)).stalls == {}


def test_stalls_as_text_have_number_and_duration() -> None:
    assert [str(each) for each in (Stalls(1), Stalls(1, 710.0), Stalls(12, 61_000))] == [
        "once, ongoing",
        "once, 0.7 s",
        "12 times, 61.0 s",
    ]
