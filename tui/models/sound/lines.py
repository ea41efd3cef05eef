"""RecordedLines: WAV files that are played in place of the microphone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tui.audio.pcm import frames_to_ns, ns_to_frames
from tui.audio.wav import AudioFileError, read_wav
from tui.callbacks import CallbackManager, ProgressCallback, Registration
from tui.models import events as e
from tui.models.sound.pending import PendingEvents

PROGRESS = "line progress"


class CallerLine(msgspec.Struct, frozen=True):
    """A recorded line that can be played in place of the microphone."""

    name: str
    text: str
    path: str
    edges_ns: tuple[int, ...] = ()
    """Times in the file at which speech alternately starts and ends; empty if they were not determined."""


class _Begun(msgspec.Struct):
    """A line whose first sample was captured, and the times of its first and last samples."""

    line: CallerLine
    began_ns: int
    ended_ns: int | None = None
    """Time after its last sample; None while the line is playing."""


def line_of(path: str | Path, text: str = "") -> CallerLine:
    """Returns a recorded line for a WAV file, without reading the file."""
    return CallerLine(Path(path).name, text, str(path))


class RecordedLines:
    """The first step of the capture chain: replaces captured blocks while a line is playing.

    Runs on the engine's loop.
    """

    def __init__(self, lines: Sequence[CallerLine], pending: PendingEvents, *, rate: int) -> None:
        self.rate = rate
        """Sample rate in Hz of lines, and of the blocks that they replace."""
        self.callbacks = CallbackManager()
        self._lines = lines
        self._next = 0
        self._pending = pending
        self._loading: CallerLine | None = None
        self._spoken: CallerLine | None = None
        self._pcm = b""
        self._position = 0
        self._begins_ns: int | None = None
        """Scheduled time of the line's first sample; None once the line has begun."""
        self._begun: deque[_Begun] = deque(maxlen=2)
        self.block_end_ns = 0
        """Time at which the last sample of the next block left the microphone; set by the owner of the chain."""

    @property
    def speaking(self) -> bool:
        """Whether part of a line remains to be played."""
        return bool(self._pcm)

    @property
    def progress(self) -> float | None:
        """Share of the line that has been played, 0..1; None if no line is playing."""
        return self._position / len(self._pcm) if self._pcm else None

    def add_progress_callback(self, callback: ProgressCallback) -> Registration:
        """Calls ``callback(progress)`` for every block of a line. ``progress`` is 0..1."""
        return self.callbacks.register_callback(PROGRESS, callback)

    def speech_between(self, since_ns: int, until_ns: int) -> list[tuple[int, int]]:
        """Returns the periods of speech between two times, from the known edges of the latest lines."""
        periods = []
        for begun in self._begun:
            last_ns = until_ns if begun.ended_ns is None else min(until_ns, begun.ended_ns)
            edges = iter(begun.line.edges_ns)
            for start_ns, end_ns in zip(edges, edges, strict=False):
                period = max(begun.began_ns + start_ns, since_ns), min(begun.began_ns + end_ns, last_ns)
                if period[0] < period[1]:
                    periods.append(period)
        return periods

    async def speak(self, line: CallerLine, begins_ns: int | None = None) -> None:
        """Starts playing a line in place of the current one. An unreadable file results in an error event.

        Without ``begins_ns``, the line starts with the next block. With ``begins_ns``, the first sample is
        captured at that time or, if that time has passed, in the next block.
        """
        self._loading = line
        try:
            # Runs on a thread, because resampling ten seconds takes a quarter of a second, and blocks are due
            # every 20 ms.
            recorded = await asyncio.to_thread(read_wav, line.path, self.rate, self._pending.notice)
        except AudioFileError as error:
            self._pending.error("file", str(error))
            return
        if self._loading is not line:
            return  # another line or a stop was requested while this line was being read
        self.stop()
        self._spoken, self._pcm = line, recorded
        self._begins_ns = begins_ns
        if begins_ns is None:
            self._add_change(line)

    async def speak_next(self) -> None:
        """Plays the next of the lines that replace a microphone. Does nothing while a line is playing."""
        if self._lines and not self.speaking:
            await self.speak(self._lines[self._next % len(self._lines)])
            self._next += 1

    def stop(self) -> None:
        """Stops the current line, and discards a line that is still being read."""
        self._loading = None
        self._finish()

    def __call__(self, block: bytes) -> bytes:
        """Returns the block or, while a line is playing, the same number of bytes from the line.

        The line's last bytes are padded with silence.
        """
        # The result is as long as the block, so that audio is sent at the pace of the microphone.
        if not self._pcm:
            return block
        if self._begins_ns is not None:
            return self._begin(block, self._begins_ns)
        if not self._position and self._spoken is not None:
            block_ns = frames_to_ns(len(block) // 2, self.rate)
            self._begun.append(_Begun(self._spoken, self.block_end_ns - block_ns))
        part = self._pcm[self._position : self._position + len(block)]
        self._position += len(part)
        self.callbacks.trigger(PROGRESS, self._position / len(self._pcm))
        if self._position >= len(self._pcm):
            self._finish()
        return part.ljust(len(block), b"\0")

    def _begin(self, block: bytes, begins_ns: int) -> bytes:
        """Returns the block, with the first samples of a line at its end if the line begins during the block."""
        block_ns = frames_to_ns(len(block) // 2, self.rate)
        wait_ns = begins_ns - (self.block_end_ns - block_ns)
        if wait_ns >= block_ns:
            return block
        silent_bytes = min(2 * ns_to_frames(max(wait_ns, 0), self.rate), len(block))
        self._begins_ns = None
        assert self._spoken is not None
        at_ns = self.block_end_ns - block_ns + max(wait_ns, 0)
        self._add_change(self._spoken, at_ns=at_ns)
        return block[:silent_bytes] + self(block[silent_bytes:])

    def _finish(self) -> None:
        line, self._spoken = self._spoken, None
        if self._begun and self._begun[-1].ended_ns is None:
            self._begun[-1].ended_ns = self.block_end_ns
        begun, self._begins_ns = self._begins_ns is None, None
        self._pcm, self._position = b"", 0
        if line is not None and begun:
            self._add_change(line, finished=True)

    def _add_change(self, line: CallerLine, *, finished: bool = False, at_ns: int | None = None) -> None:
        at_ns = self._pending.clock_ns() if at_ns is None else at_ns
        self._pending.add(e.LineChanged(at_ns=at_ns, name=line.name, text=line.text, finished=finished))
