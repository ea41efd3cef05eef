"""Reads a saved session for a report, by applying its events to the models that the screen also uses."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tui.models import events as e
from tui.models.log.describe import Severity, describe
from tui.models.log.event_log import EventLog, Row
from tui.models.log.marks import Marks
from tui.models.transcript import ToolUse, Transcript, Utterance
from tui.models.turns.figures import silence_of
from tui.models.turns.metrics import MetricsFold, SessionMetrics
from tui.saving.audio_elision import without_audio
from tui.saving.marks_file import read_marks
from tui.saving.reading import SavedSession
from tui.saving.record import SessionRecord
from tui.saving.remeasure import remeasured_events
from tui.text.json_text import json_of
from tui.text.visible import one_line, visible

_MOST_RAW_CHARS = 16_000
"""Limits for one message and for all messages, in characters, so that a report is small enough to send."""
_MOST_RAW_CHARS_IN_ALL = 8_000_000
_SUMMARY_CHARS = 400


class EventRow(msgspec.Struct, array_like=True, frozen=True):
    """A row of the event log on the page. All text is safe to show."""

    seconds: float
    number: int
    arrow: str
    level: str
    kind: str
    summary: str
    detail: str
    """The raw message or, for other events, the event's fields."""


class TimelineMark(msgspec.Struct, array_like=True, frozen=True):
    """An event on the timeline."""

    seconds: float
    until_s: float | None
    look: str
    """"tool", "error", "finding", "barge-in", "loss", "condition", "note"."""
    text: str


class MarkedRow(msgspec.Struct, frozen=True):
    """An event that has a mark or a note. All text is safe to show."""

    seconds: float
    marked: bool
    event: str
    note: str


class Spoken(msgspec.Struct, frozen=True):
    """A transcript entry, and the time at which it began, in seconds."""

    seconds: float
    entry: Utterance | ToolUse


class FailedStep(msgspec.Struct, frozen=True):
    """A failed step of a scenario, with the time at which it began."""

    began_ns: int
    judged: e.StepChanged


class Content(msgspec.Struct):
    """The content of a report, except the audio. Times are in seconds from the first event, as in the event log."""

    record: SessionRecord
    outcome: str
    metrics: SessionMetrics
    """Figures remeasured from events and tracks."""
    began_ns: int
    ended_ns: int
    problems: list[str]
    rows: list[EventRow]
    marks: list[TimelineMark]
    marked: list[MarkedRow]
    """The user's marks and notes, in chronological order."""
    transcript: list[Spoken]
    wrong: list[e.ErrorRaised | e.FindingRaised]
    advice: list[e.FindingRaised | e.ConditionChanged]
    losses: list[e.LossCounted]
    conditions: list[e.ConditionChanged]
    failed_step: FailedStep | None = None
    """The first failed step of a scenario; None if none failed."""

    def seconds(self, at_ns: int) -> float:
        """Returns the seconds from the first event to a given time."""
        return (at_ns - self.began_ns) / 1e9


def read_content(saved: SavedSession) -> Content:
    """Reads a session and remeasures it."""
    log, transcript, placed, fold = EventLog(), Transcript(), _Placed(), MetricsFold()
    for event in saved.events():
        log.apply(event)
        transcript.apply(event)
    for event in remeasured_events(saved, fold):
        placed.apply(event)
    began_ns = log.events.at_ns[0] if len(log.events) else 0
    content = Content(
        record=saved.record,
        outcome=saved.outcome,
        metrics=fold.metrics,
        began_ns=began_ns,
        ended_ns=max(log.events.at_ns, default=began_ns),
        problems=[*saved.problems, *([log.limit_notice] if log.left_out else [])],
        rows=list(_rows(log, saved)),
        marks=[],
        marked=list(_marked(log, read_marks(saved.folder))),
        transcript=[],
        wrong=placed.wrong,
        advice=placed.advice,
        losses=placed.losses,
        conditions=placed.conditions,
        failed_step=placed.failed_step,
    )
    noted = (TimelineMark(each.seconds, None, "note", each.note or "mark") for each in content.marked)
    content.marks = sorted((*_marks(placed, content), *noted), key=lambda mark: mark.seconds)
    spoken = (Spoken(content.seconds(entry.began_ns), entry) for entry in transcript.entries)
    content.transcript = sorted(spoken, key=lambda each: each.seconds)
    return content


