"""Writes the two tracks of a session to one WAV file.

The file is valid after every call to `extend`, even if the process dies.
"""

from __future__ import annotations

import os
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.pcm import is_zero, samples_of
from tui.audio.wav import HEADER_BYTES, wav_header

_FRAME_BYTES = 4
_MAX_FRAMES = (0xFFFF_FFFF - 36) // _FRAME_BYTES


class Channel(IntEnum):
    """Channels of the WAV file."""

    USER = 0
    AGENT = 1


class TracksFull(OSError):
    """The WAV file has reached its limit of 4 GB."""

    def __init__(self) -> None:
        super().__init__(0, "a WAV file cannot exceed 4 GB")


class StereoFile:
    """A WAV file of 16-bit stereo PCM.

    Samples may be written in any order; frames without samples are silent. Every write is passed to the
    operating system immediately. All methods may raise `OSError`. Not thread-safe.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self.rate = rate
        self.frames = 0
        """Number of frames according to the header."""
        self._written_frames = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._write_header(0)

    def put(self, channel: Channel, frame: int, pcm: bytes) -> None:
        """Writes samples of one track, starting at a frame; samples before the start of the file are dropped."""
        if frame < 0:
            pcm, frame = pcm[-2 * frame :], 0
        if is_zero(pcm) and frame >= self._written_frames:
            return  # beyond the end, the track is silent anyway
        if pcm:
            frames = self._read(frame, len(pcm) // 2)
            frames[:, channel] = samples_of(pcm)
            self._write(frame, frames)

    def clear(self, channel: Channel, frame: int) -> None:
        """Silences one track, starting at a frame."""
        frame = max(frame, 0)
        if (count := self._written_frames - frame) > 0:
            frames = self._read(frame, count)
            frames[:, channel] = 0
            self._write(frame, frames)

    def extend(self, frames: int) -> None:
        """Extends the file with silence to at least this many frames, and updates its header."""
        if frames > _MAX_FRAMES:
            raise TracksFull
        if frames > self._written_frames:
            os.ftruncate(self._fd, HEADER_BYTES + frames * _FRAME_BYTES)
            self._written_frames = frames
        if self._written_frames > self.frames:
            # The header is written last, so that it never counts frames that have not been written yet.
            self._write_header(self._written_frames)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)

    def _read(self, frame: int, count: int) -> NDArray[np.int16]:
        there = os.pread(self._fd, count * _FRAME_BYTES, HEADER_BYTES + frame * _FRAME_BYTES)
        return np.frombuffer(there.ljust(count * _FRAME_BYTES, b"\0"), "<i2").reshape(-1, 2).copy()

    def _write(self, frame: int, frames: NDArray[np.int16]) -> None:
        if frame + len(frames) > _MAX_FRAMES:
            raise TracksFull
        _write_all(self._fd, frames.tobytes(), HEADER_BYTES + frame * _FRAME_BYTES)
        self._written_frames = max(self._written_frames, frame + len(frames))

    def _write_header(self, frames: int) -> None:
        data_bytes = frames * _FRAME_BYTES
        _write_all(
            self._fd, wav_header(AudioFormat(Encoding.PCM16, self.rate), channels=2, data_bytes=data_bytes), 0
        )
        self.frames = frames


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    rest = memoryview(content)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
