from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.protocols.messages import ELEVENLABS_FROM_AGENT, ELEVENLABS_FROM_CALLER
from tests.protocols.shown import frames, rules
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Incoming, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.elevenlabs import ELEVENLABS, ElevenLabsAgent, ElevenLabsCaller

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
PCM_24K = AudioFormat(Encoding.PCM16, 24_000)
MULAW_8K = AudioFormat(Encoding.MULAW, 8_000)
AUDIO = bytes(640)


def a_caller(
    *, barge_in: bool = True, params: dict[str, str] | None = None, **options: str
) -> ElevenLabsCaller:
    wanted = CallerSettings(barge_in=barge_in, params=params or {}, options=options)
    return ElevenLabsCaller(wanted, lambda: "id", lambda: "now")


def metadata(user: str | None = "pcm_16000", agent: str | None = "pcm_16000") -> str:
    event = {"conversation_id": "conv_1", "agent_output_audio_format": agent, "user_input_audio_format": user}
    return json.dumps(
        {"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": event}
    )


def in_call(*, barge_in: bool = True, user: str = "pcm_16000", agent: str = "pcm_16000") -> ElevenLabsCaller:
    caller = a_caller(barge_in=barge_in)
    caller.opened()
    caller.receive(metadata(user, agent))
    return caller


def say(end: ElevenLabsCaller | ElevenLabsAgent, kind: str, **members: Any) -> Incoming:
    return end.receive(json.dumps({"type": kind, **members}))


def audio(caller: ElevenLabsCaller, event_id: Any = 1, samples: bytes = AUDIO) -> Incoming:
    event = {"audio_base_64": base64.b64encode(samples).decode(), "event_id": event_id}
    return say(caller, "audio", audio_event=event)


def response(caller: ElevenLabsCaller, text: str) -> Incoming:
    return say(caller, "agent_response", agent_response_event={"agent_response": text, "event_id": 1})


def interruption(caller: ElevenLabsCaller, event_id: int | None) -> Incoming:
    return say(caller, "interruption", interruption_event={"event_id": event_id})


def streams(incoming: Incoming) -> list[tuple[T, str]]:
    return [(event.type, event.stream_id) for event in incoming.events]


class TestTheHandshake:
    def test_a_plain_call_sends_no_settings(self) -> None:
        (initiation,) = a_caller().opened()
        assert initiation.frame == '{"type":"conversation_initiation_client_data"}'

    def test_options_and_parameters_go_where_they_belong(self) -> None:
        caller = a_caller(
            params={"name": "Ada"}, prompt="Be brief.", language="de", voice_id="v", first_message=""
        )
        assert json.loads(caller.opened()[0].frame) == {
            "type": "conversation_initiation_client_data",
            "conversation_config_override": {
                "agent": {"prompt": {"prompt": "Be brief."}, "language": "de", "first_message": ""},
                "tts": {"voice_id": "v"},
            },
            "dynamic_variables": {"name": "Ada"},
        }

    def test_the_agents_answer_accepts_the_call_and_names_the_formats(self) -> None:
        caller = a_caller()
        assert (caller.user_format, caller.user_stream_open, caller.user_audio(AUDIO)) == (None, False, [])
        caller.opened()
        incoming = caller.receive(metadata("ulaw_8000", "pcm_24000"))
        assert incoming.events == (
            TelephonyEvent(type=T.SESSION_ACCEPTED, format=MULAW_8K, text="ulaw_8000"),
        )
        assert incoming.summary == "accepted ulaw_8000, sends pcm_24000, conv_1"
        assert (caller.user_format, caller.user_stream_open) == (MULAW_8K, True)
        assert audio(caller).events[0].format == PCM_24K

    @pytest.mark.parametrize(
        ("user", "agent", "expected"),
        [(None, "pcm_24000", 1), (None, None, 2), ("pcm_16000", "PCM_16000", 0)],
    )
    def test_formats_may_be_missing(self, user: str | None, agent: str | None, expected: int) -> None:
        caller = a_caller()
        caller.opened()
        incoming = caller.receive(metadata(user, agent))
        assert (rules(incoming), caller.user_format) == (["missing-member"] * expected, PCM_16K)

    @pytest.mark.parametrize("formats", [("opus_48000", "pcm_16000"), ("pcm_16000", "mp3_44100_128")])
    def test_a_format_that_cannot_be_played_ends_the_call(self, formats: tuple[str, str]) -> None:
        caller = a_caller()
        caller.opened()
        (event,) = caller.receive(metadata(*formats)).events
        assert (event.type, event.code, event.fatal) == (T.SESSION_ERROR, "unknown-format", True)
        assert (caller.user_format, caller.user_stream_open) == (None, False)

    def test_accepted_again(self) -> None:
        caller = in_call()
        incoming = caller.receive(metadata("pcm_8000"))
        assert (incoming.events, rules(incoming), caller.user_format) == ((), ["repeated-metadata"], PCM_16K)


