from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.protocols.both_ends import example
from tests.protocols.shown import bodies, kinds, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Incoming, ProtocolError
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.gemini_live import GEMINI_LIVE, GeminiAgent, GeminiCaller

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
LINES = example("gemini")
TOOLS = '[{"type":"function","name":"opening_hours","parameters":{"type":"object","properties":{}}}]'
SETUP = {"setup": {"model": "models/m"}}


def a_caller(*, barge_in: bool = True, **options: str) -> GeminiCaller:
    return GeminiCaller(CallerSettings(barge_in=barge_in, options=options), lambda: "id", lambda: "now")


def in_call(*, barge_in: bool = True, **options: str) -> GeminiCaller:
    caller = a_caller(barge_in=barge_in, **options)
    caller.opened()
    say(caller, {"setupComplete": {}})
    return caller


def an_agent(**setup: Any) -> GeminiAgent:
    agent = GeminiAgent(lambda: "7", lambda: "now")
    say(agent, {"setup": {"model": "models/m", **setup}})
    return agent


def say(end: GeminiCaller | GeminiAgent, message: dict[str, Any]) -> Incoming:
    return end.receive(json.dumps(message))


def content(caller: GeminiCaller, **members: Any) -> Incoming:
    return say(caller, {"serverContent": members})


def audio(caller: GeminiCaller, mime_type: str | None = "audio/pcm;rate=24000") -> Incoming:
    blob = {"data": base64.b64encode(bytes(480)).decode(), "mimeType": mime_type}
    return content(caller, modelTurn={"parts": [{"inlineData": blob}]})


def words(incoming: Incoming) -> list[tuple[T, str, str, bool]]:
    return [(event.type, event.stream_id, event.text, event.final) for event in incoming.events if event.text]


def setup_of(caller: GeminiCaller) -> dict[str, Any]:
    (setup,) = bodies(caller.opened())
    return dict(setup["setup"])


class TestTheSetup:
    def test_the_caller_sends_the_setup_of_the_example(self) -> None:
        (tool,) = json.loads(TOOLS)
        tools = json.dumps([{**tool, "description": "When we are open"}])
        caller = a_caller(voice="Kore", instructions="Be brief.", tools=tools)
        assert bodies(caller.opened()) == [LINES[0]["message"]]

    def test_switches_and_choices_go_where_they_belong(self) -> None:
        setup = setup_of(
            a_caller(
                model="projects/p/models/m",
                activity="off",
                transcription="off",
                resumption="off",
                language="de-DE",
                tools=TOOLS,
                tool_behavior="non_blocking",
                barge_in=False,
            )
        )
        assert setup["model"] == "projects/p/models/m"
        assert setup["realtimeInputConfig"] == {
            "automaticActivityDetection": {"disabled": True},
            "activityHandling": "NO_INTERRUPTION",
        }
        assert setup["generationConfig"]["speechConfig"] == {"languageCode": "de-DE"}
        assert setup["tools"][0]["functionDeclarations"][0]["behavior"] == "NON_BLOCKING"
        assert not {"inputAudioTranscription", "outputAudioTranscription", "sessionResumption"} & setup.keys()

    def test_members_of_the_users_own_replace_others(self) -> None:
        setup = setup_of(a_caller(setup='{"explicitVadSignal":true,"generationConfig":{"temperature":0}}'))
        assert (setup["explicitVadSignal"], setup["generationConfig"]) == (True, {"temperature": 0})

    def test_nothing_is_sent_before_it_is_complete(self) -> None:
        caller = a_caller()
        caller.opened()
        assert (caller.user_format, caller.user_audio(bytes(640)), caller.user_text("x")) == (None, [], [])
        accepted = say(caller, {"setupComplete": {}})
        assert types(accepted) == [T.SESSION_ACCEPTED]
        assert caller.user_format == PCM_16K
        assert rules(say(caller, {"setupComplete": {}})) == ["repeated-setup-complete"]

    def test_a_message_before_it_is_a_finding_and_is_played(self) -> None:
        caller = a_caller()
        caller.opened()
        early = audio(caller)
        assert rules(early) == ["before-setup-complete"]
        assert types(early) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]

    def test_greet_asks_the_agent_to_begin(self) -> None:
        caller = a_caller(greet="on")
        caller.opened()
        assert bodies(say(caller, {"setupComplete": {}}).replies) == [
            {"clientContent": {"turnComplete": True}}
        ]


