"""Tests Deepgram's Python SDK as a client of the local agent. Its types check the messages of both ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

pytest.importorskip("deepgram", reason="run: tests/peers/run")

from deepgram import AsyncDeepgramClient
from deepgram.agent.v1.types import AgentV1Settings
from deepgram.environment import DeepgramClientEnvironment

from tests.agent.calls import line_named, spoken
from tests.peers.conftest import LIMIT_S
from tests.protocols.both_ends import example
from tui.agent.process import AgentProcess
from tui.assets import prompts
from tui.protocols.base import CallerSettings
from tui.protocols.deepgram import DeepgramCaller

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]

_RATE = 16_000
_TOOLS = json.dumps([{"type": "function", "name": "opening_hours", "parameters": {"type": "object"}}])


def settings_of_our_caller() -> dict[str, Any]:
    caller = DeepgramCaller(CallerSettings(options={"tools": _TOOLS}), lambda: "id", lambda: "now")
    return dict(json.loads(caller.opened()[0].frame))


def kind_of(message: Any) -> str:
    return message["type"] if isinstance(message, dict) else str(getattr(message, "type", "audio"))


async def test_a_whole_conversation(agent: AgentProcess) -> None:
    base = agent.url("")
    environment = DeepgramClientEnvironment(
        base=base.replace("ws:", "http:"),
        agent=base,
        production=base,
        agent_rest=base.replace("ws:", "http:"),
    )
    client = AsyncDeepgramClient(api_key="any", environment=environment)
    async with client.agent.v1.connect() as connection:
        assert kind_of(await connection.recv()) == "Welcome"
        # The settings of this program's caller pass through the SDK's types.
        await connection.send_settings(AgentV1Settings.model_validate(settings_of_our_caller()))
        assert kind_of(await connection.recv()) == "SettingsApplied"

        async def until(kind: str) -> tuple[Any, int]:
            heard = 0
            async with asyncio.timeout(LIMIT_S):
                while True:
                    message = await connection.recv()
                    if isinstance(message, bytes):
                        heard += len(message)
                    elif kind_of(message) == kind:
                        return message, heard

        async def speak(name: str) -> None:
            pcm = spoken(name, _RATE)
            for at in range(0, len(pcm), 6_400):
                await connection.send_media(pcm[at : at + 6_400])

        greeting, _ = await until("ConversationText")
        assert (greeting.role, greeting.content) == ("assistant", "Hello. How can I help you?")
        assert (await until("AgentAudioDone"))[1] > 24_000

        await speak("number")
        await until("UserStartedSpeaking")
        assert (await until("ConversationText"))[0].content == line_named("number").text
        assert (await until("ConversationText"))[0].content == prompts()["order"].text
        await until("AgentAudioDone")

        await speak("hours")
        request, _ = await until("FunctionCallRequest")
        (call,) = request.functions
        assert (call.name, call.client_side) == ("opening_hours", True)
        response = {
            "type": "FunctionCallResponse",
            "id": call.id,
            "name": call.name,
            "content": "nine to six",
        }
        from deepgram.agent.v1.types import AgentV1SendFunctionCallResponse

        await connection.send_function_call_response(AgentV1SendFunctionCallResponse.model_validate(response))
        assert (await until("ConversationText"))[0].content == prompts()["hours"].text + " nine to six"
        await until("AgentAudioDone")

        await speak("services")
        assert (await until("ConversationText"))[0].content == line_named("services").text
        await until("ConversationText")
        await speak("interrupt")
        await until("UserStartedSpeaking")
        assert (await until("ConversationText"))[0].content == line_named("interrupt").text
        assert (await until("ConversationText"))[0].content == prompts()["listening"].text


def test_the_example_is_made_of_the_sdks_types() -> None:
    from deepgram.agent.v1 import types

    names = {
        "Settings": "AgentV1Settings",
        "InjectUserMessage": "AgentV1InjectUserMessage",
        "FunctionCallResponse": "AgentV1SendFunctionCallResponse",
        "UpdatePrompt": "AgentV1UpdatePrompt",
        "KeepAlive": "AgentV1KeepAlive",
    }
    judged = 0
    for line in example("deepgram"):
        name = names.get(line["message"]["type"])
        if line["dir"] == "c2s" and name:
            getattr(types, name).model_validate(line["message"])
            judged += 1
    assert judged == 5
