from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from tui.audio.pcm import samples_of
from tui.audio.queue import Cut, Fed, Happening, HappeningKind, PlaybackQueue

RATE = 8_000
BLOCK = 160
BLOCK_NS = 20_000_000
TARGET = 640
"""Target depth in frames before any arrivals are known."""
MS = 1_000_000


class Queue(PlaybackQueue):
    """A queue from which a speaker pulls blocks in real time."""

    now_ns = 0

    def play(self, blocks: int = 1) -> list[int]:
        """Returns the samples of the next blocks."""
        got: list[int] = []
        for _ in range(blocks):
            block = self.pull(BLOCK, self.now_ns)
            assert len(block) == 2 * BLOCK
            got += samples_of(block).tolist()
            self.now_ns += BLOCK_NS
        return got


def ramp(start: int, frames: int) -> bytes:
    return np.arange(start, start + frames, dtype="<i2").tobytes()


def numbers(start: int, frames: int) -> list[int]:
    return list(range(start, start + frames))


def kinds(happenings: list[Happening]) -> list[tuple[str, str]]:
    return [(happening.kind.value, happening.reply_id) for happening in happenings]


@pytest.fixture
def queue() -> Queue:
    return Queue(RATE)


def test_an_empty_queue_plays_silence(queue: Queue) -> None:
    assert queue.play(3) == [0] * 3 * BLOCK
    assert queue.take_happenings() == []
    assert queue.playing is None


def test_a_reply_at_the_target_depth_starts_with_the_next_block(queue: Queue) -> None:
    queue.begin("a")
    assert queue.feed("a", ramp(1, TARGET), 0) is Fed.QUEUED
    assert queue.play() == numbers(1, BLOCK)
    assert queue.playing == "a"
    assert queue.take_happenings() == [Happening(HappeningKind.BEGAN, "a", 0, 0, 0, arrived_ns=0)]


def test_a_reply_below_the_target_depth_waits(queue: Queue) -> None:
    queue.feed("a", ramp(1, TARGET - 1), 0)
    assert not any(queue.play())
    queue.feed("a", ramp(TARGET, 1), BLOCK_NS)
    assert queue.play() == numbers(1, BLOCK)


def test_a_reply_shorter_than_the_target_depth_plays_when_it_is_complete(queue: Queue) -> None:
    queue.feed("a", ramp(1, 5), 0)
    assert not any(queue.play())
    queue.end("a")
    assert queue.play() == [1, 2, 3, 4, 5] + [0] * (BLOCK - 5)
    began, drained = queue.take_happenings()
    assert began == Happening(HappeningKind.BEGAN, "a", BLOCK_NS, 0, BLOCK, arrived_ns=0)
    assert drained == Happening(HappeningKind.DRAINED, "a", BLOCK_NS + 5 * 125_000, 5, BLOCK + 5)


def test_a_slow_reply_starts_50_ms_after_the_target_depth_was_due(queue: Queue) -> None:
    queue.now_ns = 10 * MS
    queue.feed("a", ramp(1, 5), 0)
    assert not any(queue.play(6))
    assert queue.now_ns == 130 * MS
    assert queue.play()[:6] == [1, 2, 3, 4, 5, 0]


def test_replies_follow_each_other_within_a_block(queue: Queue) -> None:
    for name, start in (("a", 1), ("b", 101), ("c", 201)):
        queue.begin(name)
        queue.feed(name, ramp(start, 100), 0)
        queue.end(name)
    assert queue.play(2) == numbers(1, 300) + [0] * 20
    assert (queue.stats.worst_queued_frames, queue.stats.queued_frames) == (300, 0)
    happenings = queue.take_happenings()
    assert kinds(happenings) == [
        ("began", "a"),
        ("drained", "a"),
        ("began", "b"),
        ("drained", "b"),
        ("began", "c"),
        ("drained", "c"),
    ]
    assert [happening.stream_frame for happening in happenings] == [0, 100, 100, 200, 200, 300]
    assert [happening.at_ns for happening in happenings] == [
        frame * 125_000 for frame in (0, 100, 100, 200, 200, 300)
    ]


