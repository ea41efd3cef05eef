"""The caller's end of AudioHook: acts as Genesys Cloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tui.audio.formats import AudioFormat
from tui.audio.wav import strip_wav_header
from tui.protocols.base import (
    CallerSettings,
    Finding,
    HangUpReason,
    Incoming,
    NewId,
    Outgoing,
    UtcNow,
    check_formats,
    unix_time,
)
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.genesys import wire
from tui.protocols.genesys.limits import MessageRate, Pings
from tui.protocols.implied_replies import ImplyingCaller
from tui.protocols.json_frames import Members, Message, audio_frame, cut, encode, outgoing
from tui.protocols.options import is_on

FRAME_MS = 200
_OPTIONS = ("organization", "conversation", "language", "dnis", "rate_limit", "burst", "signed_query")
_CLOSE_REASONS = {
    HangUpReason.USER: "end",
    HangUpReason.AGENT: "disconnect",
    HangUpReason.TRANSFERRED: "disconnect",
}


class GenesysCaller(ImplyingCaller):
    """Acts as Genesys Cloud in one call. ``settings.params`` become input variables.

    The token is the API key, or KEY:SECRET with the client secret that signs the request. Options:

    * ``organization`` and ``conversation``: UUIDs.
    * ``language`` and ``dnis``.
    * ``rate_limit`` and ``burst``: how many audio messages the agent may send per second on average, and at once.
    * ``signed_query``: on or off; whether the signature covers the URL's query.
    """

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        super().__init__()
        self._settings = settings
        self._new_id, self._utc_now = new_id, utc_now
        options = _checked(settings)
        self._offer = settings.formats or (wire.PCMU,)
        self._ids = {name: options.get(name) or new_id() for name in ("organization", "conversation")}
        self._session_id = new_id()
        self._counters = wire.Counters()
        self._rate = MessageRate(_number(options, "rate_limit", 5.0), _number(options, "burst", 25.0))
        self._pings = Pings()
        self._stream = _Stream()

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format for `user_audio`; None before the agent has chosen a format."""
        return wire.FORMATS[self._stream.media] if self._stream.media else None

    @property
    def user_stream_open(self) -> bool:
        """Whether audio may be sent: always during a call, unless the agent has paused it."""
        return self._stream.flows

    @property
    def goodbye_answered(self) -> bool:
        """Whether the agent has answered ``close``, or ``close`` was never sent."""
        return self._stream.closed or not self._stream.closing

    @property
    def missing_goodbye(self) -> Finding:
        """The finding to report if the agent does not answer ``close``."""
        return Finding("not-closed", "The agent did not answer “close” with “closed”.")

    def request_headers(self, url: str, token: str) -> Mapping[str, str]:
        """Returns headers with the ids of the call. If the token contains a secret, also signs the request."""
        ids = {
            "audiohook-organization-id": self._ids["organization"],
            "audiohook-session-id": self._session_id,
            "audiohook-correlation-id": self._new_id(),
        }
        key, secret = split_token(token)
        if not secret:
            return ids
        parts = urlsplit(url)
        has_query = parts.query and is_on(self._settings.options, "signed_query", "on")
        target = (parts.path or "/") + (f"?{parts.query}" if has_query else "")
        signed = wire.signature_headers(
            {**ids, "x-api-key": key},
            secret,
            authority=parts.netloc.rpartition("@")[2],
            target=target,
            created_s=int(unix_time(self._utc_now)),
            nonce=self._new_id().replace("-", ""),
        )
        return {**ids, **signed}

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Opens the session and offers audio formats, from which the agent chooses."""
        return [self._open(self._ids["conversation"], self._new_id())]

    def validate(self) -> list[Outgoing]:
        """Opens a session that only tests the connection, with the null UUID as its conversation id."""
        return [self._open(wire.NULL_ID, wire.NULL_ID)]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in frames of 200 ms, and a ping if one is due. Keeps an incomplete frame."""
        stream, coding = self._stream, self.user_format
        if coding is None or not stream.flows:
            return []
        frame_bytes = coding.bytes_per_second * FRAME_MS // 1_000
        stream.rest += audio
        frames: list[Outgoing] = []
        while len(stream.rest) >= frame_bytes:
            frame, stream.rest = stream.rest[:frame_bytes], stream.rest[frame_bytes:]
            stream.sent_ms += FRAME_MS
            frames.append(audio_frame(frame, coding, "user"))
        return frames + (self._ping() if frames else [])

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Sends the pressed keys, one message each."""
        if not self._stream.in_call:
            return []
        return [self._message("dtmf", f"dtmf {digit}", digit=digit) for digit in digits]

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Reports that the playback queue is empty, or was flushed."""
        was_newest = stream_id == self._replies.stream_id
        super().playback_finished(stream_id, heard_ms=heard_ms, received_ms=received_ms)
        if not (was_newest and self._stream.plays and self._stream.in_call):
            return []
        self._stream.plays = False
        return [self._message("playback_completed", "playback completed")]

    def hang_up(self, reason: str = HangUpReason.USER) -> list[Outgoing]:
        """Sends ``close``, which the agent answers. Afterwards, nothing is sent."""
        if not self._stream.opening or self._stream.closing:
            return []
        self._stream.closing = True
        why = _CLOSE_REASONS.get(HangUpReason(reason), "error") if reason in set(HangUpReason) else "end"
        return [self._message("close", f"close: {why}", reason=why)]

    # Messages from the agent.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message or audio frame from the agent. Raises `ProtocolError`."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        message = wire.AudioHookMessage(frame)
        handler = self._HANDLERS.get(message.kind())
        message.check_envelope(self._session_id, self._counters, "clientseq")
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _receive_audio(self, frame: bytes) -> Incoming:
        stream, coding = self._stream, self.user_format or wire.FORMATS[wire.PCMU]
        message = Message()
        if not stream.media:
            message.find(
                "audio-before-opened",
                "Audio was sent before “opened”; Genesys Cloud ends the session when that happens.",
            )
        elif stream.paused:
            message.find("audio-while-paused", "Audio was sent while the session is paused.")
        elif not self._rate.allows(stream.sent_ms):
            self._find_rate(message)
        audio, had_header = strip_wav_header(frame)
        if had_header:
            message.find("wav-header", "The audio begins with a WAV header, which would be heard as noise.")
        message.audio_ms = coding.duration_ms(len(audio))
        if audio:
            message.events += self._replies.audio(audio, coding)
            if not stream.plays and stream.in_call:
                # Sent now rather than when playback begins, which is only a few hundredths of a second later.
                stream.plays = True
                message.replies.append(self._message("playback_started", "playback started"))
        return message.incoming(f"agent audio {message.audio_ms:.0f} ms")

    def _find_rate(self, message: Message) -> None:
        limits = f"{self._rate.per_second:g} a second on average, at most {self._rate.burst:g} at once"
        text = f"Too many audio messages (limit: {limits}): Genesys Cloud answers with error 429, and audio is lost."
        message.find("rate-exceeded", text)
        if self._rate.should_report(self._stream.sent_ms):
            message.replies.append(self._error(429, "Too many binary messages", retryAfter=wire.duration(1)))

    def _on_opened(self, message: Message) -> str:
        stream = self._stream
        if stream.media:
            message.ignore_repeated("repeated-opened")
            return "opened again"
        parameters = message.inside("parameters")
        media = parameters.objects("media", required=True)
        stream.media, stream.silent = self._chosen(message, media), not media
        stream.paused = parameters.flag("startPaused") is True
        message.event(Type.SESSION_ACCEPTED, format=self.user_format, text=stream.media)
        if parameters.has("discardTo"):
            times = {"start": wire.duration(0), "discarded": wire.duration(0)}
            message.replies.append(self._message("discarded", "discarded nothing", **times))
        if stream.paused:
            message.replies.append(self._message("paused", "paused"))
        return f"opened, {stream.media}{', paused' if stream.paused else ''}"

    def _chosen(self, message: Message, media: list[Members]) -> str:
        if len(media) > 1:
            message.find("more-than-one-medium", f"“opened” selects {len(media)} media; only one is allowed.")
        if not media:
            message.advise("no-medium", "“opened” selects no media, so no audio will be sent.")
            return self._offer[0]
        chosen = media[0]
        name, rate = chosen.text("format"), chosen.number("rate")
        if (
            name not in self._offer
            or rate != wire.FORMATS[name].rate
            or chosen.texts("channels") != ["external"]
        ):
            text = f"The medium {cut(encode(chosen.body))} was not offered."
            message.find("medium-not-offered", text)
        return name if name in wire.FORMATS else self._offer[0]

    def _on_event(self, message: Message) -> str:
        summaries = []
        for entity in message.inside("parameters").objects("entities", required=True):
            kind, data = entity.text("type", required=True), entity.inside("data")
            summary = cut(kind, 40)
            if kind == "barge_in":
                message.events += self._replies.clear("barge_in")
            elif kind == "bot_turn_response":
                summary = f"{summary} {cut(data.text('disposition', required=True), 20)}"
                if text := data.text("text"):
                    message.event(Type.AGENT_TEXT, text=text, stream_id=self._replies.worded_id)
                    summary = f"{summary}: {text}"
            summaries.append(summary)
        return ", ".join(summaries) or "event"

    def _on_pong(self, message: Message) -> str:
        answered = message.body.get("clientseq")
        if not self._pings.waiting:
            message.find("unasked-pong", "“pong” was sent without a “ping”.")
            message.replies.append(self._error(409, "No ping is pending"))
        elif self._pings.answer(answered):
            message.replies.extend(self._ping())
        else:
            message.find(
                "wrong-pong", f"The clientseq of “pong” must be {self._pings.waiting}, as in the “ping”."
            )
            message.replies.append(self._error(400, "Wrong clientseq in pong"))
        return "pong"

    def _on_pause(self, message: Message) -> str:
        self._stream.paused, self._stream.paused_s = True, unix_time(self._utc_now)
        message.replies.append(self._message("paused", "paused"))
        return "pause"

    def _on_resume(self, message: Message) -> str:
        stream = self._stream
        if not stream.paused:
            message.advise("resume-without-pause", "“resume” was sent, but the session is not paused.")
        now_s = unix_time(self._utc_now)
        start, lost_s = wire.duration(stream.sent_ms / 1_000), now_s - (stream.paused_s or now_s)
        stream.sent_ms += round(1_000 * lost_s)
        stream.paused = False
        message.replies.append(
            self._message("resumed", "resumed", start=start, discarded=wire.duration(lost_s))
        )
        return "resume"

    def _on_disconnect(self, message: Message) -> str:
        parameters = message.inside("parameters")
        reason, info = parameters.text("reason", required=True), parameters.text("info")
        variables = parameters.inside("outputVariables").body
        shown = ", ".join(f"{name}={value}" for name, value in variables.items())
        text = " ".join(filter(None, (reason, info, f"({shown})" if shown else "")))
        if reason in ("completed", ""):
            message.event(Type.HANG_UP, reason=text)
        else:
            message.event(
                Type.AGENT_ERROR, reason=info or f"The agent disconnected: {reason}.", code=reason, fatal=True
            )
        return f"disconnect {text}"

    def _on_closed(self, message: Message) -> str:
        if not self._stream.closing:
            message.find(
                "unasked-closed",
                "“closed” was sent without a “close”; to hang up, an agent sends “disconnect”.",
            )
        self._stream.closed = True
        return "closed"

    def _on_reconnect(self, message: Message) -> str:
        info = message.inside("parameters").text("info")
        message.advise(
            "reconnect",
            "The agent asked for a new connection, but Audio Connector sessions cannot be resumed.",
        )
        return f"reconnect {info}".strip()

    def _on_error(self, message: Message) -> str:
        parameters = message.inside("parameters")
        text = parameters.text("message") or "no message"
        message.event(Type.AGENT_ERROR, reason=text, code=parameters.code())
        return f"error: {text}"

    # Messages to the agent.

    def _open(self, conversation: str, participant: str) -> Outgoing:
        self._stream.opening = True
        caller = self._settings.caller
        ani = caller if ":" in caller else f"tel:{caller}"
        who = {"id": participant, "ani": ani, "aniName": "", "dnis": self._settings.options.get("dnis", "")}
        parameters = {
            "organizationId": self._ids["organization"],
            "conversationId": conversation,
            "participant": who,
            "media": [wire.described(name) for name in self._offer],
            "language": self._settings.options.get("language", "en-US"),
            "inputVariables": dict(self._settings.params),
        }
        return self._message("open", f"open, offers {', '.join(self._offer)}", **parameters)

    def _message(self, kind: str, summary: str, **parameters: Any) -> Outgoing:
        position = wire.duration(self._stream.sent_ms / 1_000)
        body = wire.envelope(
            kind, self._session_id, self._counters, "serverseq", position=position, parameters=parameters
        )
        return outgoing(body, summary)

    def _error(self, code: int, text: str, **members: Any) -> Outgoing:
        return self._message("error", f"error {code}: {text}", code=code, message=text, **members)

    def _ping(self) -> list[Outgoing]:
        """Returns a ping if one is due. Ends the session with an error if the previous ping was not answered."""
        stream = self._stream
        if not (stream.in_call and self._pings.due(stream.sent_ms)):
            return []
        if self._pings.waiting:
            self._pings.stop()
            return [self._error(408, "A ping was not answered"), *self.hang_up(HangUpReason.FAILED)]
        ping = self._message("ping", "ping")
        self._pings.sent(self._counters.sent, stream.sent_ms)
        return [ping]

    _HANDLERS: ClassVar[Mapping[str, Callable[[GenesysCaller, Message], str]]] = {
        "opened": _on_opened,
        "event": _on_event,
        "pong": _on_pong,
        "pause": _on_pause,
        "resume": _on_resume,
        "disconnect": _on_disconnect,
        "closed": _on_closed,
        "reconnect": _on_reconnect,
        "error": _on_error,
        "updated": wire.news,
    }


