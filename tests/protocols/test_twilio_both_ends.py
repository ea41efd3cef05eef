"""The example session through each end, the two ends in conversation, round trips, and hostile input."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols import both_ends
from tests.protocols.both_ends import Side, example, messages_from
from tests.protocols.hostile import check_incoming, hostile_values, mutated_messages, no_messages
from tui.protocols.base import CallerSettings, Incoming, Outgoing, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.json_frames import decode_object
from tui.protocols.twilio import MULAW_8K, TwilioAgent, TwilioCaller

LINES = example("twilio")
FROM_CALLER, FROM_AGENT = messages_from("caller", LINES), messages_from("agent", LINES)
START = FROM_CALLER[1]["start"]


def a_caller(**params: str) -> TwilioCaller:
    ids = iter(START[name][2:] for name in ("streamSid", "accountSid", "callSid"))
    return TwilioCaller(CallerSettings(params=params), lambda: next(ids), lambda: "now")


def an_agent() -> TwilioAgent:
    return TwilioAgent(lambda: "id", lambda: "now")


class TestTheExampleSession:
    def test_every_message_of_twilio_is_understood_by_the_agent(self) -> None:
        agent = an_agent()
        for name in ("greeting", "answer-1", "answer-2"):
            agent._unheard.append(name)
        received = [agent.receive(json.dumps(message)) for message in FROM_CALLER]
        assert all(incoming.known for incoming in received)
        assert [incoming.findings for incoming in received if incoming.findings] == []

    def test_twilio_says_what_the_example_says(self) -> None:
        """The whole dialogue, each side's messages where the example has them."""
        caller = a_caller(**START["customParameters"])
        expected = deque(FROM_CALLER)
        self._expect(expected, caller.opened())
        heard: list[TelephonyEvent] = []
        for line in LINES:
            message = line["message"]
            if line["dir"] == "s2c":
                incoming = caller.receive(json.dumps(message))
                assert (incoming.known, incoming.findings, incoming.replies) == (True, (), ())
                heard += incoming.events
            elif expected and expected[0] is message:
                self._expect(expected, self._do(caller, message))
        assert not expected
        kinds = [(event.type, event.stream_id, event.text) for event in heard]
        assert [kind for kind in kinds if kind[0] is not T.PLAY_STREAM_CHUNK] == [
            (T.PLAY_STREAM_START, "reply-1", ""),
            (T.MARK, "reply-1", "greeting"),
            (T.PLAY_STREAM_START, "reply-2", ""),
            (T.MARK, "reply-2", "answer-1"),
            (T.MARK, "reply-2", "answer-2"),
            (T.CLEAR, "reply-2", ""),
            (T.PLAY_STREAM_STOP, "reply-2", ""),
        ]

    @staticmethod
    def _do(caller: TwilioCaller, message: dict[str, Any]) -> list[Outgoing]:
        """What the user or the speaker does where the example has Twilio say something by itself."""
        match message:
            case {"event": "media", "media": {"payload": payload}}:
                return caller.user_audio(base64.b64decode(payload))
            case {"event": "mark", "mark": {"name": name}}:
                caller.playback_finished("reply-1", heard_ms=20, received_ms=20)
                return caller.mark_reached(name)
            case {"event": "dtmf", "dtmf": {"digit": digit}}:
                return caller.dtmf(digit)
            case _:
                return caller.hang_up()

    @staticmethod
    def _expect(expected: deque[dict[str, Any]], frames: Sequence[Outgoing]) -> None:
        for frame in frames:
            assert json.loads(frame.frame) == expected.popleft()


class Line(both_ends.Line):
    """Neither end answers by itself."""

    def __init__(self) -> None:
        self.caller, self.agent = a_caller(scenario="smoke"), an_agent()
        super().__init__(self.caller, self.agent)
        self.to_agent(self.caller.opened())

    def hear(self, listener: Side, frame: Outgoing) -> Incoming:
        incoming = super().hear(listener, frame)
        assert incoming.replies == ()
        return incoming

    def reply(self, name: str, *chunks: bytes) -> None:
        self.to_caller(self.agent.say_start(name, "words"))
        for chunk in chunks:
            self.to_caller(self.agent.say_audio(name, chunk))
        self.to_caller(self.agent.say_stop(name))

    def marks_are_reached(self) -> None:
        for name in [event.text for event in self.heard_by["caller"] if event.type is T.MARK]:
            self.to_agent(self.caller.mark_reached(name))


