"""The caller's end of Twilio Media Streams: what Twilio does."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat
from tui.audio.wav import strip_wav_header
from tui.protocols.base import CallerSettings, Incoming, NewId, Outgoing, ProtocolError, UtcNow, check_formats
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.implied_replies import ImplyingCaller
from tui.protocols.json_frames import Message, cut
from tui.protocols.twilio.faults import ServerFaults
from tui.protocols.twilio.wire import FORMATS, MULAW, MULAW_8K, SID, TwilioMessage, outgoing

FRAME_MS = 20
FRAME_BYTES = 160

_HEX_ID = re.compile(r"[a-f0-9]{32}")
_SID_OPTIONS = {"account_sid": "AC", "call_sid": "CA"}
_MAX_PARAMETER_CHARS = 499
_MAX_MARKS = 10_000
_MAX_MARK_CHARS = 4_096
_LOUD_PADDING = (b"\x00" * 40, b"\x80" * 40)
"""5 ms at full scale: silence, to a server that mistakes mu-law for PCM."""


class TwilioCaller(ImplyingCaller):
    """Stands in for Twilio in one call.

    ``settings.params`` become the stream's custom parameters. Options: ``account_sid``, ``call_sid`` (34
    characters each; made up unless given).
    """

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        super().__init__()
        _check_settings(settings)
        self._params = dict(settings.params)
        self._stream_sid = _new_sid("MZ", new_id)
        self._account_sid = settings.options.get("account_sid") or _new_sid("AC", new_id)
        self._call_sid = settings.options.get("call_sid") or _new_sid("CA", new_id)
        self._in_call = False
        self._sequence_number = 0
        self._frames_sent = 0
        self._rest = b""
        self._marks: deque[str] = deque()
        self._any_mark = False
        self._faults = ServerFaults(self._stream_sid)

    @property
    def user_format(self) -> AudioFormat | None:
        """The format that `user_audio` takes: always the same."""
        return MULAW_8K

    @property
    def user_stream_open(self) -> bool:
        """Whether the call is up: its audio never pauses."""
        return self._in_call

    # Actions of the user.

    def opened(self) -> list[Outgoing]:
        """Sends connected and start; the call then counts as accepted."""
        self._in_call = True
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        start = {
            "streamSid": self._stream_sid,
            "accountSid": self._account_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "customParameters": self._params,
            "mediaFormat": {"encoding": MULAW, "sampleRate": MULAW_8K.rate, "channels": 1},
        }
        return [outgoing(connected, "connected"), self._message("start", "start, mu-law 8 kHz", start)]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in frames of 20 ms; the remainder waits for the next call."""
        if not self._in_call:
            return []
        audio = self._rest + audio
        whole_bytes = len(audio) - len(audio) % FRAME_BYTES
        self._rest = audio[whole_bytes:]
        return [self._media(audio[at : at + FRAME_BYTES]) for at in range(0, whole_bytes, FRAME_BYTES)]

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Sends pressed keys, one message each."""
        if not self._in_call:
            return []
        pressed = [{"track": "inbound_track", "digit": digit} for digit in digits]
        return [self._message("dtmf", f"dtmf {key['digit']}", key) for key in pressed]

    def mark_reached(self, name: str) -> list[Outgoing]:
        """Echoes a mark; nothing for a mark that was never set."""
        if not self._in_call or name not in self._marks:
            return []
        self._marks.remove(name)
        return [self._message("mark", f"mark reached: {name}", {"name": name})]

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """Sends stop; nothing is sent afterwards."""
        if not self._in_call:
            return []
        self._in_call = False
        sids = {"accountSid": self._account_sid, "callSid": self._call_sid}
        return [self._message("stop", f"stop: {reason}", sids)]

    # Messages from the server.

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one message of the server."""
        try:
            message = TwilioMessage(frame)
            kind = message.kind()
        except ProtocolError as error:
            raise self._faults.warned(error) from error
        handler = self._HANDLERS.get(kind)
        if handler is None:
            summary = message.unknown()
        else:
            self._faults.check_members(message)
            summary = handler(self, message)
        self._faults.warn(message)
        return message.incoming(summary)

    def _on_media(self, message: Message) -> str:
        audio, had_header = strip_wav_header(message.inside("media").audio("payload"))
        message.audio_ms = MULAW_8K.duration_ms(len(audio))
        if had_header or audio.startswith(b".snd"):
            text = "media.payload begins with a file header, which Twilio plays as noise; send raw mu-law."
            message.find("header-in-payload", text)
        if audio.endswith(_LOUD_PADDING):
            text = "The audio ends in 0x00 or 0x80, which is full scale in mu-law; mu-law silence is 0xFF."
            self._faults.advise(message, "loud-silence", text)
        if audio:
            self._check_marks_are_sent(message)
            message.events += self._replies.audio(audio, MULAW_8K)
        return f"agent audio {message.audio_ms:.0f} ms"

    def _on_mark(self, message: Message) -> str:
        self._any_mark = True
        mark = message.inside("mark")
        name = mark.ident("name", required=True)
        if not name and mark.body.get("name") != "":
            return "mark without a name"
        if len(name) > _MAX_MARK_CHARS or len(self._marks) >= _MAX_MARKS:
            limits = f"{_MAX_MARK_CHARS} characters, or beyond {_MAX_MARKS} pending marks"
            message.advise("too-many-marks", f"Marks longer than {limits}, are not answered.")
            return f"mark not answered: {name}"
        self._marks.append(name)
        message.event(Type.MARK, stream_id=self._replies.stream_id, text=name)
        return f"mark set: {name}"

    def _on_clear(self, message: Message) -> str:
        message.events += self._replies.clear("clear")
        return "clear"

    def _on_own_message(self, message: Message) -> str:
        """Reports a message that only Twilio sends."""
        kind = message.kind()
        hint = "; a server hangs up by closing the socket" if kind == "stop" else ""
        message.find("twilios-own-message", f"Only Twilio sends {kind}; it was ignored{hint}.")
        return f"{kind}, ignored"

    def _check_marks_are_sent(self, message: Message) -> None:
        if not (self._any_mark or self._replies.open) and self._replies.begun:
            text = (
                "A second reply started and no mark was sent; only marks tell a server what has been played."
            )
            self._faults.advise(message, "no-marks", text)

    # Messages to the server.

    def _message(
        self, event: str, summary: str, content: Mapping[str, Any], audio_ms: float = 0.0
    ) -> Outgoing:
        self._sequence_number += 1
        body = {
            "event": event,
            "sequenceNumber": str(self._sequence_number),
            "streamSid": self._stream_sid,
            event: content,
        }
        return outgoing(body, summary, audio_ms)

    def _media(self, frame: bytes) -> Outgoing:
        # Frames are sent in real time, so that their count is the time.
        timestamp_ms = FRAME_MS * self._frames_sent
        self._frames_sent += 1
        media = {
            "track": "inbound",
            "chunk": str(self._frames_sent),
            "timestamp": str(timestamp_ms),
            "payload": frame,
        }
        return self._message("media", f"user audio {FRAME_MS} ms", media, FRAME_MS)

    _HANDLERS: ClassVar[Mapping[str, Callable[[TwilioCaller, Message], str]]] = {
        "media": _on_media,
        "mark": _on_mark,
        "clear": _on_clear,
        **dict.fromkeys(("connected", "start", "dtmf", "stop"), _on_own_message),
    }


def _check_settings(settings: CallerSettings) -> None:
    """Raises `ValueError` for settings that Twilio does not have."""
    settings.check_options("Twilio", _SID_OPTIONS)
    for name, value in settings.options.items():
        if not (SID.fullmatch(value) and value.startswith(_SID_OPTIONS[name])):
            raise ValueError(
                f"The option {name} must be {_SID_OPTIONS[name]} followed by 32 lower-case hex digits."
            )
    check_formats("Twilio", settings.formats, FORMATS)
    for name, value in settings.params.items():
        if len(name) + len(value) > _MAX_PARAMETER_CHARS:
            limit = f"name and value together may have at most {_MAX_PARAMETER_CHARS} characters"
            raise ValueError(f"The parameter {cut(name, 60)!r} is too long for Twilio: {limit}.")


def _new_sid(prefix: str, new_id: NewId) -> str:
    """Returns a SID made of an id: of its own hex digits if it has 32, as a UUID does."""
    made = new_id()
    digits = made.replace("-", "").lower()
    return prefix + (digits if _HEX_ID.fullmatch(digits) else sha256(made.encode()).hexdigest()[:32])
