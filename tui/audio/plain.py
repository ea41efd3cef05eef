"""Reads and measures the samples of a message without numpy, which the screen's process does not load.

Python's arrays are fast enough for one message; `tui.audio.levels` and `tui.audio.g711` are for streams.
"""

from __future__ import annotations

import math
import sys
from array import array
from functools import cache
from operator import mul

import msgspec

from tui.audio.formats import AudioFormat, Encoding

MAX_SAMPLES = 480_000
"""Maximum number of samples measured: 30 s at 16 kHz, which takes 30 ms."""
FULL_SCALE = 32_768
"""The magnitude of 0 dBFS."""
FLOOR_DBFS = -90.0
"""Level of silence, and the lowest reported level (one 16-bit step is -90.3 dBFS)."""


class MessageLevel(msgspec.Struct, frozen=True):
    """Loudness of a message's samples; 0 dBFS is a full-scale square wave."""

    peak_dbfs: float
    rms_dbfs: float
    clipped_samples: int
    """Number of samples at full scale, positive or negative."""
    measured_samples: int
    """Number of samples measured from the beginning, at most `MAX_SAMPLES`."""


def loudness(wire: bytes, audio_format: AudioFormat) -> MessageLevel | None:
    """Returns the loudness of audio in its wire format; None if there is no complete sample."""
    # Truncated before decoding, because a message may contain minutes of audio and this runs in the screen's
    # process.
    samples = samples_of(wire[: MAX_SAMPLES * audio_format.encoding.sample_bytes], audio_format.encoding)
    if not samples:
        return None
    peak = max(max(samples), -min(samples))
    power = sum(map(mul, samples, samples)) / len(samples)
    clipped = samples.count(FULL_SCALE - 1) + samples.count(-FULL_SCALE)
    return MessageLevel(to_dbfs(peak), to_dbfs(math.sqrt(power)), clipped, len(samples))


def samples_of(wire: bytes, encoding: Encoding) -> array[int]:
    """Returns the 16-bit samples of audio in its wire format. An incomplete sample at the end is dropped."""
    if encoding is not Encoding.PCM16:
        table = g711_samples(encoding)
        return array("h", [table[code] for code in wire])
    samples = array("h", wire[: len(wire) & ~1])
    # Samples on the wire are little-endian; the array has the byte order of this machine.
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


@cache
def g711_samples(encoding: Encoding) -> tuple[int, ...]:
    """Returns the 16-bit sample for each code of mu-law or A-law, as in ITU-T G.711."""
    return tuple(
        _mulaw(code ^ 0xFF) if encoding is Encoding.MULAW else _alaw(code ^ 0x55) for code in range(256)
    )


def _mulaw(code: int) -> int:
    magnitude = ((((code & 0x0F) << 1) + 33) << (code >> 4 & 7)) - 33
    return (-magnitude if code & 0x80 else magnitude) << 2


def _alaw(code: int) -> int:
    segment = code >> 4 & 7
    magnitude = (((code & 0x0F) << 1) + 1 + (32 if segment else 0)) << max(segment - 1, 0)
    return (magnitude if code & 0x80 else -magnitude) << 3


def to_dbfs(amplitude: float) -> float:
    """Converts a sample magnitude (0..32768) to dBFS, never below the floor."""
    return max(FLOOR_DBFS, 20 * math.log10(amplitude / FULL_SCALE)) if amplitude > 0 else FLOOR_DBFS
