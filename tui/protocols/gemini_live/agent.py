"""The agent's end of Gemini Live: acts as the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.protocols.base import Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.gemini_live import wire
from tui.protocols.json_frames import Members, Message, cut, encode

_SAMPLES_PER_TOKEN = 960
"""Number of audio samples per token: the service counts a second of audio as 25 tokens."""


class GeminiAgent(AgentDefaults):
    """Acts as the service on one socket. The agent speaks first only at the caller's request.

    Supports these settings in ``setup``: transcription in both directions, disabled turn detection,
    NO_INTERRUPTION, function declarations, explicitVadSignal and sessionResumption.
    """

    must_call_tool = False
    """The user's words decide whether a tool is called."""
    answers_unasked = True
    """Every detected turn is answered."""
    idle_timeout_ms = None
    """The agent waits for the user indefinitely."""

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._new_id = new_id
        self._setup: _Setup | None = None
        self._user_format = wire.FORMATS[wire.USER_FORMAT]
        self._open_calls: list[str] = []
        self._cancelled_calls: set[str] = set()
        self._open_stream_id: str | None = None
        self._last_stream_id: str | None = None
        self._user_bytes = 0
        self._said_bytes = 0

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the latest user audio; None before the setup message."""
        return self._user_format if self._setup else None

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`, at 24 kHz; None before the setup message."""
        return wire.FORMATS[wire.PLAY_FORMAT] if self._setup else None

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The functions that the caller declares; empty while a result is pending."""
        return self._setup.tools if self._setup and not self._open_calls else ()

    @property
    def detects_turns(self) -> bool:
        """Whether the agent detects turns; otherwise, the caller announces turns."""
        return self._setup is None or self._setup.detects_turns

    @property
    def yields_to_speech(self) -> bool:
        """Whether the user may interrupt the agent."""
        return self._setup is None or self._setup.yields_to_speech

    def idle(self) -> list[Outgoing]:
        """Sends nothing: the protocol has no message for a silent user."""
        return []

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply. Sends the words of the reply to callers that requested words."""
        if self._setup is None:
            return []
        self._open_stream_id = self._last_stream_id = stream_id
        self._said_bytes = 0
        if not (text and self._setup.transcribes_agent):
            return []
        return [_content({"outputTranscription": {"text": text}}, f"agent: {text}")]

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends audio of a reply in one message. Sends nothing if the reply is not open."""
        if not (stream_id == self._open_stream_id and audio):
            return []
        audio_ms = wire.FORMATS[wire.PLAY_FORMAT].duration_ms(len(audio))
        self._said_bytes += len(audio)
        parts = [{"inlineData": {"data": audio, "mimeType": wire.PLAY_FORMAT}}]
        return [_content({"modelTurn": {"parts": parts}}, f"agent audio {audio_ms:.0f} ms", audio_ms)]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply, which is complete unless ``interrupted``.

        A reply can be interrupted even after all of it was sent.
        """
        was_open, was_last = stream_id == self._open_stream_id, stream_id == self._last_stream_id
        self._open_stream_id = None if was_open else self._open_stream_id
        if interrupted and was_last:
            self._last_stream_id = None
            turn = [_content({"interrupted": True}, "interrupted")]
            return [*turn, self._turn_complete()] if was_open else turn
        if not was_open:
            return []
        return [_content({"generationComplete": True}, "generation complete"), self._turn_complete()]

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> list[Outgoing]:
        """Calls one of the caller's functions instead of answering."""
        call_id = f"function-call-{self._new_id()}"
        self._open_calls.append(call_id)
        call = {"id": call_id, "name": name, "args": dict(arguments)}
        return [
            wire.outgoing({"toolCall": {"functionCalls": [call]}}, f"tool call: {name} {encode(arguments)}")
        ]

    def speech_started(self) -> list[Outgoing]:
        """Cancels open tool calls, and announces the start of speech to callers that requested such messages."""
        frames = []
        if self._open_calls and self.yields_to_speech:
            self._cancelled_calls.update(self._open_calls)
            cancelled = {"toolCallCancellation": {"ids": self._open_calls}}
            self._open_calls = []
            frames.append(wire.outgoing(cancelled, "tool call cancelled"))
        return frames + self._voice_activity("ACTIVITY_START")

    def speech_stopped(self) -> list[Outgoing]:
        """Announces the end of speech to callers that requested such messages."""
        return self._voice_activity("ACTIVITY_END")

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Sends partial text of the user's turn, if the caller wants transcripts."""
        return self._user_words("interimInputTranscription", text, {})

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the final text of the user's turn, if the caller wants transcripts."""
        return self._user_words("inputTranscription", text, {"finished": True})

    def end(self) -> list[Outgoing]:
        """Announces that the connection will be closed soon."""
        return [wire.outgoing({"goAway": {"timeLeft": "0s"}}, "go away")] if self._setup else []

    def _user_words(self, member: str, text: str, members: Mapping[str, Any]) -> list[Outgoing]:
        if not (text and self._setup and self._setup.transcribes_user):
            return []
        return [_content({member: {"text": text, **members}}, f"user: {text}")]

    def _voice_activity(self, kind: str) -> list[Outgoing]:
        if self._setup is None or not self._setup.announces_speech:
            return []
        offset_s = self._user_bytes / self._user_format.bytes_per_second
        activity = {"type": kind, "audioOffset": f"{offset_s:.3f}s"}
        return [wire.outgoing({"voiceActivity": activity}, f"user speech: {kind}")]

    def _turn_complete(self) -> Outgoing:
        heard, said = (size // (2 * _SAMPLES_PER_TOKEN) for size in (self._user_bytes, self._said_bytes))
        usage = {"promptTokenCount": heard, "responseTokenCount": said, "totalTokenCount": heard + said}
        content = {"turnComplete": True, "interactionStatus": "IDLE"}
        return wire.outgoing({"serverContent": content, "usageMetadata": usage}, "turn complete")

    # Messages from the caller.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message from the caller."""
        message = wire.GeminiMessage(frame)
        members = [name for name in wire.FROM_CALLER if message.has(name)]
        if not members:
            return message.incoming(message.unknown())
        if len(members) > 1:
            message.find("more-than-one-member", f"A message must contain only one of {', '.join(members)}.")
        if members[0] != "setup" and self._setup is None:
            message.find("message-before-setup", f"“{members[0]}” was sent before “setup”.")
        return message.incoming(self._HANDLERS[members[0]](self, message))

    def _on_setup(self, message: Message) -> str:
        if self._setup is not None:
            message.ignore_repeated("repeated-setup")
            return "setup again"
        setup = message.inside("setup")
        self._setup = _Setup(setup)
        model = setup.text("model", required=True)
        message.event(Type.SESSION_INITIATE, format=self._user_format, params=setup.body)
        message.replies.append(wire.outgoing({"setupComplete": {}}, "setup complete"))
        if self._setup.handle:
            message.event(Type.SESSION_RESUME, text=self._setup.handle)
        if self._setup.resumable:
            handle = self._setup.handle or f"handle-{self._new_id()}"
            update = {"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}}
            message.replies.append(wire.outgoing(update, "session is resumable"))
        return f"setup {cut(model, 60)}{', resuming' if self._setup.handle else ''}"

    def _on_realtime_input(self, message: Message) -> str:
        entry = message.inside("realtimeInput")
        if entry.has("audio") or entry.has("mediaChunks"):
            blobs = [entry.inside("audio")] if entry.has("audio") else entry.objects("mediaChunks")
            return self._on_audio(message, blobs)
        if entry.has("activityStart") or entry.has("activityEnd"):
            return self._on_activity(message, started=entry.has("activityStart"))
        if entry.flag("audioStreamEnd"):
            if not self.detects_turns:
                entry.find(
                    "unexpected-stream-end", "“audioStreamEnd” is only for automatic activity detection."
                )
            message.event(Type.USER_STREAM_STOP)
            return "audio stream ends"
        if text := entry.text("text"):
            message.event(Type.USER_TEXT, text=text)
            message.event(Type.RESPONSE_WANTED)
            return f"message: {text}"
        return message.kind()

    def _on_audio(self, message: Message, blobs: Sequence[Members]) -> str:
        for blob in blobs:
            audio, coding = wire.audio_in(blob, wire.FORMATS[wire.USER_FORMAT])
            message.audio_ms += coding.duration_ms(len(audio))
            if audio and self._setup:
                self._user_format = coding
                self._user_bytes += len(audio)
                message.event(Type.USER_STREAM_CHUNK, format=coding, audio=audio)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_activity(self, message: Message, *, started: bool) -> str:
        name = "activityStart" if started else "activityEnd"
        if self.detects_turns:
            message.find("unexpected-activity", f"“{name}” was sent, but automatic activity detection is on.")
        elif not started:
            message.event(Type.SPEECH_COMMITTED)
            message.event(Type.RESPONSE_WANTED)
        return f"activity {'starts' if started else 'ends'}"

    def _on_client_content(self, message: Message) -> str:
        content = message.inside("clientContent")
        texts = [part.text("text") for turn in content.objects("turns") for part in turn.objects("parts")]
        text = " ".join(filter(None, texts))
        if text:
            message.event(Type.USER_TEXT, text=text)
        if content.flag("turnComplete"):
            message.event(Type.RESPONSE_WANTED)
        return f"message: {text}" if text else "ask the agent to begin"

    def _on_tool_response(self, message: Message) -> str:
        outputs = []
        for response in message.inside("toolResponse").objects("functionResponses", required=True):
            call_id, result = response.ident("id", required=True), encode(response.inside("response").body)
            outputs.append(result)
            if call_id in self._open_calls:
                if response.flag("willContinue"):
                    continue
                self._open_calls.remove(call_id)
                message.event(Type.TOOL_OUTPUT, stream_id=call_id, text=result)
                if response.text("scheduling") != "SILENT":
                    message.event(Type.RESPONSE_WANTED)
            elif call_id and call_id not in self._cancelled_calls:
                text = f"No tool call with the id {cut(call_id, 60)} is pending."
                response.find("unknown-tool-call", text)
        return f"tool result: {', '.join(outputs)}"

    def _on_context_update(self, message: Message) -> str:
        update = message.inside("contextUpdate")
        if self._setup and update.has("tools"):
            self._setup.tools = _declarations(update.inside("tools").objects("tools"))
        parts = update.inside("systemInstruction").objects("parts")
        return f"instructions: {' '.join(part.text('text') for part in parts)}"

    _HANDLERS: ClassVar[Mapping[str, Callable[[GeminiAgent, Message], str]]] = {
        "setup": _on_setup,
        "realtimeInput": _on_realtime_input,
        "clientContent": _on_client_content,
        "toolResponse": _on_tool_response,
        "contextUpdate": _on_context_update,
    }


class _Setup:
    """The settings in the caller's ``setup`` message. Unknown members are ignored."""

    def __init__(self, setup: Members) -> None:
        turns, resumption = setup.inside("realtimeInputConfig"), setup.inside("sessionResumption")
        self.transcribes_user = setup.has("inputAudioTranscription")
        self.transcribes_agent = setup.has("outputAudioTranscription")
        self.detects_turns = turns.inside("automaticActivityDetection").flag("disabled") is not True
        self.yields_to_speech = turns.text("activityHandling") != "NO_INTERRUPTION"
        self.announces_speech = setup.flag("explicitVadSignal") is True
        self.resumable = setup.has("sessionResumption")
        self.handle = resumption.text("handle")
        self.tools = _declarations(setup.objects("tools"))


def _declarations(tools: Sequence[Members]) -> Sequence[Mapping[str, Any]]:
    """Returns the declared functions, with their schemas in ``parameters``."""
    declared = (function.body for tool in tools for function in tool.objects("functionDeclarations"))
    return [
        {**each, "parameters": _lower_types(each.get("parametersJsonSchema") or each.get("parameters"))}
        for each in declared
    ]


def _lower_types(schema: Any) -> Any:
    """Returns a schema with type names as in JSON Schema; Google writes them in capitals, such as "OBJECT"."""
    match schema:
        case dict():
            return {
                name: inner.lower() if name == "type" and isinstance(inner, str) else _lower_types(inner)
                for name, inner in schema.items()
            }
        case list():
            return [_lower_types(inner) for inner in schema]
        case _:
            return schema


def _content(content: Mapping[str, Any], summary: str, audio_ms: float = 0.0) -> Outgoing:
    return wire.outgoing({"serverContent": content}, summary, audio_ms)
