"""Tests both ends of Asterisk's WebSocket channel against literals of its driver, in JSON and in plain text."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols.shown import advice, bodies, frames, kinds, rules, types
from tui.protocols.asterisk import AsteriskAgent, AsteriskCaller
from tui.protocols.asterisk.queue import FrameQueue
from tui.protocols.asterisk.wire import COMMANDS
from tui.protocols.base import CallerSettings, Handshake, Incoming, ProtocolError
from tui.protocols.base import TelephonyEventType as T

FRAME = b"\x55" * 160
PLAIN = {"control": "plain"}
START = (
    "MEDIA_START connection_id:bot channel:WebSocket/bot/0x7f00 channel_id:1.1 format:slin16"
    " optimal_frame_size:640 ptime:20"
)
TONE = struct.pack("<320h", *(round(9_000 * math.sin(index / 6)) for index in range(320)))


def a_caller(**given: Any) -> AsteriskCaller:
    return AsteriskCaller(CallerSettings(**given), lambda: "c1", lambda: "2025-11-30T00:00:00.000Z")


def in_call(**given: Any) -> AsteriskCaller:
    caller = a_caller(**given)
    caller.opened()
    return caller


def say(caller: AsteriskCaller, command: str, **members: Any) -> Incoming:
    return caller.receive(json.dumps({"command": command, **members}))


def an_agent(start: str = START) -> AsteriskAgent:
    agent = AsteriskAgent(lambda: "x", lambda: "now")
    agent.receive(start)
    return agent


def ticks(caller: AsteriskCaller, count: int) -> list[str]:
    """Returns the events that are sent while the user sends ``count`` frames."""
    return [kind for kind in kinds(caller.user_audio(FRAME * count)) if kind != "audio"]


class TestWhatAsteriskSends:
    def test_the_start_in_json(self) -> None:
        (start,) = a_caller(agent_name="my bot", params={"tier": "gold"}, formats=("slin16",)).opened()
        assert start.frame == (
            '{"event":"MEDIA_START","connection_id":"my-bot","channel":"WebSocket/my-bot/0x7f2e2a019788",'
            '"channel_id":"1764460800.1","format":"slin16","optimal_frame_size":640,"ptime":20,'
            '"channel_variables":{"tier":"gold"}}'
        )

    def test_the_start_in_plain_text(self) -> None:
        options = {**PLAIN, "connection": "bot", "channel_id": "7.1"}
        (start,) = a_caller(options=options).opened()
        assert isinstance(start.frame, str)
        assert start.frame.startswith("MEDIA_START connection_id:bot channel:WebSocket/bot/0x7f")
        assert start.frame.endswith(" channel_id:7.1 format:ulaw optimal_frame_size:160 ptime:20")

    def test_the_status(self) -> None:
        ids = {"channel_id": "7.1"}
        (in_json,) = frames(say(in_call(options=ids), "GET_STATUS").replies)
        assert in_json == (
            '{"event":"STATUS","channel_id":"7.1","queue_length":0,"xon_level":800,"xoff_level":900,'
            '"queue_full":false,"bulk_media":false,"media_paused":false}'
        )
        (plain,) = frames(in_call(options={**ids, **PLAIN}).receive("GET_STATUS").replies)
        assert plain == (
            "STATUS channel_id:7.1 queue_length:0 xon_level:800 xoff_level:900 queue_full:false"
            " bulk_media:false media_paused:false"
        )

    def test_keys(self) -> None:
        ids = {"channel_id": "7.1"}
        assert frames(in_call(options=ids).dtmf("5")) == [
            '{"event":"DTMF_END","channel_id":"7.1","digit":"5"}'
        ]
        assert frames(in_call(options={**ids, **PLAIN}).dtmf("5#")) == [
            "DTMF_END digit:5 channel_id:7.1",
            "DTMF_END digit:# channel_id:7.1",
        ]

    def test_audio_is_sent_in_frames_of_20_ms(self) -> None:
        caller = in_call()
        assert caller.user_audio(FRAME[:100]) == []
        (sent,) = caller.user_audio(FRAME[:100])
        assert (sent.frame, sent.audio_ms) == (FRAME, 20)
        assert a_caller().user_audio(FRAME) == []


class TestMarks:
    def test_a_mark_and_the_end_of_buffering_are_acknowledged_once_they_are_reached(self) -> None:
        caller = in_call(options={"channel_id": "7.1"})
        assert types(say(caller, "MARK_MEDIA", correlation_id="a")) == [T.MARK]
        say(caller, "START_MEDIA_BUFFERING")
        assert types(say(caller, "STOP_MEDIA_BUFFERING", correlation_id="a")) == [T.MARK]
        assert frames(caller.mark_reached("a")) == [
            '{"event":"MEDIA_MARK_PROCESSED","channel_id":"7.1","correlation_id":"a"}'
        ]
        assert kinds(caller.mark_reached("a")) == ["MEDIA_BUFFERING_COMPLETED"]
        assert caller.mark_reached("a") == []

    @pytest.mark.parametrize("mark", ["MARK_MEDIA", "MARK_MEDIA the end"])
    def test_in_plain_text_an_id_is_the_rest_of_the_line(self, mark: str) -> None:
        caller = in_call(options=PLAIN)
        name = mark.removeprefix("MARK_MEDIA").strip()
        assert [event.text for event in caller.receive(mark).events] == [name]
        assert frames(caller.mark_reached(name)) == [f"MEDIA_MARK_PROCESSED {name}".strip()]

    def test_a_flush_loses_those_that_are_pending(self) -> None:
        caller = in_call()
        say(caller, "MARK_MEDIA", correlation_id="a")
        assert advice(say(caller, "FLUSH_MEDIA")) == ["marks-lost"]
        say(caller, "MARK_MEDIA", correlation_id="a")
        assert [len(caller.mark_reached("a")) for _ in range(3)] == [0, 1, 0]

    def test_a_flush_without_pending_marks_is_not_advised_against(self) -> None:
        caller = in_call()
        say(caller, "MARK_MEDIA", correlation_id="a")
        caller.mark_reached("a")
        incoming = say(caller, "FLUSH_MEDIA")
        assert (types(incoming), rules(incoming), incoming.replies) == ([T.CLEAR], [], ())


class TestAudio:
    def test_whole_frames_are_played(self) -> None:
        incoming = in_call().receive(FRAME * 3)
        assert types(incoming) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert (incoming.events[1].audio, rules(incoming), incoming.audio_ms) == (FRAME * 3, [], 60)

    def test_outside_buffering_the_remainder_of_a_message_is_lost(self) -> None:
        caller = in_call()
        incoming = caller.receive(FRAME + FRAME[:96])
        assert rules(incoming) == ["remainder-lost"]
        assert incoming.findings[0].text.startswith("12 ms of audio at the end of a message were dropped")
        lost = [event.audio for event in incoming.events if event.type is T.PLAY_STREAM_DISCARDED]
        assert lost == [FRAME[:96]]
        again = caller.receive(FRAME[:100])  # shorter than a frame: lost completely, and reported once
        assert (types(again), rules(again)) == ([T.PLAY_STREAM_DISCARDED], [])

    def test_while_buffering_messages_of_any_size_are_cut_again_and_the_end_is_filled(self) -> None:
        caller = in_call()
        say(caller, "START_MEDIA_BUFFERING")
        played, found = b"", []
        for size in (100, 100, 7, 500):
            incoming = caller.receive(b"\x55" * size)
            played += b"".join(event.audio for event in incoming.events)
            found += rules(incoming)
        assert len(played) == 640
        stopped = say(caller, "STOP_MEDIA_BUFFERING", correlation_id="a")
        assert stopped.events[0].audio == b"\x55" * 67 + b"\xff" * 93
        assert (found, rules(stopped), types(stopped)[-1]) == ([], [], T.MARK)

    def test_a_flush_ends_buffering_and_drops_the_remainder(self) -> None:
        caller = in_call()
        say(caller, "START_MEDIA_BUFFERING")
        caller.receive(FRAME[:100])
        say(caller, "FLUSH_MEDIA")
        assert types(caller.receive(FRAME)) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert advice(say(caller, "STOP_MEDIA_BUFFERING")) == ["not-buffering"]

    def test_the_queue_asks_to_stop_at_900_frames_and_to_go_on_below_800(self) -> None:
        caller = in_call()
        assert caller.receive(FRAME * 400).replies == ()
        assert caller.receive(FRAME * 400).replies == ()
        assert kinds(caller.receive(FRAME * 100)) == ["MEDIA_XOFF"]
        assert ticks(caller, 101) == []
        assert bodies(say(caller, "GET_STATUS").replies)[0]["queue_full"] is True
        assert ticks(caller, 1) == ["MEDIA_XON"]
        assert ticks(caller, 100) == []

    def test_what_is_sent_at_1000_frames_is_lost_without_an_answer(self) -> None:
        caller = in_call()
        caller.receive(FRAME * 400)
        caller.receive(FRAME * 400)
        assert rules(caller.receive(FRAME * 300)) == []  # below the limit when it arrived
        incoming = caller.receive(FRAME)
        assert (types(incoming), rules(incoming)) == ([T.PLAY_STREAM_DISCARDED], ["queue-overflow"])
        assert rules(caller.receive(FRAME)) == []
        ticks(caller, 101)
        assert T.PLAY_STREAM_CHUNK in types(caller.receive(FRAME))

    def test_sending_on_after_being_asked_to_stop_is_found_after_a_second(self) -> None:
        caller = in_call()
        for _ in range(3):
            caller.receive(FRAME * 320)
        ticks(caller, 49)
        assert rules(caller.receive(FRAME)) == []
        ticks(caller, 1)
        assert rules(caller.receive(FRAME)) == ["sent-after-xoff"]
        assert rules(caller.receive(FRAME)) == []

    def test_the_end_of_the_queue_is_reported_once_it_is_asked_for(self) -> None:
        caller = in_call()
        caller.receive(FRAME * 3)
        say(caller, "MARK_MEDIA", correlation_id="a")
        say(caller, "REPORT_QUEUE_DRAINED")
        assert ticks(caller, 10) == []  # the mark has not been heard yet
        caller.mark_reached("a")
        assert ticks(caller, 3) == ["QUEUE_DRAINED"]
        assert ticks(caller, 3) == []

    @pytest.mark.parametrize(
        ("formats", "audio", "expected"),
        [
            (("slin16",), TONE, []),
            (("slin16",), struct.pack(">320h", *struct.unpack("<320h", TONE)), ["byte-order"]),
            (("slin16",), bytes(0xFF - index % 24 for index in range(640)), ["looks-like-mulaw"]),
            (("ulaw",), FRAME, []),
            (("ulaw",), FRAME[:120] + bytes(40), ["loud-silence"]),
            (("ulaw",), b"\xff" * 160, []),
        ],
    )
    def test_audio_of_another_encoding_is_advice(
        self, formats: tuple[str, ...], audio: bytes, expected: list[str]
    ) -> None:
        assert advice(in_call(formats=formats).receive(audio)) == expected

    def test_a_message_beyond_the_limit_is_found(self) -> None:
        assert rules(in_call().receive(FRAME * 410)) == ["message-too-long"]
        assert rules(in_call().receive(FRAME * 409)) == []

    def test_a_wav_header_is_found_and_not_played(self) -> None:
        header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + bytes(16) + b"data\xff\xff\xff\xff"
        incoming = in_call().receive(header + FRAME)
        assert (rules(incoming), incoming.events[1].audio) == (["header-in-audio"], FRAME)

    @settings(derandomize=True, max_examples=60, deadline=None)
    @given(st.lists(st.binary(max_size=500), max_size=8), st.booleans())
    def test_every_byte_is_played_waits_or_is_lost(self, messages: list[bytes], buffering: bool) -> None:
        queue = FrameQueue(160)
        queue.buffering = buffering
        played, lost = map(b"".join, zip(*map(queue.put, messages), strict=True)) if messages else (b"", b"")
        last = queue.stop_buffering(b"\xff" * 160)
        assert len(played) % 160 == len(last) % 160 == 0
        assert queue.length == len(played + last) // 160
        whole = b"".join(messages)
        if buffering:
            assert lost == b""
            assert (played + last)[: len(whole)] == whole
            assert len(played + last) - len(whole) in range(160)
        else:
            assert last == b""
            assert len(played) + len(lost) == len(whole)


class TestCommands:
    @pytest.mark.parametrize(
        ("size", "expected"), [(128, []), (129, ["command-too-long"]), (4_000, ["command-too-long"])]
    )
    def test_one_of_more_than_128_bytes_does_nothing(self, size: int, expected: list[str]) -> None:
        shortest = len(json.dumps({"command": "MARK_MEDIA", "correlation_id": ""}))
        incoming = say(in_call(), "MARK_MEDIA", correlation_id="x" * (size - shortest))
        assert (rules(incoming), incoming.kind) == (expected, "MARK_MEDIA")
        assert types(incoming) == ([] if expected else [T.MARK])

    def test_one_that_is_no_json_is_refused(self) -> None:
        incoming = in_call(options={"channel_id": "7.1"}).receive('{"command":"ANSWER"')
        assert (incoming.kind, rules(incoming)) == ("ANSWER", ["not-json"])
        assert frames(incoming.replies) == [
            '{"event":"ERROR","channel_id":"7.1","error_text":"Unable to parse JSON command"}'
        ]

    def test_one_in_the_other_form_is_found_and_does_nothing(self) -> None:
        plain = in_call().receive("HANGUP")
        assert (rules(plain), types(plain), kinds(plain)) == (["wrong-control-format"], [], ["ERROR"])
        assert "--option control=plain" in plain.findings[0].text
        in_json = in_call(options=PLAIN).receive('{"command":"HANGUP"}')
        assert (rules(in_json), types(in_json), kinds(in_json)) == (["wrong-control-format"], [], [])
        assert "--option control=json" in in_json.findings[0].text

    @pytest.mark.parametrize("command", ["DANCE", "hangup"])
    def test_an_unknown_one_is_found(self, command: str) -> None:
        for incoming in (say(in_call(), command), in_call(options=PLAIN).receive(command)):
            assert (incoming.known, rules(incoming), types(incoming)) == (False, ["unknown-type"], [])

    @pytest.mark.parametrize("frame", ['{"x":1}', '{"command":7}', "{}", '{"command":null}'])
    def test_a_message_without_a_command_is_an_error(self, frame: str) -> None:
        with pytest.raises(ProtocolError):
            in_call().receive(frame)

    def test_a_hang_up(self) -> None:
        assert types(say(in_call(), "HANGUP")) == [T.HANG_UP]
        assert types(in_call(options=PLAIN).receive("HANGUP")) == [T.HANG_UP]

    def test_a_pause_holds_playback_and_is_kept_in_the_status(self) -> None:
        caller = in_call()
        assert types(say(caller, "CONTINUE_MEDIA")) == []
        paused = say(caller, "PAUSE_MEDIA")
        assert (types(paused), paused.findings) == ([T.PLAY_HELD], ())
        assert bodies(say(caller, "GET_STATUS").replies)[0]["media_paused"] is True
        assert types(say(caller, "CONTINUE_MEDIA")) == [T.PLAY_CONTINUED]
        assert bodies(say(caller, "GET_STATUS").replies)[0]["media_paused"] is False

    def test_a_reply_that_starts_during_a_pause_is_held(self) -> None:
        caller = in_call()
        say(caller, "PAUSE_MEDIA")
        held = [T.PLAY_STREAM_START, T.PLAY_HELD, T.PLAY_STREAM_CHUNK]
        assert types(caller.receive(FRAME)) == held
        assert types(caller.receive(FRAME)) == [T.PLAY_STREAM_CHUNK]

    def test_nothing_is_reported_during_a_pause(self) -> None:
        caller = in_call()
        caller.receive(FRAME)
        for command in ("MARK_MEDIA", "REPORT_QUEUE_DRAINED", "PAUSE_MEDIA"):
            say(caller, command, correlation_id="m")
        assert (caller.mark_reached("m"), ticks(caller, 3)) == ([], [])
        continued = say(caller, "CONTINUE_MEDIA")
        assert (kinds(continued), ticks(caller, 2)) == (["MEDIA_MARK_PROCESSED"], ["QUEUE_DRAINED"])

    def test_a_flush_during_a_pause_drops_the_marks_that_waited(self) -> None:
        caller = in_call()
        say(caller, "MARK_MEDIA", correlation_id="m")
        say(caller, "PAUSE_MEDIA")
        caller.mark_reached("m")
        say(caller, "FLUSH_MEDIA")
        assert kinds(say(caller, "CONTINUE_MEDIA")) == []

    @pytest.mark.parametrize(("options", "paused"), [({}, True), ({"flush_ends_pause": "on"}, False)])
    def test_whether_a_flush_ends_a_pause_is_an_option(self, options: dict[str, str], paused: bool) -> None:
        caller = in_call(options=options)
        say(caller, "PAUSE_MEDIA")
        flushed = say(caller, "FLUSH_MEDIA")
        assert (types(flushed)[-1] is T.PLAY_CONTINUED) is not paused
        assert bodies(say(caller, "GET_STATUS").replies)[0]["media_paused"] is paused

    @pytest.mark.parametrize(
        ("direction", "expected"),
        [
            ("both", []),
            ("out", []),
            ("in", []),
            ("left", ["bad-direction"]),
            (None, ["missing-member"]),
        ],
    )
    def test_a_direction(self, direction: str | None, expected: list[str]) -> None:
        assert rules(say(in_call(), "SET_MEDIA_DIRECTION", direction=direction)) == expected
        if direction:
            plain = in_call(options=PLAIN).receive(f"SET_MEDIA_DIRECTION direction:{direction}")
            assert rules(plain) == expected

    def test_after_out_the_users_audio_is_withheld_and_the_clock_continues(self) -> None:
        caller = in_call()
        caller.receive(FRAME * 2)
        say(caller, "REPORT_QUEUE_DRAINED")
        say(caller, "SET_MEDIA_DIRECTION", direction="out")
        assert (caller.user_stream_open, caller.user_audio(FRAME)) == (False, [])
        assert kinds(caller.withheld(FRAME * 3)) == ["QUEUE_DRAINED"]
        say(caller, "SET_MEDIA_DIRECTION", direction="both")
        assert kinds(caller.user_audio(FRAME)) == ["audio"]

    @pytest.mark.parametrize(
        "command",
        ["START_MEDIA_BUFFERING", "STOP_MEDIA_BUFFERING", "MARK_MEDIA", "PAUSE_MEDIA", "CONTINUE_MEDIA"],
    )
    def test_after_in_no_command_for_playback_is_accepted(self, command: str) -> None:
        caller = in_call()
        say(caller, "SET_MEDIA_DIRECTION", direction="in")
        refused = say(caller, command)
        assert (kinds(refused), rules(refused), types(refused)) == (
            ["ERROR"],
            ["command-against-direction"],
            [],
        )
        assert kinds(say(caller, "GET_STATUS")) == ["STATUS"]
        say(caller, "SET_MEDIA_DIRECTION", direction="both")
        assert "command-against-direction" not in rules(say(caller, command))

    def test_after_in_the_servers_audio_is_dropped(self) -> None:
        caller = in_call()
        say(caller, "SET_MEDIA_DIRECTION", direction="in")
        dropped = caller.receive(FRAME)
        assert (types(dropped), advice(dropped)) == ([T.PLAY_STREAM_DISCARDED], ["audio-against-direction"])
        assert kinds(caller.user_audio(FRAME)) == ["audio"]
        say(caller, "SET_MEDIA_DIRECTION", direction="out")
        assert types(caller.receive(FRAME)) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]


class TestTheAgent:
    def test_it_answers_in_the_form_that_it_was_spoken_to(self) -> None:
        agent = an_agent()
        assert frames(agent.say_start("a")) == ["START_MEDIA_BUFFERING"]
        assert frames(agent.say_audio("a", bytes(700))) == [bytes(640)]
        assert frames(agent.say_stop("a")) == [bytes(640), "STOP_MEDIA_BUFFERING reply-1"]
        played = agent.receive("MEDIA_BUFFERING_COMPLETED reply-1")
        assert [event.stream_id for event in played.events] == ["", "a"]
        assert frames(agent.hang_up("done")) == ["HANGUP"]

    def test_a_message_is_cut_where_asterisk_would_hang_up(self) -> None:
        agent = an_agent()
        agent.say_start("a")
        assert [len(each.frame) for each in agent.say_audio("a", bytes(130_560))] == [65_280, 65_280]

    def test_between_xoff_and_xon_it_keeps_what_it_has_to_say(self) -> None:
        agent = an_agent()
        agent.say_start("a")
        agent.receive("MEDIA_XOFF")
        assert [*agent.say_audio("a", bytes(640)), *agent.say_stop("a")] == []
        assert frames(agent.receive("MEDIA_XON").replies) == [bytes(640), "STOP_MEDIA_BUFFERING reply-1"]

    def test_a_flush_drops_what_it_has_kept_and_ends_every_reply(self) -> None:
        agent = an_agent()
        agent.say_start("a")
        agent.say_stop("a")
        agent.say_start("b")
        agent.receive("MEDIA_XOFF")
        agent.say_audio("b", bytes(640))
        assert frames(agent.say_stop("b", interrupted=True)) == ["FLUSH_MEDIA"]
        went_on = agent.receive("MEDIA_XON")
        assert [event.stream_id for event in went_on.events] == ["a", "b"]
        assert went_on.replies == ()
        assert agent.say_stop("b", interrupted=True) == []

    def test_parameters_come_from_the_url_and_from_the_channel(self) -> None:
        agent = AsteriskAgent(lambda: "x", lambda: "now")
        agent.admit(Handshake(query={"uuid": "7", "tier": "silver"}))
        start = {"event": "MEDIA_START", "format": "ulaw", "optimal_frame_size": 160}
        incoming = agent.receive(json.dumps({**start, "channel_variables": {"tier": "gold"}}))
        assert incoming.events[-1].params == {"uuid": "7", "tier": "gold"}

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            (START, []),
            (START.replace(":640", ":160"), ["other-frame-size"]),
            (START.replace(" optimal_frame_size:640", ""), ["other-frame-size"]),
            (START.replace("slin16", "opus"), ["other-format"]),
            (START.replace(" format:slin16", ""), ["missing-member", "other-format"]),
        ],
    )
    def test_the_start_is_judged(self, start: str, expected: list[str]) -> None:
        agent = AsteriskAgent(lambda: "x", lambda: "now")
        incoming = agent.receive(start)
        assert rules(incoming) == expected
        assert kinds(incoming) == (["HANGUP"] if "other-format" in expected else [])

    def test_audio_may_come_before_the_start(self) -> None:
        agent = AsteriskAgent(lambda: "x", lambda: "now")
        assert (agent.receive(FRAME).events, rules(agent.receive(FRAME))) == ((), [])

    def test_a_refusal_is_found(self) -> None:
        incoming = an_agent().receive("ERROR channel_id:1.1 error_text:Unable to parse JSON command")
        assert rules(incoming) == ["refused"]
        assert "Unable to parse JSON command" in incoming.findings[0].text


_WORDS = [
    *COMMANDS,
    START,
    "DTMF_END digit:5",
    "STATUS queue_length:1 queue_full:true",
    "MEDIA_XOFF",
    "MEDIA_XON",
]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=2), st.text(max_size=20), st.binary(max_size=400))
def test_only_a_protocol_error_escapes_whatever_plain_text_is_received(
    words: list[str], text: str, audio: bytes
) -> None:
    caller, agent = in_call(options=PLAIN), an_agent()
    for frame in (audio, " ".join(words), " ".join([*words, text]), text, ":".join([*words, text])):
        for end in (caller, agent):
            try:
                incoming = end.receive(frame)
            except ProtocolError:
                continue
            assert len(incoming.summary) <= 120
            assert "\n" not in incoming.summary
        caller.user_audio(FRAME)
        agent.say_audio("a", FRAME)
