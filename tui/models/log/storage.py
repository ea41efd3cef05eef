"""Events: what happened in a session as columns of numbers, some 60 bytes an event and its text.

Nearly all events are messages, and a message is numbers, one of a few kinds, and a line of text that is often
the same: it is taken apart when it comes and made anew when it is asked for. All other events are kept whole.
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
"""What an event takes here and as a row of the log, without its text."""
_OWN_BYTES = 320
"""What an event that is kept whole takes on top, about, without its text."""
_SHARED_TEXTS = 4096


class Shape(NamedTuple):
    """What all messages of a kind, or all events of our own of a kind, have in common."""

    kind: str
    direction: Direction | None
    """None for our own events."""
    level: Severity
    known: bool
    listed: bool = True
    """False where they restate a message, and have no row."""


class Events(Sequence[SessionEvent]):
    """Append-only. One thread. The columns are there to be read by filters, which run over a million of them."""

    def __init__(self) -> None:
        self.numbers = array("q")
        self.at_ns = array("q")
        self.shape_ids = array("I")
        """Positions in `shapes`."""
        self.sizes = array("q")
        self.audio_ms = array("d")
        self.worded = array("I")
        """Positions of the received messages that said what was spoken, ascending."""
        self.texts: list[str] = []
        """The summary of `describe`; empty for what has no row."""
        self.shapes: list[Shape] = []
        """Every shape seen, in the order in which they came."""
        self.held_bytes = 0
        """What all of this takes, rows included, by a careful estimate."""
        self._offsets = array("q")
        self._kept_bytes = array("q")
        self._own: list[SessionEvent] = []
        self._received: int | None = None
        """Position of the last message received: what it restates comes right behind it."""
        self._shape_ids: dict[Shape, int] = {}
        self._message_ids: dict[tuple[str, Direction, bool], int] = {}
        """The same, without having to describe a message first."""
        self._shared: dict[str, str] = {}

    def append(self, event: SessionEvent) -> None:
        """Add one event."""
        self.numbers.append(event.number)
        self.at_ns.append(event.at_ns)
        self.held_bytes += COLUMNS_BYTES
        if isinstance(event, MessageLogged):
            self._append_message(event)
        else:
            self._append_own(event)

    def shape(self, index: int) -> Shape:
        """Kind, direction and level of the event at this position."""
        return self.shapes[self.shape_ids[index]]

    def find(self, number: int) -> int | None:
        """Position of the event with this number; None when it is not here."""
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
            self._received = len(self) - 1
        shape_id = self._message_ids.get((event.kind, event.direction, event.known))
        if shape_id is None:
            shape = Shape(event.kind, event.direction, describe(event).level, event.known)
            shape_id = self._message_ids[event.kind, event.direction, event.known] = self._id_of(shape)
        self.shape_ids.append(shape_id)
        self.sizes.append(event.size_bytes)
        self.audio_ms.append(event.audio_ms)
        self._kept_bytes.append(event.kept_bytes)
        self._offsets.append(event.offset)
        self.texts.append(self._shared.get(event.summary) or self._share(event.summary))

    def _append_own(self, event: SessionEvent) -> None:
        what, listed = describe(event), not isinstance(event, UNLISTED)
        if isinstance(event, Transcribed) and not event.typed and self._received is not None:
            self.worded.append(self._received)
            self._received = None
        self.shape_ids.append(self._id_of(Shape(what.kind, None, what.level, True, listed)))
        self.sizes.append(0)
        self.audio_ms.append(0.0)
        self._kept_bytes.append(0)
        self._offsets.append(len(self._own))
        self._own.append(event)
        self.texts.append(what.summary if listed else "")
        self.held_bytes += _OWN_BYTES + 2 * sys.getsizeof(what.summary)

    def _share(self, text: str) -> str:
        """One object for equal texts, as long as they follow each other closely."""
        if len(self._shared) >= _SHARED_TEXTS:
            self._shared.clear()
        self.held_bytes += sys.getsizeof(text)
        return self._shared.setdefault(text, text)

    def _id_of(self, shape: Shape) -> int:
        shape_id = self._shape_ids.get(shape)
        if shape_id is None:
            self._shape_ids[shape] = shape_id = len(self.shapes)
            self.shapes.append(shape)
            self.held_bytes += _OWN_BYTES + sys.getsizeof(shape.kind)
        return shape_id