class _Stream:
    """The stages of a session."""

    def __init__(self) -> None:
        self.opening = False
        self.media = ""
        self.silent = False
        self.paused = False
        self.paused_s = 0.0
        self.closing = False
        self.closed = False
        self.plays = False
        self.sent_ms = 0
        self.rest = b""

    @property
    def in_call(self) -> bool:
        """Whether messages may be sent: after ``opened`` and before ``close``."""
        return bool(self.media) and not self.closing

    @property
    def flows(self) -> bool:
        """Whether user audio may be sent."""
        return self.in_call and not (self.paused or self.silent)


def split_token(token: str) -> tuple[str, str]:
    """Returns the API key and the client secret in a token; the secret is "" if the token contains none."""
    key, _, secret = token.rpartition(":")
    return (key, secret) if key else (token, "")


def _checked(settings: CallerSettings) -> Mapping[str, str]:
    settings.check_options("Genesys Audio Connector", _OPTIONS)
    check_formats("Genesys Audio Connector", settings.formats, wire.FORMATS)
    for name in ("organization", "conversation"):
        value = settings.options.get(name, "")
        if value and not wire.is_uuid(value):
            raise ValueError(f"The {name} option must be a UUID, not {cut(value, 60)!r}.")
    is_on(settings.options, "signed_query", "on")
    return settings.options


def _number(options: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(options.get(name, default))
    except ValueError:
        value = -1.0
    if not 0 < value < 1e6:
        raise ValueError(f"The {name} option must be a number above 0, not {options[name]!r}.")
    return value
