"""Definitions for both ends of plain PCM: rates, names and decoding."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import strip_wav_header
from tui.protocols.base import Incoming, ProtocolError
from tui.protocols.json_frames import Members, Message, cut, encode, outgoing

DEFAULT_RATE = 16_000
FORMATS: Mapping[str, AudioFormat] = {
    f"pcm_{rate}": AudioFormat(Encoding.PCM16, rate)
    for rate in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
}
"""Formats of the usual rates, by their names for ``--format``; the option ``rate`` accepts any rate."""

LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000
FLUSH = ("interrupt", "clear", "cancel")
END = ("end", "stop", "eos")
PONG = outgoing({"type": "pong"}, "pong")
_WORDS = frozenset({"ready", "ping", "pong", *FLUSH, *END})
"""The kinds that are also accepted as bare words."""
_KIND_MEMBERS = ("type", "event", "action", "op")
_SNIFFED_FLOATS = 64
_MOST_SNIFFS = 50
"""Number of frames with sound that are checked for floats; after that, samples are assumed to be integers."""


class PcmMessage(Message):
    """A JSON message, whose kind may be in various members, or missing."""

    def kind(self) -> str:
        """Returns the kind of the message in lower case; "json" if it has none."""
        named = (self.body.get(member) for member in _KIND_MEMBERS)
        return next((kind.lower() for kind in named if isinstance(kind, str) and kind), "json")


def read_text(frame: str) -> PcmMessage | Incoming:
    """Parses a text frame. Text that is neither JSON nor a known word is only shown in the log."""
    text = frame.strip()
    if text.startswith("{"):
        return PcmMessage(text)
    if (word := text[:20].lower()) in _WORDS:
        return PcmMessage(encode({"type": word}))
    try:
        frame.encode()
    except UnicodeError as error:
        raise ProtocolError("not-utf8", "the text is not valid Unicode") from error
    return Incoming(kind="text", summary=cut(text))


class Samples:
    """Reads binary frames in one direction and reports faults in them."""

    def __init__(self) -> None:
        self._sniffs_left = _MOST_SNIFFS

    def read(self, frame: bytes, message: Message) -> bytes:
        """Returns the samples in a frame. Adds faults to ``message`` as findings."""
        audio, had_header = strip_wav_header(frame)
        if had_header:
            text = "The audio begins with a WAV header, which was removed."
            message.advise("wav-header", text)  # only advice, because pipecat's ``add_wav_header`` is allowed
        floats = _looks_like_floats(audio) if self._sniffs_left else None
        if floats is not None:
            self._sniffs_left -= 1
        if floats:
            self._sniffs_left = 0
            text = "The samples look like 32-bit floats, which play as noise; send 16-bit integers."
            message.find("float-samples", text)
        return audio


class PcmEnd:
    """Base class of both ends: the two sample rates, the state of the turn, and decoding."""

    _HANDLERS: ClassVar[Mapping[str, Callable[[Any, Message], str]]]

    def __init__(self, user_rate: int, play_rate: int) -> None:
        self._user_format = AudioFormat(Encoding.PCM16, user_rate)
        self._play_format = AudioFormat(Encoding.PCM16, play_rate)
        self._in_call = False
        self._user_speaks = False
        self._samples = Samples()

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio."""
        return self._user_format

    @property
    def play_format(self) -> AudioFormat | None:
        """The format of the agent's audio."""
        return self._play_format

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes a frame from the other end: audio, JSON text, or a bare word. Raises `ProtocolError`."""
        if isinstance(frame, bytes):
            return self._receive_audio(frame)
        message = read_text(frame)
        if isinstance(message, Incoming):
            return message
        handler = self._HANDLERS.get(message.kind())
        return message.incoming(
            handler(self, message) if handler else f"{message.kind()}: {encode(message.body)}"
        )

    def _receive_audio(self, frame: bytes) -> Incoming:
        raise NotImplementedError


def answer_ping(end: PcmEnd, message: Message) -> str:
    """Answers a ping; returns the log summary."""
    message.replies.append(PONG)
    return "ping"


def _looks_like_floats(audio: bytes) -> bool | None:
    """Returns whether the samples look like 32-bit floats; None if most are 0, so that they prove nothing."""
    if len(audio) % 4 or len(audio) < 4 * _SNIFFED_FLOATS:
        return None
    values = [value for value in struct.unpack_from(f"<{_SNIFFED_FLOATS}f", audio) if value]
    if 2 * len(values) <= _SNIFFED_FLOATS:
        return None
    return all(1e-7 < abs(value) <= 1.0 for value in values)


def rate_in(members: Members, *names: str) -> int | None:
    """Returns the sample rate in the first of the members ``names``; None if it is missing or invalid."""
    name = next(filter(members.has, names), "")
    rate = members.number(name) if name else None
    if rate is None:
        return None
    if not (LOWEST_RATE <= rate <= HIGHEST_RATE):
        members.find("strange-rate", f"{name} is {rate:g}; expected {LOWEST_RATE} to {HIGHEST_RATE} Hz.")
        return None
    return int(rate)
