"""The event log: every event of the session, and the rows that show them.

Fifty audio chunks a second would fill the log. Messages of one kind and direction therefore share a row,
called a run, if they are audio chunks, deltas or of an unknown kind. Several runs can be open at a time; any
other row ends all of them. An event that restates a message has no row.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import overload

import msgspec

from tui.callbacks import CallbackManager, Registration
from tui.models.events import MessageLogged, NoticeRaised, SessionEvent, SessionStarted
from tui.models.log.describe import UNLISTED
from tui.models.log.storage import Events
from tui.models.turns.turn_fold import TurnIndex
from tui.protocols.log_rules import LogRules
from tui.protocols.registry import BUILT_IN, protocol_named

MAX_BYTES = 512_000_000
"""Size limit of the log: two to five million events, or at least ten hours of a busy call."""
RESERVED_BYTES = 16_000_000
"""Bytes reserved beyond the limit for events other than messages, so that a full log still lists errors."""
APPENDED = "appended"
CLEARED = "cleared"
RawMessage = Callable[[MessageLogged], bytes | None]
"""A function that returns the raw bytes of a message, or None if they were not kept; for example,
`tui.bridge.Bridge.raw_message`."""
NO_ROW = 0xFFFF_FFFF
"""Entry in `EventLog.row_ids` for an event that is not listed."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """A line of the log: an event, or a run of messages of one kind and direction."""

    index: int
    """Index of the row in the log."""
    first: int
    """Index of the row's first event in the store."""
    last: int
    count: int
    audio_ms: float
    size_bytes: int


class Rows(Sequence[Row]):
    """The rows of a log, stored as columns."""

    def __init__(self) -> None:
        self.firsts = array("I")
        self.lasts = array("I")
        self.counts = array("I")
        self.audio_ms = array("d")
        self.sizes = array("q")

    def append(self, index: int, audio_ms: float, size_bytes: int) -> None:
        """Appends a row that begins with the event at ``index``."""
        self.firsts.append(index)
        self.lasts.append(index)
        self.counts.append(1)
        self.audio_ms.append(audio_ms)
        self.sizes.append(size_bytes)

    def extend(self, row: int, index: int, audio_ms: float, size_bytes: int) -> None:
        """Adds the event at ``index`` to the run in this row."""
        self.lasts[row] = index
        self.counts[row] += 1
        self.audio_ms[row] += audio_ms
        self.sizes[row] += size_bytes

    def __len__(self) -> int:
        return len(self.firsts)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        return Row(
            index if index >= 0 else index + len(self),
            self.firsts[index],
            self.lasts[index],
            self.counts[index],
            self.audio_ms[index],
            self.sizes[index],
        )


