from __future__ import annotations

from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import chunk, delta, error, message, said, started
from tests.models.log.event_logs import FILTERS, RECEIVED, SENT, event_lists, log_of, marked, rows_matching
from tui.models import events as e
from tui.models.filter.language import parse
from tui.models.filter.terms import Filter
from tui.models.log.event_log import EventLog
from tui.models.log.marks import Marks
from tui.models.log.view import EventView, ViewLine


def append(log: EventLog, *events: e.SessionEvent) -> None:
    for event in events:
        log.apply(msgspec.structs.replace(event, number=len(log.events) + 1))


def view_of(*events: e.SessionEvent, filter_: str = "") -> EventView:
    view = EventView(log_of(*events))
    view.set_filter(parse(filter_))
    while view.step() < 1:
        pass
    return view


def lines(view: EventView) -> list[ViewLine]:
    return [view.line(position) for position in range(len(view))]


def shown(view: EventView) -> list[str]:
    """Returns row and event number of each line, as ``2`` or, below an opened run, ``2:7``."""
    numbers = view.log.events.numbers
    return [f"{line.row}:{numbers[line.event]}" if line.member else str(line.row) for line in lines(view)]


def test_without_a_filter_every_row_is_a_line() -> None:
    view = view_of(message("a"), chunk(), chunk(), message("b"))
    assert lines(view) == [ViewLine(0, 0, 0, False), ViewLine(1, 2, 1, False), ViewLine(2, 3, 3, False)]
    for beyond in (3, -1):
        with pytest.raises(IndexError):
            view.line(beyond)


def test_the_newest_are_judged_first_and_a_slice_at_a_time() -> None:
    ticks = count()
    view = EventView(
        log_of(*(message(f"m{n}") for n in range(6))), slice_events=2, clock=lambda: float(next(ticks))
    )
    view.set_filter(parse("kind:m"))
    assert (view.progress, shown(view)) == (0.0, [])
    assert view.step(0) == pytest.approx(1 / 3)
    assert shown(view) == ["4", "5"]
    append(view.log, message("m6"), message("no", SENT))
    view.update()
    assert shown(view) == ["4", "5", "6"]
    view.set_filter(parse("kind:m1 or kind:m6"))
    assert view.step(1500) == 0.5
    assert view.step(0) == 0.75
    assert view.step(0) == 1.0
    assert shown(view) == ["1", "6"]
    assert view.step(0) == 1.0


def test_a_new_session_empties_the_view_and_keeps_the_filter() -> None:
    view = view_of(started(), error(), filter_="errors")
    view.marks.toggle(2)
    view.marks.annotate(2, "odd")
    view.hold()
    view.log.apply(started())
    assert (len(view), len(view.marks), view.marks.notes, view.following) == (0, 0, {}, True)
    append(view.log, message(), error())
    view.update()
    assert shown(view) == ["2"]


def test_a_closed_view_is_not_notified() -> None:
    view = view_of(message())
    view.close()
    view.log.apply(started())
    assert len(view) == 1


@given(event_lists(), FILTERS, st.data())
def test_the_view_shows_matches_whatever_came_before(
    events: list[e.SessionEvent], filter_: Filter, data: st.DataObject
) -> None:
    """Rows arrive in parts, with filters and marks set in between and slices of all sizes."""
    log, marks = EventLog(), Marks()
    view = EventView(log, marks, slice_events=data.draw(st.integers(1, 5)))
    for event in events:
        log.apply(event)
        match data.draw(st.integers(0, 9)):
            case 0 | 1 | 2:
                view.update()
            case 3:
                view.set_filter(filter_)
            case 4 | 5:
                view.step(0)
            case 6 if len(view):
                view.toggle_mark(view.line(data.draw(st.integers(0, len(view) - 1))))
            case 7 if len(view):
                view.toggle_run(view.line(data.draw(st.integers(0, len(view) - 1))).row)
    if view.filter != filter_:
        view.set_filter(filter_)
    view.update()
    while view.step() < 1:
        pass
    expected = rows_matching(log, filter_, marks)
    assert list(view.rows) == expected
    for row in expected:
        if log.rows[row].count > 1 and view.expanded(row) is None:
            view.toggle_run(row)
    place = 0
    for row in expected:
        assert view.line(place) == ViewLine(row, log.rows[row].last, log.rows[row].first, False)
        assert view.position_of(row) == place
        place += 1
        if log.rows[row].count > 1:
            for index in view.select(log.members(row)):
                assert view.line(place) == ViewLine(row, index, index, True)
                place += 1
    assert place == len(view)
    assert [view.position(line) for line in lines(view)] == list(range(len(view)))


