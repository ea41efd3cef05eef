"""The queue between what the agent sends, at any pace and in any size, and the speaker's steady blocks.

Replies play in the order they began, each whole; nothing is dropped but by a flush or at a limit of minutes.
A reply starts when the target depth is queued, or when it is complete, or 50 ms after the target should have
been there; once started it never waits for depth again. Pure: time is passed in, as monotonic ns.

Every method may be called from any thread: the engine's loop feeds, PortAudio's thread pulls. The lock
is held for a few microseconds, never while samples are copied.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum

import msgspec

from tui.audio.pcm import frames_to_ns, with_gain
from tui.audio.reply import Clock, Reply

_START_GRACE_NS = 50_000_000
_REMEMBERED_REPLIES = 256


class Fed(StrEnum):
    """What became of a chunk."""

    QUEUED = "queued"
    UNHEARD = "unheard"
    """Late audio of a flushed reply: discarded and counted."""
    FULL = "full"
    """The limit is reached: what did not fit was dropped and counted, an error to show."""


class HappeningKind(StrEnum):
    """What can happen to a reply on its way out."""

    BEGAN = "began"
    """Its first sample was handed to the device."""
    STARVED = "starved"
    """It had nothing to hand for ``frames`` and went on; told then, as until then it could be its end."""
    DRAINED = "drained"
    """It has ended and its last sample was handed to the device."""
    FULL = "full"
    """``frames`` did not fit: the first time in this reply, the counter tells the rest."""


class Happening(msgspec.Struct, frozen=True):
    """Something that happened to a reply.

    ``at_ns`` is the instant of the sample: of the pull that took it, plus its place in that block. Its sound
    leaves the speaker one device latency later.
    """

    kind: HappeningKind
    reply_id: str
    at_ns: int
    """BEGAN: of the first sample. STARVED: where the silence began. DRAINED: the end of the last sample."""
    reply_frame: int
    """Frames of the reply handed over before that instant."""
    stream_frame: int
    """Frames of anything, silence included, handed over before that instant."""
    frames: int = 0


class Cut(msgspec.Struct, frozen=True):
    """What a flush did to one reply, in frames: ``received == heard + unheard``."""

    reply_id: str
    handed_frames: int
    """Given to the device before the flush."""
    heard_frames: int
    """Have left the speaker, or will: fewer than handed only when the device was aborted."""
    unheard_frames: int
    """Received and never to be heard."""


class Place(msgspec.Struct, frozen=True):
    """Behind what was received until some instant; only the queue it is of can make anything of it."""

    replies: tuple[tuple[Reply, int], ...] = ()
    """Those that were not out yet, each with the frames it had."""


class PlaybackStats(msgspec.Struct, frozen=True):
    """Counters since the queue was made, and its depth."""

    unheard_frames: int = 0
    """Flushed, thrown away with the device's buffer, or late for a flushed reply."""
    dropped_frames: int = 0
    """Dropped at the limit."""
    queued_frames: int = 0
    worst_queued_frames: int = 0
    gap_frames: int = 0
    """Silence since the last sample of the reply that plays and has not ended; no loss unless it goes on."""


