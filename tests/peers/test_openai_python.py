"""Tests the `openai` package. Each event is checked against its types. `tests/agent` contains more such tests."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types.realtime import (
    RateLimitsUpdatedEvent,
    ResponseAudioDeltaEvent,
    ResponseDoneEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    SessionCreatedEvent,
    SessionUpdatedEvent,
)
from openai.types.realtime.session_update_event_param import Session
from websockets.exceptions import ConnectionClosedOK

from tests.agent.calls import line_named
from tests.agent.test_openai_client import Talk
from tests.peers.conftest import LIMIT_S
from tui.agent.process import AgentProcess
from tui.assets import prompts

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]

_SESSION: Session = {
    "type": "realtime",
    "model": "gpt-realtime",
    "tools": [{"type": "function", "name": "opening_hours", "parameters": {"type": "object"}}],
    "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}},
}


async def test_a_whole_conversation(agent: AgentProcess) -> None:
    url = agent.url("/v1")
    async with (
        AsyncOpenAI(api_key="any", base_url=url.replace("ws:", "http:"), websocket_base_url=url) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        talk = Talk(connection)
        await talk.until(SessionCreatedEvent)
        await connection.session.update(session=_SESSION)
        updated: Any = (await talk.until(SessionUpdatedEvent)).session
        assert updated.model == "gpt-realtime"
        await connection.response.create()
        await talk.until(ResponseDoneEvent)
        assert talk.transcripts == [prompts()["greeting"].text]

        await talk.speak("number")
        await talk.until(ResponseDoneEvent)
        assert talk.transcripts == [line_named("number").text, prompts()["order"].text]

        await talk.speak("hours")
        call = await talk.until(ResponseFunctionCallArgumentsDoneEvent)
        await talk.until(ResponseDoneEvent)
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "nine to six"}
        await connection.conversation.item.create(item=output)
        await connection.response.create()
        await talk.until(ResponseDoneEvent)
        assert talk.transcripts == [prompts()["hours"].text + " nine to six"]

        await talk.speak("services")
        await talk.until(ResponseAudioDeltaEvent)
        await talk.speak("interrupt")
        details = (await talk.until(ResponseDoneEvent)).response.status_details
        assert details
        assert details.reason == "turn_detected"
        await talk.until(ResponseDoneEvent)
        assert talk.transcripts == [line_named("interrupt").text, prompts()["listening"].text]

        await talk.speak("goodbye")
        await talk.until(ResponseDoneEvent)
        await talk.until(RateLimitsUpdatedEvent)
        with pytest.raises(ConnectionClosedOK):
            await connection.recv()
