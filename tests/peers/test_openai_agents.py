"""Tests OpenAI's Agents SDK for Python, whose session parses every event with the types of `openai`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("agents", reason="run: tests/peers/run")

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeModelSendRawMessage, RealtimeRunner

from tests.agent.calls import line_named, spoken
from tests.peers.conftest import LIMIT_S
from tui.agent.process import AgentProcess
from tui.assets import prompts

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]


class Session:
    """A session and all its events."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.errors: list[str] = []
        self.tools: list[str] = []
        self.audio_bytes = 0
        self._events = session.__aiter__()

    async def until(self, kind: str) -> Any:
        """Waits for the next event of this type; ``raw:TYPE`` selects events of the protocol."""
        async for event in self._events:
            name = event.type
            match name:
                case "error":
                    self.errors.append(str(event.error))
                case "tool_end":
                    self.tools.append(event.output)
                case "audio":
                    self.audio_bytes += len(event.audio.data)
                case "raw_model_event" if event.data.type == "raw_server_event":
                    name = f"raw:{event.data.data['type']}"
                case "raw_model_event" if event.data.type == "exception":
                    self.errors.append(str(event.data.exception))
                case _:
                    pass
            if name == kind:
                return event
        raise AssertionError(f"the session ended before {kind}")

    async def speak(self, name: str) -> None:
        pcm = spoken(name, 24_000)
        for at in range(0, len(pcm), 4_800):
            await self.session.send_audio(pcm[at : at + 4_800])


async def test_a_whole_conversation(agent: AgentProcess) -> None:
    @function_tool
    def opening_hours() -> str:
        """Returns the opening hours."""
        return "nine to six"

    realtime = RealtimeAgent(name="workshop", instructions="Be brief.", tools=[opening_hours])
    settings = {
        "model_name": "gpt-realtime",
        "audio": {
            "input": {
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "server_vad", "interrupt_response": True},
            }
        },
    }
    runner = RealtimeRunner(realtime, config={"model_settings": settings})
    url = agent.url("/v1/realtime?model=gpt-realtime")
    running = await runner.run(model_config={"api_key": "any", "url": url})
    async with running:
        session = Session(running)
        updated = await session.until("raw:session.updated")
        assert updated.data.data["session"]["model"] == "gpt-realtime"
        await running.model.send_event(RealtimeModelSendRawMessage(message={"type": "response.create"}))
        await session.until("raw:response.done")

        await session.speak("number")
        await session.until("raw:response.done")
        await session.speak("hours")
        await session.until("tool_end")
        await session.until("raw:response.output_audio.done")
        await session.until("raw:response.done")

        await session.speak("services")
        await session.until("audio")
        await session.speak("interrupt")
        await session.until("audio_interrupted")
        await session.until("raw:response.done")
        await session.until("raw:response.done")
        await asyncio.sleep(0)
        messages = [item for item in running._history if item.type == "message"]
        said = [(item.role, "".join(part.transcript or "" for part in item.content)) for item in messages]
    assert session.errors == []
    assert session.tools == ["nine to six"]
    assert session.audio_bytes > 48_000
    assert said == [
        ("assistant", prompts()["greeting"].text),
        ("user", line_named("number").text),
        ("assistant", prompts()["order"].text),
        ("user", line_named("hours").text),
        ("assistant", prompts()["hours"].text + " nine to six"),
        ("user", line_named("services").text),
        ("assistant", prompts()["workshop"].text),
        ("user", line_named("interrupt").text),
        ("assistant", prompts()["listening"].text),
    ]
