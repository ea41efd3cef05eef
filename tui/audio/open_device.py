"""Parts shared by the microphone and the speaker: the open stream, and the times of its callbacks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tui.audio.devices import AudioDeviceError, Stream
from tui.audio.in_thread import driver_hangs, in_thread


class HasStream(Protocol):
    """An object that owns an open stream and the data that the stream's callback needs."""

    @property
    def stream(self) -> Stream:
        """The open stream."""


Opened = TypeVar("Opened", bound=HasStream)


class OpenDevice(Generic[Opened]):
    """Opens and closes one stream on worker threads. The caller must not open and close at the same time."""

    def __init__(self) -> None:
        self.opened: Opened | None = None
        self._lost: Opened | None = None
        """A stream that the driver did not open in time; it is closed once the driver returns."""

    @property
    def vanished(self) -> bool:
        """Whether the stream ended unexpectedly or could not be reopened."""
        opened = self.opened
        return opened is None or opened.stream.vanished

    async def open(self, function: Callable[[], None]) -> None:
        """Runs ``function``, which must open a stream and call `start`, on a worker thread.

        Raises `AudioDeviceError`.
        """
        try:
            await in_thread(function, undo=self._close_late)
        except AudioDeviceError:
            if driver_hangs():
                self._lost, self.opened = self.opened, None
            raise

    def start(self, opened: Opened) -> None:
        """Sets `opened` and starts the stream. On `AudioDeviceError`, resets `opened` to None."""
        # Set before the start, because PortAudio may call back before `Stream.start` returns.
        self.opened = opened
        try:
            opened.stream.start()
        except AudioDeviceError:
            self.opened = None
            raise

    async def close(self) -> None:
        """Closes the stream, if there is one."""
        # Cleared first, so that the callbacks that PortAudio makes while it closes the stream can be ignored.
        opened, self.opened = self.opened, None
        if opened is not None:
            # A driver that hangs keeps the device open; nothing can be done about that here.
            with contextlib.suppress(AudioDeviceError):
                await in_thread(opened.stream.close)

    def _close_late(self) -> None:
        """Closes a stream that the driver opened only after the time limit. Runs on the thread that opened it."""
        # Either attribute may refer to the stream: the driver may have hung before the stream was known, or
        # while it was starting.
        for opened in (self._lost, self.opened):
            if opened is not None:
                opened.stream.close()
        self._lost = self.opened = None


class CallbackTimes:
    """Times and durations of a device's callbacks.

    PortAudio's thread calls `begin` and `end`; the loop calls everything else. Each attribute is a number
    that one thread writes and the other reads or resets, so no lock is needed. A reset may lose one duration.
    Losing a duration is better than a callback that waits for a lock.
    """

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self.last_ns: int | None = None
        """Time of the device's last callback or, before that, of its first opening."""
        self._clock_ns = clock_ns
        self._called_ns: int | None = None
        """Time of the open stream's last callback; None before its first callback."""
        self._gap_ns = 0
        self._busy_ns = 0

    def opening(self) -> None:
        """Records that a stream is about to start. The time since the previous stream does not count as a gap."""
        self._called_ns = None

    def opened(self) -> None:
        """Records that a stream has started. A device that never calls back counts as stalled from then on."""
        self.last_ns = self.last_ns or self._clock_ns()

    def begin(self) -> int:
        """Records and returns the time at which the callback was entered."""
        began_ns = self.last_ns = self._clock_ns()
        if self._called_ns is not None:
            self._gap_ns = max(self._gap_ns, began_ns - self._called_ns)
        self._called_ns = began_ns
        return began_ns

    def end(self, began_ns: int) -> None:
        """Records the duration of the callback that was entered at ``began_ns``."""
        self._busy_ns = max(self._busy_ns, self._clock_ns() - began_ns)

    def take_busy_ns(self) -> int:
        """Returns the duration of the longest callback since the previous call."""
        busy_ns, self._busy_ns = self._busy_ns, 0
        return busy_ns

    def take_gap_ms(self) -> float:
        """Returns the longest time between two callbacks of one stream since the previous call; 0 if unknown."""
        gap_ns, self._gap_ns = self._gap_ns, 0
        return gap_ns / 1_000_000
