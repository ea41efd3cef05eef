"""CaptureHealth: what a microphone delivers, judged as it comes: nothing, too early, or off centre."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from tui.audio.levels import measure
from tui.audio.pcm import FULL_SCALE, samples_of
from tui.models.events import Condition

ZEROS_MS = 1_000.0
MUTED_MS = 3_000.0
"""After sound. A shorter pause of exact zeros is that of a device which lets no noise through between words."""
_PAUSE_MS = 100.0
_OPENING_MS = 40.0
_LOUD_DBFS = -35.0
_DC_SHARE = 0.02
_ZERO_HINTS = {
    "darwin": "Allow this terminal the microphone: System Settings, Privacy & Security, Microphone; then restart it.",
    "linux": "Is it muted? pactl set-source-mute @DEFAULT_SOURCE@ 0, or wpctl set-mute @DEFAULT_AUDIO_SOURCE@ 0.",
}


class Verdict(NamedTuple):
    """Something is the matter with what is captured, or no longer."""

    condition: Condition
    active: bool
    text: str
    hint: str = ""


class CaptureHealth:
    """Judges the blocks of one opening of a microphone after the other. For one thread."""

    def __init__(self) -> None:
        self.dc: float | None = None
        """Mean of the samples of about the last second, -1..1."""
        self.is_zero = False
        """Whether the last block was nothing but zeros: a muted device or a refused permission, not a quiet room."""
        self._told_zeros = False
        self.opened()

    def opened(self) -> None:
        """The microphone was opened: what follows is its first sound."""
        self._zeros_ms = 0.0
        self._sounded = False
        self._pauses = False
        """It is silent to the bit between sounds, of its own accord: zeros say nothing of it any more."""
        self._opening_ms = 0.0

    def feed(self, pcm: bytes, block_ms: float) -> list[Verdict]:
        """Take a block as it came from the device."""
        samples = samples_of(pcm)
        if not len(samples):
            return []
        mean = float(np.add.reduce(samples, dtype=np.float64)) / len(samples) / FULL_SCALE
        self.dc = mean if self.dc is None else self.dc + (mean - self.dc) * _DC_SHARE
        self.is_zero = not samples.any()
        return [*self._judge_zeros(block_ms), *self._judge_opening(pcm, block_ms)]

    def _judge_zeros(self, block_ms: float) -> list[Verdict]:
        if not self.is_zero:
            return self._take_sound()
        self._zeros_ms += block_ms
        limit_ms = MUTED_MS if self._sounded else ZEROS_MS
        if self._told_zeros or self._pauses or self._zeros_ms < limit_ms:
            return []
        self._told_zeros = True
        text = "Nothing but exact zeros has come from the microphone since it was opened: muted, or refused."
        if self._sounded:
            text = f"Nothing but exact zeros has come from the microphone for {MUTED_MS / 1000:g} s: it looks muted."
        return [Verdict(Condition.ONLY_ZEROS, True, text, _ZERO_HINTS.get(sys.platform, ""))]

    def _take_sound(self) -> list[Verdict]:
        self._pauses |= self._sounded and _PAUSE_MS <= self._zeros_ms < MUTED_MS
        self._sounded, self._zeros_ms = True, 0.0
        told, self._told_zeros = self._told_zeros, False
        return [Verdict(Condition.ONLY_ZEROS, False, "The microphone delivers sound.")] if told else []

    def _judge_opening(self, pcm: bytes, block_ms: float) -> list[Verdict]:
        if self._opening_ms >= _OPENING_MS:
            return []
        self._opening_ms += block_ms
        rms_dbfs = measure(pcm).rms_dbfs
        if rms_dbfs <= _LOUD_DBFS:
            return []
        self._opening_ms = _OPENING_MS
        text = (
            f"Sound was running already as recording opened ({rms_dbfs:.0f} dB): the first word may be cut."
        )
        return [Verdict(Condition.SPEECH_BEFORE_RECORDING, True, text)]
