"""Outbox: queues messages for the socket, so that senders do not wait for the far side to read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import KW_ONLY, dataclass

from tui.protocols.base import Outgoing

LIMIT_AUDIO_MS = 10_000.0
"""Maximum duration of audio queued while the far side is not reading; more is dropped and counted."""


@dataclass(eq=False)
class Outbox:
    """A queue of messages, which `run` sends in order. Use it on one event loop only.

    If the queue is empty and ``may_send_now`` returns True, audio is passed to ``send_now`` instead of being
    queued.
    """

    send: Callable[[Outgoing], Awaitable[None]]
    _: KW_ONLY
    may_send_now: Callable[[], bool] = lambda: False
    send_now: Callable[[Outgoing], None] = lambda _: None
    on_sending: Callable[[Outgoing], None]
    on_dropped: Callable[[Outgoing], None]
    on_sent: Callable[[Outgoing], None] = lambda _: None

    def __post_init__(self) -> None:
        self._idle = False
        """Whether `run` is waiting for a message."""
        self._queue: deque[Outgoing] = deque()
        self._queued_audio_ms = 0.0
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, messages: Iterable[Outgoing]) -> None:
        """Queues messages. Audio beyond the limit is dropped and passed to ``on_dropped``."""
        # Only audio is ever dropped: without a control message, the two sides would disagree about the session.
        for message in messages:
            # Sent directly, because going through the task would cost an iteration of the loop for each block.
            if message.audio_ms and self._idle and not self._queue and self.may_send_now():
                self.on_sending(message)
                self.send_now(message)
                self.on_sent(message)
                continue
            if message.audio_ms and self._queued_audio_ms >= LIMIT_AUDIO_MS:
                self.on_dropped(message)
                continue
            self._queue.append(message)
            self._queued_audio_ms += message.audio_ms
            self._empty.clear()
            self._filled.set()

    def clear(self) -> None:
        """Drops all queued messages, and passes the audio among them to ``on_dropped``."""
        for message in self._queue:
            if message.audio_ms:
                self.on_dropped(message)
        self._queue.clear()
        self._queued_audio_ms = 0.0
        self._empty.set()

    async def run(self) -> None:
        """Sends queued messages until it is cancelled. Raises the errors of ``send``."""
        while True:
            self._idle = True
            try:
                await self._filled.wait()
            finally:
                self._idle = False
            while self._queue:
                message = self._queue.popleft()
                self._queued_audio_ms -= message.audio_ms
                # Logged before it is written, so that an answer can never be logged ahead of it.
                self.on_sending(message)
                await self.send(message)
                self.on_sent(message)
            self._filled.clear()
            self._empty.set()

    async def drained(self, timeout_s: float) -> bool:
        """Waits until all messages are sent. Returns False if the time limit expires first."""
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            return False
        return True
