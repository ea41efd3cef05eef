"""G.711 mu-law and A-law as numpy tables, bit-exact with ITU-T G.191 for every input.

The standard is defined on 14-bit (mu) and 13-bit (A) samples: a 16-bit sample is first reduced by an
arithmetic shift. Tables built with the widespread 16-bit shortcut differ from the standard for hundreds of
inputs. The standard library's ``audioop``, which follows the standard, was removed in Python 3.13.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tui.audio.formats import Encoding
from tui.audio.plain import g711_samples

_MULAW_BIAS = 33
_MULAW_MAX = 8159
_ALAW_EVEN_BITS = 0x55


def _exponent(value: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the position of the highest set bit, i.e. floor(log2), exactly; 0 for 0."""
    _, exponent = np.frexp(np.maximum(value, 1).astype(np.float64))
    return exponent.astype(np.int32) - 1


def _samples_in_uint16_order() -> NDArray[np.int32]:
    return np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _mulaw_codes() -> NDArray[np.uint8]:
    value = _samples_in_uint16_order() >> 2
    magnitude = np.minimum(np.abs(value) + _MULAW_BIAS, _MULAW_MAX)
    segment = _exponent(magnitude) - 5
    code: NDArray[np.int32] = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    return np.bitwise_xor(code, np.where(value < 0, 0x7F, 0xFF)).astype(np.uint8)


def _alaw_codes() -> NDArray[np.uint8]:
    value = _samples_in_uint16_order() >> 3
    magnitude = np.where(value < 0, ~value, value)
    segment = np.maximum(_exponent(magnitude) - 4, 0)
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 0x0F)
    return (code ^ np.where(value < 0, 0, 0x80) ^ _ALAW_EVEN_BITS).astype(np.uint8)


# Built once, because a lookup takes about 1.5 us for 20 ms of audio (measured) and the arithmetic above ten
# times as long.
_MULAW_CODES = _mulaw_codes()
_MULAW_SAMPLES = np.array(g711_samples(Encoding.MULAW), "<i2")
_ALAW_CODES = _alaw_codes()
_ALAW_SAMPLES = np.array(g711_samples(Encoding.ALAW), "<i2")


def encode_mulaw(pcm: bytes) -> bytes:
    """Encodes whole 16-bit samples as one mu-law byte each."""
    return _MULAW_CODES.take(np.frombuffer(pcm, "<u2")).tobytes()


def decode_mulaw(codes: bytes) -> bytes:
    """Decodes each mu-law byte to a 16-bit sample."""
    return _MULAW_SAMPLES.take(np.frombuffer(codes, np.uint8)).tobytes()


def encode_alaw(pcm: bytes) -> bytes:
    """Encodes whole 16-bit samples as one A-law byte each."""
    return _ALAW_CODES.take(np.frombuffer(pcm, "<u2")).tobytes()


def decode_alaw(codes: bytes) -> bytes:
    """Decodes each A-law byte to a 16-bit sample."""
    return _ALAW_SAMPLES.take(np.frombuffer(codes, np.uint8)).tobytes()
