"""Converts the byte order of samples, and detects audio that does not match its stated encoding."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

from tui.audio.formats import AudioFormat, Encoding

if TYPE_CHECKING:
    from tui.protocols.telephony.dialect import Sizes

_SNIFFED_SAMPLES = 80
_ROUGHER = 4
_LEAST_HIGH_BYTES = 8
_LOUD_PADDING = (b"\x00" * 40, b"\x80" * 40)
"""5 ms of bytes that are silence in PCM but full scale in mu-law. Servers that confuse the two send such bytes."""


class ByteOrder:
    """Swaps the bytes of 16-bit samples in one direction. Keeps half a sample for the next message."""

    def __init__(self) -> None:
        self._odd = b""

    def swap(self, audio: bytes) -> bytes:
        """Returns the samples that ``audio`` completes, with swapped bytes."""
        joined = self._odd + audio
        whole = len(joined) & ~1
        self._odd = joined[whole:]
        swapped = bytearray(whole)
        swapped[0::2], swapped[1::2] = joined[1:whole:2], joined[0:whole:2]
        return bytes(swapped)


class Cutter:
    """Splits the audio of a reply into messages of a size that the provider accepts. Keeps the remainder."""

    def __init__(self, sizes: Sizes | None) -> None:
        self._sizes = sizes
        self._rest = b""

    def cut(self, audio: bytes) -> list[bytes]:
        """Adds ``audio``; returns the audio of each message that can be sent now."""
        sizes = self._sizes
        if sizes is None:
            return [audio] if audio else []
        rest, pieces = self._rest + audio, []
        while len(rest) >= max(sizes.least, sizes.unit):
            size = min(len(rest), sizes.most)
            size -= size % sizes.unit
            pieces.append(rest[:size])
            rest = rest[size:]
        self._rest = rest
        return pieces

    def last(self, audio_format: AudioFormat) -> list[bytes]:
        """Returns the remainder as one message, padded with silence; an empty list if there is none."""
        rest, self._rest = self._rest, b""
        if not rest or self._sizes is None:
            return []
        due = max(self._sizes.least, len(rest) + -len(rest) % self._sizes.unit)
        return [rest + audio_format.silence(due - len(rest))]

    def drop(self) -> None:
        """Discards the remainder."""
        self._rest = b""


def looks_swapped(pcm: bytes) -> bool:
    """Returns whether 16-bit little-endian samples would be much smoother with swapped bytes."""
    count = min(len(pcm) // 2, _SNIFFED_SAMPLES)
    if count < _SNIFFED_SAMPLES:
        return False
    as_is, swapped = (_roughness(struct.unpack_from(f"{order}{count}h", pcm)) for order in "<>")
    # Near silence, both values are small and prove nothing.
    return as_is > _ROUGHER * swapped and as_is > _SNIFFED_SAMPLES * 1_000


def looks_like_mulaw(pcm: bytes) -> bool:
    """Returns whether alleged 16-bit samples look like quiet mu-law, with bytes near 0xFF and 0x7F."""
    head = pcm[: 2 * _SNIFFED_SAMPLES]
    # The high bytes of quiet samples hardly differ.
    if len(head) < 2 * _SNIFFED_SAMPLES or len(set(head[1::2])) < _LEAST_HIGH_BYTES:
        return False
    return sum(byte & 0x7F > 0x60 for byte in head) > 0.9 * len(head)


def ends_loud(audio: bytes, audio_format: AudioFormat) -> bool:
    """Returns whether mu-law audio ends with silence of another encoding, which is full scale in mu-law."""
    return audio_format.encoding is Encoding.MULAW and audio.endswith(_LOUD_PADDING)


def _roughness(samples: tuple[int, ...]) -> int:
    return sum(abs(second - first) for first, second in pairwise(samples))
