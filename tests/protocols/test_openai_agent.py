from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.protocols.openai_types import assert_server_event
from tests.protocols.shown import body, kinds, types
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import wav_header
from tui.protocols.base import (
    Handshake,
    Incoming,
    Outgoing,
    RealtimeAgentEnd,
    TelephonyEventType,
)
from tui.protocols.openai_realtime import FORMATS, OpenAIAgent

T = TelephonyEventType
PCM_24 = FORMATS["audio/pcm"]
AUDIO_100_MS = bytes(range(240)) * 20
BASE64 = base64.b64encode(AUDIO_100_MS).decode()
TOOL = {"type": "function", "name": "hours", "description": "When", "parameters": {"type": "object"}}


def an_agent(**session: Any) -> OpenAIAgent:
    ids = (f"{number}" for number in itertools.count(1))
    agent = OpenAIAgent(lambda: next(ids), lambda: "2026-01-15T09:00:00.120Z")
    checked(agent.opened())
    if session:
        assert kinds(send(agent, "session.update", session={"type": "realtime", **session})) == [
            "session.updated"
        ]
    return agent


def checked(frames: Sequence[Outgoing]) -> Sequence[Outgoing]:
    for frame in frames:
        assert_server_event(frame)
    return frames


def send(agent: OpenAIAgent, kind: str, **members: Any) -> Incoming:
    incoming = agent.receive(json.dumps({"type": kind, "event_id": "mine", **members}))
    checked(incoming.replies)
    return incoming


