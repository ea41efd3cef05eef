from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocols.both_ends import example, messages_from
from tests.protocols.shown import advice, bodies, kinds, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Incoming
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.deepgram import DEEPGRAM, DeepgramAgent, DeepgramCaller

LINES = example("deepgram")
AUDIO = b"\1\2" * 240
SETTINGS = LINES[1]["message"]


def a_caller(*formats: str, **options: str) -> DeepgramCaller:
    return DeepgramCaller(CallerSettings(formats=formats, options=options), lambda: "id", lambda: "now")


def in_call(**options: str) -> DeepgramCaller:
    caller = a_caller(**options)
    caller.opened()
    say(caller, "SettingsApplied")
    return caller


def an_agent(**settings: Any) -> DeepgramAgent:
    agent = DeepgramAgent(lambda: "7", lambda: "now")
    say(agent, "Settings", **{**SETTINGS, **settings, "type": "Settings"})
    return agent


def say(end: DeepgramCaller | DeepgramAgent, kind: str, **members: Any) -> Incoming:
    return end.receive(json.dumps({**members, "type": kind}))


class TestSettings:
    def test_the_caller_sends_the_settings_of_the_example(self) -> None:
        functions = SETTINGS["agent"]["think"]["functions"]
        tools = json.dumps([{"type": "function", **function} for function in functions])
        caller = a_caller(prompt="Be brief.", greeting="Hello.", tools=tools)
        assert bodies(caller.opened()) == [SETTINGS]

    def test_options_go_where_they_belong(self) -> None:
        caller = a_caller(
            "mulaw_8000", play_format="alaw_8000", language="de", greeting="", think="groq/llama"
        )
        (settings,) = bodies(caller.opened())
        assert settings["audio"]["input"] == {"encoding": "mulaw", "sample_rate": 8_000}
        assert settings["audio"]["output"]["encoding"] == "alaw"
        assert "greeting" not in settings["agent"]
        assert settings["agent"]["language"] == "de"
        assert settings["agent"]["think"]["provider"] == {"type": "groq", "model": "llama"}

    def test_a_stored_agent_and_members_of_the_users_own(self) -> None:
        (settings,) = bodies(a_caller(agent="a-1", settings='{"tags":["x"]}').opened())
        assert (settings["agent"], settings["tags"]) == ("a-1", ["x"])

    def test_nothing_is_sent_before_they_are_applied(self) -> None:
        caller = a_caller()
        caller.opened()
        assert (caller.user_format, caller.user_audio(AUDIO), caller.user_text("x")) == (None, [], [])
        assert rules(caller.receive(AUDIO)) == ["audio-before-settings-applied"]
        assert types(say(caller, "SettingsApplied")) == [T.SESSION_ACCEPTED]
        assert caller.user_format == AudioFormat(Encoding.PCM16, 16_000)
        assert rules(say(caller, "SettingsApplied")) == ["repeated-settings-applied"]

    def test_an_encoding_that_the_agent_does_not_have_ends_the_call_with_an_error(self) -> None:
        agent = DeepgramAgent(lambda: "7", lambda: "now")
        incoming = say(agent, "Settings", audio={"input": {"encoding": "opus"}})
        assert types(incoming) == [T.SESSION_ERROR]
        assert bodies(incoming.replies)[0]["code"] == "INVALID_SETTINGS"
        assert agent.user_format is None

    def test_a_format_that_is_left_out_is_assumed(self) -> None:
        agent = an_agent(audio={})
        assert agent.user_format == agent.play_format == AudioFormat(Encoding.PCM16, 24_000)


class TestReplies:
    def test_a_reply_starts_with_its_audio_and_ends_with_its_message(self) -> None:
        caller = in_call()
        assert types(caller.receive(AUDIO)) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert types(caller.receive(AUDIO)) == [T.PLAY_STREAM_CHUNK]
        assert types(say(caller, "AgentAudioDone")) == [T.PLAY_STREAM_STOP]
        assert types(say(caller, "AgentAudioDone")) == []

    def test_playback_that_runs_dry_does_not_end_it(self) -> None:
        caller = in_call()
        caller.receive(AUDIO)
        caller.playback_finished("reply-1", heard_ms=10, received_ms=10)
        assert types(caller.receive(AUDIO)) == [T.PLAY_STREAM_CHUNK]

    def test_the_user_flushes_what_was_not_heard_and_nothing_else(self) -> None:
        caller = in_call()
        caller.receive(AUDIO)
        say(caller, "AgentAudioDone")
        assert types(say(caller, "UserStartedSpeaking")) == [T.SPEECH_STARTED, T.CLEAR]
        caller.receive(AUDIO)
        assert types(say(caller, "UserStartedSpeaking")) == [T.SPEECH_STARTED, T.CLEAR, T.PLAY_STREAM_STOP]
        caller.receive(AUDIO)
        say(caller, "AgentAudioDone")
        caller.playback_finished("reply-3", heard_ms=10, received_ms=10)
        assert types(say(caller, "UserStartedSpeaking")) == [T.SPEECH_STARTED]

    def test_the_next_answer_ends_one_whose_end_was_not_announced(self) -> None:
        caller = in_call()
        caller.receive(AUDIO)
        assert T.PLAY_STREAM_STOP in types(say(caller, "AgentStartedSpeaking", total_latency=0.5))
        assert caller.receive(AUDIO).events[0].stream_id == "reply-2"

    def test_sentences_are_parts_of_the_reply_whose_audio_comes_next(self) -> None:
        caller = in_call()
        first = say(caller, "ConversationText", role="assistant", content="One.").events[0]
        caller.receive(AUDIO)
        second = say(caller, "ConversationText", role="assistant", content="Two.").events[0]
        assert [(each.stream_id, each.part) for each in (first, second)] == [("reply-1", 0), ("reply-1", 1)]
        say(caller, "AgentAudioDone")
        third = say(caller, "ConversationText", role="assistant", content="Three.").events[0]
        assert (third.stream_id, third.part) == ("reply-2", 0)

    def test_a_wav_header_is_a_finding_and_is_not_played(self) -> None:
        header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + bytes(16) + b"data\xff\xff\xff\xff"
        incoming = in_call().receive(header + AUDIO)
        assert rules(incoming) == ["wav-header"]
        assert incoming.events[1].audio == AUDIO

    @pytest.mark.parametrize("kind", ["LatencyReport", "AgentStartedSpeaking"])
    def test_the_agents_own_latencies_are_in_ms(self, kind: str) -> None:
        incoming = say(
            in_call(), kind, stt_latency=0.1, tts_latency=0.25, total_latency=None, ttt_latency="x"
        )
        assert dict(incoming.events[-1].params) == {"stt": 100, "tts": 250}
        assert rules(incoming) == ["wrong-type-member"]
        assert say(in_call(), kind).events == ()


