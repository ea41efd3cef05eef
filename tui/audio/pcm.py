"""Converts between 16-bit PCM and numbers; the only module that scales, rounds and clips."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui.audio.plain import FULL_SCALE


def samples_of(pcm: bytes) -> NDArray[np.int16]:
    """Returns the samples as a read-only view of shape (n,). Raises `ValueError` if ``pcm`` ends in half a sample."""
    return np.frombuffer(pcm, "<i2")


def is_zero(pcm: bytes) -> bool:
    """Returns whether every sample is exactly 0 (digital silence)."""
    return pcm == bytes(len(pcm))


def to_float(pcm: bytes) -> NDArray[np.float32]:
    """Returns samples in -1..1 as an array of shape (n,).

    The conversion is exact: `from_float` restores the same bytes.
    """
    # Exact, because 16 bits fit into the 24-bit mantissa and the scale is a power of two.
    return samples_of(pcm).astype(np.float32) / np.float32(FULL_SCALE)


def from_float(values: NDArray[np.floating[Any]]) -> bytes:
    """Converts samples in -1..1 to PCM: rounds to the nearest value, clips at full scale, and replaces NaN with 0."""
    return _to_pcm(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=-1.0) * FULL_SCALE)


def with_gain(pcm: bytes, start: float, end: float) -> bytes:
    """Multiplies PCM by a gain that moves from ``start`` to ``end`` over the block, which avoids a click.

    Returns ``pcm`` itself if both gains are 1.
    """
    if start == end == 1.0:
        return pcm
    samples = samples_of(pcm)
    gain = np.linspace(start, end, num=len(samples), dtype=np.float32)
    return _to_pcm(samples * gain)


def _to_pcm(scaled: NDArray[np.floating[Any]]) -> bytes:
    whole: NDArray[np.int16] = np.clip(np.rint(scaled), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
    return whole.tobytes()


def frames_to_ns(frames: int, rate: int) -> int:
    """Returns the duration of ``frames`` at ``rate`` Hz, in ns."""
    return frames * 1_000_000_000 // rate


def ns_to_frames(duration_ns: int, rate: int) -> int:
    """Returns how many whole frames at ``rate`` Hz fit in ``duration_ns``."""
    return duration_ns * rate // 1_000_000_000
