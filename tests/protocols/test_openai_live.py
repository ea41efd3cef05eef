"""Tests OpenAI Live against literals: each end's messages, and its interpretation of the other's."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.protocols.both_ends import example, messages_from
from tests.protocols.shown import advice, bodies, body, kinds, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Handshake, Incoming, Outgoing, ProtocolError
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.openai_live import OPENAI_LIVE, LiveAgent, LiveCaller

live = pytest.importorskip("openai.types.live")
_SERVER: TypeAdapter[Any] = TypeAdapter(live.ServerEvent)
_CLIENT: TypeAdapter[Any] = TypeAdapter(live.ClientEvent)

PCM_24K = AudioFormat(Encoding.PCM16, 24_000)
LINES = example("openai-live")
TOOL = {"type": "function", "name": "opening_hours", "parameters": {"type": "object", "properties": {}}}
TOOLS = json.dumps([TOOL])
SESSION = {"id": "live_1", "expires_at": 1, "model": "gpt-live-1.1", "status": "active"}
SOUND, QUIET = b"\x00\x10" * 2_400, bytes(4_800)
"""100 ms of audio each."""


def a_caller(*, media: str = "", **options: str) -> LiveCaller:
    formats = (media,) if media else ()
    return LiveCaller(CallerSettings(formats=formats, options=options), lambda: "id", lambda: "now")


def in_call(*, media: str = "", **options: str) -> LiveCaller:
    caller = a_caller(media=media, **options)
    caller.opened()
    server(caller, "session.started", session=SESSION)
    return caller


def server(caller: LiveCaller, kind: str, **members: Any) -> Incoming:
    message = {"type": kind, "event_id": "e", **members}
    if kind == "session.output_audio.delta":
        del message["event_id"]
    return caller.receive(json.dumps(message))


def audio(caller: LiveCaller, pcm: bytes = SOUND, **members: Any) -> Incoming:
    return server(caller, "session.output_audio.delta", delta=base64.b64encode(pcm).decode(), **members)


def words(caller: LiveCaller, whose: str, text: str, start_ms: int, end_ms: int) -> Incoming:
    return server(caller, f"session.{whose}_transcript.delta", delta=text, start_ms=start_ms, end_ms=end_ms)


def texts(incoming: Incoming) -> list[tuple[T, str, str, bool]]:
    return [(event.type, event.stream_id, event.text, event.final) for event in incoming.events if event.text]


def an_agent(session: dict[str, Any] | None = None, query: dict[str, str] | None = None) -> LiveAgent:
    agent = LiveAgent(lambda: "7", lambda: "2026-01-01T00:00:00.000Z")
    agent.admit(Handshake(query or {}))
    started = client(agent, "session.start", session={"model": "gpt-live-1.1", **(session or {})})
    assert kinds(started) == ["session.started"]
    return agent


def client(agent: LiveAgent, kind: str, **members: Any) -> Incoming:
    return agent.receive(json.dumps({"type": kind, **members}))


def hear(agent: LiveAgent, duration_ms: int, sample: bytes = b"\0\0") -> list[Outgoing]:
    """Makes the agent receive audio; returns what it sends in that time."""
    assert agent.user_format
    pcm = sample * (agent.user_format.rate * duration_ms // 1000)
    assert client(agent, "session.input_audio.append", audio=base64.b64encode(pcm).decode()).findings == ()
    agent.pass_time(agent.heard_ms)
    return agent.track()


def track(frames: Sequence[Outgoing]) -> bytes:
    deltas = (body(frame) for frame in frames if frame.kind == "session.output_audio.delta")
    return b"".join(base64.b64decode(delta["delta"]) for delta in deltas)


def code_of(incoming: Incoming) -> str:
    (error,) = bodies(incoming.replies)
    assert error["type"] == "error"
    assert incoming.refused
    return str(error["error"]["code"])


class TestTheExample:
    def test_the_types_of_the_openai_package_accept_every_message(self) -> None:
        for adapter, side in ((_SERVER, "agent"), (_CLIENT, "caller")):
            for message in messages_from(side, LINES):  # type: ignore[arg-type]  # one of the two
                event = adapter.validate_python(message)
                assert set(message) <= set(type(event).model_fields)

    def test_the_caller_understands_the_agents_messages(self) -> None:
        caller = a_caller(tools=TOOLS)
        caller.opened()
        received: list[Incoming] = []
        for line in LINES:
            if line["dir"] == "s2c":
                received.append(caller.receive(json.dumps(line["message"])))
            elif line["message"]["type"] == "session.instructions.append":
                caller.update_instructions("Speak slowly.")
            elif line["message"]["type"] == "session.close":
                caller.hang_up()
        assert [incoming.findings for incoming in received if incoming.findings] == []
        assert all(incoming.known for incoming in received)
        heard = [event for incoming in received for event in incoming.events]
        assert [event.text for event in heard if event.type is T.AGENT_TEXT and event.final] == [
            "Good morning."
        ]
        assert [event.text for event in heard if event.type is T.SPEECH_RECOGNITION] == ["When are you open?"]
        (call,) = [event for event in heard if event.type is T.TOOL_CALL]
        assert (call.text, call.stream_id, call.params) == ("opening_hours", "call_1", {"day": "today"})
        assert caller.goodbye_answered

    def test_the_agent_understands_the_callers_messages(self) -> None:
        agent = LiveAgent(lambda: "7", lambda: "now")
        for message in messages_from("caller", example("openai-live")):
            if message["type"] == "response.item.create":
                (*_, call, _) = bodies(agent.call_tool("opening_hours", {}))
                message["item"]["call_id"] = call["event"]["item"]["call_id"]
            incoming = agent.receive(json.dumps(message))
            assert (incoming.findings, incoming.refused) == ((), "")

    def test_the_caller_sends_the_messages_of_the_example(self) -> None:
        tool = {**TOOL, "description": "When we are open"}
        caller = a_caller(voice="marin", instructions="Be brief.", tools=json.dumps([tool]))
        assert bodies(caller.opened()) == [LINES[0]["message"]]
        caller.receive(json.dumps(LINES[1]["message"]))
        assert bodies(caller.user_audio(bytes(8))) == [LINES[2]["message"]]
        assert bodies(caller.update_instructions("Speak slowly.")) == [LINES[7]["message"]]
        result = {"type": "function_call_output", "call_id": "call_1", "output": "nine to six"}
        sent = caller.relay({"type": "conversation.item.create", "item": result})
        assert bodies(sent) == [LINES[15]["message"], LINES[16]["message"]]
        assert caller.relay({"type": "response.create"}) == []
        assert bodies(caller.hang_up()) == [LINES[20]["message"]]


class TestTheSession:
    @pytest.mark.parametrize(
        ("media", "member"),
        [
            ("", {"type": "audio/pcm", "rate": 24_000}),
            ("audio/pcm;rate=16000", {"type": "audio/pcm", "rate": 16_000}),
            ("audio/pcmu", {"type": "audio/pcmu", "rate": 8_000}),
            ("audio/pcma", {"type": "audio/pcma", "rate": 8_000}),
        ],
    )
    def test_one_format_is_for_both_directions(self, media: str, member: dict[str, Any]) -> None:
        (start,) = bodies(a_caller(media=media).opened())
        _CLIENT.validate_python(start)
        assert start["session"] == {"model": "gpt-live-1.1", "audio": {"format": member}}

    def test_tasks_go_to_the_client_only_if_that_is_chosen(self) -> None:
        (start,) = bodies(a_caller(delegation="client", tools=TOOLS).opened())
        assert start["session"]["delegation"] == {"type": "client"}

    def test_members_of_the_users_own_replace_others(self) -> None:
        (start,) = bodies(a_caller(session='{"store":true,"model":"relay/live"}').opened())
        assert (start["session"]["store"], start["session"]["model"]) == (True, "relay/live")

    def test_nothing_flows_before_it_has_started(self) -> None:
        caller = a_caller()
        caller.opened()
        assert (caller.user_format, caller.user_audio(bytes(8)), caller.update_instructions("x")) == (
            None,
            [],
            [],
        )
        started = server(caller, "session.started", session=SESSION)
        assert types(started) == [T.SESSION_ACCEPTED]
        assert caller.user_format == PCM_24K
        assert rules(server(caller, "session.started", session=SESSION)) == ["repeated-session-started"]

    def test_the_agent_is_asked_to_greet(self) -> None:
        caller = a_caller(greeting="Greet the caller.")
        caller.opened()
        (asked,) = bodies(server(caller, "session.started", session=SESSION).replies)
        assert asked == {
            "type": "session.commentary.append",
            "content": "Greet the caller.",
            "delegation_id": None,
        }

    def test_another_format_is_a_finding_and_is_used(self) -> None:
        caller = a_caller()
        caller.opened()
        other = {**SESSION, "audio": {"format": {"type": "audio/pcmu", "rate": 8000}}}
        assert rules(server(caller, "session.started", session=other)) == ["other-format"]
        assert caller.user_format == AudioFormat(Encoding.MULAW, 8_000)

    def test_another_model_is_advice(self) -> None:
        caller = a_caller()
        caller.opened()
        assert advice(server(caller, "session.started", session={**SESSION, "model": "x"})) == ["other-model"]
        dated = a_caller()
        dated.opened()
        assert (
            rules(server(dated, "session.started", session={**SESSION, "model": "gpt-live-1.1-2026"})) == []
        )

    def test_a_message_before_it_is_a_finding(self) -> None:
        caller = a_caller()
        caller.opened()
        assert rules(audio(caller)) == ["before-session-started"]
        assert rules(server(caller, "error", error={"message": "m", "code": "c"})) == []


class TestTheTrack:
    def test_a_reply_begins_with_sound_and_ends_after_half_a_second_of_silence(self) -> None:
        caller = in_call()
        assert types(audio(caller, QUIET)) == []
        assert types(audio(caller)) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        silent = [types(audio(caller, QUIET)) for _ in range(6)]
        assert silent == [*[[T.PLAY_STREAM_CHUNK]] * 4, [T.PLAY_STREAM_CHUNK, T.PLAY_STREAM_STOP], []]
        assert audio(caller).events[0].stream_id == "reply-2"

    @pytest.mark.parametrize("pause_ms", [100, 400])
    def test_a_short_pause_is_part_of_a_reply(self, pause_ms: int) -> None:
        caller = in_call()
        audio(caller)
        for _ in range(pause_ms // 100):
            audio(caller, QUIET)
        assert types(audio(caller)) == [T.PLAY_STREAM_CHUNK]

    @pytest.mark.parametrize(("media", "quiet"), [("audio/pcmu", b"\xff\x7f"), ("audio/pcma", b"\xd5\x55")])
    def test_silence_of_g711_is_silence(self, media: str, quiet: bytes) -> None:
        caller = in_call(media=media)
        assert types(audio(caller, quiet * 400)) == []
        assert types(audio(caller, b"\x20" * 800)) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]

    def test_silence_that_was_left_out_ends_a_reply(self) -> None:
        caller = in_call()
        audio(caller, start_ms=0, end_ms=100)
        assert types(audio(caller, start_ms=100, end_ms=200)) == [T.PLAY_STREAM_CHUNK]
        assert types(audio(caller, start_ms=500, end_ms=600)) == [
            T.PLAY_STREAM_STOP,
            T.PLAY_STREAM_START,
            T.PLAY_STREAM_CHUNK,
        ]

    def test_a_track_that_stops_in_a_sound_is_advice(self) -> None:
        caller = in_call()
        audio(caller)
        caller.playback_finished("reply-1", heard_ms=100, received_ms=100)
        resumed = audio(caller)
        assert advice(resumed) == ["track-stalled"]
        assert resumed.events[0].stream_id == "reply-2"
        caller.playback_finished("reply-1", heard_ms=100, received_ms=100)
        assert rules(audio(caller)) == []

    def test_the_rest_of_a_reply_stays_discarded_after_the_user_flushed_it(self) -> None:
        caller = in_call()
        audio(caller)
        caller.interrupted("reply-1", heard_ms=20, received_ms=100)
        caller.playback_finished("reply-1", heard_ms=20, received_ms=100)
        assert [event.stream_id for event in audio(caller).events] == ["reply-1"]

    def test_a_track_that_falls_behind_is_advice_once(self) -> None:
        caller = in_call()
        for _ in range(19):
            caller.user_audio(QUIET)
        assert rules(audio(caller)) == []
        for _ in range(3):
            caller.user_audio(QUIET)
        assert advice(audio(caller)) == ["track-behind"]
        assert rules(audio(caller)) == []

    def test_half_a_sample_is_a_finding(self) -> None:
        assert rules(audio(in_call(), b"\x00\x10\x00")) == ["odd-bytes"]
        assert rules(audio(in_call(media="audio/pcmu"), b"\x20\x20\x20")) == []


class TestTheWords:
    def test_fragments_grow_into_the_line_of_their_reply(self) -> None:
        caller = in_call()
        audio(caller)
        assert texts(words(caller, "output", " Good", 0, 200)) == [(T.AGENT_TEXT, "reply-1", "Good", False)]
        grown = (T.AGENT_TEXT, "reply-1", "Good morning.", False)
        assert texts(words(caller, "output", " morning.", 200, 400)) == [grown]
        for _ in range(6):
            audio(caller, QUIET)
        audio(caller)
        assert texts(words(caller, "output", " And", 700, 900)) == [
            (T.AGENT_TEXT, "reply-1", "Good morning.", True),
            (T.AGENT_TEXT, "reply-2", "And", False),
        ]

    def test_a_late_fragment_belongs_to_the_reply_in_which_it_was_spoken(self) -> None:
        caller = in_call()
        for pcm in (SOUND, *[QUIET] * 6, SOUND):
            audio(caller, pcm)
        assert texts(words(caller, "output", " Good", 0, 200))[0][1] == "reply-1"

    def test_a_line_is_final_once_nothing_can_follow(self) -> None:
        caller = in_call()
        words(caller, "input", " When are", 0, 200)
        assert texts(words(caller, "input", " you open?", 200, 400)) == [
            (T.SPEECH_HYPOTHESIS, "user-1", "When are you open?", True)
        ]
        over = [texts(audio(caller, QUIET)) for _ in range(26)]
        final = [(T.SPEECH_RECOGNITION, "user-1", "When are you open?", True)]
        assert [found for found in over if found] == [final]
        assert over[23] == final  # at 2.4 s: two seconds after the end of the words

    def test_a_pause_begins_another_line_of_the_user(self) -> None:
        caller = in_call()
        words(caller, "input", " Yes.", 0, 200)
        assert texts(words(caller, "input", " And", 1_100, 1_300))[0][2] == "Yes. And"
        assert texts(words(caller, "input", " no.", 2_300, 2_500)) == [
            (T.SPEECH_RECOGNITION, "user-1", "Yes. And", True),
            (T.SPEECH_HYPOTHESIS, "user-2", "no.", True),
        ]


class TestTasks:
    def test_a_task_for_the_client_is_a_call_of_its_tool(self) -> None:
        caller = in_call(delegation="client", tools=TOOLS)
        words(caller, "input", " When are you open?", 0, 200)
        task = {"id": "item_1", "type": "delegation", "target": "client"}
        created = server(caller, "session.delegation.created", delegation=task, offset_ms=9)
        (call,) = created.events
        assert (call.text, call.stream_id, call.params) == (
            "opening_hours",
            "item_1",
            {"request": "When are you open?"},
        )
        result = {"type": "function_call_output", "call_id": "item_1", "output": "nine"}
        assert bodies(caller.relay({"item": result})) == [
            {"type": "session.commentary.append", "content": "nine", "delegation_id": "item_1"}
        ]

    def test_the_result_may_be_silent(self) -> None:
        caller = in_call(delegation="client", tools=TOOLS, result="thinking")
        task = {"id": "item_1", "type": "delegation", "target": "client"}
        server(caller, "session.delegation.created", delegation=task, offset_ms=9)
        result = {"type": "function_call_output", "call_id": "item_1", "output": "nine"}
        assert kinds(caller.relay({"item": result})) == ["session.thinking.append"]
        assert (caller.results_are_answered, in_call(tools=TOOLS).results_are_answered) == (False, True)

    def test_a_task_that_nobody_does_is_advice(self) -> None:
        task = {"id": "item_1", "type": "delegation", "target": "client"}
        created = server(in_call(), "session.delegation.created", delegation=task, offset_ms=9)
        assert (advice(created), types(created)) == (["unanswered-delegation"], [])

    def test_arguments_that_are_not_an_object_are_a_finding(self) -> None:
        item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "[1]"}
        event = {"type": "response.output_item.done", "item": item}
        called = server(in_call(tools=TOOLS), "response.event", event=event)
        assert (rules(called), called.events[0].params) == (["bad-arguments"], {})

    def test_a_response_that_failed_is_an_error_and_tokens_are_counted(self) -> None:
        caller = in_call(tools=TOOLS)
        failed = {"type": "response.failed", "response": {"error": {"code": "c", "message": "m"}}}
        (error,) = server(caller, "response.event", event=failed).events
        assert (error.type, error.reason, error.code, error.fatal) == (T.AGENT_ERROR, "m", "c", False)
        done = {"type": "response.completed", "response": {"usage": {"total_tokens": 17}}}
        (usage,) = server(caller, "response.event", event=done).events
        assert (usage.text, usage.params) == ("delegated tokens", {"total_tokens": 17})


class TestUsage:
    def test_seconds_and_the_context_window_are_reported(self) -> None:
        used = server(
            in_call(),
            "session.usage.updated",
            usage={"seconds": 14},
            context_window={"usage_ratio": 0.25},
        )
        assert [(event.text, event.params) for event in used.events] == [
            ("session", {"seconds": 14}),
            ("context window", {"percent": 25.0}),
        ]

    def test_a_total_that_falls_is_a_finding(self) -> None:
        caller = in_call()
        server(caller, "session.usage.updated", usage={"seconds": 14})
        assert rules(server(caller, "session.usage.updated", usage={"seconds": 14})) == []
        assert rules(server(caller, "session.usage.updated", usage={"seconds": 13})) == ["usage-fell"]

    def test_a_window_that_is_nearly_full_is_advice_once(self) -> None:
        caller = in_call()
        ratios = (0.89, 0.9, 0.95)
        found = [
            advice(
                server(
                    caller,
                    "session.usage.updated",
                    usage={"seconds": 1},
                    context_window={"usage_ratio": ratio},
                )
            )
            for ratio in ratios
        ]
        assert found == [[], ["context-window-full"], []]


class TestTheEnd:
    def closed(self, caller: LiveCaller, reason: str) -> Incoming:
        return server(caller, "session.closed", reason=reason, usage={"seconds": 1}, session=SESSION)

    def test_an_end_that_was_asked_for_is_ours(self) -> None:
        caller = in_call()
        assert kinds(caller.hang_up()) == ["session.close"]
        answered = [caller.goodbye_answered]
        assert types(self.closed(caller, "close_requested")) == [T.USAGE]
        answered.append(caller.goodbye_answered)
        assert answered == [False, True]
        assert caller.hang_up() == []

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("close_requested", "the session was closed"),
            ("expired", "the session reached its time limit"),
            ("remote_hangup", "the agent hung up"),
        ],
    )
    def test_the_agent_hangs_up(self, reason: str, expected: str) -> None:
        hung_up = self.closed(in_call(), reason).events[-1]
        assert (hung_up.type, hung_up.reason) == (T.HANG_UP, expected)

    @pytest.mark.parametrize("reason", ["content", "connection_lost"])
    def test_an_end_by_a_failure_is_an_error(self, reason: str) -> None:
        error = self.closed(in_call(), reason).events[-1]
        assert (error.type, error.code, error.fatal) == (T.AGENT_ERROR, reason, True)

    def test_another_reason_is_a_finding(self) -> None:
        assert rules(self.closed(in_call(), "bored")) == ["unknown-reason"]

    def test_a_reply_and_words_end_with_the_session(self) -> None:
        caller = in_call()
        audio(caller)
        words(caller, "output", " Bye", 0, 200)
        ended = self.closed(caller, "remote_hangup")
        assert types(ended) == [T.USAGE, T.AGENT_TEXT, T.PLAY_STREAM_STOP, T.HANG_UP]

    def test_what_was_added_and_never_placed_is_advice(self) -> None:
        caller = in_call()
        caller.update_instructions("x")
        assert advice(self.closed(caller, "expired")) == ["not-appended"]
        caller = in_call()
        caller.update_instructions("x")
        placed = {"start_ms": 1, "end_ms": 1}
        assert rules(server(caller, "session.instructions.appended", **placed)) == []
        assert rules(server(caller, "session.instructions.appended", **placed)) == ["unexpected-appended"]
        assert rules(self.closed(caller, "expired")) == []

    def test_an_error_ends_the_call_only_before_it_has_started(self) -> None:
        caller = a_caller()
        caller.opened()
        error = {"type": "invalid_request_error", "code": "model_not_found", "message": "m"}
        assert server(caller, "error", error=error).events[0].fatal
        assert not server(in_call(), "error", error=error).events[0].fatal


class TestTheAgent:
    def test_every_message_is_one_of_the_package(self) -> None:
        agent = an_agent({"delegation": {"type": "responses", "responses": {"model": "m", "tools": [TOOL]}}})
        agent.say_start("a", "Good morning.")
        agent.say_audio("a", SOUND)
        agent.say_stop("a")
        frames = [frame for _ in range(160) for frame in hear(agent, 100)]
        frames += [*agent.hypothesis("what"), *agent.recognition("what, now", 1)]
        frames += agent.call_tool("opening_hours", {})
        for kind in ("session.input_audio.mute", "session.input_audio.unmute", "decision.create"):
            frames += client(agent, kind).replies
        frames += client(agent, "session.thinking.append", content="x", delegation_id=None).replies
        frames += client(agent, "session.close").replies
        seen = set()
        for frame in frames:
            event = _SERVER.validate_json(frame.frame)
            assert set(body(frame)) <= set(type(event).model_fields)
            seen.add(frame.kind)
        assert seen == {
            "session.output_audio.delta",
            "session.output_transcript.delta",
            "session.input_transcript.delta",
            "session.delegation.created",
            "response.event",
            "session.usage.updated",
            "session.input_audio.muted",
            "session.input_audio.unmuted",
            "session.thinking.appended",
            "session.closed",
            "error",
        }

    def test_its_track_is_as_long_as_the_audio_it_received(self) -> None:
        agent = an_agent()
        agent.say_start("a")
        agent.say_audio("a", SOUND + SOUND[:2_400])
        agent.say_stop("a")
        assert track(agent.track()) == b""
        assert track(hear(agent, 50)) == b""
        assert track(hear(agent, 350)) == SOUND + SOUND[:2_400] + bytes(2_400) + 2 * QUIET

    def test_what_is_interrupted_is_never_said(self) -> None:
        agent = an_agent()
        agent.say_start("a", "one two three")
        agent.say_audio("a", SOUND * 20)
        assert track(hear(agent, 300)) == SOUND * 3
        agent.say_stop("a", interrupted=True)
        frames = hear(agent, 2_000)
        assert track(frames) == QUIET * 20
        assert "session.output_transcript.delta" not in kinds(frames)

    def test_ranges_of_time_are_sent_where_the_url_asks_for_them(self) -> None:
        (delta,) = bodies(hear(an_agent(query={"timestamps": "on"}), 100))
        assert (delta["start_ms"], delta["end_ms"]) == (0, 100)
        assert bodies(hear(an_agent(), 100))[0].keys() == {"type", "delta"}

    def test_muted_audio_is_silence_and_time_passes(self) -> None:
        agent = an_agent()
        client(agent, "session.input_audio.mute")
        loud = base64.b64encode(SOUND).decode()
        assert client(agent, "session.input_audio.append", audio=loud).events[0].audio == QUIET
        assert agent.heard_ms == 100
        client(agent, "session.input_audio.unmute")
        assert client(agent, "session.input_audio.append", audio=loud).events[0].audio == SOUND

    def test_unknown_members_of_the_session_are_refused(self) -> None:
        agent = LiveAgent(lambda: "7", lambda: "now")
        assert (
            code_of(client(agent, "session.start", session={"model": "m", "voice": "x"}))
            == "unknown_parameter"
        )
        assert code_of(client(agent, "session.start", session={})) == "missing_required_parameter"
        audio_format = {"format": {"type": "audio/pcm", "rate": 8000}}
        wrong = client(agent, "session.start", session={"model": "m", "audio": audio_format})
        assert code_of(wrong) == "invalid_value"
        assert code_of(client(agent, "session.input_audio.append", audio="")) == "session_not_started"
        assert kinds(client(agent, "session.start", session={"model": "m"})) == ["session.started"]
        assert code_of(client(agent, "session.start", session={"model": "m"})) == "session_already_started"

    def test_an_unknown_message_is_refused_with_those_it_supports(self) -> None:
        refused = client(an_agent(), "conversation.item.create", event_id="mine")
        (error,) = bodies(refused.replies)
        assert error["error"]["client_event_id"] == "mine"
        assert "session.commentary.append" in error["error"]["message"]

    @pytest.mark.parametrize(
        ("kind", "members", "code"),
        [
            ("session.input_audio.append", {"audio": "AAAA"}, "invalid_audio"),
            ("session.commentary.append", {"content": "x"}, "missing_required_parameter"),
            ("session.commentary.append", {"delegation_id": None}, "missing_required_parameter"),
            ("session.commentary.append", {"content": "x", "delegation_id": "y"}, "unknown_delegation"),
            ("response.create", {}, "invalid_request"),
            ("session.output_audio.fixture.play", {"audio": ""}, "not_supported"),
            ("session.update", {"session": {"delegation": {"type": "responses"}}}, "invalid_value"),
        ],
    )
    def test_other_refusals(self, kind: str, members: dict[str, Any], code: str) -> None:
        assert code_of(client(an_agent(), kind, **members)) == code

    def test_a_task_is_done_by_the_client_that_asks_for_it(self) -> None:
        assert an_agent().tools == ()
        agent = an_agent({"delegation": {"type": "client"}})
        (created,) = bodies(agent.call_tool("delegation", {}))
        ident = created["delegation"]["id"]
        assert agent.tools == ()
        done = client(agent, "session.commentary.append", content="nine", delegation_id=ident)
        assert [(event.type, event.text) for event in done.events] == [(T.TOOL_OUTPUT, "nine")]
        assert len(agent.tools) == 1

    def test_a_result_counts_once_the_response_is_to_continue(self) -> None:
        agent = an_agent({"delegation": {"type": "responses", "responses": {"model": "m", "tools": [TOOL]}}})
        assert [tool["name"] for tool in agent.tools] == ["opening_hours"]
        (*_, called, _) = bodies(agent.call_tool("opening_hours", {}))
        item = {
            "type": "function_call_output",
            "call_id": called["event"]["item"]["call_id"],
            "output": "nine",
        }
        assert types(client(agent, "response.item.create", item=item)) == []
        assert types(client(agent, "response.create")) == [T.TOOL_OUTPUT]
        assert code_of(client(agent, "response.item.create", item=item)) == "unknown_call"

    def test_a_frame_that_cannot_be_read_is_answered(self) -> None:
        agent = an_agent()
        with pytest.raises(ProtocolError) as raised:
            agent.receive("{")
        assert bodies(agent.unreadable(raised.value))[0]["error"]["code"] == "invalid_json"


def test_a_model_in_the_url_is_noticed() -> None:
    assert "--option model=NAME" in OPENAI_LIVE.url_notice(
        "wss://x.example/v1/live/sessions?model=gpt-live-1"
    )
    assert OPENAI_LIVE.url_notice("wss://x.example/v1/live/sessions") == ""
