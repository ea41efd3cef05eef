"""Who is told of the two tracks of a call, the user as sent and the agent as heard."""

from __future__ import annotations

from typing import Protocol

from tui.audio.formats import AudioFormat


class AgentTrack(Protocol):
    """Is told what is heard of the agent. Every method may be called from any thread, and returns at once."""

    def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """A block whose first sample leaves the speaker at that instant, silence included."""
        ...

    def agent_cut(self, at_ns: int) -> None:
        """Of what was told to be heard nothing is, from that instant on."""
        ...


class TrackSink(AgentTrack, Protocol):
    """Keeps both tracks as they happen."""

    def user_format(self, audio_format: AudioFormat) -> None:
        """What was agreed for user audio; before the first `user_sent`."""
        ...

    def user_sent(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """A captured block, silent where it was not sent; its last sample left the microphone at that instant."""
        ...
