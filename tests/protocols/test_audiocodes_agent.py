from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.protocols.shown import bodies, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import wav_header
from tui.protocols.audiocodes import FORMATS, AudioCodesAgent
from tui.protocols.base import Incoming, TelephonyEventType

T = TelephonyEventType
PCM_16 = AudioFormat(Encoding.PCM16, 16_000)
CALL = "0d7a2f5e-6a0b-4b51-9f3c-2c1f7e9a4410"
OFFER = ["raw/lpcm16", "raw/lpcm16_24"]


def an_agent(**options: Any) -> AudioCodesAgent:
    return AudioCodesAgent(lambda: "id", lambda: "2026-01-15T09:00:00.120Z", **options)


def hear(agent: AudioCodesAgent, kind: str, **members: Any) -> Incoming:
    return agent.receive(json.dumps({"type": kind, "conversationId": CALL, **members}))


def hear_event(agent: AudioCodesAgent, name: str, **members: Any) -> Incoming:
    return hear(agent, "activities", activities=[{"type": "event", "name": name, **members}])


def initiate(agent: AudioCodesAgent, offer: object = OFFER) -> Incoming:
    return hear(agent, "session.initiate", botName="b", caller="+15550100", supportedMediaFormats=offer)


def in_session(agent: AudioCodesAgent | None = None) -> AudioCodesAgent:
    agent = agent or an_agent()
    initiate(agent)
    return agent


class TestTheSession:
    def test_the_first_known_format_of_the_offer_is_accepted(self) -> None:
        agent = an_agent()
        incoming = initiate(agent, ["audio/opus", "raw/mulaw", "raw/lpcm16"])
        (event,) = incoming.events
        assert (event.type, event.format, event.text) == (
            T.SESSION_INITIATE,
            FORMATS["raw/mulaw"],
            "+15550100",
        )
        assert bodies(incoming.replies) == [{"type": "session.accepted", "mediaFormat": "raw/mulaw"}]
        assert agent.user_format == agent.play_format == FORMATS["raw/mulaw"]
        assert incoming.replies[0].summary == "accepted raw/mulaw"

    @pytest.mark.parametrize("offer", [["audio/opus"], [], None, "raw/lpcm16", [1]])
    def test_without_a_common_format_the_session_is_refused(self, offer: object) -> None:
        agent = an_agent()
        incoming = initiate(agent, offer)
        assert types(incoming) == [T.SESSION_ERROR]
        assert bodies(incoming.replies) == [{"type": "session.error", "reason": "No common media format"}]
        assert agent.user_format is None
        assert agent.end() == []

    def test_an_unknown_play_format_is_a_sentence(self) -> None:
        with pytest.raises(ValueError, match="Unsupported audio format 'mp3' for AudioCodes"):
            an_agent(play_format="mp3")

    def test_the_end(self) -> None:
        agent = in_session()
        incoming = hear(agent, "session.end", reasonCode="client-disconnected", reason="Client Side")
        (event,) = incoming.events
        assert (event.type, event.reason, event.code) == (T.SESSION_END, "Client Side", "client-disconnected")
        assert agent.end() == []

    def test_a_caller_is_resumed_without_a_format(self) -> None:
        incoming = hear(in_session(), "session.resume")
        assert (types(incoming), rules(incoming)) == ([T.SESSION_RESUME], [])
        assert bodies(incoming.replies) == [{"type": "session.accepted"}]

    def test_another_agent_that_resumes_a_call_names_the_format(self) -> None:
        agent = an_agent()
        assert bodies(hear(agent, "session.resume").replies) == [
            {"type": "session.accepted", "mediaFormat": "raw/lpcm16"}
        ]
        assert agent.user_format == PCM_16

    def test_the_probe_is_answered_without_a_session(self) -> None:
        incoming = an_agent().receive('{"type":"connection.validate"}')
        assert (types(incoming), rules(incoming)) == ([T.CONNECTION_VALIDATE], [])
        assert bodies(incoming.replies) == [{"type": "connection.validated", "success": True}]


class TestTheUsersStream:
    def test_start_chunk_stop(self) -> None:
        agent = in_session()
        started = hear(agent, "userStream.start")
        assert (types(started), bodies(started.replies)) == (
            [T.USER_STREAM_START],
            [{"type": "userStream.started"}],
        )
        heard = hear(agent, "userStream.chunk", audioChunk=base64.b64encode(bytes(640)).decode())
        (event,) = heard.events
        assert (event.type, event.audio, event.format) == (T.USER_STREAM_CHUNK, bytes(640), PCM_16)
        assert (heard.summary, heard.audio_ms) == ("user audio 20 ms", 20)
        stopped = hear(agent, "userStream.stop")
        assert (types(stopped), bodies(stopped.replies)) == (
            [T.USER_STREAM_STOP],
            [{"type": "userStream.stopped"}],
        )
        assert rules(started) == rules(heard) == rules(stopped) == []

    def test_messages_out_of_order_are_reported_and_answered(self) -> None:
        agent = an_agent()
        assert rules(hear(agent, "userStream.start")) == ["message-before-session"]
        agent = in_session()
        assert rules(hear(agent, "userStream.chunk", audioChunk="AAAA")) == ["chunk-outside-stream"]
        assert rules(hear(agent, "userStream.stop")) == ["stop-outside-stream"]
        hear(agent, "userStream.start")
        again = hear(agent, "userStream.start")
        assert (rules(again), len(again.replies)) == (["repeated-user-stream-start"], 1)


