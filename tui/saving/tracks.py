"""TracksWriter: writes both tracks to ``audio.wav``, with each block at its time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tui.audio.formats import AudioFormat
from tui.audio.pcm import frames_to_ns
from tui.saving.placing import LOOK_AHEAD_NS, Placed, TrackPlacer
from tui.saving.stereo import Channel, StereoFile


class UserSent(NamedTuple):
    """A block of user audio as it was sent."""

    end_ns: int
    pcm: bytes
    rate: int


class AgentHeard(NamedTuple):
    """A block of agent audio as it was played."""

    start_ns: int
    pcm: bytes
    rate: int


class AgentCut(NamedTuple):
    """Playback was cut at this time. Audio that was announced for a later time is never played."""

    at_ns: int


class TracksEnd(NamedTuple):
    """The tracks are complete. The tracks last from the start of the call until this time."""

    at_ns: int


TrackItem = UserSent | AgentHeard | AgentCut | TracksEnd | AudioFormat
"""A piece of the tracks, or the format of the user audio."""


class TracksWriter:
    """Writes ``audio.wav``, which is created when the rate of user audio is known or the first block arrives.

    Both tracks have the rate of the user audio, which is saved bit for bit. Agent audio at another rate is
    resampled. All methods may raise `OSError`. Not thread-safe.
    """

    def __init__(self, path: Path, origin_ns: int) -> None:
        self.origin_ns = origin_ns
        self.rate: int | None = None
        """Sample rate of both tracks; None until the file is created."""
        self.closed = False
        self._path = path
        self._file: StereoFile | None = None
        self._placers: dict[Channel, TrackPlacer] = {}

    def take(self, item: TrackItem) -> None:
        """Adds a block of audio, a cut, or the end of the tracks, or sets the format of user audio."""
        if self.closed:
            return
        match item:
            case AudioFormat():
                self._opened(item.rate)
            case UserSent(end_ns, pcm, rate):
                self._opened(rate)
                start_ns = end_ns - frames_to_ns(len(pcm) // 2, rate)
                self._placers[Channel.USER].feed(start_ns, pcm, rate)
            case AgentHeard(start_ns, pcm, rate):
                self._opened(rate)
                self._placers[Channel.AGENT].feed(start_ns, pcm, rate)
            case AgentCut(at_ns):
                self._cut(at_ns)
            case TracksEnd(at_ns):
                self.close(at_ns)

    def settle(self, now_ns: int) -> None:
        """Writes the blocks whose place is certain, and adds silence up to shortly before ``now_ns``."""
        if self._file is None:
            return
        for channel, placer in self._placers.items():
            self._put(channel, placer.settle(now_ns))
        self._file.extend(self._placers[Channel.USER].frame_at(now_ns - LOOK_AHEAD_NS))

    def close(self, now_ns: int) -> None:
        """Writes the remaining blocks, extends the file to ``now_ns`` and closes it."""
        if self._file is None:
            self.closed = True
            return
        try:
            for channel, placer in self._placers.items():
                self._put(channel, placer.finish())
            self._file.extend(self._placers[Channel.USER].frame_at(now_ns))
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Closes the file in its current state. Later calls of `take` have no effect."""
        self.closed = True
        if self._file:
            self._file.close()
            self._file = None

    def _opened(self, rate: int) -> StereoFile:
        if self._file is None:
            self._file = StereoFile(self._path, rate)
            self.rate = rate
            self._placers = {channel: TrackPlacer(rate, self.origin_ns) for channel in Channel}
        return self._file

    def _cut(self, at_ns: int) -> None:
        if self._file is None:
            return
        placer = self._placers[Channel.AGENT]
        self._put(Channel.AGENT, placer.finish())
        self._file.clear(Channel.AGENT, placer.cut(at_ns))

    def _put(self, channel: Channel, placed: Iterable[Placed]) -> None:
        assert self._file is not None
        for frame, pcm in placed:
            self._file.put(channel, frame, pcm)
