"""Playback: the call's speaker, from chunks on the wire to what was heard of each reply and when."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from tui.audio.arrivals import Arrivals
from tui.audio.devices import AudioDeviceError, Device
from tui.audio.endpoints import Endpoints, OutputKind
from tui.audio.formats import AudioFormat, StreamDecoder
from tui.audio.levels import LevelMeter, MeterReading, measure
from tui.audio.pcm import frames_to_ns
from tui.audio.queue import Happening, HappeningKind, Place, PlaybackQueue, PlaybackStats
from tui.audio.resample import LiveResampler
from tui.audio.speaker import Speaker
from tui.audio.wav import AudioFileError
from tui.callbacks import spawn
from tui.models import events as e
from tui.models.sound.arrival_watch import ArrivalWatch
from tui.models.sound.capture import DEFAULT_FORMAT, audio_error
from tui.models.sound.heard_speech import HeardSpeech
from tui.models.sound.tracks import AgentTrack

_NS_PER_MS = 1_000_000
_REMEMBERED_REPLIES = 256
CLIPPED_DBFS = -32.0
"""RMS of a reply's first or last millisecond beyond which it is cut: no prompt of ours reaches -35, and of cuts at
random places in them four of five are above (measured)."""


class Cut(msgspec.Struct, frozen=True):
    """What a flush did to one reply."""

    reply: str
    heard_ms: float
    received_ms: float

    @property
    def unheard_ms(self) -> float:
        """Received and never to be heard."""
        return self.received_ms - self.heard_ms


class Playback:
    """Replies in, sound out, for one call. On the engine's loop; news goes to ``tell``.

    A device is opened before the first reply where its rate is foreseen, everything else for it, at its rate;
    later replies at other rates are resampled to that.
    """

    def __init__(
        self,
        found: Endpoints,
        *,
        path: str,
        block_ms: int,
        latency: str,
        fade_ms: int = 0,
        tell: Callable[[e.SessionEvent], None],
        clock_ns: Callable[[], int],
        on_opened: Callable[[Speaker], None],
        on_played: Callable[[int, bytes, int], None],
        tracks: Sequence[AgentTrack] = (),
    ) -> None:
        self.queue: PlaybackQueue | None = None
        self.speaker: Speaker | None = None
        self._found = found
        self._path = path
        self._block_ms = block_ms
        self._latency = latency
        self._fade_ms = fade_ms
        self._tell = tell
        self._clock_ns = clock_ns
        self._on_opened = on_opened
        self._on_played = on_played
        self._tracks = tracks
        self._volume = 1.0
        self._opening: asyncio.Task[None] | None = None
        self._decoders: dict[str, tuple[StreamDecoder, LiveResampler]] = {}
        self._flushed: deque[str] = deque(maxlen=_REMEMBERED_REPLIES)
        self._ending: dict[str, tuple[int, float]] = {}
        self._marks: deque[tuple[str, Place]] = deque()
        self._meter = LevelMeter()
        self._stop_draining = False
        self._arrived_ns: dict[str, int] = {}
        self._edges: dict[str, bytes] = {}
        """The last samples of replies that still come."""
        self.arrivals = Arrivals()
        self._arrival_watch = ArrivalWatch(tell)
        self.silent_ns: int | None = None
        """Since when the speaker is silent after the last flush."""
        self._speech: HeardSpeech | None = None

    def prepare(self, audio_format: AudioFormat) -> None:
        """Open a device for replies in this format, before the first one.

        A device takes its first blocks in one burst, which would empty the queue of what the reply begins with.
        """
        if self.queue is None and self._found.output is OutputKind.DEVICE:
            self._open(audio_format.rate)

    def begin(self, reply: str, audio_format: AudioFormat) -> None:
        """A reply begins; one that was flushed may begin anew."""
        queue = self._decode(reply, audio_format)
        queue.begin(reply)
        if reply in self._flushed:
            self._flushed.remove(reply)

    def play(self, reply: str, wire: bytes, audio_format: AudioFormat | None = None) -> float:
        """Queue a chunk of a reply, as it came on the wire; gives its length in ms.

        A late chunk of a flushed reply is counted as unheard. ``audio_format`` is for a reply nobody began.
        """
        if reply not in self._decoders:
            self._decode(reply, audio_format or DEFAULT_FORMAT)
            if reply not in self._flushed and self.queue:
                self.queue.begin(reply)
        decoder, resampler = self._decoders[reply]
        samples = decoder.feed(wire)
        audio_ms = len(samples) / 2 * 1000 / decoder.format.rate
        now_ns = self._clock_ns()
        self._arrival_watch.came()
        if reply not in self._edges and samples:
            self._tell_clipped(reply, samples[: _edge_bytes(decoder.format)], e.Condition.CLIPPED_START)
        self._edges[reply] = (self._edges.get(reply, b"") + samples)[-_edge_bytes(decoder.format) :]
        self._arrived_ns.setdefault(reply, now_ns)
        self.arrivals.feed(reply, now_ns, audio_ms)
        if self.queue:
            self.queue.target_ms = self.arrivals.target_ms
        self._feed(reply, resampler.feed(samples))
        return audio_ms

    def socket_lost(self) -> None:
        """Nothing comes, and that is no fault of the agent, until something comes again."""
        self._arrival_watch.excuse()

    def end(self, reply: str) -> None:
        """All of a reply was received: what is queued still plays."""
        if reply not in self._decoders or self.queue is None:
            return
        decoder, resampler = self._decoders.pop(reply)
        if decoder.flush_remainder():
            message = f"Reply {reply} ended in the middle of a sample: one byte is left over."
            self._tell(_agent_error(self._clock_ns(), "odd-byte", message))
        self._feed(reply, resampler.finish())
        last = self._edges.pop(reply, b"")
        if last and reply not in self._flushed:
            self._tell_clipped(reply, last, e.Condition.CLIPPED_END)
        self.queue.end(reply)

    def _tell_clipped(self, reply: str, edge: bytes, condition: e.Condition) -> None:
        """A reply whose first or last millisecond is loud was cut in the middle of a sound."""
        rms_dbfs = measure(edge).rms_dbfs
        if rms_dbfs > CLIPPED_DBFS:
            where, word = ("starts", "first") if condition is e.Condition.CLIPPED_START else ("ends", "last")
            text = f"Reply {reply} {where} in the middle of a sound ({rms_dbfs:.0f} dB): its {word} word may be cut."
            self._tell(
                e.ConditionChanged(
                    at_ns=self._clock_ns(), condition=condition, path="playback", text=text, reply=reply
                )
            )

    @property
    def receiving(self) -> bool:
        """Whether a reply has begun that is neither complete nor flushed."""
        return any(reply not in self._flushed for reply in self._decoders)

    def ran_dry(self, after_ms: float) -> str | None:
        """The reply that has had nothing to play for so long, and has been heard; None while there is none."""
        if self.queue is None or self.speaker is None or self.queue.playing is None:
            return None
        gap_ms = self.stats.gap_frames / self.frames_per_ms
        return self.queue.playing if gap_ms >= max(after_ms, self.speaker.latency_ms) else None

    async def flush(self) -> list[Cut]:
        """Drop everything that is queued and what the device holds; gives what of it was heard."""
        if self.queue is None:
            return []
        queue, now_ns = self.queue, self._clock_ns()
        self.take_news(now_ns)
        if self.speaker:
            cuts, self.silent_ns = await self.speaker.flush()
        else:
            cuts, self.silent_ns = queue.flush(now_ns), now_ns
        for cut in cuts:
            self._flushed.append(cut.reply_id)
            self._ending.pop(cut.reply_id, None)
        per_ms = queue.rate / 1000
        return [
            Cut(c.reply_id, c.heard_frames / per_ms, (c.heard_frames + c.unheard_frames) / per_ms)
            for c in cuts
        ]

    @property
    def playing(self) -> bool:
        """Whether agent audio is queued or on its way to the ear."""
        return bool(self._ending) or bool(self.queue and not self._passed(self.queue.tail()))

    async def drained(self) -> None:
        """Wait until everything queued was heard, or `stop_draining`; gives up when nothing moves."""
        last_frames, still_blocks = -1, 0
        while self.playing and not self._stop_draining and still_blocks * self._block_ms < 2000:
            await asyncio.sleep(self._block_ms / 1000)
            self.take_news(self._clock_ns())
            queued_frames = self.stats.queued_frames
            still_blocks = still_blocks + 1 if queued_frames == last_frames else 0
            last_frames = queued_frames

    def stop_draining(self) -> None:
        """Wait no longer for what is queued."""
        self._stop_draining = True

    def mark(self, name: str) -> None:
        """Remember a name behind the audio queued so far; `reached_marks` gives it back in time."""
        self._marks.append((name, self.queue.tail() if self.queue else Place()))

    def reached_marks(self) -> list[str]:
        """The marks before which everything has left the speaker or was dropped, in order."""
        reached: list[str] = []
        while self._marks and self._passed(self._marks[0][1]):
            reached.append(self._marks.popleft()[0])
        return reached

    def _passed(self, place: Place) -> bool:
        lead_ms = self.speaker.lead_ms if self.speaker else 0.0
        return self.queue is None or self.queue.passed(place, self._clock_ns(), lead_ms)

    @property
    def name(self) -> str:
        """Of what is played to, before it is opened."""
        return self._found.output_name

    async def opened(self) -> None:
        """Wait for a speaker that is just being opened: `speaker` is there where sound came already."""
        if self._opening:
            await asyncio.gather(self._opening, return_exceptions=True)

    def choose(self, device: Device) -> None:
        """Have the next opening use this speaker."""
        self._found = msgspec.structs.replace(
            self._found, output=OutputKind.DEVICE, output_name=device.name, output_device=device
        )

    def set_volume(self, volume: float) -> None:
        """0..2; samples are bit-exact at 1."""
        self._volume = volume
        if self.queue:
            self.queue.volume = volume

    @property
    def stats(self) -> PlaybackStats:
        """Counters and depth of the queue, all zero before the first reply."""
        return self.queue.stats if self.queue else PlaybackStats()

    @property
    def frames_per_ms(self) -> float:
        """To put the queue's figures in time."""
        return self.queue.rate / 1000 if self.queue else 1.0

    def read_level(self, now_ns: int) -> MeterReading | None:
        """What the agent's meter shows now."""
        return self._meter.read(now_ns)

    async def close(self) -> None:
        """Give back the speaker."""
        await self.opened()
        if self.speaker:
            await self.speaker.close()

    def take_news(self, now_ns: int) -> None:
        """Tell what happened to replies; an end is told when its last sample has left the speaker."""
        for happening in self.queue.take_happenings() if self.queue else []:
            self._take(happening, now_ns)
        self._listen(now_ns)
        if self.queue:
            gap_ms = self.stats.gap_frames / self.frames_per_ms
            self._arrival_watch.poll(now_ns, self.queue.playing, gap_ms)
        for reply, (due_ns, heard_ms) in list(self._ending.items()):
            if now_ns >= due_ns:
                del self._ending[reply]
                self._tell(e.PlaybackEnded(at_ns=due_ns, reply=reply, heard_ms=heard_ms))

    def finish_listening(self) -> None:
        """Nothing more will be heard: tell what ends with it."""
        for edge in self._speech.finish() if self._speech else []:
            self._tell(edge)

    def _listen(self, now_ns: int) -> None:
        """Measure level and speech of what was heard."""
        if self._speech is None or self.speaker is None:
            return
        for start_ns, block in self.speaker.take_heard(now_ns):
            self._meter.feed(block, now_ns)
            self._on_played(
                start_ns + frames_to_ns(len(block) // 2, self._speech.rate), block, self._speech.rate
            )
            for edge in self._speech.feed(start_ns, block):
                self._tell(edge)

    def _take(self, happening: Happening, now_ns: int) -> None:
        heard_at_ns = self.speaker.heard_at_ns(happening.stream_frame) if self.speaker else None
        heard_at_ns = happening.at_ns if heard_at_ns is None else heard_at_ns
        match happening.kind:
            case HappeningKind.BEGAN:
                self._tell(
                    e.PlaybackStarted(
                        at_ns=heard_at_ns,
                        reply=happening.reply_id,
                        arrived_ns=self._arrived_ns.pop(happening.reply_id, None),
                        handed_ns=happening.at_ns,
                    )
                )
            case HappeningKind.DRAINED:
                heard_ms = happening.reply_frame / self.frames_per_ms
                self._ending[happening.reply_id] = (heard_at_ns, heard_ms)
            case HappeningKind.STARVED:
                gap_ms = happening.frames / self.frames_per_ms
                detail = f"{gap_ms:.0f} ms of silence in reply {happening.reply_id}"
                self._tell(e.LossCounted(at_ns=heard_at_ns, loss=e.Loss.UNDERRUN, count=1, detail=detail))
            case HappeningKind.FULL:
                message = "The agent sent more than ten minutes ahead; the rest is dropped."
                self._tell(_agent_error(now_ns, "queue-full", message))

    def _decode(self, reply: str, audio_format: AudioFormat) -> PlaybackQueue:
        """Get ready to decode a reply; the first one decides the rate that is played."""
        unused = not self._decoders and not self.stats.worst_queued_frames
        if self.queue is None or (unused and audio_format.rate != self.queue.rate):
            queue = self._open(audio_format.rate)
        else:
            queue = self.queue
        resampler = LiveResampler(audio_format.rate, queue.rate)
        self._decoders[reply] = (StreamDecoder(audio_format), resampler)
        return queue

    def _open(self, rate: int) -> PlaybackQueue:
        """A queue at this rate, and a speaker that will pull from it; one opened at another rate is given back."""
        queue = self.queue = PlaybackQueue(rate)
        queue.volume = self._volume
        self._speech = HeardSpeech(rate)
        self._opening = spawn(self._open_speaker(queue, self._opening), "open speaker")
        return queue

    async def _open_speaker(self, queue: PlaybackQueue, earlier: asyncio.Task[None] | None) -> None:
        if earlier:
            await earlier
        if self.speaker:
            await self.speaker.close()
        speaker = Speaker(
            queue,
            block_ms=self._block_ms,
            latency=self._latency,
            fade_ms=self._fade_ms,
            clock_ns=self._clock_ns,
            on_heard=self._tell_heard,
            on_cut=self._tell_cut,
        )
        kind = self._found.output
        if self._found.output_device is not None:
            try:
                await speaker.open(self._found.output_device)
            except AudioDeviceError as error:
                self._tell(audio_error(self._clock_ns(), "device", str(error)))
                kind = OutputKind.NONE
        if kind is not OutputKind.DEVICE:
            try:
                speaker.start_clocked(kind, self._path, spawn)
            except AudioFileError as error:
                self._tell(audio_error(self._clock_ns(), "file", str(error)))
                speaker.start_clocked(OutputKind.NONE, "", spawn)
        self.speaker = speaker
        self._on_opened(speaker)

    def _tell_heard(self, start_ns: int, block: bytes) -> None:
        if self.queue:
            for track in self._tracks:
                track.agent_heard(start_ns, block, self.queue.rate)

    def _tell_cut(self, at_ns: int) -> None:
        for track in self._tracks:
            track.agent_cut(at_ns)

    def _feed(self, reply: str, samples: bytes) -> None:
        if samples and self.queue:
            self.queue.feed(reply, samples, self._clock_ns())


def _agent_error(at_ns: int, code: str, message: str) -> e.ErrorRaised:
    return e.ErrorRaised(at_ns=at_ns, source="agent", code=code, message=message)


def _edge_bytes(audio_format: AudioFormat) -> int:
    """A millisecond."""
    return 2 * (audio_format.rate // 1000)
