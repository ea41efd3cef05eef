"""Finds the next match, error, turn or mark in a view, or the line at a time or number; searches raw messages."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import NamedTuple

from tui.models.events import MessageLogged
from tui.models.filter.patterns import Pattern, Phrase, pattern_of
from tui.models.filter.terms import Category, Filter, Marked
from tui.models.log.event_log import NO_ROW, RawMessage
from tui.models.log.view import EventView, ViewLine
from tui.units import NS_PER_S

ERRORS, MARKED = Category("errors"), Marked()

COUNTED_EVENTS = 100_000
"""Longest log, in events, in which matches are counted. Each step to another match counts them again."""

_BLOCK, _LARGEST_BLOCK = 128, 8192
_PAYLOAD = re.compile(r"[A-Za-z0-9+/=_-]{200,}")


class Found(NamedTuple):
    """A match of a search, and where it was found."""

    position: int
    """Position in the view of the line with the match."""
    event: int
    """Index of the matching event; in a closed run, the line may show a different event."""
    wrapped: bool
    """Whether the search wrapped around to the other end."""


class MatchNumber(NamedTuple):
    """The number of a match, and the number of all matches."""

    nth: int
    of: int


def search_pattern(text: str) -> Pattern:
    """Parses a search text: words (ignoring case), ``"quoted"`` text, or ``/regex/``.

    Raises `FilterError`. Unlike in a filter, an unclosed quotation mark or slash is searched for literally.
    """
    closed = re.fullmatch(r'".*"|/.*/i?', text, re.DOTALL | re.IGNORECASE)
    return pattern_of(text, 1) if closed else Phrase(text)


def find(
    view: EventView, wanted: Filter, position: int, *, forward: bool = True, wrap: bool = True
) -> Found | None:
    """Returns the next line after ``position`` that has a matching event, or the previous line if not ``forward``.

    The search goes from row to row and, in expanded runs, from event to event. To start at either end, pass
    -1 or the number of lines.
    """
    return next(filter(None, finding(view, wanted, position, forward=forward, wrap=wrap)), None)


def finding(
    view: EventView, wanted: Filter, position: int, *, forward: bool = True, wrap: bool = True
) -> Iterator[Found | None]:
    """Runs `find` in steps, one block of rows at a time.

    Yields None for each block without a match, then the match, if there is one. Stops when a new session
    begins.
    """
    events = view.log.events
    row, rest = _leave(view, position, forward=forward)
    event = _outermost(wanted(rest, view.context), forward=forward)
    if event is not None:
        yield Found(_position(view, event), event, False)
        return
    for wrapped in (False, True) if wrap else (False,):
        begin = (-1 if forward else NO_ROW) if wrapped else row
        for event in _beyond(view, wanted, begin, forward=forward):
            yield None if event is None else Found(_position(view, event), event, wrapped)
            if event is not None or view.log.events is not events:
                return


def placing(view: EventView, wanted: Filter, event: int) -> Iterator[MatchNumber | None]:
    """Counts the matches of `find` in steps, up to ``event`` and in total.

    Yields None for each block of rows, then the result. Yields no result if the log is too long, the filter
    is still running, or a new session begins.
    """
    events, here, row, nth, of = view.log.events, _stop(view, event), -1, 0, 0
    if len(events) > COUNTED_EVENTS or view.progress < 1:
        return
    while (first := bisect_right(view.rows, row)) < len(view.rows):
        block = view.rows[first : first + _BLOCK]
        row = block[-1]
        stops = {_stop(view, index) for index in wanted(_events_of(view, block), view.context)}
        nth, of = nth + sum(stop <= here for stop in stops), of + len(stops)
        yield None
        if view.log.events is not events:
            return
    yield MatchNumber(nth, of)


def next_turn(view: EventView, position: int, *, forward: bool = True) -> int | None:
    """Returns the first line of the next turn or, if not ``forward``, of the current or previous turn.

    Returns None if there is no such turn.
    """
    turns, line = view.log.turns, view.line(position)
    turn = turns.turn_of(line.first)
    for candidate in (turn + 1,) if forward else (turn, turn - 1):
        start = turns.start_of(candidate)
        if start is not None:
            target = view.position_from(start)
            if target < len(view) and (target > position if forward else target < position):
                return target
    return None


def at_time(view: EventView, seconds: float) -> int:
    """Returns the first line at or after a time, in seconds since the session's start, or else the last line."""
    at_ns, firsts = view.log.events.at_ns, view.log.rows.firsts
    if not view.rows:
        return 0
    wanted_ns = at_ns[0] + round(seconds * NS_PER_S)
    place = bisect_left(view.rows, wanted_ns, key=lambda row: at_ns[firsts[row]])
    return view.position_of(view.rows[min(place, len(view.rows) - 1)])


def at_instant(view: EventView, at_ns: int) -> int:
    """Returns the last line at or before a time, or else the first line."""
    times, firsts = view.log.events.at_ns, view.log.rows.firsts
    place = bisect_right(view.rows, at_ns, key=lambda row: times[firsts[row]])
    return view.position_of(view.rows[max(place - 1, 0)]) if view.rows else 0


