"""Tests the `openai` package's live client. Each event is checked against its types."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI
from openai.resources.live.live import AsyncLiveConnection
from openai.types.live import ServerEvent
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosedOK

from tests.agent.calls import line_named, prompt, spoken
from tests.peers.conftest import LIMIT_S
from tui.agent.process import AgentProcess
from tui.assets import prompts

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]

_RATE = 24_000
_CHUNK_BYTES = 2 * _RATE // 10
"""Size of 100 ms of audio, as in each message of the agent."""
_SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(ServerEvent)
_SESSION: Any = {
    "model": "gpt-live-1.1",
    "instructions": "Be brief.",
    "audio": {"format": {"type": "audio/pcm", "rate": _RATE}, "output": {"voice": "marin"}},
    "delegation": {
        "type": "responses",
        "responses": {
            "model": "gpt-5.4-mini",
            "tools": [{"type": "function", "name": "opening_hours", "parameters": {"type": "object"}}],
        },
    },
}


class Conversation:
    """The two tracks and the events of a session."""

    def __init__(self, connection: AsyncLiveConnection) -> None:
        self.connection = connection
        self.user, self.agent = b"", b""
        self.events: list[Any] = []

    async def receive(self) -> Any:
        frame = await self.connection.recv_bytes()
        event = _SERVER_EVENT.validate_json(frame)
        # Unlike the package's own parser, this rejects unknown members.
        strays = set(event.model_extra or ())
        assert not strays, f"{event.type} has {strays}"
        if event.type == "session.output_audio.delta":
            self.agent += b64decode(event.delta)
        else:
            self.events.append(event)
        return event

    async def until(self, kind: str) -> Any:
        while True:
            event = await self.receive()
            if event.type == kind:
                return event

    async def speak(self, pcm: bytes) -> None:
        """Sends audio; the agent sends the same amount."""
        for at in range(0, len(pcm) // _CHUNK_BYTES * _CHUNK_BYTES, _CHUNK_BYTES):
            chunk = pcm[at : at + _CHUNK_BYTES]
            self.user += chunk
            await self.connection.session.input_audio.append(audio=b64encode(chunk).decode())
            while len(self.agent) < len(self.user):
                await self.receive()

    async def listen(self, seconds: float) -> None:
        await self.speak(bytes(int(20 * seconds) // 2 * _CHUNK_BYTES))

    def words(self, whose: str) -> str:
        kind = f"session.{whose}_transcript.delta"
        return "".join(event.delta for event in self.events if event.type == kind).strip()


def loud(pcm: bytes) -> Any:
    """Returns for every 20 ms whether there is sound."""
    samples = np.frombuffer(pcm, "<i2").astype(np.int32)
    return np.abs(samples.reshape(-1, _RATE // 50)).max(axis=1) > 300


async def test_a_whole_conversation(agent: AgentProcess) -> None:
    url = agent.url("/v1")
    async with (
        AsyncOpenAI(api_key="any", base_url=url.replace("ws:", "http:"), websocket_base_url=url) as client,
        client.live.connect() as connection,
    ):
        talk = Conversation(connection)
        await connection.session.start(session=_SESSION)
        session = (await talk.until("session.started")).session
        assert (session.model, session.instructions, session.audio.output.voice) == (
            "gpt-live-1.1",
            "Be brief.",
            "marin",
        )
        await talk.listen(5)
        assert talk.words("output") == prompts()["greeting"].text
        assert prompt("greeting", rate=_RATE) in talk.agent

        await connection.session.instructions.append(content="Speak slowly.", delegation_id=None)
        await talk.until("session.instructions.appended")
        talk.events.clear()
        await talk.speak(spoken("number", _RATE))
        await talk.listen(8)
        assert talk.words("input") == line_named("number").text
        assert talk.words("output") == prompts()["order"].text

        talk.events.clear()
        await talk.speak(spoken("hours", _RATE))
        (called,) = [
            event.event["item"]
            for event in talk.events
            if event.type == "response.event" and event.event["type"] == "response.output_item.done"
        ]
        assert called["name"] == "opening_hours"
        await connection.response.item.create(
            item={"type": "function_call_output", "call_id": called["call_id"], "output": "nine to six"}
        )
        await connection.response.create()
        await talk.listen(8)
        assert talk.words("output") == f"{prompts()['hours'].text} nine to six"

        await talk.speak(spoken("services", _RATE))
        await talk.listen(1)
        while not loud(
            talk.agent[-_CHUNK_BYTES:]
        ).all():  # the answer has pauses, in which speech is not an interruption
            await talk.listen(0.1)
        before = len(talk.user)
        await talk.speak(spoken("interrupt", _RATE))
        both = loud(talk.user[before:]) & loud(talk.agent[before:])
        assert 0 < both.sum() / 50 < 0.6  # it yields as soon as it notices
        await talk.listen(3)
        assert any(event.type == "session.usage.updated" for event in talk.events)

        await connection.session.close()
        closed = await talk.until("session.closed")
        assert (closed.reason, closed.usage.seconds) == ("close_requested", len(talk.user) // (2 * _RATE))
        with pytest.raises(ConnectionClosedOK):
            await connection.recv_bytes()
