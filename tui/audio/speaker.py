"""The speaker of a call: whatever pulls blocks from the playback queue at the pace of time."""

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
from tui.audio.queue import Cut, PlaybackQueue
from tui.audio.resample import LiveResampler
from tui.audio.wav import WavWriter

_KEPT_BLOCKS = 500
_MOST_LEAD_S = 2.0


class AgentTrack(Protocol):
    """Receives what is heard of the agent. Every method may be called from any thread, and returns at once."""

    def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """A block, silence included, whose first sample leaves the speaker at ``start_ns``."""
        ...

    def agent_cut(self, at_ns: int) -> None:
        """Playback was cut at ``at_ns``: audio announced for later is never heard."""
        ...


class _DeviceClock:
    """When the frames of the queue are heard, by the callbacks of the device that takes them.

    The thread that plays feeds it; the engine's loop asks.
    """

    def __init__(self, rate: int, now_ns: Callable[[], int]) -> None:
        self.now_ns = now_ns
        self.instants = SoundInstants(rate)
        self.lead_ns = 0
        """From the last callback to the sound of the first sample it handed over."""
        self.block_lead_ns = 0
        """The same of the block pulled last, which may wait for the next callback in the resampler's output."""
        self.blocks: deque[tuple[int, bytes]] = deque(maxlen=_KEPT_BLOCKS)
        """Pulled and not heard to their end yet, each with its first frame."""

    def pulling(self, frame: int, at_ns: int, waits_ns: int) -> int:
        """Record a block that waits for ``waits_ns`` behind others; returns when its first sample is heard."""
        self.block_lead_ns = self.lead_ns + waits_ns
        heard_ns = at_ns + self.block_lead_ns
        self.instants.feed(heard_ns, frame)
        return heard_ns

    def take_heard(self, block_ns: int, now_ns: int) -> list[tuple[int, bytes]]:
        """Returns the blocks heard to their end since the last call, with the instants at which they began."""
        heard: list[tuple[int, bytes]] = []
        while self.blocks:
            frame, block = self.blocks[0]
            start_ns = self.instants.at(frame)
            if start_ns is None or start_ns + block_ns > now_ns:
                break
            self.blocks.popleft()
            heard.append((start_ns, block))
        return heard


class _Callbacks:
    """What the device's callbacks did: written by PortAudio's thread, read by the engine's loop."""

    def __init__(self) -> None:
        self.last_ns: int | None = None
        """When the last one came, or the device was opened first."""
        self.busy_ns = 0
        """The longest one since this was read."""
        self.underflows = 0
        self.error: Exception | None = None


class _Opened:
    """One opened stream, and the way from the queue's rate to the device's."""

    def __init__(self, resampler: LiveResampler | None) -> None:
        self.stream: devices.Stream
        self.resampler = resampler
        self.resampled = b""
        """At the device's rate, for the next callback."""
        self.resting = False
        """To be given back: nothing more is taken from the queue."""
        self.in_time = False
        """The last callback was."""

    def rest(self, frames: int) -> bytes:
        """Returns what was taken from the queue already, then silence."""
        if self.resampler:
            self.resampled += self.resampler.finish()
            self.resampler = None
        block = self.take(frames)
        return block + bytes(2 * frames - len(block))

    def take(self, frames: int) -> bytes:
        """Returns resampled audio, as much of ``frames`` as there is."""
        block, self.resampled = self.resampled[: 2 * frames], self.resampled[2 * frames :]
        return block

    def lead_ns(self, time: Any) -> int:
        """How long after this callback its first sample is heard.

        PortAudio states that with each callback; where it makes no sense, as on some hosts, the stream's latency has
        to do.
        """
        lead_s = time.outputBufferDacTime - time.currentTime
        return round((lead_s if 0 < lead_s < _MOST_LEAD_S else self.stream.latency_s) * 1e9)

    def too_late(self, time: Any) -> bool:
        """Whether the device has run dry while this callback waited for its turn.

        PortAudio's ALSA part then throws away what it is handed (measured: a block each time), and goes on with the
        next: nothing is taken from the queue for that. Where no callback ever is in time, the clocks are not one.
        """
        lead_s = time.outputBufferDacTime - time.currentTime
        late = 0 < lead_s < self.stream.time_s - time.currentTime
        was_in_time, self.in_time = self.in_time, not late
        return late and was_in_time


class _Clocked(NamedTuple):
    """Playing without a device: the clock that pulls, and the file it writes, if any."""

    task: asyncio.Task[None]
    file: WavWriter | None


