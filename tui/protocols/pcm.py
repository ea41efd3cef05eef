"""Plain PCM over a websocket, both ends: what home-made voice servers speak. There is no standard.

A binary frame is 16-bit little-endian mono PCM, of any length, in either direction, at a rate that both sides
know. Text is control, mostly JSON that says in ``type`` (or ``event``, ``action``, ``op``) what it is; what is
in common use is understood, anything else is shown as an event. Where practice differs:

* Nothing accepts a call, and user audio flows from the beginning, silence included, because servers find the
  end of a turn by it. The option ``end`` is for those that want to be told instead.
* A reply ends with ``end``, ``stop``, ``eos`` or an empty frame, else when it has run dry
  (`tui.protocols.implied_replies`). ``interrupt``, ``clear`` and ``cancel`` flush it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import (
    CallerSettings,
    Finding,
    Incoming,
    NewId,
    Outgoing,
    Protocol,
    ProtocolError,
    TelephonyEvent,
    UtcNow,
)
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults, CallerDefaults
from tui.protocols.implied_replies import ENDS_AFTER_MS, ImpliedReplies
from tui.protocols.json_frames import (
    Members,
    Message,
    cut,
    encode,
    outgoing,
    strip_wav_header,
)

DEFAULT_RATE = 16_000
FORMATS: Mapping[str, AudioFormat] = MappingProxyType(
    {
        f"pcm_{rate}": AudioFormat(Encoding.PCM16, rate)
        for rate in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
    }
)
"""The usual rates, by a name for ``--format``; the option ``rate`` takes any."""

_LOWEST_RATE, _HIGHEST_RATE = 4_000, 192_000
_OPTIONS = ("rate", "play_rate", "hello", "end")
_KIND_MEMBERS = ("type", "event", "action", "op")
_FLUSH = ("interrupt", "clear", "cancel")
_END = ("end", "stop", "eos")
_WORDS = frozenset({"ready", "ping", "pong", *_FLUSH, *_END})
"""What is understood as a bare word too."""
_SNIFFED_FLOATS = 64


class _PcmMessage(Message):
    """A JSON text, which may say in one of several members what it is, or not at all."""

    def kind(self) -> str:
        """What it says it is, in lower case; "json" where it does not."""
        named = (self.body.get(member) for member in _KIND_MEMBERS)
        return next((kind.lower() for kind in named if isinstance(kind, str) and kind), "json")


def _read_text(frame: str) -> _PcmMessage | Incoming:
    """A text as a message; as what it is where it is neither JSON nor a word that is understood."""
    text = frame.strip()
    if text.startswith("{"):
        return _PcmMessage(text)
    if (word := text[:20].lower()) in _WORDS:
        return _PcmMessage(encode({"type": word}))
    try:
        frame.encode()
    except UnicodeError as error:
        raise ProtocolError("not-utf8", "text that is not valid Unicode") from error
    return Incoming(kind="text", summary=cut(text))


def _audio_frame(audio: bytes, coding: AudioFormat, whose: str) -> Outgoing:
    audio_ms = coding.duration_ms(len(audio))
    return Outgoing(audio, "audio", f"{whose} audio {audio_ms:.0f} ms", audio_ms)


class _Samples:
    """What binary frames of one direction hold, and what is wrong with it."""

    def __init__(self) -> None:
        self._floats_told = False

    def read(self, frame: bytes, findings: list[Finding]) -> bytes:
        """The samples of one frame."""
        audio, had_header = strip_wav_header(frame)
        if had_header:
            findings.append(Finding("wav-header", "The audio begins with a WAV header, which was taken off."))
        if not self._floats_told and _looks_like_floats(audio):
            self._floats_told = True
            text = "The samples look like 32-bit floats, which sound as noise; 16-bit integers are due."
            findings.append(Finding("float-samples", text))
        return audio


def _looks_like_floats(audio: bytes) -> bool:
    """Whether the first samples, read as 32-bit floats, are in -1..1, and most of them neither 0 nor tiny."""
    if len(audio) % 4 or len(audio) < 4 * _SNIFFED_FLOATS:
        return False
    values = [value for value in struct.unpack_from(f"<{_SNIFFED_FLOATS}f", audio) if value]
    return 2 * len(values) > _SNIFFED_FLOATS and all(1e-7 < abs(value) <= 1.0 for value in values)


def _rate_in(members: Members, *names: str) -> int | None:
    """The first of the members that is there, if it is a rate."""
    name = next(filter(members.has, names), "")
    rate = members.number(name) if name else None
    if rate is None:
        return None
    if not (_LOWEST_RATE <= rate <= _HIGHEST_RATE):
        members.find("strange-rate", f"{name} is {rate:g}; {_LOWEST_RATE} to {_HIGHEST_RATE} Hz is due.")
        return None
    return int(rate)


# The caller's end.


class PcmCaller(CallerDefaults):
    """The client in one call.

    Options: ``rate`` of the user's audio (default 16000, or that of the first format), ``play_rate`` of the
    agent's (default: the same; a ``ready`` that names an ``output_sample_rate`` changes it), ``hello`` (``on``:
    begin with ``{"type":"start",…}``), ``end`` (``on``: send ``{"type":"end"}`` and no more audio when the
    user stops).
    """

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        options = settings.options
        _check_settings(settings)
        offered = FORMATS[settings.formats[0]].rate if settings.formats else DEFAULT_RATE
        rate = _rate_option(options, "rate", offered)
        self._user_format = AudioFormat(Encoding.PCM16, rate)
        self._play_format = AudioFormat(Encoding.PCM16, _rate_option(options, "play_rate", rate))
        self._says_hello = _switch(options, "hello")
        self._says_end = _switch(options, "end")
        self._in_call = False
        self._user_speaks = False
        self._replies = ImpliedReplies()
        self._samples = _Samples()

    @property
    def user_format(self) -> AudioFormat | None:
        """What `user_audio` carries."""
        return self._user_format

    @property
    def play_format(self) -> AudioFormat | None:
        """What replies are expected in."""
        return self._play_format

    @property
    def user_stream_open(self) -> bool:
        """Whether audio may flow: always in a call, unless the agent is told when the user stops."""
        return self._in_call and (self._user_speaks or not self._says_end)

    @property
    def agent_detects_turns(self) -> bool:
        """Whether the agent hears the end of a turn by itself, rather than being told."""
        return not self._says_end

    # What the user does.

    def opened(self) -> list[Outgoing]:
        """The hello, if there is to be one."""
        self._in_call = True
        if not self._says_hello:
            return []
        audio = {"sample_rate": self._user_format.rate, "channels": 1, "encoding": "pcm_s16le"}
        return [outgoing({"type": "start", **audio}, f"start, {self._user_format}")]

    def start_user_stream(self) -> list[Outgoing]:
        """Nothing: the audio itself says so."""
        self._user_speaks = True
        return []

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """User audio, in a frame as long as it is."""
        if not (self.user_stream_open and audio):
            return []
        return [_audio_frame(audio, self._user_format, "user")]

    def stop_user_stream(self) -> list[Outgoing]:
        """The user is done: told, or to be heard by the silence that follows."""
        was_open, self._user_speaks = self.user_stream_open, False
        return [outgoing({"type": "end"}, "end")] if was_open and self._says_end else []

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Nothing is told; audio that comes from now on is another reply."""
        self._replies.finished(stream_id)
        return []

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Nothing is told; audio that comes from now on is another reply."""
        self._replies.finished(stream_id)
        return []

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """End a turn that is open; the call ends with the socket."""
        frames = self.stop_user_stream()
        self._in_call = False
        return frames

    # What the agent says.

    def receive(self, frame: str | bytes) -> Incoming:
        """Understand one frame of the agent."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        message = _read_text(frame)
        if isinstance(message, Incoming):
            return message
        return message.incoming(self._HANDLERS.get(message.kind(), PcmCaller._on_other)(self, message))

    def _receive_audio(self, frame: bytes) -> Incoming:
        if not frame:
            return Incoming(kind="audio", summary="end of audio", events=tuple(self._replies.stop()))
        findings: list[Finding] = []
        audio = self._samples.read(frame, findings)
        audio_ms = self._play_format.duration_ms(len(audio))
        return Incoming(
            kind="audio",
            summary=f"agent audio {audio_ms:.0f} ms",
            audio_ms=audio_ms,
            events=tuple(self._replies.audio(audio, self._play_format)) if audio else (),
            findings=tuple(findings),
        )

    def _on_ready(self, message: Message) -> str:
        user_rate = _rate_in(message, "input_sample_rate", "sample_rate")
        if user_rate not in (None, self._user_format.rate):
            text = f"The agent wants {user_rate} Hz; it is sent {self._user_format.rate} Hz (option rate)."
            message.find("other-rate", text)
        play_rate = _rate_in(message, "output_sample_rate")
        if play_rate:
            self._play_format = AudioFormat(Encoding.PCM16, play_rate)
        message.event(Type.CONFIG, params=message.body)
        return f"ready, sends {self._play_format}"

    def _on_transcript(self, message: Message) -> str:
        inner = message.inside("data") if isinstance(message.body.get("data"), dict) else message
        text, role = inner.text("text", required=True), (inner.text("role") or message.text("role")).lower()
        final = _is_final(inner)
        if role in ("", "user", "caller", "human"):
            message.event(Type.SPEECH_RECOGNITION if final else Type.SPEECH_HYPOTHESIS, text=text)
        else:
            # Between replies nobody can tell whether it belongs to the last or to the next.
            stream_id = self._replies.stream_id if self._replies.open else ""
            message.event(Type.AGENT_TEXT, text=text, stream_id=stream_id, final=final)
        return f"{role or 'user'}{'' if final else ', so far'}: {text}"

    def _on_audio(self, message: Message) -> str:
        name = "audio" if message.has("audio") else "data"
        audio = self._samples.read(message.audio(name), message.findings)
        message.audio_ms = self._play_format.duration_ms(len(audio))
        if audio:
            message.events += self._replies.audio(audio, self._play_format)
        return f"agent audio {message.audio_ms:.0f} ms"

    def _on_flush(self, message: Message) -> str:
        message.events += self._replies.clear(message.kind())
        return message.kind()

    def _on_end(self, message: Message) -> str:
        message.events += self._replies.stop(message.kind())
        return message.kind()

    def _on_error(self, message: Message) -> str:
        members = [message.body.get(name) for name in ("message", "error", "reason", "detail")]
        told = [member for member in members if isinstance(member, str)]
        reason, code = told[0] if told else cut(encode(message.body)), message.body.get("code")
        message.event(Type.AGENT_ERROR, reason=reason, code=str(code) if isinstance(code, str | int) else "")
        return f"error: {reason}"

    def _on_ping(self, message: Message) -> str:
        message.replies.append(_PONG)
        return "ping"

    def _on_other(self, message: Message) -> str:
        return f"{message.kind()}: {encode(message.body)}"

    _HANDLERS: ClassVar[Mapping[str, Callable[[PcmCaller, Message], str]]] = {
        "ready": _on_ready,
        "transcript": _on_transcript,
        "audio": _on_audio,
        "error": _on_error,
        "ping": _on_ping,
        **dict.fromkeys(_FLUSH, _on_flush),
        **dict.fromkeys(_END, _on_end),
    }