class TestAConversation:
    def test_from_the_greeting_to_the_hang_up_with_barge_in(self) -> None:
        line = Line()
        caller, agent = line.caller, line.agent
        line.reply("greeting", b"\x01" * 401, b"\x02")
        line.to_agent(caller.user_audio(b"\xff" * 330))
        line.marks_are_reached()
        caller.playback_finished("reply-1", heard_ms=50, received_ms=50)
        line.reply("answer", b"\x03" * 160)
        line.to_caller(agent.say_stop("answer", interrupted=True))
        line.marks_are_reached()
        line.to_agent(caller.dtmf("1#"))
        line.to_agent(caller.user_audio(b"\xff" * 150))
        line.to_caller(agent.hang_up("done"))
        line.to_agent(caller.hang_up())

        assert [(event.type, event.stream_id) for event in line.heard_by["caller"]] == [
            (T.PLAY_STREAM_START, "reply-1"),
            (T.PLAY_STREAM_CHUNK, "reply-1"),
            (T.PLAY_STREAM_CHUNK, "reply-1"),
            (T.MARK, "reply-1"),
            (T.PLAY_STREAM_START, "reply-2"),
            (T.PLAY_STREAM_CHUNK, "reply-2"),
            (T.MARK, "reply-2"),
            (T.CLEAR, "reply-2"),
            (T.PLAY_STREAM_STOP, "reply-2"),
        ]
        assert [event.type for event in line.heard_by["agent"]] == [
            T.SESSION_INITIATE,
            T.CALL_STARTED,
            T.USER_STREAM_CHUNK,
            T.USER_STREAM_CHUNK,
            T.MARK_REACHED,
            T.PLAY_FINISHED,
            T.MARK_REACHED,
            T.PLAY_FINISHED,
            T.DTMF,
            T.DTMF,
            T.USER_STREAM_CHUNK,
            T.SESSION_END,
        ]
        assert b"".join(event.audio for event in line.heard_by["agent"]) == b"\xff" * 480
        assert line.heard_by["agent"][1].params == {"scenario": "smoke"}

    def test_every_reply_is_finished_once_however_it_ends(self) -> None:
        line = Line()
        line.reply("a", b"\x01")
        line.to_caller(line.agent.say_start("b"))
        line.to_caller(line.agent.say_audio("b", b"\x01"))
        line.to_caller(line.agent.say_stop("b", interrupted=True))
        line.marks_are_reached()
        finished = [event.stream_id for event in line.heard_by["agent"] if event.type is T.PLAY_FINISHED]
        assert finished == ["a", "b"]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
loud = (b"\x00" * 40, b"\x80" * 40)
audio_chunks = st.binary(min_size=1, max_size=400).filter(
    lambda audio: not audio.startswith((b"RIFF", b".snd")) and not audio.endswith(loud)
)


@settings(derandomize=True, max_examples=60)
@given(st.lists(audio_chunks, min_size=1, max_size=4), texts)
def test_what_the_agent_says_arrives(chunks: list[bytes], name: str) -> None:
    line = Line()
    line.reply(name, *chunks)
    line.to_caller(line.agent.say_stop(name, interrupted=True))
    reply: dict[str, Any] = {"stream_id": "reply-1", "format": MULAW_8K}
    assert line.heard_by["caller"] == [
        TelephonyEvent(type=T.PLAY_STREAM_START, **reply),
        *(TelephonyEvent(type=T.PLAY_STREAM_CHUNK, audio=chunk, **reply) for chunk in chunks),
        TelephonyEvent(type=T.MARK, stream_id="reply-1", text=name),
        TelephonyEvent(type=T.CLEAR, stream_id="reply-1", reason="clear"),
        TelephonyEvent(type=T.PLAY_STREAM_STOP, stream_id="reply-1", reason="clear"),
    ]


@settings(derandomize=True, max_examples=60)
@given(
    st.lists(st.binary(max_size=400), max_size=6),
    st.text("0123456789*#ABCD", max_size=20),
    st.lists(texts.filter(bool), max_size=4),
)
def test_what_the_caller_says_arrives(blocks: list[bytes], digits: str, marks: list[str]) -> None:
    line = Line()
    for name in dict.fromkeys(marks):
        line.reply(name, b"\x01")
    before = len(line.heard_by["agent"])
    for block in blocks:
        line.to_agent(line.caller.user_audio(block))
    line.to_agent(line.caller.dtmf(digits))
    line.marks_are_reached()
    line.to_agent(line.caller.hang_up())
    heard = line.heard_by["agent"][before:]
    said = b"".join(blocks)
    assert b"".join(event.audio for event in heard) == said[: len(said) // 160 * 160]
    assert [event.text for event in heard if event.type is T.DTMF] == list(digits)
    assert [event.text for event in heard if event.type is T.MARK_REACHED] == list(dict.fromkeys(marks))
    assert heard[-1].type is T.SESSION_END


MESSAGES = FROM_CALLER[:4] + FROM_AGENT + [m for m in FROM_CALLER if m["event"] in ("mark", "dtmf", "stop")]
MESSAGES = [{**m, "media": {**m["media"], "payload": "AQID"}} if "media" in m else m for m in MESSAGES]
NAMES = [
    "event",
    "type",
    "streamSid",
    "stream_sid",
    "stream_id",
    "sequenceNumber",
    "payload",
    "name",
    "x",
    "start",
    "media",
    "mark",
    "dtmf",
    "stop",
    "mediaFormat",
    "media_format",
    "chunk",
    "timestamp",
    "sampleRate",
]
VALUES = hostile_values(NAMES, "clear")


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.lists(mutated_messages(MESSAGES, NAMES, VALUES), min_size=5, max_size=5))
def test_whatever_comes_only_a_protocol_error_escapes(frames: list[str]) -> None:
    caller, agent = a_caller(), an_agent()
    caller.opened()
    for frame in [json.dumps(FROM_CALLER[1]), *frames]:
        assert check_incoming(caller.receive, frame) == ()
        assert check_incoming(agent.receive, frame) == ()
        caller.playback_finished("reply-1", heard_ms=0, received_ms=0)
        for sent in caller.user_audio(b"\xff" * 160) + agent.say_audio("a", b"x") + agent.say_start("a"):
            assert decode_object(sent.frame)[0]["event"] == sent.kind


@settings(derandomize=True, max_examples=200, deadline=None)
@given(no_messages("event", VALUES))
def test_what_is_no_message_is_a_protocol_error_or_unknown(frame: str | bytes) -> None:
    assert check_incoming(a_caller().receive, frame) == ()
    assert check_incoming(an_agent().receive, frame) == ()
