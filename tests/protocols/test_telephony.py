"""Tests the telephony dialects against literals: the differences between providers, at both ends."""

from __future__ import annotations

import json
import math
import struct
from base64 import b64decode, b64encode
from typing import Any, NamedTuple

import pytest

from tests.protocols.both_ends import example, messages_from
from tests.protocols.shown import advice, bodies, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Handshake, Incoming, ProtocolError
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.registry import protocol_named
from tui.protocols.telephony.agent import TelephonyAgent
from tui.protocols.telephony.caller import TelephonyCaller
from tui.protocols.telephony.dialect import MULAW_8K
from tui.protocols.telephony.samples import looks_like_mulaw, looks_swapped

NOW = "2025-11-30T00:00:00.020Z"
TONE = struct.pack("<160h", *(round(9_000 * math.sin(index / 6)) for index in range(160)))
TONE_SWAPPED = struct.pack(">160h", *struct.unpack("<160h", TONE))


def a_caller(name: str, **settings: Any) -> TelephonyCaller:
    ids = iter(f"id-{number}" for number in range(1, 100))
    caller = protocol_named(name).caller(CallerSettings(**settings), lambda: next(ids), lambda: NOW)
    assert isinstance(caller, TelephonyCaller)
    return caller


def in_call(name: str, **settings: Any) -> TelephonyCaller:
    caller = a_caller(name, **settings)
    caller.opened()
    return caller


def an_agent(name: str, *frames: dict[str, Any]) -> TelephonyAgent:
    agent = protocol_named(name).agent(lambda: "x", lambda: "now")
    assert isinstance(agent, TelephonyAgent)
    for frame in frames:
        agent.receive(json.dumps(frame))
    return agent


def say(end: TelephonyCaller | TelephonyAgent, **members: Any) -> Incoming:
    return end.receive(json.dumps(members))


def said_by(agent: TelephonyAgent, audio: bytes) -> bytes:
    return b"".join(b64decode(sent["media"]["payload"]) for sent in bodies(agent.say_audio("s", audio)))


def payload(audio: bytes) -> dict[str, str]:
    return {"payload": b64encode(audio).decode()}


class Marks(NamedTuple):
    """Messages about a mark in a call of `in_call`."""

    set: dict[str, Any]
    reached: dict[str, Any]
    flush: dict[str, Any]
    flushed: list[dict[str, Any]]


def twilio_like(**stream: str) -> Marks:
    mark = {"event": "mark", **stream, "mark": {"name": "a"}}
    return Marks(mark, mark, {"event": "clear", **stream}, [])


MARKS = {
    "telnyx": twilio_like(stream_id="id-1"),
    "exotel": twilio_like(stream_sid="id1"),
    "signalwire": twilio_like(streamSid="id-1"),
    "plivo": Marks(
        {"event": "checkpoint", "streamId": "id-1", "name": "a"},
        {"event": "playedStream", "streamId": "id-1", "name": "a"},
        {"event": "clearAudio", "streamId": "id-1"},
        [{"event": "clearedAudio", "sequenceNumber": 3, "streamId": "id-1"}],
    ),
    "vonage": Marks(
        {"action": "notify", "payload": {"name": "a"}},
        {"event": "websocket:notify", "payload": {"name": "a"}},
        {"action": "clear"},
        [{"event": "websocket:cleared"}],
    ),
}


@pytest.mark.parametrize(
    ("name", "options", "returned"),
    [
        ("telnyx", {}, True),
        ("exotel", {}, True),
        ("exotel", {"flushed_marks": "dropped"}, False),
        ("signalwire", {}, True),
        ("plivo", {}, False),
        ("plivo", {"flushed_marks": "returned"}, True),
        ("vonage", {}, False),
    ],
)
def test_a_mark_is_reported_once_and_after_a_flush_only_where_it_returns(
    name: str, options: dict[str, str], returned: bool
) -> None:
    caller, messages = in_call(name, options=options), MARKS[name]
    (mark,) = say(caller, **messages.set).events
    (reached,) = bodies(caller.mark_reached(mark.text))
    assert messages.reached.items() <= reached.items()
    assert caller.mark_reached(mark.text) == []
    say(caller, **messages.set)
    flush = say(caller, **messages.flush)
    assert bodies(flush.replies) == messages.flushed
    assert advice(flush) == ([] if returned else ["marks-lost"])
    say(caller, **messages.set)
    assert [len(caller.mark_reached(mark.text)) for _ in range(3)] == [int(returned), 1, 0]


