"""AudioManager: handles all of a call's audio between the sound devices and the wire.

The manager lives in the engine and outlives a call: `configure` prepares it for a call, and `close` releases
the devices. The manager connects capture and playback, watches their devices, and returns audio events from
`poll`. Each event carries the time of the sample that it describes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tui.audio import devices, endpoints, pcm
from tui.audio.blocks import Block, CaptureHandoff, Stamp
from tui.audio.calibration import KnownDevices, known_devices
from tui.audio.cancel import EchoCanceller
from tui.audio.crowd import Crowd
from tui.audio.detector_pool import DetectorPool, PooledSpeech, TakeEdges
from tui.audio.devices import AudioDeviceError
from tui.audio.drift import DriftMeter
from tui.audio.echo_guard import EchoGate, EchoGuard
from tui.audio.endpoints import Endpoints, InputKind
from tui.audio.formats import AudioFormat
from tui.audio.gapless import GaplessSpeech
from tui.audio.in_thread import in_thread
from tui.audio.speech import make_detector
from tui.audio.webrtc import EchoUnavailable, make_processor
from tui.callbacks import CallbackManager, ErrorReporter, Registration, default_reporter
from tui.models import events as e
from tui.models.sound.capture import Capture
from tui.models.sound.device_care import Caredfor, DeviceCare
from tui.models.sound.known_speech import KnownSpeech
from tui.models.sound.lines import CallerLine
from tui.models.sound.pending import PendingEvents
from tui.models.sound.playback import Playback, PlaybackOutput
from tui.models.sound.tracks import TrackSink
from tui.models.tally import Tally
from tui.models.telemetry import Telemetry

AUDIO_CHUNK = "audio chunk"
"""Name of the event for callbacks that receive captured blocks."""

AudioChunkCallback = Callable[[bytes], object]
"""Receives one captured block as 16-bit mono PCM."""


class AudioManager:
    """Manages the capture, playback, volume, levels and losses of one call at a time.

    Everything runs on the engine's loop except `_recording_callback`, which PortAudio's thread calls. Call
    `configure` first. Load tests set ``crowd``: simulated callers use no devices or tracks, play only
    recorded lines with known speech edges, and measure no levels.
    """

    capture: Capture
    playback: Playback
    _care: DeviceCare
    _drift: DriftMeter
    _losses: Tally[e.Loss]

    def __init__(
        self, clock_ns: Callable[[], int] = time.monotonic_ns, *, crowd: Crowd | None = None
    ) -> None:
        self.crowd = crowd
        self.tracks: Sequence[TrackSink] = ()
        """Receivers of sent and played audio; set them before `configure`."""
        self._handoff = CaptureHandoff()
        self._observers = _Observers()
        self._on_audio_chunk: Registration | None = None
        self._pending = PendingEvents(clock_ns)
        self._volume = 1.0

    async def configure(
        self,
        *,
        input: str = "auto",  # noqa: A002 - the option's name
        output: str = "auto",
        block_ms: int = 20,
        latency: str = "auto",
        echo: str = "none",
        fade_ms: int = 0,
        lines: list[CallerLine] | None = None,
    ) -> None:
        """Prepares for a call: finds the devices without opening them. `poll` reports missing devices."""
        found = await endpoints.find(input, output)
        self._pending = PendingEvents(self._pending.clock_ns)
        self._losses = Tally()
        self._drift = DriftMeter()
        self._handoff = CaptureHandoff(block_ms=block_ms)
        guard = await self._make_guard(echo)
        self._care = DeviceCare(
            block_ms=block_ms,
            auto_latency=latency == "auto",
            pending=self._pending,
            on_opened=self._report_opened,
            known=await _known(found, block_ms),
        )
        self.capture = Capture(
            found,
            self._handoff,
            block_ms=block_ms,
            lines=[CallerLine(found.input_name, "", input)] if found.input is InputKind.FILE else lines or [],
            recording_callback=self._recording_callback,
            pending=self._pending,
            guard=guard,
            crowd=self.crowd,
        )
        self.playback = self._playback(
            PlaybackOutput(
                found=found,
                path=output,
                block_ms=block_ms,
                latency=latency,
                fade_ms=fade_ms,
                tracks=[*self.tracks, *([guard] if guard else [])],
                detectors=self.crowd.detectors if self.crowd else DetectorPool(),
            )
        )
        self._report_found(found)

    def _playback(self, output: PlaybackOutput) -> Playback:
        playback = Playback(
            output,
            emit=self._pending.add,
            clock_ns=self._pending.clock_ns,
            on_opened=self._report_opened,
            on_played=self.capture.echo.played,
        )
        playback.set_volume(self._volume)
        return playback

    def _report_found(self, found: Endpoints) -> None:
        for message in found.warnings:
            self._pending.notice(message)
        if found.notice:
            self._pending.notice(found.notice, found.hint)
        self._report_opened()

    async def _make_guard(self, echo: str) -> EchoGuard | None:
        """Returns the echo guard for this ``--echo`` setting; None if the guard is off or cannot be loaded."""
        if echo == "gate":
            text = (
                "The microphone is muted while the agent is speaking (--echo gate),"
                " so you cannot interrupt the agent by voice."
            )
            self._pending.notice(text, of_call=True)
            return EchoGate()
        if echo == "cancel":
            try:
                return EchoCanceller(await asyncio.to_thread(make_processor))
            except EchoUnavailable as error:
                self._pending.error("echo", str(error))
        return None

    # -- capture --

    @property
    def on_audio_chunk(self) -> AudioChunkCallback | None:
        """The callback registered by `set_audio_chunk_callback`; None if there is none."""
        return self._on_audio_chunk.callback if self._on_audio_chunk else None

    def set_audio_chunk_callback(self, callback: AudioChunkCallback | None) -> None:
        """Calls ``callback`` with every captured block. A new callback replaces the previous one; None removes it.

        The callback cannot change the audio that the agent or other callbacks receive. The callback runs on
        PortAudio's thread, so it should copy the block and return.
        """
        if self._on_audio_chunk:
            self._on_audio_chunk.unregister()
        self._on_audio_chunk = self.add_audio_chunk_callback(callback) if callback else None

    def add_audio_chunk_callback(self, callback: AudioChunkCallback) -> Registration:
        """Adds a callback that receives every captured block until its registration ends."""
        return self._observers.register_callback(AUDIO_CHUNK, callback)

    def _recording_callback(self, indata: Any, frames: int, time: Any, status: Any) -> None:
        """Receives a block from PortAudio: adds a copy to the hand-off queue, then calls the observers.

        ``time`` is the `Stamp` that the microphone passes; any other value, such as PortAudio's own time, is
        replaced by the current time. Integers are kept exactly; floats in -1..1 are scaled and clipped.
        """
        try:
            if status and status.input_overflow:
                self._handoff.overflows += 1
            at_ns, source = time if isinstance(time, Stamp) else (self._pending.clock_ns(), None)
            block = Block(at_ns, source, pcm_of(indata))
            # The call gets the block first, so that no observer can delay it or prevent it from being sent.
            self._handoff.put(block)
            self._observers.trigger(AUDIO_CHUNK, block.pcm)
        except Exception as error:  # noqa: BLE001 - sounddevice would print it and end the stream
            self._observers.failures.report(error, callback="_recording_callback", event=AUDIO_CHUNK)

    def prepare_capture(self, user_format: AudioFormat) -> None:
        """Sets the format of user audio, as agreed on with the agent, for the capture chain and the tracks."""
        self.capture.prepare(user_format)
        for track in self.tracks:
            track.user_format(user_format)

    def user_speech(self, take: TakeEdges) -> GaplessSpeech | KnownSpeech:
        """Returns a new detector for the user's speech in captured blocks. The detector passes edges to ``take``."""
        rate = self.capture.format.rate
        if self.crowd is not None:
            return KnownSpeech(self.capture.lines, rate, take)
        return GaplessSpeech(PooledSpeech(self.playback.output.detectors, make_detector(rate), take), rate)

    def keep_user_block(self, end_ns: int, block: bytes, *, sent: bool = True) -> None:
        """Adds a captured block to the tracks. If the block was not sent, adds silence instead."""
        for track in self.tracks:
            track.user_sent(end_ns, block if sent else bytes(len(block)), self.capture.format.rate)

    # -- playback --

    @property
    def volume(self) -> float:
        """Playback volume, 0..2; samples are bit-exact at 1."""
        return self._volume

    @volume.setter
    def volume(self, volume: float) -> None:
        self._volume = min(max(volume, 0.0), 2.0)
        self.playback.set_volume(self._volume)

    # -- what happened --

    def poll(self, now_ns: int, *, at_the_end: bool = False) -> list[e.SessionEvent]:
        """Returns the audio events since the previous call, in order, and checks the devices.

        While a loss continues, an event reports the loss once a second, and at its end.
        """
        speaker = self.playback.speaker
        if self.crowd is None:  # callers of a load test have no devices
            self._care.poll(self._cared(), now_ns)
            self._care.step_latency(speaker, now_ns)
            self.capture.poll(now_ns)
            played_ns = speaker.heard_at_ns(0) if speaker and speaker.device else None
            self._drift.feed(now_ns, self.capture.clock_start_ns, played_ns)
        self._poll_sound(now_ns)
        if at_the_end:
            self.playback.finish_listening()
        self._report_losses(now_ns, final=at_the_end)
        self._observers.failures.pass_on()
        if speaker and (error := speaker.take_callback_error()) is not None:
            self._pending.error("playback-callback", f"The playback callback failed: {error}.")
        return self._pending.take()

    def poll_sound(self, now_ns: int) -> list[e.SessionEvent]:
        """Returns the same events as `poll`, but does not check the devices or report losses."""
        self._poll_sound(now_ns)
        return self._pending.take()

    def _poll_sound(self, now_ns: int) -> None:
        self.playback.take_news(now_ns)
        if self.crowd is None:
            self.playback.output.detectors.judge_due(now_ns)

    def telemetry(self, now_ns: int) -> Telemetry:
        """Returns the current levels, queue depth and device figures."""
        user, agent = self.capture.level.read(now_ns), self.playback.read_level(now_ns)
        stats, per_ms = self.playback.stats, self.playback.frames_per_ms
        queue = self.playback.queue
        echo = self.capture.echo.found
        return Telemetry(
            at_ns=now_ns,
            user_dbfs=user.rms_dbfs if user else None,
            user_peak_dbfs=user.held_peak_dbfs if user else None,
            agent_dbfs=agent.rms_dbfs if agent else None,
            agent_peak_dbfs=agent.held_peak_dbfs if agent else None,
            queued_ms=stats.queued_frames / per_ms,
            queued_worst_ms=stats.worst_queued_frames / per_ms,
            user_clipped=bool(user and user.clipped),
            prebuffer_ms=queue.arrivals.target_ms if queue else None,
            output_latency_ms=self.playback.speaker.latency_ms if self.playback.speaker else None,
            arrival_jitter_ms=queue.arrivals.jitter_ms if queue else None,
            delivery_ratio=self.playback.delivery_ratio,
            user_dc=self.capture.health.dc,
            user_is_zero=self.capture.health.is_zero,
            echo_delay_ms=echo.delay_ms if echo else None,
            echo_db=echo.gain_db if echo else None,
            drift_ppm=self._drift.ppm,
            callback_load=self._care.callback_load(self._cared(), now_ns),
            line_progress=self.capture.lines.progress,
        )

    @property
    def clock_ppm(self) -> tuple[float | None, float | None]:
        """Deviation of the capture and playback clocks from their nominal rates, in ppm; positive if they run fast.

        In the first 30 s, both values are None.
        """
        return self._drift.capture.ppm, self._drift.playback.ppm

    async def close(self) -> None:
        """Releases the devices at the end of the call."""
        await self._care.close()
        await self.capture.close()
        await self.playback.close()

    async def switch(self, direction: str, spec: str) -> None:
        """Switches to another microphone ("input") or speaker ("output"); `poll` reports the outcome.

        ``spec`` is "auto", an index, or part of the name, as in the options.
        """
        way: devices.Direction = "input" if direction == "input" else "output"
        try:
            device = await in_thread(partial(devices.find_device, spec, way), cancellable=True)
        except AudioDeviceError as error:
            self._pending.error("device", str(error))
            return
        await self.playback.opened()
        one = self._cared().get("capture" if way == "input" else "playback")
        if one is not None and not await self._care.switch(one, device):
            return
        if way == "input":
            self.capture.choose(device)
        else:
            self.playback.choose(device)
        if one is None:
            self._report_opened()

    async def rescan(self) -> None:
        """Makes PortAudio list the devices again, which briefly pauses the sound of a call."""
        await self._care.rescan(self._cared())

    def _cared(self) -> dict[str, Caredfor]:
        speaker = self.playback.speaker
        return {"capture": self.capture.microphone, **({"playback": speaker} if speaker else {})}

    def _report_opened(self) -> None:
        speaker = self.playback.speaker
        self._pending.add(
            e.AudioOpened(
                at_ns=self._pending.clock_ns(),
                capture=self.capture.name,
                playback=speaker.device.name if speaker and speaker.device else self.playback.name,
                capture_rate=self.capture.format.rate,
                playback_rate=speaker.queue.rate if speaker else 0,
                latency_ms=speaker.latency_ms if speaker else 0.0,
                timing=self._care.timing(self.capture.microphone, speaker) if speaker else None,
            )
        )

    def _report_losses(self, now_ns: int, *, final: bool) -> None:
        stats, per_ms = self.playback.stats, self.playback.frames_per_ms
        speaker = self.playback.speaker
        totals = {
            e.Loss.CAPTURE_OVERFLOW: self._handoff.overflows,
            e.Loss.CAPTURE_DROPPED: self._handoff.dropped_blocks,
            e.Loss.DEVICE_UNDERFLOW: speaker.underflows if speaker else 0,
            e.Loss.WITHHELD: self.capture.echo.held_blocks,
            e.Loss.UNHEARD: stats.unheard_frames / per_ms,
            e.Loss.QUEUE_FULL: stats.dropped_frames / per_ms,
        }
        for loss, total in totals.items():
            if count := self._losses.update(loss, total, now_ns, final=final):
                self._pending.add(e.LossCounted(at_ns=now_ns, loss=loss, count=count.new))


