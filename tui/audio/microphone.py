"""The microphone of a call: whatever delivers blocks at the pace of time, a device or the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tui.audio import devices
from tui.audio.clocked import ClockedBlocks

RecordingCallback = Callable[[Any, int, Any, Any], None]
"""PortAudio's signature: ``(indata, frames, time, status)``."""


class Microphone:
    """Delivers blocks of 16-bit mono samples to a callback: of a device, or of silence.

    The device is open only while the user records; the clock of silence serves when there is no device, when a
    recorded line is spoken, and when the agent has to hear the silence after the last word.
    """

    def __init__(
        self,
        callback: RecordingCallback,
        *,
        rate: int,
        block_ms: int,
        spawn: Callable[..., asyncio.Task[None]],
        device: devices.Device | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.rate = rate
        self.device_rate = rate
        """What the device delivers; the blocks of silence come at `rate`."""
        self.block_due_ns: int | None = None
        """When the block that is being delivered was due; None when a device, not the clock, delivers it."""
        self.device = device
        self.openings = 0
        """How often a device was opened: what follows each time is another stream."""
        self._wanted = False
        self._callback = callback
        self._block_ms = block_ms
        self._spawn = spawn
        self._clock_ns = clock_ns
        self._callback_ns: int | None = None
        self._busy_ns = 0
        self._given_up_ns: int | None = None
        """When a stream that was given up called back last, until another one calls."""
        self._missed_ns = 0
        self._stream: devices.Stream | None = None
        self._clocked: asyncio.Task[None] | None = None

    @property
    def from_device(self) -> bool:
        """Whether what is delivered now comes from a device."""
        return self._stream is not None

    @property
    def delivering(self) -> bool:
        """Whether blocks come, from a device or of silence."""
        return self._stream is not None or self._clocked is not None

    async def start(self, *, silent: bool) -> None:
        """Deliver from now on: from the device, or silence. Raises `AudioDeviceError`; then silence flows."""
        self._wanted = not silent
        if silent or self.device is None:
            self._callback_ns = None
            await self._close_device()
            self._miss_until(self._clock_ns())
            self._start_clock()
            return
        if self._stream is not None:
            return
        try:
            self._stream = await asyncio.to_thread(self._open_device, self.device)
        except devices.AudioDeviceError:
            self._start_clock()
            raise
        self._stop_clock()

    @property
    def callback_ns(self) -> int | None:
        """When the device last delivered, or was opened first; None while it is not to deliver."""
        return self._callback_ns

    @property
    def vanished(self) -> bool:
        """Whether a device is to deliver whose stream ended by itself, or could not be opened again."""
        return self._callback_ns is not None and (self._stream is None or self._stream.vanished)

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
        await self._close_device()
        self._start_clock()

    async def reopen(self, device: devices.Device) -> None:
        """Deliver from this device, if one is to deliver at all. Raises `AudioDeviceError`; then silence flows."""
        self.device = device
        if self._wanted:
            await self._close_device()
            self._given_up_ns = self._callback_ns
            await self.start(silent=False)

    async def stop(self) -> None:
        """Deliver nothing any more, and give back the device."""
        self._wanted = False
        self._callback_ns = None
        self._stop_clock()
        await self._close_device()
        self._miss_until(self._clock_ns())

    def _open_device(self, device: devices.Device) -> devices.Stream:
        self.device_rate = devices.supported_rate(device, "input", self.rate)
        stream = devices.open_input(
            device,
            self.device_rate,
            self.device_rate * self._block_ms // 1000,
            self._deliver,
            latency="low",
        )
        self._callback_ns = self._callback_ns or self._clock_ns()
        self.openings += 1
        stream.start()
        return stream

    def _deliver(self, indata: Any, frames: int, times: Any, status: Any) -> None:
        began_ns = self._callback_ns = self._clock_ns()
        self._miss_until(began_ns - self._block_ms * 1_000_000)
        self._callback(indata, frames, times, status)
        self._busy_ns = max(self._busy_ns, self._clock_ns() - began_ns)

    def _miss_until(self, at_ns: int) -> None:
        """Nothing was captured from the last callback of a stream that was given up to that instant."""
        if self._given_up_ns is not None:
            self._missed_ns += max(at_ns - self._given_up_ns, 0)
            self._given_up_ns = None

    async def _close_device(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await asyncio.to_thread(stream.close)

    def _start_clock(self) -> None:
        if self._clocked is None:
            self._clocked = self._spawn(
                ClockedBlocks(self._block_ms, self._silence).run(), "microphone clock"
            )

    def _stop_clock(self) -> None:
        if self._clocked is not None:
            self._clocked.cancel()
            self._clocked = None

    def _silence(self, due_ns: int) -> None:
        frames = self.rate * self._block_ms // 1000
        self.block_due_ns = due_ns
        self._callback(bytes(2 * frames), frames, None, None)
        self.block_due_ns = None
