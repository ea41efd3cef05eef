"""Playback: plays agent audio, and tracks how much of each reply was heard."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import msgspec

from tui.audio.detector_pool import DetectorPool
from tui.audio.devices import AudioDeviceError, Device
from tui.audio.endpoints import Endpoints, OutputKind
from tui.audio.formats import AudioFormat
from tui.audio.levels import MeterReading
from tui.audio.queue import Happening, HappeningKind, PlaybackQueue, PlaybackStats, QueueTail
from tui.audio.speaker import AgentTrack, Speaker
from tui.audio.wav import AudioFileError
from tui.callbacks import spawn
from tui.models import events as e
from tui.models.sound.capture import DEFAULT_FORMAT
from tui.models.sound.pending import audio_error
from tui.models.sound.speech import HeardSpeech

STALL_MS = 500.0
"""Shortest silence within a reply that counts as an arrival stall.

Shorter silences are reported as underruns when they end.
"""
_PATIENCE_MS = 2_000
"""Longest time that `Playback.drained` waits while nothing leaves the queue."""


class PlaybackOutput(msgspec.Struct, frozen=True):
    """Output settings of a call."""

    found: Endpoints
    path: str
    """The file to write if the output is a file."""
    block_ms: int
    latency: str
    """"auto", "low", "high" or a number of seconds, as in the options."""
    fade_ms: int = 0
    """Length of the fade-out at a flush; 0 cuts playback immediately."""
    tracks: list[AgentTrack] = []
    """Receivers of the agent's audio."""
    detectors: DetectorPool = msgspec.field(default_factory=DetectorPool)
    """Runs the detector of the agent's speech."""


