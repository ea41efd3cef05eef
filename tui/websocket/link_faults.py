"""LinkFaults: degrades a connection on purpose.

A fault delays, stalls or reorders messages, or drops the socket. Messages are held back between the session
and the socket. The session's own figures, such as the delay of sending, therefore do not include the delays
of faults. A received message counts as arrived when it is passed on. Pings are not affected.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from tui.callbacks import spawn
from tui.protocols.base import Outgoing
from tui.units import NS_PER_S

T = TypeVar("T")
DROPPED = "the scenario dropped the connection"
_LONGEST_WAIT_S = 0.1
"""Longest wait before checking again, because a fault can be extended or lifted."""


class Heading(StrEnum):
    """The direction of the messages that a fault affects."""

    BOTH = "both"
    SENT = "sent"
    RECEIVED = "received"


class Passage(Generic[T]):
    """Messages in transit in one direction. ``deliver`` passes on one message. Runs on the session's loop.

    Messages stay in order, as on any websocket, unless a fault reorders them.
    """

    def __init__(self, deliver: Callable[[T], Awaitable[None]], clock_ns: Callable[[], int]) -> None:
        self._deliver = deliver
        self._clock_ns = clock_ns
        self._queue: deque[tuple[int, T]] = deque()
        """Messages, each with the earliest time at which it may be passed on."""
        self._last_due_ns = 0
        self._task: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._stalled_until_ns = 0
        self._delay = (0, 0)
        """Delay of messages and the time at which it ends, both in ns."""
        self._worse_until_ns = 0
        """Time at which the last fault ends."""
        self._shuffle: _Shuffle[T] | None = None
        self._jitter: _Jitter | None = None

    @property
    def holds(self) -> bool:
        """Whether messages must be passed to `put`, because a fault may affect them."""
        if self._task is not None or self._jitter is not None:
            return True
        held_back = self._shuffle is not None and self._shuffle.held is not None
        return self._worse_until_ns > 0 and (self._clock_ns() < self._worse_until_ns or held_back)

    def put(self, message: T, *, audio: bool = False) -> None:
        """Accepts a message, and passes it on when it is due. Jitter and reordering affect only ``audio``."""
        due_ns = now_ns = self._clock_ns()
        delay_ns, until_ns = self._delay
        if now_ns < until_ns:
            due_ns += delay_ns
        if self._jitter is not None and audio:
            due_ns += self._jitter.next_ns()
        messages = [message]
        if self._shuffle is not None:
            messages = self._shuffle.put(message, swaps=audio and now_ns < self._shuffle.until_ns)
        for each in messages:
            self._last_due_ns = max(self._last_due_ns, due_ns)
            self._queue.append((self._last_due_ns, each))
        self._start()

    def stall(self, until_ns: int) -> None:
        """Holds back all messages until ``until_ns``."""
        self._stalled_until_ns = max(self._stalled_until_ns, until_ns)
        self._worse_until_ns = max(self._worse_until_ns, until_ns)

    def delay(self, by_ns: int, until_ns: int) -> None:
        """Delays messages by ``by_ns`` until ``until_ns``. Replaces an earlier delay."""
        self._delay = (by_ns, until_ns)
        self._worse_until_ns = max(self._worse_until_ns, until_ns)

    def reorder(self, share: float, until_ns: int, seed: int) -> None:
        """Swaps a random ``share`` of audio messages with the next message, until ``until_ns``."""
        self._flush_held_back()
        self._shuffle = _Shuffle(share, until_ns, seed)
        self._worse_until_ns = max(self._worse_until_ns, until_ns)

    def jitter(self, most_ns: int, seed: int) -> None:
        """Delays each audio message by up to ``most_ns`` for the whole call."""
        self._jitter = _Jitter(most_ns, seed)

    def lift(self) -> None:
        """Ends all faults except jitter, and passes on all messages in transit immediately."""
        self._stalled_until_ns = self._worse_until_ns = self._last_due_ns = 0
        self._delay = (0, 0)
        self._flush_held_back()
        self._shuffle = None
        self._queue = deque((0, message) for _, message in self._queue)
        self._moved.set()

    def lose(self) -> None:
        """Drops all messages in transit."""
        self._queue.clear()
        self._last_due_ns = 0
        if self._shuffle is not None:
            self._shuffle.held = None

    async def emptied(self) -> None:
        """Waits until all messages have been passed on."""
        self._flush_held_back()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stops passing on messages. Messages in transit are lost."""
        self.lose()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait([self._task])

    def _flush_held_back(self) -> None:
        if self._shuffle is not None and self._shuffle.held is not None:
            self._queue.append((self._last_due_ns, self._shuffle.held))
            self._shuffle.held = None
            self._start()

    def _start(self) -> None:
        if self._task is None and self._queue:
            self._task = spawn(self._pass_on(), "link fault")

    async def _pass_on(self) -> None:
        try:
            while self._queue:
                wait_ns = max(self._queue[0][0], self._stalled_until_ns) - self._clock_ns()
                if wait_ns > 0:
                    self._moved.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._moved.wait(), min(wait_ns / NS_PER_S, _LONGEST_WAIT_S))
                    continue
                await self._deliver(self._queue.popleft()[1])
                await asyncio.sleep(0)  # hundreds may be due at once, and sending must continue meanwhile
        finally:
            self._task = None


