"""Tests that every sample fed to a playback queue is heard or counted, in any order of operations."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from tui.audio.formats import AudioFormat, Encoding, StreamDecoder
from tui.audio.pcm import samples_of
from tui.audio.queue import Cut, Fed, HappeningKind, PlaybackQueue, QueueTail

RATE = 8_000
FRAME_NS = 1_000_000_000 // RATE
LATENCY_MS = 30
MAX_FRAMES = 1_600
REPLIES = st.sampled_from("abc")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), REPLIES),
        st.tuples(st.just("end"), REPLIES),
        st.tuples(st.just("feed"), REPLIES, st.integers(0, 900)),
        st.tuples(st.just("feed"), REPLIES, st.integers(0, 9)),
        st.tuples(st.just("pull"), st.integers(0, 400)),
        st.tuples(st.just("wait"), st.integers(0, 200)),
        st.tuples(st.just("flush"), st.none() | st.integers(0, 150)),
        st.tuples(st.just("fade"), st.integers(0, 300)),
    ),
    max_size=40,
)


class Account:
    """A queue, and a simple record of what was fed and what happened to it. Every sample has a unique value."""

    def __init__(self) -> None:
        self.queue = PlaybackQueue(RATE, max_seconds=MAX_FRAMES / RATE)
        self.now_ns = 0
        self.fed = 0
        self.heard: list[int] = []
        self.accepted: dict[str, list[int]] = {}
        """Samples accepted per reply since it last began, without those that were flushed."""
        self.due: list[list[int]] = []
        self.late_frames = 0
        self.cut_frames = 0
        self.aborted_frames = 0
        self.faded_frames = 0
        self.fading_frames = 0
        """Frames of a fade that have yet to be pulled; their values differ from those that were fed."""
        self.decoders: dict[str, StreamDecoder] = {}
        self.out_ns: dict[int, int] = {}
        """When each sample left a speaker with `LATENCY_MS`; does not contain dropped samples."""

    def feed(self, reply: str, frames: int) -> None:
        """Feeds samples as they may arrive on the wire: in two chunks, split in the middle of a sample."""
        decoder = self.decoders.setdefault(reply, StreamDecoder(AudioFormat(Encoding.PCM16, RATE)))
        values = range(self.fed + 1, self.fed + frames + 1)
        wire = struct.pack(f"<{frames}h", *values)
        self.fed += frames
        cut = frames | 1
        for part in (wire[:cut], wire[cut:]):
            pcm = decoder.feed(part)
            before = self.queue.stats
            result = self.queue.feed(reply, pcm, self.now_ns)
            after = self.queue.stats
            given_values = list(samples_of(pcm).tolist())
            match result:
                case Fed.UNHEARD:
                    self.late_frames += len(given_values)
                case Fed.QUEUED | Fed.FULL:
                    fitting = len(given_values) - (after.dropped_frames - before.dropped_frames)
                    self.accepted.setdefault(reply, []).extend(given_values[:fitting])
                    assert (result is Fed.FULL) == (fitting < len(given_values))
        assert decoder.flush_remainder() == 0

    def take(self, step: tuple[str | int | None, ...]) -> None:
        match step:
            case "begin", str(reply):
                self.queue.begin(reply)
            case "end", str(reply):
                self.queue.end(reply)
            case "feed", str(reply), int(frames):
                self.feed(reply, frames)
            case "pull", int(frames):
                self.pull(frames)
            case "wait", int(wait_ms):
                self.now_ns += wait_ms * 1_000_000
            case "flush", latency_ms:
                assert latency_ms is None or isinstance(latency_ms, int)
                self.flush(latency_ms)
            case "fade", int(frames):
                self.fade(frames)

    def pull(self, frames: int) -> None:
        block = self.queue.pull(frames, self.now_ns)
        assert len(block) == 2 * frames
        faded = min(frames, self.fading_frames)
        self.fading_frames -= faded
        for frame, value in enumerate(samples_of(block).tolist()):
            if value and frame >= faded:
                self.heard.append(value)
                self.out_ns[value] = self.now_ns + (frame + 1) * FRAME_NS + LATENCY_MS * 1_000_000
        self.now_ns += frames * FRAME_NS

    def flush(self, aborted_latency_ms: int | None) -> list[Cut]:
        cuts = self.queue.cut(self.now_ns, aborted_latency_ms=aborted_latency_ms)
        for cut in cuts:
            assert 0 <= cut.heard_frames <= cut.handed_frames
            if aborted_latency_ms is None:
                assert cut.heard_frames == cut.handed_frames
            in_device = cut.handed_frames - cut.heard_frames
            self.aborted_frames += in_device
            self.cut_frames += cut.unheard_frames - in_device
        if aborted_latency_ms is not None:
            self.out_ns = {value: out_ns for value, out_ns in self.out_ns.items() if out_ns <= self.now_ns}
        self._take_out_flushed()
        return cuts

    def fade(self, frames: int) -> None:
        before_frames = self.queue.stats.queued_frames
        cuts = self.queue.cut(self.now_ns, fade_frames=frames)
        assert all(cut.heard_frames == cut.handed_frames for cut in cuts)
        unheard_frames = sum(cut.unheard_frames for cut in cuts)
        faded_frames = before_frames - self.queue.stats.queued_frames - unheard_frames
        assert 0 <= faded_frames <= frames
        self.cut_frames += unheard_frames
        self.faded_frames += faded_frames
        self.fading_frames += faded_frames
        self._take_out_flushed()

    def _take_out_flushed(self) -> None:
        heard = set(self.heard)
        for values in self.accepted.values():
            values[:] = [value for value in values if value in heard]

    def check(self) -> None:
        stats = self.queue.stats
        assert stats.unheard_frames == self.cut_frames + self.late_frames + self.aborted_frames
        played_frames = len(self.heard) + self.faded_frames
        lost_frames = self.cut_frames + self.late_frames + stats.dropped_frames
        assert played_frames + lost_frames + stats.queued_frames == self.fed
        assert stats.queued_frames <= stats.worst_queued_frames <= MAX_FRAMES
        for reply, values in self.accepted.items():
            wanted = set(values)
            out = [value for value in self.heard if value in wanted]
            assert out == values[: len(out)], "in order, without a gap"
            position = self.queue.position(reply, self.now_ns, LATENCY_MS)
            assert position is None or 0 <= position <= len(values) + self.faded_frames


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_every_sample_is_heard_in_order_or_counted(steps: list[tuple[str | int | None, ...]]) -> None:
    account = Account()
    for step in steps:
        account.take(step)
        account.check()
    for reply in "abc":
        account.queue.end(reply)
    account.pull(2 * MAX_FRAMES)
    account.check()
    assert account.queue.stats.queued_frames == 0, "all replies have ended, so everything plays"
    assert sorted(account.heard) == sorted(value for values in account.accepted.values() for value in values)


@given(STEPS)
@settings(max_examples=100, deadline=None)
def test_happenings_are_reported_in_order(steps: list[tuple[str | int | None, ...]]) -> None:
    account = Account()
    last_frame: dict[str, int] = {}
    began: set[str] = set()
    for step in steps:
        account.take(step)
        for happening in account.queue.take_happenings():
            match happening.kind:
                case HappeningKind.BEGAN:
                    assert happening.reply_frame == 0
                    began.add(happening.reply_id)
                    last_frame[happening.reply_id] = 0
                case HappeningKind.STARVED:
                    assert happening.reply_id in began
                    assert happening.frames > 0
                    assert happening.reply_frame >= last_frame[happening.reply_id]
                    last_frame[happening.reply_id] = happening.reply_frame
                case HappeningKind.DRAINED:
                    assert happening.reply_frame == 0 or happening.reply_id in began
                    began.discard(happening.reply_id)


MARKED_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), REPLIES),
        st.tuples(st.just("end"), REPLIES),
        st.tuples(st.just("feed"), REPLIES, st.integers(0, 500)),
        st.tuples(st.just("pull"), st.integers(1, 300)),
        st.tuples(st.just("flush")),
        st.tuples(st.just("mark")),
    ),
    max_size=40,
)


@given(MARKED_STEPS, st.sampled_from([LATENCY_MS, None]))
@settings(max_examples=300, deadline=None)
def test_a_tail_is_passed_once_all_audio_before_it_was_heard_or_dropped_and_no_sooner(
    steps: list[tuple[str | int, ...]], aborted_latency_ms: int | None
) -> None:
    """Either all flushes discard the audio in the device's buffer, or none do."""
    account = Account()
    marks: list[tuple[QueueTail, set[int]]] = []
    for step in steps:
        if step == ("mark",):
            before = {value for values in account.accepted.values() for value in values}
            marks.append((account.queue.tail(), before))
        elif step == ("flush",):
            account.flush(aborted_latency_ms)
        else:
            account.take(step)
        wanted = {value for values in account.accepted.values() for value in values}
        queued = wanted - set(account.heard)
        for tail, before in marks:
            out_ns = max((account.out_ns.get(value, 0) for value in before), default=0)
            passed = not before & queued and account.now_ns >= out_ns
            assert account.queue.passed(tail, account.now_ns, LATENCY_MS) is passed
