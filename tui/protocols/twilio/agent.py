"""The agent's end of Twilio Media Streams: what the server does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Incoming, NewId, Outgoing, UtcNow
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults
from tui.protocols.json_frames import Members, Message, cut, encode
from tui.protocols.twilio.faults import Faults
from tui.protocols.twilio.wire import MULAW, MULAW_8K, SID, TwilioMessage, outgoing

_SMALL_NUMBER = re.compile(r"[0-9]{1,15}")


class TwilioAgent(AgentDefaults):
    """Stands in for the server on one socket. Its replies end in a mark, whose echo is PLAY_FINISHED."""

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._stream_sid = ""
        self._format: AudioFormat | None = None
        self._open_stream_id: str | None = None
        self._unheard: list[str] = []
        self._sequence_number = _Counter("sequenceNumber")
        self._chunk = _Counter("chunk")
        self._faults = Faults()

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio; None before ``start``."""
        return self._format

    @property
    def play_format(self) -> AudioFormat | None:
        """The format that `say_audio` takes: the same; None before ``start``."""
        return self._format

    # Actions of the agent.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply without a message; one that is still open ends here."""
        if self._format is None:
            return []
        before = self.say_stop(self._open_stream_id) if self._open_stream_id is not None else []
        self._open_stream_id = stream_id
        return before

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends reply audio in one message; nothing for a reply that is not open."""
        if not (stream_id == self._open_stream_id and audio and self._format):
            return []
        audio_ms = self._format.duration_ms(len(audio))
        return [self._message("media", f"agent audio {audio_ms:.0f} ms", audio_ms, media={"payload": audio})]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply with a mark; an interrupted one is cleared while any of it is unplayed."""
        frames: list[Outgoing] = []
        if stream_id == self._open_stream_id:
            self._open_stream_id = None
            self._unheard.append(stream_id)
            frames.append(self._message("mark", f"mark: {stream_id}", mark={"name": stream_id}))
        if interrupted and stream_id in self._unheard:
            frames.append(self._message("clear", "clear"))
        return frames

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Sends nothing: a server hangs up by closing the socket."""
        self._open_stream_id = None
        return []

    # Messages from Twilio.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message of Twilio."""
        message = TwilioMessage(frame)
        handler = self._HANDLERS.get(message.kind())
        if handler is None:
            return message.incoming(message.unknown())
        self._faults.report_spellings(message)
        if message.kind() != "connected":
            self._sequence_number.check(message)
            self._check_stream_sid(message)
        return message.incoming(handler(self, message))

    def _on_connected(self, message: Message) -> str:
        protocol, version = message.text("protocol", required=True), message.text("version", required=True)
        return f"connected, {protocol} {version}"

    def _on_start(self, message: Message) -> str:
        if self._format is not None:
            message.find("repeated-start", "start was sent again during the call; the stream restarts.")
        start = message.inside("start")
        self._stream_sid = message.text("streamSid") or start.text("streamSid")
        _check_sids(message, start)
        self._format = _media_format(start.inside("mediaFormat"))
        self._open_stream_id = None
        parameters = start.inside("customParameters").body
        message.event(Type.SESSION_INITIATE, format=self._format, params=start.body)
        message.event(Type.CALL_STARTED, params=parameters)
        return f"start, {self._format}"

    def _on_media(self, message: Message) -> str:
        if self._format is None:
            self._faults.report(
                message, "media-before-start", "media was sent before start; mu-law is assumed."
            )
        media = message.inside("media")
        self._chunk.check(media)
        media.ident("timestamp", required=True)
        audio = media.audio("payload")
        coding = self._format or MULAW_8K
        message.audio_ms = coding.duration_ms(len(audio))
        track = media.text("track", required=True)
        if track not in ("inbound", ""):
            text = f"The track is {cut(track, 60)}; a bidirectional stream has only the track inbound."
            self._faults.report(message, "wrong-track", text)
        if audio and track != "outbound":
            message.event(Type.USER_STREAM_CHUNK, format=coding, audio=audio)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_dtmf(self, message: Message) -> str:
        key = message.inside("dtmf")
        digit, track = key.ident("digit", required=True), key.text("track", required=True)
        if track not in ("inbound_track", ""):
            self._faults.report(message, "wrong-track", "The track of dtmf must be inbound_track.")
        if digit:
            message.event(Type.DTMF, text=digit)
        return f"dtmf {digit}"

    def _on_mark(self, message: Message) -> str:
        name = message.inside("mark").ident("name", required=True)
        message.event(Type.MARK_REACHED, text=name)
        if name in self._unheard:
            self._unheard.remove(name)
            message.event(Type.PLAY_FINISHED, stream_id=name)
        else:
            message.find("unknown-mark", f"The mark {cut(name, 60)} was never set, or was already reached.")
        return f"mark reached: {name}"

    def _on_stop(self, message: Message) -> str:
        stop = message.inside("stop")
        stop.text("accountSid", required=True)
        stop.text("callSid", required=True)
        message.event(Type.SESSION_END, reason="the call has ended")
        return "stop"

    def _check_stream_sid(self, message: Message) -> None:
        stream_sid = message.text("streamSid", required=True)
        if self._stream_sid and stream_sid != self._stream_sid and message.kind() != "start":
            self._faults.report(message, "wrong-stream-sid", "The streamSid differs from the one in start.")

    def _message(self, event: str, summary: str, audio_ms: float = 0.0, **content: Any) -> Outgoing:
        return outgoing({"event": event, "streamSid": self._stream_sid, **content}, summary, audio_ms)

    _HANDLERS: ClassVar[Mapping[str, Callable[[TwilioAgent, Message], str]]] = {
        "connected": _on_connected,
        "start": _on_start,
        "media": _on_media,
        "dtmf": _on_dtmf,
        "mark": _on_mark,
        "stop": _on_stop,
    }


