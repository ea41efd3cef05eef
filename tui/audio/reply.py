"""Reply: one reply of the agent, from its chunks on the wire to the samples that were heard.

The playback queue owns every `Reply`. `IncomingAudio` is used only by the feeding thread; the queue's lock
protects all other state of a reply.
"""

from __future__ import annotations

from collections import deque

import msgspec

from tui.audio.formats import AudioFormat, StreamDecoder
from tui.audio.pcm import ns_to_frames
from tui.audio.resample import LiveResampler


class Clock(msgspec.Struct, frozen=True):
    """Maps the frames that the device has pulled to times, based on the last pull."""

    rate: int
    stream_frame: int = 0
    """Index of the block's first frame among all frames pulled so far."""
    at_ns: int = 0
    frames: int = 0
    """Length of the block, in frames."""

    @property
    def pulled_frames(self) -> int:
        """Number of frames pulled so far, including silence."""
        return self.stream_frame + self.frames

    def heard_stream_frames(self, at_ns: int, device_latency_ms: float) -> int:
        """Returns how many pulled frames have left the speaker by ``at_ns``."""
        # Counts at most to the end of the last block: if callbacks stall, time passes but nothing more is
        # heard.
        since_ns = at_ns - self.at_ns - round(device_latency_ms * 1_000_000)
        return self.stream_frame + min(ns_to_frames(since_ns, self.rate), self.frames)


class IncomingAudio:
    """Decodes a reply's chunks and resamples them to the queue's rate. Used on the feeding thread."""

    def __init__(self, audio_format: AudioFormat, rate: int) -> None:
        self.received_ms = 0.0
        """Length of all audio received, including late and dropped audio."""
        self.last_ms = b""
        """The last millisecond of samples received."""
        self._decoder = StreamDecoder(audio_format)
        # One per reply, because a shared resampler would carry the end of one reply into the start of the
        # next.
        self._resampler = LiveResampler(audio_format.rate, rate)
        self._edge_bytes = 2 * (audio_format.rate // 1000)

    def feed(self, wire: bytes) -> tuple[bytes, bytes]:
        """Returns the samples to queue and, once per reply, its first millisecond (otherwise b"").

        An incomplete sample at the end of a chunk is kept until the next chunk.
        """
        samples = self._decoder.feed(wire)
        first_ms = b"" if self.last_ms else samples[: self._edge_bytes]
        self.last_ms = (self.last_ms + samples[-self._edge_bytes :])[-self._edge_bytes :]
        self.received_ms += len(samples) / 2 * 1000 / self._decoder.format.rate
        return self._resampler.feed(samples), first_ms

    def finish(self) -> tuple[bytes, int]:
        """Returns the samples that the resampler held back, and the size of an incomplete sample (0 or 1 byte)."""
        return self._resampler.finish(), self._decoder.flush_remainder()


class Handed:
    """Counts the samples of a reply that the device has taken, and records when they play."""

    def __init__(self) -> None:
        self.frames = 0
        self.end_ns = 0
        """End of the last sample; for an empty reply, the time at which it would have played."""
        self.end_stream_frame = 0
        """Position of the end in the stream of pulled frames."""
        self._runs: list[tuple[int, int]] = []
        # After an abort, the stream's position advances over the discarded frames as if they had been played,
        # so the runs would count them as heard.
        self._final_heard_frames: int | None = None

    def add(self, stream_frame: int, frames: int) -> None:
        """Records that the device took ``frames``, starting at frame ``stream_frame`` of the stream."""
        # A new run starts after silence or another reply, so the list grows with the number of gaps, not
        # blocks.
        start, length = self._runs[-1] if self._runs else (0, 0)
        if length and start + length == stream_frame:
            self._runs[-1] = (start, length + frames)
        else:
            self._runs.append((stream_frame, frames))
        self.frames += frames

    @property
    def audible_frames(self) -> int:
        """Number of frames that were or will be heard.

        After an abort, this is less than the number of frames taken.
        """
        return self.frames if self._final_heard_frames is None else self._final_heard_frames

    def heard_frames(self, clock: Clock, at_ns: int, device_latency_ms: float) -> int:
        """Returns how many frames of the reply have left the speaker by ``at_ns``."""
        if self._final_heard_frames is not None:
            return self._final_heard_frames
        heard_until = clock.heard_stream_frames(at_ns, device_latency_ms)
        return sum(min(max(heard_until - start, 0), frames) for start, frames in self._runs)

    def abort(self, heard_frames: int) -> None:
        """Sets the final number of heard frames, because the device's buffer was discarded."""
        self._final_heard_frames = heard_frames


class Reply:
    """The state of one reply. Frames are counted at the queue's rate."""

    def __init__(self, reply_id: str) -> None:
        self.reply_id = reply_id
        self.incoming: IncomingAudio | None = None
        """The decoder for further audio; None once no more audio is expected."""
        self.arrived_ns: int | None = None
        """When the first chunk arrived."""
        self.received_frames = 0
        """Number of frames accepted for playback."""
        self.handed = Handed()
        self.ended = False
        """Whether no more audio is expected.

        The reply may then start below the target depth, and has drained once it is empty.
        """
        self.closed = False
        """Whether the reply has drained or was flushed, so it is no longer in the queue."""
        self.flushed = False
        self.full = False
        """Whether the full queue has been reported for this reply."""
        self.gap_frames = 0
        """Frames of silence since the reply's last sample, while more samples may arrive."""
        self._chunks: deque[memoryview] = deque()

    @property
    def started(self) -> bool:
        """Whether the device has taken any of the reply's samples."""
        return self.handed.frames > 0

    @property
    def queued_frames(self) -> int:
        """Number of frames that wait in the queue."""
        return 0 if self.flushed else self.received_frames - self.handed.frames

    @property
    def audible_frames(self) -> int:
        """Number of frames that were or will be heard.

        After a flush, this is less than the number of frames received.
        """
        return self.handed.audible_frames if self.flushed else self.received_frames

    def add(self, pcm: bytes, frames: int) -> None:
        """Queues the first ``frames`` frames of ``pcm``."""
        # A view rather than a copy, because an agent may send minutes of audio in one message.
        self._chunks.append(memoryview(pcm)[: frames * 2])
        self.received_frames += frames

    def take(self, max_frames: int, stream_frame: int) -> memoryview:
        """Removes and returns up to ``max_frames`` of one chunk, to play at frame ``stream_frame`` of the stream."""
        chunk = self._chunks[0]
        part = chunk[: max_frames * 2]
        if len(part) == len(chunk):
            self._chunks.popleft()
        else:
            self._chunks[0] = chunk[len(part) :]
        self.handed.add(stream_frame, len(part) // 2)
        return part

    def drop(self) -> None:
        """Discards the queued audio of the reply and closes it."""
        self._chunks.clear()
        self.flushed = self.closed = True
