"""The caller's end of the AudioCodes Bot API: acts as VoiceAI Connect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import ClassVar

from tui.audio.formats import AudioFormat
from tui.audio.wav import wav_header
from tui.protocols.audiocodes import wire
from tui.protocols.audiocodes.caller_messages import CallerMessages
from tui.protocols.audiocodes.marks import WaitingMarks
from tui.protocols.audiocodes.offer import Offer
from tui.protocols.audiocodes.streams import PlayStream, PlayStreams, UserStream
from tui.protocols.base import CallerSettings, HangUpReason, Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.json_frames import Members, Message, cut, encode
from tui.protocols.options import is_on

_OPTIONS = {"dtmf_event": "DTMF", "play_finished": "on", "language": "en-US"}
_END_CODES: Mapping[str, str] = {
    HangUpReason.USER: "client-disconnected",
    HangUpReason.AGENT: "bot-disconnected",
    HangUpReason.TRANSFERRED: "transferred",
    HangUpReason.FAILED: "error",
}
"""Reason codes of ``session.end`` (techdocs.audiocodes.com, "Receiving call disconnect notification")."""
_EVENTS = (
    "hangup",
    "transfer",
    "handover",
    "abortPrompts",
    "config",
    "sendDtmf",
    "playUrl",
    "startRecognition",
    "stopRecognition",
    "expectAnotherBotMessage",
    "sendMetaData",
    "startCallRecording",
    "stopCallRecording",
    "pauseCallRecording",
    "resumeCallRecording",
    "speakerVerificationCreateSpeaker",
    "speakerVerificationGetSpeakerStatus",
    "speakerVerificationDeleteSpeaker",
    "speakerVerificationEnroll",
    "speakerVerificationVerify",
)


_ENVELOPE = ("type", "name", "id", "timestamp")
"""Members that every activity has."""


class _Call(Enum):
    """The state of a call, as seen from the caller's end."""

    NEW = auto()
    INITIATING = auto()
    ACTIVE = auto()
    RESUMING = auto()
    ENDED = auto()