class TestBinaryFramesAndSpelling:
    def test_the_service_sends_json_in_binary_frames(self) -> None:
        caller = a_caller()
        assert types(caller.receive(b'{"setupComplete":{}}')) == [T.SESSION_ACCEPTED]
        with pytest.raises(ProtocolError, match="does not contain UTF-8 JSON"):
            caller.receive(b'{"\xff')
        with pytest.raises(ProtocolError, match="binary frame"):
            caller.receive(b"\1\2")

    def test_sdks_mix_spellings_and_send_url_safe_base64(self) -> None:
        agent = an_agent()
        frame = {"realtime_input": {"audio": {"data": "AAA_-w==", "mime_type": "audio/pcm;rate=16000"}}}
        incoming = say(agent, frame)
        assert (incoming.kind, rules(incoming)) == ("realtimeInput.audio", [])
        assert incoming.events[0].audio == b"\x00\x00\x3f\xfb"

    def test_members_of_the_users_tools_keep_their_spelling(self) -> None:
        caller = in_call()
        call = {"id": "1", "name": "f", "args": {"street_name": {"house_no": 1}}}
        incoming = say(caller, {"tool_call": {"function_calls": [call]}})
        assert incoming.events[0].params == {"street_name": {"house_no": 1}}

    def test_an_object_without_a_member_is_unreadable_and_an_unknown_one_is_a_finding(self) -> None:
        caller = in_call()
        with pytest.raises(ProtocolError, match="empty object"):
            caller.receive("{}")
        incoming = say(caller, {"weather": {}})
        assert (incoming.known, rules(incoming)) == (False, ["unknown-type"])


class TestReplies:
    def test_a_reply_starts_with_its_audio_and_ends_once(self) -> None:
        caller = in_call()
        assert types(audio(caller)) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert types(audio(caller)) == [T.PLAY_STREAM_CHUNK]
        assert types(content(caller, generationComplete=True)) == [T.PLAY_STREAM_STOP]
        assert types(content(caller, turnComplete=True)) == []
        assert audio(caller).events[0].stream_id == "reply-2"

    @pytest.mark.parametrize(
        ("mime_type", "rate", "expected"),
        [
            ("audio/pcm;rate=16000", 16_000, []),
            ("audio/pcm", 24_000, []),
            ("audio/pcm; rate=1000000", 24_000, []),
            ("audio/pcm;rate=999999", 24_000, ["strange-rate"]),
            (None, 24_000, ["other-mime-type"]),
        ],
    )
    def test_the_mime_type_names_the_rate(
        self, mime_type: str | None, rate: int, expected: list[str]
    ) -> None:
        incoming = audio(in_call(), mime_type)
        assert incoming.events[0].format == AudioFormat(Encoding.PCM16, rate)
        assert rules(incoming) == expected

    def test_other_media_is_not_played(self) -> None:
        incoming = audio(in_call(), "audio/mp3")
        assert (incoming.events, rules(incoming)) == ((), ["other-mime-type"])

    def test_words_before_their_audio_belong_to_the_same_reply(self) -> None:
        caller = in_call()
        assert words(content(caller, outputTranscription={"text": "Good"})) == [
            (T.AGENT_TEXT, "reply-1", "Good", False)
        ]
        audio(caller)
        assert words(content(caller, outputTranscription={"text": " morning."})) == [
            (T.AGENT_TEXT, "reply-1", "Good morning.", False)
        ]
        assert words(content(caller, turnComplete=True)) == [(T.AGENT_TEXT, "reply-1", "Good morning.", True)]
        assert words(content(caller, outputTranscription={"text": "Next"}))[0][1] == "reply-2"

    def test_a_turn_of_text_is_written_and_has_a_number_of_its_own(self) -> None:
        caller = in_call()
        (event,) = content(caller, modelTurn={"parts": [{"text": "Nine."}]}).events
        assert (event.stream_id, event.text, event.written) == ("reply-1", "Nine.", True)
        content(caller, turnComplete=True)
        assert audio(caller).events[0].stream_id == "reply-2"

    def test_thoughts_are_not_words_of_the_agent(self) -> None:
        assert content(in_call(), modelTurn={"parts": [{"text": "hm", "thought": True}]}).events == ()

    def test_interrupted_is_a_flush_even_once_everything_was_sent(self) -> None:
        caller = in_call()
        audio(caller)
        assert types(content(caller, interrupted=True)) == [T.CLEAR, T.PLAY_STREAM_STOP]
        audio(caller)
        content(caller, generationComplete=True, turnComplete=True)
        assert types(content(caller, interrupted=True)) == [T.CLEAR]

    def test_a_turn_that_failed_is_an_error_of_the_answer(self) -> None:
        (event,) = content(in_call(), turnComplete=True, turnCompleteReason="RESPONSE_REJECTED").events
        assert (event.type, event.code, event.answer_failed) == (T.AGENT_ERROR, "RESPONSE_REJECTED", True)
        assert content(in_call(), turnComplete=True, turnCompleteReason="NEED_MORE_INPUT").events == ()


