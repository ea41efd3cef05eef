from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from tests.protocols.openai_types import assert_client_event
from tests.protocols.shown import body, kinds, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import wav_header
from tui.protocols.base import (
    CallerSettings,
    HasInstructions,
    Incoming,
    Outgoing,
    TelephonyEventType,
    agent_detects_turns,
)
from tui.protocols.openai_realtime import FORMATS, OpenAICaller

T = TelephonyEventType
PCM_24 = FORMATS["audio/pcm"]
AUDIO_20_MS = bytes(range(256)) * 3 + bytes(192)
AUDIO_BASE64 = base64.b64encode(AUDIO_20_MS).decode()
VAD = {"type": "server_vad", "create_response": True, "interrupt_response": True}
GA_PCM = {"type": "audio/pcm", "rate": 24000}


def a_caller(*, barge_in: bool = True, formats: tuple[str, ...] = (), **options: str) -> OpenAICaller:
    ids = (f"id-{number}" for number in itertools.count(1))
    settings = CallerSettings(barge_in=barge_in, formats=formats, options=options)
    return OpenAICaller(settings, lambda: next(ids), lambda: "2026-01-15T09:00:00.120Z")


def ga_session(turn_detection: Any = VAD, media: Any = GA_PCM, **members: Any) -> dict[str, Any]:
    audio_input = {"format": media, "turn_detection": turn_detection}
    return {"type": "realtime", **members, "audio": {"input": audio_input, "output": {"format": media}}}


def in_session(caller: OpenAICaller | None = None, **session: Any) -> OpenAICaller:
    caller = caller or a_caller()
    assert caller.opened() == []
    say(caller, "session.created", session=ga_session())
    say(caller, "session.updated", session=ga_session(**session))
    return caller


def in_response(caller: OpenAICaller | None = None) -> OpenAICaller:
    caller = caller or in_session()
    begin(caller)
    return caller


def playing(caller: OpenAICaller | None = None) -> OpenAICaller:
    caller = in_response(caller)
    delta(caller)
    return caller


def say(caller: OpenAICaller, kind: str, **members: Any) -> Incoming:
    return caller.receive(json.dumps({"type": kind, "event_id": "e", **members}))


def begin(caller: OpenAICaller, response_id: str = "resp-1", **members: Any) -> Incoming:
    response = {"id": response_id, "conversation_id": "conv", "status": "in_progress", **members}
    return say(caller, "response.created", response=response)


def delta(
    caller: OpenAICaller, item_id: str = "item-1", response_id: str = "resp-1", **members: Any
) -> Incoming:
    place = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    return say(caller, "response.output_audio.delta", **{**place, "delta": AUDIO_BASE64, **members})


def words(caller: OpenAICaller, text: str, *, item_id: str = "item-1") -> Incoming:
    place = {"response_id": "resp-1", "item_id": item_id, "content_index": 0}
    return say(caller, "response.output_audio_transcript.delta", **place, delta=text)


def audio_done(caller: OpenAICaller, item_id: str = "item-1") -> Incoming:
    return say(caller, "response.output_audio.done", response_id="resp-1", item_id=item_id, content_index=0)


def done(
    caller: OpenAICaller, response_id: str = "resp-1", status: str = "completed", **members: Any
) -> Incoming:
    return say(caller, "response.done", response={"id": response_id, "status": status, **members})


def speech(caller: OpenAICaller) -> Incoming:
    return say(caller, "input_audio_buffer.speech_started", audio_start_ms=320, item_id="item-u")


def error(caller: OpenAICaller, code: str, event_id: str | None = None) -> Incoming:
    body = {"type": "invalid_request_error", "code": code, "message": "No.", "event_id": event_id}
    return say(caller, "error", error=body)


