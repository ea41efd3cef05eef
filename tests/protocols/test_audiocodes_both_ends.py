"""Tests the example session at each end, special turns of a conversation, and round trips."""

from __future__ import annotations

import base64
import itertools
import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols.both_ends import Line, Side, example, messages_from
from tui.protocols.audiocodes import AudioCodesAgent, AudioCodesCaller
from tui.protocols.base import (
    CallerSettings,
    Outgoing,
    TelephonyEvent,
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

    def test_a_dropped_call_goes_on_with_the_same_agent(self) -> None:
        caller, agent = a_caller(), an_agent()
        line = Line(caller, agent)
        line.to_agent(caller.opened())
        line.to_agent(caller.start_user_stream())
        line.to_agent(caller.resumed())
        assert caller.user_stream_open
        assert line.types_heard_by("agent")[-2:] == [T.SESSION_RESUME, T.USER_STREAM_START]

    def test_the_probe(self) -> None:
        caller, agent = a_caller(), an_agent()
        line = Line(caller, agent)
        line.to_agent(caller.validate())
        assert line.heard_by["caller"] == [
            TelephonyEvent(type=T.CONNECTION_VALIDATED, params={"success": True})
        ]


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
audio_chunks = st.binary(min_size=1, max_size=200).filter(lambda audio: not audio.startswith(b"RIFF"))
confidences = st.floats(0, 1)


def in_session() -> tuple[AudioCodesCaller, AudioCodesAgent, Line]:
    caller, agent = a_caller(), an_agent()
    line = Line(caller, agent)
    line.to_agent(caller.opened())
    line.to_agent(caller.start_user_stream())
    return caller, agent, line


def after(line: Line, listener: Side, before: int) -> list[TelephonyEvent]:
    return line.heard_by[listener][before:]


@settings(derandomize=True, max_examples=60)
@given(texts, texts, audio_chunks, confidences)
def test_messages_from_the_agent_arrive(name: str, text: str, audio: bytes, confidence: float) -> None:
    _, agent, line = in_session()
    before = len(line.heard_by["caller"])
    line.to_caller([*agent.hypothesis(text), *agent.recognition(text, confidence)])
    line.to_caller([*agent.say_start(name, text), *agent.say_audio(name, audio), *agent.say_stop(name)])
    line.to_caller(agent.activity("transfer", activityParams={"transferTarget": text}))
    line.to_caller(agent.activity("config", sessionParams={text: confidence}))
    line.to_caller(agent.hang_up(text))
    media = agent.play_format
    assert after(line, "caller", before) == [
        TelephonyEvent(type=T.SPEECH_HYPOTHESIS, text=text),
        TelephonyEvent(type=T.SPEECH_RECOGNITION, text=text, confidence=confidence),
        TelephonyEvent(type=T.SPEECH_COMMITTED),
        TelephonyEvent(type=T.PLAY_STREAM_START, stream_id=name, text=text, format=media),
        TelephonyEvent(type=T.PLAY_STREAM_CHUNK, stream_id=name, audio=audio, format=media),
        TelephonyEvent(type=T.PLAY_STREAM_STOP, stream_id=name),
        TelephonyEvent(type=T.TRANSFER, text=text, params={"transferTarget": text}),
        TelephonyEvent(type=T.CONFIG, params={text: confidence}),
        TelephonyEvent(type=T.HANG_UP, reason=text, params={"hangupReason": text}),
    ]


@settings(derandomize=True, max_examples=60)
@given(texts, st.text("0123456789*#ABCD", min_size=1, max_size=20), audio_chunks)
def test_messages_from_the_caller_arrive(text: str, digits: str, audio: bytes) -> None:
    caller, agent, line = in_session()
    before = len(line.heard_by["agent"])
    caller.receive(json.dumps({"type": "playStream.mark.set", "name": text}))
    line.to_agent([*caller.user_audio(audio), *caller.dtmf(digits), *caller.user_text(text)])
    line.to_agent(caller.mark_reached(text))
    line.to_agent(caller.stop_user_stream())
    line.to_agent(caller.hang_up(text))
    assert after(line, "agent", before) == [
        TelephonyEvent(type=T.USER_STREAM_CHUNK, audio=audio, format=agent.user_format),
        TelephonyEvent(type=T.DTMF, text=digits),
        TelephonyEvent(type=T.USER_TEXT, text=text),
        TelephonyEvent(type=T.MARK_REACHED, text=text),
        TelephonyEvent(type=T.USER_STREAM_STOP),
        TelephonyEvent(type=T.SESSION_END, reason=text, code="client-disconnected"),
    ]
