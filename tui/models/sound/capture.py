"""Capture: turns blocks from the microphone into blocks that are ready to be encoded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import msgspec

from tui.audio.blocks import BlockTiming, Captured, CaptureHandoff
from tui.audio.crowd import Crowd
from tui.audio.devices import AudioDeviceError, Device, StreamCallback
from tui.audio.echo_guard import EchoGuard
from tui.audio.endpoints import Endpoints, InputKind
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.instants import ClockMove
from tui.audio.levels import LevelMeter, MeterReading
from tui.audio.microphone import Microphone
from tui.callbacks import CallbackChain, spawn
from tui.models import events as e
from tui.models.sound.capture_health import CaptureHealth
from tui.models.sound.echo_watch import EchoControl
from tui.models.sound.lines import CallerLine, RecordedLines
from tui.models.sound.pending import PendingEvents

DEFAULT_FORMAT = AudioFormat(Encoding.PCM16, 16_000)


class LevelStep:
    """The last step of the capture chain.

    Replaces blocks by silence while `muted`, and measures the level of blocks.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.muted = False
        self._clock_ns = clock_ns
        self._meter = LevelMeter()

    def __call__(self, block: bytes) -> bytes:
        """Returns the block, or silence of the same length."""
        if self.muted:
            block = bytes(len(block))
        self._meter.feed(block, self._clock_ns())
        return block

    def read(self, at_ns: int) -> MeterReading | None:
        """Returns the meter reading at ``at_ns``; None before the first block."""
        return self._meter.read(at_ns)


class Capture:
    """Manages the microphone, the recorded lines that replace it, and the capture chain of one call.

    Runs on the engine's loop. The microphone passes each block to ``recording_callback``, which puts it into
    ``handoff``; `blocks` takes it from there. Events go to ``pending``. ``crowd`` has the same meaning as in
    `AudioManager`.
    """

    def __init__(
        self,
        found: Endpoints,
        handoff: CaptureHandoff,
        *,
        block_ms: int,
        lines: list[CallerLine],
        recording_callback: StreamCallback,
        pending: PendingEvents,
        guard: EchoGuard | None = None,
        crowd: Crowd | None = None,
    ) -> None:
        self.format = DEFAULT_FORMAT
        """The format of user audio agreed on with the agent."""
        self.microphone = Microphone(
            recording_callback,
            rate=self.format.rate,
            block_ms=block_ms,
            spawn=spawn,
            device=found.input_device,
            on_skipped=handoff.skip,
            clock_ns=pending.clock_ns,
            shared_clock=crowd.clock if crowd else None,
        )
        self.health = CaptureHealth()
        self.echo = EchoControl(guard, pending)
        self.lines = RecordedLines(lines, pending, rate=self.format.rate)
        self.level = LevelStep(pending.clock_ns)
        self.chain = CallbackChain("capture")
        """The steps that process every block before it is encoded.

        Custom steps can be added; each must keep the block's length.
        """
        # Lines come before the level step, so that mute also silences lines and the meter shows what is sent.
        for step in (self.lines, self.level):
            self.chain.add_callback(step)
        self._found = found
        self._handoff = handoff
        self._timing = BlockTiming(self.format.rate)
        self._pending = pending
        self._starts = 0
        """Number of starts and stops.

        A start that had to read a file compares this number with its own, so that the latest request wins.
        """

    def prepare(self, user_format: AudioFormat) -> None:
        """Sets the format of user audio that was agreed on with the agent.

        Call it before the first `start`.
        """
        self.format = user_format
        self.microphone.rate = self.lines.rate = user_format.rate
        self._timing.restart(user_format.rate)

    @property
    def clock_start_ns(self) -> int | None:
        """Latest estimate of the time at which frame 0 of the stream was captured; None without a device."""
        return self._timing.started_ns(self.microphone.source)

    def take_clock_move(self, limit_ns: int) -> ClockMove | None:
        """Returns the shift of block times since the last reported shift.

        Returns None if the shift is at most ``limit_ns``.
        """
        return self._timing.take_move(limit_ns)

    @property
    def name(self) -> str:
        """Name of the open or chosen device, or of the source that replaces it."""
        device = self.microphone.device
        return device.name if device else self._found.input_name

    async def start(self, *, silent: bool) -> None:
        """Starts delivering blocks: from the microphone, from the next recorded line or, if ``silent``, of silence.

        If a device does not open, emits an error and delivers silence instead.
        """
        self._starts += 1
        start = self._starts
        # Lines are started before the microphone, so that the first block contains the line, not silence
        # while the file is read.
        if not silent and self._found.input is not InputKind.DEVICE:
            await self.lines.speak_next()
        if start != self._starts:
            return
        try:
            # A failing device results in an event, not an exception, because the call continues with silence.
            await self.microphone.start(silent=silent)
        except AudioDeviceError as error:
            self._pending.error("device", str(error))

    def choose(self, device: Device) -> None:
        """Switches to a microphone, even if recorded lines have been playing in its place."""
        self._found = msgspec.structs.replace(
            self._found, input=InputKind.DEVICE, input_name=device.name, input_device=device
        )
        self.lines.stop()

    async def stop(self) -> None:
        """Stops delivering blocks, and releases the microphone."""
        # A start that is still reading a file learns from this number that it has been superseded.
        self._starts += 1
        self.lines.stop()
        await self.microphone.stop()

    async def close(self) -> None:
        """Stops capture at the end of the call. No microphone is opened afterwards."""
        self.lines.stop()
        await self.microphone.close()

    async def blocks(self) -> AsyncIterator[Captured]:
        """Yields every captured block at the agreed rate, with the echo removed. Ends only when it is cancelled."""
        while True:
            await self._handoff.wait()
            for waiting, block in enumerate(self._handoff.take()):
                # More than one block is waiting only if the loop was late. Its other tasks, above all reading
                # from the socket, run between two blocks.
                if waiting:
                    await asyncio.sleep(0)
                begins = not self._timing.is_current(block.source)
                source = self._timing.follow(block, self._handoff.dropped_blocks)
                end_ns, pcm = self._timing.end_ns(block), block.pcm
                if source.from_device:
                    if begins:
                        self.health.opened()
                    # Checked at the device's own rate and before the guard, because a resampler rings on
                    # zeros and a gate produces them.
                    self._judge(end_ns, pcm, source.rate)
                    pcm = self.echo.clean(end_ns, pcm, source.rate)
                self.lines.block_end_ns = end_ns
                # Resampled last, because the guard compares the block with the played audio, sample by
                # sample.
                yield Captured(end_ns, block.at_ns, self._timing.resample(pcm))

    def poll(self, now_ns: int) -> None:
        """Reports audio that was missed while a microphone was being reopened. Also checks for echo."""
        if missed_ms := self.microphone.take_missed_ms():
            blocks = max(round(missed_ms / self.microphone.block_ms), 1)
            detail = f"{missed_ms:,.0f} ms until the microphone was open again"
            self._pending.add(
                e.LossCounted(at_ns=now_ns, loss=e.Loss.CAPTURE_DROPPED, count=blocks, detail=detail)
            )
        self.echo.poll(now_ns)

    def _judge(self, end_ns: int, block: bytes, rate: int) -> None:
        """Emits events for the problems that begin or end with a block.

        The block must be unmodified, as the device delivered it.
        """
        for verdict in self.health.feed(block, len(block) / 2 * 1000 / rate):
            self._pending.add(e.ConditionChanged(at_ns=end_ns, path="capture", **verdict._asdict()))
