"""Makes saved calls to a scripted agent."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.session.scripted import Call, Peer, held
from tui.models.target import Target
from tui.saving.reading import SavedSession, open_session
from tui.saving.writer import SessionWriter
from tui.session.live import LiveSession

RATE = 16_000
BLOCK_MS = 20

Samples = NDArray[np.int16]


class SavedCall(Call):
    """A call whose session is saved."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.problems: list[str] = []
        self.worst_lag_ms = 0.0
        """Longest delay of the event loop, which limits the accuracy of times."""
        self.writer: SessionWriter

    async def start(self) -> asyncio.Task[None]:
        self.writer = await SessionWriter.start(
            self._target, self.problems.append, lambda: self.session.state.metrics
        )
        tracks = self.writer.tracks
        self.audio.tracks = [tracks] if tracks else []
        await self.audio.configure(input="lines", output="none")
        self.session = LiveSession(
            self._target,
            self.audio,
            sink=lambda event: self._take(self.writer.take(event)),
            keep_raw=self.writer.append,
        )
        return asyncio.ensure_future(self._hold())

    async def _hold(self) -> None:
        watch = asyncio.ensure_future(self._watch_lag())
        try:
            await self.session.run()
        finally:
            watch.cancel()
            await self.writer.close()

    async def _watch_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            self.worst_lag_ms = max(self.worst_lag_ms, (loop.time() - before) * 1000 - 5)


def saved_call(url: str, folder: Path, **options: Any) -> AbstractAsyncContextManager[SavedCall]:
    """Returns the context of a call to this URL, saved in this folder and hung up at the end."""
    return held(SavedCall(Target(url=url, title="test", save=str(folder), **options)))


@contextmanager
def only_session(folder: Path) -> Iterator[SavedSession]:
    """Yields the only session saved in this folder."""
    (found,) = folder.iterdir()
    with open_session(found) as saved:
        yield saved


def tracks_of(saved: SavedSession) -> tuple[Samples, Samples]:
    """Returns the complete tracks of user and agent."""
    assert saved.audio is not None
    pair = saved.audio.read(0, saved.audio.frames)
    return np.frombuffer(pair.user, "<i2"), np.frombuffer(pair.agent, "<i2")


def found_at(track: Samples, sound: Samples) -> int:
    """Returns the frame at which a sound is found in a track, sample for sample."""
    whole, wanted = track.tobytes(), sound.tobytes()
    at = whole.find(wanted)
    while at % 2 and at >= 0:
        at = whole.find(wanted, at + 1)
    assert at >= 0, "it is not there sample for sample"
    return at // 2


async def play_pcm(peer: Peer, stream: str, pcm: bytes) -> None:
    """Sends a reply much faster than real time."""
    await peer.send({"type": "playStream.start", "streamId": stream, "mediaFormat": "raw/lpcm16"})
    for start in range(0, len(pcm), 6400):
        chunk = base64.b64encode(pcm[start : start + 6400]).decode()
        await peer.send({"type": "playStream.chunk", "streamId": stream, "audioChunk": chunk})
    await peer.send({"type": "playStream.stop", "streamId": stream})
