"""A scripted agent on a real loopback port, and a call to it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from websockets.asyncio.server import ServerConnection, serve

from tui.handlers.tools.file import Tool
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.target import Target
from tui.models.telemetry import Telemetry
from tui.session.live import LiveSession

LIMIT_S = 20.0
E = TypeVar("E", bound=e.SessionEvent)
ACCEPTED = {"type": "session.accepted", "mediaFormat": "raw/lpcm16"}
BLOCK = base64.b64encode(bytes(640)).decode()


class Peer:
    """The agent's end of the socket."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def send(self, *messages: dict[str, Any] | str | bytes) -> None:
        for message in messages:
            await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def until(self, kind: str, member: str = "type") -> dict[str, Any]:
        """Reads messages until one whose ``member`` is ``kind``; returns it."""
        while True:
            message = json.loads(await self.socket.recv())
            self.heard.append(message)
            if message[member] == kind:
                return dict(message)

    async def accept(self) -> None:
        await self.until("session.initiate")
        await self.send(ACCEPTED)

    async def open_user_stream(self) -> None:
        await self.until("userStream.start")
        await self.send({"type": "userStream.started"})

    async def play(
        self,
        stream: str,
        blocks: int = 0,
        *,
        audio: bytes = b"",
        media: str = "raw/lpcm16",
        stop: bool = True,
    ) -> None:
        """Sends a reply of silent blocks or of this audio."""
        audio = audio or bytes(640 * blocks)
        await self.send({"type": "playStream.start", "streamId": stream, "mediaFormat": media})
        for at in range(0, len(audio), 640):
            chunk = base64.b64encode(audio[at : at + 640]).decode()
            await self.send({"type": "playStream.chunk", "streamId": stream, "audioChunk": chunk})
        if stop:
            await self.send({"type": "playStream.stop", "streamId": stream})

    async def stay(self) -> None:
        """Listens until the call is over."""
        async for message in self.socket:
            if isinstance(message, str):
                self.heard.append(json.loads(message))


Script = Callable[[Peer], Awaitable[None]]


async def stays(peer: Peer) -> None:
    """Accepts the call and sends nothing else."""
    await peer.accept()
    await peer.stay()


async def listens(peer: Peer) -> None:
    """Accepts the call, opens the user stream and sends nothing else."""
    await peer.accept()
    await peer.open_user_stream()
    await peer.stay()


def accepts(then: Script) -> Script:
    """Returns the script of an agent that accepts the call, does something and listens until the call is over."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        await then(peer)
        await peer.stay()

    return script


async def closes(peer: Peer) -> None:
    """Closes the socket without a message."""
    await peer.socket.close(1011)


class InTurn:
    """A script that runs a different script for each socket, and the last one for all later sockets."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts
        self.peers: list[Peer] = []

    async def __call__(self, peer: Peer) -> None:
        self.peers.append(peer)
        await self.scripts[min(len(self.peers), len(self.scripts)) - 1](peer)


class Call:
    """A running session and the events that it emitted."""

    def __init__(
        self,
        target: Target,
        offered: Sequence[Tool] = (),
        audio_clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.events: list[e.SessionEvent] = []
        self.raw = bytearray()
        self.audio = AudioManager(audio_clock_ns)
        self.measured: Callable[[Telemetry], None] = lambda _: None
        self._changed = asyncio.Event()
        self._target = target
        self._offered = offered
        self.session: LiveSession

    async def start(self) -> asyncio.Task[None]:
        await self.audio.configure(input="lines", output="none")
        self.session = LiveSession(
            self._target,
            self.audio,
            tools=self._offered,
            sink=self._take,
            telemetry=lambda telemetry: self.measured(telemetry),
            keep_raw=self._keep,
        )
        return asyncio.ensure_future(self.session.run())

    def _take(self, event: e.SessionEvent) -> None:
        self.events.append(event)
        self._changed.set()

    def _keep(self, raw: bytes) -> int:
        self.raw += raw
        return len(self.raw) - len(raw)

    async def until(self, kind: type[E], check: Callable[[E], bool] = lambda _: True) -> E:
        """Waits for the first event of this kind that passes the check, and returns it."""
        seen = 0
        async with asyncio.timeout(LIMIT_S):
            while True:
                for event in self.events[seen:]:
                    if isinstance(event, kind) and check(event):
                        return event
                seen = len(self.events)
                self._changed.clear()
                await self._changed.wait()

    async def until_status(self, status: e.Status) -> e.StatusChanged:
        return await self.until(e.StatusChanged, lambda event: event.new is status)

    async def until_kind(self, kind: str, *, after: int = 0) -> e.MessageLogged:
        """Waits for the first message of this kind whose number is greater than ``after``, and returns its event."""
        return await self.until(e.MessageLogged, lambda m: m.kind == kind and m.number > after)

    def message(self, logged: e.MessageLogged) -> Any:
        """Returns the content of a logged message."""
        return json.loads(bytes(self.raw[logged.offset : logged.offset + logged.size_bytes]))

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def statuses(self) -> list[e.Status]:
        return [event.new for event in self.of(e.StatusChanged)]

    def kinds(self, direction: e.Direction) -> list[str]:
        return [event.kind for event in self.of(e.MessageLogged) if event.direction is direction]


@asynccontextmanager
async def agent(script: Script) -> AsyncIterator[str]:
    """Runs an agent that executes ``script`` for each caller; yields its URL."""

    async def hold(socket: ServerConnection) -> None:
        await script(Peer(socket))

    async with serve(hold, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/bot"


C = TypeVar("C", bound=Call)


@asynccontextmanager
async def held(call: C) -> AsyncIterator[C]:
    """Starts the call and yields it; hangs up at the end if it is still active."""
    running = await call.start()
    try:
        yield call
    finally:
        call.session.hang_up()
        async with asyncio.timeout(LIMIT_S):
            await running


def call(
    url: str,
    *,
    offered: Sequence[Tool] = (),
    audio_clock_ns: Callable[[], int] = time.monotonic_ns,
    **options: Any,
) -> AbstractAsyncContextManager[Call]:
    """Returns the context of a call to this URL with these tools."""
    return held(Call(Target(url=url, **options), offered, audio_clock_ns))


@asynccontextmanager
async def call_to(script: Script, **options: Any) -> AsyncIterator[Call]:
    """Makes a call to an agent that executes ``script``; the options are those of `call`."""
    async with agent(script) as url, call(url, **options) as held:
        yield held


@asynccontextmanager
async def active_call(script: Script, **options: Any) -> AsyncIterator[Call]:
    """Makes a call to an agent that executes ``script``, and waits until the agent has accepted it."""
    async with call_to(script, **options) as held:
        await held.until_status(e.Status.ACTIVE)
        yield held


async def failed_call(script: Script, **options: Any) -> Call:
    """Makes a call that ends with an error, and returns it."""
    async with call_to(script, **options) as held:
        await held.until_status(e.Status.ERROR)
    return held