class _Shuffle(Generic[T]):
    """Swaps random messages with the next one. The same seed selects the same messages."""

    def __init__(self, share: float, until_ns: int, seed: int) -> None:
        self.until_ns = until_ns
        self.held: T | None = None
        """Message that the next one will overtake."""
        self._share = share
        self._chance = random.Random(seed)

    def put(self, message: T, *, swaps: bool) -> list[T]:
        """Returns the messages to pass on now.

        A message is swapped only if ``swaps`` is true.
        """
        held, self.held = self.held, None
        if held is not None:
            return [message, held] if swaps else [held, message]
        if swaps and self._chance.random() < self._share:
            self.held = message
            return []
        return [message]


class _Jitter:
    """Generates random delays. The same seed yields the same delays."""

    def __init__(self, most_ns: int, seed: int) -> None:
        self._most_ns = most_ns
        self._chance = random.Random(seed)

    def next_ns(self) -> int:
        return round(self._chance.random() * self._most_ns)


@dataclass(eq=False, repr=False)
class LinkFaults:
    """The faults of one connection, in both directions. Runs on the session's loop.

    ``send`` writes a message to the socket, ``receive`` handles a message that has arrived, and ``abort``
    drops the socket.
    """

    _: KW_ONLY
    send: Callable[[Outgoing], Awaitable[None]]
    receive: Callable[[str | bytes], Awaitable[None]]
    abort: Callable[[], None]
    clock_ns: Callable[[], int]

    def __post_init__(self) -> None:
        self.sent: Passage[Outgoing] = Passage(self.send, self.clock_ns)
        self.received: Passage[str | bytes] = Passage(self.receive, self.clock_ns)
        self.breaks = False
        """Whether the socket was dropped and a new one cannot be opened yet."""
        self._unreachable_until_ns = 0

    def drop(self, for_ns: int) -> None:
        """Drops the socket and all messages in transit. No new socket can be opened for ``for_ns``."""
        self.breaks = True
        self._unreachable_until_ns = self.clock_ns() + for_ns
        self.sent.lose()
        self.received.lose()
        self.abort()

    async def reachable(self) -> None:
        """Waits until a new socket can be opened again after `drop`."""
        while (wait_ns := self._unreachable_until_ns - self.clock_ns()) > 0:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(min(wait_ns / NS_PER_S, _LONGEST_WAIT_S))
        self.breaks = False

    def stall(self, for_ns: int, heading: Heading = Heading.BOTH) -> None:
        """Holds back all messages for ``for_ns``, then passes them on together."""
        for passage in self._passages(heading):
            passage.stall(self.clock_ns() + for_ns)

    def delay(self, by_ns: int, for_ns: int, heading: Heading = Heading.BOTH) -> None:
        """Delays each message by ``by_ns``, for a period of ``for_ns``."""
        for passage in self._passages(heading):
            passage.delay(by_ns, self.clock_ns() + for_ns)

    def reorder(self, share: float, for_ns: int, seed: int) -> None:
        """Swaps a random ``share`` of the user's audio messages with the next message, for ``for_ns``."""
        self.sent.reorder(share, self.clock_ns() + for_ns, seed)

    def jitter(self, most_ns: int, seed: int) -> None:
        """Delays each of the user's audio messages by up to ``most_ns`` for the whole call."""
        if most_ns:
            self.sent.jitter(most_ns, seed)

    def lift(self) -> None:
        """Ends all faults except jitter, and passes on all messages in transit immediately."""
        self._unreachable_until_ns = 0
        self.sent.lift()
        self.received.lift()

    async def close(self) -> None:
        """Stops passing on messages. Messages in transit are lost."""
        await self.sent.close()
        await self.received.close()

    def _passages(self, heading: Heading) -> list[Passage[Outgoing] | Passage[str | bytes]]:
        passages: dict[Heading, Passage[Outgoing] | Passage[str | bytes]] = {
            Heading.SENT: self.sent,
            Heading.RECEIVED: self.received,
        }
        return [passage for each, passage in passages.items() if heading in (each, Heading.BOTH)]