class TestMessagesFromTheCaller:
    def test_audio_has_no_type(self) -> None:
        (frame,) = in_call().user_audio(b"\0" * 8)
        assert frame.frame == '{"user_audio_chunk":"AAAAAAAAAAA="}'
        assert (frame.kind, frame.audio_ms) == ("user_audio_chunk", 0.25)

    def test_without_barge_in_it_waits_until_the_reply_was_heard(self) -> None:
        caller = in_call(barge_in=False)
        audio(caller)
        response(caller, "one")
        open_meanwhile = caller.user_stream_open
        response(caller, "two")
        audio(caller)
        caller.playback_finished("reply-1", heard_ms=1, received_ms=1)
        open_after_one_of_two = caller.user_stream_open
        caller.playback_finished("reply-2", heard_ms=1, received_ms=1)
        assert (caller.barge_in, open_meanwhile, open_after_one_of_two) == (False, False, False)
        assert caller.user_stream_open

    def test_a_typed_turn(self) -> None:
        assert frames(in_call().user_text("hi")) == ['{"type":"user_message","text":"hi"}']
        assert in_call().user_text("") == a_caller().user_text("hi") == []


class TestTheAgentsReplies:
    def test_the_first_audio_begins_one(self) -> None:
        incoming = audio(in_call(), 3)
        assert incoming.events == (
            TelephonyEvent(type=T.PLAY_STREAM_START, stream_id="reply-1", format=PCM_16K),
            TelephonyEvent(type=T.PLAY_STREAM_CHUNK, stream_id="reply-1", format=PCM_16K, audio=AUDIO),
        )
        assert (incoming.kind, incoming.summary, incoming.audio_ms) == ("audio", "agent audio 20 ms", 20)

    def test_it_ends_when_playback_has_run_dry_or_was_flushed(self) -> None:
        caller = in_call()
        audio(caller, 1)
        caller.playback_finished("reply-1", heard_ms=20, received_ms=20)
        assert streams(audio(caller, 2))[0] == (T.PLAY_STREAM_START, "reply-2")
        caller.interrupted("reply-2", heard_ms=1, received_ms=20)
        assert streams(audio(caller, 3))[0] == (T.PLAY_STREAM_START, "reply-3")

    @pytest.mark.parametrize("words_first", [True, False])
    def test_its_words_come_with_its_first_audio(self, words_first: bool) -> None:
        caller = in_call()
        said = [response(caller, "hello")] if words_first else []
        audio(caller)
        said = said or [response(caller, "hello")]
        assert said[0].events == (TelephonyEvent(type=T.AGENT_TEXT, text="hello", stream_id="reply-1"),)

    def test_the_words_of_the_next_end_it(self) -> None:
        caller = in_call()
        response(caller, "one")
        audio(caller)
        assert streams(response(caller, "two")) == [
            (T.PLAY_STREAM_STOP, "reply-1"),
            (T.AGENT_TEXT, "reply-2"),
        ]
        assert streams(audio(caller))[0] == (T.PLAY_STREAM_START, "reply-2")

    def test_words_that_are_never_spoken_are_kept_apart(self) -> None:
        caller = in_call()
        seen = [response(caller, text).events[0].stream_id for text in ("a", "b", "c")]
        assert seen == ["reply-1", "reply-2", "reply-3"]
        assert streams(audio(caller))[0] == (T.PLAY_STREAM_START, "reply-3")

    def test_an_interruption_flushes_and_late_audio_is_only_counted(self) -> None:
        caller = in_call()
        response(caller, "one")
        audio(caller, 3)
        cut_off = interruption(caller, 4)
        assert streams(cut_off) == [(T.CLEAR, "reply-1"), (T.PLAY_STREAM_STOP, "reply-1")]
        late = audio(caller, 4)
        assert late.events == (
            TelephonyEvent(type=T.PLAY_STREAM_DISCARDED, stream_id="reply-1", format=PCM_16K, audio=AUDIO),
        )
        assert (late.summary, late.audio_ms) == ("agent audio 20 ms, too late", 20)
        assert streams(audio(caller, 5))[0] == (T.PLAY_STREAM_START, "reply-2")
        assert streams(audio(caller, 2)) == [(T.PLAY_STREAM_DISCARDED, "reply-1")]

    def test_an_interruption_before_the_first_audio_of_a_reply(self) -> None:
        caller = in_call()
        response(caller, "never heard")
        interruption(caller, 7)
        audio(caller, 7)
        response(caller, "heard")
        assert streams(audio(caller, 8))[0] == (T.PLAY_STREAM_START, "reply-2")

    def test_an_older_interruption_does_not_take_back_a_newer_one(self) -> None:
        caller = in_call()
        interruption(caller, 7)
        interruption(caller, 3)
        assert streams(audio(caller, 7)) == [(T.PLAY_STREAM_DISCARDED, "")]

    def test_an_interruption_without_an_id_means_all_audio_so_far(self) -> None:
        caller = in_call()
        audio(caller, 3)
        incoming = interruption(caller, None)
        assert (rules(incoming), incoming.events[0].type) == (["missing-member"], T.CLEAR)
        assert streams(audio(caller, 3)) == [(T.PLAY_STREAM_DISCARDED, "reply-1")]

    def test_audio_whose_id_is_missing_is_played(self) -> None:
        caller = in_call()
        interruption(caller, 3)
        incoming = audio(caller, None)
        assert (rules(incoming), incoming.events[0].type) == (["missing-member"], T.PLAY_STREAM_START)
        assert rules(audio(caller, "4")) == ["wrong-type-member"]

    def test_a_correction_replaces_the_text(self) -> None:
        caller = in_call()
        response(caller, "one two three")
        audio(caller)
        interruption(caller, 1)
        event = {"original_agent_response": "one two three", "corrected_agent_response": "one", "event_id": 1}
        incoming = say(caller, "agent_response_correction", agent_response_correction_event=event)
        assert incoming.events == (TelephonyEvent(type=T.AGENT_TEXT, text="one", stream_id="reply-1"),)

    def test_audio_before_the_metadata_is_played(self) -> None:
        caller = a_caller()
        caller.opened()
        incoming = audio(caller)
        assert (rules(incoming), incoming.events[0].format) == (["audio-before-metadata"], PCM_16K)

    def test_audio_without_samples_means_nothing(self) -> None:
        caller = in_call()
        assert audio(caller, 1, b"").events == ()
        interruption(caller, 2)
        assert audio(caller, 1, b"").events == ()
        assert rules(say(caller, "audio")) == ["missing-member", "missing-member"]


