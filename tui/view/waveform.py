"""Waveform: the outline of a session's two tracks, which arrives in parts and can be drawn at any width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


class Waveform:
    """Peaks of both tracks, one byte per bin of `bin_ms`. Does not load numpy. Not thread-safe."""

    def __init__(self) -> None:
        self.bin_ms = 0.0
        self.bins = 0
        """Number of bins of the whole recording; 0 until it is known."""
        self.known_bins = 0
        """Number of bins received so far, from the beginning."""
        self.version = 0
        """Version of the data; changes with every part received."""
        self._tracks: list[bytearray] = []

    def take(self, first_bin: int, bins: int, bin_ms: float, tracks: Sequence[bytes]) -> None:
        """Stores the peaks of each track from ``first_bin`` on.

        ``bins`` is the number of bins in the whole recording.
        """
        self.bins, self.bin_ms = bins, bin_ms
        if len(self._tracks) != len(tracks):
            self._tracks = [bytearray(bins) for _ in tracks]
        for whole, part in zip(self._tracks, tracks, strict=True):
            whole[first_bin : first_bin + len(part)] = part
        self.known_bins = first_bin + max(map(len, tracks), default=0)
        self.version += 1

    @property
    def duration_ms(self) -> float:
        """Duration of the recording; 0 until it is known."""
        return self.bins * self.bin_ms

    def columns(self, track: int, start_ms: float, end_ms: float, width: int) -> bytes:
        """Returns the loudness, 0 to 255, of each of ``width`` equal parts of a period; 0 for unknown parts.

        Loudness is the mean of the peaks, because their maximum would make a minute of speech look like a
        solid block. The result is never 0 if there is sound.
        """
        if track >= len(self._tracks) or not self.bin_ms or not width:
            return bytes(width)
        peaks, per_column = self._tracks[track], (end_ms - start_ms) / self.bin_ms / width
        first = start_ms / self.bin_ms
        edges = [min(max(int(first + per_column * column), 0), self.bins) for column in range(width + 1)]
        # A column narrower than a bin shows the bin that contains it.
        return bytes(_loudness(peaks[left : max(right, left + 1)]) for left, right in pairwise(edges))


def _loudness(peaks: bytearray) -> int:
    return sum(peaks) // len(peaks) or int(any(peaks)) if peaks else 0
