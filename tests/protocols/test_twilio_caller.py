from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.protocols.shown import advice, bodies, rules, types
from tui.audio.wav import wav_header
from tui.protocols.base import CallerSettings, Incoming, ProtocolError, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.twilio import MULAW_8K, TWILIO, TwilioCaller, signature

STREAM = "MZ0123456789abcdef0123456789abcdef"
ACCOUNT = "AC00000000000000000000000000000001"
CALL = "CA00000000000000000000000000000002"
SPEECH = bytes(range(1, 161))


def a_caller(**settings: Any) -> TwilioCaller:
    ids = iter((STREAM[2:], ACCOUNT[2:], CALL[2:]))
    return TwilioCaller(CallerSettings(**settings), lambda: next(ids), lambda: "now")


def in_call(**settings: Any) -> TwilioCaller:
    caller = a_caller(**settings)
    caller.opened()
    return caller


def say(caller: TwilioCaller, event: str, **members: Any) -> Incoming:
    return caller.receive(json.dumps({"event": event, "streamSid": STREAM, **members}))


def media(caller: TwilioCaller, audio: bytes = SPEECH) -> Incoming:
    return say(caller, "media", media={"payload": base64.b64encode(audio).decode()})


def mark(caller: TwilioCaller, name: str) -> Incoming:
    return say(caller, "mark", mark={"name": name})


class TestTheBeginning:
    def test_connected_and_start_byte_for_byte(self) -> None:
        connected, start = a_caller(params={"scenario": "smoke"}).opened()
        assert connected.frame == '{"event":"connected","protocol":"Call","version":"1.0.0"}'
        assert start.frame == (
            f'{{"event":"start","sequenceNumber":"1","streamSid":"{STREAM}","start":{{"streamSid":"{STREAM}",'
            f'"accountSid":"{ACCOUNT}","callSid":"{CALL}","tracks":["inbound"],'
            '"customParameters":{"scenario":"smoke"},'
            '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}'
        )
        assert [connected.kind, start.kind] == ["connected", "start"]

    def test_sids_can_be_given(self) -> None:
        sids = {"account_sid": "AC" + "a" * 32, "call_sid": "CA" + "b" * 32}
        start = bodies(a_caller(options=sids).opened())[1]["start"]
        assert (start["accountSid"], start["callSid"]) == tuple(sids.values())

    def test_barge_in_settings_are_accepted(self) -> None:
        assert a_caller(formats=("audio/x-mulaw",), params={"a": "x" * 498}, barge_in=False).barge_in


class TestUserAudio:
    def test_a_frame_byte_for_byte(self) -> None:
        (frame,) = in_call().user_audio(b"\xff" * 160)
        assert frame.frame == (
            f'{{"event":"media","sequenceNumber":"2","streamSid":"{STREAM}","media":{{"track":"inbound",'
            f'"chunk":"1","timestamp":"0","payload":"{base64.b64encode(bytes([255] * 160)).decode()}"}}}}'
        )
        assert (frame.kind, frame.summary, frame.audio_ms) == ("media", "user audio 20 ms", 20)


class TestReplies:
    def test_the_first_audio_begins_a_reply(self) -> None:
        caller = in_call()
        incoming = media(caller)
        assert incoming.events == (
            TelephonyEvent(type=T.PLAY_STREAM_START, stream_id="reply-1", format=MULAW_8K),
            TelephonyEvent(type=T.PLAY_STREAM_CHUNK, stream_id="reply-1", format=MULAW_8K, audio=SPEECH),
        )
        assert (incoming.kind, incoming.summary, incoming.audio_ms) == ("media", "agent audio 20 ms", 20)
        assert (incoming.findings, incoming.replies) == ((), ())
        assert types(media(caller)) == [T.PLAY_STREAM_CHUNK]

    def test_empty_audio_begins_nothing(self) -> None:
        assert media(in_call(), b"").events == ()


