"""Replays the example sessions: each end understands the other's messages, and the caller sends its own."""

from __future__ import annotations

import base64
import itertools
import json
from collections import ChainMap, deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.protocols.both_ends import example, messages_from
from tests.protocols.shown import rules
from tui.protocols.asterisk import AsteriskAgent
from tui.protocols.base import AgentEnd, CallerEnd, CallerSettings, Outgoing, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.registry import protocol_named
from tui.protocols.telephony.agent import TelephonyAgent

NOW = "2026-01-15T09:00:00.120Z"
Message = dict[str, Any]


def caller_of(name: str, ids: Sequence[str] = (), **settings: Any) -> CallerEnd:
    new_ids = itertools.chain(ids, (f"id-{number}" for number in itertools.count(1)))
    return protocol_named(name).caller(CallerSettings(**settings), lambda: next(new_ids), lambda: NOW)


def replay(
    caller: CallerEnd,
    lines: Sequence[Message],
    act: Callable[[Message], Sequence[Outgoing] | None],
    simplified: Callable[[Message], Message] = lambda message: message,
) -> list[TelephonyEvent]:
    """Asserts that the caller sends its messages of the example, in their order; returns what it heard.

    ``act`` does what causes a message that is not a reply. It returns None if the message is not the caller's.
    """
    expected = deque(messages_from("caller", lines))
    heard: list[TelephonyEvent] = []

    def sent(frames: Sequence[Outgoing]) -> None:
        for frame in frames:
            assert simplified(json.loads(frame.frame)) == simplified(expected.popleft())

    sent(caller.opened())
    for line in lines:
        message = line["message"]
        if line["dir"] == "s2c":
            incoming = caller.receive(json.dumps(message))
            assert (incoming.known, incoming.findings) == (True, ())
            heard += incoming.events
            sent(incoming.replies)
        elif expected and expected[0] is message:
            frames = act(message)
            sent(frames if frames is not None else [])
            if frames is None:
                expected.popleft()
    assert not expected
    return heard


def test_an_audiocodes_caller_sends_the_messages_of_the_example() -> None:
    lines = example("audiocodes")
    offer = ("raw/lpcm16", "raw/lpcm16_24", "raw/mulaw")
    call_id = messages_from("caller", lines)[0]["conversationId"]
    caller = caller_of("audiocodes", [call_id], agent_name="demo-bot", formats=offer)
    heard = iter(("play-0", "play-2"))

    def act(message: Message) -> Sequence[Outgoing]:
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

    def simplified(message: Message) -> Message:
        """Leaves out what only the example has: host names, ids and times of activities."""
        if "activities" not in message:
            return message
        own = {"id", "timestamp", "callerHost", "calleeHost", "callerDisplayName"}
        (activity,) = message["activities"]
        activity = {name: value for name, value in activity.items() if name not in own}
        if "parameters" in activity:
            parameters = activity["parameters"].items()
            activity["parameters"] = {name: value for name, value in parameters if name not in own}
        return {**message, "activities": [activity]}

    replay(caller, lines, act, simplified)


def test_a_twilio_caller_sends_the_messages_of_the_example() -> None:
    lines = example("twilio")
    start = messages_from("caller", lines)[1]["start"]
    ids = [start[name][2:] for name in ("streamSid", "accountSid", "callSid")]
    caller = caller_of("twilio", ids, params=start["customParameters"])

    def act(message: Message) -> Sequence[Outgoing]:
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

    heard = [(event.type, event.stream_id, event.text) for event in replay(caller, lines, act)]
    assert [event for event in heard if event[0] is not T.PLAY_STREAM_CHUNK] == [
        (T.PLAY_STREAM_START, "reply-1", ""),
        (T.MARK, "reply-1", "greeting"),
        (T.PLAY_STREAM_START, "reply-2", ""),
        (T.MARK, "reply-2", "answer-1"),
        (T.MARK, "reply-2", "answer-2"),
        (T.CLEAR, "reply-2", ""),
        (T.PLAY_STREAM_STOP, "reply-2", ""),
    ]


def test_an_openai_caller_sends_the_messages_of_the_example() -> None:
    lines = example("openai-realtime")
    turn = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 400}
    options = {
        "instructions": "Answer briefly.",
        "tools": json.dumps(messages_from("caller", lines)[0]["session"]["tools"]),
        "language": "en",
        "turn_detection": "server_vad",
        "voice": "marin",
        "session": json.dumps({"audio": {"input": {"turn_detection": turn}}}),
    }
    # Handlers send the tool's result and the request for an answer, with ids of their own.
    caller = caller_of("openai", [f"client_{number}" for number in (1, 4)], options=options)

    def act(message: Message) -> Sequence[Outgoing] | None:
        match message:
            case {"type": "input_audio_buffer.append", "audio": audio}:
                caller.playback_finished("item_a1", heard_ms=15, received_ms=15)
                caller.start_user_stream()
                return caller.user_audio(base64.b64decode(audio))
            case {"type": "conversation.item.truncate"}:
                return caller.interrupted("item_a2", heard_ms=7.5, received_ms=10)
            case _:
                return None

    heard = replay(caller, lines, act)
    assert [event.text for event in heard if event.type is T.SPEECH_RECOGNITION] == [
        "When do you open on Monday?"
    ]
    assert [event.text for event in heard if event.type is T.AGENT_TEXT and event.final] == [
        "On Monday we open at nine o'clock.",
        "Our full list of holidays is",
    ]
    kinds = [event.type for event in heard]
    assert (kinds.count(T.CLEAR), kinds.count(T.AGENT_ERROR)) == (1, 0)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("deepgram", ["injection-refused", "agent-warning"]),
        ("gemini", ["go-away"]),
        ("telnyx", []),
        ("plivo", ["marks-lost"]),
        ("exotel", []),
        ("vonage", ["marks-lost"]),
        ("signalwire", []),
        ("asterisk", ["marks-lost"]),
    ],
)
def test_the_caller_understands_the_agents_messages(name: str, found: list[str]) -> None:
    named = ChainMap(*messages_from("caller", example(name)))
    stream_ids = [
        named[member] for member in ("stream_id", "streamId", "stream_sid", "streamSid") if member in named
    ]
    caller = caller_of(name, stream_ids)
    caller.opened()
    received = [caller.receive(json.dumps(message)) for message in messages_from("agent", example(name))]
    assert all(incoming.known for incoming in received)
    assert [rule for incoming in received for rule in rules(incoming)] == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("audiocodes", []),
        ("twilio", []),
        ("openai-realtime", []),
        ("deepgram", ["unknown-function-call"]),
        ("gemini", ["unknown-tool-call"]),
        ("telnyx", []),
        ("plivo", []),
        ("exotel", []),
        ("vonage", []),
        ("signalwire", []),
        ("asterisk", ["refused"]),
    ],
)
def test_the_agent_understands_the_callers_messages(name: str, found: list[str]) -> None:
    agent: AgentEnd = protocol_named(name.removesuffix("-realtime")).agent(lambda: "x", lambda: NOW)
    marks = ("greeting", "answer", "answer-1", "answer-2")
    match agent:  # in which the marks of the example were sent
        case TelephonyAgent():
            agent._unheard += marks
        case AsteriskAgent():
            agent._pending.update(zip(marks, marks, strict=True))
        case _:
            pass
    received = [agent.receive(json.dumps(message)) for message in messages_from("caller", example(name))]
    assert all(incoming.known for incoming in received)
    assert [rule for incoming in received for rule in rules(incoming)] == found
