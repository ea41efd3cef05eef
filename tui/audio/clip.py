"""Clip: reads a section of a recording piece by piece, for playback at a chosen speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tui.audio.formats import AudioFormat, StreamDecoder
from tui.audio.pcm import from_float, to_float
from tui.audio.resample import FloatResampler
from tui.audio.wav import WavFile

PIECE_MS = 100
SLOWEST, FASTEST = 0.25, 4.0


class Clip:
    """A section of a recording, which can be read once. Use a clip from one thread at a time, and close it.

    A change of speed also changes the pitch, as on a tape.
    """

    def __init__(
        self,
        read: Callable[[int, int], NDArray[np.float32]],
        rate: int,
        frames: int,
        *,
        start_ms: float = 0.0,
        end_ms: float | None = None,
        speed: float = 1.0,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.rate = rate
        """Sample rate of the audio that `next_piece` returns, in Hz."""
        self.speed = min(max(speed, SLOWEST), FASTEST)
        self.close = close
        self._read = read
        self._next_frame = self._first_frame = min(max(round(start_ms * rate / 1000), 0), frames)
        self._end_frame = frames if end_ms is None else min(max(round(end_ms * rate / 1000), 0), frames)
        as_if_rate = round(rate * self.speed)
        self._resampler = None if as_if_rate == rate else FloatResampler(as_if_rate, rate)

    def next_piece(self) -> bytes | None:
        """Returns the next piece of mono PCM, which may be empty; None after the end. Raises `AudioFileError`."""
        if self._next_frame >= self._end_frame:
            # The resampler holds back the last few milliseconds until it is finished.
            resampler, self._resampler = self._resampler, None
            return from_float(resampler.finish()) if resampler else None
        wanted_frames = min(self.rate * PIECE_MS // 1000, self._end_frame - self._next_frame)
        values = self._read(self._next_frame, wanted_frames)
        # A truncated file has fewer frames than its header states, so the clip ends where reading ends.
        self._next_frame = self._next_frame + len(values) if len(values) == wanted_frames else self._end_frame
        return from_float(self._resampler.feed(values) if self._resampler else values)

    def ms_at(self, given_frame: int) -> float:
        """Returns the position in the recording, in ms, of frame number ``given_frame`` of the clip's output."""
        return min(self._first_frame + given_frame * self.speed, self._end_frame) * 1000 / self.rate


def wav_clip(
    path: str | Path, *, track: int | None, start_ms: float, end_ms: float | None, speed: float
) -> Clip:
    """Returns a clip from a WAV file: one track (counted from 0) or a mix of all tracks. Raises `AudioFileError`."""
    file = WavFile(path)

    def read(first_frame: int, frames: int) -> NDArray[np.float32]:
        values = file.read(first_frame, frames)
        # Added, like voices in a room. A mean would halve the level of a party that speaks alone.
        mono = values.sum(axis=1) if track is None else values[:, min(track, file.channels - 1)]
        return mono.astype(np.float32)

    return Clip(read, file.rate, file.frames, start_ms=start_ms, end_ms=end_ms, speed=speed, close=file.close)


def wire_clip(
    wire: bytes, audio_format: AudioFormat, *, start_ms: float, end_ms: float | None, speed: float
) -> Clip:
    """Returns a clip of audio in its wire format. An incomplete sample at the end is dropped."""
    values = to_float(StreamDecoder(audio_format).feed(wire))
    return Clip(
        lambda first_frame, frames: values[first_frame : first_frame + frames],
        audio_format.rate,
        len(values),
        start_ms=start_ms,
        end_ms=end_ms,
        speed=speed,
    )