class TestMarksAndClear:
    def test_marks_of_the_same_name_are_each_echoed(self) -> None:
        caller = in_call()
        mark(caller, "m")
        mark(caller, "m")
        assert [len(caller.mark_reached("m")) for _ in range(3)] == [1, 1, 0]

    def test_a_mark_with_an_empty_name_is_echoed(self) -> None:
        caller = in_call()
        assert types(mark(caller, "")) == [T.MARK]
        assert bodies(caller.mark_reached(""))[0]["mark"] == {"name": ""}

    def test_clear_when_nothing_plays(self) -> None:
        caller = in_call()
        assert say(caller, "clear").events == (TelephonyEvent(type=T.CLEAR, reason="clear"),)
        media(caller)
        caller.playback_finished("reply-1", heard_ms=20, received_ms=20)
        incoming = say(caller, "clear")
        assert (types(incoming), incoming.findings) == ([T.CLEAR], ())


class TestFindings:
    def test_a_binary_frame_is_warning_31950_once(self) -> None:
        caller = in_call()
        told = []
        for _ in range(3):
            with pytest.raises(ProtocolError, match="a 160-byte binary frame") as raised:
                caller.receive(SPEECH)
            assert raised.value.code == "binary"
            told.append([finding.rule for finding in raised.value.findings])
        assert told == [["31950"], [], []]

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            ("hello", "not-json"),
            ("[]", "not-an-object"),
            ("{}", "no-event"),
            ('{"event":null}', "no-event"),
            ('{"event":1}', "wrong-event"),
            ('{"type":"text"}', "no-event"),
            ('{"event":"media","x":' + "[" * 100 + "]" * 100 + "}", "too-deep"),
        ],
    )
    def test_an_unreadable_message_is_warning_31951_once(self, frame: str, code: str) -> None:
        caller = in_call()
        with pytest.raises(ProtocolError) as raised:
            caller.receive(frame)
        assert (raised.value.code, [found.rule for found in raised.value.findings]) == (code, ["31951"])
        assert rules(say(caller, "hello")) == ["unknown-type"]

    def test_another_protocol_is_recognised_by_its_type(self) -> None:
        with pytest.raises(ProtocolError, match="it has a “type”, like the messages of OpenAI"):
            in_call().receive('{"type":"session.accepted"}')

    def test_an_unknown_message(self) -> None:
        incoming = say(in_call(), "hangup")
        assert (incoming.known, rules(incoming), incoming.events) == (False, ["unknown-type", "31951"], ())

    @pytest.mark.parametrize("event", ["connected", "start", "dtmf", "stop"])
    def test_messages_only_twilio_sends_have_no_effect_from_a_server(self, event: str) -> None:
        incoming = say(in_call(), event)
        assert (incoming.known, incoming.events) == (True, ())
        assert rules(incoming) == ["twilios-own-message", "31951"]
        assert ("a server closes the socket" in incoming.findings[0].text) is (event == "stop")

    @pytest.mark.parametrize(
        ("stream_sid", "rule"),
        [
            ({}, "missing-stream-sid"),
            ({"streamSid": None}, "missing-stream-sid"),
            ({"streamSid": "MZ1"}, "wrong-stream-sid"),
        ],
    )
    def test_audio_with_a_missing_or_wrong_stream_sid_is_played(
        self, stream_sid: dict[str, Any], rule: str
    ) -> None:
        caller = in_call()
        frame = json.dumps({"event": "media", "media": {"payload": "AQID"}, **stream_sid})
        incoming = caller.receive(frame)
        assert rules(incoming) == [rule, "31951"]
        assert incoming.events[1].audio == b"\x01\x02\x03"
        again = caller.receive(frame)
        assert (rules(again), len(again.events)) == ([], 1)

    def test_each_extra_member_once(self) -> None:
        caller = in_call()
        extra = {"payload": "AQID", "track": "outbound", "chunk": "1"}
        incoming = say(caller, "media", media=extra, sequenceNumber="1")
        assert rules(incoming) == ["extra-member"] * 3 + ["31951"]
        assert [found.text.split()[0] for found in incoming.findings[:3]] == [
            "sequenceNumber",
            "track",
            "chunk",
        ]
        assert rules(say(caller, "media", media=extra, sequenceNumber="2")) == []
        assert rules(say(caller, "clear", clear={})) == ["extra-member"]

    def test_the_number_of_reported_faults_is_bounded(self) -> None:
        caller = in_call()
        told = sum(len(say(caller, "clear", **{f"x{number}": 1}).findings) for number in range(2_000))
        assert told <= 200

    def test_a_wav_header_is_removed(self) -> None:
        incoming = media(in_call(), wav_header(MULAW_8K) + SPEECH)
        assert rules(incoming) == ["header-in-payload"]
        assert incoming.events[1].audio == SPEECH

    @pytest.mark.parametrize("padding", [b"\x00", b"\x80"])
    def test_padding_that_is_as_loud_as_can_be(self, padding: bytes) -> None:
        caller = in_call()
        assert advice(media(caller, SPEECH[:100] + padding * 60)) == ["loud-silence"]
        assert rules(media(caller, SPEECH[:100] + padding * 60)) == []
        assert rules(media(in_call(), SPEECH[:100] + b"\xff" * 60)) == []

    def test_marks_that_are_never_sent(self) -> None:
        caller = in_call()
        seen = []
        for number in range(1, 4):
            incoming = media(caller)
            seen.append(rules(incoming))
            assert advice(incoming) == rules(incoming)
            caller.playback_finished(f"reply-{number}", heard_ms=20, received_ms=20)
        assert seen == [[], ["no-marks"], []]

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({}, ["missing-member", "31951"]),
            ({"media": {}}, ["missing-member", "31951"]),
            ({"media": {"payload": None}}, ["missing-member", "31951"]),
            ({"media": []}, ["wrong-type-member", "missing-member", "31951"]),
            ({"media": {"payload": 1}}, ["wrong-type-member", "31951"]),
            ({"media": {"payload": "!"}}, ["bad-base64"]),
        ],
    )
    def test_media_without_audio(self, members: dict[str, Any], expected: list[str]) -> None:
        incoming = say(in_call(), "media", **members)
        assert (rules(incoming), incoming.events) == (expected, ())

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({}, ["missing-member", "31951"]),
            ({"mark": {"name": []}}, ["wrong-type-member", "31951"]),
        ],
    )
    def test_a_mark_without_a_name_is_not_echoed(self, members: dict[str, Any], expected: list[str]) -> None:
        incoming = say(in_call(), "mark", **members)
        assert (rules(incoming), incoming.events) == (expected, ())

    def test_a_mark_named_by_a_number_is_echoed_as_text(self) -> None:
        caller = in_call()
        assert rules(say(caller, "mark", mark={"name": 7})) == ["wrong-type-member", "31951"]
        assert bodies(caller.mark_reached("7"))[0]["mark"] == {"name": "7"}

    def test_a_flood_of_marks_is_bounded(self) -> None:
        caller = in_call()
        assert rules(mark(caller, "x" * 5_000)) == ["too-many-marks"]
        answered = [mark(caller, f"{number}").events for number in range(10_001)]
        assert answered[9_999]
        assert not answered[10_000]

    @pytest.mark.parametrize("name", ["stream_sid", "stream_id"])
    def test_the_spelling_of_look_alikes_is_understood(self, name: str) -> None:
        caller = in_call()
        frame = json.dumps({"event": "media", name: STREAM, "media": {"payload": "AQID"}})
        incoming = caller.receive(frame)
        assert rules(incoming) == ["foreign-spelling", "31951"]
        assert len(incoming.events) == 2
        assert rules(caller.receive(frame)) == []


class TestTheProtocolValue:
    def test_the_signature_is_the_one_of_twilios_helper(self) -> None:
        # base64(HMAC-SHA1) computed with: printf wss://… | openssl dgst -sha1 -hmac 12345 -binary | base64
        url = "wss://mycompany.com/myapp"
        assert signature("12345", url) == "J/JKmcbpZKEME3GHV3oonGIlDmM="
        assert TWILIO.headers("12345", url) == {"X-Twilio-Signature": signature("12345", url)}
        assert TWILIO.headers("", url) == {}

    def test_a_query_string_gets_a_notice(self) -> None:
        assert "error 31920" in TWILIO.url_notice("wss://bot.example/twilio?x=1")
        assert TWILIO.url_notice("wss://bot.example/twilio") == ""
