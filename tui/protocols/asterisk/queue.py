"""FrameQueue: the queue from which Asterisk plays a server's audio, one frame every 20 ms."""

from __future__ import annotations

MAX_FRAMES = 1_000
XOFF_FRAMES = 900
XON_FRAMES = 800
_GRACE_TICKS = 50
"""One second: longer than audio can remain in transit after the server was asked to stop."""


class FrameQueue:
    """Counts queued frames and splits messages into frames. `tick` advances the queue's clock."""

    def __init__(self, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self.length = 0
        self.full = False
        """Whether the server has been asked to stop sending, and has not been asked to continue since."""
        self.buffering = False
        self.paused = False
        self._rest = b""
        self._ticks_full = 0

    @property
    def overflows(self) -> bool:
        """Whether the next message will be dropped entirely."""
        return self.length >= MAX_FRAMES

    @property
    def ignored(self) -> bool:
        """Whether the server keeps sending a second after it was asked to stop."""
        return self.full and self._ticks_full >= _GRACE_TICKS

    def put(self, audio: bytes) -> tuple[bytes, bytes]:
        """Queues a message; returns the frames that it completes, and audio that is lost.

        During buffering, an incomplete frame waits for the next message; otherwise it is lost.
        """
        if self.overflows:
            return b"", audio
        if self.buffering:
            audio = self._rest + audio
        whole = len(audio) - len(audio) % self.frame_bytes
        frames, rest = audio[:whole], audio[whole:]
        self._rest, lost = (rest, b"") if self.buffering else (b"", rest)
        self._count(whole // self.frame_bytes)
        return frames, lost

    def stop_buffering(self, silence: bytes) -> bytes:
        """Ends buffering; returns an incomplete frame, padded with ``silence``, or b"" if there is none."""
        rest, self._rest, self.buffering = self._rest, b"", False
        if not rest:
            return b""
        self._count(1)
        return rest + silence[len(rest) :]

    def flush(self) -> None:
        """Drops all frames, including an incomplete one, and ends buffering.

        At the next tick, the server is asked to continue.
        """
        self.length, self._rest, self.buffering = 0, b"", False

    def tick(self) -> bool:
        """Takes a frame from the queue; returns whether to ask the server to continue sending."""
        if self.full:
            self._ticks_full += 1
        if self.paused:
            return False
        goes_on = self.full and self.length < XON_FRAMES
        if goes_on:
            self.full = False
        self.length = max(0, self.length - 1)
        return goes_on

    def _count(self, frames: int) -> None:
        self.length += frames
        if not self.full and self.length >= XOFF_FRAMES:
            self.full, self._ticks_full = True, 0
