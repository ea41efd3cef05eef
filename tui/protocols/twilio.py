"""Twilio Media Streams (bidirectional), both ends.

The caller's end stands in for Twilio, the agent's end for the server that ``<Connect><Stream>`` names. Facts
are from Twilio's documentation ("Media Streams - WebSocket Messages", the pages of warnings 31950 and 31951),
from twilio-python 9.13 (request_validator.py) and from Twilio's samples. Where they are silent:

* A call counts as accepted once ``start`` was sent, and its audio flows from then on, silence included.
* A mark does not end a reply (`tui.protocols.implied_replies`): many servers send one behind every message.
* Faults that a server repeats in every message (a missing streamSid, …) are told once a stream, as Twilio does.
* What the user flushes by hand Twilio has no word for: audio that comes afterwards is played, as a new reply.
* Names as Exotel and Telnyx spell them (``stream_sid``, ``stream_id``, …) are understood, and found fault with.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha1, sha256
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn
from urllib.parse import urlsplit

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import (
    CallerSettings,
    Finding,
    Incoming,
    NewId,
    Outgoing,
    Protocol,
    ProtocolError,
    UtcNow,
)
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import AgentDefaults, CallerDefaults
from tui.protocols.implied_replies import ENDS_AFTER_MS, ImpliedReplies
from tui.protocols.json_frames import Members, Message, cut, encode, strip_wav_header

MULAW = "audio/x-mulaw"
MULAW_8K = AudioFormat(Encoding.MULAW, 8_000)
FORMATS: Mapping[str, AudioFormat] = MappingProxyType({MULAW: MULAW_8K})
"""By ``mediaFormat.encoding``: there is one."""
FRAME_MS = 20
FRAME_BYTES = 160

_SID = re.compile(r"[A-Z]{2}[a-f0-9]{32}")
_HEX_ID = re.compile(r"[a-f0-9]{32}")
_SMALL_NUMBER = re.compile(r"[0-9]{1,15}")
_SID_OPTIONS = {"account_sid": "AC", "call_sid": "CA"}
_MAX_PARAMETER_CHARS = 499
_MAX_MARKS = 10_000
_MAX_MARK_CHARS = 4_096
_MAX_FAULTS_TOLD = 200
_LOUD_PADDING = (b"\x00" * 40, b"\x80" * 40)
"""5 ms at one end of the scale: what a server takes for silence that thinks in PCM."""
_WARNINGS = {
    "31950": "Twilio's warning 31950: a message cannot be decoded; only JSON text frames are due.",
    "31951": "Twilio's warning 31951: messages stray from the protocol; the findings say how.",
}


class _TwilioMessage(Message):
    """A message that says in ``event`` what it is. Other spellings are read as Twilio's, and remembered."""

    def __init__(self, frame: str | bytes) -> None:
        super().__init__(frame)
        self.respelt: dict[str, str] = {}
        self.body = self._respell(self.body)

    def kind(self) -> str:
        """What the message says it is."""
        match self.body.get("event"):
            case str() as event:
                return event
            case None if "type" in self.body:
                hint = "it has a type, as in OpenAI's, AudioCodes' or Twilio's ConversationRelay messages"
                raise ProtocolError("no-event", f"a message without an event ({hint})")
            case None:
                raise ProtocolError("no-event", "a message without an event")
            case _:
                raise ProtocolError("wrong-event", "a message whose event is not text")

    def _respell(self, body: Mapping[str, Any]) -> dict[str, Any]:
        spelt: dict[str, Any] = {}
        for name, value in body.items():
            due = _SPELLINGS.get(name, name)
            if due != name and due in body:
                due = name
            elif due != name:
                self.respelt[name] = due
            spelt[due] = self._respell(value) if due in _SPELT_INSIDE and isinstance(value, dict) else value
        return spelt


_SPELLINGS = {
    "stream_sid": "streamSid",
    "stream_id": "streamSid",
    "sequence_number": "sequenceNumber",
    "account_sid": "accountSid",
    "call_sid": "callSid",
    "custom_parameters": "customParameters",
    "media_format": "mediaFormat",
    "sample_rate": "sampleRate",
}
_SPELT_INSIDE = ("start", "stop", "mediaFormat")


