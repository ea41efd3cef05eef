"""Which turn an event belongs to, and where turns begin.

A turn begins with user speech, told by the agent or measured here, with typed words, or with a pressed key, once
the agent has answered what was said before; speech that goes on, or is told twice, begins none, nor does another
key. Turn 0 is what comes before: the greeting.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from tui.models.events import (
    KeysPressed,
    Party,
    PlaybackStarted,
    ReplyStarted,
    SessionEvent,
    SpeechEdge,
    SpeechPhase,
    Transcribed,
    UserSpeech,
)


class TurnBoundary:
    """Tells with which events turns begin."""

    def __init__(self) -> None:
        self._answered = True
        self._began_ns = 0
        """When the turn began: a sound of the agent from before that, though it is told later, is no answer."""

    def begins(self, event: SessionEvent) -> bool:
        """Whether a turn begins with this event, which is the next one of the session."""
        match event:
            case (
                UserSpeech(phase=SpeechPhase.STARTED)
                | SpeechEdge(speaker=Party.USER, started=True)
                | Transcribed(typed=True)
                | KeysPressed()
            ):
                begins, self._answered = self._answered, False
                if begins:
                    self._began_ns = event.at_ns
                return begins
            case ReplyStarted() | PlaybackStarted():
                self._answered = True
            case SpeechEdge(speaker=Party.AGENT, started=True) if event.at_ns >= self._began_ns:
                self._answered = True
        return False


class TurnIndex:
    """Folds events, by their position in the log, into the positions at which turns begin."""

    def __init__(self) -> None:
        self.starts = array("I")
        """Where turn 1, 2, … begins; what is folded later never changes it."""
        self._boundary = TurnBoundary()

    def apply(self, index: int, event: SessionEvent) -> None:
        """Fold the event at this position."""
        if self._boundary.begins(event):
            self.starts.append(index)

    def turn_of(self, index: int) -> int:
        """The turn of the event at this position; 0 before the first."""
        return bisect_right(self.starts, index)

    def start_of(self, turn: int) -> int | None:
        """The position at which a turn begins; None when there is no such turn."""
        if turn == 0:
            return 0
        return self.starts[turn - 1] if 0 < turn <= len(self.starts) else None
