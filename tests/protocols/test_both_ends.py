"""Tests the two ends of every built-in protocol in conversation and with invalid messages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols.both_ends import Line, Side
from tests.protocols.hostile import check_incoming, hostile_values, mutated_messages, no_messages
from tests.protocols.messages import ACCEPTING, MESSAGES
from tests.protocols.shown import kinds
from tui.protocols.base import (
    AgentEnd,
    CallerEnd,
    CallerSettings,
    Handshake,
    ReadsHandshake,
    TelephonyEventType,
)
from tui.protocols.json_frames import decode_object
from tui.protocols.registry import BUILT_IN, protocol_named

T = TelephonyEventType


def a_caller(name: str) -> CallerEnd:
    path = DIALECTS.get(name, "")
    protocol = protocol_named("openai" if path else name)
    uuids = (f"00000000-0000-4000-8000-{number:012d}" for number in range(1, 10_000))
    numbers = uuids if name == "genesys" else (f"id{number}" for number in range(1, 10_000))
    params = {} if protocol.name in WITHOUT_PARAMETERS else {"scenario": "smoke"}
    settings = CallerSettings(agent_name="bot", params=params, url=f"ws://127.0.0.1{path}")
    return protocol.caller(settings, lambda: next(numbers), lambda: "now")


class Call(Line):
    """A call whose ends have exchanged their first messages."""

    def __init__(self, name: str, **agent_options: Any) -> None:
        path = DIALECTS.get(name, "")
        self.caller = a_caller(name)
        make_agent: Any = protocol_named("openai" if path else name).agent
        numbers = (f"agents{number}" for number in range(1, 10_000))
        self.agent: AgentEnd = make_agent(lambda: next(numbers), lambda: "now", **agent_options)
        if path and isinstance(self.agent, ReadsHandshake):
            self.agent.admit(Handshake(path=path))
        super().__init__(self.caller, self.agent)
        self.to_agent(self.caller.opened())
        self.to_caller(self.agent.opened())
        self.to_agent(self.caller.start_user_stream())

    def reply(self, name: str, text: str, chunks: Sequence[bytes], *, interrupted: bool = False) -> None:
        """Sends a reply from the agent, which is played completely or interrupted."""
        self.to_caller(self.agent.say_start(name, text))
        for chunk in chunks:
            self.to_caller(self.agent.say_audio(name, chunk))
        if interrupted:
            self.to_caller(self.agent.speech_started())
        self.to_caller(self.agent.say_stop(name, interrupted=interrupted))
        stream = self.streams()[-1]
        if interrupted:
            self.to_agent(self.caller.interrupted(stream, heard_ms=5, received_ms=20))
        marks = [event.text for event in self.heard_by["caller"] if event.type is T.MARK]
        if marks:
            self.to_agent(self.caller.mark_reached(marks[-1]))
        heard_ms = 5 if interrupted else 20
        self.to_agent(self.caller.playback_finished(stream, heard_ms=heard_ms, received_ms=20))

    def streams(self) -> list[str]:
        return [event.stream_id for event in self.heard_by["caller"] if event.type is T.PLAY_STREAM_START]


DIALECTS = {"voice-live": "/voice-live/realtime", "xai": "/xai/v1/realtime"}
"""Dialects of OpenAI Realtime with a decoder of their own at the agent's end, with the paths that select them."""
TELEPHONY = ("twilio", "telnyx", "plivo", "exotel", "vonage", "signalwire")
WITHOUT_PARAMETERS = ("openai", "openai-live", "gemini", "deepgram")
CALLS = [
    ("audiocodes", {}),
    ("audiocodes", {"play_format": "raw/lpcm16_24"}),
    ("audiocodes", {"play_format": "raw/mulaw"}),
    ("twilio", {}),
    ("openai", {}),
    ("pcm", {}),
    ("pcm", {"play_rate": 24_000}),
    ("elevenlabs", {}),
    ("elevenlabs", {"media": "ulaw_8000"}),
    ("gemini", {}),
    ("deepgram", {}),
    ("genesys", {}),
    ("telnyx", {}),
    ("plivo", {}),
    ("exotel", {}),
    ("vonage", {}),
    ("signalwire", {}),
    ("asterisk", {}),
]
_REPLY = [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
_GREETING = [*_REPLY, T.PLAY_STREAM_CHUNK]
"""A reply in two messages."""
_CUT_OFF = [T.CLEAR, T.PLAY_STREAM_STOP]
_SPEECH = [T.SPEECH_STARTED, T.SPEECH_STOPPED]
_WORDS = [T.SPEECH_HYPOTHESIS, T.SPEECH_RECOGNITION]
_SPOKEN_REPLY = [T.AGENT_TEXT, *_GREETING]
_SPOKEN_ANSWER = [T.AGENT_TEXT, *_REPLY]
_WITH_MARKS = [*_GREETING, T.MARK, *_REPLY, T.MARK, *_CUT_OFF]
_FLUSH_DROPS_MARK = [*_GREETING, T.MARK, *_REPLY, *_CUT_OFF]
HEARD_BY_CALLER = {
    "audiocodes": [
        *(T.SESSION_ACCEPTED, T.USER_STREAM_STARTED),
        *(*_GREETING, T.PLAY_STREAM_STOP),
        *(T.SPEECH_STARTED, T.SPEECH_HYPOTHESIS, T.SPEECH_STOPPED, T.SPEECH_RECOGNITION, T.SPEECH_COMMITTED),
        *(*_REPLY, T.SPEECH_STARTED, *_CUT_OFF),
        *(T.USER_STREAM_STOPPED, T.HANG_UP),
    ],
    **dict.fromkeys(("twilio", "telnyx", "signalwire"), _WITH_MARKS),
    **dict.fromkeys(("plivo", "vonage"), _FLUSH_DROPS_MARK),
    "exotel": [*_REPLY, T.MARK, *_REPLY, T.MARK, *_CUT_OFF],
    "asterisk": [*_GREETING, T.PLAY_STREAM_CHUNK, T.MARK, *_REPLY, *_CUT_OFF, T.HANG_UP],
    "openai": [
        *(T.SESSION_ACCEPTED, *_SPOKEN_REPLY, T.PLAY_STREAM_STOP, T.AGENT_TEXT),
        *(*_SPEECH, T.SPEECH_COMMITTED, *_WORDS),
        *(*_SPOKEN_ANSWER, T.SPEECH_STARTED, *_CUT_OFF, T.AGENT_TEXT),
    ],
    "pcm": [T.CONFIG, *_SPOKEN_REPLY, T.PLAY_STREAM_STOP, *_WORDS, *_SPOKEN_ANSWER, *_CUT_OFF],
    "elevenlabs": [T.SESSION_ACCEPTED, *_SPOKEN_REPLY, *_WORDS, *_SPOKEN_ANSWER, *_CUT_OFF],
    "genesys": [T.SESSION_ACCEPTED, *_SPOKEN_ANSWER, *_SPOKEN_ANSWER, *_CUT_OFF, T.HANG_UP],
    "deepgram": [
        *(T.SESSION_ACCEPTED, *_SPOKEN_REPLY, T.PLAY_STREAM_STOP),
        *(T.SPEECH_STARTED, T.SPEECH_RECOGNITION),
        *(*_SPOKEN_ANSWER, T.SPEECH_STARTED, *_CUT_OFF),
    ],
    "gemini": [
        *(T.SESSION_ACCEPTED, *_SPOKEN_REPLY, T.PLAY_STREAM_STOP, T.AGENT_TEXT),
        *(*_WORDS, *_SPOKEN_ANSWER, T.AGENT_TEXT, *_CUT_OFF),
    ],
}
"""Meanings of the agent's messages for the caller, except USAGE, which OpenAI's agents send often."""
_BEGIN = [T.SESSION_INITIATE, T.CALL_STARTED]
_PLAYED = [T.MARK_REACHED, T.PLAY_FINISHED]
_AUDIO = [T.USER_STREAM_CHUNK] * 4  # 20 ms each
_KEYS = [T.DTMF] * 2  # a key each
_MARKS_RETURN = [*_BEGIN, *_PLAYED, *_AUDIO, *_PLAYED, *_KEYS, T.SESSION_END]
_NO_MARK_AFTER_FLUSH = [*_BEGIN, *_PLAYED, *_AUDIO, T.PLAY_FINISHED, *_KEYS]
_TYPED_TURN = [*_BEGIN, T.USER_STREAM_CHUNK, T.USER_TEXT]
HEARD_BY_AGENT = {
    "audiocodes": [
        *(*_BEGIN, T.USER_STREAM_START, T.PLAY_FINISHED),
        *(T.USER_STREAM_CHUNK, T.PLAY_FINISHED, T.DTMF, T.USER_TEXT),
        *(T.USER_STREAM_STOP, T.SESSION_END),
    ],
    **dict.fromkeys(("twilio", "telnyx", "signalwire"), _MARKS_RETURN),
    # Asterisk does not answer a flush: the reply ends with the next message.
    **dict.fromkeys(("plivo", "asterisk"), _NO_MARK_AFTER_FLUSH),
    "exotel": [*_BEGIN, *_PLAYED, *_PLAYED, *_KEYS, T.SESSION_END],
    "vonage": [*_BEGIN, *_PLAYED, T.USER_STREAM_CHUNK, T.PLAY_FINISHED, *_KEYS],
    "openai": [T.CONFIG, T.USER_STREAM_CHUNK, T.USER_TEXT, T.RESPONSE_WANTED],
    "pcm": [*_BEGIN, T.USER_STREAM_START, T.USER_STREAM_CHUNK],
    **dict.fromkeys(("elevenlabs", "deepgram"), _TYPED_TURN),
    "genesys": [*_BEGIN, T.PLAY_FINISHED, T.PLAY_FINISHED, *_KEYS, T.SESSION_END],
    "gemini": [T.SESSION_INITIATE, T.USER_STREAM_CHUNK, T.USER_TEXT, T.RESPONSE_WANTED, T.USER_STREAM_STOP],
}


WHOLE_ANSWERS = {"genesys": 10, "exotel": 20, "vonage": 4}
LEAST_BYTES = {
    "exotel": (3_200, 320, b"\0"),
    "vonage": (640, 640, b"\0"),
    "telnyx": (160, 1, b"\xff"),
    "asterisk": (160, 160, b"\xff"),
}
"""Minimum size of an audio message from the agent, the required multiple, and silence."""


def padded(protocol: str, audio: bytes) -> bytes:
    """Returns the audio of a reply shorter than a second, with the silence that its last message requires."""
    least, unit, silence = LEAST_BYTES.get(protocol, (0, 1, b""))
    last = len(audio) % least if protocol in ("vonage", "asterisk") else len(audio)
    missing = max(least - last, -last % unit) if last else 0
    return audio + silence * missing


@pytest.mark.parametrize(("protocol", "agent_options"), CALLS)
def test_a_conversation_from_the_greeting_to_the_hang_up_with_barge_in(
    protocol: str, agent_options: dict[str, Any]
) -> None:
    call = Call(protocol, **agent_options)
    caller, agent = call.caller, call.agent
    greeting, question, answer = bytes(range(256)) * 3 + b"!\1", b"\3\4" * 320, b"\5\6" * 80
    answer *= WHOLE_ANSWERS.get(protocol, 1)  # a whole message, which is not held back
    call.reply("greeting", "Good morning.", [greeting[:402], greeting[402:]])
    call.to_agent(caller.user_audio(question))
    call.to_caller([*agent.speech_started(), *agent.hypothesis("what"), *agent.speech_stopped()])
    call.to_caller(agent.recognition("what time", 0.9))
    call.reply("answer", "Nine.", [answer], interrupted=True)
    call.to_agent([*caller.dtmf("1#"), *caller.user_text("thanks"), *caller.stop_user_stream()])
    call.to_caller(agent.hang_up("done"))
    call.to_agent(caller.hang_up())

    assert call.audio_heard_by("caller") == padded(protocol, greeting) + answer
    is_short = protocol in ("genesys", "exotel")  # their messages contain 200 and 100 ms
    assert call.audio_heard_by("agent") == (b"" if is_short else question)
    assert len(set(call.streams())) == 2
    assert [kind for kind in call.types_heard_by("caller") if kind is not T.USAGE] == HEARD_BY_CALLER[
        protocol
    ]
    assert call.types_heard_by("agent") == HEARD_BY_AGENT[protocol]


@pytest.mark.parametrize(
    "protocol", ["twilio", "elevenlabs", "telnyx", "plivo", "exotel", "vonage", "signalwire", "asterisk"]
)
def test_custom_parameters_reach_the_agent(protocol: str) -> None:
    begun = [event for event in Call(protocol).heard_by["agent"] if event.type is T.CALL_STARTED]
    assert [event.params for event in begun] == [{"scenario": "smoke"}]


def assert_sends_nothing(caller: CallerEnd) -> None:
    assert not caller.user_stream_open
    assert caller.user_audio(bytes(3_200)) == caller.dtmf("1") == caller.user_text("x") == []


@pytest.mark.parametrize("protocol", BUILT_IN)
def test_nothing_is_sent_before_the_call(protocol: str) -> None:
    assert_sends_nothing(a_caller(protocol))


GOODBYES = {
    "audiocodes": ["userStream.stop", "session.end"],
    "openai-live": ["session.close"],
    "genesys": ["close"],
    "twilio": ["stop"],
    "telnyx": ["stop"],
    "exotel": ["stop"],
    "signalwire": ["stop"],
}


@pytest.mark.parametrize("protocol", sorted(BUILT_IN))
def test_nothing_is_sent_after_the_goodbye(protocol: str) -> None:
    caller = Call(protocol).caller
    assert kinds(caller.hang_up()) == GOODBYES.get(protocol, [])
    assert_sends_nothing(caller)
    assert caller.hang_up() == caller.mark_reached("a") == caller.start_user_stream() == []


@pytest.mark.parametrize("protocol", sorted({*BUILT_IN} - {"audiocodes", "openai", "gemini"}))
def test_audio_flows_whether_the_user_records_or_not(protocol: str) -> None:
    caller = Call(protocol).caller
    assert caller.start_user_stream() == caller.stop_user_stream() == caller.user_audio(b"") == []
    assert caller.user_stream_open
    assert caller.user_audio(bytes(3_200))


def test_two_protocols_can_resume_a_session() -> None:
    resumed = {protocol: Call(protocol).caller.resumed() for protocol in BUILT_IN}
    assert {protocol: kinds(frames) for protocol, frames in resumed.items() if frames is not None} == {
        "audiocodes": ["session.resume"],
        "gemini": ["setup"],
    }


FRAME_BYTES = {
    **dict.fromkeys(("twilio", "telnyx", "plivo", "signalwire", "asterisk"), 160),
    "vonage": 640,
    **dict.fromkeys(("genesys", "exotel"), 1_600),
}
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
# Samples that are not a container and cannot be mistaken for 32-bit floats. Twilio's end of silence is a
# finding.
audio_chunks = (
    st.binary(min_size=1, max_size=400)
    .filter(lambda audio: not audio.startswith((b"RIFF", b".snd")) and len(audio) % 4 > 0)
    .filter(lambda audio: not audio.endswith((b"\x00" * 40, b"\x80" * 40)))
)


@pytest.mark.parametrize(("protocol", "agent_options"), CALLS)
@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.lists(audio_chunks, min_size=1, max_size=4), texts, texts)
def test_audio_and_words_arrive_unchanged(
    protocol: str, agent_options: dict[str, Any], chunks: list[bytes], text: str, name: str
) -> None:
    call = Call(protocol, **agent_options)
    caller, agent = call.caller, call.agent
    for chunk in chunks:
        call.to_agent(caller.user_audio(chunk))
    call.to_caller([*agent.speech_started(), *agent.speech_stopped()])
    call.to_caller([*agent.hypothesis(text), *agent.recognition(text, 0.5)])
    call.reply(name, text, chunks)
    call.to_agent([*caller.user_text(text), *caller.dtmf("12#")])

    said, whole = b"".join(chunks), FRAME_BYTES.get(protocol, 1)
    assert call.audio_heard_by("agent") == said[: len(said) // whole * whole]
    chunks_heard = [event for event in call.heard_by["caller"] if event.type is T.PLAY_STREAM_CHUNK]
    heard_audio = [event.audio for event in chunks_heard]
    if protocol in LEAST_BYTES:
        assert b"".join(heard_audio) == padded(protocol, said)
    else:
        assert heard_audio == ([said] if protocol == "genesys" else chunks)
    assert {event.format for event in chunks_heard} == {agent.play_format}
    words: dict[T, Side] = {T.SPEECH_RECOGNITION: "caller", T.USER_TEXT: "agent", T.DTMF: "agent"}
    for kind, listener in words.items():
        heard = [event.text for event in call.heard_by[listener] if event.type is kind]
        due = "12#" if kind is T.DTMF else text
        if protocol == "gemini" and kind is T.SPEECH_RECOGNITION:
            due = text.strip()  # its words arrive in pieces that begin with a blank
        assert "".join(heard) == (due if kind in EXPECTED[listener][protocol] else "")


EXPECTED: dict[Side, dict[str, list[T]]] = {"caller": HEARD_BY_CALLER, "agent": HEARD_BY_AGENT}


def use(caller: CallerEnd, agent: AgentEnd) -> None:
    """Calls everything that the user, the speaker and the local agent can do, in any state."""
    sent = [
        *caller.start_user_stream(),
        *caller.user_audio(bytes(320)),
        *caller.dtmf("1"),
        *caller.user_text("x"),
        *caller.mark_reached("half"),
        *caller.interrupted("reply-1", heard_ms=0, received_ms=1),
        *caller.playback_finished("play-1", heard_ms=0, received_ms=0),
        *caller.stop_user_stream(),
        *agent.speech_started(),
        *agent.speech_stopped(),
        *agent.recognition("x", 1),
        *agent.say_start("a", "x"),
        *agent.say_audio("a", b"xx"),
        *agent.say_stop("a", interrupted=True),
    ]
    for message in sent:
        if isinstance(message.frame, str):
            assert decode_object(message.frame)


def names_in(value: object) -> set[str]:
    match value:
        case dict():
            return set(value).union(*map(names_in, value.values()))
        case list():
            return set().union(*map(names_in, value))
        case _:
            return set()


NAMES = {protocol: sorted(names_in(messages) | {"x"}) for protocol, messages in MESSAGES.items()}
VALUES = {
    protocol: hostile_values(names, "wav/mulaw", "mp3_44100", "pcm16", "clear", "on", "off")
    for protocol, names in NAMES.items()
}


DECODERS = [TELEPHONY, *((name,) for name in MESSAGES if name not in TELEPHONY)]
"""Protocols grouped by the decoder for their messages, which the telephony dialects share."""
every_decoder = pytest.mark.parametrize("protocols", DECODERS, ids=lambda names: "+".join(names))


@every_decoder
@settings(
    derandomize=True, max_examples=int(os.environ.get("CALLS_WITH_MUTATED_MESSAGES", 150)), deadline=None
)
@given(data=st.data())
def test_only_a_protocol_error_escapes_whatever_is_received(
    protocols: tuple[str, ...], data: st.DataObject
) -> None:
    protocol = data.draw(st.sampled_from(protocols))
    call = Call(protocol)
    messages = mutated_messages(MESSAGES[protocol], NAMES[protocol], VALUES[protocol])
    hostile = messages | st.binary(max_size=300)
    for frame in [ACCEPTING[protocol], *data.draw(st.lists(hostile, min_size=5, max_size=5))]:
        check_incoming(call.caller.receive, frame)
        check_incoming(call.agent.receive, frame)
        use(call.caller, call.agent)


@every_decoder
@settings(derandomize=True, max_examples=100, deadline=None)
@given(data=st.data())
def test_a_frame_that_is_not_a_message_is_a_protocol_error_or_unknown(
    protocols: tuple[str, ...], data: st.DataObject
) -> None:
    protocol = data.draw(st.sampled_from(protocols))
    kind_member = "event" if protocol in TELEPHONY else "type"
    frame = data.draw(no_messages(kind_member, VALUES[protocol]))
    for end in (Call(protocol).caller, Call(protocol).agent):
        check_incoming(end.receive, frame)


@pytest.mark.parametrize(
    ("protocol", "headers"),
    [
        ("audiocodes", {"Authorization": "Bearer secret"}),
        ("openai", {"Authorization": "Bearer secret"}),
        ("pcm", {"Authorization": "Bearer secret"}),
        ("elevenlabs", {"xi-api-key": "secret"}),
        ("gemini", {"x-goog-api-key": "secret"}),
        ("deepgram", {"Authorization": "Token secret"}),
        ("telnyx", {"x-telnyx-streaming-auth-token": "secret"}),
        ("exotel", {"Authorization": "Basic c2VjcmV0"}),
        ("vonage", {"Authorization": "Bearer secret"}),
        ("signalwire", {"Authorization": "Bearer secret"}),
    ],
)
def test_the_header_that_carries_a_token(protocol: str, headers: dict[str, str]) -> None:
    found = protocol_named(protocol)
    assert found.headers("secret", "wss://bot.example/") == headers
    assert found.headers("", "wss://bot.example/") == {}