async def _known(found: Endpoints, block_ms: int) -> KnownDevices:
    if found.input_device is None or found.output_device is None:
        return KnownDevices(block_ms)
    return await asyncio.to_thread(known_devices, block_ms, found.output_device.host_api)


class _DeferredReporter(ErrorReporter):
    """Holds the failures of callbacks on PortAudio's thread until the event loop reports them.

    PortAudio's thread must not report failures, because reporting takes a lock and writes to the log.
    """

    _KEPT = 1_000

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[tuple[BaseException, str, str]] = deque(maxlen=self._KEPT)

    def report(self, error: BaseException, *, callback: str, event: str = "") -> None:
        self._waiting.append((error, callback, event))

    def pass_on(self) -> None:
        """Reports the held failures through the default reporter. Call it on the event loop."""
        while self._waiting:
            error, callback, event = self._waiting.popleft()
            default_reporter.report(error, callback=callback, event=event)


class _Observers(CallbackManager):
    """Calls the callbacks that observe captured blocks, on PortAudio's thread."""

    def __init__(self) -> None:
        self.failures = _DeferredReporter()
        super().__init__(self.failures)


def pcm_of(indata: Any) -> bytes:
    """Returns PortAudio's samples as 16-bit PCM: integers unchanged, floats in -1..1 scaled and clipped.

    Raises `TypeError` for samples of another type.
    """
    if not isinstance(indata, np.ndarray):
        return bytes(indata)
    if np.issubdtype(indata.dtype, np.floating):
        return pcm.from_float(indata.reshape(-1))
    if indata.dtype != np.int16:
        raise TypeError(f"capture delivered {indata.dtype}; expected 16-bit integers or floats")
    return indata.astype("<i2").tobytes()