class TestTheUser:
    def test_words_grow_and_are_final_when_the_agent_answers(self) -> None:
        caller = in_call()
        content(caller, inputTranscription={"text": " what"})
        assert words(content(caller, interimInputTranscription={"text": " ti"})) == [
            (T.SPEECH_HYPOTHESIS, "", "what ti", True)
        ]
        content(caller, inputTranscription={"text": " time"})
        assert words(audio(caller)) == [(T.SPEECH_RECOGNITION, "", "what time", True)]

    def test_edges_of_speech_in_either_form(self) -> None:
        caller = in_call()
        assert types(say(caller, {"voiceActivity": {"type": "ACTIVITY_START"}})) == [T.SPEECH_STARTED]
        assert types(say(caller, {"voiceActivity": {"type": "ACTIVITY_END"}})) == [T.SPEECH_STOPPED]
        signal = {"voiceActivityDetectionSignal": {"vadSignalType": "VAD_SIGNAL_TYPE_EOS"}}
        assert types(say(caller, signal)) == [T.SPEECH_STOPPED]
        other = say(caller, {"voiceActivity": {"voiceActivityType": "ACTIVITY_START"}})
        assert (types(other), rules(other)) == ([T.SPEECH_STARTED], ["missing-member"])

    def test_silence_flows_until_the_stream_is_closed(self) -> None:
        caller = in_call()
        assert kinds(caller.user_audio(bytes(640))) == ["realtimeInput.audio"]
        assert kinds(caller.stop_user_stream()) == ["realtimeInput.audioStreamEnd"]
        assert caller.user_audio(bytes(640)) == []
        assert caller.start_user_stream() == []
        assert kinds(caller.user_audio(bytes(640))) == ["realtimeInput.audio"]

    def test_with_activity_off_its_turns_are_announced(self) -> None:
        caller = in_call(activity="off")
        assert (caller.agent_detects_turns, caller.user_audio(bytes(640))) == (False, [])
        assert kinds(caller.start_user_stream()) == ["realtimeInput.activityStart"]
        assert kinds(caller.user_audio(bytes(640))) == ["realtimeInput.audio"]
        assert kinds(caller.stop_user_stream()) == ["realtimeInput.activityEnd"]
        assert caller.stop_user_stream() == []

    def test_a_typed_turn_either_way(self) -> None:
        turns = [{"role": "user", "parts": [{"text": "hi"}]}]
        assert bodies(in_call().user_text("hi")) == [
            {"clientContent": {"turns": turns, "turnComplete": True}}
        ]
        assert bodies(in_call(typed="realtime").user_text("hi")) == [{"realtimeInput": {"text": "hi"}}]


