"""HeardSpeech: the agent's speech as it leaves the speaker."""

from __future__ import annotations

import asyncio
from collections import deque

from tui.audio.pcm import frames_to_ns
from tui.audio.speech import SpeechDetector, SpeechEdge, make_detector
from tui.callbacks import spawn
from tui.models import events as e

_REST_MS = 1_000
"""Of silence the detector is given, to be sure that speech is over; what follows tells it nothing."""
_BEFORE_MS = 300
"""Of silence before a sound, so that the step back to an onset never reaches behind what was left out."""
_WAITING_BLOCKS = 250
_AT_ONCE_BLOCKS = 3
"""Detected in at a time: what has waited for the detector must not hold up the loop."""


class HeardSpeech:
    """Finds the edges of speech in blocks that were heard. On the engine's loop.

    The detector is loaded, off the loop, with the first sound; a long silence costs nothing.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._detector: SpeechDetector | None = None
        self._loading: asyncio.Task[None] | None = None
        self._waiting: deque[tuple[int, bytes]] = deque(maxlen=_WAITING_BLOCKS)
        self._silent_ms = float(_REST_MS)
        self._end_ns = 0

    def finish(self) -> list[e.SpeechEdge]:
        """Nothing more is heard: the end of what was being said, if anything was."""
        return [
            *self._detect(len(self._waiting)),
            *_told(self._detector.finish(self._end_ns) if self._detector else []),
        ]

    def feed(self, start_ns: int, block: bytes) -> list[e.SpeechEdge]:
        """The edges that a block brings to light, whose first sample left the speaker at that instant."""
        silent = not any(block)
        if silent and self._silent_ms >= _REST_MS:
            return []
        if self._loading is None:
            self._loading = spawn(self._load(), "load speech detector")
        if self._silent_ms >= _REST_MS:
            before = bytes(2 * (self.rate * _BEFORE_MS // 1000))
            self._waiting.append((start_ns - _BEFORE_MS * 1_000_000, before))
        self._waiting.append((start_ns, block))
        self._silent_ms = self._silent_ms + len(block) / 2 * 1000 / self.rate if silent else 0.0
        return self._detect(_AT_ONCE_BLOCKS)

    def _detect(self, most_blocks: int) -> list[e.SpeechEdge]:
        if self._detector is None:
            return []
        found: list[e.SpeechEdge] = []
        for _ in range(min(most_blocks, len(self._waiting))):
            start_ns, block = self._waiting.popleft()
            self._end_ns = start_ns + frames_to_ns(len(block) // 2, self.rate)
            found += _told(self._detector.feed(block, self._end_ns))
        return found

    async def _load(self) -> None:
        self._detector = await asyncio.to_thread(make_detector, self.rate)


def _told(edges: list[SpeechEdge]) -> list[e.SpeechEdge]:
    return [
        e.SpeechEdge(at_ns=edge.at_ns, speaker=e.Speaker.AGENT, started=edge.started, method=edge.method)
        for edge in edges
    ]
