"""Recognizes the recorded lines that come with this program, and no other speech, by their sound.

Small offline speech recognizers know only a few words, so the local agent does not use one by default. This
module finds the recorded lines by normalized correlation, which measures how much of the user's audio comes
from a line. Correlation works at any gain, and also with mu-law coding, resampling and noise. The correlation
of unrelated speech is below a third.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui.assets import Line
from tui.audio.pcm import to_float
from tui.audio.wav import read_wav

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complexfloating]

_RATE = 8_000
"""Sample rate in Hz for comparisons. No wire format has a lower rate."""
_FILE_RATE = 16_000
_THRESHOLD = 0.6
_EARLIEST_START_S = -0.3
"""Earliest start of a line relative to the audio: up to 0.3 s of its beginning may be missing after a late start."""
_LATEST_START_S = 1.5
_PARTIAL_FROM_S = 0.6
_PARTIAL_UNTIL_S = 3.0
"""Speech that has matched no recorded line within this time is assumed to be other speech."""
_PARTIAL_STEP_S = 0.2
_PARTIAL_WINDOW_S = 0.5


class Match(NamedTuple):
    """A recorded line that was recognized."""

    line: Line
    confidence: float
    """The correlation with the recording, 0 to 1."""


class Recogniser:
    """Compares speech with the recorded lines. All calls share one instance."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._templates = [_Template(line) for line in lines]

    def recognise(self, pcm: bytes, rate: int) -> Match | None:
        """Returns the recorded line that ``pcm`` contains from start to end; None if no line matches."""
        heard = _Heard(_to_8k(to_float(pcm), rate))
        length_s = len(heard.samples) / _RATE
        candidates = [
            template
            for template in self._templates
            if _EARLIEST_START_S < length_s - template.length_s < 2 * _LATEST_START_S
        ]
        best = max((template.find_in(heard, whole=True) for template in candidates), default=None)
        if best is None or best.score < _THRESHOLD:
            return None
        return Match(best.template.line, round(min(best.score, 1.0), 2))

    def begin(self, pcm: bytes, rate: int) -> Beginning | None:
        """Returns the recorded line at the start of ``pcm``, an unfinished utterance; None if no line matches."""
        heard = _Heard(_to_8k(to_float(pcm), rate))
        best = max((template.find_in(heard) for template in self._templates), default=None)
        return best if best and best.score >= _THRESHOLD else None


class Beginning(NamedTuple):
    """The position of a recorded line in an utterance. A better match sorts higher."""

    score: float
    start_frame: int
    """First sample of the line in the utterance, at 8 kHz; negative if the line's beginning is missing."""
    template: _Template

    def words_until(self, end_s: float) -> str:
        """Returns the words of the line that have been spoken ``end_s`` seconds into the utterance."""
        return self.template.words_until(end_s - self.start_frame / _RATE)

    def goes_on(self, pcm: bytes, rate: int, start_s: float) -> bool:
        """Returns whether ``pcm``, which starts ``start_s`` seconds into the utterance, still matches the line."""
        heard = _to_8k(to_float(pcm), rate)
        start = round(start_s * _RATE) - self.start_frame
        if start < 0:
            return False
        due = self.template.samples[start : start + len(heard)]
        return _correlation(float(heard[: len(due)] @ due), _energy(heard), _energy(due)) >= _THRESHOLD


class Hypotheses:
    """Produces partial transcripts of one utterance while it matches a recorded line."""

    def __init__(self, recogniser: Recogniser, rate: int) -> None:
        self._recogniser = recogniser
        self._rate = rate
        self._beginning: Beginning | None = None
        self._looked_at_s = _PARTIAL_FROM_S - _PARTIAL_STEP_S
        self._words = ""

    def feed(self, utterance: bytes | bytearray) -> str | None:
        """Takes all audio of the utterance so far; returns its words if there are new ones, otherwise None."""
        length_s = len(utterance) / 2 / self._rate
        if length_s < self._looked_at_s + _PARTIAL_STEP_S:
            return None
        self._looked_at_s = length_s
        if self._beginning is None:
            if length_s <= _PARTIAL_UNTIL_S:
                self._beginning = self._recogniser.begin(bytes(utterance), self._rate)
        else:
            window_frames = round(_PARTIAL_WINDOW_S * self._rate)
            latest = bytes(utterance[-2 * window_frames :])
            if not self._beginning.goes_on(latest, self._rate, length_s - _PARTIAL_WINDOW_S):
                return None
        words = self._beginning.words_until(length_s) if self._beginning else ""
        if len(words) <= len(self._words):
            return None
        self._words = words
        return words


