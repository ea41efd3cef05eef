"""Tests the example session at each end, with the types of the `openai` package, and the addresses of services."""

from __future__ import annotations

import base64
import itertools
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from tests.protocols.both_ends import example, messages_from
from tests.protocols.openai_types import assert_client_event, assert_server_event
from tui.protocols.base import (
    CallerSettings,
    Outgoing,
    TelephonyEvent,
    TelephonyEventType,
)
from tui.protocols.openai_realtime import OPENAI_REALTIME, OpenAIAgent, OpenAICaller, connect_url

T = TelephonyEventType
LINES = example("openai-realtime")
FROM_CALLER, FROM_AGENT = messages_from("caller", LINES), messages_from("agent", LINES)
TOOLS = FROM_CALLER[0]["session"]["tools"]


def a_caller(**options: str) -> OpenAICaller:
    ids = (f"client_{number}" for number in itertools.count(1))
    settings = CallerSettings(options=options)
    return OpenAICaller(settings, lambda: next(ids), lambda: "now")


def an_agent() -> OpenAIAgent:
    ids = (str(number) for number in itertools.count(1))
    return OpenAIAgent(lambda: next(ids), lambda: "2026-01-15T09:00:00.120Z")


class TestTheExampleSession:
    def test_every_message_of_the_caller_is_understood_by_the_agent(self) -> None:
        agent = an_agent()
        received = [agent.receive(json.dumps(message)) for message in FROM_CALLER]
        assert all(incoming.known for incoming in received)
        assert [incoming.findings for incoming in received if incoming.findings] == []
        assert received[0].replies[0].kind == "session.updated"
        for frame in itertools.chain.from_iterable(incoming.replies for incoming in received):
            assert_server_event(frame)

    def test_the_caller_says_what_the_example_says(self) -> None:
        """Runs the complete dialogue. A handler sends tool results, so their ids are consumed here."""
        turn = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 400}
        session = {"audio": {"input": {"turn_detection": turn}}}
        caller = a_caller(
            instructions="Answer briefly.",
            tools=json.dumps(TOOLS),
            language="en",
            turn_detection="server_vad",
            voice="marin",
            session=json.dumps(session),
        )
        expected = deque(FROM_CALLER)
        self._expect(expected, caller.opened())
        heard: list[TelephonyEvent] = []
        for line in LINES:
            message = line["message"]
            if line["dir"] == "s2c":
                incoming = caller.receive(json.dumps(message))
                assert incoming.known
                assert incoming.findings == ()
                heard += incoming.events
                self._expect(expected, incoming.replies)
                if message["type"] == "rate_limits.updated":
                    caller.playback_finished("item_a1", heard_ms=15, received_ms=15)
            elif expected and expected[0] is message:
                self._expect(expected, self._doing(caller, message, expected))
        assert not expected
        assert [event.text for event in heard if event.type is T.SPEECH_RECOGNITION] == [
            "When do you open on Monday?"
        ]
        assert [event.text for event in heard if event.type is T.AGENT_TEXT and event.final] == [
            "On Monday we open at nine o'clock.",
            "Our full list of holidays is",
        ]
        assert [event.type for event in heard if event.type is T.CLEAR] == [T.CLEAR]
        assert T.AGENT_ERROR not in [event.type for event in heard]

    @staticmethod
    def _doing(
        caller: OpenAICaller, message: dict[str, Any], expected: deque[dict[str, Any]]
    ) -> Sequence[Outgoing]:
        match message:
            case {"type": "input_audio_buffer.append", "audio": audio}:
                caller.start_user_stream()
                return caller.user_audio(base64.b64decode(audio))
            case {"type": "conversation.item.truncate"}:
                return caller.interrupted("item_a2", heard_ms=7.5, received_ms=10)
            case _:
                caller._new_id()
                expected.popleft()
                return []

    @staticmethod
    def _expect(expected: deque[dict[str, Any]], frames: Sequence[Outgoing]) -> None:
        for frame in frames:
            assert_client_event(frame)
            assert json.loads(frame.frame) == expected.popleft()


class TestTheProtocolValue:
    @pytest.mark.parametrize(
        ("token", "url", "headers"),
        [
            ("", "wss://api.openai.com/v1/realtime", {}),
            ("secret", "wss://api.openai.com/v1/realtime", {"Authorization": "Bearer secret"}),
            ("secret", "wss://x.openai.azure.com/openai/v1/realtime", {"api-key": "secret"}),
            ("eyJ.x", "wss://x.openai.azure.com/openai/v1/realtime", {"Authorization": "Bearer eyJ.x"}),
            ("secret", "wss://azure.com.example.org/v1", {"Authorization": "Bearer secret"}),
        ],
    )
    def test_headers(self, token: str, url: str, headers: dict[str, str]) -> None:
        assert OPENAI_REALTIME.headers(token, url) == headers

    @pytest.mark.parametrize(
        ("url", "connected"),
        [
            ("wss://api.openai.com/v1/realtime", "wss://api.openai.com/v1/realtime?model=m+1"),
            ("ws://localhost:1/v1/realtime?x=", "ws://localhost:1/v1/realtime?x=&model=m+1"),
            ("wss://h/v1/realtime?model=n", "wss://h/v1/realtime?model=n"),
            ("wss://h/v1/realtime?call_id=n", "wss://h/v1/realtime?call_id=n"),
            (
                "wss://x.openai.azure.com/openai/realtime?api-version=1",
                "wss://x.openai.azure.com/openai/realtime?api-version=1&deployment=m+1",
            ),
        ],
    )
    def test_the_model_in_the_url(self, url: str, connected: str) -> None:
        assert connect_url(url, "m 1") == connected
        assert connect_url(url, "") == url

    def test_an_api_version_where_azure_takes_none(self) -> None:
        notice = OPENAI_REALTIME.url_notice
        assert "leave it out" in notice("wss://x.openai.azure.com/openai/v1/realtime?api-version=1&model=m")
        assert notice("wss://x.openai.azure.com/openai/realtime?api-version=1") == ""
        assert notice("wss://api.openai.com/v1/realtime?model=m") == ""
