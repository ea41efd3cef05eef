"""HeardSpeech: the agent's speech, and what else of it is heard, as it leaves the speaker."""

from __future__ import annotations

from tui.audio.pcm import frames_to_ns, is_zero
from tui.audio.speech import SpeechEdge
from tui.callbacks import spawn
from tui.models import events as e
from tui.models.sound.track_speech import TrackSpeech

_REST_MS = 1_000
"""Of silence the detector is given, to be sure that speech is over; what follows tells it nothing."""
_BEFORE_MS = 300
"""Of silence before a sound, so that the step back to an onset never reaches behind what was left out."""


class HeardSpeech:
    """Finds the edges of speech and of other sounds in blocks that were heard. On the engine's loop.

    The detector is loaded with the first sound; a long silence costs nothing.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._speech = TrackSpeech(rate, other_sounds=True)
        self._loading = False
        self._silent_ms = float(_REST_MS)

    def feed(self, start_ns: int, block: bytes) -> list[e.SpeechEdge]:
        """The edges that a block brings to light, whose first sample left the speaker at that instant."""
        silent = is_zero(block)
        if silent and self._silent_ms >= _REST_MS:
            return []
        if not self._loading:
            self._loading = True
            spawn(self._speech.load(), "load speech detector")
        edges: list[SpeechEdge] = []
        if self._silent_ms >= _REST_MS:
            edges += self._speech.feed(bytes(2 * (self.rate * _BEFORE_MS // 1000)), start_ns)
        self._silent_ms = self._silent_ms + len(block) / 2 * 1000 / self.rate if silent else 0.0
        edges += self._speech.feed(block, start_ns + frames_to_ns(len(block) // 2, self.rate))
        return _told(edges)

    def finish(self) -> list[e.SpeechEdge]:
        """Nothing more is heard: the end of what was being said, if anything was."""
        return _told(self._speech.finish())


def _told(edges: list[SpeechEdge]) -> list[e.SpeechEdge]:
    return [
        e.SpeechEdge(at_ns=edge.at_ns, speaker=e.Party.AGENT, started=edge.started, method=edge.method)
        for edge in edges
    ]
