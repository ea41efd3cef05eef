"""Pairs of events that belong together: a tool call and its result, a mark and its echo, a start and its stop.

The protocol's rules (`tui.protocols.log_rules`) define which kinds of messages form a pair. If several
messages qualify, an identifier in the raw messages decides. The messages of a rule are read when a partner is
first requested. Later requests read only new messages.
"""

from __future__ import annotations

import msgspec

from tui.models import events as e
from tui.models.log.event_log import EventLog, RawMessage
from tui.models.log.storage import Shape
from tui.protocols.log_rules import End, Nearest, Pair, member_at

_DIRECTIONS = {"caller": e.Direction.SENT, "agent": e.Direction.RECEIVED}


class Pairs:
    """Finds the partner of an event in one log. Not thread-safe."""

    def __init__(self, log: EventLog, raw: RawMessage) -> None:
        self._log = log
        self._raw = raw
        self._events = log.events
        self._rules: dict[Pair | None, _Matcher] = {}
        """The pairs found so far, by rule; None stands for the rule for this program's own events."""

    def partner(self, number: int) -> int | None:
        """Returns the number of the event that is paired with this one; None if it has no partner."""
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
            partners = (self._by_rule(rule, shape, index) for rule in self._log.rules.pairs)
            found = next((partner for partner in partners if partner is not None), None)
        return None if found is None else self._events.numbers[found]

    def _by_rule(self, rule: Pair | Nearest, shape: Shape, index: int) -> int | None:
        match rule:
            case Nearest() if shape.kind in rule.kinds:
                return self._nearest(index, rule.partners, rule.later)
            case Pair() if _fits(rule.opens, shape) or _fits(rule.closes, shape):
                return self._matched(rule, index)
            case _:
                return None

    def _matched(self, rule: Pair | None, index: int) -> int | None:
        """Returns the index of the event that ``rule`` pairs with this one.

        The rule None pairs events of this program.
        """
        matcher = self._rules.setdefault(rule, _Matcher(newest=rule is None or rule.newest))
        events = self._events
        fits = {
            shape_id
            for shape_id, shape in enumerate(events.shapes)
            if (
                shape.direction is None
                if rule is None
                else _fits(rule.opens, shape) or _fits(rule.closes, shape)
            )
        }
        for candidate in range(matcher.taken, len(events)):
            if events.shape_ids[candidate] in fits:
                end = _own_end(events[candidate]) if rule is None else self._end(rule, candidate)
                if end is not None:
                    matcher.add(candidate, *end)
        matcher.taken = len(events)
        return matcher.partners.get(index)

    def _end(self, rule: Pair, index: int) -> tuple[str, bool] | None:
        """Returns a message's identifier and whether the message opens a pair; None if it has no identifier."""
        opens = _fits(rule.opens, self._events.shape(index))
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
    """The pairs that one rule has found so far."""

    def __init__(self, *, newest: bool) -> None:
        self.taken = 0
        self.partners: dict[int, int] = {}
        self._newest = newest
        self._open: dict[str, list[int]] = {}

    def add(self, index: int, identifier: str, opens: bool) -> None:
        if opens:
            before = [] if self._newest else self._open.get(identifier, [])
            self._open[identifier] = [*before, index]
        elif identifier in self._open:
            partner, *rest = self._open.pop(identifier)
            self.partners[index], self.partners[partner] = partner, index
            if rest:
                self._open[identifier] = rest


def _fits(end: End, shape: Shape) -> bool:
    """Returns whether events of a shape can be this end of a pair."""
    return shape.direction is _DIRECTIONS[end.sender] and shape.kind in end.kinds


def _member(raw: bytes, path: str) -> str | None:
    """Returns the value at a path in a JSON message as text; None unless it is a string or an integer."""
    try:
        value = member_at(msgspec.json.decode(raw), path)
    except (msgspec.DecodeError, RecursionError):
        return None
    return str(value) if isinstance(value, str | int) else None


def _own_end(event: e.SessionEvent) -> tuple[str, bool] | None:
    """Returns what an event of this program starts or ends, and True if it starts it.

    Returns None for an event that is neither a start nor an end.
    """
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
