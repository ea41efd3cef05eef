"""EventLine: one line of the event log, as pieces of text and the style each of them is drawn in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from rich.cells import cell_len

from tui.models.events import SessionStarted
from tui.models.filter.patterns import Pattern, Span
from tui.models.log.describe import Severity, describe
from tui.models.log.view import EventView, ViewLine
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.wrap import fit

WIDE = 90
"""From here on there is room for the time since the line above, for long kinds, and for the size in every line:
in a narrower one it stands where the summary leaves room."""

BACK_DATED = "↶"
"""Beside a time before that of the line above."""
_TIME_CELLS, _DAYTIME_CELLS, _DELTA_CELLS, _SIZE_CELLS = 10, 13, 9, 5
"""Both times with the mark beside them."""
_ARROW_STYLES = {"→": "event-log--sent", "←": "event-log--received"}
_LEVEL_STYLES = {Severity.WARNING: "event-log--warning", Severity.ERROR: "event-log--error"}
Pieces = list[tuple[str, str]]


class Look(NamedTuple):
    """What the look of a line depends on, beside its place and the width: all of it is in the cache's key."""

    line: ViewLine
    marked: bool
    note: str
    opened: bool
    delta_ns: int | None
    absolute: bool
    pattern: Pattern | None
    highlight: str


def look_at(view: EventView, position: int, absolute: bool, pattern: Pattern | None, highlight: str) -> Look:
    """What is to be drawn in a line of the view."""
    line = view.line(position)
    return Look(
        line,
        bool(view.marks_in(line)),
        view.marks.notes.get(view.number(line), "") if view.marks.notes else "",
        view.opened(line.row) is not None,
        view.delta_ns(position),
        absolute,
        pattern,
        highlight,
    )


def pieces(view: EventView, look: Look, width: int) -> Pieces:
    """A line from left to right."""
    log, line = view.log, look.line
    what = describe(log.events[line.event])
    row = log.rows[line.row]
    is_run = row.count > 1 and not line.member
    level = _LEVEL_STYLES.get(what.level)
    own = what.arrow not in _ARROW_STYLES
    kind_style = level or ("event-log--own" if own else "event-log--kind")
    text_style = level or ("event-log--quiet" if row.count > 1 else "event-log--summary")
    wide = width >= WIDE
    kind_cells = 28 if wide else 18
    delta_cells = _DELTA_CELLS if wide else 0
    time_cells = _DAYTIME_CELLS if look.absolute else _TIME_CELLS
    summary_cells = max(width - time_cells - delta_cells - kind_cells - 8, 8)

    glyph = what.level.value
    if is_run and not glyph.strip():
        glyph = "▾" if look.opened else "▸"
    kind = ("└ " if line.member else "") + one_line(what.kind, 80)
    summary = log.events.texts[line.event] if line.member else log.summary(row)
    if look.note:
        summary = f"✎ {look.note} · {summary}"
    summary = one_line(summary, summary_cells)
    size = numbers.size(log.events.sizes[line.event] if line.member else row.size_bytes)
    size_cells = 1 + _SIZE_CELLS if wide or (size and cell_len(summary) + _SIZE_CELLS < summary_cells) else 0
    time = _time(view, line, look.absolute)
    back_dated = look.delta_ns is not None and look.delta_ns < 0
    if look.marked or back_dated:
        time = f"{'◆' if look.marked else BACK_DATED}{time.rjust(time_cells - 1)}"
    parts: Pieces = [("▌" if look.highlight else " ", "event-log--time")]
    parts.append((time.rjust(time_cells), "event-log--marked" if look.marked else "event-log--time"))
    if wide:
        parts.append((_delta(look.delta_ns).rjust(_DELTA_CELLS), "event-log--own"))
    parts += [
        (f" {what.arrow} ", _ARROW_STYLES.get(what.arrow, "event-log--own")),
        (f"{glyph} ", level or "event-log--own"),
    ]
    for text, cells, keep_end, style in (
        (kind, kind_cells, True, kind_style),
        (summary, summary_cells - size_cells, False, text_style),
    ):
        fitted = fit(text, cells, keep_end=keep_end)
        parts += _highlighted(fitted, style, [] if look.pattern is None else look.pattern.spans(fitted))
        parts.append((" ", style))
    if size_cells:
        parts.append((size.rjust(_SIZE_CELLS), "event-log--time"))
    return parts


def _highlighted(text: str, style: str, spans: list[Span]) -> Pieces:
    parts, at = [], 0
    for start, end in spans:
        parts += [(text[at:start], style), (text[start:end], "event-log--match")]
        at = end
    return [*parts, (text[at:], style)]


def _time(view: EventView, line: ViewLine, absolute: bool) -> str:
    events = view.log.events
    at_ns, start_ns = events.at_ns[line.first], events.at_ns[0]
    begin = events[0] if absolute else None
    if isinstance(begin, SessionStarted):
        try:
            moment = datetime.fromisoformat(begin.started_utc).astimezone()
            moment += timedelta(microseconds=(at_ns - start_ns) // 1000)
            return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
        except (ValueError, OverflowError, OSError):
            pass  # a session of an unknown time still has its seconds
    return numbers.since(at_ns, start_ns)


def _delta(delta_ns: int | None) -> str:
    """The time since the line above, in at most eight characters."""
    if delta_ns is None:
        return ""
    seconds = delta_ns / 1e9
    return f"Δ{seconds:.3f}" if abs(seconds) < 1000 else f"Δ{seconds:.0f}"
