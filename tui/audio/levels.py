"""Measures the loudness of blocks for a level meter with a falling bar and peak hold.

Levels are in dBFS: 0 is a full-scale square wave, so a full-scale sine has a peak of 0 and an RMS of -3.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np

from tui.audio.pcm import is_zero, samples_of
from tui.audio.plain import FLOOR_DBFS, FULL_SCALE, to_dbfs

FALL_DB_PER_S = 40.0
"""Rate at which a meter's bar falls, in dB per second."""
_KEPT_BLOCKS = 100
"""Number of blocks kept for a meter that is not read. The bar has fallen by the time older blocks are dropped."""
HOLD_MS = 1_500
"""How long a peak and the clipping indicator are held. The peak then falls like the bar."""


class Level(msgspec.Struct, frozen=True):
    """The peak and RMS of one block."""

    peak_dbfs: float
    rms_dbfs: float
    clipped_frames: int
    """Number of samples at full scale, positive or negative."""


_NOTHING = Level(FLOOR_DBFS, FLOOR_DBFS, 0)


class MeterReading(msgspec.Struct, frozen=True):
    """The state of a level meter at one time."""

    rms_dbfs: float
    held_peak_dbfs: float
    clipped: bool
    """Whether a sample was at full scale within the last `HOLD_MS`."""


def measure(pcm: bytes) -> Level:
    """Returns the loudness of a block of 16-bit samples; an empty block is silence."""
    if is_zero(pcm):
        return _NOTHING
    samples = samples_of(pcm)
    highest, lowest = int(samples.max()), int(samples.min())
    peak = max(highest, -lowest)
    # Floats are used, because the squares of 16-bit integers would overflow.
    values = samples.astype(np.float32)
    rms = math.sqrt(float(np.dot(values, values)) / len(values))
    clipped_frames = 0
    if peak >= FULL_SCALE - 1:
        clipped_frames = int(np.count_nonzero((samples == FULL_SCALE - 1) | (samples == -FULL_SCALE)))
    return Level(to_dbfs(peak), to_dbfs(rms), clipped_frames)


def _measure_all(blocks: Sequence[bytes]) -> list[Level]:
    """Returns the loudness of each block, computed in one pass for blocks of equal length."""
    if len({len(block) for block in blocks}) != 1 or not blocks[0]:
        return [measure(block) for block in blocks]
    samples = samples_of(b"".join(blocks)).reshape(len(blocks), -1)
    highest, lowest = np.maximum.reduce(samples, axis=1).tolist(), np.minimum.reduce(samples, axis=1).tolist()
    values = samples.astype(np.float32)
    powers = (np.add.reduce(values * values, axis=1) / samples.shape[1]).tolist()
    levels: list[Level] = []
    for index, power in enumerate(powers):
        peak = max(highest[index], -lowest[index])
        # Counted only if there are any, which is rare.
        clipped = measure(blocks[index]).clipped_frames if peak >= FULL_SCALE - 1 else 0
        levels.append(Level(to_dbfs(peak), to_dbfs(math.sqrt(power)), clipped))
    return levels


class LevelMeter:
    """Tracks the level between readings, so that no peak is missed even if readings are rare.

    Pass times as monotonic ns that never decrease. Not thread-safe.
    """

    def __init__(self) -> None:
        self._rms = _Falling(hold_ms=0)
        self._held = _Falling(hold_ms=HOLD_MS)
        self._clipped_ns: int | None = None
        self._fed = False
        # Measured when the meter is read, because measuring many blocks together takes little longer than
        # measuring one.
        self._unmeasured: deque[tuple[bytes, int]] = deque(maxlen=_KEPT_BLOCKS)

    def feed(self, pcm: bytes, at_ns: int) -> None:
        """Adds a block with the time ``at_ns``."""
        self._fed = True
        self._unmeasured.append((pcm, at_ns))

    def read(self, at_ns: int) -> MeterReading | None:
        """Returns the meter's state at ``at_ns``; None before the first block."""
        if not self._fed:
            return None
        self._measure()
        clipped = self._clipped_ns is not None and at_ns - self._clipped_ns <= HOLD_MS * 1_000_000
        return MeterReading(self._rms.at(at_ns), self._held.at(at_ns), clipped)

    def _measure(self) -> None:
        if not self._unmeasured:
            return
        blocks, times_ns = zip(*self._unmeasured, strict=True)
        self._unmeasured.clear()
        for level, at_ns in zip(_measure_all(blocks), times_ns, strict=True):
            self._rms.raise_to(level.rms_dbfs, at_ns)
            self._held.raise_to(level.peak_dbfs, at_ns)
            if level.clipped_frames:
                self._clipped_ns = at_ns


class _Falling:
    """A level that is held for ``hold_ms`` and then falls until it is exceeded."""

    def __init__(self, hold_ms: int) -> None:
        self._hold_ns = hold_ms * 1_000_000
        self._top_dbfs = FLOOR_DBFS
        self._since_ns = 0

    def raise_to(self, dbfs: float, at_ns: int) -> None:
        # Compared with the bar's current height, because a quieter sound may be above a peak that has fallen.
        if dbfs >= self.at(at_ns):
            self._top_dbfs, self._since_ns = dbfs, at_ns

    def at(self, at_ns: int) -> float:
        falling_ns = max(at_ns - self._since_ns - self._hold_ns, 0)
        return max(FLOOR_DBFS, self._top_dbfs - falling_ns * FALL_DB_PER_S / 1e9)
