"""TrackSpeech: where speech starts and stops on a live track, by a detector that is loaded beside the loop."""

from __future__ import annotations

import asyncio
from collections import deque

from tui.audio.speech import SpeechDetector, SpeechEdge, make_detector

_WAITING_BLOCKS = 250
_AT_ONCE_BLOCKS = 3
"""Detected in at a time: what has waited for the detector must not hold up the loop."""


class TrackSpeech:
    """Blocks in, edges out, in order; what comes while the detector is being loaded waits for it. On one loop.

    ``other_sounds`` asks for those as well, as `make_detector` says.
    """

    def __init__(self, rate: int, *, other_sounds: bool = False) -> None:
        self.rate = rate
        self._other_sounds = other_sounds
        self._detector: SpeechDetector | None = None
        self._waiting: deque[tuple[bytes, int]] = deque(maxlen=_WAITING_BLOCKS)
        self._end_ns = 0

    async def load(self) -> str:
        """Load the detector, which takes 100 ms on a thread; gives why it goes by loudness alone, or nothing."""
        self._detector = await asyncio.to_thread(make_detector, self.rate, other_sounds=self._other_sounds)
        return self._detector.fallback_reason

    def feed(self, block: bytes, end_ns: int) -> list[SpeechEdge]:
        """The edges that a block (16-bit, mono) brings to light, whose last sample was at ``end_ns``."""
        self._waiting.append((block, end_ns))
        return self._detect(_AT_ONCE_BLOCKS)

    def finish(self) -> list[SpeechEdge]:
        """The track is over: the end of what was being said, if anything was."""
        edges = self._detect(len(self._waiting))
        return [*edges, *self._detector.finish(self._end_ns)] if self._detector else edges

    def _detect(self, most_blocks: int) -> list[SpeechEdge]:
        edges: list[SpeechEdge] = []
        if self._detector is not None:
            for _ in range(min(most_blocks, len(self._waiting))):
                block, self._end_ns = self._waiting.popleft()
                edges += self._detector.feed(block, self._end_ns)
        return edges