class _Placed:
    """Collects the events that the report lists or shows on the timeline."""

    def __init__(self) -> None:
        self.marked: list[e.SessionEvent] = []
        self.wrong: list[e.ErrorRaised | e.FindingRaised] = []
        self.advice: list[e.FindingRaised | e.ConditionChanged] = []
        self.losses: list[e.LossCounted] = []
        self.conditions: list[e.ConditionChanged] = []
        self.failed_step: FailedStep | None = None
        self._step_began_ns = 0

    def apply(self, event: e.SessionEvent) -> None:
        match event:
            case e.LossCounted():
                self.losses.append(event)
                if event.loss.is_fault:
                    self.marked.append(event)
            case e.FindingRaised(advice=True):
                self.advice.append(event)
            case e.ConditionChanged() if event.condition.is_advice:
                self.advice.append(event)
            case e.ConditionChanged():
                self.conditions.append(event)
                self.marked.append(event)
            case e.ErrorRaised() | e.FindingRaised():
                self.wrong.append(event)
                self.marked.append(event)
            case e.ToolChanged():
                self.marked.append(event)
            case e.StepChanged(verdict=""):
                self._step_began_ns = event.at_ns
            case e.StepChanged(verdict="failed") if self.failed_step is None:
                self.failed_step = FailedStep(self._step_began_ns, event)


def _marks(placed: _Placed, content: Content) -> Iterator[TimelineMark]:
    open_tools: dict[tuple[str, str], e.ToolChanged] = {}
    for event in placed.marked:
        at_s = content.seconds(event.at_ns)
        text = one_line(describe(event).summary, _SUMMARY_CHARS)
        match event:
            case e.ToolChanged(finished=False):
                open_tools[event.call, event.name] = event
            case e.ToolChanged():
                began = open_tools.pop((event.call, event.name), event)
                yield TimelineMark(content.seconds(began.at_ns), at_s, "tool", text)
            case e.ErrorRaised():
                yield TimelineMark(at_s, None, "error", text)
            case e.FindingRaised():
                yield TimelineMark(at_s, None, "finding", text)
            case e.LossCounted():
                yield TimelineMark(at_s, None, "loss", text)
            case e.ConditionChanged(active=True):
                yield TimelineMark(at_s, None, "condition", text)
    for began in open_tools.values():
        text = one_line(describe(began).summary, _SUMMARY_CHARS)
        yield TimelineMark(content.seconds(began.at_ns), None, "tool", f"{text}: no result")
    for barge_in in content.metrics.barge_ins:
        if barge_in.at_ns is not None:
            silence = "" if barge_in.silence_ms is None else f", silence after {silence_of(barge_in)}"
            yield TimelineMark(
                content.seconds(barge_in.at_ns), None, "barge-in", f"barge-in {barge_in.kind}{silence}"
            )


def _marked(log: EventLog, marks: Marks) -> Iterator[MarkedRow]:
    for number in sorted({*marks.numbers, *marks.notes}):
        index = log.events.find(number)
        if index is not None:
            what = describe(log.events[index])
            event = one_line(f"#{number} {what.kind} {what.summary}", _SUMMARY_CHARS)
            note = one_line(marks.notes.get(number, ""))
            yield MarkedRow(round(log.seconds(index), 6), number in marks, event, note)


def _rows(log: EventLog, saved: SavedSession) -> Iterator[EventRow]:
    left_chars = _MOST_RAW_CHARS_IN_ALL
    for row in log.rows:
        shape = log.events.shape(row.last)
        arrow = "·" if shape.direction is None else "→" if shape.direction is e.Direction.SENT else "←"
        detail = _detail(log, row, saved) if left_chars > 0 else ""
        left_chars -= len(detail)
        yield EventRow(
            seconds=round(log.seconds(row.first), 6),
            number=log.events.numbers[row.first],
            arrow=arrow,
            level="" if shape.level is Severity.PLAIN else shape.level.value,
            kind=one_line(shape.kind, 80),
            summary=one_line(log.summary(row), _SUMMARY_CHARS),
            detail=detail,
        )


def _detail(log: EventLog, row: Row, saved: SavedSession) -> str:
    """Returns the raw message, without audio, or the event of a row as text; empty for a run."""
    if row.count > 1:
        return ""
    event = log.event(row)
    raw = json_of(event)
    if isinstance(event, e.MessageLogged):
        kept = saved.raw_message(event)
        raw = (without_audio(kept) if kept else None) or b""
    text = raw[: 4 * _MOST_RAW_CHARS].decode("utf-8", "replace").strip()
    cut = "…" if len(text) > _MOST_RAW_CHARS else ""
    return visible(text[:_MOST_RAW_CHARS]) + cut
