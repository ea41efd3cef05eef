"""The caller's end of Gemini Live: acts as a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from tui.audio.formats import AudioFormat
from tui.protocols.base import CallerSettings, HangUpReason, Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.gemini_live import wire
from tui.protocols.gemini_live.setup import Options
from tui.protocols.implied_replies import ImplyingCaller
from tui.protocols.json_frames import Members, Message, cut, encode

_FAILED_TURNS = ("MALFORMED_FUNCTION_CALL", "RESPONSE_REJECTED")
"""Values of ``turnCompleteReason`` after which no answer follows."""
_MAX_WORDS_CHARS = 20_000


class GeminiCaller(ImplyingCaller):
    """Acts as a client in one call.

    Options:

    * ``model``, ``instructions``, ``voice``, ``language``, ``transcription``, ``resumption``.
    * ``greet``: on, if the agent should speak first.
    * ``activity``: off, if the agent should not detect turns; opening and closing the microphone announces turns.
    * ``typed``: turn or realtime; how typed turns are sent.
    * ``tool_behavior``: non_blocking, if the agent should keep speaking while a tool runs.
    * ``tool_scheduling``: silent, when_idle or interrupt.
    * ``tools``: a JSON array.
    * ``setup``: a JSON object whose members replace those of the setup message.
    """

    barge_in = True
    """Whether the user may interrupt; if not, the agent is asked not to stop, but audio still flows."""

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        super().__init__()
        self._options = Options(settings)
        self._user_media = settings.formats[0] if settings.formats else wire.USER_FORMAT
        self.barge_in = settings.barge_in
        self._phase = _Phase()
        self._words = _TurnWords()
        self._handle = ""
        self._tool_names: dict[str, str] = {}

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format for `user_audio`; None before the setup is complete."""
        return wire.FORMATS[self._user_media] if self._phase.accepted else None

    @property
    def play_format(self) -> AudioFormat | None:
        """The format expected for replies."""
        return wire.FORMATS[wire.PLAY_FORMAT]

    @property
    def user_stream_open(self) -> bool:
        """Whether audio may be sent: during a call, except after `stop_user_stream` or between announced turns."""
        return self._phase.in_call and (self._phase.user_speaks or self._phase.flows)

    @property
    def agent_detects_turns(self) -> bool:
        """Whether the agent detects turns; with the option ``activity=off``, the caller announces turns."""
        return self._options.on("activity")

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Sends the setup message, which the agent confirms."""
        return [self._setup()]

    def resumed(self) -> list[Outgoing] | None:
        """Sends the setup message with the newest session handle; returns None if the agent has sent no handle."""
        if not self._handle:
            return None
        self._phase = _Phase(resumes=True)
        return [self._setup()]

    def start_user_stream(self) -> list[Outgoing]:
        """Announces the start of a turn, unless the agent detects turns."""
        if not self._phase.in_call or self._phase.user_speaks:
            return []
        self._phase.user_speaks = True
        self._phase.flows = self.agent_detects_turns
        if self.agent_detects_turns:
            return []
        return [wire.outgoing({"realtimeInput": {"activityStart": {}}}, "activity starts")]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in one message."""
        if not (self.user_stream_open and audio):
            return []
        audio_ms = wire.FORMATS[self._user_media].duration_ms(len(audio))
        blob = {"data": audio, "mimeType": self._user_media}
        return [wire.outgoing({"realtimeInput": {"audio": blob}}, f"user audio {audio_ms:.0f} ms", audio_ms)]

    def hang_up(self, reason: str = HangUpReason.USER) -> list[Outgoing]:
        """Sends nothing: closing the socket ends the call."""
        self._phase.ended = True
        return []

    def stop_user_stream(self) -> list[Outgoing]:
        """Announces the end of the turn. If the agent detects turns, announces that no more audio follows."""
        if not self.user_stream_open:
            return []
        self._phase.user_speaks = self._phase.flows = False
        if self.agent_detects_turns:
            return [wire.outgoing({"realtimeInput": {"audioStreamEnd": True}}, "audio stream ends")]
        return [wire.outgoing({"realtimeInput": {"activityEnd": {}}}, "activity ends")]

    def user_text(self, text: str) -> list[Outgoing]:
        """Sends a typed turn."""
        if not (self._phase.in_call and text):
            return []
        if self._options.types_in_realtime:
            return [wire.outgoing({"realtimeInput": {"text": text}}, f"message: {text}")]
        turns = [{"role": "user", "parts": [{"text": text}]}]
        return [wire.outgoing({"clientContent": {"turns": turns, "turnComplete": True}}, f"message: {text}")]

    def update_instructions(self, text: str) -> list[Outgoing]:
        """Replaces the system instruction."""
        instruction = {"parts": [{"text": text}], "role": "user"}
        return [wire.outgoing({"contextUpdate": {"systemInstruction": instruction}}, f"instructions: {text}")]

    def relay(self, message: Mapping[str, Any]) -> list[Outgoing]:
        """Sends the result of a tool, which the agent answers without a request."""
        item = message.get("item", {})
        if item.get("type") != "function_call_output":
            return []
        call_id, output = item["call_id"], str(item["output"])
        name = self._tool_names.pop(call_id, "")
        response = {"id": call_id, "name": name, "response": _response(output)}
        if self._options.scheduling:
            response["scheduling"] = self._options.scheduling
        return [wire.outgoing({"toolResponse": {"functionResponses": [response]}}, f"tool result: {output}")]

    def _setup(self) -> Outgoing:
        setup = self._options.setup(self._handle)
        return wire.outgoing(
            {"setup": setup}, f"setup {setup.get('model')}{', resuming' if self._handle else ''}"
        )

    # Messages from the agent.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes a message from the agent, which may combine several kinds of content."""
        message = wire.GeminiMessage(frame)
        if not wire.is_known(message.body):
            return message.incoming(message.unknown())
        summaries = [handler(self, message) for name, handler in self._HANDLERS.items() if message.has(name)]
        if not self._phase.accepted and not message.has("error"):
            message.find(
                "before-setup-complete", f"“{cut(message.kind(), 60)}” was sent before “setupComplete”."
            )
        return message.incoming(" · ".join(filter(None, summaries)) or message.kind())

    def _on_setup_complete(self, message: Message) -> str:
        if self._phase.accepted:
            message.ignore_repeated("repeated-setup-complete")
            return "setup complete again"
        self._phase.accepted = True
        session = message.inside("setupComplete").text("sessionId")
        message.event(Type.SESSION_ACCEPTED, format=self.user_format, text=self._user_media)
        self._phase.flows = self.agent_detects_turns
        if self._options.on("greet") and not self._phase.resumes:
            message.replies.append(
                wire.outgoing({"clientContent": {"turnComplete": True}}, "ask the agent to begin")
            )
        return f"setup complete{f', {session}' if session else ''}"

    def _on_server_content(self, message: Message) -> str:
        content = message.inside("serverContent")
        summaries = [
            self._on_user_words(message, content),
            self._on_agent_words(message, content.inside("outputTranscription").text("text")),
            self._on_model_turn(message, content.inside("modelTurn")),
        ]
        if content.flag("interrupted"):
            self._end_of_turn(message)
            message.events += self._replies.clear("interrupted")
            summaries.append("interrupted")
        if content.flag("generationComplete"):
            message.events += self._replies.stop()
            summaries.append("generation complete")
        if content.flag("turnComplete"):
            summaries.append(self._on_turn_complete(message, content))
        if status := content.text("interactionStatus"):
            summaries.append(f"interaction {cut(status, 40)}")
        if content.flag("waitingForInput"):
            summaries.append("waiting for input")
        return " · ".join(filter(None, summaries))

    def _on_user_words(self, message: Message, content: Members) -> str:
        heard, interim = content.inside("inputTranscription"), content.inside("interimInputTranscription")
        text, so_far = heard.text("text"), interim.text("text")
        if text:
            self._words.user = (self._words.user + text)[:_MAX_WORDS_CHARS]
        if heard.flag("finished"):
            self._user_is_understood(message)
        elif text or so_far:
            message.event(Type.SPEECH_HYPOTHESIS, text=(self._words.user + so_far).strip())
        shown = text or so_far
        return f"user: {shown.strip()}" if shown else ""

    def _user_is_understood(self, message: Message) -> None:
        """Emits the user's words as final, because the agent speaks or the turn is complete."""
        words, self._words.user = self._words.user.strip(), ""
        if words:
            message.event(Type.SPEECH_RECOGNITION, text=words)

    def _on_agent_words(self, message: Message, text: str) -> str:
        if not text:
            return ""
        self._user_is_understood(message)
        self._words.spoken = (self._words.spoken + text)[:_MAX_WORDS_CHARS]
        self._emit_agent_words(message, self._words.spoken)
        return f"agent: {text.strip()}"

    def _on_agent_writing(self, message: Message, text: str) -> str:
        self._user_is_understood(message)
        self._words.written = (self._words.written + text)[:_MAX_WORDS_CHARS]
        self._emit_agent_words(message, self._words.written, written=True)
        return f"agent writes: {text.strip()}"

    def _emit_agent_words(
        self, message: Message, text: str, *, final: bool = False, written: bool = False
    ) -> None:
        if text := text.strip():
            reply = self._replies.stream_id if self._words.has_audio else self._replies.next_id
            members = {"stream_id": reply, "part": int(written), "written": written}
            message.event(Type.AGENT_TEXT, text=text, final=final, **members)

    def _on_model_turn(self, message: Message, turn: Members) -> str:
        summary = ""
        for part in turn.objects("parts"):
            if part.has("inlineData"):
                audio, coding = wire.audio_in(part.inside("inlineData"), wire.FORMATS[wire.PLAY_FORMAT])
                message.audio_ms += coding.duration_ms(len(audio))
                if audio:
                    self._user_is_understood(message)
                    message.events += self._replies.audio(audio, coding)
                    self._words.has_audio = True
                summary = f"agent audio {message.audio_ms:.0f} ms"
            elif part.flag("thought"):
                summary = summary or "thought"
            elif text := part.text("text"):
                summary = self._on_agent_writing(message, text)
        return summary

    def _on_turn_complete(self, message: Message, content: Members) -> str:
        reason = content.text("turnCompleteReason")
        message.events += self._replies.stop()
        self._end_of_turn(message)
        if reason in _FAILED_TURNS:
            text = f"The agent did not answer: {reason}."
            message.event(Type.AGENT_ERROR, reason=text, code=reason, answer_failed=True)
        return f"turn complete{f' ({cut(reason, 60)})' if reason else ''}"

    def _end_of_turn(self, message: Message) -> None:
        self._user_is_understood(message)
        words = self._words
        self._emit_agent_words(message, words.spoken, final=True)
        self._emit_agent_words(message, words.written, final=True, written=True)
        if (words.spoken or words.written) and not words.has_audio:
            self._replies.begun += 1  # the words had no audio
        self._words = _TurnWords()

    @property
    def results_are_answered(self) -> bool:
        """Whether the agent speaks about the result of a tool."""
        return self._options.scheduling != "SILENT"

    def _on_tool_call(self, message: Message) -> str:
        if self._options.waits_for_tools:
            # What follows the result is another reply, although the agent's turn goes on.
            message.events += self._replies.stop()
            self._end_of_turn(message)
        self._user_is_understood(message)
        summaries = []
        for call in message.inside("toolCall").objects("functionCalls", required=True):
            name, call_id = call.text("name", required=True), call.ident("id", required=True)
            arguments = call.inside("args").body
            if call_id:
                self._tool_names[call_id] = name
            message.event(Type.TOOL_CALL, stream_id=call_id, text=name, params=arguments)
            summaries.append(f"tool call: {cut(name, 60)} {encode(arguments)}")
        return ", ".join(summaries) or "tool call"

    def _on_cancellation(self, message: Message) -> str:
        ids = message.inside("toolCallCancellation").texts("ids", required=True)
        for call_id in ids:
            self._tool_names.pop(call_id, None)
            message.event(Type.TOOL_CALL_CANCELLED, stream_id=call_id)
        return f"tool call cancelled: {', '.join(ids)}"

    def _on_go_away(self, message: Message) -> str:
        left = cut(message.inside("goAway").text("timeLeft"), 20) or "an unknown time"
        then = "the session will be resumed" if self._handle else "the session cannot be resumed"
        message.advise("go-away", f"The agent will close this connection in {left}; {then}.")
        return f"go away in {left}"

    def _on_resumption(self, message: Message) -> str:
        update = message.inside("sessionResumptionUpdate")
        resumable, handle = update.flag("resumable"), update.text("newHandle")
        if resumable is not False and handle:
            self._handle = handle
        return f"session is {'' if resumable else 'not '}resumable"

    def _on_voice_activity(self, message: Message) -> str:
        activity = message.inside("voiceActivity")
        kind = activity.text("type") or activity.text("voiceActivityType")
        if not activity.has("type"):
            activity.find("missing-member", "voiceActivity.type is missing; expected text.")
        return self._on_edge(message, kind, "ACTIVITY_START", "ACTIVITY_END")

    def _on_signal(self, message: Message) -> str:
        kind = message.inside("voiceActivityDetectionSignal").text("vadSignalType", required=True)
        return self._on_edge(message, kind, "VAD_SIGNAL_TYPE_SOS", "VAD_SIGNAL_TYPE_EOS")

    def _on_edge(self, message: Message, kind: str, start: str, end: str) -> str:
        edges = {start: Type.SPEECH_STARTED, end: Type.SPEECH_STOPPED}
        if edge := edges.get(kind):
            message.event(edge)
        return f"user speech: {cut(kind, 40)}"

    def _on_usage(self, message: Message) -> str:
        figures = message.inside("usageMetadata").body
        message.event(Type.USAGE, text="tokens", params=figures)
        total = figures.get("totalTokenCount")
        return f"usage: {total} tokens" if isinstance(total, int) else "usage"

    def _on_error(self, message: Message) -> str:
        error = message.inside("error")
        reason = error.text("message") or "The agent reported an error without details."
        known = (error.body.get(name) for name in ("status", "code"))
        code = next((str(value) for value in known if isinstance(value, str | int)), "")
        # Fatal, because the service closes the socket right after an error.
        message.event(Type.AGENT_ERROR, reason=reason, code=cut(code, 60), fatal=True)
        return f"error: {reason}"

    _HANDLERS: ClassVar[Mapping[str, Callable[[GeminiCaller, Message], str]]] = {
        "setupComplete": _on_setup_complete,
        "serverContent": _on_server_content,
        "toolCall": _on_tool_call,
        "toolCallCancellation": _on_cancellation,
        "goAway": _on_go_away,
        "sessionResumptionUpdate": _on_resumption,
        "voiceActivity": _on_voice_activity,
        "voiceActivityDetectionSignal": _on_signal,
        "usageMetadata": _on_usage,
        "error": _on_error,
    }


class _Phase:
    """The state of one connection."""

    def __init__(self, *, resumes: bool = False) -> None:
        self.resumes = resumes
        self.accepted = False
        self.user_speaks = False
        self.flows = False
        """Whether audio keeps flowing, as silence, while the user does not speak."""
        self.ended = False

    @property
    def in_call(self) -> bool:
        """Whether the agent has accepted the session, and the caller has not hung up."""
        return self.accepted and not self.ended


class _TurnWords:
    """The words spoken in the current turn so far."""

    def __init__(self) -> None:
        self.user = ""
        self.spoken = ""
        self.written = ""
        self.has_audio = False


def _response(output: str) -> Mapping[str, Any]:
    """Returns a tool's JSON output as an object, which the protocol requires."""
    try:
        value = msgspec.json.decode(output)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {"output": output}
    return value if isinstance(value, dict) else {"output": value}
