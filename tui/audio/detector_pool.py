"""DetectorPool: runs several speech detectors together, because in batches the network takes half as long.

The two tracks of a call share a pool, and so do all callers of a load test. A pool finds the same edges as
detectors that run alone, at most `PERIOD_NS` later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tui.audio.pcm import is_zero
from tui.audio.silero import Scoring, WindowInput, WindowScore, network
from tui.audio.speech import SpeechDetector, TrackEdge
from tui.units import NS_PER_S

PERIOD_NS = 40_000_000
"""Interval between two batches. If it were longer, edges would be known later than scenarios expect."""
_SLACK_NS = 10_000_000
"""Tolerance for blocks of 20 ms that arrive early or late: every second block has to end a batch."""
_REST_MS = 1_000
"""How much silence after a sound the detector receives, so that it can confirm the end of the sound."""
_BEFORE_MS = 300
"""How much silence before a sound the detector receives, so that it never back-dates an onset to skipped silence."""
_MOST_DEFERRED = 4
"""Maximum number of batches that are judged together while no edge is possible. The network takes a third less time
for windows in quick succession, because its weights stay in the processor's cache."""
_MOST_WINDOWS = 16
"""Maximum number of windows per run of the network.

With this maximum, a run takes 2 ms. A longer run would delay the audio that the loop sends.
"""

TakeEdges = Callable[[list[TrackEdge]], None]


class _Fed:
    """Audio of one detector that waits to be judged."""

    def __init__(self, detector: SpeechDetector, take: TakeEdges) -> None:
        self.take = take
        self._detector = detector
        self._batches: list[tuple[bytes, int]] = []
        """Complete batches, each with the time at which its last sample ended."""
        self._parts: list[bytes] = []
        self._end_ns = 0
        self._frames = 0

    def add(self, pcm: bytes, end_ns: int) -> None:
        self._parts.append(pcm)
        self._end_ns = end_ns
        self._frames += len(pcm) // 2

    def complete_batch(self) -> None:
        if self._parts:
            self._batches.append((b"".join(self._parts), self._end_ns))
            self._parts = []

    @property
    def deferrable(self) -> bool:
        """Whether judging can wait because the audio is too short to confirm an edge."""
        return self._detector.finds_nothing_in(self._frames)

    def feeding(self) -> Scoring[list[TrackEdge]]:
        """Judges the batches in order and returns their edges."""
        edges: list[TrackEdge] = []
        for pcm, end_ns in self._batches:
            edges += yield from self._detector.feeding(pcm, end_ns)
        return edges


class _Job:
    """A detection in progress on one track, which pauses whenever it needs a score from the network."""

    def __init__(self, scoring: Scoring[list[TrackEdge]], take: TakeEdges) -> None:
        self._scoring = scoring
        self._take = take
        self.window: WindowInput | None = None
        """The next window to judge; None once all windows are judged."""
        self._advance(None)

    def resume(self, score: WindowScore) -> None:
        """Continues the detection with the network's score for `window`."""
        self._advance(score)

    def _advance(self, score: WindowScore | None) -> None:
        try:
            self.window = next(self._scoring) if score is None else self._scoring.send(score)
        except StopIteration as done:
            self.window = None
            self._take(done.value)


class DetectorPool:
    """Detects speech on several tracks together, on one loop. Start `run`, or call `judge_due` often."""

    def __init__(self) -> None:
        self._fed: dict[SpeechDetector, _Fed] = {}
        self._jobs: dict[SpeechDetector, _Job] = {}
        """Jobs of the current batch."""
        self._due_ns = 0
        self._deferred = 0
        """Number of batches that have been deferred in a row."""

    def feed(self, detector: SpeechDetector, pcm: bytes, end_ns: int, take: TakeEdges) -> None:
        """Adds samples to the next batch. The last sample ended at ``end_ns``; ``take`` receives the edges found."""
        fed = self._fed.get(detector)
        if fed is None:
            fed = self._fed[detector] = _Fed(detector, take)
        fed.add(pcm, end_ns)

    def settle(self, detector: SpeechDetector) -> None:
        """Immediately judges the waiting audio of one detector alone."""
        job = self._jobs.pop(detector, None)
        if job is not None:
            _finish(job)
        fed = self._fed.pop(detector, None)
        if fed is not None:
            fed.complete_batch()
            _finish(_Job(fed.feeding(), fed.take))

    async def run(self) -> None:
        """Judges all waiting audio at regular intervals until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_NS / NS_PER_S)
            await self.judge()

    async def judge(self) -> None:
        """Judges all waiting audio. Other tasks of the loop run after each batch of windows."""
        self._begin()
        while True:
            if not self._judge_some():
                return
            await asyncio.sleep(0)

    def judge_due(self, now_ns: int) -> None:
        """Judges all waiting audio if a batch is due. Blocks the loop, so call it only for a few tracks.

        A batch in which no edge can be confirmed yet is judged together with later batches.
        """
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + PERIOD_NS - _SLACK_NS
        fed = self._fed.values()
        for each in fed:
            each.complete_batch()
        self._deferred += 1
        if self._deferred < _MOST_DEFERRED and all(each.deferrable for each in fed):
            return
        self._begin()
        while self._judge_some():
            pass

    def _begin(self) -> None:
        self._deferred = 0
        fed, self._fed = self._fed, {}
        for each in fed.values():
            each.complete_batch()
        self._jobs = {detector: _Job(each.feeding(), each.take) for detector, each in fed.items()}

    def _judge_some(self) -> bool:
        """Runs the network once; returns False if no audio was left to judge."""
        due = [job for job in self._jobs.values() if job.window is not None][:_MOST_WINDOWS]
        if not due:
            self._jobs = {}
            return False
        scores = network().score([job.window for job in due if job.window])
        for job, score in zip(due, scores, strict=True):
            job.resume(score)
        return True


class PooledSpeech:
    """Detects speech on one track of a call with a shared pool, and skips long silence.

    ``take`` receives the edges. ``rested`` is true if the track has been silent until now.
    """

    def __init__(
        self, pool: DetectorPool, detector: SpeechDetector, take: TakeEdges, *, rested: bool = False
    ) -> None:
        self._pool = pool
        self._detector = detector
        self._take = take
        self._silent_ms = float(_REST_MS) if rested else 0.0

    def feed(self, pcm: bytes, end_ns: int) -> None:
        """Adds samples, the last of which ended at ``end_ns``."""
        rate, rested = self._detector.rate, self._silent_ms >= _REST_MS
        silent = is_zero(pcm)
        # Exact zeros come from a speaker between replies, and from a microphone that is muted or not needed.
        if silent and rested:
            return
        self._silent_ms = self._silent_ms + len(pcm) / 2 * 1000 / rate if silent else 0.0
        if rested:
            # A batch is dated back from its last sample, so it must not extend over skipped silence.
            self._pool.settle(self._detector)
        # The detector receives some of the skipped zeros, because they set its noise floor.
        before = bytes(2 * (rate * _BEFORE_MS // 1000)) if rested else b""
        self._pool.feed(self._detector, before + pcm, end_ns, self._take)

    def finish(self, end_ns: int) -> None:
        """Ends the track, and a sound in progress, at ``end_ns``."""
        self._pool.settle(self._detector)
        self._take(self._detector.finish(end_ns))


def _finish(job: _Job) -> None:
    while job.window is not None:
        job.resume(network().score([job.window])[0])
