"""The agent's end of AudioHook: acts as the voice bot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.protocols.base import Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.genesys import wire
from tui.protocols.genesys.limits import MessageRate
from tui.protocols.json_frames import Message, audio_frame, cut, outgoing

_MESSAGE_MS = 200
_PER_SECOND, _BURST = 5.0, 20.0
"""Limits for audio messages. These limits are lower than Genesys Cloud's, to leave room for the end of a reply."""
_MAX_MESSAGE_BYTES = 64_000


class GenesysAgent(AgentDefaults):
    """Acts as the voice bot on one socket.

    Sends audio in messages of 200 ms, because Genesys Cloud limits the number of messages. Messages are
    longer if audio arrives faster than in real time.
    """

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._session_id = ""
        self._counters = wire.Counters()
        self._media = ""
        self._rate = MessageRate(_PER_SECOND, _BURST)
        self._heard_ms = 0.0
        self._position_s = 0.0
        self._rest = b""
        self._open_stream_id: str | None = None
        self._last_stream_id: str | None = None
        self._over = False

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio; None before the session is open."""
        return wire.FORMATS[self._media] if self._media else None

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`, which is that of the user's audio."""
        return self.user_format

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply by sending its words."""
        if not self._media or self._over:
            return []
        self._open_stream_id = self._last_stream_id = stream_id
        self._rest = b""
        if not text:
            return []
        turn = {"disposition": "match", "text": text, "confidence": 1.0}
        return [self._event("bot_turn_response", turn, f"bot_turn_response match: {text}")]

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends audio of a reply as soon as it fills a message and the rate limit allows another message."""
        coding = self.user_format
        if not (stream_id == self._open_stream_id and audio and coding):
            return []
        self._rest += audio
        enough = coding.duration_ms(len(self._rest)) >= _MESSAGE_MS
        return self._flush() if enough and self._rate.allows(self._heard_ms) else []

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply. For an interrupted reply, sends ``barge_in``, which makes the caller flush the reply."""
        was_open, was_last = stream_id == self._open_stream_id, stream_id == self._last_stream_id
        self._open_stream_id = None if was_open else self._open_stream_id
        if interrupted and was_last:
            self._last_stream_id, self._rest = None, b""
            return [self._event("barge_in", {}, "barge_in")]
        if not was_open:
            return []
        frames = self._flush()
        self._rate.spend(self._heard_ms, len(frames))
        return frames

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Sends ``disconnect``, which the caller answers with ``close``."""
        if not self._media or self._over:
            return []
        self._over, self._open_stream_id = True, None
        parameters = {"reason": "completed", "outputVariables": {"ended_by": "agent"}}
        return [self._message("disconnect", f"disconnect: {reason}", parameters)]

    def _flush(self) -> list[Outgoing]:
        audio, self._rest = self._rest, b""
        coding = wire.FORMATS[self._media]
        cuts = [audio[at : at + _MAX_MESSAGE_BYTES] for at in range(0, len(audio), _MAX_MESSAGE_BYTES)]
        return [audio_frame(each, coding, "agent") for each in cuts]

    def _event(self, kind: str, data: Mapping[str, Any], summary: str) -> Outgoing:
        return self._message("event", summary, {"entities": [{"type": kind, "data": data}]})

    def _message(self, kind: str, summary: str, parameters: Mapping[str, Any]) -> Outgoing:
        body = wire.envelope(kind, self._session_id, self._counters, "clientseq", parameters=parameters)
        return outgoing(body, summary)

    # Messages from the caller.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message or audio frame from the caller. Raises `ProtocolError`."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        message = wire.AudioHookMessage(frame)
        if len(frame) > wire.MAX_TEXT_CHARS:
            message.find(
                "too-long", f"The message has {len(frame)} characters; the limit is {wire.MAX_TEXT_CHARS}."
            )
        handler = self._HANDLERS.get(message.kind())
        if not self._session_id and message.kind() != "open":
            message.find("message-before-open", f"“{cut(message.kind(), 40)}” was sent before “open”.")
        message.check_envelope(self._session_id, self._counters, "serverseq")
        self._check_position(message)
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _receive_audio(self, frame: bytes) -> Incoming:
        message, coding = Message(), self.user_format
        if coding is None:
            message.find("audio-before-open", "Audio was sent before the session was open; it was ignored.")
            return message.incoming("user audio, too early")
        message.audio_ms = coding.duration_ms(len(frame))
        self._heard_ms += message.audio_ms
        if frame:
            message.event(Type.USER_STREAM_CHUNK, format=coding, audio=frame)
        return message.incoming(f"user audio {message.audio_ms:.0f} ms")

    def _on_open(self, message: Message) -> str:
        if self._session_id:
            message.ignore_repeated("repeated-open", " during the session")
            return "open again"
        self._session_id = message.text("id")
        if not wire.is_uuid(self._session_id):
            message.find("bad-id", f"The id is {cut(self._session_id, 60) or 'missing'}; expected a UUID.")
        parameters = message.inside("parameters")
        offered = [medium.text("format") for medium in parameters.objects("media", required=True)]
        chosen = (
            wire.PCMU
            if wire.PCMU in offered
            else next((name for name in offered if name in wire.FORMATS), "")
        )
        if not chosen:
            info = "None of the offered media is supported."
            refusal = {"reason": "error", "info": info}
            message.replies.append(self._message("disconnect", f"disconnect: {info}", refusal))
            return "open without a supported medium"
        self._media = chosen
        opened = {"startPaused": False, "media": [wire.described(chosen)]}
        message.replies.append(self._message("opened", f"opened, {chosen}", opened))
        message.event(Type.SESSION_INITIATE, format=self.user_format, params=parameters.body)
        if parameters.text("conversationId", required=True) != wire.NULL_ID:
            message.event(Type.CALL_STARTED, params=parameters.inside("inputVariables").body)
        return f"open, {', '.join(cut(name, 20) for name in offered)}"

    def _on_ping(self, message: Message) -> str:
        message.replies.append(self._message("pong", "pong", {}))
        return "ping"

    def _on_dtmf(self, message: Message) -> str:
        digit = message.inside("parameters").ident("digit", required=True)
        if digit:
            message.event(Type.DTMF, text=digit)
        return f"dtmf {digit}"

    def _on_playback_completed(self, message: Message) -> str:
        message.event(Type.PLAY_FINISHED, stream_id=self._last_stream_id or "")
        return "playback completed"

    def _on_close(self, message: Message) -> str:
        reason = message.inside("parameters").text("reason", required=True)
        self._over = True
        message.replies.append(self._message("closed", "closed", {}))
        message.event(Type.SESSION_END, reason=reason)
        return f"close: {reason}"

    def _check_position(self, message: Message) -> None:
        text = message.text("position", required=True)
        position_s = wire.seconds_in(text)
        if position_s is None:
            if text:
                message.find(
                    "bad-position", f"The position is {cut(text, 40)}; expected a duration such as PT1.2S."
                )
        elif position_s < self._position_s:
            message.find(
                "position-backwards",
                f"The position is {cut(text, 40)}, which is earlier than the position in the previous message.",
            )
        else:
            self._position_s = position_s

    _HANDLERS: ClassVar[Mapping[str, Callable[[GenesysAgent, Message], str]]] = {
        "open": _on_open,
        "ping": _on_ping,
        "dtmf": _on_dtmf,
        "playback_completed": _on_playback_completed,
        "close": _on_close,
        **dict.fromkeys(("playback_started", "error", "discarded", "paused", "resumed", "update"), wire.news),
    }