@dataclass(eq=False, repr=False)
class Playback:
    """Plays the replies of one call and emits their playback events. Runs on the engine's loop.

    The first reply decides the rate; later replies at other rates are resampled. ``on_opened`` is called
    after a speaker was opened; ``on_played`` receives each heard block as ``(end_ns, pcm, rate)``.
    """

    output: PlaybackOutput
    _: KW_ONLY
    emit: Callable[[e.SessionEvent], None]
    clock_ns: Callable[[], int]
    on_opened: Callable[[], None]
    on_played: Callable[[int, bytes, int], None]

    def __post_init__(self) -> None:
        self.speaker: Speaker | None = None
        """The speaker, even while its device is being opened; None before the first reply or `prepare`."""
        self._heard = HeardSpeech(self.emit, self.on_played, self.output.detectors)
        self._volume = 1.0
        self._opening: asyncio.Task[None] | None = None
        self._ending: dict[str, e.PlaybackEnded] = {}
        """Replies whose last sample the device has taken but not yet played."""
        self._marks: deque[tuple[str, QueueTail]] = deque()
        self._arrival_watch = ArrivalWatch(self.emit)
        self._stop_draining = False

    @property
    def queue(self) -> PlaybackQueue | None:
        """The queue that the speaker plays; None before the first reply."""
        return self.speaker.queue if self.speaker else None

    def prepare(self, audio_format: AudioFormat) -> None:
        """Opens the device for replies in this format, before the first reply arrives."""
        # PortAudio takes the first blocks of a new stream in one burst. If the stream opened with the first
        # reply, the burst would empty the queue at the start of the reply, and playback would stutter.
        if self.speaker is None and self.output.found.output is OutputKind.DEVICE:
            self._open(audio_format.rate)

    def begin(self, reply: str, audio_format: AudioFormat) -> None:
        """Begins a reply. The id of a flushed reply may be reused for a new reply."""
        self._queue_for(audio_format).begin(reply, audio_format)

    def play(self, reply: str, wire: bytes, audio_format: AudioFormat | None = None) -> None:
        """Queues a chunk of a reply in its wire format.

        A late chunk of a flushed reply is counted as unheard. ``audio_format`` is needed only for the first
        chunk of a reply that was not begun.
        """
        audio_format = audio_format or DEFAULT_FORMAT
        self._arrival_watch.came()
        self._queue_for(audio_format).feed(reply, wire, self.clock_ns(), audio_format)

    def end(self, reply: str) -> float | None:
        """Ends a reply, for which no more audio is expected. Audio in the queue still plays.

        Returns the number of ms received; None if the reply was not open.
        """
        if self.speaker is None:
            return None
        self.speaker.catch_up(self.clock_ns())
        return self.speaker.queue.end(reply)

    def hold(self, held: bool) -> None:
        """Pauses or resumes playback; has no effect before the first reply."""
        if self.queue:
            self.queue.controls.held = held

    def socket_lost(self) -> None:
        """Suppresses reports of missing audio until audio arrives."""
        self._arrival_watch.excuse()

    def ran_dry(self, after_ms: float) -> str | None:
        """Returns the current reply, if its audio ran out at least ``after_ms`` ago."""
        if self.speaker is None or self.speaker.queue.playing is None:
            return None
        # Returns None until the device has played its buffer, because the user hears no silence before that.
        gap_ms = self.speaker.queue.gap_frames / self.frames_per_ms
        return self.speaker.queue.playing if gap_ms >= max(after_ms, self.speaker.latency_ms) else None

    @property
    def playing(self) -> bool:
        """Whether agent audio is queued, or is about to leave the speaker."""
        return bool(self._still_ending()) or bool(self.queue and not self._passed(self.queue.tail()))

    async def drained(self) -> None:
        """Waits until all queued audio has been heard or `stop_draining` is called.

        Gives up after 2 s without progress.
        """
        # The limit applies to time without progress: a reply that lasts minutes is played to its end, but a
        # stalled device ends the wait.
        block_ms, last_frames, still_ms = self.output.block_ms, -1, 0
        while self.playing and not self._stop_draining and still_ms < _PATIENCE_MS:
            await asyncio.sleep(block_ms / 1000)
            self.take_news(self.clock_ns())
            queued_frames = self.stats.queued_frames
            still_ms = still_ms + block_ms if queued_frames == last_frames else 0
            last_frames = queued_frames

    def stop_draining(self) -> None:
        """Ends `drained` immediately."""
        self._stop_draining = True

    def mark(self, name: str) -> None:
        """Marks the end of the audio queued so far.

        `reached_marks` returns the mark's name once all audio before the mark has played.
        """
        # Set at the end of the queue: a mark that no audio precedes is reached immediately.
        self._marks.append((name, self.queue.tail() if self.queue else QueueTail()))

    def reached_marks(self) -> list[str]:
        """Returns the marks that were reached since the previous call, in order.

        A mark is reached when the audio before it has left the speaker or was dropped.
        """
        reached: list[str] = []
        while self._marks and self._passed(self._marks[0][1]):
            reached.append(self._marks.popleft()[0])
        return reached

    def _passed(self, tail: QueueTail) -> bool:
        speaker = self.speaker
        return speaker is None or speaker.queue.passed(tail, self.clock_ns(), speaker.lead_ms)

    @property
    def name(self) -> str:
        """Name of the output, which is known before the output is opened."""
        return self.output.found.output_name

    async def opened(self) -> None:
        """Waits until the speaker is open, if it is being opened."""
        if self._opening:
            await asyncio.gather(self._opening, return_exceptions=True)

    def choose(self, device: Device) -> None:
        """Selects the speaker to open next."""
        found = msgspec.structs.replace(
            self.output.found, output=OutputKind.DEVICE, output_name=device.name, output_device=device
        )
        self.output = msgspec.structs.replace(self.output, found=found)

    def add_track(self, track: AgentTrack) -> None:
        """Adds a track that receives the agent's audio until the end of the call."""
        # Appending is safe while the playback thread iterates over this list.
        self.output.tracks.append(track)

    def set_volume(self, volume: float) -> None:
        """Sets the volume, 0 to 2; samples are bit-exact at 1."""
        self._volume = volume
        if self.queue:
            self.queue.controls.volume = volume

    @property
    def stats(self) -> PlaybackStats:
        """The counters and the depth of the queue; all zero before the first reply."""
        return self.queue.stats if self.queue else PlaybackStats()

    @property
    def delivery_ratio(self) -> float | None:
        """Length of the latest reply divided by the time it took to arrive; 1 is real time.

        None if it is unknown.
        """
        return self.queue.arrivals.delivery_ratio if self.queue else None

    @property
    def frames_per_ms(self) -> float:
        """Number of frames per ms at the queue's rate; 1 before the first reply."""
        return self.queue.rate / 1000 if self.queue else 1.0

    def read_level(self, now_ns: int) -> MeterReading | None:
        """Returns the current reading of the agent's level meter."""
        return self._heard.meter.read(now_ns)

    async def close(self) -> None:
        """Closes the speaker."""
        await self.opened()
        if self.speaker:
            await self.speaker.close()

    def take_news(self, now_ns: int) -> None:
        """Emits the reply events that occurred since the previous call."""
        if self.speaker:
            self.speaker.catch_up(now_ns)
            queue = self.speaker.queue
            for happening in queue.take_happenings():
                self._take(happening, self.speaker, now_ns)
            # Measures the audio that was heard, not the queued audio, because the user never hears what a
            # flush drops.
            for start_ns, block in self.speaker.take_heard(now_ns):
                self._heard.feed(start_ns, block, queue.rate, now_ns)
            self._arrival_watch.poll(now_ns, queue.playing, queue.gap_frames / self.frames_per_ms)
        # The queue reports the end of a reply when the device takes its last sample, but the reply ends when
        # that sample is heard.
        if not self._ending:
            return
        self._ending = {ended.reply: ended for ended in self._still_ending()}
        for ended in list(self._ending.values()):
            if now_ns >= ended.at_ns:
                del self._ending[ended.reply]
                self.emit(ended)

    def finish_listening(self) -> None:
        """Emits the end of ongoing agent speech. Call it when no more audio will be played."""
        self._heard.finish()

    def _still_ending(self) -> list[e.PlaybackEnded]:
        """Returns the `PlaybackEnded` events of replies that the device may still be playing.

        Replies that were flushed from the device are left out.
        """
        queue = self.queue
        return [ended for ended in self._ending.values() if queue and not queue.flushed(ended.reply)]

    def _take(self, happening: Happening, speaker: Speaker, now_ns: int) -> None:
        reply = happening.reply_id
        # Right after an abort, the device's clock is unknown. The time at which the sample was taken is early
        # by at most the latency.
        heard_at_ns = speaker.heard_at_ns(happening.stream_frame)
        heard_at_ns = happening.at_ns if heard_at_ns is None else heard_at_ns
        match happening.kind:
            case HappeningKind.BEGAN:
                self.emit(
                    e.PlaybackStarted(
                        at_ns=heard_at_ns,
                        reply=reply,
                        arrived_ns=happening.arrived_ns,
                        handed_ns=happening.at_ns,
                    )
                )
            case HappeningKind.DRAINED:
                heard_ms = happening.reply_frame / self.frames_per_ms
                self._ending[reply] = e.PlaybackEnded(at_ns=heard_at_ns, reply=reply, heard_ms=heard_ms)
            case HappeningKind.STARVED:
                gap_ms = happening.frames / self.frames_per_ms
                detail = f"{gap_ms:.0f} ms of silence in reply {reply}"
                self.emit(e.LossCounted(at_ns=heard_at_ns, loss=e.Loss.UNDERRUN, count=1, detail=detail))
            case HappeningKind.FULL:
                message = "The agent sent more than 10 minutes of audio ahead; the rest is dropped."
                self.emit(_agent_error(now_ns, "queue-full", message))
            case HappeningKind.ODD_BYTE:
                message = f"Reply {reply} ended in the middle of a 16-bit sample: one byte was left over."
                self.emit(_agent_error(now_ns, "odd-byte", message))
            case HappeningKind.CLIPPED_START:
                self.emit(_clipped(happening, e.Condition.CLIPPED_START, "starts", "first", now_ns))
            case HappeningKind.CLIPPED_END:
                self.emit(_clipped(happening, e.Condition.CLIPPED_END, "ends", "last", now_ns))

    def _queue_for(self, audio_format: AudioFormat) -> PlaybackQueue:
        """Returns the playback queue for replies in this format."""
        queue = self.queue
        if self.speaker:
            self.speaker.catch_up(self.clock_ns())
        # Until a reply has begun, the rate is a guess, and reopening the device is cheaper than resampling
        # the whole call.
        if queue is None or (queue.unused and audio_format.rate != queue.rate):
            return self._open(audio_format.rate).queue
        return queue

    def _open(self, rate: int) -> Speaker:
        """Returns a speaker with this rate. Its device is opened in the background."""
        queue, output = PlaybackQueue(rate), self.output
        queue.controls.volume = self._volume
        speaker = Speaker(
            queue,
            block_ms=output.block_ms,
            latency=output.latency,
            fade_ms=output.fade_ms,
            clock_ns=self.clock_ns,
            tracks=output.tracks,
        )
        self._opening = spawn(self._open_speaker(speaker, self.speaker, self._opening), "open speaker")
        self.speaker = speaker
        return speaker

    async def _open_speaker(
        self, speaker: Speaker, earlier: Speaker | None, opening: asyncio.Task[None] | None
    ) -> None:
        # Close the previous speaker first; otherwise, its device would still be busy.
        if opening:
            await opening
        if earlier:
            await earlier.close()
        found = self.output.found
        kind = found.output
        if found.output_device is not None:
            try:
                await speaker.open(found.output_device)
            except AudioDeviceError as error:
                self.emit(audio_error(self.clock_ns(), "device", str(error)))
                kind = OutputKind.NONE
        if kind is not OutputKind.DEVICE:
            try:
                speaker.start_without_device(kind, self.output.path)
            except AudioFileError as error:
                self.emit(audio_error(self.clock_ns(), "file", str(error)))
                speaker.start_without_device(OutputKind.NONE, "")
        self.on_opened()


