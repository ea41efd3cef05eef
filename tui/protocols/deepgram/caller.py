"""The caller's end of the Deepgram Voice Agent: acts as a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.audio.wav import strip_wav_header
from tui.protocols.base import CallerSettings, Incoming, NewId, Outgoing, UtcNow, check_formats
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.deepgram import wire
from tui.protocols.implied_replies import ImplyingCaller
from tui.protocols.json_frames import Message, audio_frame, cut, encode, outgoing
from tui.protocols.options import read_object, read_tools

_MS_PER_S = 1_000
_LATENCY = "_latency"


class DeepgramCaller(ImplyingCaller):
    """Acts as a client in one call.

    Options:

    * ``prompt``, ``voice``, ``listen``, ``language``.
    * ``think``: PROVIDER/MODEL.
    * ``greeting``: what the agent says first; empty for no greeting.
    * ``agent``: the id of a stored agent, used instead of the preceding options.
    * ``play_format``: the audio format of replies.
    * ``tools``: a JSON array.
    * ``settings``: a JSON object whose members replace those of the Settings message.
    """

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        super().__init__()
        self._options = CallOptions(settings)
        self._in_call = False
        self._accepted = False
        self._unheard: set[str] = set()
        self._tool_names: dict[str, str] = {}

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format for `user_audio`; None before the settings are applied."""
        return self._options.user_format if self._accepted else None

    @property
    def play_format(self) -> AudioFormat | None:
        """The format of replies."""
        return self._options.play_format

    @property
    def user_stream_open(self) -> bool:
        """Whether audio may be sent: always during a call, because the agent disconnects if it receives none."""
        return self._accepted and self._in_call

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Sends the settings, which the agent confirms."""
        self._in_call = True
        return [outgoing(self._options.settings(), "settings")]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in one frame."""
        if not (self.user_stream_open and audio):
            return []
        return [audio_frame(audio, self._options.user_format, "user")]

    def user_text(self, text: str) -> list[Outgoing]:
        """Sends a typed turn, which the agent treats as if it had been spoken."""
        if not (self.user_stream_open and text):
            return []
        return [outgoing({"type": "InjectUserMessage", "content": text}, f"message: {text}")]

    def update_instructions(self, text: str) -> list[Outgoing]:
        """Replaces the agent's prompt."""
        return [outgoing({"type": "UpdatePrompt", "prompt": text}, f"prompt: {text}")]

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Sends nothing: the agent is not informed about playback."""
        self._unheard.discard(stream_id)
        return []

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Sends nothing: the protocol has no message that reports how much was heard."""
        self._unheard.discard(stream_id)
        return []

    def relay(self, message: Mapping[str, Any]) -> list[Outgoing]:
        """Sends the result of a function, which the agent answers without a request."""
        item = message.get("item", {})
        if item.get("type") != "function_call_output":
            return []
        output, call_id = str(item["output"]), item["call_id"]
        name = self._tool_names.pop(call_id, "")
        response = {"type": "FunctionCallResponse", "id": call_id, "name": name, "content": output}
        return [outgoing(response, f"function result: {output}")]

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """Sends nothing: closing the socket ends the call."""
        self._in_call = False
        return []

    # Messages from the agent.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message or audio frame from the agent. Raises `ProtocolError`."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        message = Message(frame)
        handler = self._HANDLERS.get(message.kind())
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _receive_audio(self, frame: bytes) -> Incoming:
        message, coding = Message(), self._options.play_format
        if not self._accepted:
            text = "Audio was sent before “SettingsApplied”; it is played anyway."
            message.find("audio-before-settings-applied", text)
        audio, had_header = strip_wav_header(frame)
        if had_header:
            text = 'The audio begins with a WAV header, but Settings asked for "container": "none".'
            message.find("wav-header", text)
        message.audio_ms = coding.duration_ms(len(audio))
        if audio:
            message.events += self._replies.audio(audio, coding)
            self._unheard.add(self._replies.stream_id)
        return message.incoming(f"agent audio {message.audio_ms:.0f} ms")

    def _on_welcome(self, message: Message) -> str:
        return f"welcome, request {cut(message.text('request_id', required=True), 60)}"

    def _on_settings_applied(self, message: Message) -> str:
        if self._accepted:
            message.ignore_repeated("repeated-settings-applied", "")
            return "settings applied again"
        self._accepted = True
        message.event(Type.SESSION_ACCEPTED, format=self.user_format, text=str(self.user_format))
        return "settings applied"

    def _on_conversation_text(self, message: Message) -> str:
        role, text = message.text("role", required=True), message.text("content", required=True)
        if role == "user":
            message.event(Type.SPEECH_RECOGNITION, text=text)
        else:
            reply = self._replies.worded_id
            # Each text message is one sentence of the reply, sent at about the same time as its audio.
            part = self._replies.next_part(reply)
            message.event(Type.AGENT_TEXT, text=text, stream_id=reply, part=part)
        return f"{cut(role, 20) or 'agent'}: {text}"

    def _on_user_started_speaking(self, message: Message) -> str:
        message.event(Type.SPEECH_STARTED)
        if self._unheard or self._replies.open:
            self._unheard.clear()
            message.events += self._replies.clear("UserStartedSpeaking")
        return "user started speaking"

    def _on_agent_started_speaking(self, message: Message) -> str:
        # An answer that was cut off may end without AgentAudioDone.
        message.events += self._replies.stop()
        return self._report_latency(message, "agent started speaking")

    def _on_latency_report(self, message: Message) -> str:
        return self._report_latency(message, "latency report")

    def _report_latency(self, message: Message, what: str) -> str:
        """Emits the agent's own latency figures, converted from seconds to ms."""
        seconds = {
            name.removesuffix(_LATENCY): message.number(name)
            for name in message.body
            if name.endswith(_LATENCY) and message.has(name)
        }
        figures = {cut(name, 40): _MS_PER_S * value for name, value in seconds.items() if value is not None}
        if figures:
            message.event(Type.LATENCY, params=figures)
        shown = ", ".join(f"{name} {value:.0f} ms" for name, value in figures.items())
        return f"{what}: {shown}" if shown else what

    def _on_agent_audio_done(self, message: Message) -> str:
        message.events += self._replies.stop()
        return "agent audio done"

    def _on_function_call_request(self, message: Message) -> str:
        summaries = []
        for function in message.objects("functions", required=True):
            name = function.text("name", required=True)
            arguments = function.arguments(required=True)
            if function.flag("client_side") is not False:
                call_id = function.ident("id", required=True)
                self._tool_names[call_id] = name
                message.event(Type.TOOL_CALL, stream_id=call_id, text=name, params=arguments)
            summaries.append(f"call {cut(name, 60)} {encode(arguments)}")
        return ", ".join(summaries) or "function call request"

    def _on_function_call_cancelled(self, message: Message) -> str:
        for function in message.objects("functions", required=True):
            call_id = function.ident("id", required=True)
            self._tool_names.pop(call_id, None)
            message.event(Type.TOOL_CALL_CANCELLED, stream_id=call_id)
        return "function call cancelled"

    def _on_injection_refused(self, message: Message) -> str:
        text = message.text("message") or "no reason was given"
        message.advise("injection-refused", f"The agent refused the injected message: {text}")
        return f"injection refused: {text}"

    def _on_warning(self, message: Message) -> str:
        code, text = wire.description(message)
        message.advise("agent-warning", f"The agent warns: {' '.join(filter(None, (code, text)))}")
        return f"warning: {text}"

    def _on_error(self, message: Message) -> str:
        code, text = wire.description(message)
        message.event(Type.AGENT_ERROR, reason=text, code=code, fatal=True)
        return f"error: {text}"

    def _on_news(self, message: Message) -> str:
        """Returns only a log summary, because the message does not affect the call."""
        members = {name: value for name, value in message.body.items() if name != "type"}
        return f"{message.kind()}: {encode(members)}" if members else message.kind()

    _HANDLERS: ClassVar[Mapping[str, Callable[[DeepgramCaller, Message], str]]] = {
        "Welcome": _on_welcome,
        "SettingsApplied": _on_settings_applied,
        "ConversationText": _on_conversation_text,
        "UserStartedSpeaking": _on_user_started_speaking,
        "AgentStartedSpeaking": _on_agent_started_speaking,
        "LatencyReport": _on_latency_report,
        "AgentAudioDone": _on_agent_audio_done,
        "FunctionCallRequest": _on_function_call_request,
        "FunctionCallCancelled": _on_function_call_cancelled,
        "InjectionRefused": _on_injection_refused,
        "Warning": _on_warning,
        "Error": _on_error,
        **dict.fromkeys(
            (
                "AgentThinking",
                "FrustrationDetected",
                "FunctionCallResponse",
                "History",
                "ListenUpdated",
                "PromptUpdated",
                "SpeakUpdated",
                "ThinkLiveUpdated",
                "ThinkUpdated",
                "__customFromThinkProvider",
            ),
            _on_news,
        ),
    }


