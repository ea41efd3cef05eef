from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocols.shown import frames, rules
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Incoming, ProtocolError, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.twilio import MULAW_8K, TwilioAgent

STREAM = "MZ0123456789abcdef0123456789abcdef"
START: dict[str, Any] = {
    "streamSid": STREAM,
    "accountSid": "AC00000000000000000000000000000001",
    "callSid": "CA00000000000000000000000000000002",
    "tracks": ["inbound"],
    "customParameters": {"scenario": "smoke"},
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
}
MEDIA = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "AQID"}


def an_agent() -> TwilioAgent:
    return TwilioAgent(lambda: "id", lambda: "now")


def say(agent: TwilioAgent, event: str, number: int, **members: Any) -> Incoming:
    body = {"event": event, "sequenceNumber": str(number), "streamSid": STREAM, **members}
    return agent.receive(json.dumps(body))


def in_call() -> TwilioAgent:
    agent = an_agent()
    assert say(agent, "start", 1, start=START).findings == ()
    return agent


class TestMessagesFromTwilio:
    def test_connected_and_start_begin_the_call(self) -> None:
        agent = an_agent()
        assert agent.opened() == []
        assert agent.user_format is agent.play_format is None
        hello = agent.receive('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        assert (hello.events, hello.findings, hello.summary) == ((), (), "connected, Call 1.0.0")
        incoming = say(agent, "start", 1, start=START)
        assert incoming.events == (
            TelephonyEvent(type=T.SESSION_INITIATE, format=MULAW_8K, params=START),
            TelephonyEvent(type=T.CALL_STARTED, params={"scenario": "smoke"}),
        )
        assert incoming.findings == ()
        assert agent.user_format == agent.play_format == MULAW_8K

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            ({"streamSid": "MZ" + "A" * 32}, ["bad-sid", "wrong-stream-sid"]),
            ({"callSid": None}, ["missing-member"]),
            (
                {"mediaFormat": {"encoding": "audio/opus", "sampleRate": 8000, "channels": 1}},
                ["other-media-format"],
            ),
            ({"mediaFormat": {**START["mediaFormat"], "sampleRate": "8000"}}, ["wrong-type-member"]),
            ({"mediaFormat": {**START["mediaFormat"], "channels": 2}}, ["other-media-format"]),
            ({"mediaFormat": None}, ["missing-member", "other-media-format"]),
            ({"mediaFormat": {**START["mediaFormat"], "sampleRate": 1e300}}, ["other-media-format"]),
        ],
    )
    def test_a_strange_start_begins_the_call_anyway(self, start: dict[str, Any], expected: list[str]) -> None:
        agent = an_agent()
        incoming = say(agent, "start", 1, start={**START, **start})
        assert rules(incoming) == expected
        assert [event.type for event in incoming.events] == [T.SESSION_INITIATE, T.CALL_STARTED]
        assert agent.user_format == MULAW_8K

    def test_look_alikes_are_understood(self) -> None:
        """Uses messages as Exotel sends them, with PCM."""
        agent = an_agent()
        start = {
            "stream_sid": STREAM,
            "account_sid": START["accountSid"],
            "call_sid": START["callSid"],
            "custom_parameters": {"account_sid": "mine"},
            "media_format": {"encoding": "raw/slin", "sample_rate": "8000", "channels": 1},
        }
        body = {"event": "start", "sequence_number": 1, "stream_sid": STREAM, "start": start}
        incoming = agent.receive(json.dumps(body))
        assert agent.user_format == AudioFormat(Encoding.PCM16, 8_000)
        assert incoming.events[1].params == {"account_sid": "mine"}
        assert set(rules(incoming)) == {"foreign-spelling", "wrong-type-member", "other-media-format"}

    @pytest.mark.parametrize(
        ("name", "encoding"), [("PCMU", Encoding.MULAW), ("PCMA", Encoding.ALAW), ("L16", Encoding.PCM16)]
    )
    def test_other_codecs(self, name: str, encoding: Encoding) -> None:
        agent = an_agent()
        described = {"encoding": name, "sampleRate": 16_000, "channels": 1}
        assert rules(say(agent, "start", 1, start={**START, "mediaFormat": described})) == [
            "other-media-format"
        ]
        assert agent.user_format == AudioFormat(encoding, 16_000)

    def test_media_before_start_is_heard(self) -> None:
        agent = an_agent()
        incoming = say(agent, "media", 1, media=MEDIA)
        assert (rules(incoming), len(incoming.events)) == (["media-before-start"], 1)

    @pytest.mark.parametrize(
        ("number", "media", "expected"),
        [
            (3, {}, ["number-out-of-order"]),
            (2, {"chunk": "7"}, ["number-out-of-order"]),
            (2, {"chunk": "1.0"}, ["not-a-number"]),
            (2, {"chunk": "9" * 5_000}, ["not-a-number"]),
            (2, {"chunk": "²"}, ["not-a-number"]),
            (2, {"chunk": 1}, ["wrong-type-member"]),
            (2, {"chunk": None}, ["missing-member"]),
            (2, {"timestamp": None}, ["missing-member"]),
            (2, {"timestamp": 0}, ["wrong-type-member"]),
            (2, {"track": "inbound_track"}, ["wrong-track"]),
            (2, {"track": None}, ["missing-member"]),
        ],
    )
    def test_strange_media_is_heard(self, number: int, media: dict[str, Any], expected: list[str]) -> None:
        incoming = say(in_call(), "media", number, media={**MEDIA, **media})
        assert (rules(incoming), len(incoming.events)) == (expected, 1)

    def test_what_the_user_hears_is_not_what_the_user_says(self) -> None:
        assert say(in_call(), "media", 2, media={**MEDIA, "track": "outbound"}).events == ()

    def test_other_faults(self) -> None:
        agent = in_call()
        assert rules(say(agent, "media", 2, media=MEDIA, streamSid="MZ9")) == ["wrong-stream-sid"]
        assert rules(say(agent, "dtmf", 3, dtmf={"track": "inbound", "digit": "1"})) == ["wrong-track"]
        assert rules(say(agent, "dtmf", 4, dtmf={"track": "inbound_track"})) == ["missing-member"]
        assert rules(say(agent, "mark", 5, mark={"name": "x"})) == ["unknown-mark"]
        assert rules(say(agent, "stop", 6)) == ["missing-member"] * 2
        unknown = say(agent, "clear", 7)
        assert (unknown.known, rules(unknown)) == (False, ["unknown-type"])
        with pytest.raises(ProtocolError, match="binary"):
            agent.receive(b"\xff")


