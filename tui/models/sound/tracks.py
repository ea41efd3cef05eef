"""The interface for the two tracks of a call: the user as sent, and the agent as heard."""

from __future__ import annotations

from typing import Protocol

from tui.audio.formats import AudioFormat
from tui.audio.speaker import AgentTrack


class TrackSink(AgentTrack, Protocol):
    """Receives both tracks in real time. Methods return immediately."""

    def user_format(self, audio_format: AudioFormat) -> None:
        """Takes the agreed format of user audio; called before the first `user_sent`."""
        ...

    def user_sent(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """Takes a captured block, silent if it was not sent; its last sample left the microphone at ``end_ns``."""
        ...
