"""WAV files: reads PCM of any kind and writes 16-bit mono.

The reader parses files itself, because the standard library's ``wave`` rejects float samples and,
before Python 3.12, the extensible header that many editors write.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from tui.audio.formats import AudioFormat, Encoding

if TYPE_CHECKING:
    # The protocols handle WAV headers in the screen's process, which never loads numpy. Numpy and modules
    # that use it are therefore imported only when samples are read.
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32] | NDArray[np.float64]

_TRAILERS = (b"LIST", b"id3 ", b"cue ")
"""Chunks that may follow the samples."""
_UNKNOWN_BYTES = 0xFFFF_FFFF
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
RATES = range(1_000, 768_001)
"""Plausible sample rates. A header with any other rate counts as damaged."""
_OTHER_FILES = {
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"FORM": "an AIFF file",
    b"ID3": "an MP3 file",
    **dict.fromkeys((b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2"), "an MP3 file"),
    b"RF64": "an RF64 file",
    b"caff": "a CAF file",
    b".snd": "an AU file",
}
"""Sound files that the package soundfile can read, by their first bytes."""
HEADER_BYTES = 44
_MAX_FORMAT_BYTES = 1024
_MAX_DATA_BYTES = 0xFFFF_FFFF - 36


class AudioFileError(Exception):
    """Raised if a sound file cannot be read or written. The message is one sentence for the user."""


class NotReadHere(AudioFileError):
    """Raised if a file is not a WAV file or has an unsupported sample format. Another reader may support the file."""


class _Header(NamedTuple):
    tag: int
    channels: int
    rate: int
    sample_bits: int
    mask: int
    """Positions of the channels; 0 if the file does not specify them."""


class _Closing(ABC):
    """Base class of files that are closed at the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Closes the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WavFile(_Closing):
    """A WAV file that is read in sections. Read a file from one thread at a time, and `close` it or use ``with``.

    Supports 8, 16, 24 and 32 bit PCM, 32 and 64 bit float and G.711, with a plain or an extensible header. A
    truncated file is read up to its end. A file that is still growing keeps the length that it had when it
    was opened.

    Raises `AudioFileError` if the file is missing, unreadable or without samples, and `NotReadHere` if its
    format is not supported.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            # Without O_NONBLOCK, opening a pipe would wait for a writer.
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise AudioFileError(f"{path} does not exist.") from error
        except OSError as error:
            raise AudioFileError(f"{path} cannot be read: {error.strerror or error}.") from error
        try:
            if stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
                raise AudioFileError(f"{path} is a pipe. Save its contents to a file first.")
            self._header, self._data_at, data_bytes = self._take_apart()
            self._frame_bytes = self._header.channels * max(self._header.sample_bits // 8, 1)
            self.frames = data_bytes // self._frame_bytes
            """Number of samples per channel."""
            if not self.frames:
                raise AudioFileError(f"{path} is a WAV file that contains no samples.")
            self.read(0, 1)
        except AudioFileError:
            self.close()
            raise

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return self._header.rate

    @property
    def channel_mask(self) -> int:
        """Bit mask of the channels' positions, as in WAVEFORMATEXTENSIBLE; 0 if the file does not specify them."""
        return self._header.mask

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self._header.channels

    def read(self, first_frame: int, frames: int) -> Floats:
        """Returns up to ``frames`` frames from ``first_frame`` on; fewer at the end of the file.

        Values are in -1..1, with one row per frame and one column per channel. Float values beyond full scale
        are clipped, and NaN becomes 0.
        """
        first_frame = min(max(first_frame, 0), self.frames)
        wanted_bytes = min(frames, self.frames - first_frame) * self._frame_bytes
        data = self._read_at(self._data_at + first_frame * self._frame_bytes, wanted_bytes)
        values = _to_values(self.path, self._header, data[: len(data) - len(data) % self._frame_bytes])
        if self._header.tag == _FLOAT:
            return _usable(values).reshape(-1, self._header.channels)
        return values.reshape(-1, self._header.channels)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _take_apart(self) -> tuple[_Header, int, int]:
        """Reads the header; returns the format, and the offset and size in bytes of the samples."""
        riff = self._read_at(0, 12)
        if not riff:
            raise AudioFileError(f"{self.path} is empty.")
        if riff[:4] != b"RIFF" or riff[8:12] != b"WAVE":
            raise _not_a_wav(self.path, riff)
        header: _Header | None = None
        at = 12
        while len(chunk := self._read_at(at, 8)) == 8:
            name, size_bytes = struct.unpack("<4sI", chunk)
            if name == b"fmt ":
                header = _read_header(self.path, self._read_at(at + 8, min(size_bytes, _MAX_FORMAT_BYTES)))
            elif name == b"data":
                if header is None:
                    break
                there_bytes = os.fstat(self._descriptor).st_size - at - 8
                # Streamed files declare 0 or the maximum size; all following bytes are the data.
                return header, at + 8, min(size_bytes or there_bytes, there_bytes)
            at += 8 + size_bytes + size_bytes % 2
        raise AudioFileError(f"{self.path} is an incomplete WAV file: its format or data chunk is missing.")

    def _read_at(self, offset_bytes: int, size_bytes: int) -> bytes:
        try:
            return os.pread(self._descriptor, size_bytes, offset_bytes)
        except OSError as error:
            raise AudioFileError(f"{self.path} cannot be read: {error.strerror or error}.") from error


