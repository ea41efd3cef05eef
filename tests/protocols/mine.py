"""The protocol of my agent: hello and ready, then audio as base64 both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Incoming, NewId, Outgoing, Protocol, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults, CallerDefaults
from tui.protocols.json_frames import Message, outgoing
from tui.protocols.log_rules import LogRules, Nearest, request
from tui.protocols.signs import Signs, sent

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)


def audio_message(kind: str, audio: bytes) -> Outgoing:
    audio_ms = PCM_16K.duration_ms(len(audio))
    return outgoing({"type": kind, "audio": audio}, f"{kind} {audio_ms:.0f} ms", audio_ms)


class MyCaller(CallerDefaults):
    """The side of this program, one object per call."""

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        self._settings = settings
        self._accepted = False
        self._replies = 0
        self._reply_open = False

    @property
    def user_format(self) -> AudioFormat | None:
        return PCM_16K if self._accepted else None

    @property
    def user_stream_open(self) -> bool:
        return self._accepted

    def opened(self) -> list[Outgoing]:
        return [outgoing({"type": "hello", "from": self._settings.caller}, "hello")]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        return [audio_message("hear", audio)] if self._accepted and audio else []

    def receive(self, frame: str | bytes) -> Incoming:
        message = Message(frame)  # raises ProtocolError unless it is a JSON object with a type
        stream = f"reply-{self._replies}"
        match message.kind():
            case "ready":
                self._accepted = True
                message.event(Type.SESSION_ACCEPTED, format=PCM_16K)
                summary = "ready"
            case "say":
                audio = message.audio("audio")  # reports a finding if it is not base64
                message.audio_ms = PCM_16K.duration_ms(len(audio))
                if not self._reply_open:
                    self._reply_open = True
                    self._replies += 1
                    stream = f"reply-{self._replies}"
                    message.event(Type.PLAY_STREAM_START, stream_id=stream, format=PCM_16K)
                message.event(Type.PLAY_STREAM_CHUNK, stream_id=stream, format=PCM_16K, audio=audio)
                summary = f"say {message.audio_ms:.0f} ms"
            case "said" | "stop" as kind:
                if kind == "stop":  # the user interrupts: audio that has not played yet is discarded
                    message.event(Type.CLEAR, stream_id=stream)
                if self._reply_open:
                    self._reply_open = False
                    message.event(Type.PLAY_STREAM_STOP, stream_id=stream)
                summary = kind
            case _:
                summary = message.unknown()
        return message.incoming(summary)


class MyAgent(AgentDefaults):
    """The agent's side, for tests and the local agent; optional."""

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._greeted = False

    @property
    def user_format(self) -> AudioFormat | None:
        return PCM_16K if self._greeted else None

    @property
    def play_format(self) -> AudioFormat | None:
        return self.user_format

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        return [audio_message("say", audio)]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        kind = "stop" if interrupted else "said"
        return [outgoing({"type": kind}, kind)]

    def receive(self, frame: str | bytes) -> Incoming:
        message = Message(frame)
        match message.kind():
            case "hello":
                self._greeted = True
                message.event(Type.SESSION_INITIATE, format=PCM_16K, text=message.text("from"))
                message.event(Type.CALL_STARTED)
                message.replies.append(outgoing({"type": "ready"}, "ready"))
                summary = "hello"
            case "hear":
                audio = message.audio("audio")
                message.audio_ms = PCM_16K.duration_ms(len(audio))
                message.event(Type.USER_STREAM_CHUNK, format=PCM_16K, audio=audio)
                summary = f"hear {message.audio_ms:.0f} ms"
            case _:
                summary = message.unknown()
        return message.incoming(summary)


def first_message(message: Mapping[str, Any] | bytes) -> str:
    return sent("ready", "my agent") if message == {"type": "ready"} else ""


MINE = Protocol(
    name="mine",
    title="My agent's protocol",
    path="/mine",
    caller=MyCaller,
    agent=MyAgent,
    formats={"pcm_16000": PCM_16K},
    log=LogRules(
        runs=("hear", "say"),
        pairs=(request("hello", "ready"), Nearest(("say",), ("said", "stop"), later=True)),
        audio_members=("audio",),
    ),
    signs=Signs(path_words=("mine",), first_message=first_message),
    interface=1,
)
