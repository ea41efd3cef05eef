"""The agent's end of a telephony stream: acts as the user's server. The provider's table defines the messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Close, Handshake, Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.json_frames import Members, Message, cut
from tui.protocols.telephony.dialect import BYTE_ORDER, DROPPED, REPLY_FORMAT, TelephonyDialect, Verb
from tui.protocols.telephony.faults import Faults
from tui.protocols.telephony.message import StreamMessage, outgoing
from tui.protocols.telephony.samples import ByteOrder, Cutter, looks_swapped

_SMALL_NUMBER = re.compile(r"[0-9]{1,15}")


class TelephonyAgent(AgentDefaults):
    """Acts as the server on one socket.

    Ends each reply with a mark, and reports PLAY_FINISHED when the mark is returned.
    """

    dialect: ClassVar[TelephonyDialect]
    user_format: AudioFormat | None = None
    """The format of the user's audio; None before the stream has started."""

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        dialect = self.dialect
        self._stream_id = ""
        self._open_stream_id: str | None = None
        self._unheard: list[str] = []
        self._dropped: list[str] = []
        self._options: Mapping[str, str] = {}
        self._samples = _Samples(dialect, {}, None, None)
        counters = (dialect.sequence, "chunk")
        self._sequence_number, self._chunk = (_Counter(name, dialect) for name in counters)
        self._faults = Faults(dialect.vendor)
        self._foreign = dialect.names_foreign()
        self._handlers = self._handlers_by_kind()

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`: the user's, unless an option sets another; None before the start."""
        named = self._options.get(REPLY_FORMAT)
        return self.user_format if named is None or self.user_format is None else self.dialect.formats[named]

    def admit(self, handshake: Handshake) -> Close | None:
        """Reads from the URL's query the provider settings that no message contains."""
        known = self.dialect.options
        given = {name: value for name, value in handshake.query.items() if name in known}
        self._options = {name: value for name, value in given.items() if not known[name](value)}
        return None

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply, after ending an earlier reply that is still open. No message announces the start."""
        if self.user_format is None:
            return []
        before = self.say_stop(self._open_stream_id) if self._open_stream_id is not None else []
        self._open_stream_id = stream_id
        return before

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends audio of the open reply, in messages of a size that the provider accepts."""
        coding = self.play_format
        if stream_id != self._open_stream_id or coding is None:
            return []
        return [self._media(piece, coding) for piece in self._samples.cutter.cut(audio)]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply with a mark. Clears the unplayed audio of an interrupted reply."""
        frames: list[Outgoing] = []
        # A flush drops the mark as well; in that case, the answer to the flush ends the reply.
        drops = interrupted and self.dialect.flushed == DROPPED
        if stream_id == self._open_stream_id:
            self._open_stream_id = None
            self._unheard.append(stream_id)
            frames += self._rest(interrupted)
            if not drops:
                mark = self.dialect.mark
                content = mark.holding(self.dialect.mark_value(stream_id))
                frames.append(self._message(mark.kind, f"mark: {stream_id}", **content))
        if interrupted and stream_id in self._unheard:
            frames.append(self._message(self.dialect.clear, "clear"))
            if drops:
                self._dropped += self._unheard
                self._unheard.clear()
        return frames

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Sends nothing: a server hangs up by closing the socket."""
        self._open_stream_id = None
        return []

    # Messages from the provider.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message from the provider."""
        dialect = self.dialect
        if isinstance(frame, bytes) and not dialect.media.kind:
            audio = Message()
            return audio.incoming(self._hear(audio, frame))
        message = StreamMessage(frame, dialect.kind_member, self._foreign)
        kind = message.kind()
        handler = self._handlers.get(kind)
        if handler is None:
            return message.incoming(message.unknown())
        self._faults.report_spellings(message)
        if kind != dialect.connected:
            self._check_envelope(message, kind)
        for path in dialect.required.get(kind, ()):
            content, name = Verb(kind, path).place(message)
            content.text(name, required=True)
        return message.incoming(handler(message))

    def _on_connected(self, message: StreamMessage) -> str:
        named = (message.body.get(name) for name in self.dialect.required.get(self.dialect.connected, ()))
        version = " ".join(value for value in named if isinstance(value, str))
        return f"connected, {version}" if version else "connected"

    def _on_start(self, message: StreamMessage) -> str:
        dialect = self.dialect
        if self.user_format is not None:
            message.find(
                "repeated-start", "Received another “start” message during the call; the stream restarts."
            )
        start = message.inside("start") if dialect.media_format else message
        if dialect.stream_id:
            self._stream_id = message.text(dialect.stream_id) or start.text(dialect.stream_id)
        dialect.check_start(message, start)
        self.user_format = dialect.read_format(dialect, message, start)
        self._samples = _Samples(dialect, self._options, self.user_format, self.play_format)
        self._open_stream_id = None
        message.event(Type.SESSION_INITIATE, format=self.user_format, params=start.body)
        message.event(Type.CALL_STARTED, params=dialect.read_params(dialect, message, start))
        return f"start, {self.user_format}"

    def _on_media(self, message: StreamMessage) -> str:
        content, name = self.dialect.media.place(message)
        self._chunk.check(content)
        content.ident("timestamp", required=True)
        audio = content.audio(name)
        track = self._track(message, content)
        return self._hear(message, b"" if track == "outbound" else audio, len(audio))

    def _hear(self, message: Message, audio: bytes, size: int | None = None) -> str:
        if self.user_format is None:
            text = "“media” was sent before “start”; the protocol's first format is assumed."
            self._faults.report(message, "media-before-start", text)
        coding = self.user_format or next(iter(self.dialect.formats.values()))
        message.audio_ms = coding.duration_ms(len(audio) if size is None else size)
        audio = self._samples.hear(audio)
        if audio:
            message.event(Type.USER_STREAM_CHUNK, format=coding, audio=audio)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_dtmf(self, message: StreamMessage) -> str:
        content, name = self.dialect.dtmf.place(message)
        digit = content.ident(name, required=True)
        self._track(message, content)
        if digit:
            message.event(Type.DTMF, text=digit)
        return f"dtmf {digit}"

    def _on_mark(self, message: StreamMessage) -> str:
        read = self.dialect.read_mark(*self.dialect.played.place(message))
        name = read[0] if read else ""
        message.event(Type.MARK_REACHED, text=name)
        pending = self._unheard if name in self._unheard else self._dropped
        if name in pending:
            pending.remove(name)
            message.event(Type.PLAY_FINISHED, stream_id=name)
        else:
            message.find("unknown-mark", f"The mark {cut(name, 60)} was never set, or was already reached.")
        return f"mark reached: {name}"

    def _on_cleared(self, message: StreamMessage) -> str:
        for name in self._dropped:
            message.event(Type.PLAY_FINISHED, stream_id=name)
        self._dropped.clear()
        return "cleared"

    def _on_stop(self, message: StreamMessage) -> str:
        message.event(Type.SESSION_END, reason="the call has ended")
        return "stop"

    def _on_error(self, message: StreamMessage) -> str:
        # Telnyx' newer errors have a member ``payload``; older ones, as in its OpenAPI description, have ``error``.
        title = message.inside("payload").text("title") or message.inside("error").text("title")
        text = f"{self.dialect.vendor} refused a message: {cut(title, 60)}"
        message.find("refused", f"{text.rstrip('. ')}.")
        return "error"

    def _check_envelope(self, message: StreamMessage, kind: str) -> None:
        dialect = self.dialect
        if dialect.sequence:
            self._sequence_number.check(message)
        if not dialect.stream_id or kind in dialect.without_stream_id:
            return
        seen = message.text(dialect.stream_id, required=True)
        if self._stream_id and seen != self._stream_id and kind != dialect.start:
            text = f"The {dialect.stream_id} differs from the value in “start”."
            self._faults.report(message, f"wrong-{dialect.stream_id_rule}", text)

    def _track(self, message: StreamMessage, content: Members) -> str:
        """Returns the track of a message, if the dialect has tracks. Reports an unknown track."""
        kind = message.kind()
        due = self.dialect.tracks.get(kind)
        if due is None:
            return ""
        track = content.text("track", required=True)
        if track and track not in due:
            text = f"The track of “{kind}” is {cut(track, 60)}; expected {' or '.join(due)}."
            self._faults.report(message, "wrong-track", text)
        return track

    def _handlers_by_kind(self) -> dict[str, Callable[[StreamMessage], str]]:
        dialect = self.dialect
        handlers: dict[str, Callable[[StreamMessage], str]] = {
            dialect.connected: self._on_connected,
            dialect.start: self._on_start,
            dialect.media.kind: self._on_media,
            dialect.dtmf.kind: self._on_dtmf,
            dialect.played.kind: self._on_mark,
            dialect.cleared.kind: self._on_cleared,
            dialect.stopped: self._on_stop,
            dialect.error: self._on_error,
        }
        # An empty kind stands for messages that the dialect does not have.
        handlers.pop("", None)
        return handlers

    # Messages to the provider.

    def _media(self, audio: bytes, coding: AudioFormat) -> Outgoing:
        dialect, audio_ms = self.dialect, coding.duration_ms(len(audio))
        audio = self._samples.say(audio)
        summary = f"agent audio {audio_ms:.0f} ms"
        if not dialect.say.kind:
            return outgoing(dialect.server_kind_member, audio, summary, audio_ms)
        content = dialect.say.holding(audio, dialect.reply_members(coding))
        return self._message(dialect.say.kind, summary, audio_ms, **content)

    def _rest(self, interrupted: bool) -> list[Outgoing]:
        """Returns the message with the remaining audio of a reply; drops that audio if the reply was interrupted."""
        cutter, coding = self._samples.cutter, self.play_format
        if interrupted or coding is None:
            cutter.drop()
            return []
        return [self._media(piece, coding) for piece in cutter.last(coding)]

    def _message(self, kind: str, summary: str, audio_ms: float = 0.0, **content: Any) -> Outgoing:
        dialect = self.dialect
        body: dict[str, Any] = {dialect.server_kind_member: kind}
        if kind in dialect.stream_id_due:
            body[dialect.stream_id] = self._stream_id
        return outgoing(dialect.server_kind_member, {**body, **content}, summary, audio_ms)


class _Samples:
    """The byte order and the message sizes of the audio in one stream.

    If the provider has an option for the byte order and the URL does not set it, the user's first loud
    samples determine the order in both directions.
    """

    def __init__(
        self,
        dialect: TelephonyDialect,
        options: Mapping[str, str],
        user_format: AudioFormat | None,
        play_format: AudioFormat | None,
    ) -> None:
        codings = user_format, play_format
        hears_pcm, self._says_pcm = (
            coding is not None and coding.encoding is Encoding.PCM16 for coding in codings
        )
        self._heard, self._said = (
            ByteOrder() if coding is not None and dialect.big_endian(options, coding) else None
            for coding in codings
        )
        self._undecided = hears_pcm and BYTE_ORDER in dialect.options and BYTE_ORDER not in options
        self.cutter = Cutter(None if play_format is None else dialect.reply_sizes(play_format))

    def hear(self, audio: bytes) -> bytes:
        """Converts the user's samples to little-endian."""
        samples = self._heard.swap(audio) if self._heard else audio
        if not self._undecided:
            return samples
        other = ByteOrder().swap(samples)
        if looks_swapped(samples):
            self._undecided = False
            self._heard = None if self._heard else ByteOrder()
            if self._says_pcm:
                self._said = None if self._said else ByteOrder()
            return other
        self._undecided = not looks_swapped(other)
        return samples

    def say(self, audio: bytes) -> bytes:
        """Converts the agent's samples to the byte order of the wire."""
        return self._said.swap(audio) if self._said else audio


class _Counter:
    """Checks the member that numbers the messages, starting at 1."""

    def __init__(self, name: str, dialect: TelephonyDialect) -> None:
        self._name = name
        self._type = dialect.number
        self._varies = dialect.numbers_vary
        self._ordered = dialect.ordered
        self._due = 1

    def check(self, members: Members) -> None:
        """Reports a gap in the numbers. Continues from the received number."""
        seen = self._read(members)
        if not _SMALL_NUMBER.fullmatch(seen):
            if seen:
                due = "number written as text" if self._type is str else "number"
                members.find("not-a-number", f"{self._name} is {cut(seen, 20)}; expected a {due}.")
            return
        if self._ordered and int(seen) != self._due:
            members.find("number-out-of-order", f"{self._name} is {seen}; expected {self._due}.")
        self._due = int(seen) + 1

    def _read(self, members: Members) -> str:
        if self._type is str:
            value = members.body.get(self._name)
            if self._varies and isinstance(value, int):
                return str(value)
            return members.ident(self._name, required=True)
        number = members.number(self._name)
        if number is None and not members.has(self._name):
            members.find("missing-member", f"{self._name} is missing; expected a number.")
        return "" if number is None else f"{number:.0f}"
