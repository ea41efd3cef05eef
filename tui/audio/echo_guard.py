"""Echo guards remove the agent's audio from captured audio, so that the agent does not hear itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from tui.audio.levels import measure
from tui.audio.pcm import frames_to_ns, is_zero

GATE_DBFS = -50.0
HANG_OVER_NS = 250_000_000
_KEPT_BLOCKS = 500


class Played(NamedTuple):
    """A block of agent audio, with the time at which its first sample leaves the speaker."""

    start_ns: int
    pcm: bytes
    rate: int

    @property
    def end_ns(self) -> int:
        """Time at which the last sample leaves the speaker."""
        return self.start_ns + frames_to_ns(len(self.pcm) // 2, self.rate)


class EchoGuard(ABC):
    """Base class of guards that keep the agent from hearing itself.

    `agent_heard` and `agent_cut` can be called from any thread and return immediately. Call `clean` on the
    engine's loop.
    """

    failure = ""
    """A sentence that explains why the guard stopped working; empty while it works."""
    held_blocks = 0
    """Number of captured blocks with sound that the guard replaced by silence."""

    def __init__(self) -> None:
        # Blocks that were handed to the device and not yet taken. One thread adds blocks, and another takes them.
        self._blocks: deque[Played] = deque(maxlen=_KEPT_BLOCKS)

    def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """Adds a block of agent audio, or silence, whose first sample leaves the speaker at ``start_ns``."""
        self._blocks.append(Played(start_ns, pcm, rate))

    def agent_cut(self, at_ns: int) -> None:
        """Removes the blocks that start at ``at_ns`` or later, because they will not be played."""
        # Removed one by one from the end, because the playback thread may append in the meantime, which would
        # break an iteration.
        while self._blocks and self._blocks[-1].start_ns >= at_ns:
            self._blocks.pop()

    @abstractmethod
    def clean(self, end_ns: int, now_ns: int, pcm: bytes, rate: int) -> bytes:
        """Returns a captured block without the agent's audio.

        The last sample of the block left the microphone at ``end_ns``.
        """

    def take(self, until_ns: int) -> Iterator[Played]:
        """Removes and yields the blocks of agent audio that start by ``until_ns``, in order."""
        while self._blocks and self._blocks[0].start_ns <= until_ns:
            yield self._blocks.popleft()


class EchoGate(EchoGuard):
    """A half-duplex guard: sends silence while the agent is heard and for a short time afterwards."""

    _shut_until_ns = 0

    def clean(self, end_ns: int, now_ns: int, pcm: bytes, rate: int) -> bytes:
        """See `EchoGuard`."""
        del now_ns
        for played in self.take(end_ns - 1):
            if measure(played.pcm).rms_dbfs > GATE_DBFS:
                self._shut_until_ns = played.end_ns + HANG_OVER_NS
        if end_ns - frames_to_ns(len(pcm) // 2, rate) >= self._shut_until_ns:
            return pcm
        self.held_blocks += not is_zero(pcm)
        return bytes(len(pcm))
