"""Tests the example session at each end, and the marks in a conversation."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from tests.protocols import both_ends
from tests.protocols.both_ends import Side, example, messages_from
from tui.protocols.base import CallerSettings, Incoming, Outgoing, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.twilio import TwilioAgent, TwilioCaller

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

    def test_twilio_sends_the_messages_of_the_example(self) -> None:
        """Runs the complete dialogue, with each side's messages in the example's order."""
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
        """Returns what the user or the speaker does when Twilio sends a message on its own initiative."""
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
    """Two ends, neither of which answers automatically."""

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
    def test_every_reply_is_finished_once_however_it_ends(self) -> None:
        line = Line()
        line.reply("a", b"\x01")
        line.to_caller(line.agent.say_start("b"))
        line.to_caller(line.agent.say_audio("b", b"\x01"))
        line.to_caller(line.agent.say_stop("b", interrupted=True))
        line.marks_are_reached()
        finished = [event.stream_id for event in line.heard_by["agent"] if event.type is T.PLAY_FINISHED]
        assert finished == ["a", "b"]
