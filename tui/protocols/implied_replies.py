"""Replies of agents that send audio and never say where a reply begins or ends.

A reply begins with the first audio after none was open. It ends when the agent clears it (or says so, where it
can), or when whoever plays reports that it is finished: it ran dry, or was flushed. Nothing else ends it: a
mark does not, because agents send one behind every message.
"""

from __future__ import annotations

from tui.audio.formats import AudioFormat
from tui.protocols.base import Outgoing, TelephonyEvent
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.defaults import CallerDefaults

ENDS_AFTER_MS = 500.0
"""Longer than the network's hiccups and than most pauses between two sentences of one answer."""


class ImpliedReplies:
    """The agent's replies in one call, as events; at most one is open."""

    def __init__(self) -> None:
        self.begun = 0
        """How many replies there were."""
        self._open_format: AudioFormat | None = None

    @property
    def stream_id(self) -> str:
        """The name of the newest reply; "" before the first."""
        return f"reply-{self.begun}" if self.begun else ""

    @property
    def open(self) -> bool:
        """Whether audio that comes now belongs to the newest reply."""
        return self._open_format is not None

    def audio(self, audio: bytes, audio_format: AudioFormat) -> list[TelephonyEvent]:
        """Audio has come; a reply that is open keeps the format it began in."""
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
        """The agent takes back what was not heard yet, of earlier replies too."""
        cleared = TelephonyEvent(type=Type.CLEAR, stream_id=self.stream_id, reason=reason)
        return [cleared, *self.stop(reason)]

    def stop(self, reason: str = "") -> list[TelephonyEvent]:
        """The agent says that the open reply is complete."""
        if not self.open:
            return []
        self._open_format = None
        return [TelephonyEvent(type=Type.PLAY_STREAM_STOP, stream_id=self.stream_id, reason=reason)]

    def finished(self, stream_id: str) -> None:
        """Whoever plays has ended that reply."""
        if stream_id == self.stream_id:
            self._open_format = None


class ImplyingCaller(CallerDefaults):
    """A caller's end whose agent says nothing of its replies, and is told nothing of what became of them."""

    def __init__(self) -> None:
        self._replies = ImpliedReplies()

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Audio that comes from now on is another reply."""
        self._replies.finished(stream_id)
        return []

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Audio that comes from now on is another reply."""
        return self.playback_finished(stream_id, heard_ms=heard_ms, received_ms=received_ms)
