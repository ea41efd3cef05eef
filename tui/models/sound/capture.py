"""Capture: the call's microphone, from PortAudio's blocks to blocks that are ready to be encoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from tui.audio.blocks import Block, Captured, CaptureHandoff, Source
from tui.audio.capture_steps import GainStep, LevelStep, LineStep, MuteStep
from tui.audio.devices import AudioDeviceError, Device
from tui.audio.echo_guard import EchoGuard
from tui.audio.endpoints import Endpoints, InputKind
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.instants import BlockInstants
from tui.audio.microphone import Microphone, RecordingCallback
from tui.audio.resample import LiveResampler
from tui.audio.wav import AudioFileError, read_wav
from tui.callbacks import CallbackChain, CallbackManager, ProgressCallback, Registration, spawn
from tui.models import events as e
from tui.models.sound.capture_health import CaptureHealth
from tui.models.sound.echo_watch import EchoWatch

DEFAULT_FORMAT = AudioFormat(Encoding.PCM16, 16_000)
PROGRESS = "line progress"
_ECHO_HINT = "Use headphones, --echo cancel, or --echo gate (half-duplex)."
_GUARDED_HINT = "It comes through all the same: use headphones, or turn the speaker down."


class CallerLine(msgspec.Struct, frozen=True):
    """Something recorded to be said on the microphone's path."""

    name: str
    text: str
    path: str


def line_of(path: str | Path, text: str = "") -> CallerLine:
    """A WAV file as a line to speak."""
    return CallerLine(Path(path).name, text, str(path))


