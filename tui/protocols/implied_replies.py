"""Finds replies in the audio of agents that do not mark where a reply starts or ends.

A reply starts with the first audio received while no reply is open. A reply ends when the agent clears or
ends it, or when playback runs dry or is flushed. A mark does not end a reply, because some agents send a mark
after every message.
"""

from __future__ import annotations

from tui.audio.formats import AudioFormat
from tui.protocols.base import Outgoing, TelephonyEvent
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import CallerDefaults

ENDS_AFTER_MS = 500.0
"""Duration of silence that ends a reply: longer than network jitter and most pauses between sentences."""


class ImpliedReplies:
    """Turns the agent's audio in one call into reply events. At most one reply is open."""

    def __init__(self) -> None:
        self.begun = 0
        """The number of replies so far."""
        self._open_format: AudioFormat | None = None
        self._worded = ("", 0)
        """The reply that the newest words belong to, and the number of its final texts so far."""

    @property
    def stream_id(self) -> str:
        """Id of the newest reply; "" before the first."""
        return f"reply-{self.begun}" if self.begun else ""

    @property
    def next_id(self) -> str:
        """Id of the next reply."""
        return f"reply-{self.begun + 1}"

    @property
    def worded_id(self) -> str:
        """Id of the reply to which newly received words belong: the open reply or, if none is open, the next."""
        return self.stream_id if self.open else self.next_id

    @property
    def open(self) -> bool:
        """Whether a reply is open, so that the next audio belongs to it."""
        return self._open_format is not None

    def next_part(self, reply: str, *, final: bool = True) -> int:
        """Returns the part of a reply that received words are: each final text is a part of its own."""
        part = self._worded[1] if reply == self._worded[0] else 0
        self._worded = (reply, part + final)
        return part

    def audio(self, audio: bytes, audio_format: AudioFormat) -> list[TelephonyEvent]:
        """Returns the events for received audio. An open reply keeps the format in which it started."""
        events: list[TelephonyEvent] = []
        if self._open_format is None:
            self.begun += 1
            self._open_format = audio_format
            events.append(
                TelephonyEvent(type=Type.PLAY_STREAM_START, stream_id=self.stream_id, format=audio_format)
            )
        chunk = TelephonyEvent(
            type=Type.PLAY_STREAM_CHUNK, stream_id=self.stream_id, format=self._open_format, audio=audio
        )
        return [*events, chunk]

    def clear(self, reason: str) -> list[TelephonyEvent]:
        """Returns the events for a clear, which ends the open reply and discards all unplayed audio."""
        cleared = TelephonyEvent(type=Type.CLEAR, stream_id=self.stream_id, reason=reason)
        return [cleared, *self.stop(reason)]

    def stop(self, reason: str = "") -> list[TelephonyEvent]:
        """Returns the event that ends the open reply; none if no reply is open."""
        if not self.open:
            return []
        self._open_format = None
        return [TelephonyEvent(type=Type.PLAY_STREAM_STOP, stream_id=self.stream_id, reason=reason)]

    def finished(self, stream_id: str) -> None:
        """Closes a reply that was played or flushed."""
        if stream_id == self.stream_id:
            self._open_format = None


class ImplyingCaller(CallerDefaults):
    """Base class of the caller's end for protocols that have no messages about replies."""

    def __init__(self) -> None:
        self._replies = ImpliedReplies()

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Closes the reply, so that later audio starts another reply."""
        self._replies.finished(stream_id)
        return []

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Closes the reply, so that later audio starts another reply."""
        return self.playback_finished(stream_id, heard_ms=heard_ms, received_ms=received_ms)
