"""Tests who holds the floor, folded from audible speech."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import AGENT, CALIBRATED, MS, USER, active, at, edge, ended, numbered
from tests.models.turns.test_turns import fold
from tui.audio.calibration import Timing
from tui.models import events as e
from tui.models.turns.figures import Thresholds
from tui.models.turns.floor import Backchannel, Floor, FloorFold, FloorPause, Speech, TalkOver, floor_of
from tui.models.turns.floor_figures import MomentKind, floor_figures, floor_lines, moments_of
from tui.models.turns.metrics import MetricsFold, SessionMetrics
from tui.models.turns.output import in_json

Said = tuple[e.Party, int, int]
"""Who spoke, from which time to which time, in ms."""


def floor(*said: Said, rules: Thresholds | None = None) -> Floor:
    return floor_of(_speech(said), rules)


def turns(of: Floor) -> list[tuple[e.Party, float | None]]:
    """Returns the turns as the party that held the floor and its offset."""
    return [(turn.by, turn.offset_ms) for turn in of.turns]


def _speech(said: Iterable[Said]) -> list[Speech]:
    return [
        Speech(at(began), by, number, at(until))
        for number, (by, began, until) in enumerate(sorted(said, key=lambda each: each[1]), 1)
    ]


def test_a_gap_between_two_speakers_is_a_positive_offset() -> None:
    of = floor((USER, 0, 2000), (AGENT, 2640, 5000), (USER, 5200, 7000))
    assert turns(of) == [(USER, None), (AGENT, 640), (USER, 200)]
    assert (of.talk_overs, of.backchannels, of.pauses) == ([], [], [])
    assert (of.offset_ms(AGENT), of.offset_ms(USER)) == (640, 200)
    assert of.holder is USER


def test_the_end_of_a_turn_may_overlap_the_next_without_anyone_giving_way() -> None:
    of = floor((AGENT, 0, 2000), (USER, 1850, 4000))
    assert turns(of) == [(AGENT, None), (USER, -150)]
    assert of.talk_overs == []


def test_an_agent_that_yields_loses_the_floor_after_the_talk_over() -> None:
    of = floor((AGENT, 0, 2400), (USER, 2000, 4500), (AGENT, 5000, 6000))
    assert turns(of) == [(AGENT, None), (USER, -400), (AGENT, 500)]
    assert of.talk_overs == [TalkOver(at(2000), 400, held_by=AGENT, gave_way=AGENT, event=2)]
    assert of.yields_ms(AGENT) == [400]
    assert of.yields_ms(USER) == []


def test_an_agent_that_does_not_yield_keeps_the_floor_and_the_user_gives_way() -> None:
    of = floor((AGENT, 0, 6000), (USER, 2000, 3500))
    assert turns(of) == [(AGENT, None)]
    assert of.talk_overs == [TalkOver(at(2000), 1500, held_by=AGENT, gave_way=USER, event=2)]
    assert of.yields_ms(AGENT) == []


@pytest.mark.parametrize(("length_ms", "is_backchannel"), [(400, True), (1000, True), (1020, False)])
def test_short_speech_over_the_holder_is_a_backchannel(length_ms: int, is_backchannel: bool) -> None:
    of = floor((AGENT, 0, 6000), (USER, 2000, 2000 + length_ms))
    assert of.backchannels == ([Backchannel(at(2000), length_ms, USER, event=2)] if is_backchannel else [])
    assert len(of.talk_overs) == (not is_backchannel)
    assert of.holder is AGENT


@pytest.mark.parametrize(("resumes_at", "is_backchannel"), [(2850, True), (3300, False)])
def test_short_speech_in_a_pause_is_a_backchannel_if_the_holder_goes_on_at_once(
    resumes_at: int, is_backchannel: bool
) -> None:
    of = floor((AGENT, 0, 2000), (USER, 2200, 2600), (AGENT, resumes_at, 5000))
    assert bool(of.backchannels) is is_backchannel
    assert [by for by, _ in turns(of)] == ([AGENT] if is_backchannel else [AGENT, USER, AGENT])


def test_a_short_answer_takes_the_floor_if_nobody_speaks_after_it() -> None:
    assert turns(floor((AGENT, 0, 2000), (USER, 2200, 2600))) == [(AGENT, None), (USER, 200)]


def test_short_words_of_one_answer_are_no_backchannels() -> None:
    of = floor((AGENT, 0, 2000), (USER, 2200, 2600), (USER, 3200, 3900), (AGENT, 4500, 6000))
    assert turns(of) == [(AGENT, None), (USER, 200), (AGENT, 600)]
    assert of.pauses == [FloorPause(at(2600), 600, USER, event=3)]


def test_the_rules_decide_what_is_short() -> None:
    said = (AGENT, 0, 6000), (USER, 2000, 2800)
    assert floor(*said, rules=Thresholds(backchannel_ms=700)).backchannels == []
    in_a_pause = (AGENT, 0, 2000), (USER, 2200, 2600), (AGENT, 3300, 5000)
    assert len(floor(*in_a_pause, rules=Thresholds(backchannel_gap_ms=800)).backchannels) == 1


def test_an_agent_that_stops_at_a_backchannel_and_goes_on_was_falsely_interrupted() -> None:
    of = floor((AGENT, 0, 2300), (USER, 2000, 2500), (AGENT, 3400, 6000))
    assert turns(of) == [(AGENT, None)]
    assert of.talk_overs == [TalkOver(at(2000), 300, AGENT, AGENT, resumed_ms=1100, event=2)]
    assert of.backchannels == [Backchannel(at(2000), 500, USER, event=2)]
    assert of.yields_ms(AGENT) == [300]


@pytest.mark.parametrize(
    "then", [[(AGENT, 4600, 6000)], [(USER, 3000, 4500), (AGENT, 5000, 6000)]], ids=["late", "user speaks on"]
)
def test_an_agent_that_does_not_go_on_soon_was_interrupted(then: list[Said]) -> None:
    of = floor((AGENT, 0, 2300), (USER, 2000, 2500), *then)
    assert [by for by, _ in turns(of)] == [AGENT, USER, AGENT]
    assert [over.resumed_ms for over in of.talk_overs] == [None]
    assert of.backchannels == []


def test_a_silence_within_a_turn_is_a_pause_up_to_two_seconds_and_ends_the_turn_beyond() -> None:
    of = floor((AGENT, 0, 2000), (AGENT, 2700, 4000), (AGENT, 6100, 7000))
    assert of.pauses == [FloorPause(at(2000), 700, AGENT, event=2)]
    assert [(turn.began_ns, turn.ended_ns, turn.offset_ms) for turn in of.turns] == [
        (0, at(4000), None),
        (at(6100), at(7000), None),
    ]


def test_the_longest_monologue_spans_pauses_and_backchannels() -> None:
    of = floor(
        (USER, 0, 1500), (AGENT, 2000, 9000), (USER, 5000, 5400), (AGENT, 9600, 12000), (USER, 12500, 14000)
    )
    longest = {by: of.longest(by) for by in e.Party}
    assert {by: turn and turn.length_ms for by, turn in longest.items()} == {USER: 1500, AGENT: 10000}


def test_the_median_of_offsets_counts_overlaps_as_negative() -> None:
    of = floor((USER, 0, 2000), (AGENT, 1900, 4000), (USER, 4300, 6000), (AGENT, 6900, 9000))
    assert of.offsets_ms(AGENT) == [-100, 900]
    assert of.offset_ms(AGENT) == 400


def test_nobody_holds_the_floor_of_silence() -> None:
    of = floor()
    assert (of.holder, of.turns, of.offset_ms(AGENT), of.longest(USER)) == (None, [], None, None)


# as printed

TALKATIVE = floor(
    (AGENT, 0, 3000),
    (USER, 3300, 5000),
    (AGENT, 5640, 8400),
    (USER, 8000, 10_000),  # interrupts
    (AGENT, 10_500, 16_000),
    (USER, 12_000, 12_500),  # a backchannel
    (USER, 15_700, 16_200),  # a backchannel at which the agent stops
    (AGENT, 17_100, 19_000),
)


def test_the_figures_of_the_floor_in_words() -> None:
    assert list(floor_lines(floor_figures(TALKATIVE))) == [
        (
            "floor",
            (
                "agent 570 ms after the other's end (median of 2); "
                "user −50 ms after the other's end (median of 2); people 200 ms"
            ),
        ),
        ("talk-over", "agent gave way 2 times"),
        ("yield", "agent silent 350 ms after the other's onset (median of 2, slowest 400 ms)"),
        ("resumed", "agent stopped for a backchannel once, and resumed after 1100 ms"),
        ("backchannel", "user 2 times"),
        ("pause", "agent once (median 900 ms)"),
        ("longest", "agent 8.5 s, user 2.0 s without a change of speaker"),
    ]
    assert list(floor_lines(floor_figures(floor((AGENT, 0, 5000))))) == []


def test_a_time_from_one_party_to_the_other_has_the_error_of_the_devices() -> None:
    figures = floor_figures(TALKATIVE, CALIBRATED)
    assert (str(figures.agent.offset), str(figures.user.offset)) == ("607 ± 2.5 ms", "−87 ± 2.5 ms")
    assert (str(figures.agent.yielded), str(figures.agent.slowest_yield)) == ("380 ± 4.0 ms", "430 ± 4.0 ms")
    # between two edges of one party, the delay of its device cancels
    assert (str(figures.agent.resumed), str(figures.agent.pause)) == ("1100 ms", "900 ms")
    assert [str(moment.figure) for moment in moments_of(TALKATIVE, CALIBRATED)][3:7] == [
        "−437 ± 2.5 ms",
        "430 ± 4.0 ms",
        "537 ± 2.5 ms",
        "500 ms",
    ]


def test_a_party_that_gives_way_to_the_holder_is_timed_by_its_own_device() -> None:
    held = floor((AGENT, 0, 6000), (USER, 2000, 3500))
    (over,) = (each for each in moments_of(held, CALIBRATED) if each.kind is MomentKind.TALK_OVER)
    assert str(over.figure) == "1500 ms"
    yields = floor((USER, 0, 3000), (AGENT, 2500, 6000))
    assert str(floor_figures(yields, CALIBRATED).user.yielded) == "470 ± 4.0 ms"


def test_without_a_calibration_the_stated_bound_is_shown() -> None:
    figures = floor_figures(TALKATIVE, Timing())
    assert (str(figures.agent.offset), figures.agent.offset.short) == ("570 ± 20 ms", "570±20")
    values = in_json(SessionMetrics(floor=TALKATIVE, timing=Timing()), Thresholds())["floor"]["figures"]
    assert values["agent"]["offset"] == {"ms": 570.0, "error_ms": 20.0}
    assert values["agent"]["pause"] == {"ms": 900.0}


def test_the_figures_of_the_floor_for_programs() -> None:
    values = in_json(SessionMetrics(floor=TALKATIVE), Thresholds())["floor"]
    assert values["figures"]["agent"]["offset"] == {"ms": 570.0}
    assert values["figures"]["agent"]["slowest_yield"] == {"ms": 400.0}
    assert values["figures"]["people_offset_ms"] == 200
    assert [turn["by"] for turn in values["turns"]] == ["agent", "user", "agent", "user", "agent"]
    strict = in_json(SessionMetrics(floor=TALKATIVE), Thresholds(backchannel_ms=450))["floor"]
    assert strict["figures"]["user"]["backchannels"] == 0
    assert msgspec.convert(values, Floor) == TALKATIVE


def test_the_moments_of_the_floor_are_in_order_and_name_their_events() -> None:
    moments = moments_of(TALKATIVE)
    assert [(moment.kind.value, str(moment.figure), moment.event) for moment in moments] == [
        ("turn", "–", 1),
        ("turn", "300 ms", 2),
        ("turn", "640 ms", 3),
        ("turn", "−400 ms", 4),
        ("talk-over", "400 ms", 4),
        ("turn", "500 ms", 5),
        ("backchannel", "500 ms", 6),
        ("talk-over", "300 ms", 7),
        ("backchannel", "500 ms", 7),
        ("pause", "900 ms", 8),
    ]
    assert moments[7].words == (
        "user speaks over agent, agent gives way and resumes after 1100 ms: a false interruption"
    )


# in a session


def test_the_floor_of_a_session_names_the_events_of_its_edges() -> None:
    events: list[e.SessionEvent] = [
        active(),
        edge(USER, True, 1000),
        edge(USER, False, 3000),
        edge(AGENT, True, 3500),
        edge(AGENT, False, 5000),
        ended(9000),
    ]
    metrics = fold(*numbered(events))
    assert [(turn.by, turn.offset_ms, turn.event) for turn in metrics.floor.turns] == [
        (USER, None, 2),
        (AGENT, 500, 4),
    ]


def test_a_sound_that_turns_into_speech_is_one_stretch_and_music_on_hold_is_none() -> None:
    metrics = fold(
        active(),
        edge(USER, True, 0),
        edge(USER, False, 1000),
        edge(AGENT, True, 1500, method="energy"),
        edge(AGENT, False, 2000, method="energy"),
        edge(AGENT, True, 2000),
        edge(AGENT, False, 4000),
        edge(AGENT, True, 6000, method="energy"),
        edge(AGENT, False, 18_000, method="energy"),
        ended(20_000),
    )
    assert [(each.began_ns, each.ended_ns) for each in metrics.floor.agent] == [(at(1500), at(4000))]


def test_speech_that_is_open_at_the_end_ends_with_the_session() -> None:
    metrics = fold(active(), edge(AGENT, True, 1000), ended(3000))
    assert metrics.floor.turns[-1].ended_ns == at(3000)


# any conversation

_GAPS = st.lists(st.tuples(st.integers(110, 3000), st.integers(60, 6000)), max_size=14)


@st.composite
def conversations(draw: st.DrawFn) -> list[Said]:
    """Generates two lanes in which all times differ."""
    said: list[Said] = []
    for odd, by in enumerate((USER, AGENT)):
        now = draw(st.integers(0, 2000))
        for gap, length in draw(_GAPS):
            began, until = ((value // 2) * 2 + odd for value in (now + gap, now + gap + length))
            said.append((by, began, until))
            now = until
    return said


OTHER = {USER: AGENT, AGENT: USER}


def _swapped(of: Floor) -> Floor:
    change = msgspec.structs.replace
    return Floor(
        user=[change(each, by=USER) for each in of.agent],
        agent=[change(each, by=AGENT) for each in of.user],
        turns=[change(each, by=OTHER[each.by]) for each in of.turns],
        talk_overs=[
            change(each, held_by=OTHER[each.held_by], gave_way=OTHER[each.gave_way]) for each in of.talk_overs
        ],
        backchannels=[change(each, by=OTHER[each.by]) for each in of.backchannels],
        pauses=[change(each, by=OTHER[each.by]) for each in of.pauses],
    )


@given(said=conversations())
@settings(max_examples=60)
def test_swapping_the_lanes_swaps_the_figures(said: list[Said]) -> None:
    assert floor(*((OTHER[by], began, until) for by, began, until in said)) == _swapped(floor(*said))


@given(said=conversations(), by_ms=st.integers(0, 10**9))
@settings(max_examples=40)
def test_figures_do_not_depend_on_the_time_of_day(said: list[Said], by_ms: int) -> None:
    late = floor(*((by, began + by_ms, until + by_ms) for by, began, until in said))
    on_time = floor(*said)
    for name in ("turns", "talk_overs", "backchannels", "pauses"):
        assert _plain(getattr(late, name)) == [_moved(each, by_ms) for each in _plain(getattr(on_time, name))]


def _moved(each: dict[str, Any], by_ms: int) -> dict[str, Any]:
    instants = ("began_ns", "at_ns", "ended_ns")
    return {name: value + by_ms * MS if name in instants else value for name, value in each.items()}


@given(said=conversations(), data=st.data())
@settings(max_examples=80)
def test_the_order_in_which_edges_become_known_changes_nothing(said: list[Said], data: st.DataObject) -> None:
    edges = [
        edge(by, is_start, instant)
        for by, began, until in said
        for is_start, instant in ((True, began), (False, until))
    ]
    # An end is known half a second later, a start slightly later. Each track keeps its own order.
    lags = {by: data.draw(st.integers(60, 130)) for by in e.Party}
    known = sorted(edges, key=lambda each: each.at_ns + (lags[each.speaker] + 450 * (not each.started)) * MS)
    until = max((each.at_ns for each in edges), default=0) + MS
    live = MetricsFold()
    events: list[e.SessionEvent] = [active(), *_in_track_order(known), ended(until / MS)]
    for event in events:
        live.apply(event)
    whole = _all_at_once(said, until)
    for name in ("user", "agent", "turns", "talk_overs", "backchannels", "pauses"):
        assert _plain(getattr(live.metrics.floor, name)) == _plain(getattr(whole, name)), name


def _in_track_order(known: Sequence[e.SpeechEdge]) -> list[e.SpeechEdge]:
    """Returns the edges in a detector's order: on each track, a start follows the previous end."""
    in_time = sorted(known, key=lambda each: each.at_ns)
    tracks = {by: [each for each in in_time if each.speaker is by] for by in e.Party}
    return [tracks[each.speaker].pop(0) for each in known]


