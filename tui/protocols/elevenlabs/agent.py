"""The agent's end of ElevenLabs Agents: acts as the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.protocols.base import Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.elevenlabs import wire
from tui.protocols.json_frames import Members, Message, cut, outgoing


class ElevenLabsAgent(AgentDefaults):
    """Acts as ElevenLabs on one socket: sends the words of each reply with its audio, and pings once.

    Applies these overrides by the caller: ``text_only``, ``client_events``, ``first_message`` and
    ``tool_ids``. The words of ``first_message`` are sent with the audio of the recorded greeting; with "" the
    agent does not greet. In ``tool_ids``, the id of a client tool is its name.
    """

    must_call_tool = False
    """The user's words decide whether a tool is called."""

    def __init__(self, new_id: NewId, utc_now: UtcNow, *, media: str = wire.DEFAULT_FORMAT) -> None:
        self._conversation_id = f"conv_{new_id()}"
        self._media = media
        self._initiated = False
        self._wishes = _Wishes()
        self._open_calls: set[str] = set()
        self._event_id = 0
        self._open_stream_id: str | None = None
        self._last_stream_id: str | None = None

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio; None before the call is initiated."""
        return wire.FORMATS[self._media] if self._initiated else None

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`, which is that of user audio; None in a text-only conversation."""
        return None if self._wishes.text_only else self.user_format

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The client tools that the caller allows."""
        return self._wishes.tools if self._wishes.wants("client_tool_call") else ()

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply by sending its text."""
        if not self._initiated:
            return []
        self._open_stream_id = self._last_stream_id = stream_id
        if not (text and self._wishes.wants("agent_response")):
            return []
        return [self._event("agent_response", f"agent: {text}", agent_response=text)]

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends audio of a reply in one message. Sends nothing if the reply is not open."""
        if not (stream_id == self._open_stream_id and audio and self._wishes.wants("audio")):
            return []
        audio_ms = wire.FORMATS[self._media].duration_ms(len(audio))
        event = {"audio_base_64": audio, "event_id": self._next_event_id()}
        return [wire.audio_chunk({"type": "audio", "audio_event": event}, "audio", "agent", audio_ms)]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Sends nothing for a complete reply.

        If the reply was interrupted, announces the interruption of all audio sent so far.
        """
        if stream_id == self._open_stream_id:
            self._open_stream_id = None
        if not (interrupted and stream_id == self._last_stream_id):
            return []
        self._last_stream_id = None
        if not self._wishes.wants("interruption"):
            return []
        last = {"type": "interruption", "interruption_event": {"event_id": self._event_id}}
        return [outgoing(last, f"interruption, up to {self._event_id}")]

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> list[Outgoing]:
        """Calls a client tool instead of answering."""
        call_id = f"call_{self._next_event_id()}"
        self._open_calls.add(call_id)
        call = {"tool_name": name, "tool_call_id": call_id, "parameters": dict(arguments)}
        members = {"type": "client_tool_call", "client_tool_call": {**call, "event_id": self._event_id}}
        return [outgoing(members, f"call {name}")]

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Sends partial text of the user's turn."""
        if not self._wishes.wants("tentative_user_transcript"):
            return []
        event = {"user_transcript": text, "event_id": self._next_event_id()}
        words = {"type": "tentative_user_transcript", "tentative_user_transcription_event": event}
        return [outgoing(words, f"user, so far: {text}")]

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the final text of the user's turn."""
        if not self._wishes.wants("user_transcript"):
            return []
        event = {"user_transcript": text, "event_id": self._next_event_id()}
        return [outgoing({"type": "user_transcript", "user_transcription_event": event}, f"user: {text}")]

    # Messages from the caller.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message from the caller."""
        message = wire.ElevenLabsMessage(frame)
        handler = self._HANDLERS.get(message.kind())
        if handler and not self._initiated and message.kind() != wire.INITIATION:
            message.find(
                "message-before-initiation", f"“{message.kind()}” was sent before “{wire.INITIATION}”."
            )
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _on_initiation(self, message: Message) -> str:
        if self._initiated:
            message.ignore_repeated("repeated-initiation")
            return "initiate again"
        self._initiated = True
        self._wishes = _Wishes(message.inside("conversation_config_override"))
        formats = {"agent_output_audio_format": self._media, "user_input_audio_format": self._media}
        event = {"conversation_id": self._conversation_id, **formats}
        metadata = {"type": wire.METADATA, "conversation_initiation_metadata_event": event}
        message.event(Type.SESSION_INITIATE, format=self.user_format, params=message.body)
        if self._wishes.first_message != "":
            variables = message.inside("dynamic_variables").body
            message.event(Type.CALL_STARTED, params=variables, text=self._wishes.first_message or "")
        message.replies.append(outgoing(metadata, f"accepted {self._media}"))
        if self._wishes.wants("ping"):
            message.replies.append(self._event("ping", "ping", ping_ms=None))
        return "initiate"

    def _on_user_audio(self, message: Message) -> str:
        coding, audio = wire.FORMATS[self._media], message.audio("user_audio_chunk")
        message.audio_ms = coding.duration_ms(len(audio))
        if self._wishes.text_only:
            message.find(
                "audio-in-text", "“user_audio_chunk” was sent in a text_only conversation; it was ignored."
            )
        elif audio and self._initiated:
            message.event(Type.USER_STREAM_CHUNK, format=coding, audio=audio)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_user_message(self, message: Message) -> str:
        text = message.text("text", required=True)
        message.event(Type.USER_TEXT, text=text)
        return f"message: {text}"

    def _on_tool_result(self, message: Message) -> str:
        call_id, result = message.ident("tool_call_id", required=True), message.text("result", required=True)
        if call_id in self._open_calls:
            self._open_calls.remove(call_id)
            message.event(Type.TOOL_OUTPUT, stream_id=call_id, text=result)
        elif call_id:
            message.find("unknown-tool-call", f"No tool call with the id {cut(call_id, 60)} is pending.")
        return f"tool result: {result}"

    def _on_pong(self, message: Message) -> str:
        wire.read_event_id(message)
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
        wire.INITIATION: _on_initiation,
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


class _Wishes:
    """The caller's changes to the agent's configuration. Unknown members are ignored."""

    def __init__(self, override: Members | None = None) -> None:
        override = override or Members({}, [])
        agent, conversation = override.inside("agent"), override.inside("conversation")
        self.text_only = conversation.body.get("text_only") is True
        self.first_message = agent.text("first_message") if agent.has("first_message") else None
        """None for the agent's own greeting, "" for no greeting."""
        self.tools: Sequence[Mapping[str, Any]] = [
            {"name": name} for name in agent.inside("prompt").texts("tool_ids")
        ]
        self._events = frozenset(conversation.texts("client_events"))

    def wants(self, kind: str) -> bool:
        """Returns whether the caller wants events of this type. A caller that names no types wants all events."""
        return not self._events or kind in self._events