class TestTools:
    def test_the_result_of_a_call_for_the_client_has_its_name(self) -> None:
        caller = in_call()
        function = {"id": "f1", "name": "opening_hours", "arguments": '{"day":"Monday"}', "client_side": True}
        functions = [function, {**function, "id": "f2", "client_side": False}]
        (call,) = say(caller, "FunctionCallRequest", functions=functions).events
        assert (call.stream_id, call.text, call.params) == ("f1", "opening_hours", {"day": "Monday"})
        item = {"type": "function_call_output", "call_id": "f1", "output": '"9 to 6"'}
        (sent,) = bodies(caller.relay({"type": "conversation.item.create", "item": item}))
        assert sent == {
            "type": "FunctionCallResponse",
            "id": "f1",
            "name": "opening_hours",
            "content": '"9 to 6"',
        }
        assert caller.relay({"type": "response.create"}) == []

    @pytest.mark.parametrize("arguments", ["[]", "{", None])
    def test_arguments_that_are_not_an_object_are_a_finding(self, arguments: str | None) -> None:
        function = {"id": "f1", "name": "f", "arguments": arguments, "client_side": True}
        incoming = say(in_call(), "FunctionCallRequest", functions=[function])
        assert "bad-arguments" in rules(incoming) or arguments is None
        assert types(incoming) == [T.TOOL_CALL]

    def test_a_cancelled_call(self) -> None:
        incoming = say(in_call(), "FunctionCallCancelled", functions=[{"id": "f1", "name": "f"}])
        assert [(event.type, event.stream_id) for event in incoming.events] == [(T.TOOL_CALL_CANCELLED, "f1")]

    def test_the_agent_cancels_when_the_user_speaks_and_takes_a_late_result(self) -> None:
        agent = an_agent()
        assert [tool["name"] for tool in agent.tools] == ["opening_hours"]
        agent.call_tool("opening_hours", {})
        assert agent.tools == ()
        assert kinds(agent.speech_started()) == ["UserStartedSpeaking", "FunctionCallCancelled"]
        late = say(agent, "FunctionCallResponse", id="func_7", name="opening_hours", content="x")
        assert (late.events, late.findings) == ((), ())
        assert rules(say(agent, "FunctionCallResponse", id="x", name="f", content="")) == [
            "unknown-function-call"
        ]

    def test_functions_with_an_endpoint_are_the_services_own(self) -> None:
        functions = [{"name": "a", "endpoint": {"url": "https://x"}}, {"name": "b"}]
        agent = an_agent(agent={"think": [{"functions": functions}, {}]})
        assert [tool["name"] for tool in agent.tools] == ["b"]
        say(agent, "UpdateThink", think={"functions": [{"name": "c"}]})
        assert [tool["name"] for tool in agent.tools] == ["c"]


class TestTheRest:
    def test_the_agent_confirms_an_update_and_refuses_to_be_interrupted_by_an_injection(self) -> None:
        agent = DeepgramAgent(lambda: "7", lambda: "now")
        received = [agent.receive(json.dumps(message)) for message in messages_from("caller", LINES)]
        answered = [kind for incoming in received for kind in kinds(incoming)]
        assert answered == ["SettingsApplied", "PromptUpdated", "InjectionRefused"]

    def test_an_error_is_fatal_and_a_warning_is_advice(self) -> None:
        (event,) = say(in_call(), "Error", code="CLIENT_MESSAGE_TIMEOUT", description="no audio").events
        assert (event.type, event.code, event.reason, event.fatal) == (
            T.AGENT_ERROR,
            "CLIENT_MESSAGE_TIMEOUT",
            "no audio",
            True,
        )
        assert advice(say(in_call(), "Warning", code="X", description="slow")) == ["agent-warning"]

    def test_the_agent_greets_only_with_a_greeting_and_reports_what_came_too_early(self) -> None:
        assert T.CALL_STARTED in types(say(DeepgramAgent(str, str), "Settings", **SETTINGS))
        assert T.CALL_STARTED not in types(say(DeepgramAgent(str, str), "Settings", audio={}, agent={}))
        agent = DeepgramAgent(lambda: "7", lambda: "now")
        assert rules(agent.receive(AUDIO)) == ["audio-before-settings"]
        assert rules(say(agent, "InjectUserMessage", content="x")) == ["message-before-settings"]
        assert rules(say(agent, "KeepAlive")) == []

    def test_a_temporary_token_is_a_bearers(self) -> None:
        assert DEEPGRAM.headers("eyJx", "wss://agent.deepgram.com/") == {"Authorization": "Bearer eyJx"}
