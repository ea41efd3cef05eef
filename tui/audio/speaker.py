"""The speaker of a call: whatever pulls blocks from the playback queue at the pace of time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

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


class Speaker:
    """Plays one `PlaybackQueue` to a device, to a file, or to nobody. On the engine's loop.

    Whoever opens, restarts or closes the device holds the lock meanwhile; one that is closed is not opened again.
    `_playback_callback` runs on PortAudio's thread: it copies and returns. ``on_heard`` is given every block with
    the instant at which its first sample leaves the speaker, on the thread that plays; ``on_cut`` the instant
    behind which nothing of that will be heard after all.
    """

    def __init__(
        self,
        queue: PlaybackQueue,
        *,
        block_ms: int,
        latency: str,
        fade_ms: int = 0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        on_heard: Callable[[int, bytes], None] = lambda _at_ns, _block: None,
        on_cut: Callable[[int], None] = lambda _at_ns: None,
    ) -> None:
        self.queue = queue
        self.underflows = 0
        """Blocks that PortAudio flagged: it had to play a gap of its own."""
        self._callback_error: Exception | None = None
        self._block_ms = block_ms
        self._fade_ms = fade_ms
        self.latency = latency
        """As the options have it; holds from the next opening."""
        self._clock_ns = clock_ns
        self.device: devices.Device | None = None
        self._callback_ns: int | None = None
        self._busy_ns = 0
        self._on_heard = on_heard
        self._on_cut = on_cut
        self._lead_ns = 0
        """How long after the last callback the first sample it handed over is heard."""
        self._pull_lead_ns = 0
        """The same of the last block that was pulled, which may wait behind others for the next callback."""
        self._instants = SoundInstants(queue.rate)
        self._pulled_frames = 0
        self._played: deque[tuple[int, bytes]] = deque(maxlen=_KEPT_BLOCKS)
        self._lock = asyncio.Lock()
        self._closed = False
        self._stream: devices.Stream | None = None
        """Where there is one, nothing else takes from the queue."""
        self._resting = False
        """The device is to be given back: nothing more is taken from the queue."""
        self._in_time = False
        """The last callback was."""
        self._resampler: LiveResampler | None = None
        self._resampled = b""
        self._clocked: asyncio.Task[None] | None = None
        self._file: WavWriter | None = None

    @property
    def latency_ms(self) -> float:
        """What the device holds, by its own account; 0 without one."""
        return self._stream.latency_s * 1000 if self._stream else 0.0

    @property
    def lead_ms(self) -> float:
        """How long after it was pulled the last block begins to be heard; 0 where nobody listens."""
        return self._pull_lead_ns / 1_000_000

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
        stream = devices.open_output(
            device,
            rate,
            rate * self._block_ms // 1000,
            self._playback_callback,
            latency=_latency(self.latency),
        )
        self._resampler = LiveResampler(self.queue.rate, rate) if rate != self.queue.rate else None
        self._resampled = b""
        self._instants.restart()
        self._in_time = False
        self._stream = stream
        try:
            stream.start()
        except devices.AudioDeviceError:
            self._stream = None
            raise
        self.device = device
        self._callback_ns = self._callback_ns or self._clock_ns()

    @property
    def callback_ns(self) -> int | None:
        """When the device last took a block, or was opened first; None while none is to."""
        return None if self._closed else self._callback_ns

    @property
    def vanished(self) -> bool:
        """Whether a device is to play whose stream ended by itself, or could not be opened again."""
        stream = self._stream
        return self.callback_ns is not None and (stream is None or stream.vanished)

    def take_busy_ns(self) -> int:
        """The longest that the device's callback took since the last call."""
        busy_ns, self._busy_ns = self._busy_ns, 0
        return busy_ns

    async def drop(self) -> None:
        """Give back the device for a while: what it holds is heard, what is queued waits."""
        if self._stream and not self._stream.vanished:
            self._resting = True
            await asyncio.sleep(self._lead_ns / 1e9 + self._block_ms / 1000)
        await self._give_back()

    async def _give_back(self) -> None:
        async with self._lock:
            stream, self._stream = self._stream, None
            if stream:
                await in_thread(stream.close)
            self._resting = False

    async def reopen(self, device: devices.Device) -> None:
        """Play on through this device. Raises `AudioDeviceError`; then nothing plays, or what played to no device."""
        await self.drop()
        await self.open(device)

    def start_clocked(self, kind: OutputKind, path: str, spawn: Callable[..., asyncio.Task[None]]) -> None:
        """Start playing to a file or to nobody. Raises `AudioFileError`."""
        if kind is OutputKind.FILE:
            self._file = WavWriter(path, self.queue.rate)
        self._lead_ns = 0
        self._clocked = spawn(ClockedBlocks(self._block_ms, self._play_block).run(), "speaker clock")

    def heard_at_ns(self, stream_frame: int) -> int | None:
        """When a frame of the queue's stream leaves the speaker, by the last callbacks; None before the first."""
        return self._instants.at(stream_frame)

    @property
    def clock_moved_ms(self) -> float:
        """By how much `heard_at_ns` would have said otherwise a second ago; 0 while that is not known."""
        return self._instants.moved_ns / 1_000_000

    async def flush(self) -> tuple[list[Cut], int]:
        """Silence, now: drops what is queued and what the device holds; gives since when it is silent too.

        With a fade the device plays what it holds, and the fade behind it.
        """
        stream, now_ns = self._stream, self._clock_ns()
        if self._fade_ms:
            fade_frames = self.queue.rate * self._fade_ms // 1000
            cuts = self.queue.flush(now_ns, fade_frames=fade_frames)
            silent_ns = self.heard_at_ns(self._pulled_frames + fade_frames)
            return cuts, now_ns if silent_ns is None else silent_ns
        cuts = self.queue.flush(now_ns, aborted_latency_ms=self.lead_ms if stream else None)
        if stream and cuts:
            self._on_cut(now_ns)
            self._resampled = b""
            self._played.clear()
            async with self._lock:
                return cuts, await in_thread(self._silence, stream)
        return cuts, now_ns

    def _silence(self, stream: devices.Stream) -> int:
        """Throw away what the device holds; gives when that was done. One that has gone is silent."""
        silent_ns = self._clock_ns()
        if stream is self._stream and not stream.vanished:
            with contextlib.suppress(devices.AudioDeviceError):  # it has vanished by that: it is looked after
                stream.abort()
                silent_ns = self._clock_ns()
                self._instants.restart()
                stream.start()
        return silent_ns

    def take_heard(self, now_ns: int) -> list[tuple[int, bytes]]:
        """The blocks heard to their end since the last call, with the instants at which they began."""
        heard: list[tuple[int, bytes]] = []
        while self._played:
            frame, block = self._played[0]
            start_ns = self.heard_at_ns(frame)
            if start_ns is None or start_ns + self._block_ms * 1_000_000 > now_ns:
                break
            self._played.popleft()
            heard.append((start_ns, block))
        return heard

    def take_callback_error(self) -> Exception | None:
        """What `_playback_callback` failed with since the last call."""
        error, self._callback_error = self._callback_error, None
        return error

    async def close(self) -> None:
        """Stop for good, and give back the device or the file."""
        self._closed = True
        await self._give_back()
        self._stop_clock()

    def _stop_clock(self) -> None:
        if self._clocked:
            self._clocked.cancel()
            self._clocked = None
        if self._file:
            self._file.close()
            self._file = None

    def _play_block(self, due_ns: int) -> None:
        if self._stream:
            return
        block = self._pull(self.queue.rate * self._block_ms // 1000, due_ns)
        if self._file:
            self._file.write(block)

    def _playback_callback(self, outdata: Any, frames: int, time: Any, status: Any) -> None:
        try:
            if status and status.output_underflow:
                self.underflows += 1
                self._instants.restart()
            now_ns = self._callback_ns = self._clock_ns()
            self._lead_ns = self._lead_of(time)
            if self._too_late(time):
                outdata[:] = bytes(len(outdata))
            elif self._resting:
                outdata[:] = self._rest(frames)
            elif self._resampler:
                outdata[:] = self._pull_resampled(frames, now_ns)
            else:
                outdata[:] = self._pull(frames, now_ns)
            self._busy_ns = max(self._busy_ns, self._clock_ns() - now_ns)
        except Exception as error:  # noqa: BLE001 - PortAudio would end the stream without a word
            self._callback_error = error

    def _too_late(self, time: Any) -> bool:
        """Whether the device has run dry while this callback waited for its turn.

        PortAudio's ALSA part then throws away what it is handed (measured: a block each time), and goes on with the
        next: nothing is taken from the queue for that. Where no callback ever is in time, the clocks are not one.
        """
        stream, lead_s = self._stream, time.outputBufferDacTime - time.currentTime
        late = stream is not None and 0 < lead_s < stream.time_s - time.currentTime
        was_in_time, self._in_time = self._in_time, not late
        return late and was_in_time

    def _lead_of(self, time: Any) -> int:
        """What PortAudio says of this callback; where that makes no sense, as on some hosts, what the stream says."""
        lead_s = time.outputBufferDacTime - time.currentTime
        return round((lead_s if 0 < lead_s < _MOST_LEAD_S else self.latency_ms / 1000) * 1e9)

    def _pull(self, frames: int, now_ns: int, waits_ns: int = 0) -> bytes:
        """A block of the queue, which waits so long behind what was pulled before."""
        self._pull_lead_ns = self._lead_ns + waits_ns
        heard_ns = now_ns + self._pull_lead_ns
        self._instants.feed(heard_ns, self._pulled_frames)
        block = self.queue.pull(frames, now_ns)
        self._played.append((self._pulled_frames, block))
        self._pulled_frames += frames
        self._on_heard(heard_ns, block)
        return block

    def _rest(self, frames: int) -> bytes:
        """What was taken from the queue already, then silence."""
        if self._resampler:
            self._resampled += self._resampler.finish()
            self._resampler = None
        block, self._resampled = self._resampled[: 2 * frames], self._resampled[2 * frames :]
        return block + bytes(2 * frames - len(block))

    def _pull_resampled(self, frames: int, now_ns: int) -> bytes:
        assert self._resampler is not None
        while len(self._resampled) < 2 * frames:
            waits_ns = len(self._resampled) // 2 * self._block_ms * 1_000_000 // frames
            block = self._pull(self.queue.rate * self._block_ms // 1000, now_ns, waits_ns)
            self._resampled += self._resampler.feed(block)
        block, self._resampled = self._resampled[: 2 * frames], self._resampled[2 * frames :]
        return block


def _latency(spec: str) -> devices.Latency:
    if spec == "high":
        return "high"
    return "low" if spec in ("auto", "low") else float(spec)
