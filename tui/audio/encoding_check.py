"""EncodingCheck: detects agent audio that is PCM although it is labeled as G.711, or the reverse.

Two measurements must agree. Neighboring samples of a sound are similar, so their correlation is high in the
right encoding and low in a wrong encoding. In 16-bit PCM the high bytes of samples have a different
distribution from the low bytes, which are nearly random. In G.711, even and odd bytes have the same
distribution.

In tests with this program's recordings (8, 16 and 24 kHz, three volumes), the check never reported audio with
a correct label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tui.audio import g711
from tui.audio.formats import AudioFormat, Encoding

WANTED_BYTES = 8_000
"""Amount of audio to judge: half a second of PCM or one second of G.711 at 8 kHz."""
_BLOCK_BYTES = 320
_SOUND_VALUES = 24
"""A block with fewer distinct byte values than this is silence in either encoding and is skipped."""
_LEAST_CORRELATION = 0.5
_LEAST_LEAD = 0.1
"""Minimum by which the correlation of the detected encoding must exceed that of the labeled encoding."""
_PCM_DIFFERENCE, _G711_DIFFERENCE = 0.4, 0.12
"""Difference between the distributions of even and odd bytes (0 equal, 1 disjoint): the minimum for
PCM, and the maximum for G.711."""
_NAMES = {Encoding.PCM16: "16-bit PCM", Encoding.MULAW: "mu-law", Encoding.ALAW: "A-law"}


class EncodingCheck:
    """Checks the first audio of a format in a call and ignores later audio. Not thread-safe."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._rest = b""
        self._sound = bytearray()

    def feed(self, wire: bytes) -> str:
        """Adds audio in its wire format.

        Returns a sentence with the measurements, once, if the encoding is wrong; otherwise "".
        """
        if len(self._sound) >= WANTED_BYTES:
            return ""
        self._rest += wire[: 64 * WANTED_BYTES]
        while len(self._rest) >= _BLOCK_BYTES and len(self._sound) < WANTED_BYTES:
            # Whole blocks of an even length, so that low bytes stay at even positions.
            block, self._rest = self._rest[:_BLOCK_BYTES], self._rest[_BLOCK_BYTES:]
            if len(set(block)) > _SOUND_VALUES:
                self._sound += block
        if len(self._sound) < WANTED_BYTES:
            return ""
        self._rest = b""
        return self._judge(bytes(self._sound))

    def _judge(self, sound: bytes) -> str:
        labelled = self._format.encoding
        alike = {encoding: _correlation(_samples(sound, encoding)) for encoding in Encoding}
        difference = _byte_difference(sound)
        if labelled is Encoding.PCM16:
            really = max((Encoding.MULAW, Encoding.ALAW), key=alike.__getitem__)
            fits = difference < _G711_DIFFERENCE
        else:
            really, fits = Encoding.PCM16, difference > _PCM_DIFFERENCE
        if not fits or alike[really] < max(_LEAST_CORRELATION, alike[labelled] + _LEAST_LEAD):
            return ""
        return (
            f"Audio labeled {self._format} is actually {_NAMES[really]} and plays as noise: adjacent samples "
            f"correlate at {alike[really]:.2f} when read as {_NAMES[really]} "
            f"but {alike[labelled]:.2f} as {_NAMES[labelled]}."
        )


def _samples(wire: bytes, encoding: Encoding) -> NDArray[np.float64]:
    match encoding:
        case Encoding.MULAW:
            wire = g711.decode_mulaw(wire)
        case Encoding.ALAW:
            wire = g711.decode_alaw(wire)
        case Encoding.PCM16:
            pass
    return np.frombuffer(wire, "<i2").astype(np.float64)


def _correlation(samples: NDArray[np.float64]) -> float:
    """Returns the correlation of each sample with the next, -1 to 1; 0 for constant samples."""
    samples = samples - samples.mean()
    power = float(samples @ samples)
    return float(samples[1:] @ samples[:-1]) / power if power else 0.0


def _byte_difference(wire: bytes) -> float:
    """Returns the total variation distance between the upper four bits of the even bytes and of the odd bytes."""
    upper = np.frombuffer(wire, np.uint8) >> 4
    even, odd = (np.bincount(upper[first::2], minlength=16) for first in (0, 1))
    return float(np.abs(even - odd).sum()) / len(upper)