class Capture:
    """The microphone, recorded lines in its place, and the capture chain, for one call. On the engine's loop.

    ``recording_callback`` is given to the device; what it delivers comes back through `hand_off`. News goes to
    ``tell``.
    """

    def __init__(
        self,
        found: Endpoints,
        *,
        block_ms: int,
        lines: list[CallerLine],
        recording_callback: RecordingCallback,
        tell: Callable[[e.SessionEvent], None],
        clock_ns: Callable[[], int],
        guard: EchoGuard | None = None,
    ) -> None:
        self.format = DEFAULT_FORMAT
        self.handoff = CaptureHandoff(asyncio.get_running_loop(), block_ms=block_ms)
        self.callbacks = CallbackManager()
        self.gain = GainStep()
        self.mute = MuteStep()
        self.level = LevelStep(clock_ns)
        self.health = CaptureHealth()
        self.guard = guard
        """Keeps the agent from hearing itself; None: nothing does."""
        self.echo = EchoWatch(tell, _GUARDED_HINT if guard else _ECHO_HINT)
        """What comes back of the agent in what it is to get."""
        self.raw_echo = EchoWatch(lambda _: None) if guard else self.echo
        """The same on the microphone, before the guard."""
        self._guard_failed = False
        self._found = found
        self._block_ms = block_ms
        self._lines = lines
        self._next_line = 0
        self._recording_callback = recording_callback
        self._tell = tell
        self._clock_ns = clock_ns
        self._line = LineStep(self._line_finished, lambda done: self.callbacks.trigger(PROGRESS, done))
        self._asked: CallerLine | None = None
        """The line that is being read."""
        self._spoken: CallerLine | None = None
        self._wishes = 0
        """How often it was started or stopped: the newest wish holds, also over one that waits for a file."""
        self._microphone: Microphone | None = None
        self._source: Source | None = None
        """What delivered the block before."""
        self._unknown = Source(self.format.rate, from_device=False)
        """Of blocks that come from elsewhere than the microphone, at the agreed rate."""
        self._resampler = LiveResampler(self.format.rate, self.format.rate)
        self._instants = BlockInstants(self.format.rate)
        self._instants_dropped = self._counted_frames = 0
        self.chain = CallbackChain("capture")
        """What every block goes through on its way to the wire; add your own steps."""
        for step in (self._line, self.gain, self.mute, self.level):
            self.chain.add_callback(step)

    def prepare(self, user_format: AudioFormat) -> None:
        """Capture at the rate of what was agreed with the agent."""
        self.format = user_format
        self._unknown = Source(user_format.rate, from_device=False)
        self._microphone = Microphone(
            self._recording_callback,
            rate=user_format.rate,
            block_ms=self._block_ms,
            spawn=spawn,
            device=self._found.input_device,
            on_skipped=self.handoff.skip,
            clock_ns=self._clock_ns,
        )

    @property
    def clock_start_ns(self) -> int | None:
        """When frame 0 of the device's stream passed it, as it looks now; None without a device."""
        delivers = self._microphone.source if self._microphone else None
        return self._instants.at(0) if delivers is not None and delivers is self._source else None

    @property
    def name(self) -> str:
        """Of what is captured from, before it is opened."""
        return self._found.input_name

    @property
    def microphone(self) -> Microphone | None:
        """What delivers; None before the first opening."""
        return self._microphone

    @property
    def delivering(self) -> bool:
        """Whether blocks come, of sound or of silence."""
        return self._microphone is not None and self._microphone.delivering

    async def start(self, *, silent: bool) -> None:
        """Deliver blocks: of the microphone (or of the next recorded line), or of silence."""
        if self._microphone is None:
            self.prepare(self.format)
        assert self._microphone is not None
        self._wishes += 1
        wish = self._wishes
        if not silent and self._found.input is not InputKind.DEVICE:
            await self._speak_next_line()
        if wish != self._wishes:
            return
        try:
            await self._microphone.start(silent=silent)
        except AudioDeviceError as error:
            self._tell(audio_error(self._clock_ns(), "device", str(error)))

    def choose(self, device: Device) -> None:
        """Use this microphone from now on, in place of recorded lines too."""
        self._found = msgspec.structs.replace(
            self._found, input=InputKind.DEVICE, input_name=device.name, input_device=device
        )
        self.stop_speaking()

    async def stop(self) -> None:
        """Deliver no more blocks, and give back the microphone."""
        self._wishes += 1
        self.stop_speaking()
        if self._microphone is not None:
            await self._microphone.stop()

    async def close(self) -> None:
        """Stop for good: no microphone is opened any more."""
        self.stop_speaking()
        if self._microphone is not None:
            await self._microphone.close()

    def hand_off(self, pcm: bytes) -> None:
        """From PortAudio's thread to the loop, with all that is known of the block by then; microseconds, no lock."""
        delivery = self._microphone.delivery if self._microphone else None
        at_ns, source = delivery or (self._clock_ns(), self._unknown)
        self.handoff.put(Block(at_ns, source, pcm))

    async def blocks(self) -> AsyncIterator[Captured]:
        """Every captured block, at the agreed rate."""
        while True:
            await self.handoff.wait()
            for block in self.handoff.take():
                self._follow(block.source)
                end_ns, pcm = self._end_ns(block), block.pcm
                if block.source.from_device:
                    self._judge(end_ns, pcm, block.source.rate)
                    pcm = self._guarded(end_ns, pcm, block.source.rate)
                yield Captured(end_ns, block.at_ns, self._resampler.feed(pcm))

    def _follow(self, source: Source) -> None:
        """What comes from another source goes on from nothing, as it does behind a block that was lost."""
        dropped_blocks = self.handoff.dropped_blocks
        if source is not self._source or dropped_blocks != self._instants_dropped:
            self._instants, self._counted_frames = BlockInstants(source.rate), 0
            self._instants_dropped = dropped_blocks
        if source is not self._source:
            self._source = source
            self._resampler = LiveResampler(source.rate, self.format.rate)
            if source.from_device:
                self.health.opened()

    def _guarded(self, end_ns: int, block: bytes, rate: int) -> bytes:
        """A block of the device without what the guard takes out of it."""
        if self.guard is not None:
            self.raw_echo.captured(end_ns, block, rate)
            block = self.guard.clean(end_ns, self._clock_ns(), block, rate)
            if self.guard.failure and not self._guard_failed:
                self._guard_failed = True
                self._tell(audio_error(self._clock_ns(), "echo", self.guard.failure))
        self.echo.captured(end_ns, block, rate)
        return block

    def played(self, end_ns: int, block: bytes, rate: int) -> None:
        """A block that has left the speaker: what may come back."""
        self.echo.played(end_ns, block, rate)
        if self.raw_echo is not self.echo:
            self.raw_echo.played(end_ns, block, rate)

    def poll(self, now_ns: int) -> None:
        """Look for what comes back, and tell what was missed while a microphone was opened anew."""
        if self._microphone and (missed_ms := self._microphone.take_missed_ms()):
            self._tell_missed(missed_ms, now_ns)
        self.echo.poll(now_ns)
        if self.raw_echo is not self.echo:
            self.raw_echo.poll(now_ns)

    def _tell_missed(self, missed_ms: float, now_ns: int) -> None:
        blocks = max(round(missed_ms / self._block_ms), 1)
        detail = f"{missed_ms:,.0f} ms until the microphone was open again"
        self._tell(e.LossCounted(at_ns=now_ns, loss=e.Loss.CAPTURE_DROPPED, count=blocks, detail=detail))

    def _judge(self, end_ns: int, block: bytes, rate: int) -> None:
        """Judge what a device delivers, before anything is done to it."""
        for verdict in self.health.feed(block, len(block) / 2 * 1000 / rate):
            self._tell(
                e.ConditionChanged(
                    at_ns=end_ns,
                    condition=verdict.condition,
                    path="capture",
                    active=verdict.active,
                    text=verdict.text,
                    hint=verdict.hint,
                )
            )

    def _end_ns(self, block: Block) -> int:
        """When the last sample left the microphone: by the count of samples."""
        self._instants.feed(block.at_ns, self._counted_frames)
        end_ns = self._instants.at(self._counted_frames)
        self._counted_frames += len(block.pcm) // 2
        return block.at_ns if end_ns is None else end_ns

    def add_progress_callback(self, callback: ProgressCallback) -> Registration:
        """Call ``callback(done)`` with 0..1 while a recorded line is being sent, block by block."""
        return self.callbacks.register_callback(PROGRESS, callback)

    async def speak(self, line: CallerLine) -> None:
        """Say a recorded line in place of the microphone while blocks are delivered; the newest one wins.

        Reading ten seconds at another rate takes a quarter of a second, which no block may wait for.
        """
        self._asked = line
        try:
            recorded = await asyncio.to_thread(read_wav, line.path, self.format.rate)
        except AudioFileError as error:
            self._tell(audio_error(self._clock_ns(), "file", str(error)))
            return
        if self._asked is not line:
            return
        self.stop_speaking()
        self._spoken = line
        self._line.speak(recorded)
        self._tell(e.LineChanged(at_ns=self._clock_ns(), name=line.name, text=line.text))

    def stop_speaking(self) -> None:
        """Break off the recorded line."""
        self._asked = None
        self._line.stop()
        if self._spoken:
            self._line_finished()

    @property
    def speaking(self) -> bool:
        """Whether a recorded line is being spoken."""
        return self._line.speaking

    async def _speak_next_line(self) -> None:
        if self._lines and not self._line.speaking:
            await self.speak(self._lines[self._next_line % len(self._lines)])
            self._next_line += 1

    def _line_finished(self) -> None:
        line, self._spoken = self._spoken, None
        if line:
            self._tell(e.LineChanged(at_ns=self._clock_ns(), name=line.name, text=line.text, finished=True))


def audio_error(at_ns: int, code: str, message: str) -> e.ErrorRaised:
    """An error whose source is the audio path."""
    return e.ErrorRaised(at_ns=at_ns, source="audio", code=code, message=message)
