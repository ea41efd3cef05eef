"""Speaker: plays blocks from the playback queue in real time, on a device, to a file, or without output.

Three threads are involved. The engine's loop opens, flushes and closes the speaker. Calls that can block in
PortAudio (open, start, abort, close) run on a worker thread, one at a time. PortAudio's own thread calls back
for each block.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from tui.audio import devices
from tui.audio.clocked import ClockedBlocks
from tui.audio.endpoints import OutputKind
from tui.audio.in_thread import in_thread
from tui.audio.instants import SoundInstants
from tui.audio.open_device import CallbackTimes, OpenDevice
from tui.audio.queue import Cut, PlaybackQueue
from tui.audio.resample import LiveResampler
from tui.audio.wav import WavWriter

_KEPT_BLOCKS = 500
"""Maximum number of blocks waiting to be measured (10 s at 20 ms each). Limits memory use while the loop hangs."""
_MOST_BLOCKS_AT_ONCE = 5
"""Maximum number of blocks pulled in one call if there is no device.

Audio that arrived while the loop was blocked is still in the socket, and the loop must be able to read it
before it pulls all overdue blocks.
"""
_MOST_LEAD_S = 2.0
"""Longest plausible time from a callback until its first sample is heard.

On some hosts, PortAudio's times are zero or come from another clock.
"""


class AgentTrack(Protocol):
    """Receives the agent's audio as it is played. Methods are called on the playing thread and return immediately."""

    def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """Receives a block, possibly silent, whose first sample leaves the speaker at ``start_ns``."""

    def agent_cut(self, at_ns: int) -> None:
        """Records that playback stops at ``at_ns``: blocks with later times are never heard."""


class _DeviceClock:
    """Computes when frames of the queue are heard. The playing thread writes, and the engine's loop reads."""

    def __init__(self, rate: int, now_ns: Callable[[], int]) -> None:
        self.now_ns = now_ns
        self.instants = SoundInstants(rate)
        self.lead_ns = 0
        """Time from the last callback until its first sample is heard."""
        self.block_lead_ns = 0
        """Time from the last callback until the last pulled block is heard.

        The block may wait in the resampler for the next callback.
        """
        self.blocks: deque[tuple[int, bytes]] = deque(maxlen=_KEPT_BLOCKS)
        """Pulled blocks that have not been heard completely, each with its first frame."""

    def pulling(self, frame: int, at_ns: int, waits_ns: int) -> int:
        """Records a block and returns when it is heard: ``waits_ns`` after the callback's first sample."""
        self.block_lead_ns = self.lead_ns + waits_ns
        heard_ns = at_ns + self.block_lead_ns
        self.instants.feed(heard_ns, frame)
        return heard_ns

    def take_heard(self, block_ns: int, now_ns: int) -> list[tuple[int, bytes]]:
        """Removes and returns the blocks that have been heard completely, each with the time at which it began."""
        heard: list[tuple[int, bytes]] = []
        while self.blocks:
            frame, block = self.blocks[0]
            start_ns = self.instants.at(frame)
            if start_ns is None or start_ns + block_ns > now_ns:
                break
            self.blocks.popleft()
            heard.append((start_ns, block))
        return heard