def test_replies_play_in_the_order_they_began(queue: Queue) -> None:
    queue.begin("a")
    queue.begin("b")
    queue.feed("a", ramp(1, 10), 0)
    queue.feed("b", ramp(1_001, TARGET), 0)
    assert not any(queue.play()), "the second must not overtake audio of the first"
    queue.end("a")
    assert queue.play()[:12] == [*numbers(1, 10), 1_001, 1_002]


def test_a_gap_inside_a_reply_is_reported_when_the_reply_goes_on(queue: Queue) -> None:
    queue.feed("a", ramp(1, TARGET), 0)
    queue.play(6)
    assert queue.stats.gap_frames == 2 * BLOCK
    assert kinds(queue.take_happenings()) == [("began", "a")]
    queue.feed("a", ramp(TARGET + 1, 1), queue.now_ns)
    assert queue.play()[0] == TARGET + 1, "no second wait for the target"
    (starved,) = queue.take_happenings()
    assert starved == Happening(HappeningKind.STARVED, "a", 4 * BLOCK_NS, TARGET, TARGET, 2 * BLOCK)
    queue.feed("a", ramp(TARGET + 2, 2 * BLOCK), queue.now_ns)
    queue.play(2)
    (starved,) = queue.take_happenings()
    assert starved.frames == BLOCK - 1, "each gap is reported once"


def test_silence_before_a_late_end_is_not_a_gap(queue: Queue) -> None:
    queue.feed("a", ramp(1, TARGET), 0)
    queue.play(10)
    queue.end("a")
    began, drained = queue.take_happenings()
    assert began.kind is HappeningKind.BEGAN
    assert drained == Happening(HappeningKind.DRAINED, "a", 4 * BLOCK_NS, TARGET, TARGET)
    assert queue.stats.gap_frames == 0


def test_an_empty_reply_is_drained_in_its_turn(queue: Queue) -> None:
    queue.feed("a", ramp(1, BLOCK + 1), 0)
    queue.end("a")
    queue.begin("b")
    queue.end("b")
    queue.play()
    assert kinds(queue.take_happenings()) == [("began", "a")]
    queue.play()
    assert kinds(queue.take_happenings()) == [("drained", "a"), ("drained", "b")]


def test_a_reply_that_never_ends_does_not_block_the_next(queue: Queue) -> None:
    queue.feed("a", ramp(1, TARGET), 0)
    queue.play(5)
    queue.feed("b", ramp(1_001, TARGET), queue.now_ns)
    assert queue.play(2)[0] == 1_001
    queue.feed("a", ramp(TARGET + 1, 1), queue.now_ns)
    assert queue.play(3)[2 * BLOCK : 2 * BLOCK + 2] == [TARGET + 1, 0], (
        "late audio plays after it, none is lost"
    )
    assert "starved" not in [kind for kind, _ in kinds(queue.take_happenings())]


def test_a_flush_drops_queued_and_late_audio(queue: Queue) -> None:
    queue.feed("a", ramp(1, 1_000), 0)
    queue.begin("b")
    queue.feed("b", ramp(501, 100), 0)
    queue.begin("c")
    queue.play()
    assert queue.cut(queue.now_ns) == [
        Cut("a", handed_frames=BLOCK, heard_frames=BLOCK, unheard_frames=1_000 - BLOCK, rate=RATE),
        Cut("b", handed_frames=0, heard_frames=0, unheard_frames=100, rate=RATE),
        Cut("c", handed_frames=0, heard_frames=0, unheard_frames=0, rate=RATE),
    ]
    assert queue.playing is None
    for late in ("a", "c"):
        assert queue.feed(late, ramp(1, 50), queue.now_ns) is Fed.UNHEARD
    queue.end("a")
    assert not any(queue.play(5))
    stats = queue.stats
    assert (stats.queued_frames, stats.unheard_frames) == (0, 1_000 - BLOCK + 100 + 2 * 50)
    assert kinds(queue.take_happenings()) == [("began", "a")]
    assert queue.cut(queue.now_ns) == []


