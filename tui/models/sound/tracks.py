"""What keeps the two tracks of a call: the user as sent and the agent as heard."""

from __future__ import annotations

from typing import Protocol

from tui.audio.formats import AudioFormat
from tui.audio.speaker import AgentTrack


class TrackSink(AgentTrack, Protocol):
    """Keeps both tracks as they happen."""

    def user_format(self, audio_format: AudioFormat) -> None:
        """What was agreed for user audio; before the first `user_sent`."""
        ...

    def user_sent(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """A captured block, silent where it was not sent; its last sample left the microphone at that instant."""
        ...
