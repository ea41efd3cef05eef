"""The sample messages through each end, the two ends in conversation, round trips, and hostile input."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols import both_ends
from tests.protocols.hostile import check_incoming, hostile_values, mutated_messages, no_messages
from tui.protocols.base import CallerSettings, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.elevenlabs import ELEVENLABS, FORMATS, ElevenLabsAgent, ElevenLabsCaller

FROM_CALLER: list[dict[str, Any]] = [
    {"type": "conversation_initiation_client_data", "dynamic_variables": {"name": "Ada"}},
    {"user_audio_chunk": "AAAAAAAAAAA="},
    {"type": "pong", "event_id": 4},
    {"type": "user_message", "text": "hi"},
    {"type": "user_activity"},
    {"type": "contextual_update", "text": "x"},
    {"type": "feedback", "event_id": 3, "score": "like"},
    {"type": "client_tool_result", "tool_call_id": "t", "result": "r", "is_error": False},
    {"type": "mcp_tool_approval_result", "tool_call_id": "t", "is_approved": True},
    {"type": "multimodal_message", "text": {"type": "user_message", "text": "x"}},
]
METADATA = {
    "conversation_id": "conv_1",
    "agent_output_audio_format": "pcm_16000",
    "user_input_audio_format": "pcm_16000",
}
FROM_AGENT: list[dict[str, Any]] = [
    {"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": METADATA},
    {"type": "audio", "audio_event": {"audio_base_64": "AAAAAAAAAAA=", "event_id": 3}},
    {"type": "user_transcript", "user_transcription_event": {"user_transcript": "a", "event_id": 3}},
    {
        "type": "tentative_user_transcript",
        "tentative_user_transcription_event": {"user_transcript": "a", "event_id": 3},
    },
    {"type": "agent_response", "agent_response_event": {"agent_response": "a", "event_id": 3}},
    {
        "type": "agent_response_correction",
        "agent_response_correction_event": {"corrected_agent_response": "a", "event_id": 3},
    },
    {"type": "interruption", "interruption_event": {"event_id": 3}},
    {"type": "ping", "ping_event": {"event_id": 4, "ping_ms": 38}},
    {"type": "vad_score", "vad_score_event": {"vad_score": 0.5}},
    {
        "type": "client_tool_call",
        "client_tool_call": {"tool_name": "n", "tool_call_id": "t", "parameters": {"a": 1}, "event_id": 5},
    },
    {"type": "error", "error_event": {"code": 1008, "message": "m"}},
]


def a_caller(**params: str) -> ElevenLabsCaller:
    return ElevenLabsCaller(CallerSettings(params=params), lambda: "id", lambda: "now")


def an_agent(media: str = "pcm_16000") -> ElevenLabsAgent:
    return ElevenLabsAgent(lambda: "id", lambda: "now", media=media)


def test_every_message_of_the_schema_is_understood() -> None:
    caller, agent = a_caller(), an_agent()
    caller.opened()
    for end, messages in ((caller, FROM_AGENT), (agent, FROM_CALLER)):
        for message in messages:
            incoming = end.receive(json.dumps(message))
            assert (incoming.known, incoming.findings) == (True, ())


class Line(both_ends.Line):
    """With the caller's opening on it."""

    def __init__(self, media: str = "pcm_16000") -> None:
        self.caller, self.agent = a_caller(scenario="smoke"), an_agent(media)
        super().__init__(self.caller, self.agent)
        self.to_agent(self.caller.opened())