def test_held_audio_is_kept_and_its_silence_is_no_loss(queue: Queue) -> None:
    queue.feed("a", ramp(1, 1_000), 0)
    assert queue.play() == numbers(1, BLOCK)
    queue.controls.held = True
    queue.feed("a", ramp(1_001, 50), queue.now_ns)
    queue.end("a")
    assert not any(queue.play(20))
    assert (queue.stats.gap_frames, queue.playing) == (0, "a")
    queue.controls.held = False
    assert [sample for sample in queue.play(6) if sample] == numbers(BLOCK + 1, 1_050 - BLOCK)
    assert kinds(queue.take_happenings()) == [("began", "a"), ("clipped end", "a"), ("drained", "a")]


def test_a_flush_drops_held_audio_without_a_fade(queue: Queue) -> None:
    queue.feed("a", ramp(1, 1_000), 0)
    queue.play()
    queue.controls.held = True
    (cut,) = queue.cut(queue.now_ns, fade_frames=BLOCK)
    assert (cut.heard_frames, cut.unheard_frames) == (BLOCK, 1_000 - BLOCK)
    assert not any(queue.play(3))


def test_the_next_reply_plays_after_a_flush(queue: Queue) -> None:
    queue.feed("a", ramp(1, 1_000), 0)
    queue.play()
    queue.cut(queue.now_ns)
    queue.feed("b", ramp(2_001, TARGET), queue.now_ns)
    assert queue.play() == numbers(2_001, BLOCK)
    queue.begin("a")
    assert queue.feed("a", ramp(1, TARGET), queue.now_ns) is Fed.QUEUED, (
        "begun again, the id names a new reply"
    )


def test_reaching_the_limit_is_reported_once_and_counted() -> None:
    queue = Queue(RATE, max_seconds=0.1)
    assert queue.feed("a", ramp(1, 790), 7) is Fed.QUEUED
    assert queue.feed("a", ramp(791, 20), 8) is Fed.FULL
    assert queue.feed("a", ramp(811, 20), 9) is Fed.FULL
    assert queue.take_happenings() == [Happening(HappeningKind.FULL, "a", 8, 0, 0, 10)]
    assert queue.stats.dropped_frames == 30
    queue.end("a")
    assert queue.play(5) == numbers(1, 800)


def test_half_a_sample_waits_for_the_next_chunk(queue: Queue) -> None:
    queue.feed("a", b"\1\0\2", 0)
    queue.feed("a", b"\0", 0)
    queue.end("a")
    assert queue.play()[:3] == [1, 2, 0]
    assert kinds(queue.take_happenings()) == [("began", "a"), ("drained", "a")]


def test_half_a_sample_at_the_end_is_reported(queue: Queue) -> None:
    queue.feed("a", b"\1\0\2", 0)
    assert queue.end("a") == 0.125
    assert queue.play()[:2] == [1, 0]
    assert kinds(queue.take_happenings()) == [("odd byte", "a"), ("began", "a"), ("drained", "a")]


def test_the_position_excludes_audio_the_device_still_holds(queue: Queue) -> None:
    queue.feed("a", ramp(1, 2 * TARGET), 0)
    assert queue.position("a", 0, 40) == 0
    queue.play(3)
    last_pull_ns = 2 * BLOCK_NS
    assert queue.position("a", last_pull_ns, 0) == 2 * BLOCK
    assert queue.position("a", last_pull_ns, 40) == 0
    assert queue.position("a", last_pull_ns + 10 * MS, 40) == 80
    assert queue.position("a", last_pull_ns + 60 * MS, 40) == 3 * BLOCK
    assert queue.position("a", last_pull_ns + 9_000 * MS, 40) == 3 * BLOCK
    assert queue.position("a", last_pull_ns, 9_000) == 0
    assert queue.position("unknown", 0, 0) is None


def test_the_position_accounts_for_gaps(queue: Queue) -> None:
    queue.feed("a", ramp(1, TARGET), 0)
    queue.play(6)
    queue.feed("a", ramp(TARGET + 1, BLOCK), queue.now_ns)
    queue.play()
    last_pull_ns = 6 * BLOCK_NS
    assert queue.position("a", last_pull_ns, 0) == TARGET
    assert queue.position("a", last_pull_ns, 40) == TARGET, "the device still holds the gap before it"
    assert queue.position("a", last_pull_ns, 60) == TARGET - BLOCK
    assert queue.position("a", last_pull_ns + 10 * MS, 0) == TARGET + BLOCK // 2


