"""Tests the example session at each end, the two ends in conversation, round trips, and hostile input."""

from __future__ import annotations

import base64
import itertools
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols import both_ends
from tests.protocols.both_ends import Side, example, messages_from
from tests.protocols.openai_types import assert_client_event, assert_server_event
from tui.protocols.base import (
    AgentEnd,
    CallerEnd,
    CallerSettings,
    HasInstructions,
    Incoming,
    Outgoing,
    RealtimeAgentEnd,
    TelephonyEvent,
    TelephonyEventType,
)
from tui.protocols.openai_realtime import FORMATS, OPENAI_REALTIME, OpenAIAgent, OpenAICaller, connect_url

T = TelephonyEventType
LINES = example("openai-realtime")
FROM_CALLER, FROM_AGENT = messages_from("caller", LINES), messages_from("agent", LINES)
TOOLS = FROM_CALLER[0]["session"]["tools"]
AUDIO_100_MS = bytes(range(240)) * 20


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


class Line(both_ends.Line):
    """Two connected ends, whose messages are also checked against OpenAI's own types."""

    def __init__(self, caller: CallerEnd, agent: AgentEnd) -> None:
        super().__init__(caller, agent)
        self.said_by: dict[Side, list[Outgoing]] = {"caller": [], "agent": []}
        self.to_agent(caller.opened())
        self.to_caller(agent.opened())

    def hear(self, listener: Side, frame: Outgoing) -> Incoming:
        (assert_client_event if listener == "agent" else assert_server_event)(frame)
        self.said_by["caller" if listener == "agent" else "agent"].append(frame)
        return super().hear(listener, frame)

    def kinds_said_by(self, speaker: Side, *, since: int = 0) -> list[str]:
        return [frame.kind for frame in self.said_by[speaker][since:]]

    def errors(self) -> list[str]:
        return [event.code for event in self.heard_by["caller"] if event.type is T.AGENT_ERROR]


def in_session(**options: str) -> tuple[OpenAICaller, OpenAIAgent, Line]:
    caller, agent = a_caller(**options), an_agent()
    line = Line(caller, agent)
    caller.start_user_stream()
    return caller, agent, line


def the_reply(line: Line) -> str:
    return next(event.stream_id for event in reversed(line.heard_by["caller"]) if event.stream_id)


