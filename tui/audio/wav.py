"""WAV files: any PCM in, 16-bit mono out.

The reader takes the file apart itself. The standard library's ``wave`` refuses float samples always, and the
extensible header, which many editors write, before Python 3.12.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tui.audio import g711
from tui.audio.pcm import from_float, to_float
from tui.audio.resample import resample_floats

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_RATES = range(1_000, 768_001)
_HEADER_BYTES = 44
_MAX_DATA_BYTES = 0xFFFF_FFFF - 36


class AudioFileError(Exception):
    """A sound file that cannot be read or written; the text is one sentence for the user."""


class _Header(NamedTuple):
    tag: int
    channels: int
    rate: int
    sample_bits: int


def read_wav(path: str | Path, rate: int) -> bytes:
    """The whole file as mono PCM at ``rate`` Hz, channels mixed down.

    Reads 8, 16, 24 and 32 bit PCM, 32 and 64 bit float and G.711, plain or with the extensible header. A file
    that was cut off gives what is there. 16-bit mono at ``rate`` comes back bit for bit.

    Raises `AudioFileError`: missing, unreadable, not a WAV, unsupported, or without a sample in it.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise AudioFileError(f"There is no file {path}.") from error
    except OSError as error:
        raise AudioFileError(f"{path} cannot be read: {error.strerror or error}.") from error
    header, data = _take_apart(path, content)
    values = _to_values(path, header, data)
    if not len(values):
        raise AudioFileError(f"{path} is a WAV file without a single sample in it.")
    mono = values.reshape(-1, header.channels).mean(axis=1) if header.channels > 1 else values
    # Float files may hold anything; one infinite sample would spread over the whole filter.
    bounded = np.clip(np.nan_to_num(mono, nan=0.0), -1.0, 1.0).astype(np.float32)
    return from_float(resample_floats(bounded, header.rate, rate))


def _take_apart(path: Path, content: bytes) -> tuple[_Header, bytes]:
    """The format and the raw data of a RIFF file."""
    if not content:
        raise AudioFileError(f"{path} is empty.")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise AudioFileError(f"{path} is not a WAV file.")
    header: _Header | None = None
    at = 12
    while at + 8 <= len(content):
        name, size_bytes = struct.unpack_from("<4sI", content, at)
        body = content[at + 8 : at + 8 + size_bytes]
        if name == b"fmt ":
            header = _read_header(path, body)
        elif name == b"data":
            if header is None:
                break
            # Streamed files declare 0 or the largest size there is: what follows is the data.
            return header, content[at + 8 :] if size_bytes == 0 else body
        at += 8 + size_bytes + size_bytes % 2
    raise AudioFileError(f"{path} is not a whole WAV file: its format or its data is missing.")


def _read_header(path: Path, body: bytes) -> _Header:
    if len(body) < 16:
        raise AudioFileError(f"{path} is not a whole WAV file: its format chunk is cut short.")
    tag, channels, rate, _, _, sample_bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= 26:
        (tag,) = struct.unpack_from("<H", body, 24)
    if channels == 0 or rate not in _RATES:
        raise AudioFileError(f"{path} is not a usable WAV file: it claims {channels} channels at {rate} Hz.")
    return _Header(tag, channels, rate, sample_bits)


def _to_values(path: Path, header: _Header, data: bytes) -> NDArray[np.float64] | NDArray[np.float32]:
    """Interleaved samples in -1..1, whole frames only."""
    frame_bytes = header.channels * max(header.sample_bits // 8, 1)
    data = data[: len(data) - len(data) % frame_bytes]
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
    raise AudioFileError(
        f"{path} holds {header.sample_bits}-bit {kind} samples, which are not supported; "
        "convert it to 16-bit PCM first."
    )


class WavWriter:
    """A 16-bit mono WAV file that is whole and valid after every write, so that a crash loses nothing.

    For one thread; each write goes to the operating system at once.
    Raises `AudioFileError` when the file cannot be made or written.
    """

    def __init__(self, path: str | Path, rate: int) -> None:
        self.path = Path(path)
        self.rate = rate
        self.frames = 0
        """Frames written so far."""
        with self._sentence():
            # Unbuffered, or what a full disk refused would be tried again on closing.
            self._file = self.path.open("wb", buffering=0)
        try:
            self.write(b"")
        except AudioFileError:
            self._file.close()
            raise

    def write(self, pcm: bytes) -> None:
        """Append whole samples. Raises `ValueError` on half a sample."""
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes are not whole 16-bit samples")
        data_bytes = self.frames * 2 + len(pcm)
        if data_bytes > _MAX_DATA_BYTES:
            raise AudioFileError(f"{self.path} is full: a WAV file ends at 4 GB.")
        riff = struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE")
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, self.rate, self.rate * 2, 2, 16)
        with self._sentence():
            # The header last: it never promises what is not there yet.
            self._write_at(_HEADER_BYTES + self.frames * 2, pcm)
            self._write_at(0, riff + form + struct.pack("<4sI", b"data", data_bytes))
        self.frames += len(pcm) // 2

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        with self._sentence():
            self._file.close()

    def _write_at(self, offset_bytes: int, content: bytes) -> None:
        self._file.seek(offset_bytes)
        rest = memoryview(content)
        while rest:
            rest = rest[self._file.write(rest) :]

    @contextmanager
    def _sentence(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AudioFileError(f"{self.path} cannot be written: {error.strerror or error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