class TestMessagesFromTheAgent:
    def test_a_reply_is_media_and_a_mark(self) -> None:
        agent = in_call()
        assert agent.say_start("play-1", "Good morning") == []
        sent = agent.say_audio("play-1", b"\xff\x01") + agent.say_stop("play-1")
        assert frames(sent) == [
            f'{{"event":"media","streamSid":"{STREAM}","media":{{"payload":"/wE="}}}}',
            f'{{"event":"mark","streamSid":"{STREAM}","mark":{{"name":"play-1"}}}}',
        ]
        assert sent[0].audio_ms == 0.25
        heard = say(agent, "mark", 2, mark={"name": "play-1"})
        assert heard.events == (
            TelephonyEvent(type=T.MARK_REACHED, text="play-1"),
            TelephonyEvent(type=T.PLAY_FINISHED, stream_id="play-1"),
        )

    def test_an_interrupted_reply_is_cleared_whether_it_was_complete_or_not(self) -> None:
        agent = in_call()
        agent.say_start("a")
        clear = f'{{"event":"clear","streamSid":"{STREAM}"}}'
        mark = f'{{"event":"mark","streamSid":"{STREAM}","mark":{{"name":"a"}}}}'
        assert frames(agent.say_stop("a", interrupted=True)) == [mark, clear]
        assert agent.say_audio("a", b"late") == []
        agent.say_start("b")
        agent.say_stop("b")
        assert frames(agent.say_stop("b", interrupted=True)) == [clear]
        say(agent, "mark", 2, mark={"name": "b"})
        assert agent.say_stop("b", interrupted=True) == []

    def test_a_reply_that_is_still_open_ends_where_the_next_begins(self) -> None:
        agent = in_call()
        agent.say_start("a")
        assert [frame.kind for frame in agent.say_start("b")] == ["mark"]

    def test_nothing_is_sent_before_start(self) -> None:
        agent = an_agent()
        assert agent.say_start("a") == agent.say_audio("a", b"x") == agent.say_stop("a") == []

    def test_actions_without_a_message(self) -> None:
        agent = in_call()
        agent.say_start("a")
        assert agent.speech_started() == agent.speech_stopped() == []
        assert agent.hypothesis("x") == agent.recognition("x", 1.0) == []
        assert agent.hang_up("bye") == agent.end() == agent.say_audio("a", b"x") == []
