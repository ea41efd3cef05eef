"""The agent's end of OpenAI Live: acts as the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Close, Handshake, Incoming, NewId, Outgoing, ProtocolError, UtcNow, unix_time
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.json_frames import Members, Message, cut, encode, outgoing
from tui.protocols.openai_live import wire
from tui.protocols.openai_live.said import SaidTrack
from tui.protocols.refused import Refused

_USAGE_EVERY_MS = 15_000
_LASTS_S = 3_600
_CONTEXT_S = 3_600
"""Duration of audio that fills the context window."""
_MEMBERS = (
    "model",
    "instructions",
    "audio",
    "delegation",
    "input",
    "triggers",
    "store",
    "safety_identifier",
    "client",
)
_TASKS = {"name": "delegation", "description": "anything about opening hours", "parameters": {}}
"""The tasks that are delegated to a client, if it handles them."""


class LiveAgent(AgentDefaults):
    """Acts as the service on one socket. The agent's time passes only while the caller sends audio.

    Supports these members of the session: ``audio.format``, and delegation to the client or to Responses with
    function tools. Refuses unknown members, decisions and audio fixtures. With ``timestamps=on`` in the URL's
    query, audio chunks have time ranges, as on Azure.
    """

    must_call_tool = False
    """The user's words decide whether a tool is called."""

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._new_id = new_id
        self._utc_now = utc_now
        self._session: _LiveSession | None = None
        self._timestamps = False
        self._tasks = _Tasks()
        self._user_words = ("", 0.0)
        """The words of the current turn that have been sent, and the time at which the last word was spoken."""
        self._usage_due_ms = _USAGE_EVERY_MS

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format in both directions; None before the session has started."""
        return self._session.format if self._session else None

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`."""
        return self.user_format

    @property
    def heard_ms(self) -> float:
        """Total duration of the user's audio, including muted audio; the upper limit of the agent's time."""
        return self._session.heard_ms if self._session else 0.0

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The functions to call, or the tasks to delegate; empty while a result is pending."""
        return self._session.tools if self._session and not self._tasks.open else ()

    def admit(self, handshake: Handshake) -> Close | None:
        """Reads from the URL whether audio chunks have time ranges. Admits every caller."""
        self._timestamps = handshake.query.get("timestamps") == "on"
        return None

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Queues the words of a reply. Each word is sent once it has been spoken."""
        if self._session:
            self._session.said.begin(stream_id, text)
        return []

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Queues audio of a reply on the track."""
        if self._session:
            self._session.said.add(stream_id, audio)
        return []

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply without sending a message. Drops unsent audio of an interrupted reply."""
        if self._session:
            self._session.said.end(stream_id, interrupted=interrupted)
        return []

    @property
    def _now_ms(self) -> float:
        return self._session.said.now_ms if self._session else 0.0

    def pass_time(self, now_ms: float) -> None:
        """Advances the agent's time. The agent's next speech begins at the new time."""
        if self._session:
            self._session.said.now_ms = now_ms

    def track(self) -> list[Outgoing]:
        """Sends the agent's audio and words up to the current time and, every 15 s, the usage."""
        session = self._session
        if session is None:
            return []
        frames = []
        for start_ms, end_ms, audio in session.said.chunks():
            body: dict[str, Any] = {"type": "session.output_audio.delta", "delta": audio}
            if self._timestamps:
                body |= {"start_ms": round(start_ms), "end_ms": round(end_ms)}
            length_ms = end_ms - start_ms
            frames.append(
                outgoing(body, f"agent audio {length_ms:.0f} ms", session.format.duration_ms(len(audio)))
            )
        for start_ms, end_ms, words in session.said.fragments():
            frames.append(self._words("output", words, start_ms, end_ms))
        if session.said.now_ms >= self._usage_due_ms:
            self._usage_due_ms += _USAGE_EVERY_MS
            ratio = min(session.said.now_ms / 1000 / _CONTEXT_S, 1.0)
            body = {"usage": session.usage, "context_window": {"usage_ratio": ratio}}
            frames.append(
                self._event("session.usage.updated", body, f"usage: {session.usage['seconds']:g} s")
            )
        return frames

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> list[Outgoing]:
        """Delegates a task, either to the client or to Responses, which then calls one of the client's functions."""
        session = self._session
        if session is None:
            return []
        ident, target = f"item_{self._new_id()}", session.delegation
        delegation: dict[str, Any] = {"id": ident, "type": "delegation", "target": target}
        offset = {"offset_ms": round(session.said.now_ms)}

        def delegated() -> Outgoing:
            body = {"delegation": delegation, **offset}
            return self._event("session.delegation.created", body, "task delegated")

        if target != "responses":
            self._tasks.add(ident)
            return [delegated()]
        response_id, call_id = f"resp_{self._new_id()}", f"call_{self._new_id()}"
        self._tasks.add(call_id)
        delegation["response_id"] = response_id
        call = {"type": "function_call", "id": f"fc_{self._new_id()}", "call_id": call_id, "name": name}
        item = {**call, "arguments": encode(arguments), "status": "completed"}
        response = {"id": response_id, "object": "response", "status": "completed"}
        nested = [
            {"type": "response.created", "response": {**response, "status": "in_progress"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ]
        shown = f"tool call: {name} {encode(arguments)}"
        return [
            delegated(),
            *(
                self._event("response.event", {"event": event, "delegation_id": ident}, shown)
                for event in nested
            ),
        ]

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Sends the user's new words as a fragment of the transcript."""
        sent_words, since_ms = self._user_words
        if self._session is None or not text.startswith(sent_words) or text == sent_words:
            return []
        more, self._user_words = text[len(sent_words) :], (text, self._now_ms)
        fragment = more if sent_words else f" {more}"
        return [self._words("input", fragment, max(since_ms, self._now_ms - 200.0), self._now_ms)]

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the remaining words of the user's turn. The protocol does not mark the last fragment."""
        frames = self.hypothesis(text)
        self._user_words = ("", self._now_ms)
        return frames

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Ends the session on the agent's initiative."""
        return self._closed("remote_hangup")

    def end(self) -> list[Outgoing]:
        """Announces that the service is shutting down."""
        return self._closed("connection_lost")

    def unreadable(self, error: ProtocolError) -> list[Outgoing]:
        """Sends an error in answer to a frame that cannot be decoded."""
        return [self._error(Refused("invalid_json", f"The message cannot be read: {error}"))]

    def _closed(self, reason: str) -> list[Outgoing]:
        session = self._session
        if session is None:
            return []
        self._session = None
        body = {"reason": reason, "session": session.resource, "usage": session.usage}
        return [self._event("session.closed", body, f"session closed: {reason}")]

    def _words(self, whose: str, words: str, start_ms: float, end_ms: float) -> Outgoing:
        speaker = "agent" if whose == "output" else "user"
        body = {"delta": words, "start_ms": round(start_ms), "end_ms": round(end_ms)}
        return self._event(f"session.{whose}_transcript.delta", body, f"{speaker}: {words.strip()}")

    def _event(self, kind: str, body: Mapping[str, Any], summary: str) -> Outgoing:
        return outgoing({"type": kind, "event_id": f"event_{self._new_id()}", **body}, summary)

    def _error(self, refusal: Refused, client_event_id: str = "") -> Outgoing:
        error = {"type": "invalid_request_error", "code": refusal.code, "message": str(refusal)}
        if refusal.param:
            error["param"] = refusal.param
        if client_event_id:
            error["client_event_id"] = client_event_id
        return self._event("error", {"error": error}, f"error: {refusal}")

    # Messages from the caller.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes a message from the caller. Refuses the messages that the service refuses."""
        message = Message(frame)
        kind, handler = message.kind(), self._HANDLERS.get(message.kind())
        try:
            if handler is None:
                message.unknown()
                raise Refused("unknown_event", f"Supported events are {', '.join(self._HANDLERS)}.", "type")
            if self._session is None and kind != "session.start":
                raise Refused(
                    "session_not_started", f"“{cut(kind, 60)}” was sent before a session had started."
                )
            return message.incoming(handler(self, message))
        except Refused as refusal:
            message.events.clear()
            message.replies = [self._error(refusal, cut(message.text("event_id"), 100))]
            return replace(message.incoming(f"{cut(kind, 40)}, refused: {refusal}"), refused=str(refusal))

    def _on_start(self, message: Message) -> str:
        if self._session is not None:
            raise Refused("session_already_started", "The session has already started.")
        asked = message.inside("session")
        for name in asked.body:
            if name not in _MEMBERS:
                param = f"session.{cut(name, 60)}"
                raise Refused("unknown_parameter", f"Unknown parameter: {param}.", param)
        model = asked.text("model")
        if not model:
            raise Refused("missing_required_parameter", "session.model is required.", "session.model")
        expires_at = round(unix_time(self._utc_now)) + _LASTS_S
        self._session = session = _LiveSession(asked, f"live_{self._new_id()}", expires_at)
        message.event(Type.SESSION_INITIATE, format=session.format, params=asked.body)
        message.replies.append(
            self._event("session.started", {"session": session.resource}, "session started")
        )
        message.event(Type.CALL_STARTED)
        return f"start {cut(model, 60)}"

    def _on_update(self, message: Message) -> str:
        session = self._running
        delegation = message.inside("session").inside("delegation")
        if delegation.body:
            session.delegate(delegation)
        message.replies.append(
            self._event("session.updated", {"session": session.resource}, "session updated")
        )
        return "update"

    def _on_audio(self, message: Message) -> str:
        session, audio = self._running, message.audio("audio")
        if session.format.encoding is Encoding.PCM16 and len(audio) % 2:
            message.find(
                "odd-bytes",
                f"The audio has {len(audio)} bytes, which is not a whole number of 16-bit samples.",
            )
            raise Refused("invalid_audio", "The audio ends in the middle of a 16-bit sample.", "audio")
        message.audio_ms = session.format.duration_ms(len(audio))
        if audio:
            session.received_bytes += len(audio)
            heard = session.format.silence(len(audio)) if session.muted else audio
            message.event(Type.USER_STREAM_CHUNK, format=session.format, audio=heard)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_mute(self, message: Message) -> str:
        word = message.kind().rpartition(".")[2]
        self._running.muted = word == "mute"
        message.replies.append(self._event(f"session.input_audio.{word}d", {}, f"{word}d"))
        return word

    def _on_append(self, message: Message) -> str:
        session, what = self._running, message.kind().split(".")[1]
        content = message.text("content")
        if not content:
            raise Refused("missing_required_parameter", "content is required.", "content")
        if "delegation_id" not in message.body:
            text = "delegation_id is required; it may be null."
            raise Refused("missing_required_parameter", text, "delegation_id")
        ident = message.text("delegation_id")
        if ident and session.delegation == "responses":
            raise Refused(
                "invalid_value",
                "With delegation type 'responses', delegation_id must be null.",
                "delegation_id",
            )
        if ident and ident not in self._tasks.known:
            raise Refused("unknown_delegation", f"No task has the id {cut(ident, 60)}.", "delegation_id")
        at_ms = round(session.said.now_ms)
        placed = {"start_ms": at_ms, "end_ms": at_ms}
        message.replies.append(self._event(f"session.{what}.appended", placed, f"{what} placed"))
        if what == "commentary" and ident in self._tasks.open:
            self._tasks.finish(ident)
            message.event(Type.TOOL_OUTPUT, stream_id=ident, text=content)
        elif what == "commentary":
            message.event(Type.RESPONSE_WANTED)
        elif what == "thinking" and ident:
            self._tasks.finish(ident)
        return f"{what}: {content}"

    def _on_item(self, message: Message) -> str:
        self._needs_responses(message)
        item = message.inside("item")
        call_id, output = item.ident("call_id"), item.text("output")
        if item.text("type") != "function_call_output":
            return "item"
        if call_id not in self._tasks.open:
            raise Refused("unknown_call", f"No call has the id {cut(call_id, 60)}.", "item.call_id")
        self._tasks.outputs[call_id] = output
        return f"tool result: {output}"

    def _on_response(self, message: Message) -> str:
        self._needs_responses(message)
        outputs, self._tasks.outputs = self._tasks.outputs, {}
        for call_id, output in outputs.items():
            self._tasks.finish(call_id)
            message.event(Type.TOOL_OUTPUT, stream_id=call_id, text=output)
        return "the response continues" if outputs else "response"

    def _needs_responses(self, message: Message) -> None:
        if self._running.delegation != "responses":
            raise Refused("invalid_request", f"{message.kind()} requires Responses delegation.")

    def _on_close(self, message: Message) -> str:
        message.replies += self._closed("close_requested")
        message.event(Type.SESSION_END)
        return "close"

    def _on_unsupported(self, message: Message) -> str:
        raise Refused("not_supported", f"This agent does not support {message.kind()}.")

    @property
    def _running(self) -> _LiveSession:
        assert self._session is not None  # `receive` refuses all other messages before the start
        return self._session

    _HANDLERS: ClassVar[Mapping[str, Callable[[LiveAgent, Message], str]]] = {
        "session.start": _on_start,
        "session.update": _on_update,
        "session.input_audio.append": _on_audio,
        "session.input_audio.mute": _on_mute,
        "session.input_audio.unmute": _on_mute,
        **dict.fromkeys(
            ("session.instructions.append", "session.thinking.append", "session.commentary.append"),
            _on_append,
        ),
        "response.item.create": _on_item,
        "response.create": _on_response,
        "session.close": _on_close,
        **dict.fromkeys(
            (
                "session.output_audio.fixture.play",
                "decision.create",
                "decision.item.create",
                "decision.item.delete",
            ),
            _on_unsupported,
        ),
    }


class _Tasks:
    """The delegated tasks and function calls whose results are awaited."""

    def __init__(self) -> None:
        self.open: list[str] = []
        """Ids of the tasks and calls whose results are awaited."""
        self.known: set[str] = set()
        self.outputs: dict[str, str] = {}
        """Results from the caller, by call id, kept until the caller continues the response."""

    def add(self, ident: str) -> None:
        """Adds a task or a function call."""
        self.open.append(ident)
        self.known.add(ident)

    def finish(self, ident: str) -> None:
        """Removes a task or a function call, because its result has arrived."""
        if ident in self.open:
            self.open.remove(ident)


class _LiveSession:
    """The state of the session, including the settings that the caller sent."""

    def __init__(self, asked: Members, ident: str, expires_at: int) -> None:
        audio = asked.inside("audio")
        self.media = self._media_of(audio.inside("format"))
        self.format = wire.FORMATS[self.media]
        self.said = SaidTrack(self.format)
        self.received_bytes = 0
        self.muted = False
        self.delegation = "client"
        self.tools: Sequence[Mapping[str, Any]] = ()
        voice = audio.inside("output").body.get("voice") or "marin"
        self.resource: dict[str, Any] = {
            "id": ident,
            "expires_at": expires_at,
            "model": asked.text("model"),
            "status": "active",
            "audio": {"format": wire.format_member(self.media), "output": {"voice": voice}},
            "instructions": asked.text("instructions"),
            "input": asked.body.get("input") or [],
            "delegation": {"type": "client"},
        }
        if asked.has("delegation"):
            self.delegate(asked.inside("delegation"), first=True)

    def delegate(self, delegation: Members, *, first: bool = False) -> None:
        """Sets who handles tasks, and which functions are available. Raises `Refused` for unsupported settings."""
        kind = delegation.text("type") or self.delegation
        if kind not in ("client", "responses") or not (first or kind == self.delegation):
            text = f"The delegation {cut(kind, 40)} is not supported, or is not the session's delegation."
            raise Refused("invalid_value", text, "session.delegation.type")
        self.delegation = kind
        responses = delegation.inside("responses")
        if kind == "responses" and first and not responses.text("model"):
            param = "session.delegation.responses.model"
            raise Refused("missing_required_parameter", f"{param} is required.", param)
        functions = [tool.body for tool in responses.objects("tools") if tool.text("type") == "function"]
        self.tools = functions if kind == "responses" else [_TASKS]
        self.resource["delegation"] = dict(delegation.body)

    def _media_of(self, asked: Members) -> str:
        if not asked.body:
            return wire.DEFAULT_FORMAT
        if media := wire.format_in(asked):
            return media
        known = ", ".join(wire.FORMATS)
        raise Refused("invalid_value", f"The audio format must be one of {known}.", "session.audio.format")

    @property
    def heard_ms(self) -> float:
        """Total duration of the user's audio."""
        return self.format.duration_ms(self.received_bytes)

    @property
    def usage(self) -> dict[str, Any]:
        """The usage since the start of the session, in whole seconds."""
        return {"seconds": self.heard_ms // 1000}