class TestActivities:
    def test_the_call_starts_with_its_parameters(self) -> None:
        incoming = hear_event(in_session(), "start", parameters={"caller": "+15550100"})
        (event,) = incoming.events
        assert (event.type, event.params) == (T.CALL_STARTED, {"caller": "+15550100"})

    @pytest.mark.parametrize(
        ("name", "value", "noted"),
        [
            ("DTMF", "42", []),
            ("dtmf", "#", []),
            ("Dtmf", "1", ["activity-name-case"]),
            ("DTMF", 5, ["wrong-type-member"]),
        ],
    )
    def test_keys_are_understood_in_either_case(self, name: str, value: object, noted: list[str]) -> None:
        incoming = hear_event(in_session(), name, value=value)
        (event,) = incoming.events
        assert (event.type, event.text, rules(incoming)) == (T.DTMF, str(value), noted)

    def test_other_activities(self) -> None:
        agent = in_session()
        assert types(hear_event(agent, "playFinished")) == [T.PLAY_FINISHED]
        assert types(hear_event(agent, "noUserInput", value=1)) == []
        incoming = hear(agent, "activities", activities=[{"type": "message", "text": "hello"}])
        assert (types(incoming), incoming.events[0].text) == ([T.USER_TEXT], "hello")
        assert rules(hear_event(agent, "dance")) == ["unknown-activity"]

    def test_a_mark_was_reached(self) -> None:
        incoming = hear(in_session(), "playStream.mark.reached", name="half")
        assert (types(incoming), incoming.events[0].text) == ([T.MARK_REACHED], "half")


class TestSpeaking:
    def test_a_reply(self) -> None:
        agent = in_session()
        frames = [
            *agent.say_start("play-1", "Hi"),
            *agent.say_audio("play-1", bytes(640)),
            *agent.say_stop("play-1"),
        ]
        assert bodies(frames) == [
            {"type": "playStream.start", "streamId": "play-1", "mediaFormat": "raw/lpcm16", "altText": "Hi"},
            {
                "type": "playStream.chunk",
                "streamId": "play-1",
                "audioChunk": base64.b64encode(bytes(640)).decode(),
            },
            {"type": "playStream.stop", "streamId": "play-1"},
        ]
        assert [frame.summary for frame in frames] == [
            "play-1 starts, raw/lpcm16: Hi",
            "agent audio 20 ms",
            "play-1 complete",
        ]

    def test_a_reply_without_words_has_no_alternative_text(self) -> None:
        assert "altText" not in bodies(in_session().say_start("a"))[0]

    def test_a_new_reply_stops_the_previous_one(self) -> None:
        agent = in_session()
        agent.say_start("a")
        assert [frame.kind for frame in agent.say_start("b")] == ["playStream.stop", "playStream.start"]
        assert agent.say_audio("a", b"xx") == agent.say_stop("a") == []

    def test_an_interrupted_reply_ends_with_the_same_message(self) -> None:
        agent = in_session()
        agent.say_start("a")
        (frame,) = agent.say_stop("a", interrupted=True)
        assert (frame.kind, frame.summary) == ("playStream.stop", "a cut short")

    def test_a_wav_reply_begins_with_a_header(self) -> None:
        agent = in_session(an_agent(play_format="wav/lpcm16"))
        agent.say_start("a")
        sent = [base64.b64decode(bodies(agent.say_audio("a", b"ab"))[0]["audioChunk"]) for _ in range(2)]
        assert sent == [wav_header(PCM_16) + b"ab", b"ab"]

    def test_speech(self) -> None:
        agent = in_session()
        frames = [
            *agent.speech_started(),
            *agent.hypothesis("what time"),
            *agent.speech_stopped(),
            *agent.recognition("what time do you open", 0.91),
        ]
        assert bodies(frames) == [
            {"type": "userStream.speech.started"},
            {"type": "userStream.speech.hypothesis", "alternatives": [{"text": "what time"}]},
            {"type": "userStream.speech.stopped"},
            {
                "type": "userStream.speech.recognition",
                "alternatives": [{"text": "what time do you open", "confidence": 0.91}],
            },
            {"type": "userStream.speech.committed"},
        ]

    def test_hanging_up_stops_the_reply_first_and_happens_once(self) -> None:
        agent = in_session()
        agent.say_start("a")
        stop, hangup = bodies(agent.hang_up("done"))
        assert stop["type"] == "playStream.stop"
        assert hangup["activities"][0]["name"] == "hangup"
        assert hangup["activities"][0]["activityParams"] == {"hangupReason": "done"}
        assert agent.end() == []
