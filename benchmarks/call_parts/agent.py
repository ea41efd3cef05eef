"""A scripted agent that sends plain PCM over a websocket, and records the times of its actions.

It has its own loop and thread.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.call_parts.devices import RATE, Samples

CHUNK_MS = 20


class Call:
    """A call from the agent's point of view. Times are monotonic ns, taken at the socket."""

    def __init__(self, socket: ServerConnection) -> None:
        self.received: list[tuple[int, bytes]] = []
        """Every message with user audio, and its arrival time."""
        self._socket = socket
        self._listeners: list[Callable[[int, bytes], None]] = []
        self._unread: asyncio.Queue[bytes] = asyncio.Queue()

    def listen(self, listener: Callable[[int, bytes], None]) -> None:
        """Calls ``listener(at_ns, audio)`` for every message of user audio from now on."""
        self._listeners.append(listener)

    async def say(self, samples: Samples, *, pace: float = 1.0, chunk_ms: int = CHUNK_MS) -> None:
        """Sends audio at ``pace`` times real time."""
        data, chunk_bytes = samples.astype("<i2").tobytes(), 2 * RATE * chunk_ms // 1000
        due_s = asyncio.get_running_loop().time()
        for start in range(0, len(data), chunk_bytes):
            await self._socket.send(data[start : start + chunk_bytes])
            due_s += chunk_ms / 1000 / pace
            await asyncio.sleep(due_s - asyncio.get_running_loop().time())

    async def echo(self) -> None:
        """Sends received audio back immediately. Digital silence is not sent, and ends a reply."""
        echoing = False
        while True:
            audio = await self._unread.get()
            if any(audio):
                await self._socket.send(audio)
            elif echoing:
                await self.tell(type="end")
            echoing = any(audio)

    async def tell(self, **message: object) -> int:
        """Sends a control message; returns the time directly before it was sent."""
        at_ns = time.monotonic_ns()
        await self._socket.send(json.dumps(message))
        return at_ns

    async def hold(self) -> None:
        """Reads messages until the caller disconnects."""
        try:
            async for frame in self._socket:
                if isinstance(frame, bytes):
                    at_ns = time.monotonic_ns()
                    self.received.append((at_ns, frame))
                    self._unread.put_nowait(frame)
                    for listener in self._listeners:
                        listener(at_ns, frame)
        except ConnectionClosed:
            pass

    def received_samples(self) -> Samples:
        """Returns all user audio, in order."""
        return np.frombuffer(b"".join(audio for _, audio in self.received), "<i2")


Script = Callable[[Call], Awaitable[None]]


class Agent:
    """Runs the script for every caller, for the duration of a ``with`` block."""

    def __init__(self, script: Script) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self._script = script
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="agent")

    def __enter__(self) -> Agent:
        self._thread.start()
        self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        if self._failure:
            raise RuntimeError("the scripted agent failed") from self._failure

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with serve(self._converse, "127.0.0.1", 0, compression=None, max_size=None) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
            self._up.set()
            await self._stop.wait()

    async def _converse(self, socket: ServerConnection) -> None:
        call = Call(socket)
        self.calls.append(call)
        script = asyncio.ensure_future(self._script(call))
        try:
            await call.hold()
        finally:
            script.cancel()
            try:
                await script
            except (asyncio.CancelledError, ConnectionClosed):
                pass
            except Exception as failure:  # noqa: BLE001 - told at the end, on the thread that asks
                self._failure = failure