def turn(detection: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": detection}}}


def append(agent: OpenAIAgent, times: int = 1) -> None:
    for _ in range(times):
        send(agent, "input_audio_buffer.append", audio=BASE64)


def say(agent: OpenAIAgent, text: str = "Good morning") -> list[Outgoing]:
    return [
        *agent.say_start("play-1", text),
        *agent.say_audio("play-1", AUDIO_100_MS),
        *agent.say_stop("play-1"),
    ]


def named(frames: Incoming | Sequence[Outgoing], kind: str) -> Any:
    frames = frames.replies if isinstance(frames, Incoming) else frames
    return next(body(frame) for frame in frames if frame.kind == kind)


def code(incoming: Incoming) -> str:
    (frame,) = incoming.replies
    error = body(frame)["error"]
    assert error["event_id"] == "mine"
    return str(error["code"])


class TestTheSession:
    def test_it_begins_with_all_its_settings(self) -> None:
        agent = OpenAIAgent(lambda: "7", lambda: "2026-01-15T09:00:00.120Z")
        (frame,) = checked(agent.opened())
        session = body(frame)["session"]
        assert body(frame)["type"] == "session.created"
        assert session["id"] == "sess_7"
        assert session["expires_at"] == 1_768_471_200
        assert session["audio"]["input"] == {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 500,
                "create_response": True,
                "interrupt_response": True,
            },
        }
        assert agent.user_format == agent.play_format == PCM_24
        assert isinstance(agent, RealtimeAgentEnd)

    def test_an_update_changes_what_it_names(self) -> None:
        agent = an_agent()
        audio = {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "semantic_vad"}}}
        incoming = send(
            agent,
            "session.update",
            session={"type": "realtime", "instructions": "x", "audio": audio, "tools": [TOOL]},
        )
        (event,) = incoming.events
        assert (event.type, event.format) == (T.CONFIG, AudioFormat(Encoding.MULAW, 8_000))
        session = named(incoming, "session.updated")["session"]
        assert session["audio"]["input"]["turn_detection"] == {
            "type": "semantic_vad",
            "eagerness": "auto",
            "create_response": True,
            "interrupt_response": True,
        }
        assert session["audio"]["output"]["voice"] == "marin"
        assert agent.play_format == PCM_24
        assert agent.tools == [TOOL]
        assert send(agent, "session.update", session={"type": "realtime", "tools": []}).events
        assert agent.tools == []

    @pytest.mark.parametrize(
        ("detection", "detects", "answers", "yields"),
        [
            (None, False, False, False),
            ({"type": "semantic_vad"}, True, True, True),
            ({"create_response": False}, True, False, True),
            ({"type": "server_vad", "interrupt_response": False}, True, True, False),
        ],
    )
    def test_what_the_agent_does_by_itself(
        self, detection: Any, detects: bool, answers: bool, yields: bool
    ) -> None:
        agent = an_agent(**turn(detection))
        assert (agent.detects_turns, agent.answers_unasked, agent.yields_to_speech) == (
            detects,
            answers,
            yields,
        )

    @pytest.mark.parametrize(
        ("session", "expected", "param"),
        [
            (None, "missing_required_parameter", "session"),
            ({"voice": "x"}, "missing_required_parameter", "session.type"),
            ({"type": "transcription"}, "invalid_value", "session.type"),
            ({"type": "realtime", "modalities": ["text"]}, "unknown_parameter", "session.modalities"),
            (
                {"type": "realtime", "output_modalities": ["text", "audio"]},
                "invalid_value",
                "session.output_modalities",
            ),
            ({"type": "realtime", "instructions": 3}, "invalid_type", "session.instructions"),
            ({"type": "realtime", "tools": {}}, "invalid_type", "session.tools"),
            ({"type": "realtime", "audio": []}, "invalid_type", "session.audio"),
            (
                {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
                "invalid_value",
                "session.audio.input.format.rate",
            ),
            (
                {"type": "realtime", "audio": {"output": {"format": "pcm16"}}},
                "invalid_value",
                "session.audio.output.format",
            ),
            (
                {"type": "realtime", **turn({"type": "x"})},
                "invalid_value",
                "session.audio.input.turn_detection.type",
            ),
        ],
    )
    def test_bad_updates_change_nothing(self, session: Any, expected: str, param: str) -> None:
        agent = an_agent()
        before = agent.opened()[0].frame
        incoming = send(agent, "session.update", session=session)
        assert code(incoming) == expected
        assert body(incoming.replies[0])["error"]["param"] == param
        assert body(agent.opened()[0])["session"] == json.loads(before)["session"]

    @pytest.mark.parametrize(
        ("repeated", "findings"), [("gpt-realtime", []), (None, []), ("gpt-other", ["model-changed"])]
    )
    def test_an_update_with_a_model_is_applied_and_the_model_stays(
        self, repeated: str | None, findings: list[str]
    ) -> None:
        agent = an_agent()
        assert agent.admit(Handshake(query={"model": "gpt-realtime"})) is None
        session = {"type": "realtime", "model": repeated, "instructions": "Be brief."}
        incoming = send(agent, "session.update", session=session)
        updated = body(incoming.replies[0])["session"]
        assert (updated["model"], updated["instructions"]) == ("gpt-realtime", "Be brief.")
        assert [finding.rule for finding in incoming.findings] == findings

    def test_the_voice_is_frozen_once_it_was_heard(self) -> None:
        agent = an_agent(audio={"output": {"voice": "cedar"}})
        say(agent)
        change = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
        assert code(send(agent, "session.update", session=change)) == "cannot_update_voice"


class TestWhatItHears:
    def test_audio(self) -> None:
        incoming = send(an_agent(), "input_audio_buffer.append", audio=BASE64)
        (event,) = incoming.events
        assert (event.type, event.audio, event.format) == (T.USER_STREAM_CHUNK, AUDIO_100_MS, PCM_24)
        assert (incoming.summary, incoming.audio_ms) == ("user audio 100 ms", 100.0)

    def test_audio_after_a_wav_header(self) -> None:
        audio = base64.b64encode(wav_header(PCM_24) + AUDIO_100_MS).decode()
        incoming = send(an_agent(), "input_audio_buffer.append", audio=audio)
        assert incoming.events[0].audio == AUDIO_100_MS
        assert [finding.rule for finding in incoming.findings] == ["wav-header-in-append"]

    @pytest.mark.parametrize("audio", ["%", "A" * (15 * 1024 * 1024 + 1), None])
    def test_bad_audio_is_refused(self, audio: str | None) -> None:
        assert code(send(an_agent(), "input_audio_buffer.append", audio=audio)) == "invalid_value"

    def test_a_turn(self) -> None:
        agent = an_agent(audio={"input": {"transcription": {"model": "x"}}})
        append(agent, 8)
        (started,) = checked(agent.speech_started())
        assert body(started)["audio_start_ms"] == 500
        append(agent, 4)
        assert agent.hypothesis("when do") == []
        frames = checked(agent.speech_stopped())
        assert kinds(frames) == [
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
        ]
        assert body(frames[0])["audio_end_ms"] == 1200
        assert {body(frame).get("item_id") or body(frame)["item"]["id"] for frame in [started, *frames]} == {
            body(started)["item_id"]
        }
        words = checked(agent.recognition("when do you open", 0.9))
        assert [(frame.kind.rpartition(".")[2], frame.summary) for frame in words] == [
            ("delta", "hypothesis: when do you open"),
            ("completed", "recognition: when do you open"),
        ]
        assert agent.recognition("again", 0.9) == []
        retrieved = named(
            send(agent, "conversation.item.retrieve", item_id=body(started)["item_id"]),
            "conversation.item.retrieved",
        )
        content = retrieved["item"]["content"][0]
        assert content["transcript"] == "when do you open"
        assert len(base64.b64decode(content["audio"])) == 7 * len(AUDIO_100_MS)

    def test_without_transcription_no_words_are_sent(self) -> None:
        agent = an_agent()
        agent.speech_started()
        agent.speech_stopped()
        assert agent.recognition("x", 1) == []

    def test_without_turn_detection_the_caller_commits(self) -> None:
        agent = an_agent(**turn(None))
        assert agent.speech_started() == agent.speech_stopped() == []
        assert code(send(agent, "input_audio_buffer.commit")) == "input_audio_buffer_commit_empty"
        append(agent, 2)
        incoming = send(agent, "input_audio_buffer.commit")
        assert types(incoming) == [T.SPEECH_COMMITTED]
        assert kinds(incoming) == [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
        ]
        assert code(send(agent, "input_audio_buffer.commit")) == "input_audio_buffer_commit_empty"

    def test_a_cleared_buffer_is_empty(self) -> None:
        agent = an_agent(**turn(None))
        append(agent, 2)
        incoming = send(agent, "input_audio_buffer.clear")
        assert types(incoming) == [T.USER_STREAM_CLEARED]
        assert kinds(incoming) == ["input_audio_buffer.cleared"]
        assert code(send(agent, "input_audio_buffer.commit")) == "input_audio_buffer_commit_empty"

    def test_the_buffer_is_bounded(self) -> None:
        agent = an_agent(**turn(None))
        for _ in range(300):
            send(agent, "input_audio_buffer.append", audio=base64.b64encode(bytes(48_000)).decode())
        assert len(agent._buffer) == 120 * 48_000


class TestWhatItSays:
    def test_a_spoken_answer_in_the_documented_order(self) -> None:
        agent = an_agent()
        frames = checked(say(agent))
        assert kinds(frames) == [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        delta = named(frames, "response.output_audio.delta")
        assert base64.b64decode(delta["delta"]) == AUDIO_100_MS
        response = named(frames, "response.done")["response"]
        assert response["status"] == "completed"
        assert response["output"][0]["content"] == [{"type": "output_audio", "transcript": "Good morning"}]
        assert response["usage"]["output_token_details"] == {"text_tokens": 3, "audio_tokens": 2}
        assert response["id"] == delta["response_id"]

    def test_an_interrupted_answer(self) -> None:
        agent = an_agent()
        agent.say_start("play-1", "Good morning")
        frames = checked(agent.say_stop("play-1", interrupted=True))
        assert kinds(frames) == [
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        response = named(frames, "response.done")["response"]
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert response["output"][0]["status"] == "incomplete"
        assert agent.say_audio("play-1", b"xx") == agent.say_stop("play-1") == []

    def test_a_written_answer(self) -> None:
        frames = checked(say(an_agent(output_modalities=["text"])))
        assert [kind for kind in kinds(frames) if "output_text" in kind] == [
            "response.output_text.delta",
            "response.output_text.done",
        ]
        assert not [kind for kind in kinds(frames) if "audio" in kind]

    def test_an_answer_that_was_asked_for(self) -> None:
        agent = an_agent()
        wishes = {"metadata": {"a": "b"}, "conversation": "none", "output_modalities": ["text"]}
        incoming = send(agent, "response.create", response=wishes)
        assert [(event.type, event.params) for event in incoming.events] == [(T.RESPONSE_WANTED, wishes)]
        assert kinds(incoming) == ["response.created"]
        assert code(send(agent, "response.create")) == "conversation_already_has_active_response"
        frames = checked(say(agent))
        assert kinds(frames)[0] == "response.output_item.added"
        response = named(frames, "response.done")["response"]
        assert (response["metadata"], response["conversation_id"]) == ({"a": "b"}, None)
        assert response["output_modalities"] == ["text"]

    def test_a_second_reply_interrupts_the_first(self) -> None:
        agent = an_agent()
        agent.say_start("play-1")
        frames = checked(agent.say_start("play-2"))
        assert named(frames, "response.done")["response"]["status"] == "cancelled"
        assert kinds(frames).count("response.created") == 1

    def test_speech_gives_up_an_answer_that_was_not_begun(self) -> None:
        agent = an_agent()
        send(agent, "response.create")
        frames = checked(agent.speech_started())
        assert kinds(frames) == ["input_audio_buffer.speech_started", "response.done", "rate_limits.updated"]

    def test_a_tool_call(self) -> None:
        agent = an_agent(tools=[TOOL])
        frames = checked(agent.call_tool("hours", {"day": "monday", "holidays": True}))
        assert list(dict.fromkeys(kinds(frames))) == [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        deltas = [body(frame)["delta"] for frame in frames if frame.kind.endswith("arguments.delta")]
        done = named(frames, "response.output_item.done")["item"]
        assert "".join(deltas) == done["arguments"] == '{"day":"monday","holidays":true}'
        assert len(deltas) == 2
        output = {"type": "function_call_output", "call_id": done["call_id"], "output": "nine"}
        incoming = send(agent, "conversation.item.create", item=output)
        (event,) = incoming.events
        assert (event.type, event.stream_id, event.text) == (T.TOOL_OUTPUT, done["call_id"], "nine")


class TestTheConversation:
    def test_items_in_their_order(self) -> None:
        agent = an_agent()
        message = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "x"}]}
        previous = [
            named(
                send(agent, "conversation.item.create", item={**message, "id": name}, **where),
                "conversation.item.added",
            )["previous_item_id"]
            for name, where in {
                "a": {},
                "b": {},
                "c": {"previous_item_id": "root"},
                "d": {"previous_item_id": "a"},
            }.items()
        ]
        assert previous == [None, "a", None, "a"]
        assert code(send(agent, "conversation.item.create", item={**message, "id": "a"})) == (
            "item_create_duplicate_item_id"
        )
        assert kinds(send(agent, "conversation.item.delete", item_id="a")) == ["conversation.item.deleted"]
        assert code(send(agent, "conversation.item.delete", item_id="a")) == "item_delete_invalid_item_id"
        assert code(send(agent, "conversation.item.retrieve", item_id="a")) == "item_retrieve_invalid_item_id"

    @pytest.mark.parametrize(
        "item",
        [
            {},
            {"type": "dream"},
            {"type": "message", "role": "x", "content": []},
            {"type": "message", "role": "user", "content": "x"},
            {"type": "message", "role": "user", "content": [{"type": "output_text", "text": "x"}]},
            {"type": "function_call_output", "output": "x"},
        ],
    )
    def test_bad_items_are_refused(self, item: Any) -> None:
        incoming = send(an_agent(), "conversation.item.create", item=item)
        assert code(incoming) in ("invalid_value", "invalid_type", "missing_required_parameter")
        assert incoming.events == ()

    def test_truncation(self) -> None:
        agent = an_agent()
        item_id = named(say(agent), "response.output_audio.delta")["item_id"]
        place = {"item_id": item_id, "content_index": 0}
        assert code(send(agent, "conversation.item.truncate", **place, audio_end_ms=101)) == "invalid_value"
        assert code(send(agent, "conversation.item.truncate", **place, audio_end_ms=1.5)) == "invalid_type"
        incoming = send(agent, "conversation.item.truncate", **place, audio_end_ms=40)
        assert named(incoming, "conversation.item.truncated")["audio_end_ms"] == 40
        item = named(
            send(agent, "conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved"
        )["item"]
        assert len(base64.b64decode(item["content"][0]["audio"])) == 40 * 48
        assert item["content"][0]["transcript"] == ""
        assert code(send(agent, "conversation.item.truncate", **place, audio_end_ms=41)) == "invalid_value"

    def test_only_what_the_agent_said_can_be_truncated(self) -> None:
        agent = an_agent(**turn(None))
        append(agent, 2)
        item_id = named(send(agent, "input_audio_buffer.commit"), "input_audio_buffer.committed")["item_id"]
        place = {"item_id": item_id, "content_index": 0, "audio_end_ms": 1}
        assert code(send(agent, "conversation.item.truncate", **place)) == "invalid_value"
        unknown = {**place, "item_id": "x"}
        assert code(send(agent, "conversation.item.truncate", **unknown)) == "item_truncate_invalid_item_id"

    def test_cancelling(self) -> None:
        agent = an_agent()
        assert code(send(agent, "response.cancel")) == "response_cancel_not_active"
        agent.say_start("play-1")
        assert code(send(agent, "response.cancel", response_id="other")) == "response_cancel_not_active"
        incoming = send(agent, "response.cancel")
        assert [(event.type, event.stream_id) for event in incoming.events] == [
            (T.RESPONSE_CANCELLED, "play-1")
        ]
        response = named(incoming, "response.done")["response"]
        assert response["status_details"]["reason"] == "client_cancelled"
        assert agent.say_audio("play-1", b"xx") == []

    def test_unknown_messages(self) -> None:
        incoming = send(an_agent(), "session.dream")
        assert not incoming.known
        assert code(incoming) == "invalid_value"
        assert code(send(an_agent(), "output_audio_buffer.clear")) == "invalid_value"

    def test_a_long_unknown_type_is_cut_in_the_error(self) -> None:
        (reply,) = send(an_agent(), "session." + "x" * 200).replies
        assert f"'session.{'x' * 51}…'." in body(reply)["error"]["message"]


def test_a_padding_beyond_every_float_is_a_long_padding() -> None:
    agent = an_agent(**turn({"type": "server_vad", "prefix_padding_ms": 10**400}))
    append(agent, times=2)
    assert agent.detects_turns