class _Faults:
    """Faults that the far side repeats in every message: each is told once a stream."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, message: Members, rule: str, text: str) -> None:
        """Note a fault, unless it is known."""
        if self.is_new(text):
            message.find(rule, text)

    def is_new(self, fault: str) -> bool:
        """Whether it was not told before; it counts as told from now on."""
        if fault in self._told or len(self._told) >= _MAX_FAULTS_TOLD:
            return False
        self._told.add(fault)
        return True

    def tell_spellings(self, message: _TwilioMessage) -> None:
        """Note names that Twilio spells otherwise."""
        for name, due in message.respelt.items():
            self.tell(message, "foreign-spelling", f"{name} is how others spell {due}.")


def _outgoing(message: Mapping[str, Any], summary: str, audio_ms: float = 0.0) -> Outgoing:
    return Outgoing(encode(message), message["event"], cut(summary), audio_ms)


# The caller's end.


class TwilioCaller(CallerDefaults):
    """The place of Twilio in one call.

    ``settings.params`` become the stream's custom parameters. Options: ``account_sid``, ``call_sid`` (34
    characters each; made up unless given).
    """

    def __init__(self, settings: CallerSettings, new_id: NewId, utc_now: UtcNow) -> None:
        _check_settings(settings)
        self._params = dict(settings.params)
        self._stream_sid = _new_sid("MZ", new_id)
        self._account_sid = settings.options.get("account_sid") or _new_sid("AC", new_id)
        self._call_sid = settings.options.get("call_sid") or _new_sid("CA", new_id)
        self._in_call = False
        self._sequence_number = 0
        self._frames_sent = 0
        self._rest = b""
        self._replies = ImpliedReplies()
        self._marks: deque[str] = deque()
        self._any_mark = False
        self._faults = _Faults()

    @property
    def user_format(self) -> AudioFormat | None:
        """What `user_audio` carries: always the same."""
        return MULAW_8K

    @property
    def user_stream_open(self) -> bool:
        """Whether a call is on: its audio never pauses."""
        return self._in_call

    # What the user does.

    def opened(self) -> list[Outgoing]:
        """Describe the stream; the call counts as accepted."""
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
        return [_outgoing(connected, "connected"), self._message("start", "start, mu-law 8 kHz", start)]

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """User audio, in frames of 20 ms; what is left over waits for the next call."""
        if not self._in_call:
            return []
        audio = self._rest + audio
        whole_bytes = len(audio) - len(audio) % FRAME_BYTES
        self._rest = audio[whole_bytes:]
        return [self._media(audio[at : at + FRAME_BYTES]) for at in range(0, whole_bytes, FRAME_BYTES)]

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Keys pressed, a message each."""
        if not self._in_call:
            return []
        pressed = [{"track": "inbound_track", "digit": digit} for digit in digits]
        return [self._message("dtmf", f"dtmf {key['digit']}", key) for key in pressed]

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Nothing is told; audio that comes from now on is another reply."""
        self._replies.finished(stream_id)
        return []

    def mark_reached(self, name: str) -> list[Outgoing]:
        """Echo a mark; nothing for a mark that was never set."""
        if not self._in_call or name not in self._marks:
            return []
        self._marks.remove(name)
        return [self._message("mark", f"mark reached: {name}", {"name": name})]

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Nothing is told; audio that comes from now on is another reply."""
        self._replies.finished(stream_id)
        return []

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """Say that the call has ended; nothing is sent afterwards."""
        if not self._in_call:
            return []
        self._in_call = False
        sids = {"accountSid": self._account_sid, "callSid": self._call_sid}
        return [self._message("stop", f"stop: {reason}", sids)]

    # What the server says.

    def receive(self, frame: str | bytes) -> Incoming:
        """Understand one message of the server."""
        try:
            message = _TwilioMessage(frame)
            kind = message.kind()
        except ProtocolError as error:
            self._raise_as_twilio(error)
        handler = self._HANDLERS.get(kind)
        if handler is None:
            summary = message.unknown()
        else:
            self._check_members(message)
            summary = handler(self, message)
        if any(finding.rule in _VIOLATIONS for finding in message.findings):
            self._faults.tell(message, "31951", _WARNINGS["31951"])
        return message.incoming(summary)

    def _on_media(self, message: Message) -> str:
        audio, had_header = strip_wav_header(message.inside("media").audio("payload"))
        message.audio_ms = MULAW_8K.duration_ms(len(audio))
        if had_header or audio.startswith(b".snd"):
            text = "media.payload begins with a file header, which Twilio plays as noise; raw mu-law is due."
            message.find("header-in-payload", text)
        if audio.endswith(_LOUD_PADDING):
            text = "The audio ends in 0x00 or 0x80, which is as loud as mu-law can be; its silence is 0xFF."
            self._faults.tell(message, "loud-silence", text)
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
            limits = f"{_MAX_MARK_CHARS} characters and {_MAX_MARKS} that wait"
            message.find("too-many-marks", f"A mark beyond {limits} is not answered.")
            return f"mark not answered: {name}"
        self._marks.append(name)
        message.event(Type.MARK, stream_id=self._replies.stream_id, text=name)
        return f"mark set: {name}"

    def _on_clear(self, message: Message) -> str:
        message.events += self._replies.clear("clear")
        return "clear"

    def _on_own_message(self, message: Message) -> str:
        """What only Twilio sends."""
        kind = message.kind()
        hint = "; a server hangs up by closing the socket" if kind == "stop" else ""
        message.find("twilios-own-message", f"{kind} is Twilio's to send; it was ignored{hint}.")
        return f"{kind}, ignored"

    # What is checked.

    def _check_members(self, message: _TwilioMessage) -> None:
        kind = message.kind()
        self._faults.tell_spellings(message)
        self._check_stream_sid(message)
        due = _SERVER_MEMBERS.get(kind)
        if due is None:
            return
        self._check_extra(message, message.body, {"event", "streamSid", *due}, kind)
        for name, members in due.items():
            inside = message.body.get(name)
            if isinstance(inside, dict):
                self._check_extra(message, inside, members, f"{kind}.{name}")

    def _check_extra(
        self, message: Message, body: Mapping[str, Any], due: set[str] | tuple[str, ...], where: str
    ) -> None:
        for name in body:
            if name not in due:
                text = f"{cut(name, 60)} is no member of {where}, as servers send it."
                self._faults.tell(message, "extra-member", text)

    def _check_stream_sid(self, message: Message) -> None:
        kind, stream_sid = message.kind(), message.body.get("streamSid")
        if stream_sid is None:
            text = f"{kind} has no streamSid; the one that start names is due."
            self._faults.tell(message, "missing-stream-sid", text)
        elif stream_sid != self._stream_sid:
            text = f"The streamSid of {kind} is not the one that start names."
            self._faults.tell(message, "wrong-stream-sid", text)

    def _check_marks_are_sent(self, message: Message) -> None:
        if not (self._any_mark or self._replies.open) and self._replies.begun:
            text = "A second reply begins, and no mark was sent: only marks tell a server what was heard."
            self._faults.tell(message, "no-marks", text)

    def _raise_as_twilio(self, error: ProtocolError) -> NoReturn:
        code = "31950" if error.code == "binary" else "31951"
        findings = (Finding(code, _WARNINGS[code]),) if self._faults.is_new(_WARNINGS[code]) else ()
        raise ProtocolError(error.code, str(error), findings) from error

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
        return _outgoing(body, summary, audio_ms)

    def _media(self, frame: bytes) -> Outgoing:
        # Frames are sent as fast as they sound, so that counting them is telling the time.
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