class ArrivalWatch:
    """Reports when agent audio stops arriving during a reply, and when it resumes."""

    def __init__(self, emit: Callable[[e.SessionEvent], None]) -> None:
        self._emit = emit
        self._reply: str | None = None
        """The reply whose audio was reported as missing."""
        self._gap_ms = 0.0
        self._excused = False

    def excuse(self) -> None:
        """Suppresses reports until audio arrives. Call it when the socket was lost."""
        self._excused = True

    def came(self) -> None:
        """Records that audio arrived."""
        self._excused = False

    def poll(self, now_ns: int, reply: str | None, gap_ms: float) -> None:
        """Checks whether the audio of the playing ``reply`` has stalled; None if no reply is playing.

        ``gap_ms`` is how long the queue has been empty.
        """
        stalls = reply is not None and gap_ms >= STALL_MS and not self._excused
        if self._reply is not None and (reply != self._reply or not stalls):
            waited_s = self._gap_ms / 1000
            text = f"Audio for reply {self._reply} is arriving again after {waited_s:.1f} s."
            if reply != self._reply:
                text = f"Reply {self._reply} ended {waited_s:.1f} s after its last audio."
            elif self._excused:
                text = f"The connection was lost, so no more audio for reply {self._reply} will arrive."
            self._report(now_ns, self._reply, text, active=False)
            self._reply = None
        if stalls and self._reply is None and reply is not None:
            self._reply = reply
            text = (
                f"The agent stopped sending in the middle of reply {reply}: silent for {gap_ms / 1000:.1f} s."
            )
            self._report(now_ns, reply, text, active=True)
        self._gap_ms = gap_ms

    def _report(self, now_ns: int, reply: str, text: str, *, active: bool) -> None:
        self._emit(
            e.ConditionChanged(
                at_ns=now_ns,
                condition=e.Condition.ARRIVAL_STALL,
                path="playback",
                active=active,
                text=text,
                hint="The agent sent neither more audio nor the end of the reply." if active else "",
                reply=reply,
            )
        )


def _agent_error(at_ns: int, code: str, message: str) -> e.ErrorRaised:
    return e.ErrorRaised(at_ns=at_ns, source="agent", code=code, message=message)


def _clipped(
    happening: Happening, condition: e.Condition, where: str, word: str, now_ns: int
) -> e.ConditionChanged:
    reply, dbfs = happening.reply_id, happening.edge_dbfs
    text = f"Reply {reply} {where} mid-sound ({dbfs:.0f} dBFS); its {word} word may be cut off."
    return e.ConditionChanged(at_ns=now_ns, condition=condition, path="playback", text=text, reply=reply)
