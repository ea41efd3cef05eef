"""What an end does where its protocol has no word for something: nothing, and says so by sending no frames.

A protocol's ends may derive from these and write only what the protocol has. A file of one's own should: a
method that is added to the shape later is then there already.
"""

from __future__ import annotations

from tui.protocols.base import Outgoing


class CallerDefaults:
    """A `CallerEnd` but for ``user_format``, ``user_stream_open``, ``receive`` and ``user_audio``."""

    @property
    def barge_in(self) -> bool:
        """Whether the user may interrupt: yes, it is for the agent to yield or not."""
        return True

    def opened(self) -> list[Outgoing]:
        """The socket is open."""
        return []

    def resumed(self) -> list[Outgoing] | None:
        """A new socket after a dropped one: None, there is nothing to resume by."""
        return None

    def start_user_stream(self) -> list[Outgoing]:
        """The user wants to be heard from now on."""
        return []

    def stop_user_stream(self) -> list[Outgoing]:
        """The user is done; the agent hears the silence that follows."""
        return []

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Keys pressed."""
        return []

    def user_text(self, text: str) -> list[Outgoing]:
        """A typed turn."""
        return []

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """A reply was heard, or flushed."""
        return []

    def mark_reached(self, name: str) -> list[Outgoing]:
        """The audio before a mark was heard, or flushed."""
        return []

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Playback of a reply was flushed."""
        return []

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """The call ends with the socket."""
        return []


class AgentDefaults:
    """An `AgentEnd` but for ``user_format``, ``play_format``, ``receive`` and ``say_audio``."""

    def opened(self) -> list[Outgoing]:
        """A caller has connected."""
        return []

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """A reply begins."""
        return []

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """A reply is complete, or was cut short."""
        return []

    def speech_started(self) -> list[Outgoing]:
        """The user was heard to begin."""
        return []

    def speech_stopped(self) -> list[Outgoing]:
        """The user was heard to end."""
        return []

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Partial text of the user's turn."""
        return []

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Final text of the user's turn."""
        return []

    def hang_up(self, reason: str) -> list[Outgoing]:
        """The call ends with the socket."""
        return []

    def end(self) -> list[Outgoing]:
        """The agent shuts down, as for hanging up."""
        return self.hang_up("shutting down")