def _all_at_once(said: Sequence[Said], until_ns: int) -> Floor:
    """Returns the same floor, judged once when everything is known."""
    fold = FloorFold(Floor())
    for speech in _speech(said):
        fold.begin(speech.by, speech.began_ns)
        fold.end(speech.by, speech.ended_ns or 0)
    fold.close(until_ns)
    return fold.floor


def _plain(each: object) -> Any:
    return msgspec.to_builtins(each)


@given(said=conversations())
@settings(max_examples=60)
def test_every_stretch_of_speech_is_accounted_for_once(said: list[Said]) -> None:
    of = floor(*said)
    incoming = {turn.began_ns for turn in of.turns}
    incoming |= {each.at_ns for each in of.backchannels} | {each.at_ns for each in of.talk_overs}
    goes_on = {each.at_ns + round(each.length_ms * MS) for each in of.pauses}
    for turn, after in zip(of.turns, of.turns[1:], strict=False):
        assert turn.began_ns < after.began_ns
        if turn.by is after.by:
            assert after.offset_ms is None
        else:
            assert after.offset_ms == (after.began_ns - (turn.ended_ns or 0)) / MS
    for speech in (*of.user, *of.agent):
        holds = any(
            turn.by is speech.by and turn.began_ns < speech.began_ns <= (turn.ended_ns or 0)
            for turn in of.turns
        )
        assert speech.began_ns in incoming | goes_on or holds
