"""The agent's end of the Deepgram Voice Agent: acts as the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.protocols.base import Incoming, NewId, Outgoing, ProtocolError, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.deepgram import wire
from tui.protocols.defaults import AgentDefaults
from tui.protocols.json_frames import Members, Message, audio_frame, cut, encode, outgoing

_UPDATES = {
    "UpdatePrompt": "PromptUpdated",
    "UpdateSpeak": "SpeakUpdated",
    "UpdateThink": "ThinkUpdated",
    "UpdateThink_Live": "ThinkLiveUpdated",
    "UpdateListen": "ListenUpdated",
}


class DeepgramAgent(AgentDefaults):
    """Acts as the service on one socket.

    Greets the caller if the Settings message has a greeting. Sends the words of that greeting with the audio
    of the recorded greeting. Calls functions in ``think`` that have no endpoint. Refuses to speak injected
    messages, because the agent can play only recorded speech.
    """

    must_call_tool = False
    """The user's words decide whether a function is called."""

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._new_id = new_id
        self._formats: tuple[AudioFormat, AudioFormat] | None = None
        self._functions: Sequence[Mapping[str, Any]] = ()
        self._open_calls: dict[str, str] = {}
        self._cancelled_calls: set[str] = set()
        self._open_stream_id: str | None = None

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio; None before the Settings message."""
        return self._formats[0] if self._formats else None

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`; None before the Settings message."""
        return self._formats[1] if self._formats else None

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The functions that the caller runs; empty while a result is pending."""
        return () if self._open_calls else self._functions

    # Actions of the agent.

    def opened(self) -> list[Outgoing]:
        """Sends the Welcome message."""
        return [outgoing({"type": "Welcome", "request_id": self._new_id()}, "welcome")]

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply by sending its words."""
        if self._formats is None:
            return []
        self._open_stream_id = stream_id
        return [_words("assistant", text)] if text else []

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends audio of a reply in one frame. Sends nothing if the reply is not open."""
        if not (stream_id == self._open_stream_id and audio and self._formats):
            return []
        return [audio_frame(audio, self._formats[1], "agent")]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply. Only `speech_started` interrupts audio that was sent."""
        if stream_id != self._open_stream_id:
            return []
        self._open_stream_id = None
        return [outgoing({"type": "AgentAudioDone"}, "agent audio done")]

    def speech_started(self) -> list[Outgoing]:
        """Announces that the user is speaking. The caller then flushes playback and cancels open function calls."""
        frames = [outgoing({"type": "UserStartedSpeaking"}, "user started speaking")]
        # A reply that is cut off is not followed by AgentAudioDone.
        self._open_stream_id = None
        if self._open_calls:
            functions = [{"id": call_id, "name": name} for call_id, name in self._open_calls.items()]
            self._cancelled_calls.update(self._open_calls)
            self._open_calls.clear()
            cancelled = {"type": "FunctionCallCancelled", "functions": functions}
            frames.append(outgoing(cancelled, "function call cancelled"))
        return frames

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the text of the user's turn."""
        return [_words("user", text)] if text else []

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> list[Outgoing]:
        """Calls one of the caller's functions instead of answering."""
        call_id = f"func_{self._new_id()}"
        self._open_calls[call_id] = name
        call = {"id": call_id, "name": name, "arguments": encode(arguments), "client_side": True}
        return [outgoing({"type": "FunctionCallRequest", "functions": [call]}, f"call {name}")]

    def unreadable(self, error: ProtocolError) -> list[Outgoing]:
        """Sends an error in answer to a frame that cannot be decoded."""
        return [_error("UNPARSABLE_CLIENT_MESSAGE", str(error))]

    # Messages from the caller.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message or audio frame from the caller. Raises `ProtocolError`."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        message = Message(frame)
        handler = self._HANDLERS.get(message.kind())
        if handler and self._formats is None and message.kind() not in ("Settings", "KeepAlive"):
            message.find("message-before-settings", f"“{message.kind()}” was sent before “Settings”.")
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _receive_audio(self, frame: bytes) -> Incoming:
        message = Message()
        coding = self._formats[0] if self._formats else wire.ASSUMED_FORMAT
        message.audio_ms = coding.duration_ms(len(frame))
        if self._formats is None:
            message.find("audio-before-settings", "Audio was sent before “Settings”; it was ignored.")
        elif frame:
            message.event(Type.USER_STREAM_CHUNK, format=coding, audio=frame)
        return message.incoming(f"user audio {message.audio_ms:.0f} ms")

    def _on_settings(self, message: Message) -> str:
        if self._formats is not None:
            message.ignore_repeated("repeated-settings")
            return "settings again"
        audio = message.inside("audio")
        user, play = wire.read_format(audio.inside("input")), wire.read_format(audio.inside("output"))
        container = audio.inside("output").text("container")
        if user is None or play is None or container not in ("", "none"):
            text = "This agent supports the encodings linear16, mulaw and alaw, without a container."
            message.replies.append(_error("INVALID_SETTINGS", text))
            message.event(Type.SESSION_ERROR, reason=text, code="INVALID_SETTINGS", fatal=True)
            return "settings that are not supported"
        self._formats = (user, play)
        agent = message.inside("agent") if isinstance(message.body.get("agent"), dict) else Members({}, [])
        self._functions = _client_functions(agent)
        message.replies.append(outgoing({"type": "SettingsApplied"}, "settings applied"))
        message.event(Type.SESSION_INITIATE, format=user, params=message.body)
        if greeting := agent.text("greeting"):
            message.event(Type.CALL_STARTED, text=greeting)
        return f"settings, {user}, sends {play}"

    def _on_update(self, message: Message) -> str:
        kind = message.kind()
        if kind == "UpdateThink" and message.has("think"):
            self._functions = _client_functions(message)
        message.replies.append(outgoing({"type": _UPDATES[kind]}, _UPDATES[kind]))
        prompt = message.body.get("prompt")
        return f"prompt: {prompt}" if isinstance(prompt, str) else kind

    def _on_user_message(self, message: Message) -> str:
        text = message.text("content", required=True)
        message.event(Type.USER_TEXT, text=text)
        return f"message: {text}"

    def _on_agent_message(self, message: Message) -> str:
        text = "This agent speaks recorded answers only."
        refusal = {"type": "InjectionRefused", "message": text}
        message.replies.append(outgoing(refusal, f"injection refused: {text}"))
        return f"ask the agent to say: {cut(str(message.body.get('message') or ''))}"

    def _on_function_response(self, message: Message) -> str:
        call_id, content = message.ident("id", required=True), message.text("content", required=True)
        message.text("name", required=True)
        if call_id in self._open_calls:
            del self._open_calls[call_id]
            message.event(Type.TOOL_OUTPUT, stream_id=call_id, text=content)
        elif call_id and call_id not in self._cancelled_calls:
            message.find(
                "unknown-function-call", f"No function call with the id {cut(call_id, 60)} is pending."
            )
        return f"function result: {content}"

    def _on_force_end_turn(self, message: Message) -> str:
        message.event(Type.USER_STREAM_STOP)
        return "end of turn"

    _HANDLERS: ClassVar[Mapping[str, Callable[[DeepgramAgent, Message], str]]] = {
        "Settings": _on_settings,
        "InjectUserMessage": _on_user_message,
        "InjectAgentMessage": _on_agent_message,
        "FunctionCallResponse": _on_function_response,
        "ForceEndTurn": _on_force_end_turn,
        "KeepAlive": lambda agent, message: message.kind(),
        "__customToThinkProvider": lambda agent, message: message.kind(),
        **dict.fromkeys(_UPDATES, _on_update),
    }


def _client_functions(members: Members) -> Sequence[Mapping[str, Any]]:
    """Returns the functions in ``think`` that have no endpoint, and that the caller therefore runs."""
    # In a list of providers, all but the first are fallbacks.
    listed = isinstance(members.body.get("think"), list)
    thinks = members.objects("think") if listed else [members.inside("think")]
    functions = thinks[0].objects("functions") if thinks else []
    return [function.body for function in functions if not function.has("endpoint")]


def _words(role: str, text: str) -> Outgoing:
    return outgoing({"type": "ConversationText", "role": role, "content": text}, f"{role}: {text}")


def _error(code: str, text: str) -> Outgoing:
    return outgoing({"type": "Error", "description": text, "code": code}, f"error: {text}")