class TestAConversation:
    @pytest.mark.parametrize("media", list(FORMATS))
    def test_with_barge_in(self, media: str) -> None:
        caller, agent, line = in_session(format=media)
        assert caller.user_format == agent.user_format == agent.play_format == FORMATS[media]
        question, answer = AUDIO_100_MS, bytes(range(1, 255)) * 3
        line.to_agent(caller.user_audio(question))
        line.to_caller([*agent.speech_started(), *agent.speech_stopped()])
        line.to_caller(agent.recognition("When do you open?", 0.9))
        line.to_caller([*agent.say_start("play-1", "At nine."), *agent.say_audio("play-1", answer[:401])])
        line.to_caller(agent.say_audio("play-1", answer[401:]))
        line.to_caller(agent.speech_started())
        line.to_agent(caller.interrupted(the_reply(line), heard_ms=5.5, received_ms=99))
        line.to_caller(agent.say_audio("play-1", b"too late"))
        line.to_caller(agent.say_stop("play-1", interrupted=True))
        line.to_caller(agent.speech_stopped())

        assert line.audio_heard_by("agent") == question
        assert line.types_heard_by("caller") == [
            T.SESSION_ACCEPTED,
            T.SPEECH_STARTED,
            T.SPEECH_STOPPED,
            T.SPEECH_COMMITTED,
            T.SPEECH_HYPOTHESIS,
            T.SPEECH_RECOGNITION,
            T.USAGE,
            T.AGENT_TEXT,
            T.PLAY_STREAM_START,
            T.PLAY_STREAM_CHUNK,
            T.PLAY_STREAM_CHUNK,
            T.SPEECH_STARTED,
            T.CLEAR,
            T.PLAY_STREAM_DISCARDED,
            T.PLAY_STREAM_STOP,
            T.AGENT_TEXT,
            T.USAGE,
            T.USAGE,
            T.SPEECH_STOPPED,
            T.SPEECH_COMMITTED,
        ]
        assert line.audio_heard_by("caller") == answer + b"too late"
        assert "conversation.item.truncated" in line.kinds_said_by("agent")
        assert line.errors() == []

    def test_with_a_tool_call(self) -> None:
        caller, agent, line = in_session(tools=json.dumps(TOOLS))
        assert isinstance(agent, RealtimeAgentEnd)
        assert [tool["name"] for tool in agent.tools] == ["opening_hours"]
        line.to_agent(caller.user_text("When do you open?"))
        line.to_caller(agent.call_tool("opening_hours", {"day": "monday"}))
        (call,) = (
            json.loads(frame.frame)["item"]
            for frame in line.said_by["agent"]
            if frame.kind == "response.output_item.done"
        )
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"opens":"09:00"}'}
        create = {"type": "conversation.item.create", "item": output}
        line.to_agent([Outgoing(json.dumps(create), "conversation.item.create")])
        line.to_agent([Outgoing('{"type":"response.create"}', "response.create")])
        line.to_caller([*agent.say_start("play-1", "At nine."), *agent.say_audio("play-1", AUDIO_100_MS)])
        line.to_caller(agent.say_stop("play-1"))
        assert line.types_heard_by("agent") == [
            T.CONFIG,
            T.USER_TEXT,
            T.RESPONSE_WANTED,
            T.TOOL_OUTPUT,
            T.RESPONSE_WANTED,
        ]
        assert line.audio_heard_by("caller") == AUDIO_100_MS
        assert line.errors() == []

    def test_without_turn_detection(self) -> None:
        caller, agent, line = in_session(turn_detection="off")
        assert not caller.agent_detects_turns
        assert not agent.detects_turns
        line.to_agent(caller.user_audio(AUDIO_100_MS))
        line.to_agent(caller.stop_user_stream())
        assert line.types_heard_by("agent")[-2:] == [T.SPEECH_COMMITTED, T.RESPONSE_WANTED]
        line.to_caller(
            [*agent.recognition("Hello", 1), *agent.say_start("play-1"), *agent.say_audio("play-1", b"xx")]
        )
        line.to_agent(caller.interrupted(the_reply(line), heard_ms=0, received_ms=1))
        assert T.RESPONSE_CANCELLED in line.types_heard_by("agent")
        assert line.kinds_said_by("caller")[-2:] == ["response.cancel", "conversation.item.truncate"]
        assert line.errors() == []

    def test_a_typed_turn_in_the_middle_of_an_answer(self) -> None:
        caller, agent, line = in_session()
        line.to_caller([*agent.say_start("play-1", "Well"), *agent.say_audio("play-1", b"xx")])
        line.to_agent(caller.user_text("Stop"))
        assert line.kinds_said_by("caller")[-3:] == [
            "conversation.item.create",
            "response.cancel",
            "response.create",
        ]
        assert line.types_heard_by("agent")[-3:] == [T.USER_TEXT, T.RESPONSE_CANCELLED, T.RESPONSE_WANTED]
        assert line.errors() == []

    def test_the_agent_receives_its_instructions_and_is_asked_to_greet(self) -> None:
        caller, agent, line = in_session(greet="on")
        assert line.types_heard_by("agent") == [T.CONFIG, T.RESPONSE_WANTED]
        line.to_caller([*agent.say_start("play-1", "Hi"), *agent.say_stop("play-1")])
        assert isinstance(caller, HasInstructions)
        line.to_agent(caller.update_instructions("Shout."))
        (config,) = (event for event in line.heard_by["caller"] if event.type is T.CONFIG)
        assert config.params["instructions"] == "Shout."

    def test_a_refused_update_is_an_acceptance(self) -> None:
        caller, agent, line = in_session(session='{"type":"transcription"}')
        assert line.types_heard_by("caller") == [T.SESSION_ACCEPTED, T.AGENT_ERROR]
        assert caller.user_format == agent.user_format


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
audio_chunks = st.binary(min_size=1, max_size=200).filter(lambda audio: not audio.startswith(b"RIFF"))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(texts, audio_chunks, texts)
def test_the_agents_reply_arrives(text: str, audio: bytes, name: str) -> None:
    _, agent, line = in_session(tools=json.dumps([{"type": "function", "name": name}]))
    before = len(line.heard_by["caller"])
    line.to_caller([*agent.speech_started(), *agent.speech_stopped(), *agent.recognition(text, 1)])
    line.to_caller([*agent.say_start(name, text), *agent.say_audio(name, audio), *agent.say_stop(name)])
    line.to_caller(agent.call_tool(name, {name: text}))
    heard = [e for e in line.heard_by["caller"][before:] if e.type is not T.USAGE and not e.params]
    item = the_reply(line)
    media = agent.play_format
    assert heard == [
        TelephonyEvent(type=T.SPEECH_HYPOTHESIS, stream_id=heard[0].stream_id, text=text),
        TelephonyEvent(type=T.SPEECH_RECOGNITION, stream_id=heard[0].stream_id, text=text),
        TelephonyEvent(type=T.AGENT_TEXT, stream_id=item, text=text, final=False),
        TelephonyEvent(type=T.PLAY_STREAM_START, stream_id=item, format=media),
        TelephonyEvent(type=T.PLAY_STREAM_CHUNK, stream_id=item, audio=audio, format=media),
        TelephonyEvent(type=T.PLAY_STREAM_STOP, stream_id=item),
        TelephonyEvent(type=T.AGENT_TEXT, stream_id=item, text=text),
    ]
    assert heard[0].stream_id not in ("", item)
    call = next(f for f in line.said_by["agent"] if f.kind == "response.function_call_arguments.done")
    assert json.loads(json.loads(call.frame)["arguments"]) == {name: text}


@settings(derandomize=True, max_examples=60, deadline=None)
@given(texts, audio_chunks)
def test_the_users_turn_arrives(text: str, audio: bytes) -> None:
    caller, agent, line = in_session()
    before = len(line.heard_by["agent"])
    line.to_agent([*caller.user_audio(audio), *caller.user_text(text), *caller.update_instructions(text)])
    chunk, typed, wanted, config = line.heard_by["agent"][before:]
    assert chunk == TelephonyEvent(type=T.USER_STREAM_CHUNK, audio=audio, format=agent.user_format)
    assert typed == TelephonyEvent(type=T.USER_TEXT, text=text)
    assert wanted == TelephonyEvent(type=T.RESPONSE_WANTED)
    assert config.params["instructions"] == text


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