@pytest.mark.parametrize(
    ("name", "media", "options", "on_the_wire"),
    [
        ("telnyx", "L16;16000", {}, TONE_SWAPPED),
        ("telnyx", "L16;16000", {"byte_order": "little"}, TONE),
        ("signalwire", "audio/x-l16;16000", {}, TONE),
        ("signalwire", "audio/x-l16;16000", {"byte_order": "big"}, TONE_SWAPPED),
    ],
)
def test_samples_cross_the_wire_in_the_order_of_the_provider_or_of_the_option(
    name: str, media: str, options: dict[str, str], on_the_wire: bytes
) -> None:
    caller = in_call(name, formats=(media,), options=options)
    (sent,) = bodies(caller.user_audio(TONE * 2))
    assert b64decode(sent["media"]["payload"]) == on_the_wire * 2
    stream = {"stream_id": "id-1"} if name == "telnyx" else {"streamSid": "id-1"}
    incoming = say(caller, event="media", **stream, media=payload(on_the_wire * 2))
    assert (incoming.events[1].audio, rules(incoming)) == (TONE * 2, [])
    swapped = TONE if on_the_wire == TONE_SWAPPED else TONE_SWAPPED
    incoming = say(caller, event="media", **stream, media=payload(swapped * 2))
    assert advice(incoming) == ["byte-order"]
    other = "little" if on_the_wire == TONE_SWAPPED else "big"
    assert f"--option byte_order={other}" in incoming.findings[0].text


class TestTelnyx:
    def test_connected_and_start_byte_for_byte(self) -> None:
        settings = {"caller": "+15550100", "agent_name": "+15550101", "params": {"tier": "gold"}}
        connected, start = a_caller("telnyx", **settings).opened()
        assert connected.frame == '{"event":"connected","version":"1.0.0"}'
        assert start.frame == (
            '{"event":"start","sequence_number":"1","stream_id":"id-1","start":{"user_id":"id-2",'
            '"call_control_id":"id-3","call_session_id":"id-4","from":"+15550100","to":"+15550101",'
            '"client_state":"","custom_parameters":{"tier":"gold"},'
            '"media_format":{"encoding":"PCMU","sample_rate":8000,"channels":1}}}'
        )

    def test_the_agent_needs_no_stream_id_and_a_wrong_one_is_found(self) -> None:
        caller = in_call("telnyx")
        assert rules(say(caller, event="media", media=payload(b"\x01" * 160))) == []
        assert rules(say(caller, event="clear", stream_id="other")) == ["wrong-stream-id"]

    def test_a_message_that_it_does_not_know_is_answered_with_an_error(self) -> None:
        incoming = say(in_call("telnyx"), event="play")
        (error,) = bodies(incoming.replies)
        assert (error["event"], error["payload"]["code"]) == ("error", 100_002)
        (error,) = bodies(say(in_call("telnyx"), event="media", media={"payload": "!"}).replies)
        assert error["payload"]["code"] == 100_004

    def test_half_a_sample_waits_for_the_next_message(self) -> None:
        caller = in_call("telnyx", formats=("L16;16000",))
        heard = b""
        for piece in (TONE_SWAPPED[:101], TONE_SWAPPED[101:]):
            events = say(caller, event="media", media=payload(piece)).events
            heard += b"".join(event.audio for event in events)
        assert heard == TONE

    def test_replies_may_have_another_format_than_the_user(self) -> None:
        caller = in_call("telnyx", options={"reply_format": "L16;24000"})
        assert caller.user_format == AudioFormat(Encoding.MULAW, 8_000)
        assert caller.play_format == AudioFormat(Encoding.PCM16, 24_000)

    def test_a_message_of_less_than_20_ms_is_advice(self) -> None:
        caller = in_call("telnyx")
        assert advice(say(caller, event="media", media=payload(b"\x01" * 159))) == ["audio-size"]
        assert advice(say(in_call("telnyx"), event="media", media=payload(b"\x01" * 160))) == []

    def test_the_order_of_its_messages_is_not_judged(self) -> None:
        start, *media = messages_from("caller", example("telnyx"))[1:4]
        agent = an_agent("telnyx", start)
        assert [rules(say(agent, **message)) for message in reversed(media)] == [[], []]

    @pytest.mark.parametrize("member", ["payload", "error"])
    def test_an_error_of_the_provider_is_reported_by_the_agent(self, member: str) -> None:
        error = {"code": 100_002, "title": "Unknown event"}
        incoming = say(an_agent("telnyx"), event="error", **{member: error})
        assert rules(incoming)[-1] == "refused"
        assert incoming.findings[-1].text == "Telnyx refused a message: Unknown event."


