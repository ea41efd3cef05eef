"""Pairs: the partner of an event: a call and its result, a mark and its echo, a start and its stop.

Which kinds belong together is a table; which of several, the identifier they share, which stands in the raw
messages. The messages of a rule are read once, when a partner is first asked for, and then as they come.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tui.models import events as e
from tui.models.log.event_log import EventLog, RawMessage
from tui.models.log.storage import Shape

SENT, RECEIVED = e.Direction.SENT, e.Direction.RECEIVED


class End(NamedTuple):
    """One of the two messages of a pair."""

    direction: e.Direction
    kinds: tuple[str, ...]
    path: str = ""
    """Where the identifier stands in the message; empty: there is none, the order tells."""

    def fits(self, shape: Shape) -> bool:
        """Whether events of this shape are such messages."""
        return shape.direction is self.direction and shape.kind in self.kinds


class Rule(NamedTuple):
    """Messages that belong together."""

    opens: End
    closes: End
    newest: bool = False
    """What closes belongs to the newest that is open; otherwise to the oldest."""


def _asked(kind: str, answer: str, path: str = "", answer_path: str = "") -> Rule:
    return Rule(End(SENT, (kind,), path), End(RECEIVED, (answer,), answer_path or path))


def _span(direction: e.Direction, first: str, last: str, path: str = "") -> Rule:
    return Rule(End(direction, (first,), path), End(direction, (last,), path), newest=True)


RULES: tuple[Rule, ...] = (
    # AudioCodes
    Rule(
        End(SENT, ("session.initiate", "session.resume")),
        End(RECEIVED, ("session.accepted", "session.error")),
    ),
    _asked("connection.validate", "connection.validated"),
    _span(RECEIVED, "playStream.start", "playStream.stop", "streamId"),
    _span(SENT, "userStream.start", "userStream.stop"),
    _span(RECEIVED, "userStream.started", "userStream.stopped"),
    _span(RECEIVED, "userStream.speech.started", "userStream.speech.stopped"),
    # Twilio
    Rule(End(RECEIVED, ("mark",), "mark.name"), End(SENT, ("mark",), "mark.name")),
    _span(SENT, "start", "stop"),
    # Plain PCM
    _span(SENT, "start", "end"),
    # OpenAI Realtime
    _asked("session.update", "session.updated"),
    _asked("input_audio_buffer.clear", "input_audio_buffer.cleared"),
    _asked("output_audio_buffer.clear", "output_audio_buffer.cleared"),
    _asked("conversation.item.truncate", "conversation.item.truncated", "item_id"),
    _asked("conversation.item.delete", "conversation.item.deleted", "item_id"),
    _asked("conversation.item.retrieve", "conversation.item.retrieved", "item_id", "item.id"),
    _span(RECEIVED, "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "item_id"),
    _span(RECEIVED, "response.created", "response.done", "response.id"),
    _span(RECEIVED, "response.output_item.added", "response.output_item.done", "item.id"),
    _span(RECEIVED, "response.content_part.added", "response.content_part.done", "item_id"),
    _span(RECEIVED, "conversation.item.added", "conversation.item.done", "item.id"),
    Rule(
        End(RECEIVED, ("response.function_call_arguments.done",), "call_id"),
        End(SENT, ("conversation.item.create",), "item.call_id"),
    ),
    _asked("conversation.item.create", "conversation.item.added", "item.id"),
    # ElevenLabs
    _asked("conversation_initiation_client_data", "conversation_initiation_metadata"),
    Rule(
        End(RECEIVED, ("client_tool_call",), "client_tool_call.tool_call_id"),
        End(SENT, ("client_tool_result",), "tool_call_id"),
    ),
    Rule(End(RECEIVED, ("ping",), "ping_event.event_id"), End(SENT, ("pong",), "event_id")),
)

_APPEND, _COMMIT = "input_audio_buffer.append", ("input_audio_buffer.commit", "input_audio_buffer.committed")
_DELTAS = (
    "response.output_audio",
    "response.output_audio_transcript",
    "response.output_text",
    "response.audio",
    "response.audio_transcript",
    "response.text",
    "response.function_call_arguments",
)
PARTS: dict[str, tuple[tuple[str, ...], bool]] = {
    "playStream.chunk": (("playStream.start",), False),
    "userStream.chunk": (("userStream.start",), False),
    _APPEND: (_COMMIT, True),
    **dict.fromkeys(_COMMIT, ((_APPEND,), False)),
    **{f"{name}.delta": ((f"{name}.done",), True) for name in _DELTAS},
    **{f"{name}.done": ((f"{name}.delta",), False) for name in _DELTAS},
}
"""Many messages that make up one thing: the kinds of which the nearest is the partner, and whether it comes after."""


class Pairs:
    """Finds partners in one log. One thread."""

    def __init__(self, log: EventLog, raw: RawMessage) -> None:
        self._log = log
        self._raw = raw
        self._events = log.events
        self._rules: dict[Rule | None, _Matcher] = {}

    def partner(self, number: int) -> int | None:
        """The number of the event that belongs to the one with this number; None when there is none."""
        if self._events is not self._log.events:
            self._events = self._log.events
            self._rules.clear()
        index = self._events.find(number)
        if index is None:
            return None
        shape = self._events.shape(index)
        if shape.direction is None:
            event = self._events[index]
            if isinstance(event, e.ErrorRaised | e.FindingRaised):
                return event.about if self._events.find(event.about) is not None else None
            found = self._matched(None, index)
        else:
            rules = (rule for rule in RULES if rule.opens.fits(shape) or rule.closes.fits(shape))
            partners = (self._matched(rule, index) for rule in rules)
            found = next((partner for partner in partners if partner is not None), None)
            if found is None and shape.kind in PARTS:
                found = self._nearest(index, *PARTS[shape.kind])
        return None if found is None else self._events.numbers[found]

    def _matched(self, rule: Rule | None, index: int) -> int | None:
        """What a rule, or that of our own events, pairs an event with."""
        matcher = self._rules.setdefault(rule, _Matcher(newest=rule is None or rule.newest))
        events = self._events
        fits = {
            shape_id
            for shape_id, shape in enumerate(events.shapes)
            if (
                shape.direction is None if rule is None else rule.opens.fits(shape) or rule.closes.fits(shape)
            )
        }
        for candidate in range(matcher.taken, len(events)):
            if events.shape_ids[candidate] in fits:
                end = _own_end(events[candidate]) if rule is None else self._end(rule, candidate)
                if end is not None:
                    matcher.add(candidate, *end)
        matcher.taken = len(events)
        return matcher.partners.get(index)

    def _end(self, rule: Rule, index: int) -> tuple[str, bool] | None:
        """The identifier in a message, and whether it opens."""
        opens = rule.opens.fits(self._events.shape(index))
        path = (rule.opens if opens else rule.closes).path
        if not path:
            return "", opens
        event = self._events[index]
        raw = self._raw(event) if isinstance(event, e.MessageLogged) else None
        identifier = None if raw is None else _member(raw, path)
        return None if identifier is None else (identifier, opens)

    def _nearest(self, index: int, kinds: tuple[str, ...], after: bool) -> int | None:
        events = self._events
        wanted = {n for n, shape in enumerate(events.shapes) if shape.direction and shape.kind in kinds}
        where = range(index + 1, len(events)) if after else range(index - 1, -1, -1)
        return next((other for other in where if events.shape_ids[other] in wanted), None)


class _Matcher:
    """What has been paired by one rule so far."""

    def __init__(self, *, newest: bool) -> None:
        self.taken = 0
        self.partners: dict[int, int] = {}
        self._newest = newest
        self._open: dict[str, list[int]] = {}

    def add(self, index: int, identifier: str, opens: bool) -> None:
        """Take the next message."""
        if opens:
            before = [] if self._newest else self._open.get(identifier, [])
            self._open[identifier] = [*before, index]
        elif identifier in self._open:
            partner, *rest = self._open.pop(identifier)
            self.partners[index], self.partners[partner] = partner, index
            if rest:
                self._open[identifier] = rest


def _member(raw: bytes, path: str) -> str | None:
    """What stands at this path of a JSON message, as text."""
    try:
        value: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) else None


def _own_end(event: e.SessionEvent) -> tuple[str, bool] | None:
    """What an event of our own begins or ends, and whether it begins."""
    match event:
        case e.ToolChanged():
            return f"tool {event.call}", not event.finished
        case e.ReplyStarted() | e.ReplyEnded():
            return f"reply {event.reply}", isinstance(event, e.ReplyStarted)
        case e.PlaybackStarted() | e.PlaybackEnded():
            return f"playback {event.reply}", isinstance(event, e.PlaybackStarted)
        case e.LineChanged():
            return f"line {event.name}", not event.finished
        case e.RecordingChanged():
            return "recording", event.recording
        case e.MutedChanged():
            return "muted", event.muted
        case e.SpeechEdge():
            return f"speech {event.speaker}", event.started
        case _:
            return None
