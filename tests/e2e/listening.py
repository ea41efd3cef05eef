"""Finds played audio in recorded audio, sample by sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.e2e.conftest import RATE
from tui.audio.wav import read_wav

Samples = NDArray[np.int16]
ONE_BLOCK = RATE * 20 // 1000


def samples(path: Path) -> Samples:
    return np.frombuffer(read_wav(path, RATE), "<i2")


def gaps_in(heard: Samples, played: Samples, rate: int) -> list[int]:
    """Returns the lengths, in samples, of silence inserted into ``played``.

    Raises `AssertionError` if a sample of it is missing or changed.
    """
    position = _begin(heard, played)
    done = 0
    gaps: list[int] = []
    while done < len(played):
        same = _common(heard[position:], played[done:])
        done, position = done + same, position + same
        if done == len(played):
            break
        gap = _silence(heard[position:], played[done:])
        assert gap, f"sample {done} of {len(played)} ({done / rate:.3f} s) was not heard"
        gaps.append(gap)
        position += gap
    return gaps


def _begin(heard: Samples, played: Samples) -> int:
    """Returns where ``played`` begins, using its first loud 100 ms."""
    loud = int(np.argmax(np.abs(played.astype(np.int32)) > 500))
    probe = played[loud : loud + 320].tobytes()
    found = heard.tobytes().find(probe)
    while found % 2 and found >= 0:
        found = heard.tobytes().find(probe, found + 1)
    assert found >= 0, "its beginning was not heard"
    begin = found // 2 - loud
    # Everything before that is quiet and may follow a gap, so go back over the quiet beginning itself.
    assert begin >= 0
    return begin


def _common(a: Samples, b: Samples) -> int:
    length = min(len(a), len(b))
    different = np.flatnonzero(a[:length] != b[:length])
    return int(different[0]) if len(different) else length


def _silence(heard: Samples, rest: Samples) -> int:
    """Returns how many zeros precede the continuation of ``rest`` in ``heard``; 0 if it does not continue."""
    nonzero = np.flatnonzero(heard)
    silent = int(nonzero[0]) if len(nonzero) else len(heard)
    probe = rest[:320]
    for length in range(1, silent + 1):
        if np.array_equal(heard[length : length + len(probe)], probe):
            return length
    return 0


def likeness(heard: Samples, played: Samples) -> float:
    """Returns the best normalized correlation of ``played`` with ``heard`` over all positions, 0..1.

    Use it for audio that was encoded or resampled, whose samples cannot be equal.
    """
    a, b = heard.astype(np.float64), played.astype(np.float64)
    size = 1 << (len(a) + len(b)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[: len(a) - len(b)]
    energy = np.cumsum(np.concatenate([[0.0], a * a]))
    windows = energy[len(b) : len(b) + len(correlation)] - energy[: len(correlation)]
    scale = np.sqrt(np.maximum(windows, 1.0) * np.dot(b, b))
    return float(np.max(correlation / scale))