class Speaker:
    """Plays one `PlaybackQueue` to a device, to a file, or to nobody. On the engine's loop.

    Whoever opens, restarts or closes the device holds the lock meanwhile; one that is closed is not opened again.
    `_playback_callback` runs on PortAudio's thread: it copies and returns. ``tracks`` receive every block as it is
    taken, on the thread that plays.
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
        """As the options have it; holds from the next opening."""
        self.device: devices.Device | None = None
        self._block_ms = block_ms
        self._fade_ms = fade_ms
        self._tracks = tracks
        self._clock = _DeviceClock(queue.rate, clock_ns)
        self._callbacks = _Callbacks()
        # Opening, aborting and closing take PortAudio up to seconds, in a thread of their own: two at a time on one
        # stream would use it after it was freed.
        self._lock = asyncio.Lock()
        self._closed = False
        self._opened: _Opened | None = None
        """Where there is one, nothing else takes from the queue."""
        self._clocked: _Clocked | None = None

    @property
    def latency_ms(self) -> float:
        """What the device holds, by its own account; 0 without one."""
        opened = self._opened
        return opened.stream.latency_s * 1000 if opened else 0.0

    @property
    def lead_ms(self) -> float:
        """How long after it was pulled the last block begins to be heard; 0 where nobody listens."""
        return self._clock.block_lead_ns / 1_000_000

    @property
    def underflows(self) -> int:
        """Callbacks that PortAudio flagged: the device had to play a gap of its own."""
        return self._callbacks.underflows

    async def open(self, device: devices.Device) -> None:
        """Play to a device, at the queue's rate where it can; a file, or nobody's clock, ends with it.

        Raises `AudioDeviceError`; then all is as it was before.
        """
        async with self._lock:
            if self._closed:
                return
            await in_thread(self._open, device)
            self._stop_clock()

    def _open(self, device: devices.Device) -> None:
        rate = devices.supported_rate(device, "output", self.queue.rate)
        opened = _Opened(LiveResampler(self.queue.rate, rate) if rate != self.queue.rate else None)
        opened.stream = devices.open_output(
            device,
            rate,
            rate * self._block_ms // 1000,
            partial(self._playback_callback, opened),
            latency=_latency(self.latency),
        )
        self._clock.instants.restart()
        # Set before the start: the first callback may come before start() returns.
        self._opened = opened
        try:
            opened.stream.start()
        except devices.AudioDeviceError:
            self._opened = None
            raise
        self.device = device
        self._callbacks.last_ns = self._callbacks.last_ns or self._clock.now_ns()

    @property
    def callback_ns(self) -> int | None:
        """When the device last took a block, or was opened first; None while none is to."""
        return None if self._closed else self._callbacks.last_ns

    @property
    def vanished(self) -> bool:
        """Whether a device is to play whose stream ended by itself, or could not be opened again."""
        opened = self._opened
        return self.callback_ns is not None and (opened is None or opened.stream.vanished)

    def take_busy_ns(self) -> int:
        """The longest that the device's callback took since the last call."""
        busy_ns, self._callbacks.busy_ns = self._callbacks.busy_ns, 0
        return busy_ns

    async def drop(self) -> None:
        """Give back the device for a while: what it holds is heard, what is queued waits."""
        if self._opened and not self._opened.stream.vanished:
            self._opened.resting = True
            await asyncio.sleep(self._clock.lead_ns / 1e9 + self._block_ms / 1000)
        await self._give_back()

    async def _give_back(self) -> None:
        async with self._lock:
            opened, self._opened = self._opened, None
            if opened:
                await in_thread(opened.stream.close)

    async def reopen(self, device: devices.Device) -> None:
        """Play on through this device. Raises `AudioDeviceError`; then nothing plays, or what played to no device."""
        await self.drop()
        await self.open(device)

    def start_clocked(self, kind: OutputKind, path: str, spawn: Callable[..., asyncio.Task[None]]) -> None:
        """Start playing to a file or to nobody. Raises `AudioFileError`."""
        file = WavWriter(path, self.queue.rate) if kind is OutputKind.FILE else None
        self._clock.lead_ns = 0
        clock = ClockedBlocks(self._block_ms, self._play_block)
        self._clocked = _Clocked(spawn(clock.run(), "speaker clock"), file)

    def heard_at_ns(self, stream_frame: int) -> int | None:
        """When a frame of the queue's stream leaves the speaker, by the last callbacks; None before the first."""
        return self._clock.instants.at(stream_frame)

    @property
    def clock_moved_ms(self) -> float:
        """By how much `heard_at_ns` would have said otherwise a second ago; 0 while that is not known."""
        return self._clock.instants.moved_ns / 1_000_000

    async def flush(self) -> tuple[list[Cut], int]:
        """Silence the agent now: drop what is queued and what the device holds.

        Returns what that did to each reply, and since when it is silent. With a fade the device plays what it
        holds, and the fade behind it.
        """
        opened, now_ns = self._opened, self._clock.now_ns()
        if self._fade_ms:
            fade_frames = self.queue.rate * self._fade_ms // 1000
            cuts = self.queue.cut(now_ns, fade_frames=fade_frames)
            silent_ns = self.heard_at_ns(self.queue.pulled_frames + fade_frames)
            return cuts, now_ns if silent_ns is None else silent_ns
        cuts = self.queue.cut(now_ns, aborted_latency_ms=self.lead_ms if opened else None)
        if opened and cuts:
            for track in self._tracks:
                track.agent_cut(now_ns)
            opened.resampled = b""
            self._clock.blocks.clear()
            async with self._lock:
                return cuts, await in_thread(self._silence, opened)
        return cuts, now_ns

    def _silence(self, opened: _Opened) -> int:
        """Throw away what the device holds; gives when that was done. One that has gone is silent."""
        silent_ns = self._clock.now_ns()
        if opened is self._opened and not opened.stream.vanished:
            with contextlib.suppress(devices.AudioDeviceError):  # it has vanished by that: it is looked after
                opened.stream.abort()
                silent_ns = self._clock.now_ns()
                self._clock.instants.restart()
                opened.stream.start()
        return silent_ns

    def take_heard(self, now_ns: int) -> list[tuple[int, bytes]]:
        """The blocks heard to their end since the last call, with the instants at which they began."""
        return self._clock.take_heard(self._block_ms * 1_000_000, now_ns)

    def take_callback_error(self) -> Exception | None:
        """What `_playback_callback` failed with since the last call."""
        error, self._callbacks.error = self._callbacks.error, None
        return error

    async def close(self) -> None:
        """Stop for good, and give back the device or the file."""
        self._closed = True
        await self._give_back()
        self._stop_clock()

    def _stop_clock(self) -> None:
        clocked, self._clocked = self._clocked, None
        if clocked:
            clocked.task.cancel()
            if clocked.file:
                clocked.file.close()

    def _play_block(self, due_ns: int) -> None:
        if self._opened:
            return
        block = self._pull(self.queue.rate * self._block_ms // 1000, due_ns)
        if self._clocked and self._clocked.file:
            self._clocked.file.write(block)

    def _playback_callback(self, opened: _Opened, outdata: Any, frames: int, time: Any, status: Any) -> None:
        callbacks = self._callbacks
        try:
            if status and status.output_underflow:
                callbacks.underflows += 1
                self._clock.instants.restart()
            now_ns = callbacks.last_ns = self._clock.now_ns()
            self._clock.lead_ns = opened.lead_ns(time)
            # A stream that is being closed must not be asked for its time any more.
            if opened is self._opened and opened.too_late(time):
                outdata[:] = bytes(len(outdata))
            elif opened.resting:
                outdata[:] = opened.rest(frames)
            elif opened.resampler:
                outdata[:] = self._pull_resampled(opened, opened.resampler, frames, now_ns)
            else:
                outdata[:] = self._pull(frames, now_ns)
            callbacks.busy_ns = max(callbacks.busy_ns, self._clock.now_ns() - now_ns)
        except Exception as error:  # noqa: BLE001 - PortAudio would end the stream without a word
            callbacks.error = error

    def _pull(self, frames: int, now_ns: int, waits_ns: int = 0) -> bytes:
        """A block of the queue, which waits so long behind what was pulled before."""
        frame = self.queue.pulled_frames
        # The clock first: the loop may ask when a reply is heard as soon as the queue has reported its start.
        heard_ns = self._clock.pulling(frame, now_ns, waits_ns)
        block = self.queue.pull(frames, now_ns)
        self._clock.blocks.append((frame, block))
        for track in self._tracks:
            track.agent_heard(heard_ns, block, self.queue.rate)
        return block

    def _pull_resampled(self, opened: _Opened, resampler: LiveResampler, frames: int, now_ns: int) -> bytes:
        while len(opened.resampled) < 2 * frames:
            waits_ns = len(opened.resampled) // 2 * self._block_ms * 1_000_000 // frames
            block = self._pull(self.queue.rate * self._block_ms // 1000, now_ns, waits_ns)
            opened.resampled += resampler.feed(block)
        return opened.take(frames)


def _latency(spec: str) -> devices.Latency:
    if spec == "high":
        return "high"
    return "low" if spec in ("auto", "low") else float(spec)