_OPTIONS = {
    "agent": "",
    "greeting": "Hello. How can I help you?",
    "prompt": "You are a helpful assistant on the telephone. Be brief.",
    "language": "",
    "listen": "nova-3",
    "think": "open_ai/gpt-4o-mini",
    "voice": "aura-2-thalia-en",
    "play_format": wire.PLAY_FORMAT,
    "tools": "",
    "settings": "",
}


class CallOptions:
    """The options of one call. Raises `ValueError` with an explanation for unknown or invalid options."""

    def __init__(self, settings: CallerSettings) -> None:
        settings.check_options("The Deepgram Voice Agent", _OPTIONS)
        self._chosen = {**_OPTIONS, **settings.options}
        check_formats(
            "the Deepgram Voice Agent", (*settings.formats, self._chosen["play_format"]), wire.FORMATS
        )
        self.user_format: AudioFormat = wire.FORMATS[
            settings.formats[0] if settings.formats else wire.USER_FORMAT
        ]
        self.play_format: AudioFormat = wire.FORMATS[self._chosen["play_format"]]
        self._functions = [
            {name: tool[name] for name in ("name", "description", "parameters") if tool.get(name)}
            for tool in read_tools(self._chosen)
        ]
        self._extra = read_object("settings", self._chosen, "Settings fields")

    def settings(self) -> dict[str, Any]:
        """Returns the Settings message, which states both formats, because the documented defaults differ."""
        audio = {
            "input": wire.described(self.user_format),
            "output": {**wire.described(self.play_format), "container": "none"},
        }
        agent = self._chosen["agent"] or self._agent()
        return {"type": "Settings", "audio": audio, "agent": agent, **self._extra}

    def _agent(self) -> dict[str, Any]:
        chosen = self._chosen
        provider, _, model = chosen["think"].rpartition("/")
        think: dict[str, Any] = {
            "provider": {"type": provider or "open_ai", "model": model},
            "prompt": chosen["prompt"],
        }
        if self._functions:
            think["functions"] = self._functions
        agent: dict[str, Any] = {"language": chosen["language"]} if chosen["language"] else {}
        agent |= {
            "listen": {"provider": {"type": "deepgram", "model": chosen["listen"]}},
            "think": think,
            "speak": {"provider": {"type": "deepgram", "model": chosen["voice"]}},
        }
        if chosen["greeting"]:
            agent["greeting"] = chosen["greeting"]
        return agent
