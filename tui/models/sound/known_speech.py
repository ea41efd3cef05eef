"""KnownSpeech: finds the edges of the user's speech from the known edges of recorded lines."""

from __future__ import annotations

from tui.audio.detector_pool import TakeEdges
from tui.audio.pcm import frames_to_ns, is_zero
from tui.audio.speech import TrackEdge
from tui.models.sound.lines import RecordedLines
from tui.units import NS_PER_S

SILENCE_NS = NS_PER_S // 2
"""Length of silence that ends speech, as in `tui.audio.speech`."""


class KnownSpeech:
    """Replaces a `SpeechDetector` on a user track that consists only of recorded lines and silence.

    The callers of a load test play the same few files again and again, and a detector has already found the
    edges in each file. ``take`` receives each edge when a detector would report it: a start immediately, an
    end after half a second. A line that is muted, cut short or not sent counts as silence.
    """

    def __init__(self, lines: RecordedLines, rate: int, take: TakeEdges) -> None:
        self._lines = lines
        self._rate = rate
        self._take = take
        self._speaking = False
        self._heard_ns = 0
        """End of the latest speech."""

    def feed(self, pcm: bytes, end_ns: int) -> None:
        """Adds a block whose last sample ended at ``end_ns``."""
        edges: list[TrackEdge] = []
        start_ns = end_ns - frames_to_ns(len(pcm) // 2, self._rate)
        if not is_zero(pcm):
            for began_ns, ended_ns in self._lines.speech_between(start_ns, end_ns):
                edges += self._end(began_ns)
                if not self._speaking:
                    self._speaking = True
                    edges.append(TrackEdge(True, began_ns, "silero"))
                self._heard_ns = ended_ns
        if found := edges + self._end(end_ns):
            self._take(found)

    def finish(self, end_ns: int) -> None:
        """Ends the track, and any ongoing speech, at ``end_ns``."""
        self._take(self._end(end_ns + SILENCE_NS))

    def _end(self, now_ns: int) -> list[TrackEdge]:
        if not self._speaking or now_ns - self._heard_ns < SILENCE_NS:
            return []
        self._speaking = False
        return [TrackEdge(False, self._heard_ns, "silero")]
