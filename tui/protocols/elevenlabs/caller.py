"""The caller's end of ElevenLabs Agents: acts as a client."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from tui.audio.formats import AudioFormat
from tui.protocols.base import CallerSettings, Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.elevenlabs import wire
from tui.protocols.implied_replies import ImplyingCaller
from tui.protocols.json_frames import Members, Message, cut, encode, outgoing

_OVERRIDES: Mapping[str, tuple[str, ...]] = {
    "first_message": ("agent", "first_message"),
    "language": ("agent", "language"),
    "prompt": ("agent", "prompt", "prompt"),
    "voice_id": ("tts", "voice_id"),
}
"""Path of each option in ``conversation_config_override``."""


class ElevenLabsCaller(ImplyingCaller):
    """Acts as a client in one call.

    ``settings.params`` become dynamic variables. Options, which the agent's settings must allow:
    ``first_message``, ``language``, ``prompt``, ``voice_id``.
    """

    user_format: AudioFormat | None = None
    """The format that `user_audio` takes; None before the agent has specified it."""
    play_format = wire.FORMATS[wire.DEFAULT_FORMAT]
    """The format in which replies are expected."""
    barge_in = True
    """Whether the user may interrupt."""

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        super().__init__()
        _check_settings(settings)
        self._initiation = _initiation(settings)
        self.barge_in = settings.barge_in
        self._in_call = False
        self._unheard: set[str] = set()
        self._worded = ""
        """The newest reply whose words are known."""
        self._last_audio_id = -math.inf
        self._cut_off = (-math.inf, "")
        """The last audio id and the reply that the agent's latest interruption covers."""

    @property
    def user_stream_open(self) -> bool:
        """Whether audio may be sent: always during a call, unless the user has to wait until a reply ends."""
        return self.user_format is not None and self._in_call and (self.barge_in or not self._unheard)

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Sends the settings of this call. The agent answers with the audio formats."""
        self._in_call = True
        return [outgoing(self._initiation, "initiate")]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in one message."""
        if not (self.user_stream_open and self.user_format and audio):
            return []
        audio_ms = self.user_format.duration_ms(len(audio))
        return [wire.audio_chunk({"user_audio_chunk": audio}, "user_audio_chunk", "user", audio_ms)]

    def user_text(self, text: str) -> list[Outgoing]:
        """Sends a typed turn."""
        if not (self._in_call and text):
            return []
        return [outgoing({"type": "user_message", "text": text}, f"message: {text}")]

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Sends nothing. A user who had to wait for the reply may speak again."""
        self._unheard.discard(stream_id)
        return super().playback_finished(stream_id, heard_ms=heard_ms, received_ms=received_ms)

    def relay(self, message: Mapping[str, Any]) -> list[Outgoing]:
        """Sends the result of a client tool, which the agent answers without a request."""
        item = message.get("item", {})
        if item.get("type") != "function_call_output":
            return []
        output = str(item["output"])
        result = {"tool_call_id": item["call_id"], "result": output, "is_error": _is_error(output)}
        return [outgoing({"type": "client_tool_result", **result}, f"tool result: {output}")]

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """Sends nothing: closing the socket ends the call."""
        self._in_call = False
        return []

    # Messages from the agent.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message from the agent."""
        message = wire.ElevenLabsMessage(frame)
        handler = self._HANDLERS.get(message.kind())
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _on_metadata(self, message: Message) -> str:
        if self.user_format is not None:
            message.ignore_repeated("repeated-metadata")
            return "accepted again"
        event = message.inside("conversation_initiation_metadata_event")
        conversation_id = event.text("conversation_id", required=True)
        heard, said = _media(event, "user_input_audio_format"), _media(event, "agent_output_audio_format")
        for media in (heard, said):
            if media not in wire.FORMATS:
                text = (
                    f"The agent uses the audio format {cut(media, 60)}; choose PCM or mu-law in its settings."
                )
                message.event(Type.SESSION_ERROR, reason=text, code="unknown-format", fatal=True)
                return text
        self.user_format, self.play_format = wire.FORMATS[heard], wire.FORMATS[said]
        message.event(Type.SESSION_ACCEPTED, format=self.user_format, text=heard)
        return f"accepted {heard}, sends {said}, {conversation_id}"

    def _on_audio(self, message: Message) -> str:
        event = message.inside("audio_event")
        audio, event_id = event.audio("audio_base_64"), wire.read_event_id(event)
        message.audio_ms = self.play_format.duration_ms(len(audio))
        if self.user_format is None:
            message.find(
                "audio-before-metadata", f"Audio was sent before “{wire.METADATA}”; it is played anyway."
            )
        late = event_id is not None and event_id <= self._cut_off[0]
        if event_id is not None:
            self._last_audio_id = max(self._last_audio_id, event_id)
        if audio and late:
            reply, coding = self._cut_off[1], self.play_format
            message.event(Type.PLAY_STREAM_DISCARDED, stream_id=reply, format=coding, audio=audio)
        elif audio:
            message.events += self._replies.audio(audio, self.play_format)
            self._unheard.add(self._replies.stream_id)
        return f"agent audio {message.audio_ms:.0f} ms{', too late' if late else ''}"

    def _on_interruption(self, message: Message) -> str:
        event_id = wire.read_event_id(message.inside("interruption_event"))
        upto_id = self._last_audio_id if event_id is None else event_id
        self._cut_off = (max(upto_id, self._cut_off[0]), self._replies.stream_id)
        self._unheard.clear()
        message.events += self._replies.clear("interruption")
        return "interruption" if event_id is None else f"interruption, up to {event_id}"

    def _on_agent_response(self, message: Message) -> str:
        text = message.inside("agent_response_event").text("agent_response", required=True)
        replies = self._replies
        if replies.open and self._worded == replies.stream_id:
            message.events += replies.stop("the next reply begins")
        elif self._worded == replies.next_id:
            replies.begun += 1  # the words had no audio, as in a text-only conversation
        self._worded = replies.worded_id
        message.event(Type.AGENT_TEXT, text=text, stream_id=self._worded)
        return f"agent: {text}"

    def _on_correction(self, message: Message) -> str:
        event = message.inside("agent_response_correction_event")
        text = event.text("corrected_agent_response", required=True)
        message.event(Type.AGENT_TEXT, text=text, stream_id=self._worded)
        return f"agent, up to the interruption: {text}"

    def _on_user_transcript(self, message: Message) -> str:
        text = message.inside("user_transcription_event").text("user_transcript", required=True)
        message.event(Type.SPEECH_RECOGNITION, text=text)
        return f"user: {text}"

    def _on_tentative_transcript(self, message: Message) -> str:
        text = message.inside("tentative_user_transcription_event").text("user_transcript", required=True)
        message.event(Type.SPEECH_HYPOTHESIS, text=text)
        return f"user, so far: {text}"

    def _on_tool_call(self, message: Message) -> str:
        call = message.inside("client_tool_call")
        name, call_id = call.text("tool_name", required=True), call.ident("tool_call_id", required=True)
        arguments = call.inside("parameters").body
        answered = call.flag("expects_response") is not False
        message.event(Type.TOOL_CALL, stream_id=call_id if answered else "", text=name, params=arguments)
        return f"tool call: {cut(name, 60)} {encode(arguments)}"

    def _on_ping(self, message: Message) -> str:
        event_id = wire.read_event_id(message.inside("ping_event"))
        if event_id is not None:
            message.replies.append(outgoing({"type": "pong", "event_id": event_id}, "pong"))
        return "ping"

    def _on_error(self, message: Message) -> str:
        event = message.inside("error_event")
        told = ("message", "reason", "debug_message", "error_type")
        reason = next(filter(None, map(event.text, told)), "The agent reported an error without details.")
        # Fatal, because the agent closes the socket right after an error.
        message.event(Type.AGENT_ERROR, reason=reason, code=event.code(), fatal=True)
        return f"error: {reason}"

    def _on_news(self, message: Message) -> str:
        """Returns only a log summary, because the message does not affect the call."""
        payload = next((value for value in message.body.values() if isinstance(value, dict)), {})
        return f"{message.kind()}: {encode(payload)}" if payload else message.kind()

    _HANDLERS: ClassVar[Mapping[str, Callable[[ElevenLabsCaller, Message], str]]] = {
        wire.METADATA: _on_metadata,
        "audio": _on_audio,
        "interruption": _on_interruption,
        "agent_response": _on_agent_response,
        "agent_response_correction": _on_correction,
        "user_transcript": _on_user_transcript,
        "tentative_user_transcript": _on_tentative_transcript,
        "client_tool_call": _on_tool_call,
        "ping": _on_ping,
        "error": _on_error,
        **dict.fromkeys(
            (
                "agent_chat_response_part",
                "agent_tool_request",
                "agent_tool_response",
                "agent_typing",
                "asr_initiation_metadata",
                "context_usage",
                "external_agent_connected",
                "external_agent_disconnected",
                "guardrail_triggered",
                "mcp_connection_status",
                "mcp_tool_call",
                "rich_content",
                "vad_score",
            ),
            _on_news,
        ),
    }


def _media(event: Members, name: str) -> str:
    media = event.text(name).lower()
    if not media:
        event.find("missing-member", f"{name} is missing; {wire.DEFAULT_FORMAT} is assumed.")
    return media or wire.DEFAULT_FORMAT


def _is_error(output: str) -> bool:
    """Returns whether the JSON output of a tool is the object that reports a failure."""
    try:
        value = msgspec.json.decode(output)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return isinstance(value, dict) and value.keys() == {"error"}


def _check_settings(settings: CallerSettings) -> None:
    settings.check_options("ElevenLabs", _OVERRIDES)
    if settings.formats:
        raise ValueError(
            "An ElevenLabs agent chooses the audio formats in its own settings; remove --format."
        )


def _initiation(settings: CallerSettings) -> Mapping[str, Any]:
    override: dict[str, Any] = {}
    for name, value in settings.options.items():
        *outer, last = _OVERRIDES[name]
        place = override
        for member in outer:
            place = place.setdefault(member, {})
        place[last] = value
    wishes = {"conversation_config_override": override, "dynamic_variables": dict(settings.params)}
    return {"type": wire.INITIATION, **{name: wish for name, wish in wishes.items() if wish}}