class TestTheBeginning:
    def test_a_session_without_a_type_is_of_the_beta(self) -> None:
        caller = a_caller(instructions="Be brief.", voice="alloy", turn_detection="off", format="g711_ulaw")
        incoming = say(caller, "session.created", session={"model": "gpt-4o-realtime-preview"})
        assert incoming.summary == "session created gpt-4o-realtime-preview (beta)"
        assert body(incoming.replies[0])["session"] == {
            "modalities": ["text", "audio"],
            "instructions": "Be brief.",
            "voice": "alloy",
            "input_audio_format": "g711_ulaw",
            "output_audio_format": "g711_ulaw",
            "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": None,
        }

    @pytest.mark.parametrize(("dialect", "session"), [("ga", {}), ("beta", {"type": "realtime"})])
    def test_the_dialect_can_be_fixed(self, dialect: str, session: dict[str, Any]) -> None:
        (update,) = say(a_caller(dialect=dialect), "session.created", session=session).replies
        assert ("type" in body(update)["session"]) == (dialect == "ga")

    def test_the_turn_detection_of_the_agent_is_left_alone(self) -> None:
        (update,) = say(a_caller(), "session.created", session=ga_session()).replies
        assert "turn_detection" not in body(update)["session"]["audio"]["input"]

    def test_without_barge_in_the_agent_is_not_to_be_interrupted(self) -> None:
        turn = {"type": "semantic_vad", "eagerness": "low"}
        (update,) = say(a_caller(barge_in=False), "session.created", session=ga_session(turn)).replies
        wanted = body(update)["session"]["audio"]["input"]["turn_detection"]
        assert wanted == {**turn, "interrupt_response": False}

    @pytest.mark.parametrize("event_id", ["id-1", None])
    def test_an_error_that_answers_the_update_is_an_acceptance_too(self, event_id: str | None) -> None:
        caller = a_caller(format="audio/pcmu")
        say(caller, "session.created", session=ga_session())
        incoming = error(caller, "invalid_value", event_id)
        assert types(incoming) == [T.SESSION_ACCEPTED, T.AGENT_ERROR]
        assert not incoming.events[1].fatal
        assert caller.user_format == PCM_24

    def test_an_error_that_answers_another_message_is_not_an_acceptance(self) -> None:
        caller = a_caller()
        say(caller, "session.created", session=ga_session())
        assert types(error(caller, "invalid_value", "id-9")) == [T.AGENT_ERROR]

    def test_an_agent_that_continues_without_an_answer_has_accepted(self) -> None:
        caller = a_caller()
        say(caller, "session.created", session=ga_session())
        incoming = begin(caller)
        assert types(incoming) == [T.SESSION_ACCEPTED]
        assert rules(incoming) == ["session-not-updated"]

    def test_the_agent_is_asked_to_greet(self) -> None:
        caller = a_caller(greet="on")
        say(caller, "session.created", session=ga_session())
        assert kinds(say(caller, "session.updated", session=ga_session()).replies) == ["response.create"]

    @pytest.mark.parametrize(
        ("media", "rule", "rate"),
        [
            ({"type": "audio/pcm", "rate": 16000}, "pcm-rate", 16_000),
            ({"type": "audio/opus"}, "unknown-format", 24_000),
            (7, "unknown-format", 24_000),
        ],
    )
    def test_strange_formats(self, media: Any, rule: str, rate: int) -> None:
        caller = a_caller()
        say(caller, "session.created", session=ga_session())
        incoming = say(caller, "session.updated", session=ga_session(media=media))
        assert rule in rules(incoming)
        assert caller.user_format == AudioFormat(Encoding.PCM16, rate)

    def test_other_formats_than_requested_are_used_and_are_a_finding(self) -> None:
        caller = a_caller(format="audio/pcma", output_format="audio/pcmu")
        say(caller, "session.created", session=ga_session())
        (finding,) = say(caller, "session.updated", session=ga_session()).findings
        assert (finding.rule, caller.user_format) == ("format-not-asked", PCM_24)
        assert finding.text == (
            "The session uses pcm16 24 kHz in and pcm16 24 kHz out; alaw 8 kHz and mulaw 8 kHz were requested."
        )

    def test_messages_before_the_creation_are_a_finding_once(self) -> None:
        caller = a_caller()
        assert rules(say(caller, "session.updated", session={})) == ["before-session-created"]
        assert rules(say(caller, "rate_limits.updated", rate_limits=[])) == []

    def test_a_second_creation_is_ignored(self) -> None:
        incoming = say(in_session(), "session.created", session=ga_session())
        assert rules(incoming) == ["repeated-session-created"]
        assert incoming.replies == ()


