"""Tests the `openai` package's realtime client in conversation with the local agent, as users would write it.

Each event is checked against the package's types, because the package's own parser accepts anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import (
    ConversationItemDeletedEvent,
    ConversationItemTruncatedEvent,
    RateLimitsUpdatedEvent,
    RealtimeErrorEvent,
    RealtimeServerEvent,
    ResponseAudioDeltaEvent,
    ResponseDoneEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    SessionCreatedEvent,
    SessionUpdatedEvent,
)
from openai.types.realtime.realtime_server_event import ConversationItemRetrieved
from openai.types.realtime.session_update_event_param import Session
from websockets.exceptions import ConnectionClosedOK

from tests.agent.calls import prompt, spoken
from tests.protocols.openai_types import assert_server_event
from tui.agent.server import AgentServer
from tui.agent.settings import AgentSettings
from tui.assets import prompts
from tui.protocols.base import Outgoing

Event = TypeVar("Event")

_LIMIT_S = 30
_RATE = 24_000
_SETTINGS = AgentSettings(pace=10, token="secret")
"""At this pace, the longest answer takes almost a second: enough time to interrupt it."""
_UNBOUNDED: Any = {"max_queue": None}
"""Options of the socket. A bounded queue that nobody reads would delay the close at the end of a test."""
_SESSION: Session = {
    "type": "realtime",
    "instructions": "Be brief.",
    "output_modalities": ["audio"],
    "tools": [
        {
            "type": "function",
            "name": "opening_hours",
            "description": "When a customer may come.",
            "parameters": {
                "type": "object",
                "properties": {"day": {"type": "string", "enum": ["today", "monday"]}},
                "required": ["day"],
            },
        }
    ],
    "tool_choice": "auto",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "server_vad"},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"},
    },
}


class Talk:
    """A connection, and the events received since the last awaited event."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.to = connection
        self.kinds: list[str] = []
        self.audio = b""
        self.transcripts: list[str] = []

    async def until(self, kind: type[Event]) -> Event:
        """Waits for the next event of this class."""
        self.kinds, self.audio, self.transcripts = [], b"", []
        async with asyncio.timeout(_LIMIT_S):
            while True:
                event = await self._next()
                if isinstance(event, kind):
                    return event

    async def _next(self) -> RealtimeServerEvent:
        data = await self.to.recv_bytes()
        assert_server_event(Outgoing(data.decode(), json.loads(data)["type"]))
        event = self.to.parse_event(data)
        self.kinds.append(event.type)
        match event.type:
            case "response.output_audio.delta":
                self.audio += b64decode(event.delta)
            case "response.output_audio_transcript.done":
                self.transcripts.append(event.transcript)
            case "conversation.item.input_audio_transcription.completed":
                self.transcripts.append(event.transcript)
        return event

    async def speak(self, name: str) -> None:
        """Sends a recorded line and a second of silence."""
        pcm = spoken(name, _RATE)
        for at in range(0, len(pcm), 4_800):
            await self.to.input_audio_buffer.append(audio=b64encode(pcm[at : at + 4_800]).decode())

    async def write(self, text: str) -> None:
        """Sends a typed turn and requests an answer."""
        content = {"type": "input_text", "text": text}
        item: Any = {"type": "message", "role": "user", "content": [content]}
        await self.to.conversation.item.create(item=item)
        await self.to.response.create()


@asynccontextmanager
async def talking() -> AsyncIterator[Talk]:
    """Yields a session after its first update."""
    async with AgentServer(_SETTINGS) as server:
        url = f"{server.url}/v1"
        async with (
            AsyncOpenAI(
                api_key="secret", base_url=url.replace("ws:", "http:"), websocket_base_url=url
            ) as client,
            client.realtime.connect(
                model="gpt-realtime", websocket_connection_options=_UNBOUNDED
            ) as connection,
        ):
            talk = Talk(connection)
            await talk.until(SessionCreatedEvent)
            await talk.to.session.update(session=_SESSION)
            updated = (await talk.until(SessionUpdatedEvent)).session
            assert updated.type == "realtime"
            assert [tool.type for tool in updated.tools or []] == ["function"]
            yield talk


def answer(name: str) -> bytes:
    return prompt(name, rate=_RATE)


async def test_a_whole_conversation() -> None:
    async with talking() as talk:
        await talk.to.response.create()
        await talk.until(ResponseDoneEvent)
        assert talk.transcripts == [prompts()["greeting"].text]
        assert talk.audio == answer("greeting")

        await talk.speak("number")
        await talk.until(ResponseDoneEvent)
        assert talk.transcripts == [
            "The order number is four seven one, two nine zero, five.",
            prompts()["order"].text,
        ]
        assert talk.audio == answer("order")
        assert [kind for kind in talk.kinds if not kind.endswith(".delta")] == [
            "rate_limits.updated",  # from the greeting
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]

        await talk.speak("goodbye")
        await talk.until(ResponseDoneEvent)
        assert talk.audio == answer("goodbye")
        await talk.until(RateLimitsUpdatedEvent)
        with pytest.raises(ConnectionClosedOK):
            await talk.to.recv()


async def test_a_tool_is_called_and_its_output_is_answered() -> None:
    async with talking() as talk:
        await talk.speak("hours")
        call = await talk.until(ResponseFunctionCallArgumentsDoneEvent)
        assert (call.name, json.loads(call.arguments)) == ("opening_hours", {"day": "today"})
        assert "response.function_call_arguments.delta" in talk.kinds
        done = await talk.until(ResponseDoneEvent)
        (item,) = done.response.output or []
        assert item.type == "function_call"
        assert item.call_id == call.call_id

        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "nine to six"}
        await talk.to.conversation.item.create(item=output)
        await talk.to.response.create()
        await talk.until(ResponseDoneEvent)
        assert talk.transcripts == [prompts()["hours"].text + " nine to six"]
        assert talk.audio == answer("hours")


async def test_an_answer_is_cancelled_truncated_retrieved_and_deleted() -> None:
    async with talking() as talk:
        await talk.write("Could you tell me everything about your workshop?")
        delta = await talk.until(ResponseAudioDeltaEvent)

        await talk.to.response.cancel(response_id=delta.response_id)
        done = await talk.until(ResponseDoneEvent)
        assert done.response.status == "cancelled"
        assert done.response.status_details
        assert done.response.status_details.reason == "client_cancelled"

        await talk.to.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=10)
        truncated = await talk.until(ConversationItemTruncatedEvent)
        assert truncated.audio_end_ms == 10

        await talk.to.conversation.item.retrieve(item_id=delta.item_id)
        retrieved = await talk.until(ConversationItemRetrieved)
        assert retrieved.item.type == "message"
        assert retrieved.item.role == "assistant"
        (part,) = retrieved.item.content
        assert part.audio
        assert b64decode(part.audio) == answer("workshop")[:480]

        await talk.to.conversation.item.delete(item_id=delta.item_id)
        await talk.until(ConversationItemDeletedEvent)
        await talk.to.conversation.item.retrieve(item_id=delta.item_id)
        assert (await talk.until(RealtimeErrorEvent)).error.code == "item_retrieve_invalid_item_id"


async def test_a_client_that_disconnects_causes_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tui.agent")
    async with talking() as talk:
        await talk.to.response.create()
        await talk.until(ResponseAudioDeltaEvent)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