def test_a_conversation_from_the_greeting_to_the_hang_up_with_barge_in() -> None:
    line = Line()
    caller, agent = line.caller, line.agent
    line.to_caller(agent.say_start("greeting", "Hello!"))
    line.to_caller(agent.say_audio("greeting", b"\1\2" * 300))
    line.to_caller(agent.say_stop("greeting"))
    line.to_agent(caller.user_audio(b"\3\4" * 160))
    line.to_caller(agent.hypothesis("what") + agent.say_stop("greeting", interrupted=True))
    caller.interrupted("reply-1", heard_ms=5, received_ms=18.75)
    line.to_caller(agent.recognition("what time", 0.9))
    line.to_caller(agent.say_start("answer", "Nine."))
    line.to_caller(agent.say_audio("answer", b"\5\6"))
    line.to_caller(agent.say_stop("answer"))
    line.to_agent(caller.user_text("thanks"))
    line.to_agent(caller.hang_up())

    assert [(event.type, event.stream_id, event.text) for event in line.heard_by["caller"]] == [
        (T.SESSION_ACCEPTED, "", "pcm_16000"),
        (T.AGENT_TEXT, "reply-1", "Hello!"),
        (T.PLAY_STREAM_START, "reply-1", ""),
        (T.PLAY_STREAM_CHUNK, "reply-1", ""),
        (T.SPEECH_HYPOTHESIS, "", "what"),
        (T.CLEAR, "reply-1", ""),
        (T.PLAY_STREAM_STOP, "reply-1", ""),
        (T.SPEECH_RECOGNITION, "", "what time"),
        (T.AGENT_TEXT, "reply-2", "Nine."),
        (T.PLAY_STREAM_START, "reply-2", ""),
        (T.PLAY_STREAM_CHUNK, "reply-2", ""),
    ]
    assert [(event.type, event.audio, event.text) for event in line.heard_by["agent"]] == [
        (T.SESSION_INITIATE, b"", ""),
        (T.CALL_STARTED, b"", ""),
        (T.USER_STREAM_CHUNK, b"\3\4" * 160, ""),
        (T.USER_TEXT, b"", "thanks"),
    ]
    assert line.heard_by["agent"][1].params == {"scenario": "smoke"}


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(FORMATS)),
    st.lists(st.binary(min_size=1, max_size=100), max_size=5),
    st.text(min_size=1, max_size=30),
)
def test_round_trips(media: str, chunks: list[bytes], text: str) -> None:
    line = Line(media)
    for chunk in chunks:
        line.to_agent(line.caller.user_audio(chunk))
    line.to_agent(line.caller.user_text(text))
    line.to_caller(line.agent.say_start("a", text))
    for chunk in chunks:
        line.to_caller(line.agent.say_audio("a", chunk))
    line.to_caller(line.agent.hypothesis(text) + line.agent.recognition(text, 1.0))

    def heard(events: list[TelephonyEvent], meaning: T) -> list[tuple[object, ...]]:
        return [(event.format, event.audio, event.text) for event in events if event.type is meaning]

    audio = [(FORMATS[media], chunk, "") for chunk in chunks]
    assert heard(line.heard_by["agent"], T.USER_STREAM_CHUNK) == audio
    assert heard(line.heard_by["caller"], T.PLAY_STREAM_CHUNK) == audio
    for events, meaning in (
        (line.heard_by["agent"], T.USER_TEXT),
        (line.heard_by["caller"], T.AGENT_TEXT),
        (line.heard_by["caller"], T.SPEECH_HYPOTHESIS),
        (line.heard_by["caller"], T.SPEECH_RECOGNITION),
    ):
        assert heard(events, meaning) == [(None, b"", text)]


MESSAGES = FROM_CALLER + FROM_AGENT
NAMES = sorted({name for message in MESSAGES for name in message} | {"event_id", "x"})
VALUES = hostile_values(NAMES, "pcm_24000", "mp3_44100")


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.lists(mutated_messages(MESSAGES, NAMES, VALUES), min_size=5, max_size=5))
def test_whatever_comes_only_a_protocol_error_escapes(messages: list[str]) -> None:
    caller, agent = a_caller(), an_agent()
    caller.opened()
    for frame in [json.dumps(FROM_AGENT[0]), *messages]:
        check_incoming(caller.receive, frame)
        check_incoming(agent.receive, frame)
        caller.playback_finished("reply-1", heard_ms=0, received_ms=0)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(no_messages("type", VALUES))
def test_what_is_no_message_is_a_protocol_error_or_unknown(frame: str | bytes) -> None:
    check_incoming(a_caller().receive, frame)
    check_incoming(an_agent().receive, frame)


def test_a_flood_of_replies_and_interruptions_leaves_nothing_behind() -> None:
    caller = a_caller()
    caller.opened()
    for number in range(1_000):
        event = {"audio_base_64": "AAAA", "event_id": 2 * number}
        caller.receive(json.dumps({"type": "audio", "audio_event": event}))
        caller.receive(json.dumps({"type": "interruption", "interruption_event": {"event_id": 2 * number}}))
    assert not caller._unheard


def test_the_ends_of_the_protocol_value_are_these() -> None:
    assert (ELEVENLABS.caller, ELEVENLABS.agent) == (ElevenLabsCaller, ElevenLabsAgent)
