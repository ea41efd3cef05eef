"""The streams of a call as seen by the caller's end: the user stream and the agent's replies."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_REPLIES = 100
"""Maximum number of unplayed replies that are remembered; older replies are forgotten."""


@dataclass(slots=True)
class UserStream:
    """The user stream: what was requested from the agent, and what the agent has acknowledged."""

    asked: bool = False
    open: bool = False
    header_due: bool = False
    """Whether the next audio must begin with a WAV header, as each stream in a ``wav/*`` format does."""
    _starts_unanswered: int = 0
    _stops_unanswered: int = 0

    @property
    def opening(self) -> bool:
        """Whether a request to open the stream awaits acknowledgment."""
        return self.asked and not self.open

    @property
    def closing(self) -> bool:
        """Whether a request to close the stream awaits acknowledgment."""
        return self._stops_unanswered > 0

    def turn(self, *, on: bool) -> str | None:
        """Returns the type of the message that opens or closes the stream; None if it was already requested."""
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
        """Records that the agent has started the stream; returns whether the start was requested."""
        if not self._starts_unanswered:
            return False
        self._starts_unanswered -= 1
        self.open = self.asked
        return True

    def stopped(self) -> bool:
        """Records that the agent has stopped the stream; returns whether the stop was requested."""
        if not self._stops_unanswered:
            return False
        self._stops_unanswered -= 1
        return True


@dataclass(slots=True)
class PlayStream:
    """A reply from the agent, which is kept until it is complete and has been played."""

    stream_id: str
    media: str
    open: bool = True
    closed_here: bool = False
    """Whether this end closed the reply although the agent did not end it.

    Later messages for the reply are then not reported as faults.
    """
    heard: bool = False
    cleared: bool = False


class PlayStreams:
    """The agent's replies. At most one reply is open; several may wait to be played."""

    def __init__(self) -> None:
        self.latest: PlayStream | None = None
        self._pending: list[PlayStream] = []

    @property
    def open(self) -> PlayStream | None:
        """The reply to which the next audio belongs; None if no reply is open."""
        return self.latest if self.latest and self.latest.open else None

    @property
    def any_unheard(self) -> bool:
        """Whether a reply is being played or waiting to be played."""
        return any(not reply.heard for reply in self._pending)

    @property
    def any_to_clear(self) -> bool:
        """Whether a reply can still be cut off."""
        return any(not reply.cleared for reply in self._pending)

    def begin(self, reply: PlayStream) -> None:
        """Adds a reply and opens it. Close the previous reply first."""
        self.latest = reply
        self._pending = [*self._pending, reply][-_MAX_REPLIES:]

    def close(self, *, here: bool = False) -> PlayStream | None:
        """Closes and returns the open reply; None if no reply is open.

        ``here`` is true if the agent did not end the reply.
        """
        reply = self.open
        if reply:
            reply.open, reply.closed_here = False, here
            self._forget_done()
        return reply

    def heard(self, stream_id: str) -> None:
        """Marks the oldest waiting reply with this id as played or flushed."""
        reply = next(
            (reply for reply in self._pending if reply.stream_id == stream_id and not reply.heard), None
        )
        if reply:
            reply.heard = True
            self._forget_done()

    def interrupted(self, stream_id: str) -> None:
        """Marks the replies with this id as cut off."""
        for reply in self._pending:
            reply.cleared = reply.cleared or reply.stream_id == stream_id

    def clear(self) -> str:
        """Marks all replies as cut off; returns the id of the newest, or "" if there is none."""
        for reply in self._pending:
            reply.cleared = True
        return self._pending[-1].stream_id if self._pending else ""

    def named(self, stream_id: str) -> PlayStream | None:
        """Returns the newest reply with this id; None if it is unknown."""
        known = [*self._pending, self.latest] if self.latest else self._pending
        return next((reply for reply in reversed(known) if reply.stream_id == stream_id), None)

    def _forget_done(self) -> None:
        self._pending = [reply for reply in self._pending if reply.open or not reply.heard]