_SERVER_MEMBERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "media": {"media": ("payload",)},
    "mark": {"mark": ("name",)},
    "clear": {},
}
_VIOLATIONS = frozenset(
    {
        "extra-member",
        "foreign-spelling",
        "missing-member",
        "missing-stream-sid",
        "twilios-own-message",
        "unknown-type",
        "wrong-stream-sid",
        "wrong-type-member",
    }
)


def _check_settings(settings: CallerSettings) -> None:
    """Refuse, with a `ValueError`, what Twilio could not do either."""
    for name, value in settings.options.items():
        if name not in _SID_OPTIONS:
            raise ValueError(f"Twilio has no option {name!r}; known are {', '.join(_SID_OPTIONS)}.")
        if not (_SID.fullmatch(value) and value.startswith(_SID_OPTIONS[name])):
            raise ValueError(f"The option {name} is {_SID_OPTIONS[name]} and 32 lower-case hex digits.")
    for media in settings.formats:
        if media not in FORMATS:
            raise ValueError(f"Twilio knows no audio format {media!r}; the only one is {MULAW}.")
    for name, value in settings.params.items():
        if len(name) + len(value) > _MAX_PARAMETER_CHARS:
            limit = f"name and value together have at most {_MAX_PARAMETER_CHARS} characters"
            raise ValueError(f"The parameter {cut(name, 60)!r} is too long for Twilio: {limit}.")