class _Counter:
    """A member that counts messages from 1, written as text."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._due = 1

    def check(self, members: Members) -> None:
        """Reports a gap, and continues from the received number."""
        seen = members.ident(self._name, required=True)
        if not _SMALL_NUMBER.fullmatch(seen):
            if seen:
                members.find(
                    "not-a-number", f"{self._name} is {cut(seen, 20)}; expected a number written as text."
                )
            return
        if int(seen) != self._due:
            members.find("number-out-of-order", f"{self._name} is {seen}; expected {self._due}.")
        self._due = int(seen) + 1


# Telnyx lets the server choose among these; Exotel sends the last.
_ENCODINGS = {
    MULAW: Encoding.MULAW,
    "pcmu": Encoding.MULAW,
    "pcma": Encoding.ALAW,
    "l16": Encoding.PCM16,
    "raw/slin": Encoding.PCM16,
}


def _media_format(described: Members) -> AudioFormat:
    """Returns the format in ``start.mediaFormat``; mu-law at 8 kHz if it is unreadable."""
    name, rate = described.text("encoding", required=True), described.number("sampleRate")
    encoding = _ENCODINGS.get(name.lower())
    if name != MULAW or rate != MULAW_8K.rate or described.number("channels") != 1:
        text = f"mediaFormat is {cut(encode(described.body))}; expected {MULAW}, 8000 Hz, 1 channel."
        described.find("other-media-format", text)
    if encoding is None or rate is None or not (4_000 <= rate <= 192_000):
        return MULAW_8K
    return AudioFormat(encoding, int(rate))


def _check_sids(message: Message, start: Members) -> None:
    sids = {name: start.text(name, required=True) for name in ("streamSid", "accountSid", "callSid")}
    for name, sid in sids.items():
        if sid and not SID.fullmatch(sid):
            text = f"{name} is {cut(sid, 60)}; expected two capital letters and 32 lower-case hex digits."
            start.find("bad-sid", text)
    if sids["streamSid"] and message.has("streamSid") and message.body["streamSid"] != sids["streamSid"]:
        start.find("wrong-stream-sid", "start contains two different streamSids.")
