"""The agent's end of ElevenLabs Agents: what ElevenLabs does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.protocols.base import Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.elevenlabs.wire import (
    DEFAULT_FORMAT,
    FORMATS,
    INITIATION,
    METADATA,
    ElevenLabsMessage,
    audio_chunk,
    read_event_id,
)
from tui.protocols.json_frames import Message, outgoing


class ElevenLabsAgent(AgentDefaults):
    """Stands in for ElevenLabs on one socket: sends text with its audio, and pings once."""

    def __init__(self, new_id: NewId, utc_now: UtcNow, *, media: str = DEFAULT_FORMAT) -> None:
        self._conversation_id = f"conv_{new_id()}"
        self._media = media
        self._initiated = False
        self._event_id = 0
        self._open_stream_id: str | None = None
        self._last_stream_id: str | None = None

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio; None before the call is initiated."""
        return FORMATS[self._media] if self._initiated else None

    @property
    def play_format(self) -> AudioFormat | None:
        """The format that `say_audio` takes: the same."""
        return self.user_format

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply by sending its text."""
        if not self._initiated:
            return []
        self._open_stream_id = self._last_stream_id = stream_id
        return [self._event("agent_response", f"agent: {text}", agent_response=text)] if text else []

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends reply audio in one message; nothing for a reply that is not open."""
        if not (stream_id == self._open_stream_id and audio):
            return []
        audio_ms = FORMATS[self._media].duration_ms(len(audio))
        event = {"audio_base_64": audio, "event_id": self._next_event_id()}
        return [audio_chunk({"type": "audio", "audio_event": event}, "audio", "agent", audio_ms)]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Sends nothing for a complete reply, and an interruption of all audio so far for one that is cut short."""
        if stream_id == self._open_stream_id:
            self._open_stream_id = None
        if not (interrupted and stream_id == self._last_stream_id):
            return []
        self._last_stream_id = None
        last = {"type": "interruption", "interruption_event": {"event_id": self._event_id}}
        return [outgoing(last, f"interruption, up to {self._event_id}")]

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Sends partial text of the user's turn."""
        event = {"user_transcript": text, "event_id": self._next_event_id()}
        words = {"type": "tentative_user_transcript", "tentative_user_transcription_event": event}
        return [outgoing(words, f"user, so far: {text}")]

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the final text of the user's turn."""
        event = {"user_transcript": text, "event_id": self._next_event_id()}
        return [outgoing({"type": "user_transcript", "user_transcription_event": event}, f"user: {text}")]

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Sends nothing: closing the socket ends the call."""
        self._open_stream_id = self._last_stream_id = None
        return []

    # Messages from the caller.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message of the caller."""
        message = ElevenLabsMessage(frame)
        handler = self._HANDLERS.get(message.kind())
        if handler and not self._initiated and message.kind() != INITIATION:
            message.find("message-before-initiation", f"{message.kind()} was sent before {INITIATION}.")
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _on_initiation(self, message: Message) -> str:
        if self._initiated:
            message.find(
                "repeated-initiation", f"{INITIATION} was sent again during the call; it was ignored."
            )
            return "initiate again"
        self._initiated = True
        formats = {"agent_output_audio_format": self._media, "user_input_audio_format": self._media}
        event = {"conversation_id": self._conversation_id, **formats}
        metadata = {"type": METADATA, "conversation_initiation_metadata_event": event}
        message.event(Type.SESSION_INITIATE, format=self.user_format, params=message.body)
        message.event(Type.CALL_STARTED, params=message.inside("dynamic_variables").body)
        message.replies.append(outgoing(metadata, f"accepted {self._media}"))
        message.replies.append(self._event("ping", "ping", ping_ms=None))
        return "initiate"

    def _on_user_audio(self, message: Message) -> str:
        coding, audio = FORMATS[self._media], message.audio("user_audio_chunk")
        message.audio_ms = coding.duration_ms(len(audio))
        if audio and self._initiated:
            message.event(Type.USER_STREAM_CHUNK, format=coding, audio=audio)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_user_message(self, message: Message) -> str:
        text = message.text("text", required=True)
        message.event(Type.USER_TEXT, text=text)
        return f"message: {text}"

    def _on_tool_result(self, message: Message) -> str:
        call_id, result = message.ident("tool_call_id", required=True), message.text("result", required=True)
        message.event(Type.TOOL_OUTPUT, stream_id=call_id, text=result)
        return f"tool result: {result}"

    def _on_pong(self, message: Message) -> str:
        read_event_id(message)
        return "pong"

    def _on_news(self, message: Message) -> str:
        text = message.body.get("text")
        return f"{message.kind()}: {text}" if isinstance(text, str) else message.kind()

    def _event(self, kind: str, summary: str, **members: Any) -> Outgoing:
        event = {**members, "event_id": self._next_event_id()}
        return outgoing({"type": kind, f"{kind}_event": event}, summary)

    def _next_event_id(self) -> int:
        self._event_id += 1
        return self._event_id

    _HANDLERS: ClassVar[Mapping[str, Callable[[ElevenLabsAgent, Message], str]]] = {
        INITIATION: _on_initiation,
        "user_audio_chunk": _on_user_audio,
        "user_message": _on_user_message,
        "client_tool_result": _on_tool_result,
        "pong": _on_pong,
        **dict.fromkeys(
            (
                "contextual_update",
                "feedback",
                "mcp_tool_approval_result",
                "multimodal_message",
                "user_activity",
            ),
            _on_news,
        ),
    }