class TestTheOptions:
    def test_tools_and_further_members(self) -> None:
        tool = {"type": "function", "name": "hours", "parameters": {"type": "object"}}
        extra = {"max_output_tokens": 99, "audio": {"output": {"speed": 1.2}}}
        caller = a_caller(tools=json.dumps([tool]), session=json.dumps(extra), transcription="off")
        session = body(say(caller, "session.created", session=ga_session()).replies[0])["session"]
        assert session["tools"] == [tool]
        assert session["tool_choice"] == "auto"
        assert session["max_output_tokens"] == 99
        assert session["audio"]["output"] == {"format": GA_PCM, "speed": 1.2}
        assert session["audio"]["input"] == {"format": GA_PCM, "transcription": None}


class TestTheUser:
    def test_audio_flows_while_the_stream_is_open(self) -> None:
        caller = in_session()
        assert caller.user_audio(AUDIO_20_MS) == []
        assert caller.start_user_stream() == []
        assert caller.user_stream_open
        (frame,) = caller.user_audio(AUDIO_20_MS)
        assert body(frame) == {"type": "input_audio_buffer.append", "audio": AUDIO_BASE64}
        assert (frame.summary, frame.audio_ms) == ("user audio 20 ms", 20.0)
        assert caller.stop_user_stream() == []
        assert not caller.user_stream_open

    def test_without_barge_in_it_waits_for_the_agent(self) -> None:
        caller = in_session(a_caller(barge_in=False))
        caller.start_user_stream()
        playing(caller)
        assert not caller.user_stream_open
        caller.playback_finished("item-1", heard_ms=20, received_ms=20)
        assert caller.user_stream_open

    def test_without_turn_detection_the_end_of_the_stream_asks_for_an_answer_to_a_long_enough_turn(
        self,
    ) -> None:
        caller = in_session(a_caller(turn_detection="off"), turn_detection=None)
        assert not agent_detects_turns(caller)
        caller.start_user_stream()
        assert caller.stop_user_stream() == []
        caller.start_user_stream()
        caller.user_audio(AUDIO_20_MS)
        (frame,) = caller.stop_user_stream()
        assert frame.kind == "input_audio_buffer.clear"
        assert frame.summary == "clear user audio: 20 ms is too short for a turn"
        caller.start_user_stream()
        caller.user_audio(AUDIO_20_MS * 5)
        assert kinds(caller.stop_user_stream()) == ["input_audio_buffer.commit", "response.create"]
        assert caller.stop_user_stream() == []

    def test_while_a_response_is_active_the_question_waits_for_its_end(self) -> None:
        caller = playing()
        assert kinds(caller.user_text("Hello")) == ["conversation.item.create", "response.cancel"]
        assert kinds(caller.user_text("again")) == ["conversation.item.create"]
        assert types(delta(caller)) == [T.PLAY_STREAM_DISCARDED]
        assert kinds(done(caller, status="cancelled").replies) == ["response.create"]

    def test_the_question_is_asked_where_there_was_nothing_to_cancel(self) -> None:
        caller = playing()
        caller.user_text("Hello")
        incoming = error(caller, "response_cancel_not_active")
        assert incoming.events == ()
        assert kinds(incoming.replies) == ["response.create"]

    def test_instructions_change_in_mid_call(self) -> None:
        caller = in_session()
        assert isinstance(caller, HasInstructions)
        (frame,) = caller.update_instructions("Shout.")
        assert body(frame)["session"] == {"type": "realtime", "instructions": "Shout."}
        assert types(say(caller, "session.updated", session=ga_session(instructions="Shout."))) == [T.CONFIG]

    def test_instructions_given_early_go_into_the_first_update(self) -> None:
        caller = a_caller(instructions="Whisper.")
        assert caller.update_instructions("Shout.") == []
        (update,) = say(caller, "session.created", session=ga_session()).replies
        assert body(update)["session"]["instructions"] == "Shout."


