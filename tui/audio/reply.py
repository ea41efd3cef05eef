"""One reply of the agent on its way to the speaker: its queued samples, and which of them were heard.

The playback queue's own part; guarded by its lock.
"""

from __future__ import annotations

from collections import deque

import msgspec

from tui.audio.pcm import ns_to_frames


class Clock(msgspec.Struct, frozen=True):
    """Ties the frames handed to the device to time: what the last pull was."""

    stream_frame: int
    """Index of the first frame of the last pulled block, counted over everything ever pulled."""
    at_ns: int
    frames: int
    """Length of that block."""
    rate: int

    def heard_stream_frames(self, at_ns: int, device_latency_ms: float) -> int:
        """How many of all pulled frames have left the speaker at that instant."""
        since_ns = at_ns - self.at_ns - round(device_latency_ms * 1_000_000)
        return self.stream_frame + min(ns_to_frames(since_ns, self.rate), self.frames)


class Reply:
    """What was received of one reply, what was handed to the device, and when. Frames throughout."""

    def __init__(self, reply_id: str) -> None:
        self.reply_id = reply_id
        self.received_frames = 0
        """Accepted for playback."""
        self.handed_frames = 0
        """Given to the device."""
        self.first_fed_ns: int | None = None
        self.ended = False
        """Nothing more is expected."""
        self.started = False
        self.closed = False
        """Drained or flushed: out of the queue."""
        self.flushed = False
        self.limit_told = False
        self.gap_frames = 0
        """Silence since its last sample, while it is not known whether more comes."""
        self.last_handed_ns = 0
        self.last_stream_frame = 0
        self._chunks: deque[memoryview] = deque()
        self._runs: list[tuple[int, int]] = []
        self._final_heard_frames: int | None = None

    @property
    def queued_frames(self) -> int:
        """Received, not handed, not flushed."""
        return 0 if self.flushed else self.received_frames - self.handed_frames

    @property
    def audible_frames(self) -> int:
        """Received, and heard or still to be: fewer than received once it was flushed."""
        if self._final_heard_frames is not None:
            return self._final_heard_frames
        return self.handed_frames if self.flushed else self.received_frames

    def add(self, pcm: bytes, frames: int, at_ns: int) -> None:
        """Queue the first ``frames`` of ``pcm``."""
        if self.first_fed_ns is None:
            self.first_fed_ns = at_ns
        self._chunks.append(memoryview(pcm)[: frames * 2])
        self.received_frames += frames

    def take(self, max_frames: int, stream_frame: int) -> memoryview:
        """Hand over samples of one chunk, at most ``max_frames``, as frame ``stream_frame`` of the stream."""
        chunk = self._chunks[0]
        part = chunk[: max_frames * 2]
        if len(part) == len(chunk):
            self._chunks.popleft()
        else:
            self._chunks[0] = chunk[len(part) :]
        frames = len(part) // 2
        if self._runs and sum(self._runs[-1]) == stream_frame:
            self._runs[-1] = (self._runs[-1][0], self._runs[-1][1] + frames)
        else:
            self._runs.append((stream_frame, frames))
        self.handed_frames += frames
        return part

    def flush(self) -> int:
        """Forget what is queued; gives how many frames that was."""
        unheard_frames = self.queued_frames
        self._chunks.clear()
        self.flushed = self.closed = True
        return unheard_frames

    def heard_frames(self, clock: Clock, at_ns: int, device_latency_ms: float) -> int:
        """How many of its frames have left the speaker at that instant."""
        if self._final_heard_frames is not None:
            return self._final_heard_frames
        heard_until = clock.heard_stream_frames(at_ns, device_latency_ms)
        return sum(min(max(heard_until - start, 0), frames) for start, frames in self._runs)

    def settle(self, heard_frames: int) -> None:
        """The device was aborted: what it still held will never be heard."""
        self._final_heard_frames = heard_frames
