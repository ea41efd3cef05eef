"""Tests Azure's Python SDK for Voice Live as a client of the local agent.

Its models check the messages of both ends.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

pytest.importorskip("azure.ai.voicelive", reason="run: tests/peers/run")

from azure.ai.voicelive.aio import ConnectionClosed, connect
from azure.ai.voicelive.models import (
    AudioInputTranscriptionOptions,
    AzureSemanticVad,
    AzureStandardVoice,
    ClientEvent,
    FunctionCallOutputItem,
    FunctionTool,
    InputAudioFormat,
    Modality,
    OutputAudioFormat,
    RequestSession,
    ServerEvent,
)
from azure.core.credentials import AzureKeyCredential

from tests.agent.calls import Call, line_named, spoken
from tests.peers.conftest import LIMIT_S
from tests.peers.voicelive_types import faults_of
from tui.agent.process import AgentProcess
from tui.assets import prompts
from tui.protocols.openai_realtime import OPENAI_REALTIME

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]

_RATE = 16_000
_SESSION = RequestSession(
    model="gpt-realtime",
    modalities=[Modality.TEXT, Modality.AUDIO],
    voice=AzureStandardVoice(name="en-US-AvaNeural"),
    instructions="Be brief.",
    input_audio_format=InputAudioFormat.PCM16,
    input_audio_sampling_rate=_RATE,
    output_audio_format=OutputAudioFormat.PCM16_16000_HZ,
    turn_detection=AzureSemanticVad(),
    input_audio_transcription=AudioInputTranscriptionOptions(model="azure-speech"),
    tools=[FunctionTool(name="opening_hours", parameters={"type": "object"})],
)


class Talk:
    """A connection. Every received event must match the SDK's models."""

    def __init__(self, connection: Any) -> None:
        self.to = connection
        self.audio = b""
        self.transcripts: list[str] = []

    async def until(self, kind: str) -> Any:
        """Waits for the next event of this kind."""
        self.audio, self.transcripts = b"", []
        async with asyncio.timeout(LIMIT_S):
            while True:
                event = await self.next()
                if event.type == kind:
                    return event

    async def next(self) -> Any:
        body = json.loads(await self.to.recv_bytes())
        assert list(faults_of(ServerEvent, body)) == []
        event = ServerEvent._deserialize(body, [])
        match event.type:
            case "response.audio.delta":
                self.audio += event.delta
            case "response.audio_transcript.done" | "conversation.item.input_audio_transcription.completed":
                self.transcripts.append(event.transcript)
        return event

    async def speak(self, name: str) -> None:
        """Sends a recorded line and a second of silence."""
        pcm = spoken(name, _RATE)
        for at in range(0, len(pcm), 6_400):
            audio = base64.b64encode(pcm[at : at + 6_400]).decode()
            await self.to.input_audio_buffer.append(audio=audio)


async def test_a_whole_conversation(agent: AgentProcess) -> None:
    endpoint = agent.url("").replace("ws:", "http:")
    credential = AzureKeyCredential("any")
    async with connect(credential=credential, endpoint=endpoint, model="gpt-realtime") as connection:
        talk = Talk(connection)
        assert (await talk.until("session.created")).session.model == "gpt-realtime"
        await connection.session.update(session=_SESSION)
        session = (await talk.until("session.updated")).session
        assert (session.input_audio_sampling_rate, session.output_audio_format) == (_RATE, "pcm16_16000hz")
        assert (session.voice["name"], session.turn_detection.type) == (
            "en-US-AvaNeural",
            "azure_semantic_vad",
        )

        await connection.response.create()
        await talk.until("response.done")
        assert talk.transcripts == [prompts()["greeting"].text]
        assert len(talk.audio) > _RATE

        await talk.speak("number")
        await talk.until("response.done")
        assert talk.transcripts == [line_named("number").text, prompts()["order"].text]

        await talk.speak("hours")
        call = await talk.until("response.function_call_arguments.done")
        await talk.until("response.done")
        output = FunctionCallOutputItem(call_id=call.call_id, output="nine to six")
        await connection.conversation.item.create(item=output)
        await connection.response.create()
        await talk.until("response.done")
        assert talk.transcripts == [prompts()["hours"].text + " nine to six"]

        await talk.speak("services")
        await talk.until("response.audio.delta")
        await talk.speak("interrupt")
        details = (await talk.until("response.done")).response.status_details
        assert (details.type, details.reason) == ("cancelled", "turn_detected")
        await talk.until("response.done")
        assert talk.transcripts == [line_named("interrupt").text, prompts()["listening"].text]

        await talk.speak("goodbye")
        await talk.until("response.done")
        with pytest.raises(ConnectionClosed):
            await talk.next()


def test_what_our_caller_sends_has_the_sdks_types() -> None:
    tools = json.dumps([{"type": "function", "name": "opening_hours", "parameters": {"type": "object"}}])
    call = Call(
        protocol=OPENAI_REALTIME,
        path="/voice-live/realtime",
        options={
            "greet": "on",
            "voice": "en-US-AvaNeural",
            "turn_detection": "azure_semantic_vad",
            "transcription": "azure-speech",
            "instructions": "Be brief.",
            "format": "pcm16_16000hz",
            "tools": tools,
        },
    )
    call.send(call.caller.user_text("Yes."))
    call.wait_for_reply()
    call.say("services")
    call.wait(1_000)
    call.say("interrupt")
    call.wait_for_reply()
    kinds = {frame.kind for frame in call.sent}
    assert kinds == {
        "session.update",
        "input_audio_buffer.append",
        "conversation.item.create",
        "conversation.item.truncate",
        "response.create",
    }
    for end, frames in ((ClientEvent, call.sent), (ServerEvent, call.received)):
        for frame in frames:
            assert list(faults_of(end, json.loads(frame.frame))) == []
