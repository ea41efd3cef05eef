"""Determines what was really heard and when, from the recorded tracks, by correlation or sample by sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.call_parts.devices import RATE, Samples

AUDIBLE_RMS = 32.8
"""-60 dBFS as an amplitude: a louder millisecond counts as audible."""
_MS = RATE // 1000
_CLEAR_RMS, _SMOOTHED_MS = 4 * AUDIBLE_RMS, 10
LIKE_ENOUGH = 0.9
_TOLD = 12


def audible(samples: Samples) -> tuple[int, int]:
    """Returns the first audible frame and the frame after the last audible one, to the millisecond."""
    whole = samples[: len(samples) // _MS * _MS].astype(np.float64).reshape(-1, _MS)
    loud = np.flatnonzero(np.sqrt(np.mean(whole * whole, axis=1)) > AUDIBLE_RMS)
    return int(loud[0]) * _MS, (int(loud[-1]) + 1) * _MS


def ended_sharply(samples: Samples) -> Samples:
    """Returns the samples cut where they are last clearly audible.

    A sound that fades through the threshold has no definite end: for one of the words in `turns`, judging
    single milliseconds or blocks of ten made a difference of 13 to 21 ms.
    """
    whole = samples[: len(samples) // _MS * _MS].astype(np.float64).reshape(-1, _MS)
    smoothed = np.sqrt(np.convolve(np.mean(whole * whole, axis=1), np.full(_SMOOTHED_MS, 1 / _SMOOTHED_MS)))
    return samples[: int(np.flatnonzero(smoothed[: len(whole)] > _CLEAR_RMS)[-1] + 1) * _MS]


def find(track: Samples, probe: Samples, start: int = 0, end: int | None = None) -> int | None:
    """Returns where ``probe`` begins in ``track[start:end]``, by normalized correlation; None if it is not found."""
    a, b = track[max(start, 0) : end].astype(np.float64), probe.astype(np.float64)
    if len(a) < len(b):
        return None
    size = 1 << (len(a) + len(b)).bit_length()
    lags = len(a) - len(b) + 1
    correlation = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[:lags]
    energy = np.concatenate([[0.0], np.cumsum(a * a)])
    windows = energy[len(b) :][:lags] - energy[:lags]
    likeness = correlation / np.sqrt(np.maximum(windows, 1.0) * np.dot(b, b))
    best = int(np.argmax(likeness))
    return max(start, 0) + best if likeness[best] >= LIKE_ENOUGH else None


def silent_from(track: Samples, start: int, least_frames: int = 60 * _MS) -> int | None:
    """Returns the first frame from ``start`` on where enough digital silence begins; None if there is none."""
    nonzero = np.flatnonzero(track[start:]) + start
    if not len(nonzero) or nonzero[0] - start > least_frames:
        return start
    gaps = np.flatnonzero(np.diff(nonzero) > least_frames)
    return int(nonzero[gaps[0] if len(gaps) else -1]) + 1


class Account(NamedTuple):
    """The result of comparing sent samples with received samples one by one."""

    sent: int
    lost: int
    """Number of samples not found where they were due; a changed sample counts as lost."""
    gaps: list[tuple[int, int]]
    """Inserted silence: the sample that it precedes, and its length in frames."""
    holes: list[tuple[int, int]]
    """Missing samples: the first, and their number."""

    @property
    def gap_ms(self) -> float:
        """Total length of the inserted silence in ms."""
        return sum(frames for _, frames in self.gaps) * 1000 / RATE

    def told(self) -> str:
        """Describes the differences, with their times in seconds from the first sample."""
        holes = ", ".join(f"{frames} at {at / RATE:.2f} s" for at, frames in self.holes[:_TOLD]) or "none"
        gaps = ", ".join(
            f"{frames * 1000 / RATE:.0f} ms at {at / RATE:.2f} s" for at, frames in self.gaps[:_TOLD]
        )
        return f"{self.lost} lost ({holes}); {len(self.gaps)} gaps ({gaps or 'none'})"


def account(sent: Samples, heard: Samples) -> Account:
    """Traces ``sent`` through ``heard``.

    No sample in ``sent`` may be zero, and every hundred samples must be unique.
    """
    position, done = int(np.argmax(heard != 0)), 0
    gaps: list[tuple[int, int]] = []
    holes: list[tuple[int, int]] = []
    while True:
        same = _common(heard[position:], sent[done:])
        position, done = position + same, done + same
        if done == len(sent):
            break
        if silence := _zeros(heard[position:]):
            gaps.append((done, silence))
            position += silence
            continue
        skipped = _resume(heard[position:], sent[done:])
        holes.append((done, len(sent) - done if skipped is None else skipped))
        if skipped is None:
            break
        done += skipped
    return Account(len(sent), sum(frames for _, frames in holes), gaps, holes)


def _common(a: Samples, b: Samples) -> int:
    """Returns the number of equal samples at the beginning."""
    length = min(len(a), len(b))
    for start in range(0, length, 1 << 16):
        stop = min(start + (1 << 16), length)
        different = np.flatnonzero(a[start:stop] != b[start:stop])
        if len(different):
            return start + int(different[0])
    return length


def _zeros(heard: Samples) -> int:
    ends = np.flatnonzero(heard[: 1 << 16])
    if len(ends):
        return int(ends[0])
    rest = np.flatnonzero(heard)
    return int(rest[0]) if len(rest) else len(heard)


def _resume(heard: Samples, sent: Samples) -> int | None:
    """Returns how many samples of ``sent`` are missing before it continues like ``heard``; None if it does not."""
    probe, data = heard[:100].tobytes(), sent[: 60 * RATE].tobytes()
    if len(probe) < 200:
        return None
    found = data.find(probe)
    while found % 2 and found >= 0:
        found = data.find(probe, found + 1)
    return found // 2 if found >= 0 else None
