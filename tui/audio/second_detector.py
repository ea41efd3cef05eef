"""Detects sound on a track independently, from its spectrum, to check the edges that the first detector found.

This detector shares nothing with `tui.audio.speech` and `tui.audio.loudness`: no network, block levels or
thresholds. Each band between 100 Hz and 8 kHz is compared with its noise floor over the whole section. The
first detector runs live, so it cannot know this noise floor.

An edge is an interval, not a single time. If a sound fades into noise, its end lies between the last frame
that is clearly sound and the last frame that may be sound. The test `tests/audio/test_second_detector.py`
compares both detectors on the recorded lines and prompts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_HOP_MS, _WINDOW_MS = 4, 16
_BANDS_HZ = (100, 300, 500, 700, 1000, 1400, 1900, 2600, 3400, 4600, 6200, 7900)
_LOUDEST_BANDS = 3
"""Number of loudest bands to average.

Voices are loudest in low bands and hisses in high bands; the mean detects both.
"""
_FLOOR_PERCENTILE = 15
_LEAST_POWER = 4.0
"""Smallest noise floor, as a squared sample value per band.

Without it, any ripple would rise above digital silence.
"""
_MAYBE, _SURE, _CLEAR = 2.2, 4.5, 5.0
"""Thresholds in powers of two above the floor: possibly sound, sound if it lasts, and clearly sound."""
_LEAST_SOUND_MS = 40
_JOINED_MS = 60
"""Longest quiet period within a word (a stop consonant), which never separates two sounds."""
_PAUSE_MS = 400
"""Length of a quiet period that ends a sound.

Shorter than the first detector's 500 ms, because a pause appears shorter to that detector's windows."""

_Floats = NDArray[np.float32]


class SoundFound(NamedTuple):
    """A sound between two pauses. Times are in ms from the beginning of the section."""

    may_begin_ms: float
    begins_ms: float
    """The sound begins between these two times."""
    ends_ms: float
    may_end_ms: float
    """The sound ends between these two times."""

    @property
    def length_ms(self) -> float:
        """Length of the part that is clearly sound."""
        return self.ends_ms - self.begins_ms


def sounds_in(pcm: bytes, rate: int) -> list[SoundFound]:
    """Returns the sounds in a section of 16-bit samples, in order.

    Takes about 1.3 ms per second of audio. The section should include a pause; otherwise, the quietest parts
    of the sound count as the noise floor.
    """
    ratios = _over_the_floor(np.frombuffer(pcm, "<i2").astype(np.float32), rate)
    found = _joined(_runs(ratios > _MAYBE), _JOINED_MS)
    lasting = [
        run for run in found if np.count_nonzero(ratios[slice(*run)] > _SURE) * _HOP_MS >= _LEAST_SOUND_MS
    ]
    return [_sound(ratios, begin, end) for begin, end in _joined(lasting, _PAUSE_MS)]


def _over_the_floor(samples: _Floats, rate: int) -> _Floats:
    """Returns how far the loudest bands exceed their noise floors, in powers of two; shape (hops,)."""
    window_frames, hop_frames = rate * _WINDOW_MS // 1000, rate * _HOP_MS // 1000
    if len(samples) < window_frames:
        return np.empty(0, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, window_frames)[::hop_frames]
    shape = np.hanning(window_frames).astype(np.float32)
    power = np.abs(np.fft.rfft(windows * shape, axis=1)) ** 2 / float(shape @ shape)
    lines_hz = np.fft.rfftfreq(window_frames, 1 / rate)
    first_lines = np.searchsorted(lines_hz, [hz for hz in _BANDS_HZ if hz <= rate / 2])
    widths = np.diff(first_lines)
    bands = np.add.reduceat(power[:, : first_lines[-1]], first_lines[:-1], axis=1) / widths
    floors = np.maximum(np.percentile(bands, _FLOOR_PERCENTILE, axis=0), _LEAST_POWER)
    ratios = np.log2(np.maximum(bands / floors, 1e-3))
    loudest = np.sort(ratios, axis=1)[:, -_LOUDEST_BANDS:].mean(axis=1)
    return np.convolve(loudest, np.full(3, 1 / 3), "same").astype(np.float32)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns the intervals in which a mask is true, each as its first index and the index after its last."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))


def _joined(runs: list[tuple[int, int]], pause_ms: int) -> list[tuple[int, int]]:
    """Joins intervals that are separated by a pause of at most ``pause_ms``."""
    joined: list[tuple[int, int]] = []
    for begin, end in runs:
        if joined and (begin - joined[-1][1]) * _HOP_MS <= pause_ms:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((begin, end))
    return joined


def _sound(ratios: _Floats, begin: int, end: int) -> SoundFound:
    clear = np.flatnonzero(ratios[begin:end] > _CLEAR) + begin
    # A sound without a clear hop counts because of its length. Either edge may lie anywhere in the sound.
    first, last = (int(clear[0]), int(clear[-1])) if len(clear) else (end - 1, begin)
    return SoundFound(_ms(begin), _ms(max(first, begin)), _ms(min(last, end - 1) + 1), _ms(end))


def _ms(hop: int) -> float:
    """Returns the time in ms at which a hop begins. Hops are centered in their windows."""
    return hop * _HOP_MS + (_WINDOW_MS - _HOP_MS) / 2