def _new_sid(prefix: str, new_id: NewId) -> str:
    """A SID made of an id: of its own hex digits if it has 32, as a UUID does."""
    made = new_id()
    digits = made.replace("-", "").lower()
    return prefix + (digits if _HEX_ID.fullmatch(digits) else sha256(made.encode()).hexdigest()[:32])


# The agent's end.


class TwilioAgent(AgentDefaults):
    """The place of the server on one socket. Its replies end in a mark, whose echo is PLAY_FINISHED."""

    def __init__(self, new_id: NewId, utc_now: UtcNow) -> None:
        self._stream_sid = ""
        self._format: AudioFormat | None = None
        self._open_stream_id: str | None = None
        self._unheard: list[str] = []
        self._sequence_number = _Counter("sequenceNumber")
        self._chunk = _Counter("chunk")
        self._faults = _Faults()

    @property
    def user_format(self) -> AudioFormat | None:
        """What the user's audio arrives in; None before ``start``."""
        return self._format

    @property
    def play_format(self) -> AudioFormat | None:
        """What `say_audio` has to be given: the same; None before ``start``."""
        return self._format

    # What the agent does.

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Begin a reply: nothing tells Twilio so, but one that is still open ends here."""
        if self._format is None:
            return []
        before = self.say_stop(self._open_stream_id) if self._open_stream_id is not None else []
        self._open_stream_id = stream_id
        return before

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Reply audio in one message; nothing for a reply that is not open."""
        if not (stream_id == self._open_stream_id and audio and self._format):
            return []
        audio_ms = self._format.duration_ms(len(audio))
        return [self._message("media", f"agent audio {audio_ms:.0f} ms", audio_ms, media={"payload": audio})]

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Complete a reply with a mark; an interrupted one is cleared as long as some of it is unheard."""
        frames: list[Outgoing] = []
        if stream_id == self._open_stream_id:
            self._open_stream_id = None
            self._unheard.append(stream_id)
            frames.append(self._message("mark", f"mark: {stream_id}", mark={"name": stream_id}))
        if interrupted and stream_id in self._unheard:
            frames.append(self._message("clear", "clear"))
        return frames

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Nothing: a server hangs up by closing the socket."""
        self._open_stream_id = None
        return []

    # What Twilio says.

    def receive(self, frame: str | bytes) -> Incoming:
        """Understand one message of Twilio."""
        message = _TwilioMessage(frame)
        handler = self._HANDLERS.get(message.kind())
        if handler is None:
            return message.incoming(message.unknown())
        self._faults.tell_spellings(message)
        if message.kind() != "connected":
            self._sequence_number.check(message)
            self._check_stream_sid(message)
        return message.incoming(handler(self, message))

    def _on_connected(self, message: Message) -> str:
        protocol, version = message.text("protocol", required=True), message.text("version", required=True)
        return f"connected, {protocol} {version}"

    def _on_start(self, message: Message) -> str:
        if self._format is not None:
            message.find("repeated-start", "start came in mid-call; the stream begins again.")
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
            self._faults.tell(message, "media-before-start", "media came before start; mu-law is assumed.")
        media = message.inside("media")
        self._chunk.check(media)
        media.ident("timestamp", required=True)
        audio = media.audio("payload")
        coding = self._format or MULAW_8K
        message.audio_ms = coding.duration_ms(len(audio))
        track = media.text("track", required=True)
        if track not in ("inbound", ""):
            text = f"The track is {cut(track, 60)}; in a bidirectional stream there is only inbound."
            self._faults.tell(message, "wrong-track", text)
        if audio and track != "outbound":
            message.event(Type.USER_STREAM_CHUNK, format=coding, audio=audio)
        return f"user audio {message.audio_ms:.0f} ms"

    def _on_dtmf(self, message: Message) -> str:
        key = message.inside("dtmf")
        digit, track = key.ident("digit", required=True), key.text("track", required=True)
        if track not in ("inbound_track", ""):
            self._faults.tell(message, "wrong-track", "The track of dtmf is always inbound_track.")
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
            message.find("unknown-mark", f"The mark {cut(name, 60)} was not set, or was reached before.")
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
            self._faults.tell(message, "wrong-stream-sid", "The streamSid is not the one that start named.")

    def _message(self, event: str, summary: str, audio_ms: float = 0.0, **content: Any) -> Outgoing:
        return _outgoing({"event": event, "streamSid": self._stream_sid, **content}, summary, audio_ms)

    _HANDLERS: ClassVar[Mapping[str, Callable[[TwilioAgent, Message], str]]] = {
        "connected": _on_connected,
        "start": _on_start,
        "media": _on_media,
        "dtmf": _on_dtmf,
        "mark": _on_mark,
        "stop": _on_stop,
    }


