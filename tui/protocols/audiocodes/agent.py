"""The agent's end of the AudioCodes Bot API: acts as the bot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.audio.wav import wav_header
from tui.protocols.audiocodes import wire
from tui.protocols.base import Incoming, NewId, Outgoing, UtcNow, check_formats
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.json_frames import Members, Message, outgoing

# Bots use both spellings of DTMF.
_EVENTS = ("start", "DTMF", "dtmf", "playFinished", "noUserInput", "dialoutInitiated", "hangup")
_BEFORE_SESSION = ("session.initiate", "session.resume", "connection.validate")


class AudioCodesAgent(AgentDefaults):
    """Acts as the bot on one socket.

    ``play_format`` is the format of replies (default: the format accepted for user audio).
    """

    def __init__(self, new_id: NewId, utc_now: UtcNow, *, play_format: str = "") -> None:
        check_formats("AudioCodes", [play_format] if play_format else [], wire.FORMATS)
        self._new_id = new_id
        self._utc_now = utc_now
        self._forced_media = play_format
        self._conversation_id = ""
        self._user_media = ""
        self._in_session = False
        self._user_stream_open = False
        self._open_stream_id: str | None = None
        self._wav_header_due = False

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio; None until it has been negotiated."""
        return wire.FORMATS.get(self._user_media)

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`; None until it has been negotiated, unless it was specified."""
        return wire.FORMATS.get(self._play_media)

    @property
    def _play_media(self) -> str:
        return self._forced_media or self._user_media

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply, after ending an earlier reply that is still open."""
        before = self.say_stop(self._open_stream_id) if self._open_stream_id is not None else []
        self._open_stream_id = stream_id
        media = self._play_media or wire.DEFAULT_FORMAT
        self._wav_header_due = media.startswith("wav/")
        start = {"type": "playStream.start", "streamId": stream_id, "mediaFormat": media}
        summary = f"{stream_id} starts, {media}"
        if text:
            return [*before, outgoing({**start, "altText": text}, f"{summary}: {text}")]
        return [*before, outgoing(start, summary)]

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends reply audio, or nothing if the reply is not open."""
        if not (stream_id == self._open_stream_id and audio):
            return []
        coding = wire.FORMATS[self._play_media or wire.DEFAULT_FORMAT]
        audio_ms = coding.duration_ms(len(audio))
        if self._wav_header_due:
            self._wav_header_due = False
            audio = wav_header(coding) + audio
        chunk = {"type": "playStream.chunk", "streamId": stream_id, "audioChunk": audio}
        return [outgoing(chunk, f"agent audio {audio_ms:.0f} ms", audio_ms)]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply. The protocol has the same message for complete and interrupted replies."""
        if stream_id != self._open_stream_id:
            return []
        self._open_stream_id = None
        summary = f"{stream_id} {'cut short' if interrupted else 'complete'}"
        return [outgoing({"type": "playStream.stop", "streamId": stream_id}, summary)]

    def speech_started(self) -> list[Outgoing]:
        """Announces that the user has started to speak."""
        return [_speech("userStream.speech.started")]

    def speech_stopped(self) -> list[Outgoing]:
        """Announces that the user has stopped speaking."""
        return [_speech("userStream.speech.stopped")]

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Sends partial text of the user's turn."""
        words = {"type": "userStream.speech.hypothesis", "alternatives": [{"text": text}]}
        return [outgoing(words, f"hypothesis: {text}")]

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the final text of the user's turn, then the message that commits it."""
        alternatives = [{"text": text, "confidence": confidence}]
        words = {"type": "userStream.speech.recognition", "alternatives": alternatives}
        return [outgoing(words, f"recognition: {text}"), _speech("userStream.speech.committed")]

    def activity(self, name: str, **members: Any) -> list[Outgoing]:
        """Sends an activity of the type “event”, such as transfer, config or abortPrompts."""
        activity = {
            "type": "event",
            "name": name,
            **members,
            "id": self._new_id(),
            "timestamp": self._utc_now(),
        }
        return [outgoing({"type": "activities", "activities": [activity]}, name)]

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Asks the caller to end the call; the caller answers with ``session.end``."""
        if not self._in_session:
            return []
        self._in_session = False
        before = self.say_stop(self._open_stream_id) if self._open_stream_id is not None else []
        return [*before, *self.activity("hangup", activityParams={"hangupReason": reason})]

    # Messages from the caller.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message from the caller."""
        message = Message(frame)
        handler = self._HANDLERS.get(message.kind())
        if handler is None:
            return message.incoming(message.unknown())
        if message.kind() not in _BEFORE_SESSION:
            self._check_conversation_id(message)
        return message.incoming(handler(self, message))

    def _on_initiate(self, message: Message) -> str:
        if self._in_session:
            message.find(
                "repeated-session-initiate",
                "Received another “session.initiate” message during the call; the call restarts.",
            )
        self._begin_on_new_socket(message.ident("conversationId", required=True))
        offer = [media.lower() for media in message.texts("supportedMediaFormats", required=True)]
        self._user_media = next((media for media in offer if media in wire.FORMATS), "")
        caller = message.ident("caller")
        if not self._user_media:
            return self._refuse(message)
        message.event(Type.SESSION_INITIATE, format=self.user_format, text=caller, params=message.body)
        message.replies.append(self._accept(mediaFormat=self._user_media))
        return f"initiate from {caller}, offering {', '.join(offer)}"

    def _on_resume(self, message: Message) -> str:
        conversation_id = message.ident("conversationId", required=True)
        self._begin_on_new_socket(conversation_id)
        agreed: dict[str, str] = {}
        if not self._user_media:
            self._user_media = wire.DEFAULT_FORMAT
            agreed = {"mediaFormat": wire.DEFAULT_FORMAT}
        message.event(Type.SESSION_RESUME, format=self.user_format, text=conversation_id)
        message.replies.append(self._accept(**agreed))
        return "resume"

    def _on_end(self, message: Message) -> str:
        reason, code = message.text("reason"), message.text("reasonCode")
        self._in_session = False
        self._user_stream_open = False
        message.event(Type.SESSION_END, reason=reason, code=code)
        return f"end: {reason}"

    def _on_user_stream_start(self, message: Message) -> str:
        if self._user_stream_open:
            message.find(
                "repeated-user-stream-start", "“userStream.start” was sent while the stream was open."
            )
        self._check_in_session(message)
        self._user_stream_open = True
        message.event(Type.USER_STREAM_START, format=self.user_format)
        message.replies.append(outgoing({"type": "userStream.started"}, "user stream started"))
        return "start user stream"

    def _on_user_stream_chunk(self, message: Message) -> str:
        if not self._user_stream_open:
            message.find("chunk-outside-stream", "“userStream.chunk” was sent while no user stream was open.")
        media = self._user_media or wire.DEFAULT_FORMAT
        audio = wire.audio_of(message, media)
        if audio:
            message.event(Type.USER_STREAM_CHUNK, format=wire.FORMATS[media], audio=audio)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_user_stream_stop(self, message: Message) -> str:
        if not self._user_stream_open:
            message.find("stop-outside-stream", "“userStream.stop” was sent while no user stream was open.")
        self._user_stream_open = False
        message.event(Type.USER_STREAM_STOP)
        message.replies.append(outgoing({"type": "userStream.stopped"}, "user stream stopped"))
        return "stop user stream"

    def _on_validate(self, message: Message) -> str:
        message.event(Type.CONNECTION_VALIDATE)
        answer = {"type": "connection.validated", "success": True}
        message.replies.append(outgoing(answer, "connection validated"))
        return "validate connection"

    def _on_mark_reached(self, message: Message) -> str:
        name = wire.mark_name(message)
        message.event(Type.MARK_REACHED, text=name)
        return f"mark reached: {name}"

    def _on_activities(self, message: Message) -> str:
        self._check_in_session(message)
        return wire.each_activity(message, self._on_activity)

    def _on_activity(self, message: Message, activity: Members) -> str:
        if wire.is_message(activity):
            text = activity.text("text", required=True)
            message.event(Type.USER_TEXT, text=text)
            return f"message: {text}"
        match wire.event_name(activity, _EVENTS):
            case "start":
                parameters = activity.inside("parameters").body
                message.event(Type.CALL_STARTED, params=parameters)
                return "start"
            case "DTMF" | "dtmf" as name:
                digits = activity.ident("value", required=True)
                message.event(Type.DTMF, text=digits)
                return f"{name} {digits}"
            case "playFinished":
                message.event(Type.PLAY_FINISHED)
                return "playFinished"
            case name:
                return name or f"unknown activity {activity.body.get('name')}"

    def _check_conversation_id(self, message: Message) -> None:
        conversation_id = message.ident("conversationId", required=True)
        if conversation_id and self._conversation_id and conversation_id != self._conversation_id:
            message.find("foreign-conversation-id", "The conversationId does not match this call.")

    def _check_in_session(self, message: Message) -> None:
        if not self._user_media:
            message.find("message-before-session", f"“{message.kind()}” was sent before “session.initiate”.")

    def _begin_on_new_socket(self, conversation_id: str) -> None:
        self._conversation_id = conversation_id
        self._in_session = True
        self._user_stream_open = False
        self._open_stream_id = None

    def _accept(self, **members: str) -> Outgoing:
        return outgoing({"type": "session.accepted", **members}, " ".join(("accepted", *members.values())))

    def _refuse(self, message: Message) -> str:
        self._in_session = False
        reason = "No common media format"
        message.event(Type.SESSION_ERROR, reason=reason, fatal=True)
        message.replies.append(outgoing({"type": "session.error", "reason": reason}, f"refuse: {reason}"))
        return f"{message.kind()}, refused: {reason}"

    _HANDLERS: ClassVar[Mapping[str, Callable[[AudioCodesAgent, Message], str]]] = {
        "session.initiate": _on_initiate,
        "session.resume": _on_resume,
        "session.end": _on_end,
        "userStream.start": _on_user_stream_start,
        "userStream.chunk": _on_user_stream_chunk,
        "userStream.stop": _on_user_stream_stop,
        "connection.validate": _on_validate,
        "playStream.mark.reached": _on_mark_reached,
        "activities": _on_activities,
    }


def _speech(kind: str) -> Outgoing:
    return outgoing({"type": kind}, wire.SPEECH[kind][1])