def test_audio_discarded_by_an_abort_was_not_heard(queue: Queue) -> None:
    queue.feed("a", ramp(1, 1_000), 0)
    queue.play(5)
    at_ns = 5 * BLOCK_NS
    assert queue.cut(at_ns, aborted_latency_ms=40) == [
        Cut("a", handed_frames=5 * BLOCK, heard_frames=3 * BLOCK, unheard_frames=1_000 - 3 * BLOCK, rate=RATE)
    ]
    assert queue.stats.unheard_frames == 1_000 - 3 * BLOCK
    queue.play(20)
    assert queue.position("a", queue.now_ns, 40) == 3 * BLOCK


def test_an_abort_cuts_the_tail_of_a_reply_that_was_just_drained(queue: Queue) -> None:
    for name in ("long ago", "just now"):
        queue.feed(name, ramp(1, BLOCK), queue.now_ns)
        queue.end(name)
        queue.play(1 if name == "just now" else 9)
    assert queue.cut(queue.now_ns, aborted_latency_ms=40) == [
        Cut("just now", handed_frames=BLOCK, heard_frames=0, unheard_frames=BLOCK, rate=RATE)
    ]


def test_the_volume_changes_at_once_and_without_a_step(queue: Queue) -> None:
    queue.feed("a", np.full(4 * BLOCK, 1_000, "<i2").tobytes(), 0)
    assert set(queue.play()) == {1_000}
    queue.controls.volume = 0.5
    fading = queue.play()
    assert (fading[0], fading[-1]) == (1_000, 500)
    assert max(abs(one - next_one) for one, next_one in itertools.pairwise(fading)) < 10
    assert set(queue.play()) == {500}


def test_the_oldest_of_300_replies_is_forgotten(queue: Queue) -> None:
    for number in range(300):
        queue.feed(str(number), ramp(1, 1), queue.now_ns)
        queue.end(str(number))
        queue.play()
    assert queue.position("0", queue.now_ns, 0) is None
    assert queue.position("299", queue.now_ns, 0) == 1


def test_feeding_and_pulling_on_two_threads_loses_nothing(queue: Queue) -> None:
    total = 30_000

    def feed() -> None:
        for start in range(1, total, 100):
            queue.feed("a", ramp(start, 100), 0)
        queue.end("a")

    feeder = threading.Thread(target=feed)
    feeder.start()
    heard: list[int] = []
    while len(heard) < total:
        heard += [value for value in samples_of(queue.pull(BLOCK, 10**12)).tolist() if value]
    feeder.join()
    assert heard == numbers(1, total)


def test_a_flush_with_a_fade_counts_the_fade_as_heard(queue: Queue) -> None:
    queue.feed("a", np.full(5 * TARGET, 10_000, "<i2").tobytes(), 0)
    queue.play(2)
    tail = queue.tail()
    (cut,) = queue.cut(queue.now_ns, fade_frames=BLOCK + 40)
    assert not queue.passed(tail, queue.now_ns, 0)
    assert (cut.heard_frames, cut.unheard_frames) == (3 * BLOCK + 40, 5 * TARGET - 3 * BLOCK - 40)
    faded = queue.play(3)
    assert faded[0] == 10_000
    assert faded == sorted(faded, reverse=True)
    assert not any(faded[BLOCK + 40 :])
    assert queue.position("a", queue.now_ns, 0) == 3 * BLOCK + 40
    assert queue.passed(tail, queue.now_ns, 0)


def test_a_reply_that_has_not_started_has_no_fade(queue: Queue) -> None:
    queue.feed("a", ramp(1, BLOCK), 0)
    (cut,) = queue.cut(0, fade_frames=BLOCK)
    assert (cut.heard_frames, cut.unheard_frames) == (0, BLOCK)
    assert not any(queue.play(2))


def test_the_next_reply_follows_a_fade(queue: Queue) -> None:
    queue.feed("a", np.full(TARGET, 10_000, "<i2").tobytes(), 0)
    queue.play(1)
    queue.cut(queue.now_ns, fade_frames=40)
    queue.feed("b", ramp(1, TARGET), queue.now_ns)
    assert queue.play(1)[40:] == numbers(1, BLOCK - 40)
