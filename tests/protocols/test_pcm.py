from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest

from tests.protocols.shown import frames, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import wav_header
from tui.protocols.base import CallerSettings, Incoming, ProtocolError, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.pcm import PCM, PcmAgent, PcmCaller

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
PCM_24K = AudioFormat(Encoding.PCM16, 24_000)
AUDIO = bytes(range(256)) * 2 + bytes(128)


def a_caller(formats: tuple[str, ...] = (), **options: str) -> PcmCaller:
    return PcmCaller(CallerSettings(formats=formats, options=options), lambda: "id", lambda: "now")


def in_call(**options: str) -> PcmCaller:
    caller = a_caller((), **options)
    caller.opened()
    return caller


def an_agent(**options: Any) -> PcmAgent:
    return PcmAgent(lambda: "id", lambda: "now", **options)


def say(end: PcmCaller | PcmAgent, kind: str, **members: Any) -> Incoming:
    return end.receive(json.dumps({"type": kind, **members}))


def floats(count: int) -> bytes:
    return struct.pack(f"<{count}f", *(0.5 * math.sin(number / 3) for number in range(count)))


class TestTheCallersSettings:
    def test_by_default_nothing_is_sent_and_audio_may_flow(self) -> None:
        caller = a_caller()
        assert caller.user_audio(AUDIO) == []
        assert caller.opened() == []
        assert (caller.user_stream_open, caller.barge_in, caller.user_format) == (True, True, PCM_16K)

    def test_the_hello(self) -> None:
        (hello,) = a_caller(hello="on", rate="8000").opened()
        assert hello.frame == '{"type":"start","sample_rate":8000,"channels":1,"encoding":"pcm_s16le"}'
        assert (hello.kind, hello.summary) == ("start", "start, pcm16 8 kHz")

    def test_the_rates(self) -> None:
        caller = in_call(rate="8000")
        assert caller.user_format == AudioFormat(Encoding.PCM16, 8_000)
        assert caller.receive(AUDIO).events[0].format == AudioFormat(Encoding.PCM16, 8_000)
        assert in_call(play_rate="24000").receive(AUDIO).events[0].format == PCM_24K
        assert a_caller(formats=("pcm_24000", "pcm_8000")).user_format == PCM_24K
        assert a_caller(formats=("pcm_24000",), rate="16000").user_format == PCM_16K


class TestMessagesFromTheCaller:
    @pytest.mark.parametrize("size", [1, 639, 640, 8_001])
    def test_audio_goes_out_as_it_is(self, size: int) -> None:
        (frame,) = in_call().user_audio(bytes(size))
        assert (frame.frame, frame.kind, frame.audio_ms) == (bytes(size), "audio", size / 32)
        assert in_call().user_audio(b"") == []

    def test_with_the_option_end_a_message_ends_the_turn(self) -> None:
        caller = in_call(end="on")
        open_before = caller.user_stream_open
        assert caller.user_audio(AUDIO) == caller.stop_user_stream() == caller.start_user_stream() == []
        open_meanwhile = caller.user_stream_open
        assert frames(caller.user_audio(AUDIO) + caller.stop_user_stream()) == [AUDIO, '{"type":"end"}']
        assert (open_before, open_meanwhile, caller.user_stream_open) == (False, True, False)
        assert caller.stop_user_stream() == caller.hang_up() == []

    def test_which_side_detects_the_end_of_a_turn(self) -> None:
        assert in_call().agent_detects_turns
        assert not in_call(end="on").agent_detects_turns

    def test_hanging_up_ends_a_turn_that_is_open(self) -> None:
        caller = in_call(end="on")
        caller.start_user_stream()
        assert frames(caller.hang_up()) == ['{"type":"end"}']
        caller.start_user_stream()
        assert caller.user_audio(AUDIO) == in_call().hang_up() == []