class EventLog:
    """Append-only store of a session's events and the rows made from them.

    Use it from one thread only. Adding an event takes constant time.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self.callbacks = CallbackManager()
        self.max_bytes = max_bytes
        self._reset()

    def _reset(self) -> None:
        self.events = Events()
        """The events of the session. Each session has a new object, so that readers can detect the change."""
        self.rows = Rows()
        self.row_ids = array("I")
        """For each event: the index of its row, or `NO_ROW`."""
        self.turns = TurnIndex()
        self.rules = LogRules()
        """Rules of the session's protocol: which messages form runs and pairs, and which carry audio."""
        self.left_out = 0
        """Number of events left out because the log was full."""
        self._runs: dict[int, int] = {}
        """Rows of the runs that are still open, by shape."""

    def __len__(self) -> int:
        return len(self.rows)

    def add_append_callback(self, callback: Callable[[SessionEvent], object]) -> Registration:
        """Calls ``callback(event)`` for every event, even if the event has no row."""
        return self.callbacks.register_callback(APPENDED, callback)

    def add_clear_callback(self, callback: Callable[[], object]) -> Registration:
        """Calls ``callback()`` when a new session empties the log."""
        return self.callbacks.register_callback(CLEARED, callback)

    def apply(self, event: SessionEvent) -> None:
        """Appends one event; a `SessionStarted` empties the log first."""
        if isinstance(event, SessionStarted):
            self._reset()
            self.rules = _rules_of(event)
            self.callbacks.trigger(CLEARED)
        held_bytes = self.events.held_bytes
        if held_bytes < self.max_bytes or (
            held_bytes < self.max_bytes + RESERVED_BYTES and not isinstance(event, MessageLogged)
        ):
            self._append(event)
        else:
            self._leave_out(event)
        self.callbacks.trigger(APPENDED, event)

    @property
    def limit_notice(self) -> str:
        """A notice that the log is full; empty while there is room."""
        if not self.left_out:
            return ""
        events = "event is" if self.left_out == 1 else "events are"
        return f"the log is full ({self.max_bytes / 1e6:,.0f} MB): {self.left_out:,} {events} not listed"

    def kinds(self) -> Iterator[str]:
        """Returns every kind of event that has a row, in order of first appearance."""
        return iter(dict.fromkeys(shape.kind for shape in self.events.shapes if shape.listed))

    def row_of(self, number: int) -> int | None:
        """Returns the row that shows the event with this number.

        If the event has no row, returns the previous row.
        """
        index = self.events.find(number)
        if index is None:
            return None
        if self.row_ids[index] != NO_ROW:
            return self.row_ids[index]
        before = bisect_right(self.rows.firsts, index) - 1
        return before if before >= 0 else None

    def event(self, row: Row) -> SessionEvent:
        """Returns the event that a row shows, which is the newest event of a run."""
        return self.events[row.last]

    def members(self, row: int) -> list[int]:
        """Returns the positions of a row's events.

        Events of other rows may lie between the events of a run.
        """
        first, last = self.rows.firsts[row], self.rows.lasts[row]
        return [first + n for n, owner in enumerate(self.row_ids[first : last + 1]) if owner == row]

    def seconds(self, index: int) -> float:
        """Returns the time of the event at this position, in seconds since the session's start."""
        return (self.events.at_ns[index] - self.events.at_ns[0]) / 1e9

    def summary(self, row: Row) -> str:
        """Returns the summary of a row."""
        text = self.events.texts[row.last]
        if row.count == 1:
            return text
        rate = self._rate(row)
        if row.audio_ms:
            return f"{row.count} × audio, {row.audio_ms / 1000:.2f} s{rate}"
        return f"{text} (×{row.count}{rate})"

    def _rate(self, row: Row) -> str:
        """Returns the rate of a run's events as text; empty if the rate is unknown."""
        span_s = (self.events.at_ns[row.last] - self.events.at_ns[row.first]) / 1e9
        if span_s <= 0:
            return ""
        rate = (row.count - 1) / span_s
        return f", {rate:,.0f}/s" if rate >= 1000 else f", {rate:.3g}/s"

    def _append(self, event: SessionEvent) -> None:
        index = len(self.row_ids)
        self.events.append(event)
        if isinstance(event, MessageLogged):
            if event.audio_ms > 0 or not event.known or event.kind.endswith(self.rules.runs):
                self._extend_run(event, index)
            else:
                self._append_row(index, event.size_bytes)
            return
        self.turns.apply(index, event)
        if isinstance(event, UNLISTED):
            self.row_ids.append(NO_ROW)
        else:
            self._append_row(index)

    def _append_row(self, index: int, size_bytes: int = 0) -> None:
        self._runs.clear()
        self.row_ids.append(len(self.rows))
        self.rows.append(index, 0.0, size_bytes)

    def _extend_run(self, event: MessageLogged, index: int) -> None:
        shape_id = self.events.shape_ids[index]
        row = self._runs.get(shape_id)
        if row is None:
            row = self._runs[shape_id] = len(self.rows)
            self.rows.append(index, event.audio_ms, event.size_bytes)
        else:
            self.rows.extend(row, index, event.audio_ms, event.size_bytes)
        self.row_ids.append(row)

    def _leave_out(self, event: SessionEvent) -> None:
        """Counts an event that does not fit into the full log; logs a notice the first time."""
        if not self.left_out:
            text = f"The log is full ({self.max_bytes / 1e6:,.0f} MB): messages are no longer listed."
            hint = "If the session is saved, it includes the events that are not listed."
            self._append(NoticeRaised(number=event.number, at_ns=event.at_ns, text=text, hint=hint))
        self.left_out += 1


def _rules_of(started: SessionStarted) -> LogRules:
    """Returns the rules of the session's protocol; for an unknown protocol, the rules of all built-in protocols.

    Runs only code of built-in protocols, because a saved session may name any file as its protocol.
    """
    if started.protocol in BUILT_IN:
        known = protocol_named(started.protocol).log
        # The call's options can change only the byte order.
        swaps = started.log_rules.big_endian if started.log_rules else known.big_endian
        return msgspec.structs.replace(known, big_endian=swaps)
    if started.log_rules is not None:
        return started.log_rules
    rules = [protocol_named(name).log for name in BUILT_IN]
    return LogRules(
        runs=tuple(run for rule in rules for run in rule.runs),
        pairs=tuple(pair for rule in rules for pair in rule.pairs),
        audio_members=tuple(member for rule in rules for member in rule.audio_members),
    )