class TestTools:
    def test_a_call_and_its_result(self) -> None:
        caller = in_call(tool_scheduling="when_idle")
        call = {"id": "fc1", "name": "opening_hours", "args": {"day": "Monday"}}
        (event,) = say(caller, {"toolCall": {"functionCalls": [call]}}).events
        assert (event.type, event.stream_id, event.text) == (T.TOOL_CALL, "fc1", "opening_hours")
        item = {"type": "function_call_output", "call_id": "fc1", "output": '"9 to 6"'}
        (sent,) = bodies(caller.relay({"type": "conversation.item.create", "item": item}))
        response = {"id": "fc1", "name": "opening_hours", "response": {"output": "9 to 6"}}
        assert sent == {"toolResponse": {"functionResponses": [{**response, "scheduling": "WHEN_IDLE"}]}}
        assert caller.relay({"type": "response.create"}) == []

    @pytest.mark.parametrize(
        ("behavior", "said"),
        [("", ["One moment.", "At nine."]), ("non_blocking", ["One moment. At nine."])],
    )
    def test_what_follows_a_tool_that_the_agent_waits_for_is_another_reply(
        self, behavior: str, said: list[str]
    ) -> None:
        caller = in_call(tool_behavior=behavior)
        incoming = [
            content(caller, outputTranscription={"text": "One moment."}),
            audio(caller),
            say(caller, {"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {}}]}}),
            content(caller, outputTranscription={"text": " At nine."}),
            audio(caller),
            content(caller, turnComplete=True),
        ]
        events = [event for each in incoming for event in each.events]
        replies = [f"reply-{number + 1}" for number in range(len(said))]
        assert [event.stream_id for event in events if event.type is T.PLAY_STREAM_START] == replies
        assert [event.stream_id for event in events if event.type is T.PLAY_STREAM_STOP] == replies
        final = [event for event in events if event.type is T.AGENT_TEXT and event.final]
        assert [(event.stream_id, event.text) for event in final] == list(zip(replies, said, strict=True))

    @pytest.mark.parametrize(("scheduling", "answered"), [("", True), ("silent", False), ("when_idle", True)])
    def test_a_silent_result_is_owed_no_answer(self, scheduling: str, answered: bool) -> None:
        assert in_call(tool_scheduling=scheduling).results_are_answered is answered

    def test_a_cancelled_call(self) -> None:
        incoming = say(in_call(), {"toolCallCancellation": {"ids": ["fc1", "fc2"]}})
        assert [(event.type, event.stream_id) for event in incoming.events] == [
            (T.TOOL_CALL_CANCELLED, "fc1"),
            (T.TOOL_CALL_CANCELLED, "fc2"),
        ]

    def test_the_agent_cancels_its_calls_when_the_user_speaks_and_takes_a_late_result(self) -> None:
        agent = an_agent(tools=[{"functionDeclarations": [{"name": "f"}]}])
        agent.call_tool("f", {})
        assert agent.tools == ()
        assert bodies(agent.speech_started()) == [{"toolCallCancellation": {"ids": ["function-call-7"]}}]
        result: dict[str, Any] = {"id": "function-call-7", "name": "f", "response": {}}
        late = say(agent, {"toolResponse": {"functionResponses": [result]}})
        assert (late.events, late.findings) == ((), ())
        unknown = say(agent, {"toolResponse": {"functionResponses": [{**result, "id": "x"}]}})
        assert rules(unknown) == ["unknown-tool-call"]

    @pytest.mark.parametrize(
        ("scheduling", "answered"), [("SILENT", False), ("INTERRUPT", True), (None, True)]
    )
    def test_a_silent_result_is_not_answered(self, scheduling: str | None, answered: bool) -> None:
        agent = an_agent(tools=[{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}])
        assert dict(agent.tools[0])["parameters"] == {"type": "object"}
        agent.call_tool("f", {})
        result: dict[str, Any] = {
            "id": "function-call-7",
            "name": "f",
            "response": {},
            "scheduling": scheduling,
        }
        incoming = say(agent, {"toolResponse": {"functionResponses": [result]}})
        assert types(incoming) == [T.TOOL_OUTPUT, *[T.RESPONSE_WANTED] * answered]


class TestTheEnd:
    def test_without_a_handle_a_session_cannot_be_resumed(self) -> None:
        caller = in_call()
        say(caller, {"sessionResumptionUpdate": {"resumable": False, "newHandle": "h"}})
        assert caller.resumed() is None

    def test_a_session_is_resumed_with_its_newest_handle_and_not_greeted_again(self) -> None:
        caller = in_call(greet="on")
        say(caller, {"sessionResumptionUpdate": {"resumable": True, "newHandle": "h1"}})
        say(caller, {"sessionResumptionUpdate": {"resumable": True, "newHandle": "h2"}})
        leaving = say(caller, {"goAway": {"timeLeft": "50s"}})
        assert leaving.findings[0].text == (
            "The agent will close this connection in 50s; the session will be resumed."
        )
        (setup,) = bodies(caller.resumed() or [])
        assert setup["setup"]["sessionResumption"] == {"handle": "h2"}
        assert caller.user_format is None
        accepted = say(caller, {"setupComplete": {}})
        assert (types(accepted), accepted.replies) == ([T.SESSION_ACCEPTED], ())
        agent = GeminiAgent(lambda: "7", lambda: "now")
        assert T.SESSION_RESUME in types(say(agent, setup))

    def test_an_error_and_usage(self) -> None:
        (event,) = say(
            in_call(), {"error": {"code": 8, "status": "RESOURCE_EXHAUSTED", "message": "quota"}}
        ).events
        assert (event.type, event.reason, event.code) == (T.AGENT_ERROR, "quota", "RESOURCE_EXHAUSTED")
        (usage,) = say(in_call(), {"usageMetadata": {"totalTokenCount": 23}}).events
        assert (usage.type, usage.params) == (T.USAGE, {"totalTokenCount": 23})


class TestFindingsAboutTheCaller:
    def test_rules_of_the_setup(self) -> None:
        agent = GeminiAgent(lambda: "7", lambda: "now")
        assert rules(say(agent, {"realtimeInput": {"text": "x"}})) == ["message-before-setup"]
        assert rules(say(agent, {"setup": {}})) == ["missing-member"]
        assert rules(say(agent, SETUP)) == ["repeated-setup"]
        two: dict[str, Any] = {"clientContent": {}, "toolResponse": {"functionResponses": []}}
        assert rules(say(agent, two)) == ["more-than-one-member"]

    def test_announced_turns_need_detection_off_and_an_end_of_stream_needs_it_on(self) -> None:
        off = {"automaticActivityDetection": {"disabled": True}}
        start: dict[str, Any] = {"realtimeInput": {"activityStart": {}}}
        end: dict[str, Any] = {"realtimeInput": {"audioStreamEnd": True}}
        assert rules(say(an_agent(), start)) == ["unexpected-activity"]
        assert rules(say(an_agent(realtimeInputConfig=off), start)) == []
        assert rules(say(an_agent(realtimeInputConfig=off), end)) == ["unexpected-stream-end"]
        assert rules(say(an_agent(), end)) == []


@pytest.mark.parametrize(
    ("token", "url", "headers"),
    [
        ("key", "wss://generativelanguage.googleapis.com/ws", {"x-goog-api-key": "key"}),
        ("auth_tokens/a", "wss://generativelanguage.googleapis.com/ws", {"Authorization": "Token auth_tokens/a"}),
        ("ya29", "wss://europe-west1-aiplatform.googleapis.com/ws", {"Authorization": "Bearer ya29"}),
    ],
)  # fmt: skip
def test_each_kind_of_token_has_a_header(token: str, url: str, headers: dict[str, str]) -> None:
    assert GEMINI_LIVE.headers(token, url) == headers