class TestTheAgentsAudio:
    def test_the_first_frame_begins_a_reply(self) -> None:
        caller = in_call()
        incoming = caller.receive(AUDIO)
        assert incoming.events == (
            TelephonyEvent(type=T.PLAY_STREAM_START, stream_id="reply-1", format=PCM_16K),
            TelephonyEvent(type=T.PLAY_STREAM_CHUNK, stream_id="reply-1", format=PCM_16K, audio=AUDIO),
        )
        assert (incoming.kind, incoming.summary, incoming.audio_ms) == ("audio", "agent audio 20 ms", 20)
        assert (incoming.known, incoming.findings) == (True, ())
        assert types(caller.receive(b"x")) == [T.PLAY_STREAM_CHUNK]

    @pytest.mark.parametrize(
        "end", [b"", "end", " Stop\n", '{"type":"eos"}', '{"event":"end"}', '{"action":"STOP"}']
    )
    def test_it_may_say_that_the_reply_is_complete(self, end: str | bytes) -> None:
        caller = in_call()
        assert caller.receive(end).events == ()
        caller.receive(AUDIO)
        assert types(caller.receive(end)) == [T.PLAY_STREAM_STOP]
        assert caller.receive(AUDIO).events[0].stream_id == "reply-2"

    def test_if_it_does_not_the_reply_ends_with_playback(self) -> None:
        caller = in_call()
        caller.receive(AUDIO)
        assert caller.playback_finished("reply-1", heard_ms=20, received_ms=20) == []
        assert types(caller.receive(AUDIO)) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert caller.interrupted("reply-2", heard_ms=1, received_ms=20) == []
        assert types(caller.receive(AUDIO)) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]

    @pytest.mark.parametrize("flush", ['{"type":"interrupt"}', '{"op":"clear"}', "cancel"])
    def test_it_flushes(self, flush: str) -> None:
        caller = in_call()
        assert types(caller.receive(flush)) == [T.CLEAR]
        caller.receive(AUDIO)
        assert types(caller.receive(flush)) == [T.CLEAR, T.PLAY_STREAM_STOP]

    @pytest.mark.parametrize("member", ["data", "audio"])
    def test_audio_as_base64(self, member: str) -> None:
        incoming = say(in_call(), "audio", **{member: base64.b64encode(AUDIO).decode()})
        assert types(incoming) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert (incoming.events[1].audio, incoming.audio_ms, incoming.findings) == (AUDIO, 20, ())
        assert rules(say(in_call(), "audio", **{member: "!"})) == ["bad-base64"]

    def test_a_wav_header_is_removed(self) -> None:
        incoming = in_call().receive(wav_header(PCM_16K) + AUDIO)
        assert (rules(incoming), incoming.events[1].audio) == (["wav-header"], AUDIO)

    def test_floats_are_reported_once(self) -> None:
        caller = in_call()
        quiet = bytes(512)
        assert [rules(caller.receive(audio)) for audio in (quiet, floats(160), floats(160))] == [
            [],
            ["float-samples"],
            [],
        ]

    @pytest.mark.parametrize("amplitude", [1, 100, 3_000, 16_000, 32_767])
    def test_integers_are_not_taken_for_floats(self, amplitude: int) -> None:
        samples = (int(amplitude * math.sin(number / 7)) for number in range(960))
        assert in_call().receive(struct.pack("<960h", *samples)).findings == ()


