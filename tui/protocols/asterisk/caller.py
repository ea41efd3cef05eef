"""The caller's end of Asterisk's WebSocket channel: acts as Asterisk, which dials the user's server."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple

from msgspec.structs import replace

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import strip_wav_header
from tui.protocols.asterisk import wire
from tui.protocols.asterisk.queue import MAX_FRAMES, XOFF_FRAMES, XON_FRAMES, FrameQueue
from tui.protocols.base import (
    CallerSettings,
    Finding,
    HangUpReason,
    Incoming,
    NewId,
    Outgoing,
    ProtocolError,
    TelephonyEvent,
    UtcNow,
    check_formats,
    unix_time,
)
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.implied_replies import ImplyingCaller
from tui.protocols.json_frames import Message, audio_frame, cut
from tui.protocols.options import check_choice, is_on
from tui.protocols.telephony.dialect import Sizes
from tui.protocols.telephony.faults import Faults
from tui.protocols.telephony.samples import Cutter, looks_like_mulaw, looks_swapped

_TITLE = "Asterisk"
_OPTIONS = ("control", "connection", "channel_id", "flush_ends_pause")
_MAX_MARKS = 10_000
_SNIFFED_MESSAGES = 100
_FOR_PLAYBACK = (
    "START_MEDIA_BUFFERING",
    "STOP_MEDIA_BUFFERING",
    "MARK_MEDIA",
    "PAUSE_MEDIA",
    "CONTINUE_MEDIA",
)
"""Playback commands, which Asterisk refuses while audio flows only to the server."""
_COMPLETED, _PROCESSED = "MEDIA_BUFFERING_COMPLETED", "MEDIA_MARK_PROCESSED"


class _Acknowledgement(NamedTuple):
    correlation_id: str
    answer: str
    """The event that reports the mark as reached; "" once a flush has dropped the mark."""


class AsteriskCaller(ImplyingCaller):
    """Acts as Asterisk in one call. ``settings.params`` become channel variables.

    Options:

    * ``control``: json or plain.
    * ``connection``: the name in websocket_client.conf. ``channel_id``: the id of the channel.
    * ``flush_ends_pause``: on or off, because the driver and its documentation disagree.
    """

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        super().__init__()
        self._channel = _Channel(settings, new_id, utc_now)
        self._in_call = False
        size = wire.frame_bytes(self._channel.coding)
        self._cutter = Cutter(Sizes(size, size, size))
        self._queue = FrameQueue(size)
        self._marks: deque[_Acknowledgement] = deque()
        self._drain_wanted = False
        self._direction = "both"
        self._reached_paused: list[str] = []
        """Marks that were reached during a pause; Asterisk reports them after the pause."""
        self._sniffs = _SNIFFED_MESSAGES
        self._faults = Faults(_TITLE)

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format for `user_audio`, which is known from the start."""
        return self._channel.coding

    @property
    def user_stream_open(self) -> bool:
        """Whether the server receives user audio: during the call, unless it has set the direction to ``out``."""
        return self._in_call and self._direction != "out"

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Sends MEDIA_START; the call then counts as accepted."""
        self._in_call = True
        return [self._channel.start()]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in frames of 20 ms, which advance Asterisk's clock. Keeps an incomplete frame."""
        return self._clocked(audio, sends=True) if self.user_stream_open else []

    def withheld(self, audio: bytes) -> list[Outgoing]:
        """Advances Asterisk's clock while the server receives no audio; returns the events that are due."""
        return self._clocked(audio, sends=False) if self._in_call else []

    def _clocked(self, audio: bytes, *, sends: bool) -> list[Outgoing]:
        frames: list[Outgoing] = []
        for frame in self._cutter.cut(audio):
            if sends:
                frames.append(audio_frame(frame, self._channel.coding, "user"))
            frames += self._tick()
        return frames

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Sends the pressed keys, one message each."""
        if not self._in_call:
            return []
        return [self._channel.event("DTMF_END", f"dtmf {digit}", digit=digit) for digit in digits]

    def mark_reached(self, name: str) -> list[Outgoing]:
        """Reports the first pending mark named ``name`` as reached. Sends nothing for a dropped or unknown mark."""
        found = next((mark for mark in self._marks if mark.correlation_id == name), None)
        if not self._in_call or found is None:
            return []
        if self._queue.paused and found.answer:
            self._reached_paused.append(name)
            return []
        self._marks.remove(found)
        if not found.answer:
            return []
        what = "mark reached" if found.answer == _PROCESSED else "buffered audio played"
        return [self._channel.event(found.answer, f"{what}: {name}", correlation_id=name)]

    def hang_up(self, reason: str = HangUpReason.USER) -> list[Outgoing]:
        """Sends nothing: closing the socket ends the call."""
        self._in_call = False
        return []

    def _tick(self) -> list[Outgoing]:
        events = [self._channel.event("MEDIA_XON", "asks to go on")] if self._queue.tick() else []
        # Playback lags behind the queue, so the queue counts as drained only once all marks have been reached.
        heard = self._queue.length == 0 and not any(mark.answer for mark in self._marks)
        if self._drain_wanted and heard and not self._queue.paused:
            self._drain_wanted = False
            events.append(self._channel.event("QUEUE_DRAINED", "queue drained"))
        return events

    # Messages from the server.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one command or audio frame from the server. Raises `ProtocolError`."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        if (size := len(frame.encode(errors="surrogatepass"))) > wire.MAX_COMMAND_BYTES:
            most = f"{wire.MAX_COMMAND_BYTES} bytes"
            text = f"The command has {size} bytes; Asterisk ignores commands longer than {most}."
            return _ignored(frame, "command-too-long", text)
        if wire.is_plain(frame) is not self._channel.plain:
            return self._other_control(frame)
        try:
            message = wire.ControlMessage(frame, "command")
        except ProtocolError as error:
            if error.code != "not-json":
                raise
            incoming = _ignored(frame, "not-json", f"The command is {error}.")
            return self._refusing(incoming)
        handler = self._HANDLERS.get(message.kind())
        if handler is None:
            return message.incoming(message.unknown())
        if self._direction == "in" and message.kind() in _FOR_PLAYBACK:
            return message.incoming(self._refuse(message))
        return message.incoming(handler(self, message))

    def _refuse(self, message: Message) -> str:
        """Answers a playback command with an error, because the server has set the direction to ``in``."""
        kind = message.kind()
        text = f"“{kind}” was sent while the media direction is “in”; Asterisk answers it with an error."
        message.find("command-against-direction", text)
        error = f"{kind} not supported while the media direction is in"
        message.replies.append(self._channel.event("ERROR", "error", error_text=error))
        return f"{kind}, refused"

    def _receive_audio(self, frame: bytes) -> Incoming:
        message, coding = Message(), self._channel.coding
        audio, had_header = strip_wav_header(frame)
        message.audio_ms = coding.duration_ms(len(audio))
        if self._direction == "in":
            text = "Audio was sent while the media direction is “in”, in which Asterisk plays no audio."
            self._faults.advise(message, "audio-against-direction", text)
            self._discard(message, audio)
            return message.incoming(f"agent audio {message.audio_ms:.0f} ms, not played")
        self._check_audio(message, frame, audio, had_header=had_header)
        was_full, overflows = self._queue.full, self._queue.overflows
        played, lost = self._queue.put(audio)
        if lost:
            self._lose(message, lost, overflows=overflows)
        self._play(message, played)
        if self._queue.full and not was_full:
            message.replies.append(self._xoff())
        return message.incoming(f"agent audio {message.audio_ms:.0f} ms")

    def _play(self, message: Message, audio: bytes) -> None:
        begins = not self._replies.open
        if audio:
            message.events += self._replies.audio(audio, self._channel.coding)
        if audio and begins and self._queue.paused:
            # A reply that begins during a pause must be held as well.
            message.events.insert(-1, TelephonyEvent(type=Type.PLAY_HELD))

    def _discard(self, message: Message, audio: bytes) -> None:
        stream_id, coding = self._replies.stream_id, self._channel.coding
        message.event(Type.PLAY_STREAM_DISCARDED, stream_id=stream_id, format=coding, audio=audio)

    def _lose(self, message: Message, lost: bytes, *, overflows: bool) -> None:
        coding, faults = self._channel.coding, self._faults
        self._discard(message, lost)
        lost_ms = coding.duration_ms(len(lost))
        if overflows:
            text = f"{MAX_FRAMES} frames (20 s) are queued; Asterisk silently drops further audio."
            faults.report(message, "queue-overflow", text)
        elif faults.is_new("remainder-lost"):
            size = self._queue.frame_bytes
            rule = f"outside buffering, Asterisk drops bytes that do not fill a frame of {size} bytes"
            message.find(
                "remainder-lost", f"{lost_ms:.3g} ms of audio at the end of a message were dropped: {rule}."
            )

    def _check_audio(self, message: Message, frame: bytes, audio: bytes, *, had_header: bool) -> None:
        faults, coding = self._faults, self._channel.coding
        if len(frame) > wire.MAX_MESSAGE_BYTES:
            text = f"A message has more than {wire.MAX_MESSAGE_BYTES} bytes; Asterisk ends the call."
            faults.report(message, "message-too-long", text)
        if self._queue.ignored and not self._queue.overflows:
            text = "Audio arrived more than a second after MEDIA_XOFF; Asterisk drops it once 1000 frames are queued."
            faults.report(message, "sent-after-xoff", text)
        if had_header:
            text = "The audio begins with a WAV header, which Asterisk plays as noise; send it raw."
            faults.report(message, "header-in-audio", text)
        faults.check_end(message, audio, coding)
        if self._sniffs > 0 and coding.encoding is Encoding.PCM16:
            self._sniffs -= 1
            name = self._channel.format_name
            if looks_like_mulaw(audio):
                text = f"The audio looks like mu-law, which plays as noise: {name} requires 16-bit samples."
                faults.advise(message, "looks-like-mulaw", text)
            elif looks_swapped(audio):
                text = f"The samples look big-endian, which plays as noise: {name} is little-endian."
                faults.advise(message, "byte-order", text)

    def _other_control(self, frame: str) -> Incoming:
        """Reports a command in the form (JSON or plain text) that this call does not use; Asterisk ignores it."""
        came, other, due = (
            ("JSON", "plain text", "json") if self._channel.plain else ("plain text", "JSON", "plain")
        )
        text = f"The command is {came}; Asterisk is set to {other} and ignores it (--option control={due})."
        incoming = _ignored(frame, "wrong-control-format", text)
        return incoming if self._channel.plain else self._refusing(incoming)

    def _refusing(self, incoming: Incoming) -> Incoming:
        error = self._channel.event("ERROR", "error", error_text="Unable to parse JSON command")
        return replace(incoming, replies=(error,))

    def _on_start_buffering(self, message: Message) -> str:
        self._queue.buffering = True
        return "starts buffering"

    def _on_stop_buffering(self, message: Message) -> str:
        if not self._queue.buffering:
            text = "“STOP_MEDIA_BUFFERING” was sent without “START_MEDIA_BUFFERING”."
            self._faults.advise(message, "not-buffering", text)
        was_full = self._queue.full
        filled = self._channel.coding.silence(self._queue.frame_bytes)
        self._play(message, self._queue.stop_buffering(filled))
        if self._queue.full and not was_full:
            message.replies.append(self._xoff())
        return self._mark(message, _COMPLETED, "stops buffering")

    def _on_mark(self, message: Message) -> str:
        return self._mark(message, _PROCESSED, "mark set")

    def _mark(self, message: Message, answer: str, what: str) -> str:
        correlation_id = message.text("correlation_id")
        if len(self._marks) >= _MAX_MARKS:
            message.advise(
                "too-many-marks", f"While {_MAX_MARKS} marks are pending, further marks are not answered."
            )
            return f"{what}, not answered"
        self._marks.append(_Acknowledgement(correlation_id, answer))
        message.event(Type.MARK, stream_id=self._replies.stream_id, text=correlation_id)
        return f"{what}: {correlation_id}" if correlation_id else what

    def _on_flush(self, message: Message) -> str:
        if any(mark.answer for mark in self._marks):
            text = "Asterisk drops pending marks at a flush; a server must not wait for them."
            self._faults.advise(message, "marks-lost", text)
        self._marks = deque(mark._replace(answer="") for mark in self._marks)
        self._queue.flush()
        message.events += self._replies.clear("FLUSH_MEDIA")
        if self._channel.flush_ends_pause:
            self._continue(message)
        return "flush"

    def _on_hang_up(self, message: Message) -> str:
        message.event(Type.HANG_UP, reason="HANGUP")
        return "hang up"

    def _on_status(self, message: Message) -> str:
        queue = self._queue
        status = {
            "queue_length": queue.length,
            "xon_level": XON_FRAMES,
            "xoff_level": XOFF_FRAMES,
            "queue_full": queue.full,
            "bulk_media": queue.buffering,
            "media_paused": queue.paused,
        }
        message.replies.append(self._channel.event("STATUS", f"status, {queue.length} frames", **status))
        return "asks for the status"

    def _on_drained(self, message: Message) -> str:
        self._drain_wanted = True
        return "asks to be notified when the queue is empty"

    def _on_pause(self, message: Message) -> str:
        self._queue.paused = True
        message.event(Type.PLAY_HELD)
        return "pause"

    def _on_continue(self, message: Message) -> str:
        self._continue(message)
        return "continue"

    def _continue(self, message: Message) -> None:
        """Ends a pause and reports the marks that were reached during the pause."""
        if not self._queue.paused:
            return
        self._queue.paused = False
        message.event(Type.PLAY_CONTINUED)
        reached, self._reached_paused = self._reached_paused, []
        for name in reached:
            message.replies += self.mark_reached(name)

    def _on_direction(self, message: Message) -> str:
        direction = message.text("direction", required=True)
        if direction not in ("both", "in", "out", ""):
            message.find(
                "bad-direction", f"The direction is {cut(direction, 40)}; expected “both”, “in” or “out”."
            )
        elif direction:
            self._direction = direction
        return f"direction {direction}"

    def _xoff(self) -> Outgoing:
        return self._channel.event("MEDIA_XOFF", "asks to stop")

    _HANDLERS: ClassVar[Mapping[str, Callable[[AsteriskCaller, Message], str]]] = {
        "ANSWER": lambda caller, message: "answer",
        "HANGUP": _on_hang_up,
        "START_MEDIA_BUFFERING": _on_start_buffering,
        "STOP_MEDIA_BUFFERING": _on_stop_buffering,
        "MARK_MEDIA": _on_mark,
        "FLUSH_MEDIA": _on_flush,
        "PAUSE_MEDIA": _on_pause,
        "CONTINUE_MEDIA": _on_continue,
        "GET_STATUS": _on_status,
        "REPORT_QUEUE_DRAINED": _on_drained,
        "SET_MEDIA_DIRECTION": _on_direction,
    }


class _Channel:
    """The channel of one call: names, audio format, and the form of control messages."""

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        _check(settings)
        options = settings.options
        self.plain = options.get("control") == "plain"
        self.flush_ends_pause = is_on(options, "flush_ends_pause")
        self.format_name = settings.formats[0] if settings.formats else next(iter(wire.FORMATS))
        self.coding = wire.FORMATS[self.format_name]
        self._id = options.get("channel_id") or _unique_id(new_id, utc_now)
        # In plain text, spaces separate the members.
        connection = options.get("connection") or "-".join(settings.agent_name.split())
        address = sha256(self._id.encode()).hexdigest()[:10]
        self._names = {"connection_id": connection, "channel": f"WebSocket/{connection}/0x7f{address}"}
        self._variables = dict(settings.params)

    def start(self) -> Outgoing:
        """Returns the MEDIA_START message."""
        sizes = {"optimal_frame_size": wire.frame_bytes(self.coding), "ptime": wire.FRAME_MS}
        members = {**self._names, "channel_id": self._id, "format": self.format_name, **sizes}
        variables = {"channel_variables": self._variables}
        return wire.event("MEDIA_START", {**members, **variables}, f"start, {self.coding}", plain=self.plain)

    def event(self, kind: str, summary: str, **members: Any) -> Outgoing:
        """Returns a message with an event of this channel."""
        return wire.event(kind, {"channel_id": self._id, **members}, summary, plain=self.plain)


def _check(settings: CallerSettings) -> None:
    settings.check_options(_TITLE, _OPTIONS)
    check_formats(_TITLE, settings.formats, wire.FORMATS)
    control = settings.options.get("control", "json")
    check_choice("control", control, ("json", "plain"), "json or plain")
    for name in ("connection", "channel_id"):
        value = settings.options.get(name, "x")
        if not value or any(character.isspace() for character in value):
            raise ValueError(f"The {name} option must be text without spaces, not {cut(value, 60)!r}.")
    if settings.params and control == "plain":
        where = "Put the parameters in the URL's query string, or use --option control=json"
        raise ValueError(f"Asterisk's plain-text control messages cannot carry parameters. {where}.")


def _unique_id(new_id: NewId, utc_now: UtcNow) -> str:
    """Creates a channel id in Asterisk's form: the Unix time and a number."""
    seconds = unix_time(utc_now)
    return f"{seconds:.0f}.1" if seconds else new_id()


def _ignored(frame: str, rule: str, text: str) -> Incoming:
    """Returns the result of decoding a command that Asterisk ignores. A finding gives the reason."""
    kind = next((name for name in wire.COMMANDS if name in frame), "text")
    return Incoming(kind=kind, summary=f"{kind}, ignored", findings=(Finding(rule, text),))