class _Heard:
    """Speech at 8 kHz, with its energy and cached spectra."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.energy = _energy(samples)
        self._spectra: dict[int, Spectrum] = {}

    def spectrum(self, size: int) -> Spectrum:
        """Returns the spectrum of the samples, zero-padded to ``size`` samples."""
        if size not in self._spectra:
            self._spectra[size] = np.fft.rfft(self.samples, size)
        return self._spectra[size]


class _Template:
    """A recorded line at 8 kHz, without trailing silence."""

    def __init__(self, line: Line) -> None:
        self.line = line
        spoken = np.trim_zeros(to_float(read_wav(line.path, _FILE_RATE)), "b")
        self.samples: Samples = _to_8k(spoken, _FILE_RATE)
        self.length_s = len(self.samples) / _RATE
        self._spectra: dict[int, Spectrum] = {}
        self._energy_before = np.concatenate([[0.0], np.cumsum(np.square(self.samples, dtype=np.float64))])

    def __lt__(self, other: _Template) -> bool:
        return self.line.key < other.line.key

    def find_in(self, heard: _Heard, *, whole: bool = False) -> Beginning:
        """Returns the most likely position of the line in ``heard``.

        The end of the line may be missing unless ``whole``.
        """
        length = len(heard.samples)
        first, last = round(_EARLIEST_START_S * _RATE), round(_LATEST_START_S * _RATE)
        size = _power_of_two(max(length, len(self.samples)) + last)
        starts = np.arange(first, min(last, length))
        products = np.abs(np.fft.irfft(heard.spectrum(size) * self._matching_spectrum(size), size)[starts])
        ends = len(self.samples) if whole else np.minimum(length - starts, len(self.samples))
        begins = 0 if whole else np.maximum(-starts, 0)
        energies = self._energy_before[ends] - self._energy_before[begins]
        norms = np.sqrt(np.maximum(energies, 1e-9) * max(heard.energy, 1e-9))
        scores = products / norms
        best = int(np.argmax(scores))
        return Beginning(float(scores[best]), int(starts[best]), self)

    def _matching_spectrum(self, size: int) -> Spectrum:
        # Cached, because all speech uses the same two or three sizes, and many callers speak at once.
        if size not in self._spectra:
            self._spectra[size] = np.conj(np.fft.rfft(self.samples, size))
        return self._spectra[size]

    def words_until(self, end_s: float) -> str:
        """Returns the words that end before ``end_s``, assuming that all characters take the same time."""
        text = self.line.text
        spoken_chars = len(text) * end_s / self.length_s
        if spoken_chars >= len(text):
            return text
        return text[: max(text.rfind(" ", 0, int(max(spoken_chars, 0)) + 1), 0)].rstrip(",.")


def _to_8k(samples: Samples, rate: int) -> Samples:
    """Resamples to 8 kHz by FFT, which is faster than a filter, and removes hum and DC offset below 100 Hz."""
    if not len(samples):
        return samples
    duration_ms = 100 * _power_of_two(-(-len(samples) * 10 // rate))
    size = rate * duration_ms // 1000
    spectrum = np.fft.rfft(samples, size)[: 4 * duration_ms + 1]
    spectrum[: duration_ms // 10] = 0
    wanted = len(samples) * _RATE // rate
    return np.fft.irfft(spectrum, 8 * duration_ms)[:wanted].astype(np.float32) * np.float32(_RATE / rate)


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 0).bit_length()


def _energy(samples: Samples) -> float:
    return float(samples @ samples)


def _correlation(product: float, energy: float, other: float) -> float:
    return abs(product) / float(np.sqrt(max(energy * other, 1e-12)))
