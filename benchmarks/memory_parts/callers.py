"""Callers of the local agent that use Twilio Media Streams; any number in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

from tui.assets import caller_lines
from tui.audio.formats import encode
from tui.audio.wav import read_wav
from tui.protocols.base import CallerSettings, TelephonyEventType
from tui.protocols.twilio import MULAW_8K, TWILIO

_UTC = "2026-01-01T00:00:00.000Z"
_MESSAGE_BYTES = 800
"""100 ms of mu-law at 8 kHz."""
_CONNECT_LIMIT_S = 120.0


class Listener:
    """One call. The agent's audio is counted and never played."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._end = TWILIO.caller(CallerSettings(), lambda: str(uuid4()), lambda: _UTC)

    async def begin(self) -> None:
        """Starts the stream, upon which the agent sends its greeting."""
        for frame in self._end.opened():
            await self._socket.send(frame.frame)

    async def say(self, wire: bytes) -> None:
        """Sends audio as fast as the agent accepts it."""
        for at in range(0, len(wire), _MESSAGE_BYTES):
            for frame in self._end.user_audio(wire[at : at + _MESSAGE_BYTES]):
                await self._socket.send(frame.frame)

    async def hear(self) -> list[float]:
        """Listens until the end of a reply; returns the arrival time of each audio message, in seconds."""
        times: list[float] = []
        while True:
            frame = await self._socket.recv()
            came_s = perf_counter()
            events = self._end.receive(frame).events
            if any(event.type is TelephonyEventType.PLAY_STREAM_CHUNK for event in events):
                times.append(came_s)
            for event in events:
                if event.type is TelephonyEventType.MARK:
                    for reply in self._end.mark_reached(event.text):
                        await self._socket.send(reply.frame)
                    return times


@asynccontextmanager
async def calling(url: str) -> AsyncIterator[Listener]:
    """Connects; the call ends with the context."""
    async with connect(
        url,
        compression=None,
        open_timeout=_CONNECT_LIMIT_S,
        ping_interval=None,
        max_queue=None,  # a full queue that nobody reads would delay the close
    ) as socket:
        listener = Listener(socket)
        await listener.begin()
        yield listener


def spoken_line(name: str) -> bytes:
    """Returns a recorded line, including its second of silence, in Twilio's format."""
    line = next(line for line in caller_lines() if line.name == name)
    return encode(read_wav(line.path, MULAW_8K.rate), MULAW_8K)
