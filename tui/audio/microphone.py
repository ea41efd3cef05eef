"""Microphone: delivers blocks in real time, from a device or from a clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple

from tui.audio import devices
from tui.audio.blocks import Source, Stamp
from tui.audio.clocked import ClockedBlocks
from tui.audio.crowd import SharedClock, Ticking
from tui.audio.in_thread import driver_hangs, in_thread

RecordingCallback = Callable[[Any, int, Any, Any], None]
"""PortAudio's callback signature: ``(indata, frames, time, status)``."""


class _Mode(Enum):
    """Selects what the microphone delivers."""

    NOTHING = auto()
    SILENCE = auto()
    SOUND = auto()
    """Blocks from the device, or silence if there is no device or it is not open."""


class _OpenDevice(NamedTuple):
    """A device's stream and the source of its blocks."""

    stream: devices.Stream
    source: Source


class Microphone:
    """Delivers blocks of 16-bit mono samples from a device, or silence, to a callback.

    The device is open only while the mic is on. Silence is delivered if there is no device, while a recorded
    line is playing, and while the agent must hear the silence after the last word.

    ``callback`` has PortAudio's signature; its ``time`` is a `Stamp`. A device calls ``callback`` on PortAudio's
    thread; the silence clock calls it on the loop. ``on_skipped`` receives the number of blocks of silence that were
    too old to deliver. ``shared_clock`` replaces the silence clock. Call all methods on the event loop.
    """

    def __init__(
        self,
        callback: RecordingCallback,
        *,
        rate: int,
        block_ms: int,
        spawn: Callable[..., asyncio.Task[None]],
        device: devices.Device | None = None,
        on_skipped: Callable[[int], object] = lambda _: None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        shared_clock: SharedClock | None = None,
    ) -> None:
        self.rate = rate
        """Sample rate of silence, in Hz.

        A device is opened at this rate if it supports it. Change it only while the microphone is stopped.
        """
        self.block_ms = block_ms
        self.device = device
        self._callback = callback
        self._clock_ns = clock_ns
        self._silence = _SilenceClock(
            self._deliver_silence, block_ms, spawn, on_skipped, clock_ns, shared_clock
        )
        self._calls = _DeviceCalls(clock_ns)
        self._mode = _Mode.NOTHING
        # Set immediately on request, before any device is opened or closed, which may take seconds. From then
        # on, blocks that no longer fit the mode are dropped.
        self._closed = False
        self._lost: _OpenDevice | None = None
        """A stream whose opening was abandoned, kept until the driver returns and the stream can be closed."""
        self._lock = asyncio.Lock()
        # Held while a device is opened or closed. PortAudio's calls block and must not run for one stream on
        # two threads. The mode may change in the meantime, so it is read again under the lock, and once more
        # when the device is open.
        self._opened: _OpenDevice | None = None

    @property
    def source(self) -> Source | None:
        """The device that is delivering audio; None while silence or nothing is delivered."""
        opened = self._opened
        return opened.source if opened is not None and self._mode is _Mode.SOUND else None

    @property
    def delivering(self) -> bool:
        """Whether blocks are delivered, from a device or as silence."""
        return self.source is not None or self._silence.running

    @property
    def callback_ns(self) -> int | None:
        """When the device last delivered a block or was opened; None while no blocks are expected from it."""
        return self._calls.last_ns

    @property
    def vanished(self) -> bool:
        """Whether blocks are expected from the device, but its stream ended unexpectedly or could not be reopened."""
        opened = self._opened
        return self._calls.last_ns is not None and (opened is None or opened.stream.vanished)

    def take_busy_ns(self) -> int:
        """Returns the longest duration of the device's callback since the previous call, in ns."""
        return self._calls.take_busy_ns()

    def take_gap_ms(self) -> float:
        """Returns the longest time between two callbacks of one stream since the previous call, in ms.

        0 if unknown.
        """
        return self._calls.take_gap_ns() / 1_000_000

    def take_missed_ms(self) -> float:
        """Returns how many ms of audio were missed since the previous call because a stream was replaced."""
        return self._calls.take_missed_ns() / 1_000_000

    async def start(self, *, silent: bool) -> None:
        """Starts delivering audio from the device, or silence; also silence if it raises `AudioDeviceError`."""
        if not self._closed:
            self._mode = _Mode.SILENCE if silent else _Mode.SOUND
            await self._follow_mode()

    async def stop(self) -> None:
        """Stops delivering blocks, and releases the device."""
        self._mode = _Mode.NOTHING
        await self._follow_mode()

    async def close(self) -> None:
        """Stops at the end of the call; nothing is delivered after this."""
        self._closed = True
        await self.stop()

    async def drop(self) -> None:
        """Releases the device temporarily; silence is delivered in the meantime."""
        async with self._lock:
            await self._close_device()
            self._keep_time()

    async def reopen(self, device: devices.Device) -> None:
        """Delivers audio from this device, now or from the next `start`.

        If it raises `AudioDeviceError`, silence is delivered and the previous device remains selected.
        """
        async with self._lock:
            if self._mode is _Mode.SOUND:
                await self._close_device()
                self._calls.give_up()
                await self._open_device(device)
            self.device = device

    async def _follow_mode(self) -> None:
        # Before the lock is acquired, so that silence starts or stops immediately, even while a device is
        # being opened.
        self._rest()
        async with self._lock:
            if self._mode is not _Mode.SOUND:
                await self._close_device()
                self._rest()
            elif self._opened is None and self.device is not None:
                await self._open_device(self.device)
            else:
                self._keep_time()

    def _rest(self) -> None:
        """Records that no sound is wanted, so that no device audio counts as missed and only silence is delivered."""
        if self._mode is not _Mode.SOUND:
            self._calls.rest()
            self._keep_time()

    async def _open_device(self, device: devices.Device) -> None:
        """Opens the device; call with the lock held. If it raises `AudioDeviceError`, silence is delivered."""
        try:
            await in_thread(partial(self._open, device), undo=self._close_late)
        except devices.AudioDeviceError:
            if driver_hangs():
                self._lost, self._opened = self._opened, None
            raise
        finally:
            if self._mode is not _Mode.SOUND:  # the mode changed while the device was being opened
                await self._close_device()
            self._rest()
            self._keep_time()

    def _open(self, device: devices.Device) -> None:
        rate = devices.supported_rate(device, "input", self.rate)
        source = Source(rate, from_device=True)
        stream = devices.open_input(
            device, rate, rate * self.block_ms // 1000, partial(self._deliver, source), latency="low"
        )
        # Set before the start, because PortAudio may call back before `start` returns, and blocks from any
        # source but the open one are dropped. From here on, blocks of the silence clock are dropped, so that
        # none is inserted between blocks of the device.
        self._calls.opening()
        self._opened = _OpenDevice(stream, source)
        try:
            stream.start()
        except devices.AudioDeviceError:
            self._opened = None
            raise
        self._calls.opened()

    def _close_late(self) -> None:
        """Closes a stream that was opened after the loop stopped waiting for it.

        Runs on the thread that opened it.
        """
        # Either attribute may refer to the stream: the driver may have hung before the stream was known, or
        # while it was starting.
        for opened in (self._lost, self._opened):
            if opened is not None:
                opened.stream.close()
        self._lost = self._opened = None

    async def _close_device(self) -> None:
        """Closes the device; call with the lock held."""
        # Cleared first, so that blocks that PortAudio delivers while it closes the stream are dropped.
        opened, self._opened = self._opened, None
        if opened is not None:
            # A driver that hangs keeps the device open; nothing can be done about that here.
            with contextlib.suppress(devices.AudioDeviceError):
                await in_thread(opened.stream.close)

    def _keep_time(self) -> None:
        """Delivers silence if blocks are expected and no device is delivering them."""
        if self._mode is not _Mode.NOTHING and self.source is None:
            self._silence.start(Source(self.rate, from_device=False))
        else:
            self._silence.stop()

    def _deliver(self, source: Source, indata: Any, frames: int, times: Any, status: Any) -> None:
        """Stamps the block and passes it on; runs on PortAudio's thread.

        ``times`` is not used, because the capture times that PortAudio assigns to blocks vary over a range of
        24 ms, while the minimum of the callback times stays within 0.3 ms (measured).
        """
        if source is not self.source:
            return
        began_ns = self._calls.begin(self.block_ms)
        self._callback(indata, frames, Stamp(began_ns, source), status)
        self._calls.end(began_ns)

    def _deliver_silence(self, source: Source, due_ns: int) -> None:
        # A device that was just opened may deliver before the clock's task is cancelled.
        if self.source is None:
            frames = source.rate * self.block_ms // 1000
            self._callback(bytes(2 * frames), frames, Stamp(due_ns, source), None)


