"""Detects sounds other than speech on a track, such as a tone, a beep or hold music.

An agent's track has only silence or comfort noise between sounds, so a fixed loudness threshold is enough. An
adaptive noise floor would absorb a continuous tone. Speech has priority: its edges stay where the speech
detector placed them. A brief sound next to speech, such as a breath or reverberation, counts as part of the
speech.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from tui.audio.loudness import BLOCK_MS, Loudness

AUDIBLE_RMS = 184.0
"""-45 dBFS as an amplitude: above comfort noise, and 19 dB below speech at its nominal level."""
SUSTAINED_BLOCKS = 4
"""Shortest uninterrupted loud period that counts as a sound. A shorter sound is a click."""
_APART_BLOCKS = 500 // BLOCK_MS
"""Half a second: a sound that is closer to speech counts only if it lasts at least this long."""


class FrameEdge(NamedTuple):
    """The start or end of speech or another sound, as a frame counted from the first frame fed in."""

    started: bool
    frame: int
    speech: bool


@dataclass(slots=True)
class _Run:
    """Loud blocks with only short pauses between them."""

    first: int
    start_frame: int
    last: int
    on_end: int = 0
    sustained: bool = False
    reported: bool = False


class OtherSounds:
    """Merges the edges of other sounds with those of speech. Used on the thread of the track's `SpeechDetector`.

    A sound is reported half a second after it begins. A sound ends after ``silence_ms`` of quiet, or when
    speech begins.
    """

    def __init__(self, loudness: Loudness, silence_ms: int) -> None:
        self._loudness = loudness
        self._silence_blocks = silence_ms // BLOCK_MS
        self._run: _Run | None = None
        self._next_block: int | None = 0
        """The first block that has not been judged; None during speech."""
        self._speech_ended = -_APART_BLOCKS
        """The first block after the last speech."""

    @property
    def under_way(self) -> bool:
        """Whether a sound other than speech is in progress, even if it has not been reported."""
        return self._run is not None

    def beside(self, speech: FrameEdge | None, until_frame: int) -> list[FrameEdge]:
        """Returns the new edges of all sounds up to ``until_frame``, in order, including the speech edge, if any."""
        edges: list[FrameEdge] = []
        if speech is not None and speech.started:
            # A sound in progress ends at the back-dated onset, because the loud blocks since then were
            # speech.
            edges += self._end_run(speech.frame)
            self._next_block = None
        elif speech is not None:
            self._next_block = self._speech_ended = math.ceil(speech.frame / self._loudness.block_frames)
        if speech is not None:
            edges.append(speech)
        if self._next_block is not None:
            known = min(until_frame // self._loudness.block_frames, self._loudness.blocks)
            for block in range(self._next_block, known):
                edges += self._hear(block)
            self._next_block = max(self._next_block, known)
        return edges

    def _hear(self, block: int) -> list[FrameEdge]:
        if self._loudness.rms(block) > AUDIBLE_RMS:
            if self._run is None:
                start_frame, _ = self._loudness.edges_in(block, AUDIBLE_RMS)
                self._run = _Run(block, start_frame, block)
            self._run.last = block
            self._run.on_end += 1
            self._run.sustained |= self._run.on_end >= SUSTAINED_BLOCKS
        elif self._run is not None:
            self._run.on_end = 0
        run = self._run
        if run is None:
            return []
        edges: list[FrameEdge] = []
        if not run.reported and self._counts(run, block):
            run.reported = True
            edges.append(FrameEdge(started=True, frame=run.start_frame, speech=False))
        if block - run.last >= (self._silence_blocks if run.sustained else SUSTAINED_BLOCKS):
            edges += self._end_run()
        return edges

    def _counts(self, run: _Run, block: int) -> bool:
        # A breath after a word, or fading reverberation, is short and close to speech.
        apart = run.first - self._speech_ended >= _APART_BLOCKS
        long = run.last + 1 - run.first >= _APART_BLOCKS
        return run.sustained and block + 1 - run.first >= _APART_BLOCKS and (apart or long)

    def _end_run(self, speech_frame: int | None = None) -> list[FrameEdge]:
        """Ends the current sound at its last loud block, or earlier at ``speech_frame`` if speech began there."""
        run, self._run = self._run, None
        if run is None or not run.reported:
            return []
        _, frame = self._loudness.edges_in(run.last, AUDIBLE_RMS)
        return [FrameEdge(False, frame if speech_frame is None else min(frame, speech_frame), speech=False)]
