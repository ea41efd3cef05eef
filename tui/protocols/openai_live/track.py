"""Finds replies in an agent's continuous audio, and groups transcript fragments into lines."""

from __future__ import annotations

from collections import deque

from tui.audio.formats import AudioFormat
from tui.protocols.base import TelephonyEvent
from tui.protocols.implied_replies import ENDS_AFTER_MS, ImpliedReplies
from tui.protocols.openai_live.wire import is_quiet

_FRAGMENT_MS = 200.0
"""Duration of speech that a transcript fragment covers; the sound may begin only at its end."""
_LINE_ENDS_AFTER_MS = 1_000.0
_FRAGMENT_DELAY_MS = 1_000.0
"""How late a fragment may arrive; 0.5 to 0.7 s is common."""
_MAX_LINE_CHARS = 20_000
_KEPT_REPLIES = 16


class SpokenTrack:
    """Cuts the agent's track into replies: a reply begins with sound and ends after `ENDS_AFTER_MS` of silence.

    Silence between replies is not played, so that each reply starts with a fresh buffer and delay cannot
    build up. Times are session times. A chunk's time comes from its time range, if the agent sends one;
    otherwise from the total duration of earlier chunks.
    """

    def __init__(self) -> None:
        self.replies = ImpliedReplies()
        self.now_ms = 0.0
        """The time at which the newest audio ends."""
        self.received_ms = 0.0
        """Total duration of the audio, excluding silence that the agent omitted."""
        self.stalled = False
        """Whether the newest audio continues a reply whose audio had run out because of a gap in the track."""
        self._quiet_ms = 0.0
        self._dry = False
        self._began_ms: deque[tuple[float, str]] = deque(maxlen=_KEPT_REPLIES)

    def audio(
        self, wire: bytes, audio_format: AudioFormat, start_ms: float | None, end_ms: float | None
    ) -> list[TelephonyEvent]:
        """Returns the events for a chunk.

        ``start_ms`` and ``end_ms`` are the chunk's time range, if the agent sends one.
        """
        length_ms = audio_format.duration_ms(len(wire))
        starts_ms = self.now_ms if start_ms is None else start_ms
        left_out_ms = starts_ms - self.now_ms
        self.now_ms = starts_ms + length_ms if end_ms is None else end_ms
        self.received_ms += length_ms
        self.stalled, self._dry = self._dry and left_out_ms < 1, False
        # Omitted silence cannot be played later, so the audio after it starts with a fresh buffer.
        events = self.replies.stop() if left_out_ms >= 1 else []
        if not is_quiet(wire, audio_format):
            self._quiet_ms = 0.0
            if not self.replies.open:
                self._began_ms.append((starts_ms, self.replies.next_id))
            return events + self.replies.audio(wire, audio_format)
        if not self.replies.open:
            return events
        self._quiet_ms += length_ms
        events += self.replies.audio(wire, audio_format)
        return events + (self.replies.stop() if self._quiet_ms >= ENDS_AFTER_MS else [])

    def ran_dry(self, reply: str) -> None:
        """Records that playback of a reply ran out of audio."""
        self._dry = self.replies.open and reply == self.replies.stream_id
        self.replies.finished(reply)

    def reply_at(self, at_ms: float) -> str:
        """Returns the id of the reply that was being spoken at ``at_ms``; before any reply, the id of the first."""
        begun = (reply for began_ms, reply in reversed(self._began_ms) if began_ms < at_ms + _FRAGMENT_MS)
        return next(begun, self._began_ms[0][1] if self._began_ms else "reply-1")


class FragmentLine:
    """Joins transcript fragments of one speaker into lines."""

    def __init__(self) -> None:
        self.text = ""
        self.item = ""
        """The item that the line belongs to."""
        self._lines = 0
        self._open = False
        self._ended_ms = 0.0

    def continues(self, item: str, start_ms: float) -> bool:
        """Returns whether a fragment continues the line: it has the same item or, without an item, follows soon."""
        if item:
            return item == self.item
        return self._open and start_ms - self._ended_ms < _LINE_ENDS_AFTER_MS

    def begin(self, item: str = "") -> None:
        """Begins a line for ``item``. An empty ``item`` is replaced by a new id."""
        self._lines += 1
        self.item, self.text = item or f"user-{self._lines}", ""

    def add(self, fragment: str, end_ms: float) -> None:
        """Adds a fragment to the line."""
        self.text = (self.text + fragment)[:_MAX_LINE_CHARS]
        self._ended_ms = max(self._ended_ms, end_ms)
        self._open = True

    def is_over(self, now_ms: float) -> bool:
        """Returns whether the line is open but can no longer be continued."""
        return self._open and now_ms - self._ended_ms >= _LINE_ENDS_AFTER_MS + _FRAGMENT_DELAY_MS

    def close(self) -> str:
        """Closes the line; returns its text, or "" if it was closed already."""
        was_open, self._open = self._open, False
        return self.text.strip() if was_open else ""
