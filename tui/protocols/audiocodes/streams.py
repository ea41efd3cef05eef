"""What the caller's end remembers of the streams of a call: the user's, and the agent's replies."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_REPLIES = 100
"""Replies that may wait to be heard before the oldest is forgotten."""


@dataclass(slots=True)
class UserStream:
    """What the agent has been told of the user's stream, and what it has answered."""

    asked: bool = False
    open: bool = False
    header_due: bool = False
    """Whether the next audio has to begin with a WAV header: each stream of a ``wav/*`` format does."""
    _starts_unanswered: int = 0
    _stops_unanswered: int = 0

    def turn(self, *, on: bool) -> str | None:
        """The message that makes the stream what it is to be; None where it is so already."""
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
        """The agent says that it started; whether this answers anything."""
        if not self._starts_unanswered:
            return False
        self._starts_unanswered -= 1
        self.open = self.asked
        return True

    def stopped(self) -> bool:
        """The agent says that it stopped; whether this answers anything."""
        if not self._stops_unanswered:
            return False
        self._stops_unanswered -= 1
        return True


@dataclass(slots=True)
class PlayStream:
    """A play stream, until it is both complete and heard."""

    stream_id: str
    media: str
    open: bool = True
    heard: bool = False
    cleared: bool = False


class PlayStreams:
    """The agent's replies: at most one is open, and several may wait to be heard."""

    def __init__(self) -> None:
        self.latest: PlayStream | None = None
        self._pending: list[PlayStream] = []

    @property
    def open(self) -> PlayStream | None:
        """The reply that audio belongs to."""
        return self.latest if self.latest and self.latest.open else None

    @property
    def any_unheard(self) -> bool:
        """Whether the agent is playing, as far as the user can tell."""
        return any(not reply.heard for reply in self._pending)

    @property
    def any_to_clear(self) -> bool:
        """Whether there is a reply that was not cut off yet."""
        return any(not reply.cleared for reply in self._pending)

    def begin(self, reply: PlayStream) -> None:
        """A reply begins; the one before was closed."""
        self.latest = reply
        self._pending = [*self._pending, reply][-_MAX_REPLIES:]

    def close(self) -> PlayStream | None:
        """No more audio is due in the open reply; which one that was."""
        reply = self.open
        if reply:
            reply.open = False
            self._forget_done()
        return reply

    def heard(self, stream_id: str) -> None:
        """The oldest waiting reply of that id was played, or flushed."""
        reply = next(
            (reply for reply in self._pending if reply.stream_id == stream_id and not reply.heard), None
        )
        if reply:
            reply.heard = True
            self._forget_done()

    def interrupted(self, stream_id: str) -> None:
        """The user's side cut the replies of that id off by itself."""
        for reply in self._pending:
            reply.cleared = reply.cleared or reply.stream_id == stream_id

    def clear(self) -> str:
        """Cut all of them off; the id of the newest."""
        for reply in self._pending:
            reply.cleared = True
        return self._pending[-1].stream_id if self._pending else ""

    def named(self, stream_id: str) -> PlayStream | None:
        """The newest reply of that id which is remembered."""
        known = [*self._pending, self.latest] if self.latest else self._pending
        return next((reply for reply in reversed(known) if reply.stream_id == stream_id), None)

    def _forget_done(self) -> None:
        self._pending = [reply for reply in self._pending if reply.open or not reply.heard]
