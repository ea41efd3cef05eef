"""SavedAudio: the two tracks of a saved session, read piece by piece. Loads no numpy."""

from __future__ import annotations

import io
import os
import wave
from array import array
from pathlib import Path
from typing import IO, NamedTuple


class TrackPair(NamedTuple):
    """The same frames of both tracks, 16-bit mono PCM."""

    user: bytes
    agent: bytes


class SavedAudio:
    """``audio.wav``: the user as sent on the left, the agent as played on the right. For one thread."""

    def __init__(self, file: IO[bytes], path: Path, starts_ns: int) -> None:
        """Read from an open file; ``path`` is its name. Raises `wave.Error`, `EOFError` or `OSError`."""
        self.path = path
        self._file = file
        self._wave = wave.open(file)  # noqa: SIM115 - open for as long as this object
        if (self._wave.getnchannels(), self._wave.getsampwidth()) != (2, 2):
            raise wave.Error("it is not 16-bit stereo")
        self.rate: int = self._wave.getframerate()
        self.promised_frames: int = self._wave.getnframes()
        """Number of frames by the header."""
        there_bytes = os.fstat(file.fileno()).st_size - file.tell()
        self.frames: int = min(self.promised_frames, there_bytes // 4)
        self.starts_ns = starts_ns
        """Time of the first sample, on the clock of the events."""

    def read(self, first_frame: int, frames: int) -> TrackPair:
        """Read these frames, as far as they exist."""
        self._wave.setpos(min(max(first_frame, 0), self.frames))
        content = self._wave.readframes(frames)
        both = array("h", content[: len(content) // 4 * 4])
        return TrackPair(both[0::2].tobytes(), both[1::2].tobytes())

    def wav(self) -> bytes:
        """Both tracks as a plain WAV file."""
        self._wave.rewind()
        content = io.BytesIO()
        with wave.open(content, "wb") as file:
            file.setparams((2, 2, self.rate, self.frames, "NONE", ""))
            file.writeframes(self._wave.readframes(self.frames))
        return content.getvalue()

    def frame_at(self, at_ns: int) -> int:
        """The frame at a time; may lie outside the tracks."""
        return (at_ns - self.starts_ns) * self.rate // 1_000_000_000

    def ns_at(self, frame: int) -> int:
        """The time of a frame."""
        return self.starts_ns + frame * 1_000_000_000 // self.rate

    def close(self) -> None:
        """Close the file."""
        self._wave.close()
        self._file.close()
