"""Default implementations of both ends, which send nothing.

The ends of a protocol can inherit from these classes and implement only what the protocol supports. Ends in
protocol files should do so, to inherit methods that are added to the interface later.
"""

from __future__ import annotations

from tui.protocols.base import Outgoing


class CallerDefaults:
    """A `CallerEnd` without ``user_format``, ``user_stream_open``, ``receive`` and ``user_audio``."""

    @property
    def barge_in(self) -> bool:
        """Always true: the user may interrupt, and the agent decides whether to stop."""
        return True

    def opened(self) -> list[Outgoing]:
        """Sends nothing: the agent needs no message from the caller."""
        return []

    def resumed(self) -> list[Outgoing] | None:
        """Returns None: sessions cannot be resumed."""
        return None

    def start_user_stream(self) -> list[Outgoing]:
        """Sends nothing: audio can be sent at any time."""
        return []

    def stop_user_stream(self) -> list[Outgoing]:
        """Sends nothing: the agent hears the silence that follows."""
        return []

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Sends nothing: the protocol has no message for keys."""
        return []

    def user_text(self, text: str) -> list[Outgoing]:
        """Sends nothing: the protocol has no message for typed turns."""
        return []

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Sends nothing: the agent is not informed about playback."""
        return []

    def mark_reached(self, name: str) -> list[Outgoing]:
        """Sends nothing: the protocol has no marks."""
        return []

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Sends nothing: the agent is not informed about interruptions."""
        return []

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """Sends nothing: closing the socket ends the call."""
        return []


class AgentDefaults:
    """An `AgentEnd` without ``user_format``, ``play_format``, ``receive`` and ``say_audio``."""

    def opened(self) -> list[Outgoing]:
        """Sends nothing: the caller sends the first message."""
        return []

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Sends nothing: the protocol has no message for the start of a reply."""
        return []

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Sends nothing: the protocol has no message for the end of a reply."""
        return []

    def speech_started(self) -> list[Outgoing]:
        """Sends nothing: the protocol has no message for the start of speech."""
        return []

    def speech_stopped(self) -> list[Outgoing]:
        """Sends nothing: the protocol has no message for the end of speech."""
        return []

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Sends nothing: the protocol has no message for partial text."""
        return []

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends nothing: the protocol has no message for the text of a turn."""
        return []

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Sends nothing: closing the socket ends the call."""
        return []

    def end(self) -> list[Outgoing]:
        """Sends the same messages as `hang_up`."""
        return self.hang_up("shutting down")
