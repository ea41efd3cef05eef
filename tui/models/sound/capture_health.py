"""CaptureHealth: checks a microphone's audio for digital silence, speech before recording began, and a DC offset."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from tui.audio.levels import measure
from tui.audio.pcm import is_zero, samples_of
from tui.audio.plain import FULL_SCALE
from tui.models.events import Condition

ZEROS_MS = 1_000.0
MUTED_MS = 3_000.0
"""Longest normal run of exact zeros after a sound: a device that gates noise sends zeros between words."""
_PAUSE_MS = 100.0
_OPENING_MS = 40.0
_LOUD_DBFS = -35.0
_DC_SHARE = 0.02
_ZERO_HINTS = {
    "darwin": "Allow this terminal to use the microphone in System Settings, Privacy & Security, then restart it.",
    "linux": "To unmute it, run `pactl set-source-mute @DEFAULT_SOURCE@ 0`"
    " or `wpctl set-mute @DEFAULT_AUDIO_SOURCE@ 0`.",
}


class Verdict(NamedTuple):
    """The start or end of a problem with captured audio."""

    condition: Condition
    active: bool
    text: str
    hint: str = ""


class CaptureHealth:
    """Checks the blocks of a microphone. Not thread-safe."""

    def __init__(self) -> None:
        self.dc: float | None = None
        """Mean of the samples over about one second, in -1..1."""
        self.is_zero = False
        """Whether the last block was all zeros.

        Zeros indicate a muted device or a missing permission, not a quiet room.
        """
        self._reported_zeros = False
        self.opened()

    def opened(self) -> None:
        """Resets the checks after the microphone was opened, before its first block."""
        self._zeros_ms = 0.0
        self._sounded = False
        self._pauses = False
        """Whether the device itself sends exact zeros between sounds, so that zeros do not indicate a fault."""
        self._opening_ms = 0.0

    def feed(self, pcm: bytes, block_ms: float) -> list[Verdict]:
        """Checks an unmodified block from the device; returns the conditions that changed."""
        samples = samples_of(pcm)
        if not len(samples):
            return []
        mean = float(np.add.reduce(samples, dtype=np.float64)) / len(samples) / FULL_SCALE
        # Averaged over about a second, because even a single block of normal speech has an offset.
        self.dc = mean if self.dc is None else self.dc + (mean - self.dc) * _DC_SHARE
        self.is_zero = is_zero(pcm)
        return [*self._judge_zeros(block_ms), *self._judge_opening(pcm, block_ms)]

    def _judge_zeros(self, block_ms: float) -> list[Verdict]:
        if not self.is_zero:
            return self._take_sound()
        self._zeros_ms += block_ms
        # macOS delivers exact zeros, without an error, to a terminal that lacks permission for the
        # microphone; a muted PulseAudio source does so too. Sound from a room is never exactly zero.
        limit_ms = MUTED_MS if self._sounded else ZEROS_MS
        if self._reported_zeros or self._pauses or self._zeros_ms < limit_ms:
            return []
        self._reported_zeros = True
        text = (
            "The microphone has sent only silence since it was opened. "
            "It may be muted, or this terminal may lack permission."
        )
        if self._sounded:
            text = f"The microphone has sent only silence for {MUTED_MS / 1000:g} s. It may be muted."
        return [Verdict(Condition.ONLY_ZEROS, True, text, _ZERO_HINTS.get(sys.platform, ""))]

    def _take_sound(self) -> list[Verdict]:
        # A device that gates noise sends zeros between words; a muted device has sent them since it was
        # opened.
        self._pauses |= self._sounded and _PAUSE_MS <= self._zeros_ms < MUTED_MS
        self._sounded, self._zeros_ms = True, 0.0
        reported, self._reported_zeros = self._reported_zeros, False
        return [Verdict(Condition.ONLY_ZEROS, False, "The microphone is working again.")] if reported else []

    def _judge_opening(self, pcm: bytes, block_ms: float) -> list[Verdict]:
        if self._opening_ms >= _OPENING_MS:
            return []
        self._opening_ms += block_ms
        rms_dbfs = measure(pcm).rms_dbfs
        # A microphone that was just opened normally picks up a quiet room first, so immediate speech must
        # have begun earlier.
        if rms_dbfs <= _LOUD_DBFS:
            return []
        self._opening_ms = _OPENING_MS
        text = (
            f"When the microphone opened, there was already sound ({rms_dbfs:.0f} dB):"
            " the first word may be cut off."
        )
        return [Verdict(Condition.SPEECH_BEFORE_RECORDING, True, text)]
