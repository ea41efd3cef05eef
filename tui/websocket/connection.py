"""Connection: the socket of a session and the queue of its messages. A lost socket can be replaced."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import KW_ONLY, dataclass

from tui.protocols.base import Outgoing
from tui.websocket.client import Closed, WebSocketClient
from tui.websocket.failure import ConnectionFailed
from tui.websocket.link_faults import DROPPED, LinkFaults
from tui.websocket.outbox import Outbox

REOPEN_INTERVAL_S = 1.0
"""A common retry interval; AudioCodes' VoiceAI Connect, whose sessions can be resumed, documents none."""


@dataclass(eq=False, repr=False)
class Connection:
    """Uses one socket at a time, which ``new_client`` creates. Runs on the session's loop.

    ``on_sending`` receives every message before it is written, and ``on_sent`` after it was written.
    ``on_dropped`` receives audio that will never be sent.
    """

    new_client: Callable[[], WebSocketClient]
    _: KW_ONLY
    timeout_s: float
    on_sending: Callable[[Outgoing], None]
    on_dropped: Callable[[Outgoing], None]
    on_sent: Callable[[Outgoing], None]
    clock_ns: Callable[[], int] = time.monotonic_ns

    def __post_init__(self) -> None:
        self.client = self.new_client()
        """The socket in use, or the latest one."""
        self._outbox = Outbox(
            self._send,
            may_send_now=lambda: not self.faults.sent.holds and self.client.writable,
            send_now=lambda message: self.client.send_now(message.frame),
            on_sending=self.on_sending,
            on_dropped=self.on_dropped,
            on_sent=self.on_sent,
        )
        self._reopened = asyncio.Event()
        self._handle: Callable[[str | bytes, int], Awaitable[None]]
        self.faults = LinkFaults(
            send=self._write,
            receive=self._receive,
            abort=lambda: self.client.abort(DROPPED),
            clock_ns=self.clock_ns,
        )
        """The faults that a scenario injects."""

    async def open(self) -> None:
        """Opens the socket. Raises `ConnectionFailed`."""
        await self.client.open(self.timeout_s)

    async def reopen(self, limit_s: float, on_failure: Callable[[ConnectionFailed], object]) -> bool:
        """Replaces a lost socket and drops all queued messages.

        Returns False if no socket could be opened within ``limit_s``.
        """
        self._reopened.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                client = await self._reopened_client(on_failure)
                self.client = client
                # Messages queued for the lost socket are outdated; the resumed session starts with its own.
                self._outbox.clear()
                self._reopened.set()
                return True
        return False

    async def _reopened_client(self, on_failure: Callable[[ConnectionFailed], object]) -> WebSocketClient:
        """Tries to open a socket until it succeeds; returns the client of the socket."""
        while True:
            await self.faults.reachable()
            client = self.new_client()
            try:
                await client.open(self.timeout_s)
            except ConnectionFailed as failure:
                on_failure(failure)
                await asyncio.sleep(REOPEN_INTERVAL_S)
            else:
                return client

    async def read(self, handle: Callable[[str | bytes, int], Awaitable[None]]) -> None:
        """Passes every frame and its arrival time to ``handle``, until the current socket closes."""
        self._handle = handle
        async for at_ns, frame in self.client.frames():
            if self.faults.received.holds:
                self.faults.received.put(frame)
            else:
                await handle(frame, at_ns)
        # Messages that arrived before the socket closed are still handled.
        await self.faults.received.emptied()

    async def write(self) -> None:
        """Sends queued messages on the current socket until it is cancelled."""
        while True:
            with contextlib.suppress(Closed):
                await self._outbox.run()
            # Only the reader decides whether a lost socket is replaced, so the writer waits here.
            await self._reopened.wait()

    def send(self, messages: Iterable[Outgoing]) -> None:
        """Queues messages without waiting."""
        self._outbox.put(messages)

    async def drained(self, timeout_s: float) -> bool:
        """Waits until all queued messages are sent. Returns False if the time limit expires first."""
        if not await self._outbox.drained(timeout_s):
            return False
        await self.faults.sent.emptied()
        return True

    async def closed(self, timeout_s: float) -> None:
        """Waits until the far side has closed the socket, but at most ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.client.wait_closed()

    async def close(self) -> None:
        """Closes the socket with a close frame."""
        await self.faults.close()
        await self.client.close()

    async def _send(self, message: Outgoing) -> None:
        if not self.faults.sent.holds:
            await self.client.send(message.frame)
        elif self.client.is_open:
            self.faults.sent.put(message, audio=message.audio_ms > 0)
        else:
            raise Closed

    async def _write(self, message: Outgoing) -> None:
        with contextlib.suppress(Closed):  # the outbox's writer notices the closed socket by itself
            await self.client.send(message.frame)

    async def _receive(self, frame: str | bytes) -> None:
        await self._handle(frame, self.clock_ns())