class AudioCodesCaller:
    """Acts as VoiceAI Connect in one call.

    Options:

    * ``dtmf_event``: the name of the event (``DTMF`` in the documentation, ``dtmf`` in some bots).
    * ``play_finished``: on or off; whether to report to the agent that a reply has been played.
    * ``language``: the language in the start activity.
    """

    barge_in = True
    """Whether the user may interrupt; the agent can change it during the call."""

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        self._settings = settings
        self._options = _checked_options(settings)
        self._offer = Offer(settings.formats)
        self._messages = CallerMessages(new_id(), new_id, utc_now)
        self.barge_in = settings.barge_in
        self._call = _Call.NEW
        self._user_stream = UserStream()
        self._user_wants_stream = False
        self._awaits_reply = False
        self._replies = PlayStreams()
        self._marks = WaitingMarks(self._messages.conversation_id)

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format for `user_audio`; None until it has been negotiated."""
        return self._offer.user_format

    @property
    def user_stream_open(self) -> bool:
        """Whether the agent has acknowledged the user stream and the stream has not been closed since."""
        return self._user_stream.open

    @property
    def user_stream_opening(self) -> bool:
        """Whether a request to open the user stream awaits the agent's acknowledgment."""
        return self._user_stream.opening

    @property
    def user_stream_closing(self) -> bool:
        """Whether a request to close the user stream awaits the agent's acknowledgment."""
        return self._user_stream.closing

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Sends the message that initiates the session."""
        self._call = _Call.INITIATING
        return [
            self._messages.message(
                "session.initiate",
                f"initiate, offering {', '.join(self._offer.names)}",
                botName=self._settings.agent_name,
                caller=self._settings.caller,
                expectAudioMessages=True,
                supportedMediaFormats=self._offer.names,
            )
        ]

    def resumed(self) -> list[Outgoing] | None:
        """Resumes the session on a new socket. If the agent never accepted the session, initiates a new one."""
        if self._call in (_Call.NEW, _Call.INITIATING):
            return self.opened()
        if self._call is _Call.ENDED:
            return None
        self._call = _Call.RESUMING
        self._user_stream = UserStream()
        self._awaits_reply = False
        return [self._messages.message("session.resume", "resume")]

    def validate(self) -> list[Outgoing]:
        """Asks the agent whether it is ready.

        The agent answers with CONNECTION_VALIDATED, or (SDK 0.13) not at all.
        """
        return [self._messages.message("connection.validate", "validate connection")]

    def start_user_stream(self) -> list[Outgoing]:
        """Opens the user stream as soon as the session and barge-in allow it."""
        self._user_wants_stream = True
        self._awaits_reply = False
        return self._adjust_user_stream()

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio while the stream is open. In a ``wav/*`` format, each stream begins with a WAV header."""
        media = self.user_format
        if not (self._user_stream.open and media and audio):
            return []
        audio_ms = media.duration_ms(len(audio))
        if self._user_stream.header_due:
            self._user_stream.header_due = False
            audio = wav_header(media) + audio
        summary = f"user audio {audio_ms:.0f} ms"
        return [self._messages.message("userStream.chunk", summary, audio_ms, audioChunk=audio)]

    def stop_user_stream(self) -> list[Outgoing]:
        """Closes the user stream."""
        self._user_wants_stream = False
        return self._adjust_user_stream()

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Sends the pressed keys."""
        if not (self._call is _Call.ACTIVE and digits):
            return []
        name = self._options["dtmf_event"]
        return [self._messages.activity(f"{name} {digits}", type="event", name=name, value=digits)]

    def user_text(self, text: str) -> list[Outgoing]:
        """Sends a typed turn in the same message as speech that VAIC has recognized for the agent."""
        if not (self._call is _Call.ACTIVE and text):
            return []
        return [self._messages.activity(f"message: {text}", type="message", text=text)]

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Sends playFinished. Reopens a user stream that was closed during the reply."""
        self._replies.heard(stream_id)
        self._awaits_reply = False
        tells = self._call is _Call.ACTIVE and is_on(self._options, "play_finished")
        frames = [self._messages.activity("playFinished", type="event", name="playFinished")] if tells else []
        return frames + self._adjust_user_stream()

    def mark_reached(self, name: str) -> list[Outgoing]:
        """Reports a mark as reached. Sends nothing for an unknown mark."""
        answer = self._marks.take_answer(name) if self._call is _Call.ACTIVE else None
        return [answer] if answer else []

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Records the interruption. Sends nothing, because the protocol has no message for interruptions."""
        self._replies.interrupted(stream_id)
        return []

    def hang_up(self, reason: str = HangUpReason.USER) -> list[Outgoing]:
        """Closes the user stream and ends the session. Afterwards, nothing is sent."""
        if self._call in (_Call.NEW, _Call.ENDED):
            return []
        self._call = _Call.ENDED
        code = _END_CODES.get(reason, "client-disconnected")
        end = self._messages.message("session.end", f"end: {reason}", reasonCode=code, reason=reason)
        return [*self._adjust_user_stream(), end]

    # Messages from the agent.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message from the agent."""
        message = Message(frame)
        handler = self._HANDLERS.get(message.kind())
        self._check_common_members(message)
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _on_accepted(self, message: Message) -> str:
        if self._call not in (_Call.INITIATING, _Call.RESUMING):
            message.find(
                "unexpected-session-accepted",
                "“session.accepted” does not answer any request; it was ignored.",
            )
            return "accepted again"
        media = self._offer.accepted(message)
        if media not in wire.FORMATS:
            reason = (
                f"The agent accepted the audio format {cut(media, 60)}, which the protocol does not define."
            )
            message.event(Type.SESSION_ERROR, reason=reason, code="unknown-format", fatal=True)
            return f"accepted {media}, an unknown format"
        self._offer.agreed = media
        if self._call is _Call.RESUMING:
            self._close_reply(message, reason="connection lost")
        else:
            message.replies.append(self._start_activity())
        self._call = _Call.ACTIVE
        message.event(Type.SESSION_ACCEPTED, format=wire.FORMATS[media], text=media)
        message.replies += self._adjust_user_stream()
        return f"accepted {media}"

    def _on_error(self, message: Message) -> str:
        reason = message.text("reason", required=True)
        if self._call is _Call.RESUMING:
            message.advise(
                "resume-refused",
                "The agent cannot resume a session (nor can version 0.13 of the AudioCodes SDK).",
            )
        self._call = _Call.ENDED
        self._user_stream = UserStream()
        message.event(Type.SESSION_ERROR, reason=reason, fatal=True)
        return f"session error: {reason}"

    def _on_end(self, message: Message) -> str:
        reason = message.text("reason") or message.text("reasonCode")
        message.find(
            "session-end-from-agent",
            "Only the caller sends “session.end”; the agent ends a call with a “hangup” activity.",
        )
        message.event(Type.HANG_UP, reason=reason, code=message.text("reasonCode"))
        return f"session end: {reason}"

    def _on_validated(self, message: Message) -> str:
        success = message.flag("success")
        params = {"success": success is not False}
        message.event(Type.CONNECTION_VALIDATED, params=params)
        return "connection validated" if params["success"] else "connection not validated"

    def _on_user_stream_started(self, message: Message) -> str:
        if not self._user_stream.started():
            message.find(
                "unexpected-user-stream-started",
                "“userStream.started” was sent without a “userStream.start”.",
            )
            return "user stream started again"
        self._user_stream.header_due = self._offer.agreed.startswith("wav/")
        message.event(Type.USER_STREAM_STARTED, format=self.user_format)
        return "user stream started"

    def _on_user_stream_stopped(self, message: Message) -> str:
        if not self._user_stream.stopped():
            message.find(
                "unexpected-user-stream-stopped", "“userStream.stopped” was sent without a “userStream.stop”."
            )
            return "user stream stopped again"
        message.event(Type.USER_STREAM_STOPPED)
        return "user stream stopped"

    def _on_speech(self, message: Message) -> str:
        meaning, summary = wire.SPEECH[message.kind()]
        message.event(meaning)
        if meaning is Type.SPEECH_STARTED:
            self._yield_to_user(message)
        return summary

    def _on_hypothesis(self, message: Message) -> str:
        text, confidence = wire.best_alternative(message)
        message.event(Type.SPEECH_HYPOTHESIS, text=text, confidence=confidence)
        self._yield_to_user(message)
        return f"hypothesis: {text}"

    def _on_recognition(self, message: Message) -> str:
        text, confidence = wire.best_alternative(message)
        message.event(Type.SPEECH_RECOGNITION, text=text, confidence=confidence)
        self._awaits_reply = not self.barge_in
        message.replies += self._adjust_user_stream()
        return f"recognition: {text}"

    def _on_play_start(self, message: Message) -> str:
        stream_id = message.ident("streamId", required=True)
        self._check_play_start(message, stream_id)
        self._close_reply(message, reason="overlapped")
        reply, text = PlayStream(stream_id, self._offer.of_reply(message)), message.text("altText")
        self._begin_reply(message, reply, text)
        shown = f"{stream_id} starts, {reply.media}" + (f": {text}" if text else "")
        params = message.inside("activityParams").body
        return f"{shown}; for this reply only, without effect: {encode(params)}" if params else shown

    def _on_play_chunk(self, message: Message) -> str:
        reply = self._reply_for_audio(message)
        audio = wire.audio_of(message, reply.media)
        if audio:
            media = wire.FORMATS[reply.media]
            message.event(Type.PLAY_STREAM_CHUNK, stream_id=reply.stream_id, format=media, audio=audio)
        return f"agent audio {message.audio_ms:.0f} ms"

    def _on_play_stop(self, message: Message) -> str:
        reply = self._replies.open
        stream_id = message.ident("streamId", required=True) or (reply.stream_id if reply else "")
        if not reply or stream_id != reply.stream_id:
            stopped = self._replies.named(stream_id)
            if stopped and stopped.closed_here:
                return f"{stream_id} complete; it was already closed"
            message.find(
                "stop-outside-stream", f"“playStream.stop” is for stream {cut(stream_id)}, which is not open."
            )
            return f"{stream_id or 'no stream'} stopped, but was not open"
        self._close_reply(message)
        return f"{stream_id} complete"

    def _on_mark(self, message: Message) -> str:
        name, answered = self._marks.set(message)
        if not answered:
            return f"mark too long: {name}"
        reply = self._replies.latest
        message.event(Type.MARK, stream_id=reply.stream_id if reply else "", text=name)
        return f"mark set: {name}"

    def _on_activities(self, message: Message) -> str:
        return wire.each_activity(message, self._on_activity)

    def _on_activity(self, message: Message, activity: Members) -> str:
        session = self._apply_session_params(message, activity)
        if wire.is_message(activity):
            text = activity.text("text", required=True)
            message.event(Type.AGENT_TEXT, text=text, params=activity.body)
            self._answered_without_sound(message)
            return "; ".join(filter(None, (f"message: {text}", session)))
        params = activity.inside("activityParams")
        match wire.event_name(activity, _EVENTS):
            case "hangup":
                reason = params.text("hangupReason")
                message.event(Type.HANG_UP, reason=reason, params=params.body)
                return f"hangup: {reason}" if reason else "hangup"
            case "transfer" | "handover" as alias:
                if alias == "handover":
                    activity.advise("deprecated-handover", "“handover” is deprecated; use “transfer”.")
                target, reason = params.ident("transferTarget", required=True), params.text("handoverReason")
                message.event(Type.TRANSFER, text=target, reason=reason, params=params.body)
                return f"transfer to {target}"
            case "abortPrompts":
                self._clear(message, reason="abortPrompts")
                return "abortPrompts"
            case "config":
                return self._config(activity, params, session)
            case "sendDtmf":
                # One bridge spells the member ``dtmf``; that is a finding, but the digits are still shown.
                digits = params.ident("dtmfDigits", required=True) or params.ident("dtmf")
                return f"sendDtmf {digits}"
            case "playUrl":
                address = params.text("playUrlAltText") or params.text("playUrlUrl", required=True)
                self._answered_without_sound(message)
                activity.advise(
                    "play-url",
                    "“playUrl” is not supported here: nothing is played and no “playFinished” is sent.",
                )
                return f"playUrl, not played: {cut(address, 60)}"
            case "sendMetaData":
                shown = {name: value for name, value in activity.body.items() if name not in _ENVELOPE}
                return f"sendMetaData, only shown: {encode(shown)}"
            case name:
                title = name or f"unknown activity {activity.body.get('name')}"
                return "; ".join(filter(None, (title, session)))

    def _config(self, activity: Members, params: Members, session: str) -> str:
        """Returns the log summary of a config activity, whose activityParams have no effect here."""
        parts = [session] if session else []
        if params.body:
            parts.append(f"for this activity only, without effect: {encode(params.body)}")
        if not parts:
            activity.advise("empty-config", "“config” has no “sessionParams”, so it changes nothing.")
        return f"config {'; '.join(parts)}" if parts else "empty config"

    # The user stream.

    def _adjust_user_stream(self) -> list[Outgoing]:
        """Opens or closes the user stream, depending on the microphone, the session and barge-in."""
        agent_has_the_word = self._awaits_reply or self._replies.any_unheard
        withheld = agent_has_the_word and not self.barge_in
        due = self._call is _Call.ACTIVE and self._user_wants_stream and not withheld
        kind = self._user_stream.turn(on=due)
        return [self._messages.message(kind, f"{'start' if due else 'stop'} user stream")] if kind else []

    def _apply_session_params(self, message: Message, activity: Members) -> str:
        """Applies the agent's settings for the rest of the call; returns a log summary with the ignored settings."""
        if not activity.has("sessionParams"):
            return ""
        params = activity.inside("sessionParams")
        barge_in = params.flag("bargeIn")
        message.event(Type.CONFIG, params=params.body)
        if barge_in is not None:
            self.barge_in = barge_in
            message.replies += self._adjust_user_stream()
        applied = {} if barge_in is None else {"bargeIn": barge_in}
        others = {name: value for name, value in params.body.items() if name not in applied}
        parts = [encode(applied)] if applied else []
        return "; ".join([*parts, *([f"without effect here: {encode(others)}"] if others else [])])

    def _answered_without_sound(self, message: Message) -> None:
        """Reopens a user stream that was waiting for an answer to end, because the answer has no audio to play."""
        self._awaits_reply = False
        message.replies += self._adjust_user_stream()

    # The agent's play streams.

    def _begin_reply(self, message: Message, reply: PlayStream, text: str = "") -> None:
        self._replies.begin(reply)
        media = wire.FORMATS[reply.media]
        message.event(Type.PLAY_STREAM_START, stream_id=reply.stream_id, format=media, text=text)
        message.replies += self._adjust_user_stream()

    def _close_reply(self, message: Message, reason: str = "") -> None:
        reply = self._replies.close(here=bool(reason))
        if reply:
            message.event(Type.PLAY_STREAM_STOP, stream_id=reply.stream_id, reason=reason)

    def _yield_to_user(self, message: Message) -> None:
        if self.barge_in and self._replies.any_to_clear:
            self._clear(message, reason="barge-in")

    def _clear(self, message: Message, reason: str) -> None:
        message.event(Type.CLEAR, stream_id=self._replies.clear(), reason=reason)

    def _reply_for_audio(self, message: Message) -> PlayStream:
        latest, is_open = self._replies.latest, self._replies.open is not None
        stream_id = message.ident("streamId", required=True) or (latest.stream_id if latest else "")
        reply = self._replies.named(stream_id)
        if reply and (reply.open or reply.closed_here):
            return reply
        fault = f"The audio is for stream {cut(stream_id)}, which is not open; it is played anyway."
        message.find("chunk-outside-stream", fault)
        if reply:
            return reply
        stray = PlayStream(stream_id, latest.media if latest else self._offer.assumed)
        if not is_open:
            self._begin_reply(message, stray)
        return stray

    # Checks.

    def _check_common_members(self, message: Message) -> None:
        if message.has("participantId"):
            message.advise("deprecated-participant-id", "“participantId” is deprecated; use “participant”.")
        if message.has("conversationId") and message.body["conversationId"] != self._messages.conversation_id:
            message.find("foreign-conversation-id", "The conversationId does not match this call.")

    def _check_play_start(self, message: Message, stream_id: str) -> None:
        latest = self._replies.latest
        if self._call is _Call.INITIATING:
            message.find("play-before-accepted", "“playStream.start” was sent before “session.accepted”.")
        if latest and latest.open:
            text = (
                f"“playStream.start” was sent while {cut(latest.stream_id)} was open; that stream ends here."
            )
            message.find("overlapping-play-streams", text)
        elif latest and latest.stream_id == stream_id:
            message.find("stream-id-reused", f"The streamId {cut(stream_id)} was already used in this call.")

    # Messages to the agent.

    def _start_activity(self) -> Outgoing:
        language, settings = self._options["language"], self._settings
        parameters = {
            "vaigConversationId": self._messages.conversation_id,
            "caller": settings.caller,
            "callerHost": "localhost",
            "callerDisplayName": settings.caller,
            "callee": settings.agent_name,
            "calleeHost": "localhost",
            "locale": language,
            **settings.params,
        }
        return self._messages.activity(
            "start", type="event", name="start", language=language, parameters=parameters
        )

    _HANDLERS: ClassVar[Mapping[str, Callable[[AudioCodesCaller, Message], str]]] = {
        "session.accepted": _on_accepted,
        "session.error": _on_error,
        "session.end": _on_end,
        "connection.validated": _on_validated,
        "userStream.started": _on_user_stream_started,
        "userStream.stopped": _on_user_stream_stopped,
        **dict.fromkeys(wire.SPEECH, _on_speech),
        "userStream.speech.hypothesis": _on_hypothesis,
        "userStream.speech.recognition": _on_recognition,
        "playStream.start": _on_play_start,
        "playStream.chunk": _on_play_chunk,
        "playStream.stop": _on_play_stop,
        "playStream.mark.set": _on_mark,
        "activities": _on_activities,
    }


def _checked_options(settings: CallerSettings) -> Mapping[str, str]:
    settings.check_options("AudioCodes", _OPTIONS)
    chosen = {**_OPTIONS, **settings.options}
    is_on(chosen, "play_finished")
    return chosen