class _OpenedOutput:
    """An open stream and a resampler from the queue's rate to the device's rate. Used on PortAudio's thread."""

    def __init__(self, resampler: LiveResampler | None) -> None:
        self.stream: devices.Stream
        self.resampler = resampler
        self.resampled = b""
        """Audio at the device's rate that is left over for the next callback."""
        self.resting = False
        """Whether the stream is about to be closed and takes no more audio from the queue."""
        self.in_time = False
        """Whether the last callback was on time."""

    def rest(self, frames: int) -> bytes:
        """Returns the audio already taken from the queue, followed by silence."""
        # The resampler holds back up to 6 ms that were already pulled and count as heard.
        if self.resampler:
            self.resampled += self.resampler.finish()
            self.resampler = None
        block = self.take(frames)
        return block + bytes(2 * frames - len(block))

    def take(self, frames: int) -> bytes:
        """Removes and returns up to ``frames`` of the resampled audio."""
        block, self.resampled = self.resampled[: 2 * frames], self.resampled[2 * frames :]
        return block

    def lead_ns(self, time: Any) -> int:
        """Returns the time in ns from the callback until the first sample of its block is heard."""
        # Only differences of PortAudio's times are meaningful, because its clock is not Python's monotonic
        # clock. If even the difference is implausible, the stream's reported latency is the next best figure.
        lead_s = time.outputBufferDacTime - time.currentTime
        return round((lead_s if 0 < lead_s < _MOST_LEAD_S else self.stream.latency_s) * 1e9)

    def too_late(self, time: Any) -> bool:
        """Returns whether the device ran dry before this callback."""
        # PortAudio's ALSA backend then discards the block it receives (measured: one block each time) and
        # continues with the next, so no audio may be taken from the queue for it. If no callback is ever on
        # time, the two times come from different clocks and this test is meaningless, so only the first late
        # callback counts.
        lead_s = time.outputBufferDacTime - time.currentTime
        late = 0 < lead_s < self.stream.time_s - time.currentTime
        was_in_time, self.in_time = self.in_time, not late
        return late and was_in_time


class _WithoutDevice(NamedTuple):
    """Playback without a device: its block clock, and the file to write, if any."""

    blocks: ClockedBlocks
    file: WavWriter | None


