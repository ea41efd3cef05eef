"""Finds the audio in messages, with its format and loudness, and joins the audio of a run of messages.

The format of audio was agreed on earlier in the call. The module derives the format from the number of bytes
and the duration in the event. Mu-law and A-law use the same number of bytes, so the format that an earlier
message named decides between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.plain import MessageLevel, loudness
from tui.models import events as e
from tui.models.log.event_log import EventLog, RawMessage
from tui.protocols.base import Protocol
from tui.protocols.payload import audio_payload
from tui.protocols.registry import BUILT_IN, protocol_named
from tui.protocols.telephony.samples import ByteOrder

MAX_PLAYED_S = 60
"""Longest part of a run that is played, from its beginning."""
_LOOKED_AT = 200
"""Number of earlier messages without audio that are searched for a format name."""
_LOWEST_RATE, _HIGHEST_RATE = 4_000, 192_000


class MessageAudio(msgspec.Struct, frozen=True):
    """The audio of one message, or of several consecutive messages."""

    wire: bytes
    format: AudioFormat

    @property
    def ms(self) -> float:
        """Duration in ms."""
        return self.format.duration_ms(len(self.wire))

    def loudness(self) -> MessageLevel | None:
        """Returns the loudness of the audio; None if the audio contains no complete sample."""
        return loudness(self.wire, self.format)


class EventAudio:
    """Finds the audio of messages in one log. Not thread-safe."""

    def __init__(self, log: EventLog, raw: RawMessage) -> None:
        self._log = log
        self._raw = raw

    def of(self, index: int) -> MessageAudio | None:
        """Returns the audio of the message at this index; None if the message has no audio or was not kept."""
        wire, audio_ms = self._payload(index)
        audio_format = self._format(index, len(wire), audio_ms) if wire else None
        return self._ordered(wire, audio_format) if audio_format else None

    def of_run(self, indexes: Iterable[int]) -> MessageAudio | None:
        """Returns the joined audio of messages of one kind, up to `MAX_PLAYED_S`."""
        audio_format: AudioFormat | None = None
        pieces: list[bytes] = []
        left_bytes = 0
        for index in indexes:
            wire, audio_ms = self._payload(index)
            if wire and audio_format is None:
                audio_format = self._format(index, len(wire), audio_ms)
                left_bytes = MAX_PLAYED_S * audio_format.bytes_per_second if audio_format else 0
            if wire and audio_format is not None:
                if left_bytes <= 0 or not _sounds(audio_format, len(wire), audio_ms):
                    break
                pieces.append(wire[:left_bytes])
                left_bytes -= len(wire)
        return None if audio_format is None else self._ordered(b"".join(pieces), audio_format)

    def _ordered(self, wire: bytes, audio_format: AudioFormat) -> MessageAudio:
        if self._log.rules.big_endian and audio_format.encoding is Encoding.PCM16:
            wire = ByteOrder().swap(wire)
        return MessageAudio(wire, audio_format)

    def _payload(self, index: int) -> tuple[bytes, float]:
        """Returns the audio bytes of a message and their duration."""
        event = self._log.events[index]
        if not isinstance(event, e.MessageLogged) or event.audio_ms <= 0:
            return b"", 0.0
        raw = self._raw(event)
        return (audio_payload(raw, self._log.rules.audio_members) or b"" if raw else b""), event.audio_ms

    def _protocols(self) -> list[Protocol]:
        """Returns the session's protocol, or all built-in protocols if the session has a custom protocol.

        A saved session may name a file as its protocol; the file is never run.
        """
        begin = self._log.events[0]
        name = begin.protocol if isinstance(begin, e.SessionStarted) else ""
        return [protocol_named(known) for known in ((name,) if name in BUILT_IN else BUILT_IN)]

    def _format(self, index: int, size_bytes: int, audio_ms: float) -> AudioFormat | None:
        known = {
            name: coding
            for protocol in self._protocols()
            for name, coding in protocol.formats.items()
            if _sounds(coding, size_bytes, audio_ms)
        }
        if len(set(known.values())) > 1:
            return self._decided(index, known)
        if known:
            return next(iter(known.values()))
        rate = round(size_bytes / Encoding.PCM16.sample_bytes * 1000 / audio_ms)
        return AudioFormat(Encoding.PCM16, rate) if _LOWEST_RATE <= rate <= _HIGHEST_RATE else None

    def _decided(self, index: int, known: dict[str, AudioFormat]) -> AudioFormat:
        """Returns the format in ``known`` that an earlier message named last.

        ``known`` contains the formats, by name, that fit the message's size and duration.
        """
        received = self._log.events.shape(index).direction is e.Direction.RECEIVED
        for event in islice(self._namers_before(index, replies=received), _LOOKED_AT):
            if isinstance(event, e.ReplyStarted):
                named = [coding for coding in known.values() if str(coding) == event.format]
            else:
                raw = self._raw(event) or b""
                named = [coding for name, coding in known.items() if f'"{name}"'.encode() in raw]
            if named:
                return named[0]
        return next(iter(known.values()))

    def _namers_before(self, index: int, *, replies: bool) -> Iterator[e.ReplyStarted | e.MessageLogged]:
        for before in range(index - 1, -1, -1):
            if self._log.events.audio_ms[before]:
                continue
            event = self._log.events[before]
            if isinstance(event, e.MessageLogged) or (replies and isinstance(event, e.ReplyStarted)):
                yield event


def _sounds(audio_format: AudioFormat, size_bytes: int, audio_ms: float) -> bool:
    """Returns whether ``size_bytes`` of audio in this format last ``audio_ms``, within 1 %.

    The rates of any two known formats differ by more than 1 %.
    """
    return abs(audio_format.duration_ms(size_bytes) - audio_ms) < audio_ms / 100