class _DeviceCalls:
    """The device's callback times and durations, and the audio missed between two streams.

    PortAudio's thread calls `begin` and `end`; the loop calls everything else. Each attribute is a number
    that one thread writes and the other reads or resets, so no lock is needed. At worst, a reset loses one
    duration.
    """

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self.last_ns: int | None = None
        self._clock_ns = clock_ns
        self._busy_ns = 0
        self._called_ns: int | None = None
        """Time of the stream's last callback. Unlike `last_ns`, it does not include the opening."""
        self._gap_ns = 0
        self._given_up_ns: int | None = None
        """Time of the last callback of an abandoned stream; reset when its successor calls back."""
        self._missed_ns = 0

    def opened(self) -> None:
        """Records that a stream has started. A device that never calls back counts as stalled from then on."""
        self.last_ns = self.last_ns or self._clock_ns()

    def opening(self) -> None:
        """Records that a stream is about to start. The time since the previous stream does not count as a gap."""
        self._called_ns = None

    def begin(self, block_ms: int) -> int:
        """Records that the callback was entered, and returns the time.

        The callback's samples were captured during the preceding block.
        """
        began_ns = self.last_ns = self._clock_ns()
        if self._called_ns is not None:
            self._gap_ns = max(self._gap_ns, began_ns - self._called_ns)
        self._called_ns = began_ns
        self._miss_until(began_ns - block_ms * 1_000_000)
        return began_ns

    def end(self, began_ns: int) -> None:
        """Records that the callback is returning."""
        self._busy_ns = max(self._busy_ns, self._clock_ns() - began_ns)

    def give_up(self) -> None:
        """Records that the stream was closed to open another. No audio is captured until the new one starts."""
        self._given_up_ns = self.last_ns

    def rest(self) -> None:
        """Records that the device should no longer deliver blocks. No audio counts as missed after this."""
        self.last_ns = None
        self._miss_until(self._clock_ns())

    def take_busy_ns(self) -> int:
        """Returns the duration of the longest callback since the previous call."""
        busy_ns, self._busy_ns = self._busy_ns, 0
        return busy_ns

    def take_gap_ns(self) -> int:
        """Returns the longest time between two callbacks since the previous call."""
        gap_ns, self._gap_ns = self._gap_ns, 0
        return gap_ns

    def take_missed_ns(self) -> int:
        """Returns the length of the audio missed since the previous call."""
        missed_ns, self._missed_ns = self._missed_ns, 0
        return missed_ns

    def _miss_until(self, at_ns: int) -> None:
        if self._given_up_ns is not None:
            self._missed_ns += max(at_ns - self._given_up_ns, 0)
            self._given_up_ns = None


class _SilenceClock:
    """Calls ``function(source, due_ns)`` for every block while it is running. Runs on the loop."""

    def __init__(
        self,
        function: Callable[[Source, int], None],
        block_ms: int,
        spawn: Callable[..., asyncio.Task[None]],
        on_skipped: Callable[[int], object],
        clock_ns: Callable[[], int],
        shared_clock: SharedClock | None,
    ) -> None:
        self._shared_clock = shared_clock
        self._function = function
        self._block_ms = block_ms
        self._spawn = spawn
        self._on_skipped = on_skipped
        self._clock_ns = clock_ns
        self._task: asyncio.Task[None] | Ticking | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self, source: Source) -> None:
        if self._task is not None:
            return
        if self._shared_clock is not None:
            self._task = self._shared_clock.call(partial(self._function, source), self._on_skipped)
        else:
            clock = ClockedBlocks(
                self._block_ms,
                partial(self._function, source),
                on_skipped=self._on_skipped,
                clock_ns=self._clock_ns,
            )
            self._task = self._spawn(clock.run(), "microphone clock")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
