from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import begins, chunk, delta, error, message, said, started, user_speaks
from tests.models.log.event_logs import FILTERS, SENT, event_lists, log_of
from tui.models import events as e
from tui.models.filter.language import parse
from tui.models.filter.patterns import FilterError, Pattern, Phrase, Regex
from tui.models.filter.terms import And, DirectionTerm, Filter, Not, Text
from tui.models.log.search import (
    ERRORS,
    MARKED,
    Found,
    MatchNumber,
    RawSearch,
    at_number,
    at_time,
    find,
    finding,
    next_turn,
    placing,
    search_pattern,
)
from tui.models.log.view import EventView


def view_of(*events: e.SessionEvent) -> EventView:
    return EventView(log_of(*events))


def positions(view: EventView, wanted: Filter, *, forward: bool = True) -> list[int]:
    """Returns the lines reached by pressing n, or N, until the end."""
    found, position = [], -1 if forward else len(view)
    while (hit := find(view, wanted, position, forward=forward, wrap=False)) is not None:
        position = hit.position
        found.append(position)
    return found


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("hello there", Phrase("hello there")),
        ('"hello"', Phrase("hello")),
        ("/a.c/", Regex("a.c")),
        ("/a.c/i", Regex("a.c", True)),
        ('"', Phrase('"')),
        ("/", Phrase("/")),
        ("a/b", Phrase("a/b")),
        ("/audiocodes", Phrase("/audiocodes")),
    ],
)
def test_search_patterns(text: str, pattern: Pattern) -> None:
    assert search_pattern(text) == pattern


def test_an_invalid_expression_is_refused_with_a_sentence() -> None:
    with pytest.raises(FilterError, match="Column 3: invalid regular expression"):
        search_pattern("/a(/")


def test_search_goes_on_at_the_other_end() -> None:
    view = view_of(message("a"), message("b"), message("a"))
    a = Text(Phrase("of a"))
    assert find(view, a, 0) == Found(2, 2, False)
    assert find(view, a, 2) == Found(0, 0, True)
    assert find(view, a, 0, forward=False) == Found(2, 2, True)
    assert find(view, a, 2, wrap=False) is None
    assert find(view, Text(Phrase("of b")), 1) == Found(1, 1, True), "the only one is where one is"
    assert find(view, Text(Phrase("zzz")), 1) is None
    assert find(view_of(), a, 0) is None


@given(event_lists(), FILTERS, st.sets(st.integers(0, 40)))
def test_matches_are_counted_as_one_comes_to_them(
    events: list[e.SessionEvent], wanted: Filter, opened: set[int]
) -> None:
    view = view_of(*events)
    for row in opened & set(view.rows):
        view.toggle_run(row)
    found, position = [], -1
    while (hit := find(view, wanted, position, wrap=False)) is not None:
        position = hit.position
        found.append(hit.event)
    for nth, event in enumerate(found, 1):
        assert [place for place in placing(view, wanted, event) if place] == [MatchNumber(nth, len(found))]


def test_matches_are_not_counted_where_there_are_too_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(message("a"), message("b"))
    monkeypatch.setattr("tui.models.log.search.COUNTED_EVENTS", 1)
    assert list(placing(view, Text(Phrase("of a")), 0)) == []


def test_lines_are_searched_a_block_at_a_time_until_a_new_session_begins() -> None:
    view = view_of(*(message(f"kind {number}") for number in range(1000)))
    steps = list(finding(view, parse('"kind 999"'), 0))
    assert len(steps) > 2
    assert [step.position for step in steps if step is not None] == [999]
    assert steps[-1] is not None
    search = finding(view, parse('"kind 999"'), 0)
    assert next(search) is None
    view.log.apply(started())
    assert list(search) == []


def test_a_match_in_a_closed_run_names_the_event() -> None:
    view = view_of(message("x"), delta("one"), delta("two"), delta("three"))
    assert find(view, Text(Phrase("two")), 0) == Found(1, 2, False)
    view.toggle_run(1)
    assert find(view, Text(Phrase("two")), 0) == Found(3, 2, False)


@given(event_lists(), FILTERS, FILTERS, st.data())
def test_search_stops_at_every_line_that_matches(
    events: list[e.SessionEvent], shown: Filter, wanted: Filter, data: st.DataObject
) -> None:
    view = view_of(*events)
    view.set_filter(shown)
    view.step()
    for row in list(view.rows):
        if data.draw(st.booleans()):
            view.toggle_run(row)
    expected = []
    for position in range(len(view)):
        line = view.line(position)
        closed = view.log.members(line.row) if view.expanded(line.row) is None else []
        if wanted([line.event] if line.member else closed, view.context):
            expected.append(position)
    assert positions(view, wanted) == expected
    assert positions(view, wanted, forward=False) == expected[::-1]
    messages = And((wanted, Not(DirectionTerm(None))))
    for forward in (True, False):
        assert walked(view, messages, forward=forward) == positions(view, messages, forward=forward)