class _Counter:
    """A member that goes up by one from message to message, from 1, and is written as text."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._due = 1

    def check(self, members: Members) -> None:
        """Note where it does not; it goes on from what was seen."""
        seen = members.ident(self._name, required=True)
        if not _SMALL_NUMBER.fullmatch(seen):
            if seen:
                members.find("not-a-number", f"{self._name} is {cut(seen, 20)}; a number in text is due.")
            return
        if int(seen) != self._due:
            members.find("number-out-of-order", f"{self._name} is {seen}; {self._due} is due.")
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
    """What ``start.mediaFormat`` describes; mu-law at 8 kHz for what cannot be read."""
    name, rate = described.text("encoding", required=True), described.number("sampleRate")
    encoding = _ENCODINGS.get(name.lower())
    if name != MULAW or rate != MULAW_8K.rate or described.number("channels") != 1:
        text = f"mediaFormat is {cut(encode(described.body))}; {MULAW}, 8000 Hz, 1 channel are due."
        described.find("other-media-format", text)
    if encoding is None or rate is None or not (4_000 <= rate <= 192_000):
        return MULAW_8K
    return AudioFormat(encoding, int(rate))


def _check_sids(message: Message, start: Members) -> None:
    sids = {name: start.text(name, required=True) for name in ("streamSid", "accountSid", "callSid")}
    for name, sid in sids.items():
        if sid and not _SID.fullmatch(sid):
            text = f"{name} is {cut(sid, 60)}; two capitals and 32 lower-case hex digits are due."
            start.find("bad-sid", text)
    if sids["streamSid"] and message.has("streamSid") and message.body["streamSid"] != sids["streamSid"]:
        start.find("wrong-stream-sid", "start names two different streamSids.")


# The protocol.


def signature(token: str, url: str) -> str:
    """What proves that Twilio dials: of the whole URL as configured, keyed by the account's auth token.

    The upgrade has no form fields, which twilio-python's request_validator.py would append.
    """
    return b64encode(hmac.new(token.encode(), url.encode(), sha1).digest()).decode()


def _headers(token: str, url: str) -> Mapping[str, str]:
    return {"X-Twilio-Signature": signature(token, url)} if token else {}


def _url_notice(url: str) -> str:
    if not urlsplit(url).query:
        return ""
    why = "Twilio does not support a query string in a Stream URL; its handshake may fail (error 31920)"
    return f"{why}. Pass data as custom parameters instead: --param NAME=VALUE."


TWILIO = Protocol(
    name="twilio",
    title="Twilio Media Streams",
    path="/twilio",
    caller=TwilioCaller,
    agent=TwilioAgent,
    formats=FORMATS,
    audio_members=("media.payload",),
    has_words=False,
    headers=_headers,
    url_notice=_url_notice,
    accepted_on_open=True,
    continuous=True,
    reply_ends_after_ms=ENDS_AFTER_MS,
)