_PONG = outgoing({"type": "pong"}, "pong")


def _is_final(members: Members) -> bool:
    """In whatever words: whether no better text will follow."""
    for name, final in (("final", True), ("is_final", True), ("partial", False)):
        flag = members.flag(name)
        if flag is not None:
            return flag is final
    return True


def _check_settings(settings: CallerSettings) -> None:
    for name in settings.options:
        if name not in _OPTIONS:
            raise ValueError(f"Plain PCM has no option {name!r}; known are {', '.join(_OPTIONS)}.")
    for media in settings.formats:
        if media not in FORMATS:
            raise ValueError(f"Plain PCM knows no audio format {media!r}; known are {', '.join(FORMATS)}.")


def _rate_option(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    rate = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not (_LOWEST_RATE <= rate <= _HIGHEST_RATE):
        limits = f"a whole number from {_LOWEST_RATE} to {_HIGHEST_RATE}"
        raise ValueError(f"The option {name} is {limits} (Hz), not {cut(text, 60)!r}.")
    return rate


def _switch(options: Mapping[str, str], name: str) -> bool:
    value = options.get(name, "off")
    if value not in ("on", "off"):
        raise ValueError(f"The option {name} is on or off, not {cut(value, 60)!r}.")
    return value == "on"


# The agent's end.


class PcmAgent(AgentDefaults):
    """The server on one socket: announces its rates, ends its replies, says its words as transcripts."""

    def __init__(
        self, new_id: NewId, utc_now: UtcNow, *, rate: int = DEFAULT_RATE, play_rate: int | None = None
    ) -> None:
        self._user_format = AudioFormat(Encoding.PCM16, rate)
        self._play_format = AudioFormat(Encoding.PCM16, play_rate or rate)
        self._in_call = False
        self._user_speaks = False
        self._open_stream_id: str | None = None
        self._last_stream_id: str | None = None
        self._samples = _Samples()

    @property
    def user_format(self) -> AudioFormat | None:
        """What the user's audio arrives in; a hello may change it."""
        return self._user_format

    @property
    def play_format(self) -> AudioFormat | None:
        """What `say_audio` has to be given."""
        return self._play_format

    # What the agent does.

    def opened(self) -> list[Outgoing]:
        """Announce the rates."""
        rates = {"sample_rate": self._user_format.rate, "output_sample_rate": self._play_format.rate}
        return [outgoing({"type": "ready", **rates}, f"ready, sends {self._play_format}")]

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Begin a reply: its words; one that is still open ends here."""
        before = self.say_stop(self._open_stream_id) if self._open_stream_id is not None else []
        self._open_stream_id = self._last_stream_id = stream_id
        return [*before, _transcript("agent", text)] if text else before

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Reply audio in one frame; nothing for a reply that is not open."""
        if not (stream_id == self._open_stream_id and audio):
            return []
        return [_audio_frame(audio, self._play_format, "agent")]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Complete a reply, or flush it, even when all of it was sent already."""
        was_open, was_last = stream_id == self._open_stream_id, stream_id == self._last_stream_id
        self._open_stream_id = None if was_open else self._open_stream_id
        if interrupted and was_last:
            self._last_stream_id = None
            return [outgoing({"type": "interrupt"}, "interrupt")]
        return [outgoing({"type": "end"}, "end")] if was_open else []

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Partial text of the user's turn."""
        return [_transcript("user", text, final=False)]

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Final text of the user's turn."""
        return [_transcript("user", text)]

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Nothing: the call ends with the socket."""
        self._open_stream_id = self._last_stream_id = None
        return []

    # What the caller says.

    def receive(self, frame: str | bytes) -> Incoming:
        """Understand one frame of the caller. The first of any kind begins the call."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        message = _read_text(frame)
        if isinstance(message, Incoming):
            return message
        return message.incoming(self._HANDLERS.get(message.kind(), PcmAgent._on_other)(self, message))

    def _receive_audio(self, frame: bytes) -> Incoming:
        if not frame:
            return Incoming(kind="audio", summary="end of audio", events=tuple(self._end_turn()))
        findings: list[Finding] = []
        audio = self._samples.read(frame, findings)
        audio_ms = self._user_format.duration_ms(len(audio))
        events = self._begin_call({})
        if not self._user_speaks:
            self._user_speaks = True
            events.append(TelephonyEvent(type=Type.USER_STREAM_START, format=self._user_format))
        if audio:
            chunk = TelephonyEvent(type=Type.USER_STREAM_CHUNK, format=self._user_format, audio=audio)
            events.append(chunk)
        return Incoming(
            kind="audio",
            summary=f"user audio {audio_ms:.0f} ms",
            audio_ms=audio_ms,
            events=tuple(events),
            findings=tuple(findings),
        )

    def _on_start(self, message: Message) -> str:
        rate, channels = _rate_in(message, "sample_rate"), message.number("channels")
        encoding = message.text("encoding")
        if channels not in (None, 1) or encoding not in ("", "pcm_s16le"):
            message.find("other-format", "16-bit little-endian mono PCM is due (pcm_s16le, 1 channel).")
        if rate:
            self._user_format = AudioFormat(Encoding.PCM16, rate)
        message.events += self._begin_call(message.body)
        return f"start, {self._user_format}"

    def _on_end(self, message: Message) -> str:
        message.events += self._end_turn()
        return message.kind()

    def _on_ping(self, message: Message) -> str:
        message.replies.append(_PONG)
        return "ping"

    def _on_other(self, message: Message) -> str:
        return f"{message.kind()}: {encode(message.body)}"

    def _begin_call(self, params: Mapping[str, Any]) -> list[TelephonyEvent]:
        if self._in_call:
            return []
        self._in_call = True
        return [
            TelephonyEvent(type=Type.SESSION_INITIATE, format=self._user_format, params=params),
            TelephonyEvent(type=Type.CALL_STARTED),
        ]

    def _end_turn(self) -> list[TelephonyEvent]:
        if not self._user_speaks:
            return []
        self._user_speaks = False
        return [TelephonyEvent(type=Type.USER_STREAM_STOP)]

    _HANDLERS: ClassVar[Mapping[str, Callable[[PcmAgent, Message], str]]] = {
        "start": _on_start,
        "ping": _on_ping,
        **dict.fromkeys(_END, _on_end),
    }


def _transcript(role: str, text: str, *, final: bool = True) -> Outgoing:
    words = {"type": "transcript", "role": role, "text": text, "final": final}
    return outgoing(words, f"{role}{'' if final else ', so far'}: {text}")


# The protocol.


def _headers(token: str, url: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


PCM = Protocol(
    name="pcm",
    title="Plain PCM",
    path="/pcm",
    caller=PcmCaller,
    agent=PcmAgent,
    formats=FORMATS,
    audio_members=("audio", "data"),
    headers=_headers,
    accepted_on_open=True,
    continuous=True,
    reply_ends_after_ms=ENDS_AFTER_MS,
)
