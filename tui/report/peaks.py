"""Waveforms as a page draws them: the least and the greatest sample of every few milliseconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tui.audio.pcm import samples_of
from tui.saving.saved_audio import SavedAudio

FINEST_MS = 10
MOST_BINS = 360_000
"""An hour at the finest."""
_BINS_AT_ONCE = 3_000


def bin_ms(audio: SavedAudio) -> int:
    """How much sound one pair of peaks stands for."""
    length_ms = audio.frames * 1000 / audio.rate
    return max(FINEST_MS, -(-int(length_ms) // MOST_BINS))


def track_peaks(audio: SavedAudio) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """User and agent: pairs of least and greatest sample, -127..127, one pair for every `bin_ms`."""
    bin_frames = audio.rate * bin_ms(audio) // 1000
    user, agent = [], []
    for first in range(0, audio.frames, bin_frames * _BINS_AT_ONCE):
        pair = audio.read(first, bin_frames * _BINS_AT_ONCE)
        user.append(_peaks(pair.user, bin_frames))
        agent.append(_peaks(pair.agent, bin_frames))
    nothing = np.empty((0, 2), np.int8)
    return np.concatenate([nothing, *user]), np.concatenate([nothing, *agent])


def _peaks(pcm: bytes, bin_frames: int) -> NDArray[np.int8]:
    samples = samples_of(pcm)
    bins = np.pad(samples, (0, -len(samples) % bin_frames)).reshape(-1, bin_frames)
    # Rounded away from zero: what is not silence is to be seen.
    extremes = np.stack([bins.min(axis=1), bins.max(axis=1)], axis=1) / 258
    return (np.sign(extremes) * np.ceil(np.abs(extremes))).astype(np.int8)