class TestTheOtherMessages:
    def test_a_ping_is_answered(self) -> None:
        incoming = say(in_call(), "ping", ping_event={"event_id": 4, "ping_ms": 38})
        assert frames(incoming.replies) == ['{"type":"pong","event_id":4}']

    def test_a_ping_that_cannot_be_answered(self) -> None:
        incoming = say(in_call(), "ping", ping_event={"event_id": True})
        assert (incoming.replies, rules(incoming)) == ((), ["wrong-type-member"])

    @pytest.mark.parametrize(
        ("members", "answered"),
        [({}, True), ({"expects_response": True}, True), ({"expects_response": False}, False)],
    )
    def test_a_tool_call_names_the_call_only_where_a_result_is_expected(
        self, members: dict[str, Any], answered: bool
    ) -> None:
        call = {"tool_name": "time", "tool_call_id": "t1", "parameters": {"city": "Ulm"}, **members}
        (event,) = say(in_call(), "client_tool_call", client_tool_call=call).events
        assert event == TelephonyEvent(
            type=T.TOOL_CALL, stream_id="t1" if answered else "", text="time", params={"city": "Ulm"}
        )

    @pytest.mark.parametrize(
        ("output", "is_error"),
        [('{"found":1}', False), ('"7"', False), ('{"error":"no"}', True), ('{"error":"no","x":1}', False)],
    )
    def test_a_tools_output_becomes_its_result(self, output: str, is_error: bool) -> None:
        item = {"type": "function_call_output", "call_id": "t1", "output": output}
        (sent,) = in_call().relay({"type": "conversation.item.create", "item": item})
        assert json.loads(sent.frame) == {
            "type": "client_tool_result",
            "tool_call_id": "t1",
            "result": output,
            "is_error": is_error,
        }
        assert in_call().relay({"type": "response.create"}) == []

    def test_the_summary_of_a_tool_call(self) -> None:
        call = {"tool_name": "time", "tool_call_id": "t1", "parameters": {"city": "Ulm"}, "event_id": 5}
        incoming = say(in_call(), "client_tool_call", client_tool_call=call)
        assert (incoming.summary, incoming.findings) == ('tool call: time {"city":"Ulm"}', ())
        assert incoming.body["client_tool_call"] == call

    @pytest.mark.parametrize(
        ("members", "reason", "code"),
        [
            ({"code": 1008, "message": "no such agent"}, "no such agent", "1008"),
            ({"code": "x", "reason": "quota", "message": None}, "quota", "x"),
            ({"code": {}}, "The agent reported an error without details.", ""),
        ],
    )
    def test_an_error_is_fatal(self, members: dict[str, Any], reason: str, code: str) -> None:
        (event,) = say(in_call(), "error", error_event=members).events
        assert event == TelephonyEvent(type=T.AGENT_ERROR, reason=reason, code=code, fatal=True)

    @pytest.mark.parametrize(
        ("kind", "members", "summary"),
        [
            ("vad_score", {"vad_score_event": {"vad_score": 0.9}}, 'vad_score: {"vad_score":0.9}'),
            ("agent_typing", {}, "agent_typing"),
            ("mcp_tool_call", {"mcp_tool_call": {"state": "success"}}, 'mcp_tool_call: {"state":"success"}'),
        ],
    )
    def test_informational_messages_are_known_and_have_no_effect(
        self, kind: str, members: dict[str, Any], summary: str
    ) -> None:
        incoming = say(in_call(), kind, **members)
        assert (incoming.known, incoming.events, incoming.findings) == (True, (), ())
        assert incoming.summary == summary


