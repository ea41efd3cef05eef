"""Microphone: delivers audio blocks in real time, from a device or as silence from a clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple

from tui.audio import devices
from tui.audio.blocks import Source, Stamp
from tui.audio.clocked import ClockedBlocks
from tui.audio.crowd import SharedClock, Ticking
from tui.audio.open_device import CallbackTimes, OpenDevice


class _Mode(Enum):
    """What the microphone should deliver."""

    NOTHING = auto()
    SILENCE = auto()
    SOUND = auto()
    """Blocks from the device; silence if no device is open."""


class _OpenInput(NamedTuple):
    """A device's stream and the source of its blocks."""

    stream: devices.Stream
    source: Source


class Microphone:
    """Delivers blocks of 16-bit mono samples from a device, or silence, to a callback.

    The device is open only while the mic is on. Silence is delivered if there is no device, while a recorded
    line is playing, and while the agent must hear the silence after the last word.

    ``callback`` has PortAudio's signature, but its ``time`` argument is a `Stamp`. A device calls
    ``callback`` on PortAudio's thread; the silence clock calls ``callback`` on the loop. ``on_skipped``
    receives the number of blocks of silence that were too old to deliver. ``shared_clock`` replaces the
    silence clock. Call all methods on the event loop.
    """

    def __init__(
        self,
        callback: devices.StreamCallback,
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

        A device is opened at the same rate if possible. Change the rate only while the microphone is stopped.
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
        self._lock = asyncio.Lock()
        # Held while a device is opened or closed. PortAudio's calls block and must not run for one stream on
        # two threads. The mode may change in the meantime, so it is read again under the lock, and once more
        # when the device is open.
        self._device = OpenDevice[_OpenInput]()

    @property
    def source(self) -> Source | None:
        """The device stream that is delivering blocks; None if blocks are silent or not delivered."""
        opened = self._device.opened
        return opened.source if opened is not None and self._mode is _Mode.SOUND else None

    @property
    def delivering(self) -> bool:
        """Whether blocks are being delivered, including silent ones."""
        return self.source is not None or self._silence.running

    @property
    def callback_ns(self) -> int | None:
        """Time of the device's last block, or of its opening; None if no block is expected from a device."""
        return self._calls.last_ns

    @property
    def vanished(self) -> bool:
        """Whether the device should deliver blocks but its stream ended unexpectedly or could not be reopened."""
        return self._calls.last_ns is not None and self._device.vanished

    def take_busy_ns(self) -> int:
        """Returns the duration of the device's longest callback since the previous call."""
        return self._calls.take_busy_ns()

    def take_gap_ms(self) -> float:
        """Returns the longest time between two callbacks of a stream since the previous call; 0 if unknown."""
        return self._calls.take_gap_ms()

    def take_missed_ms(self) -> float:
        """Returns how much audio was lost since the previous call because a stream was replaced."""
        return self._calls.take_missed_ns() / 1_000_000

    async def start(self, *, silent: bool) -> None:
        """Starts delivering audio from the device, or silence.

        If the device cannot be opened, raises `AudioDeviceError` and delivers silence.
        """
        if not self._closed:
            self._mode = _Mode.SILENCE if silent else _Mode.SOUND
            await self._follow_mode()

    async def stop(self) -> None:
        """Stops delivering blocks and releases the device."""
        self._mode = _Mode.NOTHING
        await self._follow_mode()

    async def close(self) -> None:
        """Stops for good: later calls of `start` have no effect."""
        self._closed = True
        await self.stop()

    async def drop(self) -> None:
        """Releases the device temporarily and delivers silence instead."""
        async with self._lock:
            await self._device.close()
            self._keep_time()

    async def reopen(self, device: devices.Device) -> None:
        """Switches to ``device``, immediately if the mic is on, otherwise at the next `start`.

        If the device cannot be opened, raises `AudioDeviceError` and delivers silence; the previous device
        remains selected.
        """
        async with self._lock:
            if self._mode is _Mode.SOUND:
                await self._device.close()
                self._calls.give_up()
                await self._open_device(device)
            self.device = device

    async def _follow_mode(self) -> None:
        # Before the lock is acquired, so that silence starts or stops immediately, even while a device is
        # being opened.
        self._rest()
        async with self._lock:
            if self._mode is not _Mode.SOUND:
                await self._device.close()
                self._rest()
            elif self._device.opened is None and self.device is not None:
                await self._open_device(self.device)
            else:
                self._keep_time()

    def _rest(self) -> None:
        """Unless blocks should contain sound, delivers silence or nothing and stops counting missed audio."""
        if self._mode is not _Mode.SOUND:
            self._calls.rest()
            self._keep_time()

    async def _open_device(self, device: devices.Device) -> None:
        """Opens the device; call with the lock held. Raises `AudioDeviceError`, and then delivers silence."""
        try:
            await self._device.open(partial(self._open, device))
        finally:
            if self._mode is not _Mode.SOUND:  # the mode changed while the device was being opened
                await self._device.close()
            self._rest()
            self._keep_time()

    def _open(self, device: devices.Device) -> None:
        rate = devices.supported_rate(device, "input", self.rate)
        source = Source(rate, from_device=True)
        stream = devices.open_stream(
            "input", device, rate, rate * self.block_ms // 1000, partial(self._deliver, source)
        )
        # From the start on, blocks of the silence clock are dropped, so that none is inserted between blocks of
        # the device.
        self._calls.opening()
        self._device.start(_OpenInput(stream, source))
        self._calls.opened()

    def _keep_time(self) -> None:
        """Starts the silence clock if blocks are expected and no device delivers them; otherwise stops it."""
        if self._mode is not _Mode.NOTHING and self.source is None:
            self._silence.start(Source(self.rate, from_device=False))
        else:
            self._silence.stop()

    def _deliver(self, source: Source, indata: Any, frames: int, times: Any, status: Any) -> None:
        """Passes a block with its time to the callback. Runs on PortAudio's thread.

        Ignores ``times``, the capture times that PortAudio assigns to blocks, which vary over a range of 24
        ms. The minimum of the callback times stays within 0.3 ms (measured).
        """
        if source is not self.source:
            return
        began_ns = self._calls.begin_block(self.block_ms)
        self._callback(indata, frames, Stamp(began_ns, source), status)
        self._calls.end(began_ns)

    def _deliver_silence(self, source: Source, due_ns: int) -> None:
        # A device that was just opened may deliver before the clock's task is cancelled.
        if self.source is None:
            frames = source.rate * self.block_ms // 1000
            self._callback(bytes(2 * frames), frames, Stamp(due_ns, source), None)


class _DeviceCalls(CallbackTimes):
    """Records the device's callback times, and how much audio was missed between two streams."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        super().__init__(clock_ns)
        self._given_up_ns: int | None = None
        """Time of the last callback of an abandoned stream; reset when its successor calls back."""
        self._missed_ns = 0

    def begin_block(self, block_ms: int) -> int:
        """Records and returns the time at which the callback was entered.

        The samples of the callback were captured during the block before that time.
        """
        began_ns = self.begin()
        self._miss_until(began_ns - block_ms * 1_000_000)
        return began_ns

    def give_up(self) -> None:
        """Records that the stream was closed to open another. Audio is missed until the new stream starts."""
        self._given_up_ns = self.last_ns

    def rest(self) -> None:
        """Records that the device should stop delivering blocks. Later audio does not count as missed."""
        self.last_ns = None
        self._miss_until(self._clock_ns())

    def take_missed_ns(self) -> int:
        """Returns the length of the audio missed since the previous call."""
        missed_ns, self._missed_ns = self._missed_ns, 0
        return missed_ns

    def _miss_until(self, at_ns: int) -> None:
        if self._given_up_ns is not None:
            self._missed_ns += max(at_ns - self._given_up_ns, 0)
            self._given_up_ns = None


@dataclass(eq=False)
class _SilenceClock:
    """Calls ``function(source, due_ns)`` for every block while it is running. Runs on the loop."""

    function: Callable[[Source, int], None]
    block_ms: int
    spawn: Callable[..., asyncio.Task[None]]
    on_skipped: Callable[[int], object]
    clock_ns: Callable[[], int]
    shared_clock: SharedClock | None
    _task: asyncio.Task[None] | Ticking | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self, source: Source) -> None:
        if self._task is not None:
            return
        if self.shared_clock is not None:
            self._task = self.shared_clock.call(partial(self.function, source), self.on_skipped)
        else:
            clock = ClockedBlocks(
                self.block_ms,
                partial(self.function, source),
                on_skipped=self.on_skipped,
                clock_ns=self.clock_ns,
            )
            self._task = self.spawn(clock.run(), "microphone clock")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
