"""AudioManager: everything audio of a call, between the sound devices and the wire.

It lives in the engine and outlives calls: `configure` prepares it for one, `close` gives the devices back. What
happens to audio comes out of `poll` as events, with the times of the samples concerned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np

from tui.audio import devices, endpoints, pcm
from tui.audio.blocks import Captured
from tui.audio.cancel import EchoCanceller
from tui.audio.devices import AudioDeviceError
from tui.audio.drift import DriftMeter
from tui.audio.echo_guard import EchoGate, EchoGuard
from tui.audio.endpoints import InputKind
from tui.audio.formats import AudioFormat, encode
from tui.audio.load import SAFE_LATENCY, AutoLatency, CallbackLoad
from tui.audio.webrtc import EchoUnavailable, make_processor
from tui.callbacks import CallbackChain, spawn
from tui.models import events as e
from tui.models.sound.capture import CallerLine, Capture, audio_error
from tui.models.sound.device_care import Caredfor, DeviceCare
from tui.models.sound.playback import Playback, PlaybackOutput
from tui.models.sound.tracks import TrackSink
from tui.models.telemetry import Telemetry

_TELL_INTERVAL_NS = 1_000_000_000


class AudioManager:
    """Capture, playback, volume, mute, levels and losses of one call at a time.

    Everything runs on the engine's loop but `_recording_callback`, which PortAudio's thread calls. `configure`
    comes first.
    """

    capture: Capture
    playback: Playback
    _care: DeviceCare
    _load: CallbackLoad
    _drift: DriftMeter

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.on_audio_chunk: Callable[[bytes], None] | None = None
        self.tracks: TrackSink | None = None
        """Who keeps what is sent and heard; set before `configure`."""
        self._clock_ns = clock_ns
        self._volume = 1.0
        self._news: list[e.SessionEvent] = []
        self._told: dict[e.Loss, tuple[float, int]] = {}
        self._overflows = 0
        self._capture_error: Exception | None = None
        self._line_progress = 0.0

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
        """Get ready for a call: find the devices, without opening them. `poll` tells what is missing."""
        found = await asyncio.to_thread(endpoints.resolve, input, output)
        if found.input is InputKind.FILE:
            lines = [CallerLine(found.input_name, "", input)]
        self._news, self._told, self._overflows = [], {}, 0
        guard = await self._make_guard(echo)
        self._load = CallbackLoad(block_ms)
        self._drift = DriftMeter()
        self._care = DeviceCare(
            block_ms=block_ms, tell=self._news.append, opened=self._tell_opened, clock_ns=self._clock_ns
        )
        self.capture = Capture(
            found,
            block_ms=block_ms,
            lines=lines or [],
            recording_callback=self._recording_callback,
            tell=self._news.append,
            clock_ns=self._clock_ns,
            guard=guard,
        )
        self.capture.add_progress_callback(self._line_progressed)
        self.playback = Playback(
            PlaybackOutput(
                found=found,
                path=output,
                block_ms=block_ms,
                latency=latency,
                fade_ms=fade_ms,
                tracks=[track for track in (self.tracks, guard) if track],
            ),
            emit=self._news.append,
            clock_ns=self._clock_ns,
            on_opened=self._tell_opened,
            on_played=self.capture.played,
        )
        self._steps_of_latency = AutoLatency() if latency == "auto" else None
        self.playback.set_volume(self._volume)
        self.set_audio_chunk_callback(self.capture.hand_off)
        for message in found.errors:
            self._news.append(audio_error(self._clock_ns(), "device", message))
        if found.notice:
            self._news.append(e.NoticeRaised(at_ns=self._clock_ns(), text=found.notice, hint=found.hint))
        self._tell_opened()

    async def _make_guard(self, echo: str) -> EchoGuard | None:
        """What keeps the agent from hearing itself; where that cannot be had the call goes on without."""
        if echo == "gate":
            text = "The microphone is shut while the agent is heard (--echo gate): it cannot be interrupted by voice."
            self._news.append(e.NoticeRaised(at_ns=self._clock_ns(), text=text, of_call=True))
            return EchoGate()
        if echo == "cancel":
            try:
                return EchoCanceller(await asyncio.to_thread(make_processor))
            except EchoUnavailable as error:
                self._news.append(audio_error(self._clock_ns(), "echo", str(error)))
        return None

    # -- capture --

    @property
    def chain(self) -> CallbackChain:
        """What every captured block goes through on its way to the wire; add your own steps."""
        return self.capture.chain

    def set_audio_chunk_callback(self, callback: Callable[[bytes], None] | None) -> None:
        """Call ``callback`` with every captured block, on PortAudio's thread: it must copy and return."""
        self.on_audio_chunk = callback

    def _recording_callback(self, indata: Any, frames: int, time: Any, status: Any) -> None:
        """Audio recording callback function."""
        try:
            if status and status.input_overflow:
                self._overflows += 1
            if self.on_audio_chunk:
                self.on_audio_chunk(pcm_of(indata))
        except Exception as error:  # noqa: BLE001 - PortAudio would end the stream without a word
            self._capture_error = error

    def prepare_capture(self, user_format: AudioFormat) -> None:
        """Capture at the rate of what was agreed with the agent."""
        self.capture.prepare(user_format)
        if self.tracks:
            self.tracks.user_format(user_format)

    def prepare_playback(self, play_format: AudioFormat) -> None:
        """Be ready for replies in the format that is expected of them; others play all the same."""
        self.playback.prepare(play_format)

    async def start_capture(self, *, silent: bool) -> None:
        """Deliver blocks: of the microphone (or of the next recorded line), or of silence."""
        await self.capture.start(silent=silent)

    async def stop_capture(self) -> None:
        """Deliver no more blocks, and give back the microphone."""
        await self.capture.stop()

    def captured(self) -> AsyncIterator[Captured]:
        """Every captured block, at the agreed rate."""
        return self.capture.blocks()

    def _line_progressed(self, done: float) -> None:
        self._line_progress = done

    def encode(self, block: bytes) -> bytes:
        """A captured block as the agreed format puts it on the wire."""
        return encode(block, self.capture.format)

    def tell_sent(self, end_ns: int, block: bytes, *, sent: bool = True) -> None:
        """A captured block, behind the chain, went to the agent or did not."""
        if self.tracks:
            self.tracks.user_sent(end_ns, block if sent else bytes(len(block)), self.capture.format.rate)

    @property
    def muted(self) -> bool:
        """Whether silence is sent in place of the user."""
        return self.capture.mute.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self.capture.mute.muted = muted

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

    @property
    def moving(self) -> bool:
        """Whether sound is captured, or agent audio is on its way to the ear."""
        return self.capture.delivering or self.playback.playing

    def poll(self, now_ns: int, *, at_the_end: bool = False) -> list[e.SessionEvent]:
        """What happened to audio since the last call, in order; losses that go on are told once a second."""
        self._care.poll(self._cared(), now_ns)
        self.capture.poll(now_ns)
        self._step_latency(now_ns)
        speaker = self.playback.speaker
        played_ns = speaker.heard_at_ns(0) if speaker and speaker.device else None
        self._drift.feed(now_ns, self.capture.clock_start_ns, played_ns)
        self.playback.take_news(now_ns)
        if at_the_end:
            self.playback.finish_listening()
        self._tell_losses(now_ns, at_the_end=at_the_end)
        self._tell_callback_errors(now_ns)
        news = list(self._news)
        del self._news[: len(news)]
        return news

    def telemetry(self, now_ns: int) -> Telemetry:
        """Levels and queue depth now."""
        user, agent = self.capture.level.read(now_ns), self.playback.read_level(now_ns)
        stats, per_ms = self.playback.stats, self.playback.frames_per_ms
        queue = self.playback.queue
        echo = self.capture.raw_echo.echo
        return Telemetry(
            at_ns=now_ns,
            user_dbfs=user.rms_dbfs if user else None,
            user_peak_dbfs=user.held_peak_dbfs if user else None,
            agent_dbfs=agent.rms_dbfs if agent else None,
            agent_peak_dbfs=agent.held_peak_dbfs if agent else None,
            queued_ms=stats.queued_frames / per_ms,
            queued_worst_ms=stats.worst_queued_frames / per_ms,
            user_clipped=bool(user and user.clipped),
            prebuffer_ms=queue.target_ms if queue else None,
            output_latency_ms=self.playback.speaker.latency_ms if self.playback.speaker else None,
            arrival_jitter_ms=queue.arrivals.jitter_ms if queue else None,
            delivery_ratio=queue.arrivals.delivery_ratio if queue else None,
            user_dc=self.capture.health.dc,
            user_is_zero=self.capture.health.is_zero,
            echo_delay_ms=echo.delay_ms if echo else None,
            echo_db=echo.gain_db if echo else None,
            drift_ppm=self._drift.ppm,
            callback_load=self._load.worst(now_ns, [one.take_busy_ns() for one in self._cared().values()]),
            line_progress=self._line_progress if self.capture.speaking else None,
        )

    async def close(self) -> None:
        """The call is over: give back what was opened."""
        await self._care.close()
        await self.capture.close()
        await self.playback.close()

    def _step_latency(self, now_ns: int) -> None:
        """With ``--latency auto``, ask the device for more where little does not do."""
        speaker = self.playback.speaker
        if self._steps_of_latency is None or speaker is None or speaker.device is None:
            return
        if self._steps_of_latency.look(now_ns, speaker.underflows):
            self._steps_of_latency = None
            speaker.latency = SAFE_LATENCY
            text = f"The speaker had gaps at low latency: it holds {SAFE_LATENCY} s from now on (--latency auto)."
            self._news.append(e.NoticeRaised(at_ns=now_ns, text=text, of_call=True))
            spawn(self._care.open_again(speaker), "open speaker with more latency")

    async def switch(self, direction: str, spec: str) -> None:
        """Use another microphone ("input") or speaker ("output") from now on; `poll` tells what came of it.

        ``spec`` is as in the options: "auto", an index, or a part of the name.
        """
        way: devices.Direction = "input" if direction == "input" else "output"
        try:
            device = await asyncio.to_thread(devices.find_device, spec, way)
        except AudioDeviceError as error:
            self._news.append(audio_error(self._clock_ns(), "device", str(error)))
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
            self._tell_opened()

    async def look_again(self) -> None:
        """Have PortAudio list the devices anew; in a call sound pauses for a moment."""
        await self._care.look_again(self._cared())

    def _cared(self) -> dict[str, Caredfor]:
        microphone, speaker = self.capture.microphone, self.playback.speaker
        return {
            **({"capture": microphone} if microphone else {}),
            **({"playback": speaker} if speaker else {}),
        }

    def _tell_opened(self) -> None:
        speaker, microphone = self.playback.speaker, self.capture.microphone
        self._news.append(
            e.AudioOpened(
                at_ns=self._clock_ns(),
                capture=microphone.device.name if microphone and microphone.device else self.capture.name,
                playback=speaker.device.name if speaker and speaker.device else self.playback.name,
                capture_rate=self.capture.format.rate,
                playback_rate=speaker.queue.rate if speaker else 0,
                latency_ms=speaker.latency_ms if speaker else 0.0,
            )
        )

    def _tell_losses(self, now_ns: int, *, at_the_end: bool) -> None:
        stats, per_ms = self.playback.stats, self.playback.frames_per_ms
        speaker = self.playback.speaker
        counts = {
            e.Loss.CAPTURE_OVERFLOW: self._overflows,
            e.Loss.CAPTURE_DROPPED: self.capture.handoff.dropped_blocks,
            e.Loss.DEVICE_UNDERFLOW: speaker.underflows if speaker else 0,
            e.Loss.WITHHELD: self.capture.guard.held_blocks if self.capture.guard else 0,
            e.Loss.UNHEARD: stats.unheard_frames / per_ms,
            e.Loss.QUEUE_FULL: stats.dropped_frames / per_ms,
        }
        for loss, count in counts.items():
            told, told_ns = self._told.get(loss, (0, now_ns - _TELL_INTERVAL_NS))
            if count > told and (now_ns - told_ns >= _TELL_INTERVAL_NS or at_the_end):
                self._told[loss] = (count, now_ns)
                self._news.append(e.LossCounted(at_ns=now_ns, loss=loss, count=count - told))

    def _tell_callback_errors(self, now_ns: int) -> None:
        capture_error, self._capture_error = self._capture_error, None
        playback_error = self.playback.speaker.take_callback_error() if self.playback.speaker else None
        for name, error in (("capture", capture_error), ("playback", playback_error)):
            if error is not None:
                message = f"The {name} callback failed: {error}."
                self._news.append(audio_error(now_ns, f"{name}-callback", message))


def pcm_of(indata: Any) -> bytes:
    """What PortAudio delivered as 16-bit PCM: integers bit for bit, floats of -1..1 scaled and clipped."""
    if not isinstance(indata, np.ndarray):
        return bytes(indata)
    if np.issubdtype(indata.dtype, np.floating):
        return pcm.from_float(indata.reshape(-1))
    if indata.dtype != np.int16:
        raise TypeError(f"capture delivers {indata.dtype}; 16-bit integers or floats are expected")
    return indata.astype("<i2").tobytes()