class TestTheAgentsText:
    def test_ready_names_the_rates(self) -> None:
        caller = in_call()
        caller.receive(AUDIO)
        incoming = say(caller, "ready", sample_rate=16_000, output_sample_rate=24_000)
        assert (types(incoming), rules(incoming)) == ([T.CONFIG], [])
        assert caller.receive(AUDIO).events[0].format == PCM_16K
        caller.playback_finished("reply-1", heard_ms=0, received_ms=0)
        assert caller.receive(AUDIO).events[0].format == PCM_24K

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({}, []),
            ({"sample_rate": 8_000}, ["other-rate"]),
            ({"input_sample_rate": 8_000}, ["other-rate"]),
            ({"output_sample_rate": 1}, ["strange-rate"]),
            ({"output_sample_rate": "24000"}, ["wrong-type-member"]),
        ],
    )
    def test_strange_rates(self, members: dict[str, Any], expected: list[str]) -> None:
        assert rules(say(in_call(), "ready", **members)) == expected

    @pytest.mark.parametrize(
        ("members", "meaning"),
        [
            ({"role": "user", "final": True}, T.SPEECH_RECOGNITION),
            ({"role": "user", "final": False}, T.SPEECH_HYPOTHESIS),
            ({"is_final": False}, T.SPEECH_HYPOTHESIS),
            ({"partial": True}, T.SPEECH_HYPOTHESIS),
            ({"partial": False}, T.SPEECH_RECOGNITION),
            ({}, T.SPEECH_RECOGNITION),
            ({"role": "Assistant"}, T.AGENT_TEXT),
            ({"role": "assistant", "final": False}, T.AGENT_TEXT),
        ],
    )
    def test_transcripts(self, members: dict[str, Any], meaning: T) -> None:
        final = meaning is not T.AGENT_TEXT or "final" not in members
        expected = (TelephonyEvent(type=meaning, text="hello", final=final),)
        for body in ({"text": "hello", **members}, {"data": {"text": "hello", **members}}):
            incoming = say(in_call(), "transcript", **body)
            assert (incoming.events, incoming.findings) == (expected, ())
            assert incoming.summary.endswith("hello")

    def test_each_sentence_of_a_reply_is_a_part_of_it(self) -> None:
        caller = in_call()
        say_audio = caller.receive(AUDIO)
        assert say_audio.events
        seen = [
            say(caller, "transcript", role="agent", text=text, final=final).events[0]
            for text, final in (("He", False), ("Hello.", True), ("How", False), ("How are you?", True))
        ]
        assert [(event.part, event.text) for event in seen] == [
            (0, "He"),
            (0, "Hello."),
            (1, "How"),
            (1, "How are you?"),
        ]
        caller.playback_finished(seen[0].stream_id, heard_ms=20, received_ms=20)
        caller.receive(AUDIO)
        assert say(caller, "transcript", role="agent", text="Yes.").events[0].part == 0

    def test_the_agents_words_belong_to_the_reply_that_is_open(self) -> None:
        caller = in_call()
        caller.receive(AUDIO)
        meanwhile = say(caller, "transcript", role="agent", text="x").events[0].stream_id
        caller.receive(b"")
        afterwards = say(caller, "transcript", role="agent", text="x").events[0].stream_id
        assert (meanwhile, afterwards) == ("reply-1", "")

    def test_errors(self) -> None:
        incoming = say(in_call(), "error", message="no model", code=7)
        assert incoming.events == (
            TelephonyEvent(type=T.AGENT_ERROR, reason="no model", code="7", answer_failed=True),
        )
        incoming = say(in_call(), "error", error={"text": "x"})
        assert incoming.events[0].reason == '{"type":"error","error":{"text":"x"}}'

    @pytest.mark.parametrize("frame", ["ping", '{"type":"ping"}'])
    def test_a_ping_is_answered(self, frame: str) -> None:
        assert frames(in_call().receive(frame).replies) == ['{"type":"pong"}']
        assert frames(an_agent().receive(frame).replies) == ['{"type":"pong"}']

    @pytest.mark.parametrize(
        ("frame", "kind", "summary"),
        [
            ('{"type":"Usage","tokens":7}', "usage", 'usage: {"type":"Usage","tokens":7}'),
            ('{"tokens":7}', "json", 'json: {"tokens":7}'),
            ('{"type":7}', "json", 'json: {"type":7}'),
            ("hello\nthere", "text", "hello there"),
            ("", "text", ""),
            ("[1]", "text", "[1]"),
            ("x" * 1_000, "text", "x" * 119 + "…"),
        ],
    )
    def test_everything_else_is_shown(self, frame: str, kind: str, summary: str) -> None:
        for end in (in_call(), an_agent()):
            incoming = end.receive(frame)
            assert (incoming.kind, incoming.summary, incoming.known) == (kind, summary, True)
            assert (incoming.events, incoming.findings, incoming.replies) == ((), (), ())

    @pytest.mark.parametrize(("frame", "code"), [('{"type"', "not-json"), ("\ud800", "not-utf8")])
    def test_unreadable_frames(self, frame: str, code: str) -> None:
        with pytest.raises(ProtocolError) as raised:
            in_call().receive(frame)
        assert raised.value.code == code


