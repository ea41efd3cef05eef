"""SavedAudio: the two tracks of a saved session, read piece by piece. Does not load numpy."""

from __future__ import annotations

import os
import wave
from array import array
from pathlib import Path
from typing import IO, NamedTuple

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import RATES, wav_header

_FRAME_BYTES = 4


class TrackPair(NamedTuple):
    """The same frames from both tracks, as 16-bit mono PCM."""

    user: bytes
    agent: bytes


class SavedAudio:
    """Reads ``audio.wav``: the user's audio as sent on the left, the agent's audio as played on the right.

    Not thread-safe.
    """

    def __init__(self, file: IO[bytes], path: Path, starts_ns: int) -> None:
        """Reads from the open ``file``, whose path is ``path``. Raises `wave.Error`, `EOFError` or `OSError`."""
        self.path = path
        self._file = file
        with wave.open(file) as header:
            if (header.getnchannels(), header.getsampwidth()) != (2, 2):
                raise wave.Error("it is not 16-bit stereo")
            self.rate: int = header.getframerate()
            self.promised_frames: int = header.getnframes()
            """Number of frames according to the header."""
            self._data_at = file.tell()
        if self.rate not in RATES:
            raise wave.Error(f"its header states {self.rate} samples per second")
        there_bytes = os.fstat(file.fileno()).st_size - self._data_at
        self.frames: int = min(self.promised_frames, there_bytes // _FRAME_BYTES)
        """Number of frames that can be read; the owner may lower this number."""
        self.starts_ns = starts_ns
        """Time of the first sample, on the clock of the events."""

    def read(self, first_frame: int, frames: int) -> TrackPair:
        """Reads up to ``frames`` frames, starting at ``first_frame``."""
        content = self._read(first_frame, frames)
        both = array("h", content[: len(content) // _FRAME_BYTES * _FRAME_BYTES])
        return TrackPair(both[0::2].tobytes(), both[1::2].tobytes())

    def wav(self) -> bytes:
        """Returns both tracks as a plain WAV file."""
        samples = self._read(0, self.frames)
        form = AudioFormat(Encoding.PCM16, self.rate)
        return wav_header(form, channels=2, data_bytes=len(samples)) + samples

    def _read(self, first_frame: int, frames: int) -> bytes:
        # Does not use `wave`, which stops reading if the header contains a wrong file length.
        first_frame = min(max(first_frame, 0), self.frames)
        wanted_bytes = min(max(frames, 0), self.frames - first_frame) * _FRAME_BYTES
        return os.pread(self._file.fileno(), wanted_bytes, self._data_at + first_frame * _FRAME_BYTES)

    def frame_at(self, at_ns: int) -> int:
        """Returns the frame number for a time, which may lie outside the tracks."""
        return (at_ns - self.starts_ns) * self.rate // 1_000_000_000

    def ns_at(self, frame: int) -> int:
        """Returns the time of a frame."""
        return self.starts_ns + frame * 1_000_000_000 // self.rate

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