def read_wav(path: str | Path, rate: int, advise: Callable[[str], object] = lambda _: None) -> bytes:
    """Returns the whole file as mono PCM at ``rate`` Hz, with its channels mixed down. Raises `AudioFileError`.

    Supports the formats of `WavFile`. With the package soundfile (an extra), also reads FLAC, Ogg, MP3, AIFF
    and compressed WAV files. A file that is already 16-bit mono at ``rate`` is returned unchanged. ``advise``
    receives a sentence if the channels cancel each other out.
    """
    from tui.audio.mix import cancels, mix
    from tui.audio.pcm import from_float
    from tui.audio.resample import resample_floats

    mask = 0
    try:
        with WavFile(path) as file:
            values, from_rate, mask = file.read(0, file.frames), file.rate, file.channel_mask
    except NotReadHere as error:
        values, from_rate = _read_by_soundfile(Path(path), error)
    mono = mix(values, mask)
    if cancels(values, mono):
        advise(
            f"The {values.shape[1]} channels of {Path(path).name} cancel each other out: their mix is nearly silent. "
            "Save one of them as a mono file."
        )
    return from_float(resample_floats(mono, from_rate, rate))


def _not_a_wav(path: Path, start: bytes) -> AudioFileError:
    for magic, kind in _OTHER_FILES.items():
        if start.startswith(magic):
            return NotReadHere(f"{path} is {kind}: convert it to WAV, or run `pip install soundfile`.")
    return AudioFileError(f"{path} is not a WAV file.")


def _read_by_soundfile(path: Path, refusal: NotReadHere) -> tuple[Floats, int]:
    """Returns the samples (one row per frame, one column per channel) and their rate."""
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package is installed without its library
        raise refusal from None
    try:
        values, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioFileError(f"{path} cannot be read: {error.error_string.rstrip('.')}.") from error
    if not len(values):
        raise AudioFileError(f"{path} is a sound file that contains no samples.")
    return _usable(values), rate


def _usable(values: Floats) -> Floats:
    """Clips float samples to full scale and replaces NaN with 0."""
    import numpy as np

    usable: Floats = np.clip(np.nan_to_num(values, nan=0.0), -1.0, 1.0)
    return usable


def _read_header(path: Path, body: bytes) -> _Header:
    if len(body) < 16:
        raise AudioFileError(f"{path} is an incomplete WAV file: its format chunk is truncated.")
    tag, channels, rate, _, _, sample_bits = struct.unpack_from("<HHIIHH", body)
    mask = 0
    if tag == _EXTENSIBLE and len(body) >= 26:
        mask, tag = struct.unpack_from("<IH", body, 20)
    if channels == 0 or rate not in RATES:
        raise AudioFileError(
            f"{path} is not a usable WAV file: its header states {channels} channels at {rate} Hz."
        )
    return _Header(tag, channels, rate, sample_bits, mask)


