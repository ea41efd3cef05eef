"""Mixes the channels of a recording down to one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF = 0.5
_SQRT_HALF = 0.707
_WEIGHTS = {
    0x1: _SQRT_HALF,  # front left
    0x2: _SQRT_HALF,  # front right
    0x4: 1.0,  # center
    0x8: 0.0,  # low frequency effects
    0x10: _HALF,  # back left
    0x20: _HALF,  # back right
    0x40: _SQRT_HALF,  # front left of center
    0x80: _SQRT_HALF,  # front right of center
    0x100: _HALF,  # back center
    0x200: _HALF,  # side left
    0x400: _HALF,  # side right
}
"""Mono weights from ITU-R BS.775, by position in a WAV file's channel mask."""
_USUAL_MASKS = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""Default positions by number of channels, for files that do not specify them."""
_CANCELS = 0.1
"""Channels cancel out if the mix is below a tenth of the loudest channel's level (-20 dB)."""
_SILENCE = 1e-4
"""Level below which a channel counts as silent, so that nothing can cancel (-80 dBFS)."""


def mix(channels: NDArray[np.floating[Any]], mask: int = 0) -> NDArray[np.float32]:
    """Mixes the channels down to one, with values from -1 to 1.

    ``channels`` has one column per channel, and ``mask`` is the bit mask of their positions. Two channels are
    averaged. More channels are weighted as in ITU-R BS.775 (mono), and scaled down if the result would clip.
    """
    count = channels.shape[1]
    weights = _weights(count, mask) if count > 2 else None
    mono: NDArray[np.floating[Any]]
    if count == 1:
        mono = channels[:, 0]
    elif weights is None:
        mono = channels.mean(axis=1)
    else:
        mono = channels @ weights
        mono = mono / max(float(np.abs(mono).max(initial=0.0)), 1.0)
    return mono.astype(np.float32)


def cancels(channels: NDArray[np.floating[Any]], mono: NDArray[np.float32]) -> bool:
    """Returns whether the channels cancel each other out in ``mono``, as two channels of opposite phase do."""
    if channels.shape[1] == 1 or not len(mono):
        return False
    loudest = max(_rms(channels[:, channel]) for channel in range(channels.shape[1]))
    return loudest > _SILENCE and _rms(mono) < _CANCELS * loudest


def _weights(count: int, mask: int) -> NDArray[np.float64] | None:
    """Returns the weight of each channel; None if their positions are unknown."""
    for positions in (mask, _USUAL_MASKS.get(count, 0)):
        bits = [bit for bit in _WEIGHTS if positions & bit]
        if len(bits) == count == positions.bit_count():
            return np.array([_WEIGHTS[bit] for bit in bits])
    return None


def _rms(values: NDArray[np.floating[Any]]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
