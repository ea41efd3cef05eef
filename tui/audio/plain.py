"""Audio without numpy, which the screen's process does not load: the samples of a message, and how loud they are.

Python's own arrays do for one message at a time; `tui.audio.levels` and `tui.audio.g711` are for what flows.
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
"""Of which a level is taken: 30 s at 16 kHz, some 30 ms of work."""
_FULL_SCALE = 32768
_FLOOR_DBFS = -90.0
"""As `tui.audio.levels.FLOOR_DBFS`: nothing is reported as quieter."""


class MessageLevel(msgspec.Struct, frozen=True):
    """How loud the samples of a message are; 0 dBFS is a full-scale square wave."""

    peak_dbfs: float
    rms_dbfs: float
    clipped_samples: int
    """At full scale, either way."""
    measured_samples: int
    """From the beginning on: at most `MAX_SAMPLES`."""


def loudness(wire: bytes, audio_format: AudioFormat) -> MessageLevel | None:
    """How loud audio on the wire is; None where there is not one whole sample."""
    samples = samples_of(wire[: MAX_SAMPLES * audio_format.encoding.sample_bytes], audio_format.encoding)
    if not samples:
        return None
    peak = max(max(samples), -min(samples))
    power = sum(map(mul, samples, samples)) / len(samples)
    clipped = samples.count(_FULL_SCALE - 1) + samples.count(-_FULL_SCALE)
    return MessageLevel(_dbfs(peak), _dbfs(math.sqrt(power)), clipped, len(samples))


def samples_of(wire: bytes, encoding: Encoding) -> array[int]:
    """The 16-bit samples of audio on the wire; half a sample at the end is left out."""
    if encoding is not Encoding.PCM16:
        table = _table(encoding)
        return array("h", [table[code] for code in wire])
    samples = array("h", wire[: len(wire) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


@cache
def _table(encoding: Encoding) -> tuple[int, ...]:
    """By code: the sample of ITU-T G.711, as `tui.audio.g711` has it."""
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


def _dbfs(amplitude: float) -> float:
    return max(_FLOOR_DBFS, 20 * math.log10(amplitude / _FULL_SCALE)) if amplitude > 0 else _FLOOR_DBFS
