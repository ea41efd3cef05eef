"""The agent's end of the Realtime API (GA or the dialect of the path): acts as the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from tui.audio.formats import AudioFormat
from tui.audio.wav import strip_wav_header
from tui.protocols.base import Close, Handshake, Incoming, NewId, Outgoing, ProtocolError, UtcNow, unix_time
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.json_frames import Message, cut, outgoing
from tui.protocols.openai_realtime import wire
from tui.protocols.openai_realtime.configuration import (
    DEFAULT_MODEL,
    Configuration,
    callable_tools,
    check_response,
)
from tui.protocols.openai_realtime.dialects import dialect_of
from tui.protocols.openai_realtime.items import Item, Items, item_from, texts_of
from tui.protocols.openai_realtime.speaking import Speaking
from tui.protocols.openai_realtime.spelling import Spelling, spelling_of
from tui.protocols.refused import Refused, invalid_type, invalid_value

_SESSION_S = 3600
_BETA_REFUSED = Refused(
    "beta_api_shape_disabled",
    "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
)
_BETA_CLOSE = Close(4000, "invalid_request_error.beta_api_shape_disabled")
_BETA_SUBPROTOCOL = "openai-beta."
_MAX_APPEND_CHARS = 15 * 1024 * 1024
_MAX_BUFFER_S = 120
"""Maximum duration of audio to keep from a user turn; if the turn is longer, only its end is kept."""


class OpenAIAgent(AgentDefaults):
    """Acts as the server on one socket.

    The owner of this end detects the user's speech and supplies the replies. `speech_stopped` commits a turn.
    If the caller has turned off turn detection, the caller's ``input_audio_buffer.commit`` commits the turn
    instead.
    """

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._new_id = new_id
        now_s = int(unix_time(utc_now))
        expires = {"expires_at": now_s + _SESSION_S} if now_s else {}
        self._spelling = Spelling()
        self._configuration = Configuration(id=f"sess_{new_id()}", **expires)
        self._items = Items()
        self._speaking = Speaking(self._event, new_id, self._items, self._configuration)
        self._received_ms = 0.0
        self._buffer = bytearray()
        self._user_speaks = False
        self._next_item_id = ""
        self._to_transcribe: Item | None = None
        self._refusal: Refused | None = None

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio, which the caller may change with its first update."""
        return self._configuration.input_format

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`, which is fixed during a response; None if the response is text-only."""
        return self._speaking.format

    @property
    def detects_turns(self) -> bool:
        """Whether the agent detects the end of turns; otherwise, the caller ends turns."""
        return self._configuration.turn_detection is not None

    @property
    def answers_unasked(self) -> bool:
        """Whether the agent answers a turn without a request."""
        return self._configuration.turn_flag("create_response")

    @property
    def yields_to_speech(self) -> bool:
        """Whether the agent stops speaking when the user begins to speak."""
        return self._configuration.turn_flag("interrupt_response")

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The functions that the caller offers and allows, for the current response or for the session."""
        return callable_tools(self._speaking.setting("tools"), self._speaking.setting("tool_choice"))

    @property
    def must_call_tool(self) -> bool:
        """Whether the caller requires a tool call."""
        return self._speaking.setting("tool_choice") not in ("auto", "none")

    @property
    def idle_timeout_ms(self) -> float | None:
        """How long the user may be silent after a reply before the agent speaks again."""
        return self._configuration.idle_timeout_ms

    # Actions of the agent.

    def admit(self, handshake: Handshake) -> Close | None:
        """Reads dialect and model from the URL. Like the service, refuses callers that request the beta."""
        self._spelling = spelling_of(dialect_of(handshake.path))
        self._configuration.rules = self._spelling.rules
        self._configuration.body["model"] = handshake.query.get("model") or DEFAULT_MODEL
        offers_beta = any(name.startswith(_BETA_SUBPROTOCOL) for name in handshake.subprotocols)
        if "realtime=" in handshake.beta or offers_beta:
            self._refusal = _BETA_REFUSED
            return _BETA_CLOSE
        return None

    def opened(self) -> list[Outgoing]:
        """Announces the session with its default settings. Sends a refused caller the reason."""
        if self._refusal:
            return self._error(self._refusal)
        if self._spelling.opens_with == "conversation.created":
            shown = {"id": self._speaking.conversation_id, "object": "realtime.conversation"}
            return self._event("conversation.created", "conversation created", conversation=shown)
        return self._event("session.created", "session created", session=self._configuration.body)

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Begins a reply, after interrupting an earlier reply that is still open."""
        return self._speaking.start(stream_id, text)

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Returns the messages that carry the audio; an empty list if the reply is not open."""
        return self._speaking.audio(stream_id, audio)

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Completes a reply, or interrupts it because the user speaks. Does nothing if the reply is not open."""
        if stream_id != self._speaking.stream_id:
            return []
        return self._speaking.stop("turn_detected" if interrupted else "")

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> list[Outgoing]:
        """Calls one of the caller's functions instead of answering."""
        return self._speaking.call_tool(name, arguments)

    def speech_started(self) -> list[Outgoing]:
        """Announces that the user has begun to speak. Drops an answer that has not started."""
        if not self.detects_turns:
            return []
        self._user_speaks = True
        self._next_item_id = f"item_{self._new_id()}"
        start_ms = max(int(self._received_ms - self._configuration.prefix_padding_ms), 0)
        members = {"audio_start_ms": start_ms, "item_id": self._next_item_id}
        unsaid = self.yields_to_speech and self._speaking.stream_id is None
        return [
            *self._event("input_audio_buffer.speech_started", "user speech started", **members),
            *(self._speaking.stop("turn_detected") if unsaid else []),
        ]

    def speech_stopped(self) -> list[Outgoing]:
        """Commits the turn, because the user has stopped speaking."""
        if not (self.detects_turns and self._user_speaks):
            return []
        members = {"audio_end_ms": int(self._received_ms), "item_id": self._next_item_id}
        stopped = self._event("input_audio_buffer.speech_stopped", "user speech stopped", **members)
        return stopped + self._commit()

    def idle(self) -> list[Outgoing]:
        """Commits the silence as a turn, because the user has been silent for the idle timeout."""
        self._next_item_id = f"item_{self._new_id()}"
        start_ms = max(int(self._received_ms - (self.idle_timeout_ms or 0.0)), 0)
        span = {"audio_start_ms": start_ms, "audio_end_ms": int(self._received_ms)}
        place = {**span, "item_id": self._next_item_id}
        triggered = self._event("input_audio_buffer.timeout_triggered", "the user is silent", **place)
        committed = self._commit()
        self._to_transcribe = None
        return triggered + committed

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the transcript of the last committed turn, if the caller enabled transcription."""
        item, self._to_transcribe = self._to_transcribe, None
        if item is None or not self._configuration.transcribes:
            return []
        item.body = {**item.body, "content": [{"type": "input_audio", "transcript": text}]}
        place = {"item_id": item.item_id, "content_index": 0}
        seconds = item.format.duration_ms(item.audio_bytes) / 1000 if item.format else 0.0
        usage = {"type": "duration", "seconds": seconds}
        kind = "conversation.item.input_audio_transcription"
        return [
            *self._event(f"{kind}.delta", f"hypothesis: {text}", **place, delta=text),
            *self._event(f"{kind}.completed", f"recognition: {text}", **place, transcript=text, usage=usage),
        ]

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Ends the current reply. The protocol has no message for a hang-up; closing the socket ends the call."""
        return self._speaking.stop("turn_detected")

    # Messages from the caller.

    def receive(self, frame: str | bytes) -> Incoming:
        """Handles a message from the caller. Answers with an error if a request cannot be met."""
        message = Message(frame)
        kind = message.kind()
        try:
            message.body = self._spelling.read(message.body, self._configuration.body)
            handler = self._HANDLERS.get(message.kind())
            if handler is not None:
                return message.incoming(handler(self, message))
        except Refused as refused:
            message.replies += self._error(refused, message)
            incoming = message.incoming(f"{kind}, refused: {refused}")
            return replace(incoming, refused=str(refused))
        if kind in self._spelling.without_effect:
            return message.incoming(kind)
        summary = message.unknown()
        text = f"Invalid value: '{cut(kind, 60)}'. Supported values are {', '.join(self._HANDLERS)}."
        message.replies += self._error(Refused("invalid_value", text, "type"), message)
        return message.incoming(summary)

    def unreadable(self, error: ProtocolError) -> list[Outgoing]:
        """Sends an error in answer to a frame that cannot be decoded."""
        if error.code in ("no-type", "wrong-type"):
            return self._error(Refused("missing_required_parameter", f"Invalid event: {error}.", "type"))
        return self._error(Refused("invalid_json", f"Could not parse the event: {error}."))

    def _on_session_update(self, message: Message) -> str:
        before = self.user_format
        self._configuration.update(message.body.get("session"), has_spoken=self._speaking.has_spoken)
        wanted = message.inside("session").text("model")
        if wanted and wanted != self._configuration.model:
            text = f"session.model cannot be changed to {cut(wanted, 60)}: the URL sets the model."
            message.find("model-changed", text)
        if self.user_format != before:
            self._buffer.clear()
        session = self._configuration.body
        message.event(Type.CONFIG, format=self.user_format, params=session)
        message.replies += self._event("session.updated", "session updated", session=session)
        return "session settings"

    def _on_append(self, message: Message) -> str:
        if len(message.text("audio")) > _MAX_APPEND_CHARS:
            raise Refused("invalid_value", "More than 15 MiB of audio in one event.", "audio")
        before = len(message.findings)
        audio, had_header = strip_wav_header(message.audio("audio"))
        if not audio and len(message.findings) > before:
            raise Refused("invalid_value", "Invalid 'audio': expected base64.", "audio")
        if had_header:
            message.find("wav-header-in-append", "The audio starts with a WAV header, which was removed.")
        media = self._configuration.input_format
        message.audio_ms = media.duration_ms(len(audio))
        self._received_ms += message.audio_ms
        self._keep(audio, media)
        if audio:
            message.event(Type.USER_STREAM_CHUNK, format=media, audio=audio)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_commit(self, message: Message) -> str:
        buffered_ms = self._configuration.input_format.duration_ms(len(self._buffer))
        if buffered_ms < wire.MIN_COMMIT_MS:
            text = (
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{wire.MIN_COMMIT_MS:.0f}ms of audio, but buffer only has {buffered_ms:.2f}ms of audio."
            )
            raise Refused("input_audio_buffer_commit_empty", text)
        message.replies += self._commit()
        message.event(Type.SPEECH_COMMITTED)
        return f"commit {buffered_ms:.0f} ms of user audio"

    def _on_clear(self, message: Message) -> str:
        self._buffer.clear()
        self._user_speaks = False
        message.event(Type.USER_STREAM_CLEARED)
        message.replies += self._event("input_audio_buffer.cleared", "user audio cleared")
        return "clear user audio"

    def _on_item_create(self, message: Message) -> str:
        members = message.inside("item")
        item = item_from(members, wire.ident(members, "id") or f"item_{self._new_id()}")
        previous = self._items.insert(item, wire.ident(message, "previous_item_id"))
        message.replies += self._item_added(item, previous)
        if item.body["type"] == "function_call_output":
            call_id, output = item.body["call_id"], item.body["output"]
            message.event(Type.TOOL_OUTPUT, stream_id=call_id, text=output)
        elif item.body.get("role") == "user" and (text := texts_of(item)):
            message.event(Type.USER_TEXT, text=text)
        return wire.item_summary(members)

    def _on_item_retrieve(self, message: Message) -> str:
        item = self._items.find(wire.ident(message, "item_id"), "retrieve")
        shown = item.with_audio()
        message.replies += self._event("conversation.item.retrieved", f"item {item.item_id}", item=shown)
        return f"retrieve {item.item_id}"

    def _on_item_delete(self, message: Message) -> str:
        item_id = wire.ident(message, "item_id")
        self._items.delete(item_id)
        message.replies += self._event("conversation.item.deleted", "item deleted", item_id=item_id)
        return f"delete {item_id}"

    def _on_item_truncate(self, message: Message) -> str:
        item = self._items.find(wire.ident(message, "item_id"), "truncate")
        end_ms = message.number("audio_end_ms")
        if end_ms is None or not end_ms.is_integer():
            raise invalid_type("audio_end_ms", "an integer")
        if message.number("content_index") != 0:
            raise invalid_value("content_index", "0")
        item.truncate(end_ms)
        heard = {"item_id": item.item_id, "content_index": 0, "audio_end_ms": int(end_ms)}
        message.replies += self._event("conversation.item.truncated", "item truncated", **heard)
        return f"heard {end_ms:.0f} ms of {item.item_id}"

    def _on_response_create(self, message: Message) -> str:
        if (
            self._spelling.cancels_previous
            and message.inside("response").flag("cancel_previous") is not False
        ):
            self._cancel_active(message)
        if active := self._speaking.response_id:
            text = f"Conversation already has an active response in progress: {active}."
            raise Refused("conversation_already_has_active_response", text)
        wishes = message.inside("response").body
        check_response(wishes, self._configuration.body)
        message.replies += self._speaking.begin(wishes)
        message.event(Type.RESPONSE_WANTED, params=wishes, text=_asked_words(wishes))
        return "ask for an answer"

    def _on_response_cancel(self, message: Message) -> str:
        active = self._speaking.response_id
        if active is None or wire.ident(message, "response_id") not in ("", active):
            raise Refused("response_cancel_not_active", "Cancellation failed: no active response found.")
        self._cancel_active(message)
        return "cancel response"

    def _cancel_active(self, message: Message) -> None:
        if self._speaking.response_id is None:
            return
        message.event(Type.RESPONSE_CANCELLED, stream_id=self._speaking.stream_id or "")
        message.replies += self._speaking.stop("client_cancelled")

    def _on_output_clear(self, message: Message) -> str:
        if self._spelling.clears_output:
            message.replies += self._event("output_audio_buffer.cleared", "output audio cleared")
            return "clear output audio"
        raise Refused("invalid_value", "“output_audio_buffer.clear” is only for WebRTC and SIP.", "type")

    # The user's audio and the conversation.

    def _keep(self, audio: bytes, media: AudioFormat) -> None:
        waits_for_speech = self.detects_turns and not self._user_speaks
        kept_ms = self._configuration.prefix_padding_ms if waits_for_speech else _MAX_BUFFER_S * 1000.0
        # Keep at least the minimum for a commit, because a caller may commit while the agent detects turns.
        kept_bytes = int(max(kept_ms, wire.MIN_COMMIT_MS) * media.bytes_per_second / 1000) & ~1
        self._buffer += audio
        del self._buffer[: max(len(self._buffer) - kept_bytes, 0)]

    def _commit(self) -> list[Outgoing]:
        item_id = self._next_item_id or f"item_{self._new_id()}"
        self._next_item_id, self._user_speaks = "", False
        media = self._configuration.input_format
        content = [{"type": "input_audio", "transcript": None}]
        shown = {"object": "realtime.item", "type": "message", "role": "user", "status": "completed"}
        item = Item({"id": item_id, **shown, "content": content}, media)
        item.add_audio(bytes(self._buffer))
        self._speaking.heard_ms += media.duration_ms(len(self._buffer))
        self._buffer.clear()
        self._to_transcribe = item
        members = {"item_id": item_id, "previous_item_id": self._items.last_id}
        committed = self._event("input_audio_buffer.committed", "user turn committed", **members)
        return committed + self._item_added(item, self._items.add(item))

    def _item_added(self, item: Item, previous: str | None) -> list[Outgoing]:
        members = {"previous_item_id": previous, "item": item.body}
        kinds = ("conversation.item.added", "conversation.item.done")
        shown = item.body["type"]
        return [
            frame
            for kind in kinds
            for frame in self._event(kind, f"{shown} {kind.rpartition('.')[2]}", **members)
        ]

    # Messages to the caller.

    def _event(self, kind: str, summary: str, /, **members: Any) -> list[Outgoing]:
        spelled = self._spelling.event(kind, members)
        if spelled is None:
            return []
        kind, members = spelled[0], dict(spelled[1])
        return [outgoing({"type": kind, "event_id": f"event_{self._new_id()}", **members}, summary)]

    def _error(self, refused: Refused, message: Message | None = None) -> list[Outgoing]:
        error = {
            "type": "invalid_request_error",
            "code": refused.code,
            "message": str(refused),
            "param": refused.param,
            "event_id": (wire.ident(message, "event_id") or None) if message else None,
        }
        return self._event("error", f"error {refused.code}: {refused}", error=error)

    _HANDLERS: ClassVar[Mapping[str, Callable[[OpenAIAgent, Message], str]]] = {
        "session.update": _on_session_update,
        "input_audio_buffer.append": _on_append,
        "input_audio_buffer.commit": _on_commit,
        "input_audio_buffer.clear": _on_clear,
        "conversation.item.create": _on_item_create,
        "conversation.item.retrieve": _on_item_retrieve,
        "conversation.item.delete": _on_item_delete,
        "conversation.item.truncate": _on_item_truncate,
        "response.create": _on_response_create,
        "response.cancel": _on_response_cancel,
        "output_audio_buffer.clear": _on_output_clear,
    }


def _asked_words(wishes: Mapping[str, Any]) -> str:
    """Returns the words of the last user message in the input of a ``response.create``."""
    items = wishes.get("input")
    for item in reversed(items if isinstance(items, list) else []):
        match item:
            case {"role": "user", "content": list(content)}:
                parts = (part.get("text") for part in content if isinstance(part, dict))
                return " ".join(part for part in parts if isinstance(part, str))
    return ""