class Speaker:
    """Plays one `PlaybackQueue` to a device, to a file, or nowhere. Runs on the engine's loop.

    ``tracks`` receive every block as it is pulled, on the playing thread. Playback without a device has no
    timer; call `catch_up` to pull the blocks that are due. A closed speaker cannot be reopened.
    """

    def __init__(
        self,
        queue: PlaybackQueue,
        *,
        block_ms: int,
        latency: str,
        fade_ms: int = 0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        tracks: Sequence[AgentTrack] = (),
    ) -> None:
        self.queue = queue
        self.latency = latency
        """"auto", "low", "high" or a number of seconds, as in the options; takes effect when a
        device is next opened."""
        self.device: devices.Device | None = None
        self._block_ms = block_ms
        self._fade_ms = fade_ms
        self._tracks = tracks
        self._clock = _DeviceClock(queue.rate, clock_ns)
        self._calls = CallbackTimes(clock_ns)
        self.underflows = 0
        """Number of callbacks with PortAudio's underflow flag: the device ran dry and played silence."""
        self._error: Exception | None = None
        # Held while a worker opens, aborts or closes the device, which can take seconds. PortAudio frees a
        # stream on close, so a simultaneous abort would use freed memory.
        self._lock = asyncio.Lock()
        self._closed = False
        self._output = OpenDevice[_OpenedOutput]()
        """The device output. While it is open, only it pulls from the queue."""
        self._without_device: _WithoutDevice | None = None

    @property
    def latency_ms(self) -> float:
        """Latency that the device reports; 0 if there is no device."""
        opened = self._output.opened
        return opened.stream.latency_s * 1000 if opened else 0.0

    @property
    def lead_ms(self) -> float:
        """Time from pulling the latest block until it is heard; 0 if there is no device."""
        return self._clock.block_lead_ns / 1_000_000

    async def open(self, device: devices.Device) -> None:
        """Switches playback to ``device``, at the queue's rate if the device supports it.

        After an `AudioDeviceError`, playback continues as before.
        """
        async with self._lock:
            if self._closed:
                return
            await self._output.open(partial(self._open, device))
            self._close_file()

    def _open(self, device: devices.Device) -> None:
        rate = devices.supported_rate(device, "output", self.queue.rate)
        opened = _OpenedOutput(LiveResampler(self.queue.rate, rate) if rate != self.queue.rate else None)
        opened.stream = devices.open_stream(
            "output",
            device,
            rate,
            rate * self._block_ms // 1000,
            partial(self._playback_callback, opened),
            latency=_latency(self.latency),
        )
        self._clock.instants.restart()
        self._calls.opening()
        self._output.start(opened)
        self.device = device
        self._calls.opened()

    @property
    def callback_ns(self) -> int | None:
        """Time at which the device last took a block, or was opened if it has taken none; None without a device."""
        return None if self._closed else self._calls.last_ns

    @property
    def vanished(self) -> bool:
        """Whether the device disappeared: its stream ended unexpectedly or could not be reopened."""
        return self.callback_ns is not None and self._output.vanished

    def take_busy_ns(self) -> int:
        """Returns the duration of the longest callback since the previous call."""
        return self._calls.take_busy_ns()

    def take_gap_ms(self) -> float:
        """Returns the longest time between two callbacks of a stream since the previous call; 0 if unknown."""
        return self._calls.take_gap_ms()

    async def drop(self) -> None:
        """Closes the device temporarily. The device plays its buffer first; queued audio waits."""
        opened = self._output.opened
        if opened and not opened.stream.vanished:
            # Silence from the next callback until the device has played its buffer, because closing
            # immediately would lose audio that counts as heard.
            opened.resting = True
            await asyncio.sleep(self._clock.lead_ns / 1e9 + self._block_ms / 1000)
        await self._close_device()

    async def _close_device(self) -> None:
        async with self._lock:
            await self._output.close()

    async def reopen(self, device: devices.Device) -> None:
        """Moves playback to ``device``. After an `AudioDeviceError`, the speaker has no device."""
        await self.drop()
        await self.open(device)

    def start_without_device(self, kind: OutputKind, path: str) -> None:
        """Starts playing to a file or nowhere. Raises `AudioFileError`."""
        file = WavWriter(path, self.queue.rate) if kind is OutputKind.FILE else None
        self._clock.lead_ns = 0
        blocks = ClockedBlocks(self._block_ms, self._play_block, clock_ns=self._clock.now_ns)
        self._without_device = _WithoutDevice(blocks, file)
        self.catch_up(self._clock.now_ns())

    def catch_up(self, now_ns: int) -> None:
        """Without a device, pulls the blocks that are due by ``now_ns``.

        Must be called before the queue changes, so that each block contains the audio that had arrived when
        the block was due. One call pulls a limited number of blocks, so catching up after a long delay takes
        several calls.
        """
        if self._without_device:
            self._without_device.blocks.catch_up(now_ns, most_blocks=_MOST_BLOCKS_AT_ONCE)

    def heard_at_ns(self, stream_frame: int) -> int | None:
        """Returns when a frame of the queue's stream leaves the speaker; None if unknown."""
        return self._clock.instants.at(stream_frame)

    @property
    def clock_moved_ms(self) -> float:
        """How far the times of `heard_at_ns` have shifted within the last second; 0 if unknown."""
        return self._clock.instants.moved_ns / 1_000_000

    async def flush(self) -> tuple[list[Cut], int]:
        """Silences the agent: discards the audio in the queue and in the device's buffer.

        Returns the effect on each reply, and the time from which the speaker is silent. If a fade is
        configured, the device instead plays its buffer and then the fade.
        """
        opened, now_ns = self._output.opened, self._clock.now_ns()
        self.catch_up(now_ns)
        if self._fade_ms:
            fade_frames = self.queue.rate * self._fade_ms // 1000
            cuts = self.queue.cut(now_ns, fade_frames=fade_frames)
            silent_ns = self.heard_at_ns(self.queue.pulled_frames + fade_frames)
            return cuts, now_ns if silent_ns is None else silent_ns
        # The queue is flushed before the device, so that callbacks before the abort hand over silence.
        cuts = self.queue.cut(now_ns, aborted_latency_ms=self.lead_ms if opened else None)
        if opened and cuts:
            for track in self._tracks:
                track.agent_cut(now_ns)
            opened.resampled = b""
            self._clock.blocks.clear()
            # If the driver hangs, nothing more is heard either.
            with contextlib.suppress(devices.AudioDeviceError):
                async with self._lock:
                    return cuts, await in_thread(partial(self._silence, opened))
        return cuts, now_ns

    def _silence(self, opened: _OpenedOutput) -> int:
        """Discards the audio in the device's buffer; returns when the device became silent.

        Runs on a worker thread.
        """
        # abort() and start(), because after clearing only the queue, the device's buffer (40 to 150 ms) would
        # still be heard (measured at the speaker's monitor; abort takes 0.5 to 3 ms).
        silent_ns = self._clock.now_ns()
        if opened is self._output.opened and not opened.stream.vanished:
            with contextlib.suppress(
                devices.AudioDeviceError
            ):  # the device counts as vanished and is reopened
                opened.stream.abort()
                silent_ns = self._clock.now_ns()
                self._clock.instants.restart()
                opened.stream.start()
        return silent_ns

    def take_heard(self, now_ns: int) -> list[tuple[int, bytes]]:
        """Removes and returns the blocks that have been heard completely, each with the time at which it began.

        Without a device, a block counts as heard as soon as it is pulled.
        """
        block_ns = self._block_ms * 1_000_000
        return self._clock.take_heard(block_ns, now_ns + block_ns if self._without_device else now_ns)

    def take_callback_error(self) -> Exception | None:
        """Returns the exception raised in `_playback_callback` since the previous call, if any."""
        error, self._error = self._error, None
        return error

    async def close(self) -> None:
        """Ends playback at the end of the call; closes the device or the file."""
        # Set first, so that a task waiting for the lock does not open the device.
        self._closed = True
        await self._close_device()
        self._close_file()

    def _close_file(self) -> None:
        without_device, self._without_device = self._without_device, None
        if without_device and without_device.file:
            without_device.file.close()

    def _play_block(self, due_ns: int) -> None:
        # A device opened in the meantime now pulls the blocks. Two clocks would play at double speed.
        if self._output.opened:
            return
        block = self._pull(self.queue.rate * self._block_ms // 1000, due_ns)
        if self._without_device and self._without_device.file:
            self._without_device.file.write(block)

    def _playback_callback(
        self, opened: _OpenedOutput, outdata: Any, frames: int, time: Any, status: Any
    ) -> None:
        """Fills a block for the device.

        Runs on PortAudio's thread, so it only copies data, never blocks for long and never raises an
        exception.
        """
        try:
            if status and status.output_underflow:
                self.underflows += 1
                # The gap that the device played shifts all later audio.
                self._clock.instants.restart()
            now_ns = self._calls.begin()
            self._clock.lead_ns = opened.lead_ns(time)
            # Only for the stream in use, because a stream that is being closed must not be queried for its
            # time.
            if opened is self._output.opened and opened.too_late(time):
                outdata[:] = bytes(len(outdata))
            elif opened.resting:
                outdata[:] = opened.rest(frames)
            elif opened.resampler:
                outdata[:] = self._pull_resampled(opened, opened.resampler, frames, now_ns)
            else:
                outdata[:] = self._pull(frames, now_ns)
            self._calls.end(now_ns)
        except Exception as error:  # noqa: BLE001 - PortAudio would end the stream silently
            self._error = error

    def _pull(self, frames: int, now_ns: int, waits_ns: int = 0) -> bytes:
        """Pulls a block from the queue that will play ``waits_ns`` after the callback's first sample."""
        frame = self.queue.pulled_frames
        # The clock is updated first, because the loop may request the time of a reply's start as soon as the
        # queue reports it.
        heard_ns = self._clock.pulling(frame, now_ns, waits_ns)
        block = self.queue.pull(frames, now_ns)
        self._clock.blocks.append((frame, block))
        for track in self._tracks:
            track.agent_heard(heard_ns, block, self.queue.rate)
        return block

    def _pull_resampled(
        self, opened: _OpenedOutput, resampler: LiveResampler, frames: int, now_ns: int
    ) -> bytes:
        # Whole blocks are taken from the queue, however many frames the device requests. The rest, a fraction
        # of a block, is played first by the next callback.
        while len(opened.resampled) < 2 * frames:
            waits_ns = len(opened.resampled) // 2 * self._block_ms * 1_000_000 // frames
            block = self._pull(self.queue.rate * self._block_ms // 1000, now_ns, waits_ns)
            opened.resampled += resampler.feed(block)
        return opened.take(frames)


def _latency(spec: str) -> devices.Latency:
    if spec == "high":
        return "high"
    return "low" if spec in ("auto", "low") else float(spec)
