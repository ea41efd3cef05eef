"""PlaybackQueue: turns agent audio, which arrives in any size and at any speed, into regular blocks for the speaker.

Replies are played completely and in the order in which they began. Audio is dropped only by a flush, or at a
limit of several minutes. A reply starts when the target depth is queued, when it is complete, or 50 ms after
the target should have been reached. A reply that has started never waits for the target depth again. Times
are passed in as monotonic ns.

A single thread, that of the engine's loop, begins, feeds, ends and cuts replies. PortAudio's thread pulls
blocks. Any thread may read the figures.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from tui.audio.arrivals import Arrivals
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.levels import measure
from tui.audio.pcm import frames_to_ns, with_gain
from tui.audio.reply import Clock, IncomingAudio, Reply

# An agent that sends slower than real time may never reach the target depth, but its reply must start anyway.
_START_GRACE_NS = 50_000_000
# Chunks of a flushed reply are late by at most one round trip, during which no agent begins this many other
# replies.
_REMEMBERED_REPLIES = 256
CLIPPED_DBFS = -32.0
"""If the first or last millisecond has a higher RMS, the audio was probably cut off.

No built-in prompt reaches -35 dBFS; four out of five prompts cut at random positions exceed this level
(measured).
"""


class Fed(StrEnum):
    """Result of `PlaybackQueue.feed` for one chunk."""

    QUEUED = "queued"
    UNHEARD = "unheard"
    """The chunk arrived after its reply was flushed; it was discarded and counted."""
    FULL = "full"
    """The queue is full: excess audio was dropped and counted, and is reported as an error."""


class HappeningKind(StrEnum):
    """The kinds of playback events."""

    BEGAN = "began"
    """The reply's first sample was handed to the device."""
    STARVED = "starved"
    """Playback ran out of audio during the reply; the silence lasted ``frames``.

    Reported when the reply continues, because the silence could have been its end.
    """
    DRAINED = "drained"
    """The reply has ended, and its last sample was handed to the device."""
    FULL = "full"
    """The queue was full: ``frames`` of the reply were dropped.

    Reported once per reply; `PlaybackStats.dropped_frames` counts all dropped frames.
    """
    CLIPPED_START = "clipped start"
    """The reply starts in the middle of a sound: its first millisecond has the level ``edge_dbfs``."""
    CLIPPED_END = "clipped end"
    """The reply ends in the middle of a sound: its last millisecond has the level ``edge_dbfs``."""
    ODD_BYTE = "odd byte"
    """The reply ended with half a sample, which is lost."""


class Happening(msgspec.Struct, frozen=True):
    """An event in the playback of a reply.

    ``at_ns`` is when the sample was pulled: the time of the pull plus the sample's position in the block. The
    sample leaves the speaker later, by the latency of the device. For FULL, ``at_ns`` is when the chunk
    arrived; for clipped edges, ``at_ns`` is the time of the last pull.
    """

    kind: HappeningKind
    reply_id: str
    at_ns: int
    """For BEGAN: the time of the first sample. For STARVED: the start of the silence.

    For DRAINED: the end of the last sample.
    """
    reply_frame: int
    """Number of the reply's frames handed to the device before `at_ns`."""
    stream_frame: int
    """Total number of frames handed to the device before `at_ns`, including silence."""
    frames: int = 0
    arrived_ns: int | None = None
    """For BEGAN: when the first chunk arrived."""
    edge_dbfs: float | None = None


class Cut(msgspec.Struct, frozen=True):
    """The effect of a flush on one reply, in frames at ``rate``. Received frames are either heard or unheard."""

    reply_id: str
    handed_frames: int
    """Frames that the device pulled before the flush."""
    heard_frames: int
    """Frames that have left the speaker or will leave it.

    Fewer than `handed_frames` only if the device's buffer was discarded.
    """
    unheard_frames: int
    """Frames that were received and will never be heard."""
    rate: int

    @property
    def heard_ms(self) -> float:
        """Duration of the audio that was heard."""
        return self.heard_frames * 1000 / self.rate

    @property
    def unheard_ms(self) -> float:
        """Duration of the audio that was received and will never be heard."""
        return self.unheard_frames * 1000 / self.rate

    @property
    def received_ms(self) -> float:
        """Duration of the audio that the queue accepted."""
        return (self.heard_frames + self.unheard_frames) * 1000 / self.rate


