"""Computes the outline of a recording: the peak in every 10 ms of each track."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.audio.wav import WavFile

BIN_MS = 10
_STRETCH_S = 60


class Outline(msgspec.Struct, frozen=True):
    """The peaks of consecutive 10 ms bins on every track."""

    first_bin: int
    bins: int
    """Number of bins in the whole recording."""
    bin_ms: float
    tracks: tuple[bytes, ...]
    """One byte per bin and track; 255 is full scale."""


def outline_of(file: WavFile, max_frames: int | None = None) -> Iterator[Outline]:
    """Yields the outline of a file minute by minute, so that a long recording can be drawn while it is read.

    ``max_frames`` limits the outline to the start of the file. Raises `AudioFileError`.
    """
    bin_frames = max(round(file.rate * BIN_MS / 1000), 1)
    frames = file.frames if max_frames is None else min(file.frames, max_frames)
    bins = -(-frames // bin_frames)
    # Whole bins per read, so that no bin is split between two reads.
    stretch_bins = _STRETCH_S * 1000 // BIN_MS
    for first_bin in range(0, bins, stretch_bins):
        values = file.read(first_bin * bin_frames, stretch_bins * bin_frames)
        tracks = tuple(_peaks(values[:, track], bin_frames) for track in range(file.channels))
        yield Outline(first_bin, bins, bin_frames * 1000 / file.rate, tracks)


def _peaks(values: NDArray[np.floating[Any]], bin_frames: int) -> bytes:
    whole = np.zeros(-(-len(values) // bin_frames) * bin_frames, np.float32)
    whole[: len(values)] = values
    # The loudest sample rather than the mean, because means would hide clicks and clipping.
    loudest = np.abs(whole).reshape(-1, bin_frames).max(axis=1)
    return bytes(np.rint(loudest * 255).astype(np.uint8))
