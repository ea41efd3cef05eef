"""The caller's end of a telephony stream: acts as the provider. The provider's table defines the messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import strip_wav_header
from tui.protocols.base import (
    CallerSettings,
    HangUpReason,
    Incoming,
    NewId,
    Outgoing,
    ProtocolError,
    UtcNow,
    check_formats,
)
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.implied_replies import ImplyingCaller
from tui.protocols.json_frames import Message
from tui.protocols.telephony.dialect import BYTE_ORDER, DROPPED, Content, Sizes, StreamCall, TelephonyDialect
from tui.protocols.telephony.faults import StreamFaults
from tui.protocols.telephony.message import StreamMessage, outgoing
from tui.protocols.telephony.samples import ByteOrder, Cutter, looks_like_mulaw, looks_swapped

_MAX_MARKS = 10_000
_MAX_MARK_CHARS = 4_096
_SNIFFED_MESSAGES = 100


class _Mark(NamedTuple):
    name: str
    value: Any
    dropped: bool = False
    """Whether a flush dropped the mark, in which case it is not reported to the server."""


class _Directions(NamedTuple):
    """The byte order in each direction; None if samples are little-endian."""

    to_server: ByteOrder | None
    from_server: ByteOrder | None


class TelephonyCaller(ImplyingCaller):
    """Acts as the provider of ``dialect`` in one call. The dialect's table defines the options of the call."""

    dialect: ClassVar[TelephonyDialect]
    faults: ClassVar[type[StreamFaults]] = StreamFaults
    user_stream_open = False
    """Whether the call is active; user audio never pauses during a call."""

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        super().__init__()
        dialect = self.dialect
        dialect.check(settings)
        check_formats(dialect.vendor, settings.formats, dialect.formats)
        self._call = call = StreamCall(dialect, settings, new_id, utc_now)
        frame_bytes = call.user_format.bytes_per_second * dialect.frame_ms // 1_000
        self._cutter = Cutter(Sizes(frame_bytes, frame_bytes, frame_bytes))
        self._marks: deque[_Mark] = deque()
        self._any_mark = False
        self._sniffs = _SNIFFED_MESSAGES
        swapped = (
            dialect.big_endian(settings.options, each) for each in (call.user_format, call.play_format)
        )
        self._order = _Directions(*(ByteOrder() if needed else None for needed in swapped))
        self._faults = self.faults(dialect, call.ids.get("stream", ""))
        self._foreign = dialect.names_foreign()
        self._handlers = self._handlers_by_kind()

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format for `user_audio`, which is known from the start."""
        return self._call.user_format

    @property
    def play_format(self) -> AudioFormat | None:
        """The format expected for replies."""
        return self._call.play_format

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Sends the first messages; the call then counts as accepted."""
        self.user_stream_open = True
        *first, start = self.dialect.opening(self._call)
        member = self.dialect.kind_member
        summary = f"{self.dialect.start}, {self._call.user_format}"
        return [*(self._send(message, message[member]) for message in first), self._send(start, summary)]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in frames of the dialect's length. Keeps an incomplete frame."""
        if not self.user_stream_open:
            return []
        call, frame_ms = self._call, self.dialect.frame_ms
        frames = []
        for frame in self._cutter.cut(audio):
            if self._order.to_server is not None:
                frame = self._order.to_server.swap(frame)
            message = self.dialect.user_audio(call, frame)
            call.frames_sent += 1
            frames.append(self._send(message, f"user audio {frame_ms} ms", frame_ms))
        return frames

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Sends the pressed keys, one message each."""
        if not self.user_stream_open:
            return []
        return [self._send(self.dialect.key(self._call, digit), f"dtmf {digit}") for digit in digits]

    def mark_reached(self, name: str) -> list[Outgoing]:
        """Reports the first pending mark named ``name`` as played. Sends nothing for a dropped or unknown mark."""
        found = next((mark for mark in self._marks if mark.name == name), None)
        if not self.user_stream_open or found is None:
            return []
        self._marks.remove(found)
        if found.dropped:
            return []
        message = self._call.reply(self.dialect.played, found.value)
        return [self._send(message, f"mark reached: {name}")]

    def hang_up(self, reason: str = HangUpReason.USER) -> list[Outgoing]:
        """Sends the dialect's last message, if it has one. Afterwards, nothing is sent."""
        if not self.user_stream_open:
            return []
        self.user_stream_open = False
        last = self.dialect.stop(self._call)
        return [] if last is None else [self._send(last, f"stop: {reason}")]

    # Messages from the server.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message from the server."""
        dialect = self.dialect
        if isinstance(frame, bytes) and not dialect.say.kind:
            audio = Message()
            return audio.incoming(self._play(audio, frame, self._call.play_format))
        try:
            message = StreamMessage(frame, dialect.server_kind_member, self._foreign)
            kind = message.kind()
        except ProtocolError as error:
            raise self._faults.warned(error) from error
        handler = self._handlers.get(kind)
        if handler is None:
            summary = message.unknown()
        else:
            self._faults.check_members(message)
            summary = handler(message)
        self._faults.warn(message)
        if (refusal := dialect.refusal(self._call, message.findings)) is not None:
            message.replies.append(self._send(refusal, "refusal"))
        return message.incoming(summary)

    def _on_media(self, message: StreamMessage) -> str:
        content, name = self.dialect.say.place(message)
        named = self.dialect.reply_format(message)
        return self._play(message, content.audio(name), named or self._call.play_format)

    def _play(self, message: Message, audio: bytes, audio_format: AudioFormat) -> str:
        audio, had_header = strip_wav_header(audio)
        if had_header or audio.startswith(b".snd"):
            text = f"The audio begins with a file header, which {self.dialect.vendor} plays as noise; send it raw."
            self._faults.report(message, "header-in-payload", text)
        if self._order.from_server is not None:
            audio = self._order.from_server.swap(audio)
        message.audio_ms = audio_format.duration_ms(len(audio))
        self._check_audio(message, audio, audio_format)
        if audio:
            message.events += self._replies.audio(audio, audio_format)
        return f"agent audio {message.audio_ms:.0f} ms"

    def _check_audio(self, message: Message, audio: bytes, audio_format: AudioFormat) -> None:
        advise, dialect = self._faults.advise, self.dialect
        sizes = dialect.reply_sizes(audio_format)
        if sizes is not None and not sizes.fit(len(audio)):
            text = f"Messages from the agent should carry {sizes} of audio; {dialect.vendor} may drop other sizes."
            advise(message, "audio-size", text)
        self._faults.check_end(message, audio, audio_format)
        if self._sniffs > 0 and audio_format.encoding is Encoding.PCM16:
            self._sniffs -= 1
            self._check_samples(message, audio)
        if audio and not (self._any_mark or self._replies.open) and self._replies.begun:
            text = "A second reply started, but no mark was sent. Only marks report what has been played."
            advise(message, "no-marks", text)

    def _check_samples(self, message: Message, pcm: bytes) -> None:
        vendor = self.dialect.vendor
        if looks_like_mulaw(pcm):
            text = f"The audio looks like mu-law, which plays as noise: {vendor} expects 16-bit samples here."
            self._faults.advise(message, "looks-like-mulaw", text)
        elif looks_swapped(pcm):
            order = "little" if self._order.from_server is not None else "big"
            text = f"The samples look {order}-endian, which plays as noise."
            if BYTE_ORDER in self.dialect.options:
                text += f" If your account expects this byte order, set --option {BYTE_ORDER}={order}."
            self._faults.advise(message, "byte-order", text)

    def _on_mark(self, message: StreamMessage) -> str:
        self._any_mark = True
        read = self.dialect.read_mark(*self.dialect.mark.place(message))
        if read is None:
            return "mark without a name"
        name, value = read
        if len(name) > _MAX_MARK_CHARS or len(self._marks) >= _MAX_MARKS:
            limits = f"longer than {_MAX_MARK_CHARS} characters, or sent while {_MAX_MARKS} are pending,"
            message.advise("too-many-marks", f"Marks {limits} are not answered.")
            return f"mark not answered: {name}"
        self._marks.append(_Mark(name, value))
        message.event(Type.MARK, stream_id=self._replies.stream_id, text=name)
        return f"mark set: {name}"

    def _on_clear(self, message: StreamMessage) -> str:
        flushed = self._call.settings.options.get("flushed_marks", self.dialect.flushed)
        if flushed == DROPPED and self._marks:
            self._marks = deque(mark._replace(dropped=True) for mark in self._marks)
            text = f"{self.dialect.vendor} drops pending marks at a flush; a server must not wait for them."
            self._faults.advise(message, "marks-lost", text)
        message.events += self._replies.clear("clear")
        if self.dialect.cleared.kind:
            message.replies.append(self._send(self._call.reply(self.dialect.cleared), "cleared"))
        return "clear"

    def _on_keys(self, message: StreamMessage) -> str:
        content, name = self.dialect.send_keys.place(message)
        return f"keys to press: {content.ident(name, required=True)}"

    def _on_own_message(self, message: StreamMessage) -> str:
        kind = message.kind()
        dialect, hint = self.dialect, ""
        if kind == dialect.media.kind:
            hint = f". A server sends audio as “{dialect.say.kind}”"
        elif kind == dialect.stopped:
            hint = ". To hang up, a server closes the socket"
        text = f"Only {dialect.vendor} sends “{kind}”; it was ignored{hint}."
        message.find(dialect.own_message_rule, text)
        return f"{kind}, ignored"

    def _handlers_by_kind(self) -> dict[str, Callable[[StreamMessage], str]]:
        dialect = self.dialect
        verbs = (dialect.media, dialect.dtmf, dialect.played, dialect.cleared)
        own = (dialect.connected, dialect.start, dialect.stopped, *(verb.kind for verb in verbs))
        handlers: dict[str, Callable[[StreamMessage], str]] = {
            **dict.fromkeys(own, self._on_own_message),
            dialect.say.kind: self._on_media,
            dialect.mark.kind: self._on_mark,
            dialect.clear: self._on_clear,
            dialect.send_keys.kind: self._on_keys,
        }
        # An empty kind stands for messages that the dialect does not have.
        handlers.pop("", None)
        return handlers

    def _send(self, message: Content | bytes, summary: str, audio_ms: float = 0.0) -> Outgoing:
        return outgoing(self.dialect.kind_member, message, summary, audio_ms)
