"""Speech on the two live tracks: `TrackSpeech` finds its edges, `HeardSpeech` those of the agent as it is heard."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tui.audio.levels import LevelMeter
from tui.audio.pcm import frames_to_ns, is_zero
from tui.audio.speech import SpeechDetector, TrackEdge, make_detector
from tui.callbacks import spawn
from tui.models import events as e

_WAITING_BLOCKS = 250
"""Kept for a detector that is still loading: 5 s at 20 ms."""
_AT_ONCE_BLOCKS = 3
"""Detected per call: blocks that waited for the detector must not hold up the loop all at once."""
_REST_MS = 1_000.0
"""Silence that the detector gets after a sound, to be sure that speech is over. More would change nothing."""
_BEFORE_MS = 300
"""Silence put before a sound, so that dating an onset back never reaches beyond the silence that was left out."""


class TrackSpeech:
    """Finds the edges of speech in the blocks of one track; blocks that come before the detector wait for it.

    For one loop. ``other_sounds`` is passed to `make_detector`.
    """

    def __init__(self, rate: int, *, other_sounds: bool = False) -> None:
        self.rate = rate
        self._other_sounds = other_sounds
        self._detector: SpeechDetector | None = None
        self._waiting: deque[tuple[bytes, int]] = deque(maxlen=_WAITING_BLOCKS)
        self._end_ns = 0

    async def load(self) -> str:
        """Load the detector, 100 ms on a thread. Returns why it uses loudness alone; empty if it does not."""
        self._detector = await asyncio.to_thread(make_detector, self.rate, other_sounds=self._other_sounds)
        return self._detector.fallback_reason

    def feed(self, block: bytes, end_ns: int) -> list[TrackEdge]:
        """Returns the edges found with a block (16-bit mono) whose last sample was at ``end_ns``."""
        # Always through the queue, even when the detector is there: edges stay in order while a backlog shrinks.
        self._waiting.append((block, end_ns))
        return self._detect(_AT_ONCE_BLOCKS)

    def finish(self) -> list[TrackEdge]:
        """Returns the edges that are left at the end of the track, such as the end of speech under way."""
        edges = self._detect(len(self._waiting))
        return [*edges, *self._detector.finish(self._end_ns)] if self._detector else edges

    def _detect(self, most_blocks: int) -> list[TrackEdge]:
        edges: list[TrackEdge] = []
        if self._detector is not None:
            for _ in range(min(most_blocks, len(self._waiting))):
                block, self._end_ns = self._waiting.popleft()
                edges += self._detector.feed(block, self._end_ns)
        return edges


class HeardSpeech:
    """Measures blocks that were heard. On the engine's loop.

    Edges of speech and of other sounds go to ``emit``; ``on_played`` gets each block as ``(end_ns, pcm, rate)``. The
    detector is loaded with the first sound, and a long silence costs nothing.
    """

    def __init__(
        self, emit: Callable[[e.SpeechEdge], object], on_played: Callable[[int, bytes, int], None]
    ) -> None:
        self.meter = LevelMeter()
        self._emit = emit
        self._on_played = on_played
        self._speech: TrackSpeech | None = None
        self._silent_ms = _REST_MS

    def feed(self, start_ns: int, block: bytes, rate: int, now_ns: int) -> None:
        """Measure a block whose first sample left the speaker at ``start_ns``."""
        end_ns = start_ns + frames_to_ns(len(block) // 2, rate)
        self.meter.feed(block, now_ns)
        self._on_played(end_ns, block, rate)
        silent = is_zero(block)
        if silent and self._silent_ms >= _REST_MS:
            return
        if self._speech is None:
            self._speech = TrackSpeech(rate, other_sounds=True)
            # On a thread, since loading takes 100 ms; TrackSpeech keeps the blocks that come meanwhile.
            spawn(self._speech.load(), "load speech detector")
        if self._silent_ms >= _REST_MS:
            self._emit_edges(self._speech.feed(bytes(2 * (rate * _BEFORE_MS // 1000)), start_ns))
        self._silent_ms = self._silent_ms + len(block) / 2 * 1000 / rate if silent else 0.0
        self._emit_edges(self._speech.feed(block, end_ns))

    def finish(self) -> None:
        """Emit the end of the sound that lasts, as nothing more is heard."""
        if self._speech:
            self._emit_edges(self._speech.finish())

    def _emit_edges(self, edges: list[TrackEdge]) -> None:
        for edge in edges:
            self._emit(
                e.SpeechEdge(
                    at_ns=edge.at_ns, speaker=e.Party.AGENT, started=edge.started, method=edge.method
                )
            )
