"""A caller with any protocol on a real socket, which does everything as fast as possible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

from tests.agent.calls import prompt, spoken
from tui.agent.server import AgentServer
from tui.audio.formats import Encoding, encode
from tui.protocols.audiocodes import AUDIOCODES
from tui.protocols.base import (
    CallerEnd,
    CallerSettings,
    Outgoing,
    Protocol,
    SendsHeaders,
    TelephonyEvent,
)
from tui.protocols.base import TelephonyEventType as Type

LIMIT_S = 30
_UTC = "2026-01-01T00:00:00.000Z"
_OPTIONS = {
    "openai": {"greet": "on"},
    "gemini": {"greet": "on"},
    "genesys": {"burst": "1000"},  # the rate limit for messages is based on the audio sent
}
_ENDS = {
    **dict.fromkeys(("twilio", "telnyx", "plivo", "exotel", "vonage", "signalwire", "asterisk"), Type.MARK),
    **dict.fromkeys(("elevenlabs", "genesys")),
}
"""The event that completes a reply in protocols without PLAY_STREAM_STOP."""


class Caller:
    """A caller on a real socket."""

    def __init__(self, socket: ClientConnection, protocol: Protocol = AUDIOCODES) -> None:
        self.socket = socket
        self.protocol = protocol
        self.end = _end_of(protocol)
        self.events: list[TelephonyEvent] = []

    async def send(self, frames: Iterable[Outgoing]) -> None:
        for frame in frames:
            await self.socket.send(frame.frame)

    async def call(self) -> None:
        """Calls the agent, and waits until the user can speak."""
        await self.send(self.end.opened())
        if not self.protocol.accepted_on_open:
            await self.until(Type.SESSION_ACCEPTED)
        if self.protocol.continuous:
            await self.send_audio(bytes(640))

    async def until(self, kind: Type) -> TelephonyEvent:
        """Listens until this event has arrived."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                incoming = self.end.receive(await self.socket.recv())
                assert [found for found in incoming.findings if not found.advice] == []
                self.events += incoming.events
                await self.send(incoming.replies)
                found = next((event for event in incoming.events if event.type is kind), None)
                if found:
                    return found

    async def speak(self, pcm: bytes) -> None:
        if not self.end.user_stream_open:
            await self.send(self.end.start_user_stream())
            if self.protocol is AUDIOCODES:
                await self.until(Type.USER_STREAM_STARTED)
        await self.send_audio(pcm)

    async def send_audio(self, pcm: bytes) -> None:
        assert self.end.user_format is not None
        wire = encode(pcm, self.end.user_format)
        for at in range(0, len(wire), 6_400):
            await self.send(self.end.user_audio(wire[at : at + 6_400]))

    async def say(self, name: str) -> None:
        """Sends the recorded line of this name."""
        assert self.end.user_format is not None
        await self.speak(spoken(name, self.end.user_format.rate))

    async def hear(self, *names: str) -> None:
        """Listens to a reply, which must consist of exactly these prompts."""
        chunk = await self.until(Type.PLAY_STREAM_CHUNK)
        assert chunk.format is not None
        due = encode(prompt(*names, rate=chunk.format.rate), chunk.format)
        while sum(map(len, self._chunks())) < len(due):
            await self.until(Type.PLAY_STREAM_CHUNK)
        # Some messages have a minimum size and are padded with silence.
        heard = b"".join(self._chunks())
        assert heard.startswith(due)
        assert set(heard[len(due) :]) <= ({0xFF} if chunk.format.encoding is Encoding.MULAW else {0})
        end = _ENDS.get(self.protocol.name, Type.PLAY_STREAM_STOP)
        last = await self.until(end) if end else chunk
        self.events.clear()
        await self.send(self.end.playback_finished(chunk.stream_id, heard_ms=1, received_ms=1))
        await self.send(self.end.mark_reached(last.text))

    async def be_interrupted(self) -> None:
        """Waits until the agent interrupts its reply."""
        cleared = await self.until(Type.CLEAR)
        marks = [event.text for event in self.events if event.type is Type.MARK]
        self.events.clear()
        await self.send(self.end.interrupted(cleared.stream_id, heard_ms=20, received_ms=40))
        await self.send(self.end.playback_finished(cleared.stream_id, heard_ms=20, received_ms=40))
        for name in marks:
            await self.send(self.end.mark_reached(name))

    def take_chunks(self) -> list[bytes]:
        chunks = self._chunks()
        self.events.clear()
        return chunks

    def _chunks(self) -> list[bytes]:
        return [event.audio for event in self.events if event.type is Type.PLAY_STREAM_CHUNK]


def _end_of(protocol: Protocol) -> CallerEnd:
    settings = CallerSettings(options=_OPTIONS.get(protocol.name, {}))
    return protocol.caller(settings, lambda: str(uuid4()), lambda: _UTC)


def _headers(protocol: Protocol, token: str, url: str) -> Mapping[str, str]:
    end = _end_of(protocol)
    # Genesys' signature requires a secret, which this token does not contain.
    of_the_call = end.request_headers(url, token) if isinstance(end, SendsHeaders) else {}
    return {**protocol.headers(token, url), **of_the_call}


@asynccontextmanager
async def calling(
    server: AgentServer, protocol: Protocol = AUDIOCODES, *, token: str = "", path: str = ""
) -> AsyncIterator[Caller]:
    url = f"{server.url}{path or protocol.path}"
    # A bounded queue that nobody reads would delay the close at the end of a test.
    async with connect(
        url,
        additional_headers=_headers(protocol, token, url),
        compression=None,
        max_size=None,
        max_queue=None,
    ) as socket:
        caller = Caller(socket, protocol)
        await caller.call()
        yield caller


@asynccontextmanager
async def answered(server: AgentServer) -> AsyncIterator[Caller]:
    """Yields an AudioCodes call in which the greeting was heard."""
    async with calling(server) as caller:
        await caller.hear("greeting")
        yield caller