class TestTheAgent:
    def test_a_spoken_answer(self) -> None:
        caller = in_response()
        first = delta(caller)
        assert [(event.type, event.stream_id, event.format) for event in first.events] == [
            (T.PLAY_STREAM_START, "item-1", PCM_24),
            (T.PLAY_STREAM_CHUNK, "item-1", PCM_24),
        ]
        assert first.events[1].audio == AUDIO_20_MS
        assert (first.summary, first.audio_ms) == ("agent audio 20 ms", 20.0)
        assert types(delta(caller)) == [T.PLAY_STREAM_CHUNK]
        assert types(audio_done(caller)) == [T.PLAY_STREAM_STOP]
        assert types(done(caller)) == []

    def test_the_response_may_have_a_format_of_its_own(self) -> None:
        caller = in_session()
        begin(caller, audio={"output": {"format": {"type": "audio/pcma"}}})
        assert delta(caller).events[0].format == FORMATS["audio/pcma"]

    @pytest.mark.parametrize("dialect", ["auto", "ga"])
    def test_the_names_of_the_beta(self, dialect: str) -> None:
        caller = a_caller(dialect=dialect)
        say(caller, "session.created", session={})
        say(caller, "session.updated", session={"output_audio_format": "g711_alaw", "turn_detection": None})
        assert not caller.agent_detects_turns
        begin(caller)
        place = {"response_id": "resp-1", "item_id": "item-1"}
        incoming = say(caller, "response.audio.delta", **place, delta=AUDIO_BASE64)
        assert types(incoming) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert incoming.events[0].format == FORMATS["audio/pcma"]
        assert rules(incoming) == (["deprecated-name"] if dialect == "ga" else [])
        assert types(say(caller, "response.audio.done", **place)) == [T.PLAY_STREAM_STOP]
        assert types(say(caller, "response.audio_transcript.done", **place, transcript="x")) == [T.AGENT_TEXT]

    def test_what_it_heard(self) -> None:
        caller = in_session()
        started = speech(caller)
        assert started.summary == "user speech started at 320 ms"
        assert types(started) == [T.SPEECH_STARTED]
        stopped = say(caller, "input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="item-u")
        assert types(stopped) == [T.SPEECH_STOPPED]
        assert types(say(caller, "input_audio_buffer.committed", item_id="item-u")) == [T.SPEECH_COMMITTED]
        kind = "conversation.item.input_audio_transcription"
        texts = [
            say(caller, f"{kind}.delta", item_id="item-u", delta=piece).events[0].text
            for piece in ("when do", " you open")
        ]
        assert texts == ["when do", "when do you open"]
        usage = {"type": "duration", "seconds": 2}
        final = say(caller, f"{kind}.completed", item_id="item-u", transcript="When?", usage=usage)
        assert [(event.type, event.text) for event in final.events] == [
            (T.SPEECH_RECOGNITION, "When?"),
            (T.USAGE, "transcription"),
        ]
        failed = say(caller, f"{kind}.failed", item_id="u2", error={"code": "audio_unintelligible"})
        assert [(event.type, event.code) for event in failed.events] == [
            (T.AGENT_ERROR, "audio_unintelligible")
        ]

    def test_what_it_costs(self) -> None:
        caller = in_response()
        (event,) = done(caller, usage={"total_tokens": 9}).events
        assert (event.type, event.text, event.params) == (T.USAGE, "response", {"total_tokens": 9})
        limits = [{"name": "requests", "limit": 1000, "remaining": 998}]
        incoming = say(caller, "rate_limits.updated", rate_limits=limits)
        assert incoming.summary == "left: requests 998"
        assert incoming.events[0].params == {"requests": 998}

    @pytest.mark.parametrize(
        ("status", "details", "code"),
        [
            ("failed", {"error": {"type": "server_error", "message": "Sorry."}}, "server_error"),
            ("failed", {"error": {"code": "insufficient_quota"}}, "insufficient_quota"),
            ("incomplete", {"reason": "max_output_tokens"}, "response_incomplete"),
        ],
    )
    def test_responses_that_come_to_nothing(self, status: str, details: dict[str, Any], code: str) -> None:
        (event,) = done(in_response(), status=status, status_details=details).events
        assert (event.type, event.code) == (T.AGENT_ERROR, code)
        assert event.fatal == (code == "insufficient_quota")
        assert event.answer_failed

    def test_a_failed_response_that_another_follows_is_not_the_end_of_the_answer(self) -> None:
        caller = in_response()
        begin(caller, "resp-2")
        assert not done(caller, "resp-1", "failed").events[-1].answer_failed
        assert done(caller, "resp-2", "failed").events[-1].answer_failed

    def test_an_answer_that_is_asked_for_again_has_not_failed(self) -> None:
        caller = in_response()
        assert caller.user_text("hello")
        incoming = done(caller, status="failed")
        assert "response.create" in kinds(incoming.replies)
        assert not incoming.events[-1].answer_failed

    def test_a_failed_response_apart_from_the_conversation_is_no_failed_answer(self) -> None:
        caller = in_session()
        begin(caller, conversation_id=None)
        assert not done(caller, status="failed", conversation_id=None).events[-1].answer_failed

    @pytest.mark.parametrize(
        ("code", "fatal"),
        [
            ("session_expired", True),
            ("invalid_api_key", True),
            ("beta_api_shape_disabled", True),
            ("x", False),
        ],
    )
    def test_errors(self, code: str, fatal: bool) -> None:
        (event,) = error(in_session(), code).events
        assert (event.type, event.code, event.reason, event.fatal) == (T.AGENT_ERROR, code, "No.", fatal)

    @pytest.mark.parametrize("said", ["Invalid value.", "Invalid value: 'session.audio'."])
    def test_an_error_names_the_member_it_is_about(self, said: str) -> None:
        body = {"type": "invalid_request_error", "code": "x", "message": said, "param": "session.audio"}
        (event,) = say(in_session(), "error", error=body).events
        assert event.reason.count("session.audio") == 1

    def test_a_function_call_is_for_the_handlers(self) -> None:
        caller = in_response()
        call = {"type": "function_call", "name": "hours", "call_id": "call-1", "arguments": '{"day":1}'}
        incoming = say(caller, "response.output_item.done", response_id="resp-1", item=call)
        assert (incoming.kind, incoming.known) == ("response.output_item.done", True)
        assert incoming.summary == 'function call hours({"day":1}) done'
        assert incoming.body["item"] == call
        assert (incoming.events, incoming.findings, incoming.replies) == ((), (), ())
        arguments = say(
            caller, "response.function_call_arguments.done", call_id="call-1", name="hours", arguments="{}"
        )
        assert arguments.summary == "call hours({})"


class TestBargeIn:
    def test_speech_clears_and_the_agent_hears_how_much_was_heard(self) -> None:
        caller = playing()
        incoming = speech(caller)
        assert types(incoming) == [T.SPEECH_STARTED, T.CLEAR]
        assert (incoming.events[1].stream_id, incoming.events[1].reason) == ("item-1", "barge-in")
        assert incoming.replies == ()
        (frame,) = caller.interrupted("item-1", heard_ms=7.9, received_ms=20)
        assert body(frame) == {
            "type": "conversation.item.truncate",
            "event_id": "id-2",
            "item_id": "item-1",
            "content_index": 0,
            "audio_end_ms": 7,
        }
        assert caller.interrupted("item-1", heard_ms=7, received_ms=20) == []
        caller.playback_finished("item-1", heard_ms=7.9, received_ms=20)
        assert types(speech(caller)) == [T.SPEECH_STARTED]

    @pytest.mark.parametrize(
        ("heard_ms", "received_ms", "end_ms"), [(99, 99, 20), (99, 12.5, 12), (-1, 20, 0)]
    )
    def test_never_more_than_was_received(self, heard_ms: float, received_ms: float, end_ms: int) -> None:
        caller = playing()
        speech(caller)
        (frame,) = caller.interrupted("item-1", heard_ms=heard_ms, received_ms=received_ms)
        assert body(frame)["audio_end_ms"] == end_ms

    def test_without_turn_detection_the_client_cancels(self) -> None:
        caller = playing(in_session(turn_detection=None))
        (cancel,) = speech(caller).replies
        assert body(cancel) == {"type": "response.cancel", "event_id": "id-2", "response_id": "resp-1"}
        assert kinds(caller.interrupted("item-1", heard_ms=7, received_ms=20)) == [
            "conversation.item.truncate"
        ]

    @pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
    def test_speech_does_not_interrupt_where_the_session_rules_it_out(self, kind: str) -> None:
        caller = playing(in_session(turn_detection={"type": kind, "interrupt_response": False}))
        incoming = speech(caller)
        assert (types(incoming), incoming.replies) == ([T.SPEECH_STARTED], ())
        assert types(delta(caller)) == [T.PLAY_STREAM_CHUNK]
        assert kinds(caller.interrupted("item-1", heard_ms=7, received_ms=40)) == [
            "response.cancel",
            "conversation.item.truncate",
        ]

    @pytest.mark.parametrize(
        ("settings", "asked"),
        [({"create_response": False}, ["response.create"]), ({"create_response": True}, []), ({}, [])],
    )
    def test_a_turn_that_the_agent_detects_is_asked_about_where_the_session_leaves_that_to_the_client(
        self, settings: dict[str, Any], asked: list[str]
    ) -> None:
        caller = in_session(turn_detection={"type": "server_vad", **settings})
        assert kinds(say(caller, "input_audio_buffer.committed", item_id="item-u")) == asked

    def test_asking_about_a_detected_turn_waits_for_the_answer_under_way(self) -> None:
        caller = playing(in_session(turn_detection={"type": "server_vad", "create_response": False}))
        assert kinds(say(caller, "input_audio_buffer.committed", item_id="item-u")) == []
        assert kinds(done(caller)) == ["response.create"]

    def test_what_comes_afterwards_is_logged_and_not_played(self) -> None:
        caller = playing()
        speech(caller)
        late = delta(caller)
        assert [(e.type, e.stream_id, e.audio) for e in late.events] == [
            (T.PLAY_STREAM_DISCARDED, "item-1", AUDIO_20_MS)
        ]
        assert (late.summary, late.audio_ms) == ("agent audio 20 ms, too late: cut off", 20.0)
        assert types(audio_done(caller)) == [T.PLAY_STREAM_STOP]
        begin(caller, "resp-2")
        assert types(delta(caller, "item-2", "resp-2")) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]

    def test_a_reply_of_which_nothing_was_played_is_truncated_to_nothing(self) -> None:
        caller = in_response()
        assert types(speech(caller)) == [T.SPEECH_STARTED, T.CLEAR]
        assert types(delta(caller)) == [T.PLAY_STREAM_DISCARDED]
        (frame,) = done(caller, status="cancelled").replies
        assert (frame.kind, body(frame)["audio_end_ms"]) == ("conversation.item.truncate", 0)

    def test_without_barge_in_nothing_is_cleared(self) -> None:
        assert types(speech(playing(in_session(a_caller(barge_in=False))))) == [T.SPEECH_STARTED]

    def test_replies_nobody_knows_are_not_truncated(self) -> None:
        assert in_session().interrupted("item-9", heard_ms=1, received_ms=2) == []