class PlaybackQueue:
    """Replies in, blocks out; see the module's description."""

    def __init__(self, rate: int, *, target_ms: float = 80, max_seconds: float = 600) -> None:
        self.rate = rate
        self.target_ms = target_ms
        """Depth to reach before a reply starts; may be changed at any time."""
        self.volume = 1.0
        """Factor on the samples, from the next block on, without a click; bit-exact at 1."""
        self._gain = 1.0
        self._max_frames = int(rate * max_seconds)
        self._lock = threading.Lock()
        self._known: dict[str, Reply] = {}
        self._open: list[Reply] = []
        self._current: Reply | None = None
        self._last_handed: Reply | None = None
        """Whose samples the device took last, also when it is drained or forgotten."""
        self._clock = Clock(0, 0, 0, rate)
        self._pulled_frames = 0
        self._happenings: deque[Happening] = deque()
        self._unheard_frames = self._dropped_frames = 0
        self._queued_frames = self._worst_queued_frames = 0
        self._fading = b""
        """The end of what was flushed, which still goes out."""

    # what the agent sends

    def begin(self, reply_id: str) -> None:
        """A reply begins, behind those begun before it. An id that was drained or flushed begins anew."""
        with self._lock:
            self._begin(reply_id)

    def feed(self, reply_id: str, pcm: bytes, at_ns: int) -> Fed:
        """Queue whole samples that arrived at ``at_ns``; begins the reply when nobody did.

        Raises `ValueError` on half a sample.
        """
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes are not whole 16-bit samples.")
        pcm = bytes(pcm)
        frames = len(pcm) // 2
        with self._lock:
            reply = self._known.get(reply_id)
            if reply is not None and reply.flushed:
                self._unheard_frames += frames
                return Fed.UNHEARD
            if reply is None or reply.closed:
                reply = self._begin(reply_id)
            fitting_frames = min(frames, max(self._max_frames - self._queued_frames, 0))
            if fitting_frames:
                reply.add(pcm, fitting_frames, at_ns)
                self._queued_frames += fitting_frames
                self._worst_queued_frames = max(self._worst_queued_frames, self._queued_frames)
            if fitting_frames == frames:
                return Fed.QUEUED
            self._dropped_frames += frames - fitting_frames
            if not reply.limit_told:
                reply.limit_told = True
                self._tell(HappeningKind.FULL, reply, at_ns, self._pulled_frames, frames - fitting_frames)
            return Fed.FULL

    def end(self, reply_id: str) -> None:
        """No more audio comes for a reply: what is queued still plays. Unknown ids are ignored."""
        with self._lock:
            reply = self._known.get(reply_id)
            if reply is None or reply.closed:
                return
            reply.ended = True
            if reply.started and not reply.queued_frames:
                self._drained(reply)

    def flush(
        self, at_ns: int, *, aborted_latency_ms: float | None = None, fade_frames: int = 0
    ) -> list[Cut]:
        """Drop everything queued, and whatever still arrives for the replies begun so far.

        Give ``aborted_latency_ms``, the device's latency, when the device's own buffer is thrown away too:
        what it held then counts as unheard, also of a reply that was drained a moment ago. Else the reply that
        plays may end in a fade: its next ``fade_frames`` still go out, and count as heard.
        """
        cuts: list[Cut] = []
        with self._lock:
            self._fading += self._fade_out(fade_frames)
            for reply in self._known.values():
                heard_frames = reply.handed_frames
                if aborted_latency_ms is not None:
                    heard_frames = reply.heard_frames(self._clock, at_ns, aborted_latency_ms)
                if reply.closed and (reply.flushed or heard_frames == reply.handed_frames):
                    continue
                self._queued_frames -= reply.flush()
                if aborted_latency_ms is not None:
                    reply.settle(heard_frames)
                unheard_frames = reply.received_frames - heard_frames
                self._unheard_frames += unheard_frames
                cuts.append(Cut(reply.reply_id, reply.handed_frames, heard_frames, unheard_frames))
            self._open.clear()
            self._current = None
        return cuts

    # what the speaker takes

    def pull(self, frames: int, at_ns: int) -> bytes:
        """The next ``frames`` for the device, as exactly ``2 * frames`` bytes, silence where nothing is due.

        For PortAudio's thread: copies and returns; raises nothing.
        """
        parts: list[memoryview | bytes] = []
        filled = 0
        with self._lock:
            stream_frame = self._pulled_frames
            if self._fading:
                parts.append(self._fading[: 2 * frames])
                self._fading = self._fading[2 * frames :]
                filled = len(parts[0]) // 2
            while filled < frames:
                offset_ns = frames_to_ns(filled, self.rate)
                reply = self._next(at_ns + offset_ns, stream_frame + filled)
                if reply is None:
                    break
                part = reply.take(frames - filled, stream_frame + filled)
                self._last_handed = reply
                parts.append(part)
                filled += len(part) // 2
                self._queued_frames -= len(part) // 2
                reply.last_handed_ns = at_ns + frames_to_ns(filled, self.rate)
                reply.last_stream_frame = stream_frame + filled
            if self._current is not None and not self._current.queued_frames:
                if self._current.ended:
                    self._drained(self._current)
                else:
                    self._current.gap_frames += frames - filled
            self._pulled_frames += frames
            self._clock = Clock(stream_frame, at_ns, frames, self.rate)
            start_gain, self._gain = self._gain, self.volume
            end_gain = self._gain
        if not filled:
            return bytes(2 * frames)
        parts.append(bytes(2 * (frames - filled)))
        return with_gain(b"".join(parts), start_gain, end_gain)

    # what is true now

    def take_happenings(self) -> list[Happening]:
        """What happened since the last call, in order of telling."""
        with self._lock:
            happenings = list(self._happenings)
            self._happenings.clear()
        return happenings

    def position(self, reply_id: str, at_ns: int, device_latency_ms: float) -> int | None:
        """Frames of a reply that have left the speaker; None for a reply nobody remembers."""
        with self._lock:
            reply = self._known.get(reply_id)
            return None if reply is None else reply.heard_frames(self._clock, at_ns, device_latency_ms)

    def tail(self) -> Place:
        """The place behind everything received so far."""
        with self._lock:
            last = [self._last_handed] if self._last_handed and self._last_handed.closed else []
            return Place(tuple((reply, reply.received_frames) for reply in [*last, *self._open]))

    def passed(self, place: Place, at_ns: int, device_latency_ms: float) -> bool:
        """Whether everything before a place has left the speaker, or never will."""
        with self._lock:
            return all(
                reply.heard_frames(self._clock, at_ns, device_latency_ms) >= min(frames, reply.audible_frames)
                for reply, frames in place.replies
            )

    @property
    def playing(self) -> str | None:
        """The reply that has begun to sound and is not drained; None in between."""
        current = self._current
        return None if current is None else current.reply_id

    @property
    def stats(self) -> PlaybackStats:
        """Counters and depth."""
        with self._lock:
            return PlaybackStats(
                unheard_frames=self._unheard_frames,
                dropped_frames=self._dropped_frames,
                queued_frames=self._queued_frames,
                worst_queued_frames=self._worst_queued_frames,
                gap_frames=0 if self._current is None else self._current.gap_frames,
            )

    # with the lock held

    def _fade_out(self, frames: int) -> bytes:
        """The next samples of the reply that plays, taken out of the queue and faded to silence."""
        reply, parts = self._current, list[memoryview]()
        if reply is None or not reply.started:
            return b""
        first_frame, taken = self._pulled_frames + len(self._fading) // 2, 0
        while taken < frames and reply.queued_frames:
            parts.append(reply.take(frames - taken, first_frame + taken))
            taken += len(parts[-1]) // 2
        self._queued_frames -= taken
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
        """The reply to hand a sample of now: it has one and may start."""
        if self._current is None or not self._current.queued_frames:
            reply = self._first_due(at_ns, stream_frame)
            if reply is None:
                return None
            if reply is not self._current:
                # The one before was never ended; its silence was no loss that anyone heard.
                if self._current is not None:
                    self._current.gap_frames = 0
                self._current = reply
        reply = self._current
        if not reply.started:
            reply.started = True
            self._tell(HappeningKind.BEGAN, reply, at_ns, stream_frame)
        elif reply.gap_frames:
            self._tell(
                HappeningKind.STARVED, reply, reply.last_handed_ns, reply.last_stream_frame, reply.gap_frames
            )
            reply.gap_frames = 0
        return reply

    def _first_due(self, at_ns: int, stream_frame: int) -> Reply | None:
        """The first reply, in order, with samples, if it may start; ends empty ones on the way.

        One that has no samples and did not end does not hold up those behind it, or an agent that forgets to
        end a reply would never be heard again.
        """
        for reply in list(self._open):
            if reply.queued_frames:
                return reply if self._may_start(reply, at_ns) else None
            if reply.ended:
                if not reply.started:
                    reply.last_handed_ns, reply.last_stream_frame = at_ns, stream_frame
                self._drained(reply)
        return None

    def _may_start(self, reply: Reply, at_ns: int) -> bool:
        if reply.started or reply.ended or reply.queued_frames * 1000 >= self.target_ms * self.rate:
            return True
        target_ns = int(self.target_ms * 1_000_000)
        return reply.first_fed_ns is not None and at_ns >= reply.first_fed_ns + target_ns + _START_GRACE_NS

    def _drained(self, reply: Reply) -> None:
        reply.closed = True
        self._open.remove(reply)
        if reply is self._current:
            self._current = None
        self._tell(HappeningKind.DRAINED, reply, reply.last_handed_ns, reply.last_stream_frame)

    def _tell(
        self, kind: HappeningKind, reply: Reply, at_ns: int, stream_frame: int, frames: int = 0
    ) -> None:
        self._happenings.append(
            Happening(kind, reply.reply_id, at_ns, reply.handed_frames, stream_frame, frames)
        )
