"""Interfaces for receivers of the two tracks of a call: user audio as sent, and agent audio as heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from tui.audio.formats import AudioFormat
from tui.audio.speaker import AgentTrack
from tui.models import events as e
from tui.models.turns.turns import Turn


class TrackSink(AgentTrack, Protocol):
    """Receives both tracks in real time. Methods return immediately."""

    def user_format(self, audio_format: AudioFormat) -> None:
        """Receives the agreed format of user audio. Called before `user_sent`."""

    def user_sent(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """Receives a captured block, or silence if it was not sent.

        The last sample of the block left the microphone at ``end_ns``.
        """


@runtime_checkable
class TrackJudge(Protocol):
    """A receiver of both tracks that can check them after the call."""

    async def second_opinion(self, turns: Sequence[Turn]) -> Sequence[e.SessionEvent]:
        """Ends the tracks, and checks the edges of the turns with a second detector.

        Returns an event for each edge that was not confirmed. Takes at most 2 s.
        """