def test_an_opened_run_shows_its_events_and_goes_on_growing() -> None:
    view = view_of(message("a"), chunk(RECEIVED), chunk(SENT), chunk(RECEIVED))
    assert view.toggle_run(1)
    assert not view.toggle_run(0), "a single event cannot be opened"
    assert shown(view) == ["0", "1", "1:2", "1:4", "2"]
    append(view.log, chunk(RECEIVED))
    view.update()
    assert shown(view) == ["0", "1", "1:2", "1:4", "1:5", "2"]
    assert view.line(1).event == 4, "the newest"
    assert view.position_of_event(4) == 3
    assert not view.toggle_run(1)
    assert shown(view) == ["0", "1", "2"]
    assert view.position_of_event(4) == 1


def test_where_a_line_went_when_it_is_no_longer_shown() -> None:
    view = view_of(message("a"), delta("b"), delta("b"), error(), message("c"))
    view.toggle_run(1)
    member, failed = view.line(3), view.line(4)
    view.set_filter(parse("errors or summary"))
    view.step()
    assert [view.position(member), view.position(failed)] == [1, 1]
    assert view.position_of_event(2) is None
    assert view.position_of_event(99) is None
    view.set_filter(parse("kind:nothing"))
    view.step()
    assert view.position(failed) == len(view) == 0


def test_several_lines_are_the_same_as_each_line_alone() -> None:
    view = view_of(message("a"), chunk(), chunk(), error("x"), message("b"))
    assert len(view.lines(0, 99)) == 4
    for expanded in (False, True):
        assert not expanded or view.toggle_run(1)
        for first in range(len(view) + 1):
            assert view.lines(first, first + 3) == lines(view)[first : first + 3]
    assert len(view.lines(0, 99)) == 6


def test_following_ends_and_new_rows_are_counted() -> None:
    view = view_of(message("a"), filter_="kind:m or kind:a")
    assert (view.following, view.unseen) == (True, 0)
    view.hold()
    append(view.log, message("m"), error(), message("m2"))
    view.update()
    view.hold()
    assert (view.following, view.unseen) == (False, 2)
    view.set_filter(parse(""))
    assert view.unseen == 3
    view.follow()
    append(view.log, message("m"))
    view.update()
    assert (view.following, view.unseen) == (True, 0)


def test_marks_stay_with_their_events() -> None:
    view = view_of(message("a"), chunk(), chunk(), message("b"))
    assert view.toggle_mark(view.line(1))
    assert view.marks.numbers == [2], "the first of a run, which may go on"
    view.toggle_run(1)
    assert view.toggle_mark(view.line(3))
    assert view.marks.numbers == [2, 3]
    assert [view.marks_in(line) for line in lines(view)] == [[], [2, 3], [2], [3], []]
    assert not view.toggle_mark(view.line(1)), "all of the run"
    assert view.marks.numbers == []


def test_a_mark_in_a_run_is_not_one_of_the_run_beside_it() -> None:
    view = view_of(chunk(RECEIVED), chunk(SENT), chunk(RECEIVED))
    view.marks.toggle(2)
    assert [view.marks_in(line) for line in lines(view)] == [[], [2]]


def test_a_view_of_marks_keeps_up_with_them() -> None:
    view = view_of(message("a"), chunk(), chunk(), message("b"), filter_='marked or noted or "of a"')
    assert shown(view) == ["0"]
    view.toggle_mark(ViewLine(1, 2, 1, False))
    view.annotate(ViewLine(2, 3, 3, False), " look ")
    assert shown(view) == ["0", "1", "2"]
    assert view.marks.notes == {4: "look"}
    view.toggle_run(1)
    assert shown(view) == ["0", "1", "1:2", "2"]
    view.toggle_mark(ViewLine(1, 2, 2, True))
    assert shown(view) == ["0", "1", "1:2", "1:3", "2"]
    view.toggle_mark(view.line(1))
    view.annotate(view.line(1), "")
    assert shown(view) == ["0"]
    assert not view.marks.notes


def test_marks_in_a_filter_are_looked_for_in_order() -> None:
    marks = marked(5, 1, 3)
    assert (marks.numbers, marks.between(2, 5), 3 in marks, 4 in marks) == ([1, 3, 5], [3, 5], True, False)


def test_an_event_without_a_row_has_no_line() -> None:
    view = view_of(said(e.Party.USER, "hi"), message("a"), filter_="dir:own or a")
    assert shown(view) == ["0"]
    assert view.position_of_event(1) is None