def walked(view: EventView, wanted: Filter, *, forward: bool) -> list[int]:
    """Returns the lines reached by searching raw messages, each of which contains the number of its event."""
    numbers = [view.log.events.numbers[index] for index in wanted(range(len(view.log.events)), view.context)]
    pattern = Regex(f"^({'|'.join(map(str, numbers)) or 'none'})$")
    found: list[int] = []
    position = -1 if forward else len(view)
    while True:
        search = RawSearch(view, pattern, position, lambda event: b"%d" % event.number, forward=forward)
        while not search.done:
            search.step()
        if search.found is None or search.found.wrapped:
            return found
        position = search.found.position
        found.append(position)


RAW = {2: b'{"name":"Zora"}', 4: b'{"audio":"' + b"Zora" * 100 + b'"}', 5: b"Zora \xff", 6: None, 7: b"other"}


def raw_message(event: e.MessageLogged) -> bytes | None:
    return RAW[event.number]


def raw_view() -> EventView:
    return view_of(
        started(), message("a"), error("Zora"), chunk(), message("b"), message("c"), message("d", SENT)
    )


def test_raw_messages_are_searched_in_slices_with_progress() -> None:
    ticks = count()
    search = RawSearch(raw_view(), Phrase("zora"), 1, raw_message, clock=lambda: float(next(ticks)))
    assert (search.progress, search.done) == (0.0, False)
    seen = []
    while not search.done:
        seen.append(search.step(0))
    assert search.found == Found(4, 4, False), "not the error, which is no message, nor the audio"
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] == 1.0


def test_raw_search_goes_around_and_gives_up() -> None:
    view = raw_view()
    search = RawSearch(view, Phrase("zora"), 4, raw_message)
    search.step(1000)
    assert search.found == Found(1, 1, True)
    search = RawSearch(view, Phrase("Zora"), 4, raw_message, forward=False)
    search.step(1000)
    assert search.found == Found(1, 1, False)
    search = RawSearch(view, Regex("^nothing$"), 4, raw_message)
    assert search.step(1000) == 1.0
    assert (search.done, search.found) == (True, None)
    assert search.step() == 1.0


def test_raw_search_ends_when_a_new_session_begins() -> None:
    view = raw_view()
    search = RawSearch(view, Phrase("Zora"), 4, raw_message)
    search.step(-1)
    view.log.apply(started())
    assert search.step(1000) == 1.0
    assert search.found is None


def test_raw_search_in_an_empty_view() -> None:
    search = RawSearch(view_of(), Phrase("x"), 0, raw_message)
    search.step()
    assert (search.done, search.progress) == (True, 1.0)


def test_errors_and_marks_are_found_as_anything_else() -> None:
    view = view_of(message(), error(), message(), error(), message())
    assert positions(view, ERRORS) == [1, 3]
    view.toggle_mark(view.line(2))
    assert positions(view, MARKED) == [2]


def test_going_from_turn_to_turn() -> None:
    view = view_of(
        started(), user_speaks(), message("a"), message("b"), begins(), user_speaks(), said(e.Party.USER, "x"),
        message("c"), begins(), user_speaks(),
    )  # fmt: skip
    assert [view.log.row_of(number) for number in (1, 3, 4, 8)] == [0, 1, 2, 3]
    assert [next_turn(view, position) for position in range(4)] == [1, 3, 3, None]
    assert [next_turn(view, position, forward=False) for position in range(4)] == [None, 0, 1, 1]


def test_going_to_a_time_or_a_number() -> None:
    view = view_of(
        started(), message(at_ms=1000), said(e.Party.USER, "x"), chunk(at_ms=2000), chunk(at_ms=2020)
    )
    assert [at_time(view, seconds) for seconds in (-1, 0, 0.5, 1, 1.001, 99)] == [0, 0, 1, 1, 2, 2]
    assert [at_number(view, number) for number in (0, 1, 2, 3, 4, 5, 6)] == [0, 0, 1, 2, 2, 2, 2]
    view.toggle_run(2)
    assert [at_number(view, number) for number in (3, 4, 5)] == [2, 3, 4]
    assert (at_time(view_of(), 1), at_number(view_of(), 1)) == (0, 0)
