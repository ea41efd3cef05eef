"""Creates logs and arbitrary events for tests of the event log's models."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from tests.builders import (
    MS,
    begins,
    chunk,
    delta,
    error,
    finding,
    loss,
    message,
    numbered,
    said,
    started,
    status,
    user_speaks,
)
from tui.models import events as e
from tui.models.filter.language import parse
from tui.models.filter.terms import And, Context, Filter, Not, Or
from tui.models.log.event_log import MAX_BYTES, NO_ROW, EventLog
from tui.models.log.marks import Marks
from tui.protocols.log_rules import LogRules

SENT, RECEIVED = e.Direction.SENT, e.Direction.RECEIVED


def log_of(*events: e.SessionEvent, max_bytes: int = MAX_BYTES) -> EventLog:
    """Returns a log of these events. Until a session begins in it, deltas form runs."""
    log = EventLog(max_bytes=max_bytes)
    log.rules = LogRules(runs=("delta",))
    for event in numbered(events):
        log.apply(event)
    return log


def numbers_matching(log: EventLog, filter_: Filter | str, marks: Marks | None = None) -> list[int]:
    """Returns the numbers of the events that match, listed or not."""
    wanted = parse(filter_) if isinstance(filter_, str) else filter_
    found = wanted(range(len(log.events)), Context(log, marks or Marks()))
    return [log.events.numbers[index] for index in found]


def marked(*numbers: int, notes: dict[int, str] | None = None) -> Marks:
    """Returns marks at these events, and notes by event."""
    marks = Marks()
    for number in numbers:
        marks.toggle(number)
    for number, note in (notes or {}).items():
        marks.annotate(number, note)
    return marks


def rows_matching(log: EventLog, filter_: Filter, marks: Marks) -> list[int]:
    """Returns the rows that a view should show, found in a simple way: event by event."""
    context = Context(log, marks)
    matching = [index for index in range(len(log.events)) if filter_([index], context)]
    return sorted({log.row_ids[index] for index in matching} - {NO_ROW})


_KINDS: st.SearchStrategy[e.SessionEvent] = st.sampled_from(
    [
        chunk(RECEIVED),
        chunk(SENT),
        message("m"),
        message("mark", SENT, size_bytes=3000),
        message("strange", known=False),
        delta("Hello"),
        delta("order number 5"),
        status(e.Status.IDLE, e.Status.CONNECTING),
        said(e.Party.USER, "x"),
        user_speaks(),
        e.KeysPressed(at_ns=0, digits="5"),
        begins(),
        error(),
        finding(),
        loss(),
    ]
)


@st.composite
def event_lists(draw: st.DrawFn, max_size: int = 40) -> list[e.SessionEvent]:
    """Generates events with mostly increasing times, like those of a session."""
    events, at_ms = [started()], 0
    events_drawn: list[e.SessionEvent] = []
    for event in draw(st.lists(_KINDS, max_size=max_size)):
        at_ms += draw(st.integers(-50, 900))
        events_drawn.append(msgspec.structs.replace(event, at_ns=max(at_ms, 0) * MS))
    return numbered([*events, *events_drawn])


_KIND_TERMS = ("kind:chunk", 'kind:"text.delta"', "kind:/^m/", "dir:sent", "dir:received", "dir:own")
_TEXT_TERMS = ("hello", '"number 5"', r"/order\s\w+/", "/HELLO/i")
_WORDS = ("errors", "warnings", "findings", "losses", "unknown", "audio", "transcript", "marked", "noted")
_RANGES = ("turn:1", "turn:..2", "time:1..5", "after:3.25", "before:2", "number:5..", "number:7")
_SIZES = ("size > 1k", "size <= 10")
FILTERS = st.recursive(
    st.sampled_from([*_KIND_TERMS, *_TEXT_TERMS, *_WORDS, *_RANGES, *_SIZES]).map(parse),
    lambda terms: st.one_of(
        st.lists(terms, min_size=2, max_size=3).map(lambda some: And(tuple(some))),
        st.lists(terms, min_size=2, max_size=3).map(lambda some: Or(tuple(some))),
        terms.map(Not),
    ),
    max_leaves=6,
)
"""Arbitrary filters."""