def refuse(caller: OpenAICaller, event_id: str | None) -> Incoming:
    return error(caller, "conversation_already_has_active_response", event_id)


def asked(frames: Sequence[Outgoing]) -> str:
    """Returns the event id of the only request for an answer among the frames."""
    [request] = [frame for frame in frames if frame.kind == "response.create"]
    return str(body(request)["event_id"])


OUTPUT = {
    "type": "conversation.item.create",
    "item": {"type": "function_call_output", "call_id": "call-1", "output": "1"},
}
CREATE = {"type": "response.create"}


class TestRequests:
    """Only one request for an answer at a time, regardless of who makes it."""

    @pytest.mark.parametrize("names_it", [True, False])
    def test_a_refused_request_is_made_again_when_the_active_response_has_ended(self, names_it: bool) -> None:
        caller = in_session()
        request = asked(caller.user_text("first"))
        begin(caller, "resp-vad")
        refusal = refuse(caller, request if names_it else None)
        assert types(refusal) == [], "the program handles it, so it is not an error of the call"
        assert kinds(refusal) == []
        assert asked(done(caller, response_id="resp-vad").replies) != request

    def test_a_refusal_that_comes_before_the_response_in_the_way_waits_for_its_end(self) -> None:
        caller = in_session()
        request = asked(caller.user_text("first"))
        assert kinds(refuse(caller, request)) == []
        assert kinds(begin(caller, "resp-vad")) == []
        assert kinds(done(caller, response_id="resp-vad").replies) == ["response.create"]

    def test_the_refusal_of_another_message_is_an_error_and_nothing_is_asked_again(self) -> None:
        caller = in_session()
        caller.user_text("first")
        begin(caller)
        assert types(refuse(caller, "somebody-elses")) == [T.AGENT_ERROR]
        assert kinds(done(caller).replies) == []

    def test_a_request_refused_for_another_reason_is_an_error_and_not_made_again(self) -> None:
        caller = in_session()
        request = asked(caller.user_text("first"))
        assert types(error(caller, "rate_limit_exceeded", request)) == [T.AGENT_ERROR]
        begin(caller)
        assert kinds(done(caller).replies) == []
        assert kinds(caller.user_text("second")) == ["conversation.item.create", "response.create"]

    def test_a_tool_output_and_a_typed_turn_share_one_request(self) -> None:
        caller = in_response()
        assert kinds(caller.relay(OUTPUT)) == ["conversation.item.create"]
        assert kinds(caller.user_text("hurry")) == ["conversation.item.create", "response.cancel"]
        assert kinds(done(caller, status="cancelled").replies) == ["response.create"]
        assert caller.relay(CREATE) == [], "the request in flight covers the output sent before it"
        begin(caller, "resp-2")
        assert kinds(done(caller, response_id="resp-2").replies) == []

    def test_a_tool_output_that_follows_a_request_gets_one_of_its_own(self) -> None:
        caller = in_session()
        caller.user_text("first")
        caller.relay(OUTPUT)
        assert caller.relay(CREATE) == []
        begin(caller)
        assert kinds(done(caller).replies) == ["response.create"]

    def test_a_server_that_never_announces_responses_is_asked_again_after_their_end(self) -> None:
        caller = in_session()
        assert kinds(caller.user_text("first")) == ["conversation.item.create", "response.create"]
        assert kinds(caller.user_text("second")) == ["conversation.item.create"]
        assert kinds(done(caller).replies) == ["response.create"]


