"""The agent's end of Asterisk's WebSocket channel: acts as the server that Asterisk dials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from tui.audio.formats import AudioFormat
from tui.protocols.asterisk import wire
from tui.protocols.base import Close, Handshake, Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.json_frames import Message, audio_frame, cut
from tui.protocols.telephony.dialect import Sizes
from tui.protocols.telephony.samples import Cutter


class AsteriskAgent(AgentDefaults):
    """Acts as the server on one socket.

    Sends commands in the same form as MEDIA_START (JSON or plain text). Buffers each reply, so that Asterisk
    acknowledges the end of the reply once it has been played. Messages are held back between MEDIA_XOFF and
    MEDIA_XON.
    """

    user_format: AudioFormat | None = None
    """The format of the user's audio; None before MEDIA_START."""

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._plain = False
        self._query: Mapping[str, str] = {}
        self._cutter = Cutter(None)
        self._open_stream_id: str | None = None
        self._replies = 0
        self._pending: dict[str, str] = {}
        """The replies whose end has not been acknowledged yet, by correlation id."""
        self._dropped: list[str] = []
        """The replies that were ended by a flush; Asterisk does not acknowledge them."""
        self._stopped = False
        self._kept: list[Outgoing] = []

    def admit(self, handshake: Handshake) -> Close | None:
        """Stores the query of the URL, which contains parameters from the dial string. Admits every caller."""
        self._query = handshake.query
        return None

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`, which is that of the user's audio."""
        return self.user_format

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts buffering a reply, after ending an earlier reply that is still open."""
        if self.user_format is None:
            return []
        before = self.say_stop(self._open_stream_id) if self._open_stream_id is not None else []
        self._open_stream_id = stream_id
        return before + self._send(self._command("START_MEDIA_BUFFERING", "starts buffering"))

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends audio of the open reply, in whole frames."""
        if stream_id != self._open_stream_id or self.user_format is None:
            return []
        return self._send(
            *(audio_frame(piece, self.user_format, "agent") for piece in self._cutter.cut(audio))
        )

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Stops buffering; flushes an interrupted reply if part of it has not been played."""
        is_open = stream_id == self._open_stream_id and self.user_format is not None
        if interrupted and (is_open or stream_id in self._pending.values()):
            self._dropped += [*self._pending.values(), *([stream_id] if is_open else [])]
            self._pending.clear()
            self._open_stream_id = None
            self._cutter.drop()
            self._kept.clear()
            return [self._command("FLUSH_MEDIA", "flush")]
        if not is_open or self.user_format is None:
            return []
        self._open_stream_id = None
        self._replies += 1
        correlation_id = f"reply-{self._replies}"
        self._pending[correlation_id] = stream_id
        last = [
            audio_frame(piece, self.user_format, "agent") for piece in self._cutter.last(self.user_format)
        ]
        return self._send(
            *last, self._command("STOP_MEDIA_BUFFERING", f"stops buffering: {correlation_id}", correlation_id)
        )

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Asks Asterisk to hang up."""
        self._open_stream_id = None
        return [] if self.user_format is None else [self._command("HANGUP", f"hang up: {reason}")]

    def _send(self, *frames: Outgoing) -> list[Outgoing]:
        """Returns the frames that can be sent now: none while Asterisk's queue is full."""
        if not self._stopped:
            return list(frames)
        self._kept += frames
        return []

    def _command(self, kind: str, summary: str, correlation_id: str = "") -> Outgoing:
        return wire.command(kind, summary, plain=self._plain, correlation_id=correlation_id)

    # Messages from Asterisk.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one event or audio frame from Asterisk. Raises `ProtocolError`."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        message = wire.ControlMessage(frame, "event")
        handler = self._HANDLERS.get(message.kind())
        if message.kind() == "MEDIA_START":
            self._plain = wire.is_plain(frame)
        self._end_dropped(message)
        return message.incoming(handler(self, message) if handler else message.unknown())

    def _receive_audio(self, frame: bytes) -> Incoming:
        message = Message()
        if self.user_format is None:
            # Asterisk may send audio before MEDIA_START, when its format is not known yet.
            return message.incoming("user audio, too early")
        self._end_dropped(message)
        message.audio_ms = self.user_format.duration_ms(len(frame))
        if frame:
            message.event(Type.USER_STREAM_CHUNK, format=self.user_format, audio=frame)
        return message.incoming(f"user audio {message.audio_ms:.0f} ms")

    def _end_dropped(self, message: Message) -> None:
        """Reports flushed replies as finished. Called for each message, because Asterisk acknowledges no flush."""
        for stream_id in self._dropped:
            message.event(Type.PLAY_FINISHED, stream_id=stream_id)
        self._dropped.clear()

    def _on_start(self, message: Message) -> str:
        name = message.text("format", required=True)
        coding = wire.FORMATS.get(name)
        if coding is None:
            message.find(
                "other-format", f"The format is {cut(name, 40)}; expected one of {', '.join(wire.FORMATS)}."
            )
            message.replies.append(self._command("HANGUP", "hang up: the format is not supported"))
            return "start, another format"
        size, due = message.number("optimal_frame_size"), wire.frame_bytes(coding)
        if size != due:
            found = "missing" if size is None else f"{size:g}"
            message.find(
                "other-frame-size", f"optimal_frame_size is {found}; a {name} frame has {due} bytes."
            )
        self.user_format = coding
        self._cutter = Cutter(Sizes(due, wire.MAX_MESSAGE_BYTES - wire.MAX_MESSAGE_BYTES % due, due))
        self._open_stream_id = None
        variables = message.inside("channel_variables").body
        message.event(Type.SESSION_INITIATE, format=coding, params=message.body)
        message.event(Type.CALL_STARTED, params={**self._query, **variables})
        return f"start, {coding}"

    def _on_key(self, message: Message) -> str:
        digit = message.text("digit", required=True)
        if digit:
            message.event(Type.DTMF, text=digit)
        return f"dtmf {digit}"

    def _on_played(self, message: Message) -> str:
        correlation_id = message.text("correlation_id")
        message.event(Type.MARK_REACHED, text=correlation_id)
        stream_id = self._pending.pop(correlation_id, None)
        if stream_id is None:
            text = f"“{message.kind()}” has the id {cut(correlation_id, 40)!r}, which was not requested."
            message.find("unknown-mark", text)
        else:
            message.event(Type.PLAY_FINISHED, stream_id=stream_id)
        return f"mark reached: {correlation_id}"

    def _on_flow(self, message: Message) -> str:
        self._stopped = message.kind() == "MEDIA_XOFF"
        if self._stopped:
            return "asks to stop"
        message.replies += self._kept
        self._kept = []
        return "asks to go on"

    def _on_error(self, message: Message) -> str:
        text = message.text("error_text")
        message.find("refused", f"Asterisk refused a command: {cut(text, 60).rstrip('. ')}.")
        return f"error: {text}"

    _HANDLERS: ClassVar[Mapping[str, Callable[[AsteriskAgent, Message], str]]] = {
        "MEDIA_START": _on_start,
        "DTMF_END": _on_key,
        "MEDIA_BUFFERING_COMPLETED": _on_played,
        "MEDIA_MARK_PROCESSED": _on_played,
        "MEDIA_XOFF": _on_flow,
        "MEDIA_XON": _on_flow,
        "ERROR": _on_error,
        "QUEUE_DRAINED": lambda agent, message: message.kind(),
        "STATUS": lambda agent, message: message.kind(),
    }
