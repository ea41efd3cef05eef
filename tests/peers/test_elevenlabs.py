"""Tests ElevenLabs' Python SDK with a fake microphone and speaker. It requests a signed URL first."""

from __future__ import annotations

import queue
import time
from typing import Any

import pytest

pytest.importorskip("elevenlabs", reason="run: tests/peers/run")

from elevenlabs.client import ElevenLabs
from elevenlabs.conversational_ai.conversation import (
    AudioInterface,
    ClientTools,
    Conversation,
    ConversationInitiationData,
)

from tests.agent.calls import line_named, spoken
from tests.peers.conftest import LIMIT_S
from tui.agent.process import AgentProcess
from tui.assets import prompts

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]


class Phone(AudioInterface):
    """Plays recorded lines as the user, and counts the audio that it would play."""

    def __init__(self) -> None:
        self.heard_bytes = 0
        self.interruptions = 0
        self._send: Any = None

    def start(self, input_callback: Any) -> None:
        self._send = input_callback

    def stop(self) -> None:
        self._send = None

    def output(self, audio: bytes) -> None:
        self.heard_bytes += len(audio)

    def interrupt(self) -> None:
        self.interruptions += 1

    def speak(self, name: str) -> None:
        pcm = spoken(name, 16_000)
        for at in range(0, len(pcm), 8_000):
            self._send(pcm[at : at + 8_000])


def test_a_whole_conversation(agent: AgentProcess) -> None:
    words: queue.Queue[tuple[str, str]] = queue.Queue()
    calls: list[dict[str, Any]] = []
    phone = Phone()
    tools = ClientTools()

    def opening_hours(parameters: dict[str, Any]) -> str:
        calls.append(parameters)
        return "nine to six"

    tools.register("opening_hours", opening_hours)
    override = {"agent": {"prompt": {"tool_ids": ["opening_hours"]}}}
    conversation = Conversation(
        ElevenLabs(api_key="any", base_url=agent.url("").replace("ws:", "http:")),
        "any",
        requires_auth=True,
        audio_interface=phone,
        config=ConversationInitiationData(conversation_config_override=override),
        client_tools=tools,
        callback_agent_response=lambda text: words.put(("agent", text)),
        callback_user_transcript=lambda text: words.put(("user", text)),
    )

    def turn(name: str) -> list[tuple[str, str]]:
        phone.speak(name)
        return [words.get(timeout=LIMIT_S), words.get(timeout=LIMIT_S)]

    conversation.start_session()
    assert words.get(timeout=LIMIT_S) == ("agent", prompts()["greeting"].text)
    assert turn("number") == [("user", line_named("number").text), ("agent", prompts()["order"].text)]
    hours = prompts()["hours"].text + " nine to six"
    assert turn("hours") == [("user", line_named("hours").text), ("agent", hours)]
    assert len(calls) == 1
    assert turn("services") == [("user", line_named("services").text), ("agent", prompts()["workshop"].text)]
    before, heard_bytes = phone.interruptions, phone.heard_bytes
    while phone.heard_bytes == heard_bytes:
        time.sleep(0.01)
    said = [("user", line_named("interrupt").text), ("agent", prompts()["listening"].text)]
    assert turn("interrupt") == said
    assert phone.interruptions > before
    assert turn("goodbye") == [("user", line_named("goodbye").text), ("agent", prompts()["goodbye"].text)]
    assert conversation.wait_for_session_end()