class TestTheAgent:
    def an_agent(self) -> ElevenLabsAgent:
        agent = ElevenLabsAgent(lambda: "7", lambda: "now")
        say(agent, "conversation_initiation_client_data")
        return agent

    def test_it_accepts_names_the_formats_and_pings(self) -> None:
        agent = ElevenLabsAgent(lambda: "7", lambda: "now", media="ulaw_8000")
        assert (agent.user_format, agent.opened(), agent.say_start("a", "x"), agent.say_audio("a", AUDIO)) == (
            None, [], [], [],
        )  # fmt: skip
        incoming = say(agent, "conversation_initiation_client_data", dynamic_variables={"name": "Ada"})
        assert [event.type for event in incoming.events] == [T.SESSION_INITIATE, T.CALL_STARTED]
        assert incoming.events[1].params == {"name": "Ada"}
        assert frames(incoming.replies) == [
            (
                '{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":{'
                '"conversation_id":"conv_7","agent_output_audio_format":"ulaw_8000",'
                '"user_input_audio_format":"ulaw_8000"}}'
            ),
            '{"type":"ping","ping_event":{"ping_ms":null,"event_id":1}}',
        ]
        assert agent.user_format == agent.play_format == MULAW_8K

    def test_a_second_initiation_is_reported(self) -> None:
        incoming = say(self.an_agent(), "conversation_initiation_client_data")
        assert (incoming.events, incoming.replies, rules(incoming)) == ((), (), ["repeated-initiation"])

    def test_a_reply_and_its_interruption(self) -> None:
        agent = self.an_agent()
        said = [
            *agent.say_start("a", "hello"),
            *agent.say_audio("a", bytes(8)),
            *agent.say_audio("b", bytes(8)),
            *agent.say_stop("a"),
            *agent.say_audio("a", bytes(8)),
            *agent.say_stop("a", interrupted=True),
            *agent.say_stop("a", interrupted=True),
        ]
        assert frames(said) == [
            '{"type":"agent_response","agent_response_event":{"agent_response":"hello","event_id":2}}',
            '{"type":"audio","audio_event":{"audio_base_64":"AAAAAAAAAAA=","event_id":3}}',
            '{"type":"interruption","interruption_event":{"event_id":3}}',
        ]

    def test_the_users_words(self) -> None:
        agent = self.an_agent()
        assert frames(agent.hypothesis("he") + agent.recognition("hello", 0.9)) == [
            '{"type":"tentative_user_transcript","tentative_user_transcription_event":{"user_transcript":"he","event_id":2}}',
            '{"type":"user_transcript","user_transcription_event":{"user_transcript":"hello","event_id":3}}',
        ]
        assert agent.speech_started() == agent.speech_stopped() == agent.hang_up("x") == agent.end() == []

    def test_what_the_caller_says(self) -> None:
        agent = self.an_agent()
        call_id = json.loads(agent.call_tool("hours", {})[0].frame)["client_tool_call"]["tool_call_id"]
        heard = [
            agent.receive('{"user_audio_chunk":"AAAAAAAAAAA="}'),
            say(agent, "user_message", text="hi"),
            say(agent, "client_tool_result", tool_call_id=call_id, result="7", is_error=False),
            say(agent, "pong", event_id=1),
            say(agent, "user_activity"),
            say(agent, "contextual_update", text="the user looks at page 7"),
            say(agent, "multimodal_message", text={"type": "user_message", "text": "x"}),
        ]
        assert [event for incoming in heard for event in incoming.events] == [
            TelephonyEvent(type=T.USER_STREAM_CHUNK, format=PCM_16K, audio=bytes(8)),
            TelephonyEvent(type=T.USER_TEXT, text="hi"),
            TelephonyEvent(type=T.TOOL_OUTPUT, stream_id=call_id, text="7"),
        ]
        assert [rules(incoming) for incoming in heard] == [[]] * len(heard)
        assert heard[5].summary == "contextual_update: the user looks at page 7"

    def test_a_tool_call_and_a_result_that_nobody_asked_for(self) -> None:
        agent = self.an_agent()
        (call,) = agent.call_tool("hours", {"day": "today"})
        assert json.loads(call.frame) == {
            "type": "client_tool_call",
            "client_tool_call": {
                "tool_name": "hours",
                "tool_call_id": "call_2",
                "parameters": {"day": "today"},
                "event_id": 2,
            },
        }
        stray = say(agent, "client_tool_result", tool_call_id="x", result="7", is_error=False)
        assert (stray.events, rules(stray)) == ((), ["unknown-tool-call"])

    def initiated(self, **override: Any) -> tuple[ElevenLabsAgent, Incoming]:
        agent = ElevenLabsAgent(lambda: "7", lambda: "now")
        kind = "conversation_initiation_client_data"
        return agent, say(agent, kind, conversation_config_override=override)

    def test_a_conversation_of_text_has_no_audio(self) -> None:
        agent, _ = self.initiated(conversation={"text_only": True})
        assert agent.play_format is None
        incoming = agent.receive('{"user_audio_chunk":"AAAAAAAAAAA="}')
        assert (incoming.events, rules(incoming)) == ((), ["audio-in-text"])
        spoken, _ = self.initiated(conversation={"text_only": False})
        assert spoken.play_format == PCM_16K

    @pytest.mark.parametrize(("words", "greetings"), [("Hi.", ["Hi."]), ("", []), (None, [""])])
    def test_the_first_message_is_the_callers(self, words: str | None, greetings: list[str]) -> None:
        _, incoming = self.initiated(agent={"first_message": words})
        assert [event.text for event in incoming.events if event.type is T.CALL_STARTED] == greetings

    def test_only_the_events_are_sent_that_the_caller_wants(self) -> None:
        wanted = ["agent_response", "interruption"]
        agent, incoming = self.initiated(
            conversation={"client_events": wanted}, agent={"prompt": {"tool_ids": ["hours"]}}
        )
        assert [frame.kind for frame in incoming.replies] == ["conversation_initiation_metadata"]
        said = [
            *agent.say_start("a", "hello"),
            *agent.say_audio("a", bytes(8)),
            *agent.hypothesis("he"),
            *agent.recognition("hello", 0.9),
            *agent.say_stop("a", interrupted=True),
        ]
        assert [frame.kind for frame in said] == wanted
        assert agent.tools == ()

    def test_tools_are_those_the_caller_allows(self) -> None:
        assert self.an_agent().tools == []
        agent, _ = self.initiated(agent={"prompt": {"tool_ids": ["hours"]}})
        assert agent.tools == [{"name": "hours"}]
        assert not agent.must_call_tool

    def test_messages_before_the_initiation_are_reported(self) -> None:
        agent = ElevenLabsAgent(lambda: "7", lambda: "now")
        incoming = agent.receive('{"user_audio_chunk":"AAAA"}')
        assert (incoming.events, rules(incoming)) == ((), ["message-before-initiation"])
        assert say(agent, "x").known is False


def test_every_message_of_the_schema_is_understood() -> None:
    caller, agent = a_caller(), ElevenLabsAgent(lambda: "id", lambda: "now")
    caller.opened()
    agent._open_calls.add("t")
    for end, messages in ((caller, ELEVENLABS_FROM_AGENT), (agent, ELEVENLABS_FROM_CALLER)):
        for message in messages:
            incoming = end.receive(json.dumps(message))
            assert (incoming.known, incoming.findings) == (True, ())


def test_memory_is_freed_after_many_replies_and_interruptions() -> None:
    caller = a_caller()
    caller.opened()
    for number in range(1_000):
        audio(caller, 2 * number)
        interruption(caller, 2 * number)
    assert not caller._unheard


def test_the_protocol_value() -> None:
    assert (ELEVENLABS.caller, ELEVENLABS.agent) == (ElevenLabsCaller, ElevenLabsAgent)
    assert "?agent_id=ID" in ELEVENLABS.url_notice("wss://api.elevenlabs.io/v1/convai/conversation")
    assert ELEVENLABS.url_notice("wss://api.elevenlabs.io/v1/convai/conversation?agent_id=x") == ""
    assert ELEVENLABS.url_notice("ws://127.0.0.1:4000/v1/convai/conversation") == ""
