"""HeardSpeech: detects the agent's speech in the audio that has left the speaker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui.audio.detector_pool import DetectorPool, PooledSpeech
from tui.audio.levels import LevelMeter
from tui.audio.pcm import frames_to_ns, is_zero
from tui.audio.speech import TrackEdge, make_detector
from tui.models import events as e


@dataclass(eq=False, repr=False)
class HeardSpeech:
    """Measures the level of heard blocks and finds the edges of speech and other sounds. Runs on the engine's loop.

    ``emit`` receives an event for each edge that ``detectors`` find; ``on_played`` receives each block as
    ``(end_ns, pcm, rate)``.
    """

    emit: Callable[[e.SpeechEdge], object]
    on_played: Callable[[int, bytes, int], None]
    detectors: DetectorPool

    def __post_init__(self) -> None:
        self.meter = LevelMeter()
        self._speech: PooledSpeech | None = None
        self._end_ns = 0

    def feed(self, start_ns: int, block: bytes, rate: int, now_ns: int) -> None:
        """Adds a block whose first sample left the speaker at ``start_ns``."""
        self._end_ns = start_ns + frames_to_ns(len(block) // 2, rate)
        self.meter.feed(block, now_ns)
        self.on_played(self._end_ns, block, rate)
        # Created at the rate of the first sound, because a queue that was opened earlier at another rate was
        # never heard.
        if self._speech is None:
            if is_zero(block):
                return
            detector = make_detector(rate, other_sounds=True)
            self._speech = PooledSpeech(self.detectors, detector, self._emit_edges, rested=True)
        self._speech.feed(block, self._end_ns)

    def finish(self) -> None:
        """Emits the end of the current sound. Call it when no more audio will be played."""
        if self._speech:
            self._speech.finish(self._end_ns)

    def _emit_edges(self, edges: list[TrackEdge]) -> None:
        for edge in edges:
            self.emit(
                e.SpeechEdge(
                    at_ns=edge.at_ns, speaker=e.Party.AGENT, started=edge.started, method=edge.method
                )
            )
