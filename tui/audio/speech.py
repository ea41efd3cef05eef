"""Detects where speech starts and stops on one track, to within a few milliseconds.

A classifier decides, window by window, whether there is speech. The detector turns the classifier's decisions
into edges. The detector moves each edge back to the block in which the sound crossed the noise floor, and
within that block to the first or last loud millisecond.

Silero's network is robust but late: about 80 ms at an onset, 40 to 140 ms at an end. After the correction,
the median error of edges is within 10 ms. In noise, soft starts and ends of words are lost, because an edge
is where the sound crosses the noise floor (figures: docs/calibrate.md).

On an agent's track, edges of other sounds are detected by loudness alone. Each edge names the method that
detected it.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.audio import silero
from tui.audio.loudness import Loudness
from tui.audio.other_sounds import FrameEdge, OtherSounds
from tui.audio.pcm import frames_to_ns, to_float
from tui.audio.silero import WINDOW_FRAMES, Scoring, SileroTrack, score_alone

Method = Literal["silero", "energy"]

_SLACK_MS = 100
"""Extra silence at the end of a track, needed because its last window may begin before the end."""
_SILERO_THRESHOLD = 0.5


class TrackEdge(msgspec.Struct, frozen=True):
    """The start or end of speech or another sound. ``at_ns`` is a monotonic time, earlier than the detection."""

    started: bool
    at_ns: int
    method: Method


class Window(NamedTuple):
    """A classifier's decision on one window."""

    start_frame: int
    """Index of the window's first frame among all frames fed in."""
    end_frame: int
    speech: bool


class Classifier(Protocol):
    """Decides whether there is speech, window by window."""

    def feed(self, pcm: bytes) -> Scoring[list[Window]]:
        """Judges the windows that ``pcm`` completes."""


@dataclass(eq=False, repr=False)
class SpeechDetector:
    """Detects edges of speech and, on request, of other sounds, on one track at one rate.

    Not thread-safe. Uses 1 % of a core while there is sound.
    """

    rate: int
    classifier: Classifier
    _: KW_ONLY
    silence_ms: int
    """Length of silence that ends speech."""
    other_sounds: bool = False

    def __post_init__(self) -> None:
        self.speaking = False
        self._loudness = Loudness(self.rate)
        self._sounds = OtherSounds(self._loudness, self.silence_ms) if self.other_sounds else None
        self._fed_frames = 0
        self._last_speech_frame = 0

    def feed(self, pcm: bytes, end_ns: int) -> list[TrackEdge]:
        """Returns the edges found with the help of these samples, the last of which ended at ``end_ns``.

        A stop is detected after ``silence_ms`` of silence; starts and stops are back-dated to where the sound
        changed. Raises `ValueError` if ``pcm`` ends in half a sample.
        """
        return score_alone(self.feeding(pcm, end_ns))

    def feeding(self, pcm: bytes, end_ns: int) -> Scoring[list[TrackEdge]]:
        """Works like `feed`, but lets the caller score the windows of several tracks together."""
        self._loudness.feed(pcm)
        self._fed_frames += len(pcm) // 2
        fed_frames = self._fed_frames
        windows = yield from self.classifier.feed(pcm)
        return [
            TrackEdge(
                edge.started,
                end_ns - frames_to_ns(fed_frames - edge.frame, self.rate),
                "silero" if edge.speech else "energy",
            )
            for window in windows
            for edge in self._found_with(window)
        ]

    def finds_nothing_in(self, frames: int) -> bool:
        """Returns whether the next ``frames`` cannot contain an edge, because they are too few to confirm an end."""
        quiet_frames = self._fed_frames + frames - self._last_speech_frame
        return self.speaking and quiet_frames * 1000 < self.silence_ms * self.rate

    def finish(self, end_ns: int) -> list[TrackEdge]:
        """Ends the track at ``end_ns``; returns the end of a sound in progress."""
        if not (self.speaking or (self._sounds and self._sounds.under_way)):
            return []
        silence_ms = self.silence_ms + _SLACK_MS
        return self.feed(bytes(2 * (self.rate * silence_ms // 1000)), end_ns + silence_ms * 1_000_000)

    def _found_with(self, window: Window) -> list[FrameEdge]:
        frame = self._judge(window)
        speech = None if frame is None else FrameEdge(self.speaking, frame, speech=True)
        if self._sounds is not None:
            return self._sounds.beside(speech, window.end_frame)
        return [speech] if speech else []

    def _judge(self, window: Window) -> int | None:
        """Returns the frame of the speech edge that this window confirms; None if the window confirms no edge."""
        if window.speech:
            self._last_speech_frame = window.end_frame
            if self.speaking:
                return None
            self.speaking = True
            block = self._loudness.onset_block(self._block_before(window.end_frame))
            return window.start_frame if block is None else self._loudness.edges_in(block)[0]
        quiet_frames = window.end_frame - self._last_speech_frame
        if not self.speaking or quiet_frames * 1000 < self.silence_ms * self.rate:
            return None
        # Searched from the last window with speech, because the end precedes a whole silence.
        self.speaking = False
        block = self._loudness.last_loud_block(self._block_before(self._last_speech_frame))
        return self._last_speech_frame if block is None else self._loudness.edges_in(block)[1]

    def _block_before(self, frame: int) -> int:
        """Returns the last block that begins before ``frame``."""
        return math.ceil(frame / self._loudness.block_frames) - 1


class SileroClassifier:
    """Runs the Silero network on windows of 32 ms. Not thread-safe."""

    def __init__(self, rate: int) -> None:
        from tui.audio.resample import FloatResampler

        self._rate = rate
        self._track = SileroTrack()
        # The network uses only frequencies below 8 kHz, so the cheapest filter is good enough.
        self._resampler = None if rate == silero.RATE else FloatResampler(rate, silero.RATE, "sinc_fastest")
        self._pending: NDArray[np.float32] = np.empty(0, np.float32)
        self._judged_frames = 0

    def feed(self, pcm: bytes) -> Scoring[list[Window]]:
        """See `Classifier`."""
        values = to_float(pcm)
        if self._resampler is not None:
            values = self._resampler.feed(values)
        # Blocks of 20 ms do not divide evenly into windows of 32 ms; the rest waits for the next block.
        self._pending = np.concatenate([self._pending, values])
        windows: list[Window] = []
        while len(self._pending) >= WINDOW_FRAMES:
            window, self._pending = self._pending[:WINDOW_FRAMES], self._pending[WINDOW_FRAMES:]
            score = yield from self._track.score(window)
            start_frame = self._judged_frames * self._rate // silero.RATE
            self._judged_frames += WINDOW_FRAMES
            end_frame = self._judged_frames * self._rate // silero.RATE
            windows.append(Window(start_frame, end_frame, score > _SILERO_THRESHOLD))
        return windows


def load_detector() -> None:
    """Loads the network that all detectors share.

    Loading blocks every thread of the process, so load the network before a call starts.
    """
    import samplerate  # noqa: F401

    silero.network()


def make_detector(rate: int, *, silence_ms: int = 500, other_sounds: bool = False) -> SpeechDetector:
    """Returns a detector for a track at ``rate`` Hz.

    With ``other_sounds``, the detector also finds tones and other sounds. Set ``other_sounds`` for an agent's
    track, because an agent may answer with a tone. Call `load_detector` first; otherwise the first detector
    has to load the network.
    """
    return SpeechDetector(rate, SileroClassifier(rate), silence_ms=silence_ms, other_sounds=other_sounds)
