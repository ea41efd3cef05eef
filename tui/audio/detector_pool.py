"""DetectorPool: runs several speech detectors together, because the network costs half as much in batches.

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
"""Interval between two batches. With a longer one, edges would be known later than scenarios expect."""
_SLACK_NS = 10_000_000
"""Tolerance for blocks of 20 ms that arrive early or late: every second block has to end a batch."""
_REST_MS = 1_000
"""Length of the silence after a sound that is passed to the detector, so that it can confirm the end.

More silence would make no difference.
"""
_BEFORE_MS = 300
"""Length of the silence passed on before a sound, so that a back-dated onset never lies in skipped silence."""
_MOST_DEFERRED = 4
"""Maximum number of batches that are judged together while no edge is possible. The network takes a third less time
for windows in quick succession, because its weights stay in the processor's cache."""
_MOST_WINDOWS = 16
"""Maximum number of windows per run of the network, which then takes 2 ms.

The loop must not be late in sending audio.
"""

TakeEdges = Callable[[list[TrackEdge]], None]


class _Fed:
    """Audio that was fed to one detector and has not been judged."""

    def __init__(self, detector: SpeechDetector, take: TakeEdges) -> None:
        self.take = take
        self._detector = detector
        self._batches: list[tuple[bytes, int]] = []
        """Complete batches, each with the time at which its last sample ended."""
        self._parts: list[bytes] = []
        self._end_ns = 0
        self._frames = 0

    def add(self, pcm: bytes, end_ns: int) -> None:
        """Adds samples to the current batch."""
        self._parts.append(pcm)
        self._end_ns = end_ns
        self._frames += len(pcm) // 2

    def complete_batch(self) -> None:
        """Completes the current batch."""
        if self._parts:
            self._batches.append((b"".join(self._parts), self._end_ns))
            self._parts = []

    @property
    def deferrable(self) -> bool:
        """Whether the samples contain no edge that could be known yet."""
        return self._detector.finds_nothing_in(self._frames)

    def feeding(self) -> Scoring[list[TrackEdge]]:
        """Judges the batches one by one; their edges do not depend on when they are judged."""
        edges: list[TrackEdge] = []
        for pcm, end_ns in self._batches:
            edges += yield from self._detector.feeding(pcm, end_ns)
        return edges


class _Job:
    """Detection on one track, which waits for scores from the network."""

    def __init__(self, scoring: Scoring[list[TrackEdge]], take: TakeEdges) -> None:
        self._scoring = scoring
        self._take = take
        self.window: WindowInput | None = None
        """The next window to judge; None once all windows are judged."""
        self._advance(None)

    def resume(self, score: WindowScore) -> None:
        """Continues with the score of `window`."""
        self._advance(score)

    def _advance(self, score: WindowScore | None) -> None:
        try:
            self.window = next(self._scoring) if score is None else self._scoring.send(score)
        except StopIteration as done:
            self.window = None
            self._take(done.value)


class DetectorPool:
    """Judges several tracks together, on one loop. Either `run` has to run, or `judge_due` has to be called often."""

    def __init__(self) -> None:
        self._fed: dict[SpeechDetector, _Fed] = {}
        self._jobs: dict[SpeechDetector, _Job] = {}
        """Jobs of the current batch."""
        self._due_ns = 0
        self._deferred = 0
        """Number of batches that have been deferred in a row."""

    def feed(self, detector: SpeechDetector, pcm: bytes, end_ns: int, take: TakeEdges) -> None:
        """Adds samples, the last of which ended at ``end_ns``, to the next batch; ``take`` receives the edges."""
        fed = self._fed.get(detector)
        if fed is None:
            fed = self._fed[detector] = _Fed(detector, take)
        fed.add(pcm, end_ns)

    def settle(self, detector: SpeechDetector) -> None:
        """Judges everything that a detector was fed, immediately and without other detectors' audio."""
        job = self._jobs.pop(detector, None)
        if job is not None:
            _finish(job)
        fed = self._fed.pop(detector, None)
        if fed is not None:
            fed.complete_batch()
            _finish(_Job(fed.feeding(), fed.take))

    async def run(self) -> None:
        """Judges everything that was fed, in batches, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_NS / NS_PER_S)
            await self.judge()

    async def judge(self) -> None:
        """Judges everything that was fed so far. Other tasks run between two runs of the network."""
        self._begin()
        while True:
            if not self._judge_some():
                return
            await asyncio.sleep(0)

    def judge_due(self, now_ns: int) -> None:
        """Judges everything that was fed so far if a batch is due. Suitable for only a few tracks.

        Batches are deferred while none of them can contain an edge that is known by now.
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
        """Runs the network once; returns False if the batch is finished."""
        due = [job for job in self._jobs.values() if job.window is not None][:_MOST_WINDOWS]
        if not due:
            self._jobs = {}
            return False
        scores = network().score([job.window for job in due if job.window])
        for job, score in zip(due, scores, strict=True):
            job.resume(score)
        return True


class PooledSpeech:
    """Detects speech on one track of a call, with a pool. Long silence is skipped.

    ``take`` receives the edges. ``rested`` states that the track has been silent until now.
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
        """Ends the track at ``end_ns``, and with it the current sound, if any."""
        self._pool.settle(self._detector)
        self._take(self._detector.finish(end_ns))


def _finish(job: _Job) -> None:
    while job.window is not None:
        job.resume(network().score([job.window])[0])
