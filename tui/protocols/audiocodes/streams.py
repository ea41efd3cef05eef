"""The streams of a call as seen by the caller's end: the user stream and the agent's replies."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_REPLIES = 100
"""Maximum number of unplayed replies that are remembered; beyond it, the oldest are forgotten."""


@dataclass(slots=True)
class UserStream:
    """The user stream, as requested from the agent and as acknowledged by it."""

    asked: bool = False
    open: bool = False
    header_due: bool = False
    """Whether the next audio must begin with a WAV header, as each stream in a ``wav/*`` format does."""
    _starts_unanswered: int = 0
    _stops_unanswered: int = 0

    @property
    def opening(self) -> bool:
        """Whether a request to open the stream has not been acknowledged yet."""
        return self.asked and not self.open

    @property
    def closing(self) -> bool:
        """Whether a request to close the stream is awaiting acknowledgment."""
        return self._stops_unanswered > 0

    def turn(self, *, on: bool) -> str | None:
        """Returns the type of the message that opens or closes the stream; None if that was already requested."""
        if on == self.asked:
            return None
        self.asked = on
        if on:
            self._starts_unanswered += 1
            return "userStream.start"
        self.open = False
        self._stops_unanswered += 1
        return "userStream.stop"

    def started(self) -> bool:
        """Records that the agent has started the stream; returns whether a start had been requested."""
        if not self._starts_unanswered:
            return False
        self._starts_unanswered -= 1
        self.open = self.asked
        return True

    def stopped(self) -> bool:
        """Records that the agent has stopped the stream; returns whether a stop had been requested."""
        if not self._stops_unanswered:
            return False
        self._stops_unanswered -= 1
        return True


@dataclass(slots=True)
class PlayStream:
    """A reply from the agent; it is kept until it is both complete and played."""

    stream_id: str
    media: str
    open: bool = True
    closed_here: bool = False
    """Whether this end closed the reply unasked; the agent's later messages for it are then not reported as faults.

    """
    heard: bool = False
    cleared: bool = False


class PlayStreams:
    """The agent's replies: at most one is open, and several may wait to be played."""

    def __init__(self) -> None:
        self.latest: PlayStream | None = None
        self._pending: list[PlayStream] = []

    @property
    def open(self) -> PlayStream | None:
        """The reply that audio belongs to; None if no reply is open."""
        return self.latest if self.latest and self.latest.open else None

    @property
    def any_unheard(self) -> bool:
        """Whether any reply is being played or waiting to be played."""
        return any(not reply.heard for reply in self._pending)

    @property
    def any_to_clear(self) -> bool:
        """Whether there is a reply that has not been cut off."""
        return any(not reply.cleared for reply in self._pending)

    def begin(self, reply: PlayStream) -> None:
        """Starts a reply; the previous one must have been closed."""
        self.latest = reply
        self._pending = [*self._pending, reply][-_MAX_REPLIES:]

    def close(self, *, here: bool = False) -> PlayStream | None:
        """Closes the open reply, if any, and returns it; ``here`` means that this end closed it unasked."""
        reply = self.open
        if reply:
            reply.open, reply.closed_here = False, here
            self._forget_done()
        return reply

    def heard(self, stream_id: str) -> None:
        """Marks the oldest waiting reply with that id as played or flushed."""
        reply = next(
            (reply for reply in self._pending if reply.stream_id == stream_id and not reply.heard), None
        )
        if reply:
            reply.heard = True
            self._forget_done()

    def interrupted(self, stream_id: str) -> None:
        """Marks the replies with that id as cut off on the user's side."""
        for reply in self._pending:
            reply.cleared = reply.cleared or reply.stream_id == stream_id

    def clear(self) -> str:
        """Marks all replies as cut off; returns the id of the newest, or ""."""
        for reply in self._pending:
            reply.cleared = True
        return self._pending[-1].stream_id if self._pending else ""

    def named(self, stream_id: str) -> PlayStream | None:
        """Returns the newest remembered reply with that id."""
        known = [*self._pending, self.latest] if self.latest else self._pending
        return next((reply for reply in reversed(known) if reply.stream_id == stream_id), None)

    def _forget_done(self) -> None:
        self._pending = [reply for reply in self._pending if reply.open or not reply.heard]