def _to_values(path: Path, header: _Header, data: bytes) -> Floats:
    """Converts the samples of a file to -1..1, still interleaved. An incomplete frame is dropped."""
    import numpy as np

    from tui.audio import g711
    from tui.audio.pcm import to_float

    match header.tag, header.sample_bits:
        case 1, 8:
            return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
        case 1, 16:
            return to_float(data)
        case 1, 24:
            padded = np.zeros((len(data) // 3, 4), np.uint8)
            padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            return padded.reshape(-1).view("<i4").astype(np.float64) / 2**31
        case 1, 32:
            return np.frombuffer(data, "<i4").astype(np.float64) / 2**31
        case 3, 32:
            return np.frombuffer(data, "<f4")
        case 3, 64:
            return np.frombuffer(data, "<f8")
        case 6, 8:
            return to_float(g711.decode_alaw(data))
        case 7, 8:
            return to_float(g711.decode_mulaw(data))
    kind = {_PCM: "PCM", _FLOAT: "float", _ALAW: "A-law", _MULAW: "mu-law"}.get(
        header.tag, f"type {header.tag:#06x}"
    )
    raise NotReadHere(
        f"{path} contains {header.sample_bits}-bit {kind} samples: convert it to 16-bit PCM, "
        "or run `pip install soundfile`."
    )


def wav_header(audio_format: AudioFormat, *, channels: int = 1, data_bytes: int = _UNKNOWN_BYTES) -> bytes:
    """Returns a WAV header of 44 bytes. Without ``data_bytes``, the header is for a stream of unknown length."""
    tag = {Encoding.PCM16: _PCM, Encoding.ALAW: _ALAW, Encoding.MULAW: _MULAW}[audio_format.encoding]
    sample_bytes = audio_format.encoding.sample_bytes
    frame_bytes = sample_bytes * channels
    rate = audio_format.rate
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame_bytes, frame_bytes, 8 * sample_bytes)
    # A stream declares the maximum size, which readers interpret as "until the end".
    riff_bytes = data_bytes if data_bytes == _UNKNOWN_BYTES else data_bytes + HEADER_BYTES - 8
    parts = (b"RIFF", riff_bytes, b"WAVE", b"fmt ", len(form), form, b"data", data_bytes)
    return struct.pack("<4sI4s4sI16s4sI", *parts)


def strip_wav_header(audio: bytes) -> tuple[bytes, bool]:
    """Removes the WAV header from ``audio``, if any; returns the samples, and whether there was a header.

    The length in the header is ignored (streams write 0 or the maximum), unless another part of the file
    follows the samples.
    """
    if audio[:4] != b"RIFF" or audio[8:12] != b"WAVE":
        return audio, False
    at = 12
    while at + 8 <= len(audio):
        name, size_bytes = struct.unpack_from("<4sI", audio, at)
        at += 8
        if name == b"data":
            end = at + size_bytes + size_bytes % 2
            return (audio[at : at + size_bytes] if audio[end : end + 4] in _TRAILERS else audio[at:]), True
        at += size_bytes + size_bytes % 2
    return audio, False


class WavWriter(_Closing):
    """Writes a 16-bit mono WAV file, which is valid after every write, so that a crash loses nothing.

    Not thread-safe; each write is passed to the operating system immediately. A pipe receives a WAV file of
    unknown length. If the pipe's reader falls far behind, writing fails instead of waiting. Raises
    `AudioFileError` if the file cannot be created or written.
    """

    def __init__(self, path: str | Path, rate: int) -> None:
        self.path = Path(path)
        self.rate = rate
        self.frames = 0
        """Number of frames written so far."""
        with self._sentence():
            # Unbuffered, because data that a full disk refused would otherwise be written again on closing.
            # O_NONBLOCK, because opening a pipe would wait for a reader, and a reader may stall during the
            # call.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self.path, flags, 0o666), "wb", buffering=0)
        self._streams = not self._file.seekable()
        try:
            if self._streams:
                with self._sentence():
                    self._write(wav_header(AudioFormat(Encoding.PCM16, rate)))
            self.write(b"")
        except AudioFileError:
            self._file.close()
            raise

    def write(self, pcm: bytes) -> None:
        """Appends whole samples. Raises `ValueError` if ``pcm`` ends in half a sample."""
        if len(pcm) % 2:
            raise ValueError(
                f"The audio has {len(pcm)} bytes, which is not a whole number of 16-bit samples."
            )
        if self._streams:
            with self._sentence():
                self._write(pcm)
            self.frames += len(pcm) // 2
            return
        data_bytes = self.frames * 2 + len(pcm)
        if data_bytes > _MAX_DATA_BYTES:
            raise AudioFileError(f"{self.path} is full: a WAV file cannot exceed 4 GB.")
        with self._sentence():
            # The header is written last, so that it never declares data that has not been written yet.
            self._write_at(HEADER_BYTES + self.frames * 2, pcm)
            self._write_at(0, wav_header(AudioFormat(Encoding.PCM16, self.rate), data_bytes=data_bytes))
        self.frames += len(pcm) // 2

    def close(self) -> None:
        """Closes the file. Can be called repeatedly."""
        with self._sentence():
            self._file.close()

    def _write_at(self, offset_bytes: int, content: bytes) -> None:
        self._file.seek(offset_bytes)
        self._write(content)

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            written: int | None = self._file.write(rest)
            if written is None:
                raise OSError(errno.EAGAIN, "the program that reads it is not keeping up")
            rest = rest[written:]

    @contextmanager
    def _sentence(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (
                "nothing is reading from this pipe" if error.errno == errno.ENXIO else error.strerror or error
            )
            raise AudioFileError(f"Cannot write to {self.path}: {reason}.") from error
