"""HeardSpeech: detects speech in the agent's audio as it is heard."""

from __future__ import annotations

from collections.abc import Callable

from tui.audio.detector_pool import DetectorPool
from tui.audio.levels import LevelMeter
from tui.audio.pcm import frames_to_ns, is_zero
from tui.audio.speech import SpeechDetector, TrackEdge, make_detector
from tui.models import events as e

_REST_MS = 1_000.0
"""How much silence after a sound is passed to the detector, so that it can confirm the end.

More would make no difference.
"""
_BEFORE_MS = 300
"""How much silence is passed on before a sound, so that a back-dated onset never lies in skipped silence."""


class HeardSpeech:
    """Measures the blocks that were heard. Runs on the engine's loop.

    Edges of speech and other sounds go to ``emit``; ``on_played`` receives each block as ``(end_ns, pcm,
    rate)``. Long silence is skipped. With a ``pool``, edges are emitted slightly later, and nothing else is
    measured.
    """

    def __init__(
        self,
        emit: Callable[[e.SpeechEdge], object],
        on_played: Callable[[int, bytes, int], None],
        pool: DetectorPool | None = None,
    ) -> None:
        self.meter = LevelMeter()
        self._emit = emit
        self._on_played = on_played
        self._pool = pool
        self._speech: SpeechDetector | None = None
        self._end_ns = 0
        self._silent_ms = _REST_MS

    def feed(self, start_ns: int, block: bytes, rate: int, now_ns: int) -> None:
        """Measures a block whose first sample left the speaker at ``start_ns``."""
        end_ns = start_ns + frames_to_ns(len(block) // 2, rate)
        if self._pool is None:
            self.meter.feed(block, now_ns)
            self._on_played(end_ns, block, rate)
        # A speaker plays exact zeros between replies. They are skipped, because an agent may be silent for
        # minutes.
        silent = is_zero(block)
        if silent and self._silent_ms >= _REST_MS:
            return
        # Created with the rate of the first sound; a queue that was opened at another rate was never heard.
        if self._speech is None:
            self._speech = make_detector(rate, other_sounds=True)
        # The detector receives some of the skipped zeros, because they set its noise floor.
        if self._silent_ms >= _REST_MS:
            self._detect(self._speech, bytes(2 * (rate * _BEFORE_MS // 1000)), start_ns)
        self._silent_ms = self._silent_ms + len(block) / 2 * 1000 / rate if silent else 0.0
        self._detect(self._speech, block, end_ns)
        self._end_ns = end_ns

    def finish(self) -> None:
        """Emits the end of the current sound, because nothing more will be heard."""
        if self._speech:
            if self._pool is not None:
                self._pool.settle(self._speech)
            self._emit_edges(self._speech.finish(self._end_ns))

    def _detect(self, detector: SpeechDetector, pcm: bytes, end_ns: int) -> None:
        if self._pool is not None:
            self._pool.feed(detector, pcm, end_ns, self._emit_edges)
        else:
            self._emit_edges(detector.feed(pcm, end_ns))

    def _emit_edges(self, edges: list[TrackEdge]) -> None:
        for edge in edges:
            self._emit(
                e.SpeechEdge(
                    at_ns=edge.at_ns, speaker=e.Party.AGENT, started=edge.started, method=edge.method
                )
            )
