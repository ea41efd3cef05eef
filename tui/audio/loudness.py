"""Measures the loudness of the last few seconds of a track block by block, and finds where sounds begin and end."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from tui.audio.pcm import samples_of

BLOCK_MS = 10
_SLICES = 10
"""Number of slices per block. Loudness is measured per slice, so that edges are accurate to a millisecond."""
_LOUD_FACTOR = 2.5
"""A block counts as loud if its level exceeds the noise floor by this factor (8 dB)."""
_NOISE_PERCENTILE = 10
_LEAST_LOUD = 33.0
"""-60 dBFS, as an amplitude.

Quieter blocks are never loud; otherwise any ripple after digital silence would count.
"""
_HISTORY_MS = 5_000
_LOOK_BACK_MS = 250
_ONSET_PAUSE_BLOCKS = 3
"""Longest pause within the onset of a word, after its first sound (a stop consonant)."""


class Loudness:
    """Measures the RMS of 10 ms blocks, keeps five seconds of them, and decides which blocks are loud."""

    def __init__(self, rate: int) -> None:
        self.block_frames = rate * BLOCK_MS // 1000
        self._rms: deque[float] = deque(maxlen=_HISTORY_MS // BLOCK_MS)
        self._slice_rms: deque[NDArray[np.float32]] = deque(maxlen=_HISTORY_MS // BLOCK_MS)
        self._slice_starts = np.arange(_SLICES) * self.block_frames // _SLICES
        self._slice_frames = np.diff(self._slice_starts, append=self.block_frames)
        self._fed_frames = 0
        self._unmeasured: list[NDArray[np.int16]] = []
        # Measured on demand, because numpy takes as long for a second as for a block, and few blocks are
        # needed.
        self._unmeasured_frames = 0
        self._most_unmeasured_frames = rate

    def feed(self, pcm: bytes) -> None:
        """Adds 16-bit samples."""
        samples = samples_of(pcm)
        self._fed_frames += len(samples)
        self._unmeasured.append(samples)
        self._unmeasured_frames += len(samples)
        if self._unmeasured_frames >= self._most_unmeasured_frames:
            self._measure()

    @property
    def blocks(self) -> int:
        """Number of complete blocks so far."""
        return self._fed_frames // self.block_frames

    def _measure(self) -> None:
        if self._unmeasured_frames < self.block_frames:
            return
        samples = np.concatenate(self._unmeasured)
        count = len(samples) // self.block_frames
        blocks = samples[: count * self.block_frames].reshape(count, self.block_frames).astype(np.float32)
        # If the chunk size is not a multiple of 10 ms, the rest waits for the next chunk.
        self._unmeasured = [samples[count * self.block_frames :]]
        self._unmeasured_frames = len(self._unmeasured[0])
        squares = blocks * blocks
        self._rms.extend(np.sqrt(np.add.reduce(squares, axis=1) / self.block_frames).tolist())
        slices = np.add.reduceat(squares, self._slice_starts, axis=1)
        self._slice_rms.extend(np.sqrt(slices / self._slice_frames))

    def threshold(self) -> float:
        """Returns the RMS above which a block is loud, based on the noise floor of the last five seconds."""
        self._measure()
        if not self._rms:
            return _LEAST_LOUD
        # Not numpy's percentile: its first call loads many modules, which blocked the engine's loop for 100
        # ms.
        floor = sorted(self._rms)[(len(self._rms) - 1) * _NOISE_PERCENTILE // 100]
        return max(floor * _LOUD_FACTOR, _LEAST_LOUD)

    def rms(self, block: int) -> float:
        """Returns the RMS of block number ``block``; 0 if the block is incomplete or no longer kept."""
        self._measure()
        index = block - (self.blocks - len(self._rms))
        return self._rms[index] if 0 <= index < len(self._rms) else 0.0

    def edges_in(self, block: int, threshold: float | None = None) -> tuple[int, int]:
        """Returns the first loud frame of a block and the frame after the last, to the nearest millisecond.

        For a quiet block, returns the edges of the block. ``threshold`` defaults to the current threshold.
        """
        self._measure()
        begin, index = block * self.block_frames, block - (self.blocks - len(self._rms))
        loud = np.flatnonzero(self._slice_rms[index] > (threshold or self.threshold()))
        if not len(loud):
            return begin, begin + self.block_frames
        ends = np.append(self._slice_starts, self.block_frames)
        return begin + int(ends[loud[0]]), begin + int(ends[loud[-1] + 1])

    def onset_block(self, last: int) -> int | None:
        """Returns the first block of the sound that continues in block ``last``; searches 250 ms back."""
        threshold = self.threshold()
        found: int | None = None
        for block in range(last, last - _LOOK_BACK_MS // BLOCK_MS, -1):
            if self.rms(block) > threshold:
                found = block
            elif found is not None and found - block > _ONSET_PAUSE_BLOCKS:
                break
        return found

    def last_loud_block(self, last: int) -> int | None:
        """Returns the last loud block at or before ``last``; searches 250 ms back."""
        threshold = self.threshold()
        candidates = range(last, last - _LOOK_BACK_MS // BLOCK_MS, -1)
        return next((block for block in candidates if self.rms(block) > threshold), None)