class TestPlivo:
    def test_start_is_the_first_message(self) -> None:
        (start,) = a_caller("plivo", params={"a": "1", "b": "2"}).opened()
        assert start.frame == (
            '{"event":"start","sequenceNumber":1,"start":{"callId":"id-2","streamId":"id-1","accountId":"id-3",'
            '"tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000}},'
            '"extra_headers":"a=1;b=2"}'
        )

    def test_a_reply_has_the_format_that_its_message_names(self) -> None:
        media = {"contentType": "audio/x-l16", "sampleRate": 16_000, **payload(b"\1\2")}
        incoming = say(in_call("plivo"), event="playAudio", media=media)
        assert types(incoming) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert incoming.events[0].format == AudioFormat(Encoding.PCM16, 16_000)
        assert rules(incoming) == []

    @pytest.mark.parametrize(
        ("options", "timestamps"),
        [({}, ["0", "20"]), ({"timestamp": "epoch"}, ["1764460800020", "1764460800020"])],
    )
    def test_a_timestamp_counts_from_the_call_or_from_1970(
        self, options: dict[str, str], timestamps: list[str]
    ) -> None:
        caller = in_call("plivo", options=options)
        sent = bodies([*caller.user_audio(b"\xff" * 160), *caller.dtmf("5")])
        assert [message[message["event"]]["timestamp"] for message in sent] == timestamps
        assert [message["sequenceNumber"] for message in sent] == [2, 3]
        assert sent[0]["media"]["chunk"] == 1

    @pytest.mark.parametrize(
        ("extra_headers", "params"),
        [("a=1;b=2", {"a": "1", "b": "2"}), ('{"a":"1"}', {"a": "1"}), ("{a=1", {"{a": "1"}), ("", {})],
    )
    def test_the_agent_reads_parameters_of_either_form(
        self, extra_headers: str, params: dict[str, str]
    ) -> None:
        start = messages_from("caller", example("plivo"))[0]
        incoming = say(an_agent("plivo"), **{**start, "extra_headers": extra_headers})
        assert (incoming.events[-1].params, rules(incoming)) == (params, [])

    def test_audio_under_the_name_of_twilio_is_found(self) -> None:
        incoming = say(in_call("plivo"), event="media", media=payload(b"\x01" * 160))
        assert rules(incoming) == ["callers-own-message"]
        assert incoming.findings[0].text.endswith("A server sends audio as “playAudio”.")

    @pytest.mark.parametrize(
        ("content_type", "rate", "expected"),
        [
            ("audio/x-mulaw", 8_000, []),
            ("audio/x-l16", 16_000, []),
            ("audio/x-mulaw", 16_000, ["content-type"]),
            ("audio/x-l16", 24_000, ["content-type"]),
            ("audio/mpeg", 8_000, ["content-type"]),
        ],
    )
    def test_a_format_that_it_does_not_take_is_advice(
        self, content_type: str, rate: int, expected: list[str]
    ) -> None:
        media = {"contentType": content_type, "sampleRate": rate, **payload(b"\x01" * 160)}
        assert advice(say(in_call("plivo"), event="playAudio", media=media)) == expected

    def test_keys_that_the_agent_presses_are_shown(self) -> None:
        incoming = say(in_call("plivo"), event="sendDTMF", dtmf="12#")
        assert (incoming.summary, incoming.known, rules(incoming)) == ("keys to press: 12#", True, [])

    def test_without_a_stream_id_a_checkpoint_is_found_and_audio_is_not(self) -> None:
        assert rules(say(in_call("plivo"), event="checkpoint", name="a")) == ["missing-stream-id"]
        media = {"contentType": "audio/x-mulaw", "sampleRate": 8_000, **payload(b"\x01" * 160)}
        assert rules(say(in_call("plivo"), event="playAudio", media=media)) == []

    def test_the_signature_is_that_of_its_helper(self) -> None:
        # printf 'wss://…?a=1&b=2.n1' | openssl dgst -sha256 -hmac 12345 -binary | base64
        protocol = protocol_named("plivo")
        url, signature = "wss://bot.example/plivo?b=2&a=1", "MyQ4STLEUrlxcOWv3QisjUHocQ20BbMSrLaYAd+UmLs="
        headers = {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": "n1"}
        assert protocol.proves_token
        assert protocol.proves_token(lambda name: headers[name], "12345", url)
        assert not protocol.proves_token(lambda name: headers[name], "12346", url)
        caller: Any = a_caller("plivo")
        made = caller.request_headers("wss://bot.example/plivo", "12345")
        assert protocol.proves_token(lambda name: made[name], "12345", "wss://bot.example/plivo")
        assert caller.request_headers(url, "") == {}

    def test_a_flush_is_the_end_of_every_reply_whose_mark_it_drops(self) -> None:
        agent = an_agent("plivo", messages_from("caller", example("plivo"))[0])
        agent.say_start("a")
        agent.say_audio("a", b"\x01" * 160)
        agent.say_stop("a")
        agent.say_start("b")
        agent.say_audio("b", b"\x01" * 160)
        assert [frame.kind for frame in agent.say_stop("b", interrupted=True)] == ["clearAudio"]
        envelope = {"streamId": "20170ada-f610-433b-8758-c02a2aab3662"}
        played = say(agent, event="playedStream", sequenceNumber=2, name="a", **envelope)
        assert types(played) == [T.MARK_REACHED, T.PLAY_FINISHED]  # the mark was reached before the flush
        cleared = say(agent, event="clearedAudio", sequenceNumber=3, **envelope)
        assert [event.stream_id for event in cleared.events] == ["b"]
        late = say(agent, event="playedStream", sequenceNumber=4, name="b", **envelope)
        assert rules(late) == ["unknown-mark"]

    @pytest.mark.parametrize(
        ("number", "expected"),
        [(2, []), (3, ["number-out-of-order"]), ("2", ["wrong-type-member"]), (None, ["missing-member"])],
    )
    def test_its_numbers_are_judged_by_the_agent(self, number: object, expected: list[str]) -> None:
        start, media = messages_from("caller", example("plivo"))[:2]
        agent = an_agent("plivo", start)
        assert rules(say(agent, **{**media, "sequenceNumber": number})) == expected


class TestExotel:
    def test_rate_and_parameters_are_those_of_the_url(self) -> None:
        url = "wss://bot.example/ws?sample-rate=16000&tier=gold"
        connected, start = a_caller("exotel", url=url, agent_name="+15550101").opened()
        assert connected.frame == '{"event":"connected"}'
        assert start.frame == (
            '{"event":"start","sequence_number":"1","stream_sid":"id1","start":{"stream_sid":"id1",'
            '"call_sid":"id2","account_sid":"id3","from":"+15550100","to":"+15550101",'
            '"custom_parameters":{"sample-rate":"16000","tier":"gold"},'
            '"media_format":{"encoding":"audio/x-raw","sample_rate":"16000","bit_rate":"16"}}}'
        )
        assert a_caller("exotel").user_format == AudioFormat(Encoding.PCM16, 8_000)
        given = a_caller("exotel", url=url, formats=("audio/x-mulaw",))
        assert given.user_format == AudioFormat(Encoding.MULAW, 8_000)

    @pytest.mark.parametrize(
        ("query", "notice"),
        [
            ("", ""),
            ("?sample-rate=24000&a=1&b=2&c=3", ""),
            ("?sample-rate=44100", "sample-rate must be one of 8000, 16000, 24000"),
            ("?a=1&b=2&c=3&d=4", "Exotel passes at most 3 custom parameters"),
            (f"?a={'x' * 256}", "256 characters in total"),
        ],
    )
    def test_what_it_does_not_take_in_a_url(self, query: str, notice: str) -> None:
        seen = protocol_named("exotel").url_notice(f"wss://bot.example/{query}")
        assert notice in seen
        assert bool(seen) is bool(notice)

    def test_numbers_may_be_text_or_not(self) -> None:
        start = messages_from("caller", example("exotel"))[1]
        for number in (1, "1"):
            assert rules(say(an_agent("exotel"), **{**start, "sequence_number": number})) == []
        assert "not-a-number" in rules(say(an_agent("exotel"), **{**start, "sequence_number": "one"}))

    def test_a_frame_has_100_ms(self) -> None:
        caller = in_call("exotel")
        assert caller.user_audio(bytes(1_598)) == []
        first, second = bodies(caller.user_audio(bytes(1_602)))
        assert [m["media"]["timestamp"] for m in (first, second)] == ["0", "100"]
        assert list(second["media"]) == ["chunk", "timestamp", "payload"]

    @pytest.mark.parametrize(
        ("size", "expected"),
        [(3_200, []), (3_520, []), (102_400, []), (3_201, ["audio-size"]), (640, ["audio-size"])],
    )
    def test_sizes_that_it_may_drop_are_advice(self, size: int, expected: list[str]) -> None:
        caller = in_call("exotel")
        frame = {"event": "media", "stream_sid": "id1", "media": payload(bytes(size))}
        assert advice(say(caller, **frame)) == expected
        assert advice(say(caller, **frame)) == []

    def test_mulaw_where_samples_are_due_is_advice(self) -> None:
        quiet = bytes(0xFF - index % 24 if index % 3 else 0x7F - index % 20 for index in range(3_200))
        frame = {"event": "media", "stream_sid": "id1"}
        assert advice(say(in_call("exotel"), **frame, media=payload(quiet))) == ["looks-like-mulaw"]
        assert advice(say(in_call("exotel"), **frame, media=payload(TONE * 10))) == []


class TestVonage:
    def test_the_first_message_holds_the_headers_of_the_ncco(self) -> None:
        (first,) = a_caller("vonage", params={"user": "ada"}).opened()
        assert first.frame == (
            '{"event":"websocket:connected","content-type":"audio/l16;rate=16000","user":"ada"}'
        )

    def test_audio_is_in_binary_frames_of_20_ms(self) -> None:
        caller = in_call("vonage")
        (frame,) = caller.user_audio(TONE * 2)
        assert (frame.frame, frame.kind, frame.audio_ms) == (TONE * 2, "audio", 20)
        incoming = caller.receive(TONE * 2)
        assert types(incoming) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert (incoming.kind, incoming.audio_ms, incoming.findings) == ("audio", 20, ())

    def test_frames_of_another_length_are_advice(self) -> None:
        caller = in_call("vonage")
        incoming = caller.receive(TONE)
        assert (advice(incoming), incoming.events[1].audio) == (["audio-size"], TONE)

    @pytest.mark.parametrize("content", [{"name": "a"}, {"a": 1, "b": [2]}, "text", 7])
    def test_a_notification_comes_back_as_it_was(self, content: object) -> None:
        caller = in_call("vonage")
        incoming = say(caller, action="notify", payload=content)
        (mark,) = incoming.events
        assert bodies(caller.mark_reached(mark.text)) == [{"event": "websocket:notify", "payload": content}]
        assert rules(incoming) == []

    def test_a_message_without_an_action_is_an_error(self) -> None:
        with pytest.raises(ProtocolError, match="the message has no “action” member"):
            say(in_call("vonage"), event="media")

    @pytest.mark.parametrize(
        ("content_type", "rate", "expected"),
        [
            ("audio/l16;rate=8000", 8_000, []),
            ("audio/l16; rate=24000", 24_000, []),
            ("audio/l16;rate=44100", 16_000, ["other-media-format"]),
            (None, 16_000, ["missing-member"]),
        ],
    )
    def test_the_agent_reads_its_format(
        self, content_type: str | None, rate: int, expected: list[str]
    ) -> None:
        agent = an_agent("vonage")
        incoming = say(agent, **{"event": "websocket:connected", "content-type": content_type})
        assert rules(incoming) == expected
        assert agent.user_format == AudioFormat(Encoding.PCM16, rate)

    def test_audio_before_the_first_message_is_found_by_the_agent(self) -> None:
        agent = an_agent("vonage")
        assert rules(agent.receive(TONE)) == ["media-before-start"]
        assert rules(agent.receive(TONE)) == []


class TestSignalWire:
    def test_connected_and_start_byte_for_byte(self) -> None:
        connected, start = a_caller("signalwire", params={"tier": "gold"}).opened()
        assert connected.frame == '{"event":"connected","protocol":"Call","version":"0.2.0"}'
        assert start.frame == (
            '{"event":"start","sequenceNumber":"1","streamSid":"id-1","start":{"streamSid":"id-1",'
            '"accountSid":"id-2","callSid":"id-3","tracks":["inbound"],'
            '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},'
            '"customParameters":{"tier":"gold"}}}'
        )

    def test_audio_keys_and_the_end_byte_for_byte(self) -> None:
        caller = in_call("signalwire", options={"call_sid": "c", "account_sid": "a"})
        first, second = caller.user_audio(b"\xff" * 330)
        encoded = b64encode(b"\xff" * 160).decode()
        assert first.frame == (
            '{"event":"media","sequenceNumber":"2","streamSid":"id-1","media":{"track":"inbound",'
            f'"chunk":"1","timestamp":"20","payload":"{encoded}"}}}}'
        )
        assert (second.audio_ms, bodies([second])[0]["media"]["timestamp"]) == (20, "40")
        (key,) = caller.dtmf("5")
        assert key.frame == (
            '{"event":"dtmf","sequenceNumber":"4","streamSid":"id-1","dtmf":{"duration":2080,"digit":"5"}}'
        )
        (stop,) = caller.hang_up()
        assert stop.frame == (
            '{"event":"stop","sequenceNumber":"5","streamSid":"id-1","stop":{"accountSid":"a","callSid":"c"}}'
        )
        assert caller.user_audio(b"\xff" * 160) == []

    def test_a_rate_that_it_does_not_have_is_found_by_the_agent(self) -> None:
        start = messages_from("caller", example("signalwire"))[1]
        start["start"]["mediaFormat"] = {"encoding": "audio/x-l16", "sampleRate": 8_000, "channels": 1}
        incoming = say(an_agent("signalwire"), **start)
        assert rules(incoming) == ["other-media-format"]
        assert "expected audio/x-mulaw, 8000 Hz or audio/x-l16, 16000 Hz or" in incoming.findings[0].text

    @pytest.mark.parametrize(
        ("name", "media", "default"),
        [("telnyx", "L16;16000", "big"), ("signalwire", "audio/x-l16;16000", "little")],
    )
    @pytest.mark.parametrize("order", ["big", "little"])
    @pytest.mark.parametrize("stated", [True, False])
    def test_the_agent_has_the_order_of_its_url_or_of_the_wire(
        self, name: str, media: str, default: str, order: str, stated: bool
    ) -> None:
        caller = a_caller(name, formats=(media,), options={"byte_order": order})
        agent = an_agent(name)
        agent.admit(Handshake(query={"byte_order": order} if stated else {"byte_order": "middle", "x": "y"}))
        for frame in caller.opened():
            agent.receive(frame.frame)
        on_the_wire = TONE if order == "little" else TONE_SWAPPED
        agent.say_start("s")
        if stated or order == default:
            assert on_the_wire[:640] in said_by(agent, TONE * 2)
        quiet, loud = (
            event.audio
            for audio in (bytes(640), TONE * 2)
            for frame in caller.user_audio(audio)
            for event in agent.receive(frame.frame).events
        )
        assert (quiet, loud) == (bytes(640), TONE * 2)
        assert on_the_wire[:640] in said_by(agent, TONE * 2)

    def test_the_agent_answers_in_the_format_for_replies(self) -> None:
        options = {"reply_format": "PCMU"}
        caller, agent = a_caller("telnyx", formats=("L16;16000",), options=options), an_agent("telnyx")
        agent.admit(Handshake(query=options))
        for frame in caller.opened():
            agent.receive(frame.frame)
        assert (agent.user_format, agent.play_format) == (AudioFormat(Encoding.PCM16, 16_000), MULAW_8K)
        agent.say_start("s")
        (sent,) = agent.say_audio("s", b"\x80" * 160)
        chunk = caller.receive(sent.frame).events[-1]
        assert (sent.audio_ms, chunk.format, chunk.audio) == (20, MULAW_8K, b"\x80" * 160)

    def test_the_agent_reports_what_its_messages_lack(self) -> None:
        connected, start, media = messages_from("caller", example("signalwire"))[:3]
        del connected["version"]
        assert rules(say(an_agent("signalwire"), **connected)) == ["missing-member"]
        agent = an_agent("signalwire", start)
        media["media"]["track"] = "outbound"
        incoming = say(agent, **media)
        assert (rules(incoming), incoming.events) == (["wrong-track"], ())
        del start["start"]["callSid"]
        assert rules(say(an_agent("signalwire"), **start)) == ["missing-member"]


class TestSamples:
    def test_the_order_of_bytes_is_not_judged_by_silence_or_noise(self) -> None:
        assert looks_swapped(TONE_SWAPPED)
        assert not looks_swapped(TONE)
        assert not looks_swapped(bytes(320))
        assert not looks_swapped(TONE_SWAPPED[:100])
        noise = bytes(index * 7_919 % 251 for index in range(320))
        assert not looks_swapped(noise)

    def test_quiet_samples_are_not_taken_for_mulaw(self) -> None:
        assert not looks_like_mulaw(b"\xff" * 320)
        assert not looks_like_mulaw(struct.pack("<160h", *(-(index % 20) for index in range(160))))
