"""Stores the events of a session as columns of numbers: about 60 bytes per event, plus its text.

Nearly all events are messages. A message consists of numbers, one of a few kinds, and a line of text that
often repeats. The store therefore splits a message into columns and rebuilds it when it is read. Events that
are not messages are stored as objects.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

from tui.models.events import Direction, MessageLogged, SessionEvent, Transcribed
from tui.models.log.describe import UNLISTED, Severity, describe

COLUMNS_BYTES = 104
"""Size in bytes of an event in this store and as a row of the log, without its text."""
_OWN_BYTES = 320
"""Approximate additional size in bytes of an event that is stored as an object, without its text."""
_SHARED_TEXTS = 4096


class Shape(NamedTuple):
    """Properties that all events of one kind have in common."""

    kind: str
    direction: Direction | None
    """None for events of this program."""
    level: Severity
    known: bool
    listed: bool = True
    """Whether the log lists such events; False if they restate a message."""


class Shapes(list[Shape]):
    """The shapes of a session's events, in order of first appearance, and recently seen strings.

    The id of a shape is its position in the list.
    """

    def __init__(self) -> None:
        super().__init__()
        self.message_ids: dict[tuple[str, Direction, bool], int] = {}
        """Ids by kind, direction and `known`, for lookup without describing the message first."""
        self.texts: dict[str, str] = {}
        """Recently seen strings, so that equal strings are stored once."""
        self._ids: dict[Shape, int] = {}

    def id_of(self, shape: Shape) -> int:
        """Returns the id of a shape; adds the shape if it is new."""
        shape_id = self._ids.setdefault(shape, len(self))
        if shape_id == len(self):
            self.append(shape)
        return shape_id

    def add_message(self, event: MessageLogged) -> int:
        """Adds the shape of a message that has no entry in `message_ids` yet.

        Returns the id of the shape.
        """
        shape = Shape(event.kind, event.direction, describe(event).level, event.known)
        shape_id = self.message_ids[event.kind, event.direction, event.known] = self.id_of(shape)
        return shape_id

    def share(self, text: str) -> str:
        """Returns the stored copy of an equal string that was seen recently, or stores the string."""
        if len(self.texts) >= _SHARED_TEXTS:
            self.texts.clear()
        return self.texts.setdefault(text, text)


class Worded:
    """Records which received messages carried a transcript."""

    def __init__(self) -> None:
        self.positions = array("I")
        """Positions of the messages that carried a transcript, ascending."""
        self.last_received: int | None = None
        """Position of the last message received.

        A `Transcribed` event directly follows the message that it restates.
        """

    def transcribed(self) -> None:
        """Records that the last received message carried a transcript."""
        if self.last_received is not None:
            self.positions.append(self.last_received)
            self.last_received = None


class Events(Sequence[SessionEvent]):
    """Append-only storage of events; not thread-safe.

    The columns are public so that filters can run over a million events quickly.
    """

    def __init__(self) -> None:
        self.numbers = array("q")
        self.at_ns = array("q")
        self.shape_ids = array("I")
        """Positions in `shapes`."""
        self.sizes = array("q")
        self.audio_ms = array("d")
        self.worded = Worded()
        # A plain list, because filters index it a million times and CPython has a fast path for lists.
        self.texts: list[str] = []
        """The summary from `describe`; empty for events without a row.

        Equal summaries that are close to each other share one object."""
        self.shapes = Shapes()
        self.held_bytes = 0
        """Conservative estimate of the bytes used, including rows."""
        self._offsets = array("q")
        """Position in the session file for a message, or in `_own` for any other event."""
        self._kept_bytes = array("q")
        self._own: list[SessionEvent] = []

    def append(self, event: SessionEvent) -> None:
        """Appends one event."""
        self.numbers.append(event.number)
        self.at_ns.append(event.at_ns)
        self.held_bytes += COLUMNS_BYTES
        if isinstance(event, MessageLogged):
            self._append_message(event)
        else:
            self._append_own(event)

    def shape(self, index: int) -> Shape:
        """Returns the kind, direction and level of the event at this position."""
        return self.shapes[self.shape_ids[index]]

    def find(self, number: int) -> int | None:
        """Returns the position of the event with this number; None if it is not stored."""
        index = bisect_left(self.numbers, number)
        return index if index < len(self.numbers) and self.numbers[index] == number else None

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> SessionEvent: ...

    @overload
    def __getitem__(self, index: slice) -> list[SessionEvent]: ...

    def __getitem__(self, index: int | slice) -> SessionEvent | list[SessionEvent]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        shape = self.shape(index)
        if shape.direction is None:
            return self._own[self._offsets[index]]
        return MessageLogged(
            number=self.numbers[index],
            at_ns=self.at_ns[index],
            direction=shape.direction,
            kind=shape.kind,
            summary=self.texts[index],
            size_bytes=self.sizes[index],
            offset=self._offsets[index],
            kept_bytes=self._kept_bytes[index],
            audio_ms=self.audio_ms[index],
            known=shape.known,
        )

    def __iter__(self) -> Iterator[SessionEvent]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | Events):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it changes, as a list does

    def _append_message(self, event: MessageLogged) -> None:
        if event.direction is Direction.RECEIVED:
            self.worded.last_received = len(self.numbers) - 1
        shape_id = self.shapes.message_ids.get((event.kind, event.direction, event.known))
        if shape_id is None:
            # Shapes of messages count towards the size, because an agent can invent any number of kinds.
            shape_id = self.shapes.add_message(event)
            self.held_bytes += _OWN_BYTES + sys.getsizeof(event.kind)
        self.shape_ids.append(shape_id)
        self.sizes.append(event.size_bytes)
        self.audio_ms.append(event.audio_ms)
        self._kept_bytes.append(event.kept_bytes)
        self._offsets.append(event.offset)
        text = self.shapes.texts.get(event.summary)
        if text is None:
            text = self.shapes.share(event.summary)
            self.held_bytes += sys.getsizeof(text)
        self.texts.append(text)

    def _append_own(self, event: SessionEvent) -> None:
        what, listed = describe(event), not isinstance(event, UNLISTED)
        if isinstance(event, Transcribed) and not event.typed:
            self.worded.transcribed()
        self.shape_ids.append(self.shapes.id_of(Shape(what.kind, None, what.level, True, listed)))
        self.sizes.append(0)
        self.audio_ms.append(0.0)
        self._kept_bytes.append(0)
        self._offsets.append(len(self._own))
        self._own.append(event)
        self.texts.append(what.summary if listed else "")
        self.held_bytes += _OWN_BYTES + 2 * sys.getsizeof(what.summary)
