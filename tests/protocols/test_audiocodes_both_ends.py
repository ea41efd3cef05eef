"""Tests the example session at each end, and a conversation without barge-in."""

from __future__ import annotations

import base64
import itertools
import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from tests.protocols.both_ends import Line, example, messages_from
from tui.protocols.audiocodes import AudioCodesAgent, AudioCodesCaller
from tui.protocols.base import (
    CallerSettings,
    Outgoing,
    TelephonyEventType,
)

T = TelephonyEventType
CALL = "0d7a2f5e-6a0b-4b51-9f3c-2c1f7e9a4410"
LINES = example("audiocodes")
FROM_CALLER, FROM_AGENT = messages_from("caller", LINES), messages_from("agent", LINES)


def a_caller(**options: Any) -> AudioCodesCaller:
    ids = itertools.chain([CALL], (f"act-{number}" for number in itertools.count(1)))
    offer = ("raw/lpcm16", "raw/lpcm16_24", "raw/mulaw")
    chosen = CallerSettings(agent_name="demo-bot", formats=offer, **options)
    return AudioCodesCaller(chosen, lambda: next(ids), lambda: "2026-01-15T09:00:00.120Z")


def an_agent(**options: Any) -> AudioCodesAgent:
    return AudioCodesAgent(lambda: "id", lambda: "2026-01-15T09:00:00.120Z", **options)


class TestTheExampleSession:
    def test_every_message_of_the_caller_is_understood_by_the_agent(self) -> None:
        agent = an_agent()
        received = [agent.receive(json.dumps(message)) for message in FROM_CALLER]
        assert all(incoming.known for incoming in received)
        assert [incoming.findings for incoming in received if incoming.findings] == []
        assert [incoming.replies[0].kind for incoming in received if incoming.replies] == [
            "session.accepted",
            "userStream.started",
            "userStream.stopped",
            "userStream.started",
            "userStream.stopped",
        ]

    def test_the_caller_sends_the_messages_of_the_example(self) -> None:
        """Runs the complete dialogue, with each side's messages in the example's order."""
        caller = a_caller()
        expected = deque(FROM_CALLER)
        self._expect(expected, caller.opened())
        doings = self._doings(caller)
        for line in LINES:
            message = line["message"]
            if line["dir"] == "s2c":
                incoming = caller.receive(json.dumps(message))
                assert incoming.known
                assert incoming.findings == ()
                self._expect(expected, incoming.replies)
            elif expected and expected[0] is message:
                self._expect(expected, doings(message))
        assert not expected

    @staticmethod
    def _doings(caller: AudioCodesCaller) -> Callable[[dict[str, Any]], list[Outgoing]]:
        """Returns what the user or the speaker does when the caller sends a message on its own initiative."""
        heard = iter(("play-0", "play-2"))

        def doing(message: dict[str, Any]) -> list[Outgoing]:
            match message:
                case {"type": "userStream.start"}:
                    return caller.start_user_stream()
                case {"type": "userStream.chunk", "audioChunk": audio}:
                    return caller.user_audio(base64.b64decode(audio))
                case {"activities": [{"name": "playFinished"}]}:
                    return caller.playback_finished(next(heard), heard_ms=60, received_ms=60)
                case {"activities": [{"name": "DTMF", "value": digits}]}:
                    caller.playback_finished("play-1", heard_ms=20, received_ms=40)
                    return caller.dtmf(digits)
                case _:
                    return caller.hang_up()

        return doing

    @staticmethod
    def _expect(expected: deque[dict[str, Any]], frames: Sequence[Outgoing]) -> None:
        for frame in frames:
            assert simplified(json.loads(frame.frame)) == simplified(expected.popleft())


def simplified(message: dict[str, Any]) -> dict[str, Any]:
    """Returns a message without parts specific to the example: host names, ids and times of activities."""
    own = {"id", "timestamp", "callerHost", "calleeHost", "callerDisplayName"}
    return {
        name: [{k: _simplified(v, own) for k, v in item.items() if k not in own} for item in value]
        if name == "activities"
        else value
        for name, value in message.items()
    }


def _simplified(value: Any, own: set[str]) -> Any:
    return {k: v for k, v in value.items() if k not in own} if isinstance(value, dict) else value


class TestAConversation:
    def test_without_barge_in_the_two_take_turns(self) -> None:
        caller, agent = a_caller(barge_in=False), an_agent()
        line = Line(caller, agent)
        line.to_agent(caller.opened())
        line.to_agent(caller.start_user_stream())
        user_may_speak = [caller.user_stream_open]
        for stream_id in ("a", "b"):
            line.to_caller(agent.say_start(stream_id))
            user_may_speak.append(caller.user_stream_open)
            line.to_caller([*agent.say_audio(stream_id, b"xx"), *agent.say_stop(stream_id)])
            line.to_agent(caller.playback_finished(stream_id, heard_ms=1, received_ms=1))
            user_may_speak.append(caller.user_stream_open)
        assert user_may_speak == [True, False, True, False, True]
        assert line.types_heard_by("agent").count(T.USER_STREAM_START) == 3