class TestTheAgent:
    def test_it_announces_its_rates(self) -> None:
        agent = an_agent(play_rate=24_000)
        assert frames(agent.opened()) == ['{"type":"ready","sample_rate":16000,"output_sample_rate":24000}']
        assert (agent.user_format, agent.play_format) == (PCM_16K, PCM_24K)

    def test_the_first_audio_begins_the_call(self) -> None:
        agent = an_agent()
        incoming = agent.receive(AUDIO)
        assert types(incoming) == [
            T.SESSION_INITIATE,
            T.CALL_STARTED,
            T.USER_STREAM_START,
            T.USER_STREAM_CHUNK,
        ]
        assert (incoming.events[3].audio, incoming.audio_ms) == (AUDIO, 20)
        assert types(agent.receive(AUDIO)) == [T.USER_STREAM_CHUNK]

    def test_a_hello_begins_the_call_and_names_the_rate(self) -> None:
        agent = an_agent()
        incoming = say(agent, "start", sample_rate=24_000, channels=1, encoding="pcm_s16le")
        assert (types(incoming), rules(incoming)) == ([T.SESSION_INITIATE, T.CALL_STARTED], [])
        assert agent.user_format == PCM_24K
        assert types(agent.receive(AUDIO)) == [T.USER_STREAM_START, T.USER_STREAM_CHUNK]

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"channels": 2}, ["other-format"]),
            ({"encoding": "float32"}, ["other-format"]),
            ({"sample_rate": 0}, ["strange-rate"]),
        ],
    )
    def test_a_strange_hello(self, members: dict[str, Any], expected: list[str]) -> None:
        agent = an_agent()
        assert rules(say(agent, "start", **members)) == expected
        assert agent.user_format == PCM_16K

    @pytest.mark.parametrize("end", [b"", "end", '{"type":"eos"}'])
    def test_the_end_of_the_users_turn(self, end: str | bytes) -> None:
        agent = an_agent()
        assert agent.receive(end).events == ()
        agent.receive(AUDIO)
        assert types(agent.receive(end)) == [T.USER_STREAM_STOP]
        assert types(agent.receive(AUDIO)) == [T.USER_STREAM_START, T.USER_STREAM_CHUNK]

    def test_a_reply(self) -> None:
        agent = an_agent()
        sent = [*agent.say_start("a", "Hi"), *agent.say_audio("a", AUDIO), *agent.say_stop("a")]
        assert frames(sent) == [
            '{"type":"transcript","role":"agent","text":"Hi","final":true}',
            AUDIO,
            '{"type":"end"}',
        ]
        assert agent.say_audio("a", AUDIO) == agent.say_stop("a") == []
        assert frames(agent.say_stop("a", interrupted=True)) == ['{"type":"interrupt"}']
        assert agent.say_stop("a", interrupted=True) == []

    def test_an_interrupted_reply(self) -> None:
        agent = an_agent()
        agent.say_start("a")
        assert frames(agent.say_stop("a", interrupted=True)) == ['{"type":"interrupt"}']
        agent.say_start("b")
        assert frames(agent.say_start("c")) == ['{"type":"end"}']

    def test_what_the_user_says(self) -> None:
        agent = an_agent()
        assert frames([*agent.hypothesis("wh"), *agent.recognition("what", 0.9)]) == [
            '{"type":"transcript","role":"user","text":"wh","final":false}',
            '{"type":"transcript","role":"user","text":"what","final":true}',
        ]
        assert agent.speech_started() == agent.speech_stopped() == agent.hang_up("bye") == agent.end() == []


def test_the_protocol_value() -> None:
    assert PCM.url_notice("wss://bot.example/?x=1") == ""
    assert PCM.caller(CallerSettings(), lambda: "id", lambda: "now").user_format == PCM_16K
    assert PCM.agent(lambda: "id", lambda: "now").play_format == PCM_16K
    assert PCM.formats["pcm_24000"] == PCM_24K
