"""The microphone of a call: whatever delivers blocks at the pace of time, a device or the clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any

from tui.audio import devices
from tui.audio.blocks import Source
from tui.audio.clocked import ClockedBlocks
from tui.audio.in_thread import in_thread

RecordingCallback = Callable[[Any, int, Any, Any], None]
"""PortAudio's signature: ``(indata, frames, time, status)``."""


class _Wish(Enum):
    """What is to be delivered."""

    NOTHING = auto()
    SILENCE = auto()
    SOUND = auto()
    """Of the device; silence where there is none, or while it is not open."""


class Microphone:
    """Delivers blocks of 16-bit mono samples to a callback: of a device, or of silence.

    The device is open only while the user records; the clock of silence serves when there is no device, when a
    recorded line is spoken, and when the agent has to hear the silence after the last word.

    A wish holds from the instant at which it is uttered: no sound is delivered once there is to be none. Devices
    follow, one change after the other: whoever opens or closes one holds the lock and looks, once it holds it and
    again when the device is open, at what is wished by then.

    ``on_skipped`` is told how many blocks of silence fell due so long ago that they are not delivered any more.
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
    ) -> None:
        self.rate = rate
        """Of silence; a device delivers at this one if it can."""
        self.device = device
        self._callback = callback
        self._block_ms = block_ms
        self._spawn = spawn
        self._on_skipped = on_skipped
        self._clock_ns = clock_ns
        self._wish = _Wish.NOTHING
        self._closed = False
        self._lock = asyncio.Lock()
        self._stream: devices.Stream | None = None
        self._opened: Source | None = None
        """The device's, while it is open."""
        self._clocked: asyncio.Task[None] | None = None
        self._delivery = threading.local()
        """Of the block that this thread delivers just now: device and clock may do so at once."""
        self._callback_ns: int | None = None
        self._busy_ns = 0
        self._given_up_ns: int | None = None
        """When a stream that was given up called back last, until another one calls."""
        self._missed_ns = 0

    @property
    def source(self) -> Source | None:
        """The device that delivers now; None: silence is delivered, or nothing."""
        return self._opened if self._wish is _Wish.SOUND else None

    @property
    def delivering(self) -> bool:
        """Whether blocks come, from a device or of silence."""
        return self.source is not None or self._clocked is not None

    @property
    def delivery(self) -> tuple[int, Source] | None:
        """When the block that is being delivered on this thread came or was due, and its source; None: none is."""
        return getattr(self._delivery, "block", None)

    async def start(self, *, silent: bool) -> None:
        """Deliver from now on: from the device, or silence. Raises `AudioDeviceError`; then silence flows."""
        if not self._closed:
            self._wish = _Wish.SILENCE if silent else _Wish.SOUND
            await self._bring_about()

    @property
    def callback_ns(self) -> int | None:
        """When the device last delivered, or was opened first; None while it is not to deliver."""
        return self._callback_ns

    @property
    def vanished(self) -> bool:
        """Whether a device is to deliver whose stream ended by itself, or could not be opened again."""
        stream = self._stream
        return self._callback_ns is not None and (stream is None or stream.vanished)

    def take_busy_ns(self) -> int:
        """The longest that the device's callback took since the last call."""
        busy_ns, self._busy_ns = self._busy_ns, 0
        return busy_ns

    def take_missed_ms(self) -> float:
        """What no stream delivered since the last call, because one had to be opened in place of another."""
        missed_ns, self._missed_ns = self._missed_ns, 0
        return missed_ns / 1_000_000

    async def drop(self) -> None:
        """Give back the device for a while: silence is delivered meanwhile."""
        async with self._lock:
            await self._close_device()
            self._keep_time()

    async def reopen(self, device: devices.Device) -> None:
        """Deliver from this device, now or when it is wished first.

        Raises `AudioDeviceError`; then silence flows, and it is not the device to use.
        """
        async with self._lock:
            if self._wish is _Wish.SOUND:
                await self._close_device()
                self._given_up_ns = self._callback_ns
                await self._open_device(device)
            self.device = device

    async def stop(self) -> None:
        """Deliver nothing any more, and give back the device."""
        self._wish = _Wish.NOTHING
        await self._bring_about()

    async def close(self) -> None:
        """Stop for good."""
        self._closed = True
        await self.stop()

    async def _bring_about(self) -> None:
        self._rest()
        async with self._lock:
            if self._wish is not _Wish.SOUND:
                await self._close_device()
                self._rest()
            elif self._stream is None and self.device is not None:
                await self._open_device(self.device)
            else:
                self._keep_time()

    def _rest(self) -> None:
        """Where no sound is wished the device has missed what it has missed, and silence flows if anything does."""
        if self._wish is not _Wish.SOUND:
            self._callback_ns = None
            self._miss_until(self._clock_ns())
            self._keep_time()

    async def _open_device(self, device: devices.Device) -> None:
        """With the lock held. Raises `AudioDeviceError`; then silence flows."""
        try:
            await in_thread(self._open, device)
        finally:
            if self._wish is not _Wish.SOUND:  # any more
                await self._close_device()
            self._rest()
            self._keep_time()

    def _open(self, device: devices.Device) -> None:
        rate = devices.supported_rate(device, "input", self.rate)
        source = Source(rate, from_device=True)
        stream = devices.open_input(
            device, rate, rate * self._block_ms // 1000, partial(self._deliver, source), latency="low"
        )
        # From here on the clock is silent: no block of its may come in between.
        self._stream, self._opened = stream, source
        try:
            stream.start()
        except devices.AudioDeviceError:
            self._stream = self._opened = None
            raise
        self._callback_ns = self._callback_ns or self._clock_ns()

    async def _close_device(self) -> None:
        """With the lock held."""
        stream, self._stream, self._opened = self._stream, None, None
        if stream is not None:
            await in_thread(stream.close)

    def _keep_time(self) -> None:
        """Have silence flow where something is to be delivered and no device does."""
        if self._wish is not _Wish.NOTHING and self.source is None:
            self._start_clock()
        else:
            self._stop_clock()

    def _start_clock(self) -> None:
        if self._clocked is None:
            silence = partial(self._silence, Source(self.rate, from_device=False))
            clock = ClockedBlocks(
                self._block_ms, silence, on_skipped=self._on_skipped, clock_ns=self._clock_ns
            )
            self._clocked = self._spawn(clock.run(), "microphone clock")

    def _stop_clock(self) -> None:
        if self._clocked is not None:
            self._clocked.cancel()
            self._clocked = None

    def _deliver(self, source: Source, indata: Any, frames: int, times: Any, status: Any) -> None:
        """On PortAudio's thread."""
        if source is not self.source:
            return
        began_ns = self._callback_ns = self._clock_ns()
        self._miss_until(began_ns - self._block_ms * 1_000_000)
        self._hand_over(began_ns, source, indata, frames, times, status)
        self._busy_ns = max(self._busy_ns, self._clock_ns() - began_ns)

    def _silence(self, source: Source, due_ns: int) -> None:
        if self.source is None:
            frames = self.rate * self._block_ms // 1000
            self._hand_over(due_ns, source, bytes(2 * frames), frames, None, None)

    def _hand_over(
        self, at_ns: int, source: Source, indata: Any, frames: int, times: Any, status: Any
    ) -> None:
        self._delivery.block = (at_ns, source)
        self._callback(indata, frames, times, status)
        self._delivery.block = None

    def _miss_until(self, at_ns: int) -> None:
        """Nothing was captured from the last callback of a stream that was given up to that instant."""
        if self._given_up_ns is not None:
            self._missed_ns += max(at_ns - self._given_up_ns, 0)
            self._given_up_ns = None