class QueueTail(msgspec.Struct, frozen=True):
    """Remembers where the received audio ended, for `PlaybackQueue.passed`."""

    replies: tuple[tuple[Reply, int], ...] = ()
    """Replies that have not been played to their end, each with its number of frames."""


class PlaybackStats(msgspec.Struct):
    """Counters since the queue was created, and the number of frames in the queue."""

    unheard_frames: int = 0
    """Frames that were received but never heard because of a flush.

    Includes the content of the device's buffer and audio that arrives after the flush.
    """
    dropped_frames: int = 0
    """Frames dropped because the queue was full."""
    queued_frames: int = 0
    worst_queued_frames: int = 0
    gap_frames: int = 0
    """Frames of silence since the last sample of the current reply.

    The silence is a dropout only if the reply continues.
    """


@dataclass
class QueueControls:
    """Playback settings that any thread may change."""

    volume: float = 1.0
    """Factor by which samples are multiplied; 1 leaves them unchanged. A change is spread over the next block."""
    held: bool = False
    """Whether playback is paused, even if audio is queued. A flush does not resume playback."""
    reached_volume: float = 1.0
    """The volume at the end of the latest block, set by the queue."""


class PlaybackQueue:
    """Queues chunks of replies and returns blocks for the device, as described at the top of this module."""

    def __init__(self, rate: int, *, max_seconds: float = 600) -> None:
        self.arrivals = Arrivals()
        # The limit, in samples, is high because agents send minutes of audio in seconds, and dropping audio
        # from a full queue loses words. Back-pressure is not an option: the message that interrupts a reply
        # follows its audio on the same socket, so the reader must never wait for playback.
        self._max_frames = int(rate * max_seconds)
        # PortAudio's thread waits for this lock, so it is held for only a few microseconds. Decoding,
        # resampling, and copying and scaling blocks all happen without it.
        self._lock = threading.Lock()
        self._known: dict[str, Reply] = {}
        """Replies in the order in which they began.

        Includes the last 256 closed replies, whose late audio must not be heard.
        """
        self._open: list[Reply] = []
        self._current: Reply | None = None
        self._last_handed: Reply | None = None
        """The reply whose samples the device took last, even if it has since drained or been removed."""
        self._clock = Clock(rate)
        # Collected until the loop requests them, because the pulling thread must not run any code but the
        # queue's.
        self._happenings: deque[Happening] = deque()
        self._stats = PlaybackStats()
        self.controls = QueueControls()
        self._fading = b""
        """The part of a flushed reply's fade that has not been pulled."""

    @property
    def rate(self) -> int:
        """Sample rate of the returned blocks, in Hz."""
        return self._clock.rate

    # audio from the agent: on the feeding thread

    def begin(self, reply_id: str, audio_format: AudioFormat | None = None) -> None:
        """Begins a reply in this audio format (default: PCM at the queue's rate), which plays after earlier replies.

        The id of a drained or flushed reply may be reused for a new reply.
        """
        incoming = self._incoming(audio_format)  # outside the lock, because creating a resampler takes time
        with self._lock:
            self._begin(reply_id).incoming = incoming

    def feed(self, reply_id: str, wire: bytes, at_ns: int, audio_format: AudioFormat | None = None) -> Fed:
        """Queues a chunk of a reply, in its wire format, that arrived at ``at_ns``. Begins the reply if necessary."""
        known = self._known.get(reply_id)
        incoming = (known and known.incoming) or self._incoming(audio_format)
        before_ms = incoming.received_ms
        pcm, first_ms = incoming.feed(wire)
        first_dbfs = measure(first_ms).rms_dbfs
        with self._lock:
            self.arrivals.feed(reply_id, at_ns, incoming.received_ms - before_ms)
            # The other thread may have drained an ended reply while this chunk was being decoded.
            reply = known if known and known.flushed else self._begin(reply_id)
            reply.incoming = incoming
            if reply.flushed:
                self._stats.unheard_frames += len(pcm) // 2
                return Fed.UNHEARD
            if reply.arrived_ns is None and wire:
                reply.arrived_ns = at_ns
            if first_dbfs > CLIPPED_DBFS:
                self._report_edge(HappeningKind.CLIPPED_START, reply, first_dbfs)
            return self._queue(reply, pcm, at_ns)

    def end(self, reply_id: str) -> float | None:
        """Ends a reply, because no more audio is expected. Queued audio still plays.

        Returns how many ms of the reply were received in total, including late audio; None if the reply was
        not open.
        """
        known = self._known.get(reply_id)
        if known is None or known.incoming is None:
            return None
        incoming, known.incoming = known.incoming, None
        pcm, odd_bytes = incoming.finish()
        last_dbfs = measure(incoming.last_ms).rms_dbfs
        with self._lock:
            reply = self._begin(reply_id) if pcm and not known.flushed else known
            if odd_bytes:
                self._report_edge(HappeningKind.ODD_BYTE, reply)
            if reply.flushed:
                self._stats.unheard_frames += len(pcm) // 2
                return incoming.received_ms
            if last_dbfs > CLIPPED_DBFS:
                self._report_edge(HappeningKind.CLIPPED_END, reply, last_dbfs)
            self._queue(reply, pcm, reply.arrived_ns or 0)
            reply.ended = True
            if reply.started and not reply.queued_frames and not reply.closed:
                self._drained(reply)
        return incoming.received_ms

    def cut(self, at_ns: int, *, aborted_latency_ms: float | None = None, fade_frames: int = 0) -> list[Cut]:
        """Drops all queued audio, and later audio of the replies begun so far.

        If the device's own buffer is discarded too, pass the device's latency as ``aborted_latency_ms``. The
        content of the buffer then counts as unheard, even content of a reply that has just drained.

        If the buffer is not discarded, the current reply may end in a fade: the next ``fade_frames`` of the
        reply still play and count as heard.
        """
        cuts: list[Cut] = []
        with self._lock:
            if not self.controls.held:  # held audio is already silent
                self._fading += self._fade_out(fade_frames)
            for reply in self._known.values():
                heard_frames = reply.handed.frames
                if aborted_latency_ms is not None:
                    heard_frames = reply.handed.heard_frames(self._clock, at_ns, aborted_latency_ms)
                # A drained reply counts only if the abort discards samples that the device had not played.
                if reply.closed and (reply.flushed or heard_frames == reply.handed.frames):
                    continue
                self._stats.queued_frames -= reply.queued_frames
                reply.drop()
                if aborted_latency_ms is not None:
                    reply.handed.abort(heard_frames)
                unheard_frames = reply.received_frames - heard_frames
                self._stats.unheard_frames += unheard_frames
                cuts.append(Cut(reply.reply_id, reply.handed.frames, heard_frames, unheard_frames, self.rate))
            self._open.clear()
            self._current = None
        return cuts

    # audio for the speaker: on the playing thread

    def pull(self, frames: int, at_ns: int) -> bytes:
        """Returns the next ``frames`` frames for the device as ``2 * frames`` bytes, with silence where needed.

        Runs on PortAudio's thread, so it only copies data and never raises an exception.
        """
        parts: list[memoryview | bytes] = []
        filled = 0
        with self._lock:
            clock, controls = self._clock, self.controls
            rate, stream_frame = clock.rate, clock.stream_frame + clock.frames
            if self._fading:
                parts.append(self._fading[: 2 * frames])
                self._fading = self._fading[2 * frames :]
                filled = len(parts[0]) // 2
            held = controls.held  # read once, so that it applies to the whole block
            while filled < frames and not held:
                reply = self._next(at_ns + frames_to_ns(filled, rate), stream_frame + filled)
                if reply is None:
                    break
                part = reply.take(frames - filled, stream_frame + filled)
                self._last_handed = reply
                parts.append(part)
                filled += len(part) // 2
                self._stats.queued_frames -= len(part) // 2
                reply.handed.end_ns = at_ns + frames_to_ns(filled, rate)
                reply.handed.end_stream_frame = stream_frame + filled
            current = self._current
            if current is not None and not current.queued_frames and not held:
                if current.ended:
                    self._drained(current)
                else:
                    current.gap_frames += frames - filled
            # Replaced as one object, because `pulled_frames` reads it without the lock and must not see half
            # an update.
            self._clock = Clock(rate, stream_frame, at_ns, frames)
            start_gain, controls.reached_volume = controls.reached_volume, controls.volume
            end_gain = controls.reached_volume
        # Always the whole block, because PortAudio plays the buffer with whatever it contained before.
        if not filled:
            return bytes(2 * frames)
        parts.append(bytes(2 * (frames - filled)))
        return with_gain(b"".join(parts), start_gain, end_gain)

    # current state: on any thread

    def take_happenings(self) -> list[Happening]:
        """Returns the playback events since the previous call, in order."""
        with self._lock:
            happenings = list(self._happenings)
            self._happenings.clear()
        return happenings

    def position(self, reply_id: str, at_ns: int, device_latency_ms: float) -> int | None:
        """Returns how many frames of a reply have left the speaker; None for an unknown reply."""
        with self._lock:
            reply = self._known.get(reply_id)
            return None if reply is None else reply.handed.heard_frames(self._clock, at_ns, device_latency_ms)

    def tail(self) -> QueueTail:
        """Returns the end of the audio received so far. `passed` tells whether playback has reached it."""
        with self._lock:
            last = [self._last_handed] if self._last_handed and self._last_handed.closed else []
            return QueueTail(tuple((reply, reply.received_frames) for reply in [*last, *self._open]))

    def passed(self, tail: QueueTail, at_ns: int, device_latency_ms: float) -> bool:
        """Returns whether all audio up to ``tail`` has left the speaker or was dropped."""
        with self._lock:
            return all(
                reply.handed.heard_frames(self._clock, at_ns, device_latency_ms)
                >= min(frames, reply.audible_frames)
                for reply, frames in tail.replies
            )

    @property
    def playing(self) -> str | None:
        """Id of the reply that has started to play and has not drained; None if no reply is playing."""
        current = self._current
        return None if current is None else current.reply_id

    @property
    def pulled_frames(self) -> int:
        """Number of frames that the device has taken so far, including silence."""
        return self._clock.pulled_frames

    @property
    def unused(self) -> bool:
        """Whether no reply has begun yet."""
        return not self._known

    def flushed(self, reply_id: str) -> bool:
        """Returns whether a flush ended this reply and no new reply with the same id has begun."""
        reply = self._known.get(reply_id)
        return reply is not None and reply.flushed

    @property
    def gap_frames(self) -> int:
        """Frames of silence since the last sample of the current reply; see `PlaybackStats`."""
        current = self._current
        return 0 if current is None else current.gap_frames

    @property
    def stats(self) -> PlaybackStats:
        """A copy of the counters."""
        with self._lock:
            return msgspec.structs.replace(self._stats, gap_frames=self.gap_frames)

    # called with the lock held

    def _queue(self, reply: Reply, pcm: bytes, at_ns: int) -> Fed:
        """Queues as many samples as the limit allows; drops and reports the others."""
        frames, stats = len(pcm) // 2, self._stats
        fitting_frames = min(frames, max(self._max_frames - stats.queued_frames, 0))
        if fitting_frames:
            reply.add(pcm, fitting_frames)
            stats.queued_frames += fitting_frames
            stats.worst_queued_frames = max(stats.worst_queued_frames, stats.queued_frames)
        if fitting_frames == frames:
            return Fed.QUEUED
        stats.dropped_frames += frames - fitting_frames
        if not reply.full:
            reply.full = True
            pulled_frames = self._clock.pulled_frames
            self._report(HappeningKind.FULL, reply, at_ns, pulled_frames, frames - fitting_frames)
        return Fed.FULL

    def _fade_out(self, frames: int) -> bytes:
        """Removes the next ``frames`` of the current reply from the queue; returns them faded to silence."""
        reply, parts = self._current, list[memoryview]()
        if reply is None or not reply.started:
            return b""
        first_frame, taken = self._clock.pulled_frames + len(self._fading) // 2, 0
        while taken < frames and reply.queued_frames:
            parts.append(reply.take(frames - taken, first_frame + taken))
            taken += len(parts[-1]) // 2
        self._stats.queued_frames -= taken
        return with_gain(b"".join(parts), 1.0, 0.0)

    def _begin(self, reply_id: str) -> Reply:
        reply = self._known.get(reply_id)
        if reply is not None and not reply.closed:
            return reply
        self._known.pop(reply_id, None)
        reply = self._known[reply_id] = Reply(reply_id)
        self._open.append(reply)
        if len(self._known) > _REMEMBERED_REPLIES:
            oldest_closed = next((known for known in self._known.values() if known.closed), None)
            if oldest_closed is not None:
                del self._known[oldest_closed.reply_id]
        return reply

    def _next(self, at_ns: int, stream_frame: int) -> Reply | None:
        """Returns the reply to play next; None if no reply has samples and may start."""
        if self._current is None or not self._current.queued_frames:
            reply = self._first_due(at_ns, stream_frame)
            if reply is None:
                return None
            if reply is not self._current:
                # The previous reply was never ended, but the silence after it was not a gap within it.
                if self._current is not None:
                    self._current.gap_frames = 0
                self._current = reply
        reply = self._current
        if not reply.started:
            self._report(HappeningKind.BEGAN, reply, at_ns, stream_frame)
        elif reply.gap_frames:
            end = reply.handed.end_ns, reply.handed.end_stream_frame
            self._report(HappeningKind.STARVED, reply, *end, reply.gap_frames)
            reply.gap_frames = 0
        return reply

    def _first_due(self, at_ns: int, stream_frame: int) -> Reply | None:
        """Returns the first reply with samples, if it may start.

        Removes earlier replies that have ended and have no samples left.
        """
        # An empty reply that has not ended is skipped. Otherwise, an agent that forgets to end a reply would
        # never be heard again.
        for reply in list(self._open):
            if reply.queued_frames:
                return reply if self._may_start(reply, at_ns) else None
            if reply.ended:
                if not reply.started:
                    reply.handed.end_ns, reply.handed.end_stream_frame = at_ns, stream_frame
                self._drained(reply)
        return None

    def _may_start(self, reply: Reply, at_ns: int) -> bool:
        if reply.started or reply.ended or reply.queued_frames * 1000 >= self.arrivals.target_ms * self.rate:
            return True
        target_ns = int(self.arrivals.target_ms * 1_000_000)
        return reply.arrived_ns is not None and at_ns >= reply.arrived_ns + target_ns + _START_GRACE_NS

    def _drained(self, reply: Reply) -> None:
        reply.closed = True
        self._open.remove(reply)
        if reply is self._current:
            self._current = None
        self._report(HappeningKind.DRAINED, reply, reply.handed.end_ns, reply.handed.end_stream_frame)

    def _report(
        self, kind: HappeningKind, reply: Reply, at_ns: int, stream_frame: int, frames: int = 0
    ) -> None:
        arrived_ns = reply.arrived_ns if kind is HappeningKind.BEGAN else None
        self._happenings.append(
            Happening(kind, reply.reply_id, at_ns, reply.handed.frames, stream_frame, frames, arrived_ns)
        )

    def _report_edge(self, kind: HappeningKind, reply: Reply, edge_dbfs: float | None = None) -> None:
        clock, frames = self._clock, reply.handed.frames
        self._happenings.append(
            Happening(kind, reply.reply_id, clock.at_ns, frames, clock.pulled_frames, edge_dbfs=edge_dbfs)
        )

    def _incoming(self, audio_format: AudioFormat | None) -> IncomingAudio:
        return IncomingAudio(audio_format or AudioFormat(Encoding.PCM16, self.rate), self.rate)