class TestFindings:
    def test_audio_after_done_is_played(self) -> None:
        caller = playing()
        audio_done(caller)
        incoming = delta(caller)
        assert rules(incoming) == ["audio-after-done"]
        assert types(incoming) == [T.PLAY_STREAM_CHUNK]

    def test_audio_without_a_response_is_played(self) -> None:
        incoming = delta(in_session())
        assert rules(incoming) == ["delta-without-response"]
        assert types(incoming) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]

    def test_missing_ids(self) -> None:
        caller = in_response()
        incoming = delta(caller, item_id=None, response_id=None)  # type: ignore[arg-type]
        assert rules(incoming) == ["missing-member", "missing-member"]
        assert incoming.events[0].stream_id == "resp-1"

    def test_overlapping_replies_and_responses(self) -> None:
        caller = playing()
        incoming = delta(caller, "item-2")
        assert rules(incoming) == ["overlapping-play-streams"]
        assert types(incoming) == [T.PLAY_STREAM_STOP, T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert rules(begin(caller, "resp-2")) == ["overlapping-responses"]
        assert rules(begin(caller, "resp-3", conversation_id=None)) == []

    def test_an_out_of_band_response_may_sound_at_the_same_time(self) -> None:
        caller = playing()
        assert rules(begin(caller, "resp-2", conversation_id=None)) == []
        assert rules(delta(caller, "item-2", "resp-2")) == []
        assert rules(delta(caller)) == rules(delta(caller, "item-2", "resp-2")) == rules(delta(caller)) == []

    def test_audio_of_a_reply_that_was_cut_short_here_is_no_second_finding(self) -> None:
        caller = playing()
        assert rules(delta(caller, "item-2")) == ["overlapping-play-streams"]
        assert rules(delta(caller)) == rules(delta(caller)) == []

    def test_a_response_that_ends_before_its_audio(self) -> None:
        incoming = done(playing())
        assert rules(incoming) == ["audio-not-done"]
        assert types(incoming) == [T.PLAY_STREAM_STOP]

    def test_a_wav_header_is_taken_off(self) -> None:
        audio = base64.b64encode(wav_header(PCM_24) + AUDIO_20_MS).decode()
        incoming = delta(in_response(), delta=audio)
        assert rules(incoming) == ["wav-header-in-delta"]
        assert incoming.events[1].audio == AUDIO_20_MS

    def test_a_missing_event_id_is_found_once(self) -> None:
        caller = in_session()
        frame = json.dumps({"type": "conversation.created", "conversation": {"id": "c"}})
        assert [rules(caller.receive(frame)) for _ in range(2)] == [["missing-event-id"], []]

    def test_memory_is_bounded(self) -> None:
        caller = in_session()
        for number in range(500):
            begin(caller, f"resp-{number}")
            delta(caller, f"item-{number}", f"resp-{number}")
            words(caller, "x" * 500)
        assert len(caller._responses._replies) <= 100
        assert len(caller._responses._responses) <= 100
        assert all(
            len(text) <= 20_000
            for reply in caller._responses._replies.values()
            for text in reply.texts.values()
        )


class TestItemsAndParts:
    PLACE: ClassVar[dict[str, str]] = {"response_id": "resp-1", "item_id": "item-1"}

    def test_what_the_user_says_names_its_item(self) -> None:
        caller, item = in_session(), "conversation.item.input_audio_transcription"
        seen = [
            speech(caller),
            say(caller, "input_audio_buffer.committed", item_id="item-u"),
            say(caller, f"{item}.delta", item_id="item-u", content_index=0, delta="Hel"),
            say(caller, f"{item}.completed", item_id="item-u", content_index=0, transcript="Hello."),
        ]
        assert {event.stream_id for incoming in seen for event in incoming.events} == {"item-u"}

    def test_a_written_part_is_apart_from_the_spoken_one(self) -> None:
        caller = playing()
        spoken = say(
            caller, "response.output_audio_transcript.done", **self.PLACE, content_index=0, transcript="Said."
        )
        say(caller, "response.output_text.delta", **self.PLACE, content_index=1, delta="Wri")
        written = say(caller, "response.output_text.done", **self.PLACE, content_index=1, text="Written.")
        assert [(e.part, e.written, e.text) for e in (*spoken.events, *written.events)] == [
            (0, False, "Said."),
            (1, True, "Written."),
        ]
        speech(caller)
        (truncate,) = caller.interrupted("item-1", heard_ms=7, received_ms=20)
        assert (body(truncate)["item_id"], body(truncate)["content_index"]) == ("item-1", 0)

    def test_the_part_with_the_audio_is_truncated_wherever_it_is(self) -> None:
        caller = in_response()
        say(caller, "response.output_text.done", **self.PLACE, content_index=0, text="Written.")
        say(caller, "response.output_audio.delta", **self.PLACE, content_index=1, delta=AUDIO_BASE64)
        speech(caller)
        (truncate,) = caller.interrupted("item-1", heard_ms=7, received_ms=20)
        assert body(truncate)["content_index"] == 1

    def test_partial_text_of_each_part_is_its_own_and_final_at_the_end(self) -> None:
        caller = in_response()
        words(caller, "sa")
        say(caller, "response.output_text.delta", **self.PLACE, content_index=1, delta="wri")
        assert words(caller, "id").events[0].text == "said"
        ended = [e for e in done(caller).events if e.type is T.AGENT_TEXT]
        assert [(e.part, e.written, e.text, e.final) for e in ended] == [
            (0, False, "said", True),
            (1, True, "wri", True),
        ]


def test_every_message_is_one_of_the_package() -> None:
    caller = in_session(a_caller(turn_detection="off", greet="on"), turn_detection=None)
    caller.start_user_stream()
    sent = [*caller.user_audio(AUDIO_20_MS), *caller.stop_user_stream()]
    caller.start_user_stream()
    sent += [frame for _ in range(5) for frame in caller.user_audio(AUDIO_20_MS)]
    sent += caller.stop_user_stream()
    sent += done(playing(caller)).replies
    sent += caller.interrupted("item-1", heard_ms=7, received_ms=20)
    sent += [*caller.user_text("Hello"), *caller.update_instructions("Shout.")]
    sent += [*playing(caller).user_text("again"), *caller.relay(OUTPUT)]
    for frame in sent:
        assert_client_event(frame)
    assert {frame.kind for frame in sent} == {
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.clear",
        "input_audio_buffer.commit",
        "response.create",
        "response.cancel",
        "conversation.item.create",
        "conversation.item.truncate",
    }