def at_number(view: EventView, number: int) -> int:
    """Returns the line of the event with this number.

    If the event is not shown, returns the next line, or the last line if none follows.
    """
    position = view.position_of_event(number)
    if position is None:
        position = view.position_from(bisect_left(view.log.events.numbers, number))
    return max(min(position, len(view) - 1), 0)


class RawSearch:
    """Searches all raw messages of a view for a pattern, one `step` at a time.

    Audio is skipped, because base64 may contain any short word. Discard the object when the user starts
    another search.
    """

    def __init__(
        self,
        view: EventView,
        pattern: Pattern,
        position: int,
        raw: RawMessage,
        *,
        forward: bool = True,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.found: Found | None = None
        self.done = False
        """Whether a match was found, every message was searched, or a new session began."""
        self._view, self._pattern, self._raw, self._clock = view, pattern, raw, clock
        self._events = view.log.events
        self._walk = _walk(view, position, forward=forward)
        self._rows = 0

    @property
    def progress(self) -> float:
        """Share of the rows searched, 0 to 1."""
        return 1.0 if self.done else min(self._rows / max(len(self._view.rows), 1), 1.0)

    def step(self, budget_ms: float = 8.0) -> float:
        """Searches at least one row, and continues for about ``budget_ms``; returns the progress."""
        deadline = self._clock() + budget_ms / 1000
        while not self.done:
            if self._view.log.events is not self._events:
                self.done = True
                break
            stop = next(self._walk, None)
            if stop is None:
                self.done = True
                break
            events, wrapped = stop
            self._rows += 1
            event = next((index for index in events if self._matches(index)), None)
            if event is not None:
                self.found = Found(_position(self._view, event), event, wrapped)
                self.done = True
            if self._clock() >= deadline:
                break
        return self.progress

    def _matches(self, index: int) -> bool:
        event = self._events[index]
        raw = self._raw(event) if isinstance(event, MessageLogged) else None
        if raw is None:
            return False
        text = raw.decode(errors="replace")
        return self._pattern.matches(_PAYLOAD.sub("…", text) if self._events.audio_ms[index] else text)


def _leave(view: EventView, position: int, *, forward: bool) -> tuple[int, Sequence[int]]:
    """Returns the row of the line at ``position``, and the events of its run that are still to be searched.

    The events are empty unless the run is expanded.
    """
    if not 0 <= position < len(view):
        return (-1 if position < 0 else NO_ROW), ()
    line = view.line(position)
    expanded = view.expanded(line.row) or ()
    if forward:
        return line.row, expanded[bisect_right(expanded, line.event) if line.member else 0 :]
    return line.row, expanded[: bisect_left(expanded, line.event) if line.member else 0]


def _beyond(view: EventView, wanted: Filter, row: int, *, forward: bool) -> Iterator[int | None]:
    """Searches the rows beyond ``row`` block by block.

    Yields None for each block without a match, then the nearest matching event.
    """
    rows, size = view.rows, _BLOCK
    place = bisect_right(rows, row) if forward else bisect_left(rows, row)
    while place < len(rows) if forward else place > 0:
        block = rows[place : place + size] if forward else rows[max(place - size, 0) : place]
        found = wanted(_events_of(view, block), view.context)
        nearest = _outermost([view.log.row_ids[index] for index in found], forward=forward)
        if nearest is not None:
            in_row = [index for index in found if view.log.row_ids[index] == nearest]
            yield _outermost(in_row, forward=forward)
            return
        yield None
        place += size if forward else -size
        size = min(2 * size, _LARGEST_BLOCK)


def _events_of(view: EventView, rows: Sequence[int]) -> list[int]:
    """Returns the events of the rows in ascending order; for an expanded run, only the events that are shown."""
    firsts, counts = view.log.rows.firsts, view.log.rows.counts
    events = [firsts[row] for row in rows if counts[row] == 1]
    for row in rows:
        if counts[row] > 1:
            expanded = view.expanded(row)
            events.extend(view.log.members(row) if expanded is None else expanded)
    events.sort()
    return events


def _outermost(values: Sequence[int], *, forward: bool) -> int | None:
    if not values:
        return None
    return min(values) if forward else max(values)


def _position(view: EventView, event: int) -> int:
    row = view.log.row_ids[event]
    return view.position(ViewLine(row, event, event, view.expanded(row) is not None))


def _stop(view: EventView, event: int) -> tuple[int, int]:
    """Returns the row and the event at which a search stops if it finds ``event``.

    The returned event is 0 unless the row is an expanded run.
    """
    row = view.log.row_ids[event]
    return row, 0 if view.expanded(row) is None else event


def _walk(view: EventView, position: int, *, forward: bool) -> Iterator[tuple[list[int], bool]]:
    """Yields each row's events in search order, and whether the search has wrapped around.

    Stops after one full pass over the rows. Rows may be added or removed in the meantime.
    """
    begin, rest = _leave(view, position, forward=forward)
    yield list(rest) if forward else list(reversed(rest)), False
    for wrapped in (False, True):
        row = (-1 if forward else NO_ROW) if wrapped else begin
        while True:
            place = bisect_right(view.rows, row) if forward else bisect_left(view.rows, row) - 1
            if not 0 <= place < len(view.rows):
                break
            row = view.rows[place]
            if wrapped and (row > begin if forward else row < begin):
                return
            events = _events_of(view, (row,))
            yield events if forward else events[::-1], wrapped
