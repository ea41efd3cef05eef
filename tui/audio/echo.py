"""Echo: whether what is played comes back on the microphone, and a gate that keeps it from the wire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui.audio.levels import measure
from tui.audio.pcm import to_float

SPAN_MS = 3_000
"""As much of both tracks is compared."""
LONGEST_MS = 600
"""An echo that takes longer is not looked for."""
_LEAST_LIKENESS = 0.25
"""Of the microphone to what was played, 0..1; two voices are up to 0.19 alike (measured on all prompts)."""
_LEAST_PLAYED_RMS = 0.003
_GATE_DBFS = -50.0
_HANG_OVER_NS = 250_000_000
_RATE = 4_000
"""What is compared is thinned out to this: speech has most of its strength below 2 kHz."""


class Echo(NamedTuple):
    """What is played comes back."""

    delay_ms: float
    gain_db: float
    """Level of what comes back, relative to what was played."""
    likeness: float


class Track:
    """The last seconds of a track, placed on the clock. For one thread."""

    def __init__(self, rate: int) -> None:
        self.full_rate = rate
        self._thin = max(rate // _RATE, 1)
        self.rate = rate // self._thin
        self._blocks: deque[tuple[int, NDArray[np.float32]]] = deque()

    def feed(self, end_ns: int, pcm: bytes) -> None:
        """A block whose last sample passed the device at that instant."""
        values = to_float(pcm)
        whole = len(values) // self._thin * self._thin
        thin = values[:whole].reshape(-1, self._thin).mean(axis=1).astype(np.float32)
        self._blocks.append((end_ns, thin))
        while self._blocks and self._blocks[0][0] < end_ns - (SPAN_MS + LONGEST_MS) * 1_000_000:
            self._blocks.popleft()

    def until(self, end_ns: int) -> NDArray[np.float32]:
        """The last `SPAN_MS` before that instant; silence where there is nothing."""
        frames = self.rate * SPAN_MS // 1000
        track = np.zeros(frames, np.float32)
        for block_end_ns, block in self._blocks:
            end = frames - round((end_ns - block_end_ns) * self.rate / 1e9)
            start = end - len(block)
            if start >= 0 and end <= frames:
                track[start:end] = block
        return track


def find_echo(heard: NDArray[np.float32], played: NDArray[np.float32], rate: int) -> Echo | None:
    """What of ``played`` is in ``heard``; both over the same stretch of time, floats of -1..1.

    Takes about a millisecond for three seconds at 4 kHz. None where nothing was played, or nothing comes back.
    """
    power = float(np.mean(played * played))
    if power < _LEAST_PLAYED_RMS**2 or not heard.any():
        return None
    size = 2 * len(heard)
    cross = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size)), size)
    lags = cross[: rate * LONGEST_MS // 1000]
    lag = int(np.argmax(np.abs(lags)))
    energy = float(np.dot(played[: len(played) - lag], played[: len(played) - lag]))
    if energy <= 0:
        return None
    likeness = abs(float(lags[lag])) / (energy * float(np.dot(heard, heard))) ** 0.5
    if likeness < _LEAST_LIKENESS:
        return None
    gain_db = 20 * float(np.log10(abs(float(lags[lag])) / energy))
    return Echo(lag * 1000 / rate, gain_db, min(likeness, 1.0))


class EchoGate:
    """A step of the capture chain: silence while the agent is heard, and a little after. Half-duplex.

    ``agent_dbfs`` tells how loud the speaker is now; ``on_held`` is called for every block kept back that had
    sound in it.
    """

    def __init__(
        self,
        agent_dbfs: Callable[[], float | None],
        on_held: Callable[[], object],
        *,
        clock_ns: Callable[[], int],
    ) -> None:
        self._agent_dbfs = agent_dbfs
        self._on_held = on_held
        self._clock_ns = clock_ns
        self._open_ns = 0

    def __call__(self, block: bytes) -> bytes:
        """The block, or silence."""
        now_ns = self._clock_ns()
        level = self._agent_dbfs()
        if level is not None and level > _GATE_DBFS:
            self._open_ns = now_ns + _HANG_OVER_NS
        if now_ns >= self._open_ns:
            return block
        if not measure(block).is_zero:
            self._on_held()
        return bytes(len(block))
