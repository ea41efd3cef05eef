"""Audio formats on the wire, and conversion between them and 16-bit PCM.

Inside the program, audio is always mono signed 16-bit little-endian PCM in ``bytes``; a format is its
encoding on the wire and its rate. Importing this module does not load numpy, because the screen's process
uses formats too.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Encoding(StrEnum):
    """How a sample is encoded on the wire."""

    PCM16 = "pcm16"
    MULAW = "mulaw"
    ALAW = "alaw"

    @property
    def sample_bytes(self) -> int:
        """Bytes per sample on the wire."""
        return 2 if self is Encoding.PCM16 else 1


_SILENCE = {Encoding.PCM16: b"\0", Encoding.MULAW: b"\xff", Encoding.ALAW: b"\xd5"}


class AudioFormat(msgspec.Struct, frozen=True):
    """An encoding and a sample rate in Hz; always mono."""

    encoding: Encoding
    rate: int

    @property
    def bytes_per_second(self) -> int:
        """Bytes per second of audio on the wire."""
        return self.encoding.sample_bytes * self.rate

    def silence(self, size_bytes: int) -> bytes:
        """Returns ``size_bytes`` of silence."""
        return _SILENCE[self.encoding] * size_bytes

    def duration_ms(self, size_bytes: int) -> float:
        """Returns the duration of ``size_bytes`` in this format."""
        return size_bytes * 1000 / self.bytes_per_second

    def __str__(self) -> str:
        return f"{self.encoding.value} {self.rate / 1000:g} kHz"


def encode(pcm: bytes, audio_format: AudioFormat) -> bytes:
    """Encodes whole samples of PCM, which must already be at the format's rate.

    Raises `ValueError` if ``pcm`` ends in half a sample.
    """
    if len(pcm) % 2:
        raise ValueError(f"The audio has {len(pcm)} bytes, which is not a whole number of 16-bit samples.")
    if audio_format.encoding is Encoding.PCM16:
        return pcm
    # Imported late, because it builds its tables with numpy, which the screen's process must not load.
    from tui.audio import g711

    return g711.encode_mulaw(pcm) if audio_format.encoding is Encoding.MULAW else g711.encode_alaw(pcm)


class StreamDecoder:
    """Decodes one stream to PCM, in chunks of any size. Not thread-safe.

    A chunk of PCM16 may end in the middle of a sample; the byte is kept until the next chunk.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self._odd = b""

    def feed(self, wire: bytes) -> bytes:
        """Returns the samples that ``wire`` completes, as PCM at the format's rate."""
        if self.format.encoding is Encoding.PCM16:
            joined = self._odd + wire if self._odd else wire
            whole_bytes = len(joined) & ~1
            self._odd = joined[whole_bytes:]
            return joined[:whole_bytes]
        from tui.audio import g711

        return g711.decode_mulaw(wire) if self.format.encoding is Encoding.MULAW else g711.decode_alaw(wire)

    def flush_remainder(self) -> int:
        """Ends the stream and discards an incomplete sample, if any. Returns the number of bytes lost (0 or 1)."""
        lost_bytes = len(self._odd)
        self._odd = b""
        return lost_bytes
