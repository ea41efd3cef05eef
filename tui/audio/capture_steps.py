"""What a captured block goes through on its way to the wire: steps of the capture chain.

Each step is a callable from PCM to PCM of the same length, run on the engine's loop, block by block.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tui.audio.levels import LevelMeter, MeterReading
from tui.audio.pcm import with_gain


class LineStep:
    """Speaks recorded audio in place of the microphone, as long as there is some."""

    def __init__(self, on_finished: Callable[[], object], on_progress: Callable[[float], object]) -> None:
        self._on_finished = on_finished
        self._on_progress = on_progress
        self._pcm = b""
        self._position = 0

    @property
    def speaking(self) -> bool:
        """Whether recorded audio is left."""
        return bool(self._pcm)

    def speak(self, pcm: bytes) -> None:
        """Begin; what was being spoken is cut off."""
        self._pcm, self._position = pcm, 0

    def stop(self) -> None:
        """Say no more; not reported as finished."""
        self._pcm, self._position = b"", 0

    def __call__(self, block: bytes) -> bytes:
        """The block, or recorded audio of its length."""
        if not self._pcm:
            return block
        part = self._pcm[self._position : self._position + len(block)]
        self._position += len(part)
        self._on_progress(self._position / len(self._pcm))
        if self._position >= len(self._pcm):
            self.stop()
            self._on_finished()
        return part.ljust(len(block), b"\0")


class GainStep:
    """Multiplies by `gain`, without a click when it changes; bit-exact at 1."""

    def __init__(self) -> None:
        self.gain = 1.0
        self._applied = 1.0

    def __call__(self, block: bytes) -> bytes:
        """The block, louder or quieter."""
        before, self._applied = self._applied, self.gain
        return with_gain(block, before, self.gain)


class MuteStep:
    """Silence in place of everything while `muted`."""

    def __init__(self) -> None:
        self.muted = False

    def __call__(self, block: bytes) -> bytes:
        """The block, or silence."""
        return bytes(len(block)) if self.muted else block


class LevelStep:
    """Measures what passes; last, so that the meter shows what is sent."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._meter = LevelMeter()

    def __call__(self, block: bytes) -> bytes:
        """The block, measured."""
        self._meter.feed(block, self._clock_ns())
        return block

    def read(self, at_ns: int) -> MeterReading | None:
        """What the meter shows now."""
        return self._meter.read(at_ns)
