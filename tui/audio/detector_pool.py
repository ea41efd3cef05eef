"""DetectorPool: runs the speech detectors of many calls together, because the network costs half as much in batches.

A call made by a person has its own detector, which reports edges immediately. The callers of a load test
share a pool, which judges their audio together and finds the same edges at most `PERIOD_S` later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tui.audio.silero import Scoring, WindowInput, WindowScore, network
from tui.audio.speech import SpeechDetector, TrackEdge

PERIOD_S = 0.02
"""Interval between two batches. With a longer one, edges would be known later than scenarios expect."""
_MOST_WINDOWS = 16
"""Maximum number of windows per run of the network, which then takes 2 ms.

The loop must not be late in sending audio.
"""

TakeEdges = Callable[[list[TrackEdge]], None]


class _Fed:
    """Audio that was fed to one detector since the last batch."""

    def __init__(self, take: TakeEdges) -> None:
        self.take = take
        self.parts: list[bytes] = []
        self.end_ns = 0


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
    """Judges the tracks of many calls together. Belongs to the loop that runs `run`."""

    def __init__(self) -> None:
        self._fed: dict[SpeechDetector, _Fed] = {}
        self._jobs: dict[SpeechDetector, _Job] = {}
        """Jobs of the current batch."""

    def feed(self, detector: SpeechDetector, pcm: bytes, end_ns: int, take: TakeEdges) -> None:
        """Queues samples for a detector. The last sample ended at ``end_ns``; ``take`` receives the edges later."""
        fed = self._fed.get(detector)
        if fed is None:
            fed = self._fed[detector] = _Fed(take)
        fed.parts.append(pcm)
        fed.end_ns = end_ns

    def settle(self, detector: SpeechDetector) -> None:
        """Judges all queued audio of a detector before returning."""
        job = self._jobs.pop(detector, None)
        if job is not None:
            _finish(job)
        fed = self._fed.pop(detector, None)
        if fed is not None:
            _finish(_job(detector, fed))

    async def run(self) -> None:
        """Judges queued audio in batches, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await self.judge()

    async def judge(self) -> None:
        """Judges all queued audio. Other tasks can run between two batches."""
        fed, self._fed = self._fed, {}
        self._jobs = {detector: _job(detector, each) for detector, each in fed.items()}
        while due := [job for job in self._jobs.values() if job.window is not None][:_MOST_WINDOWS]:
            for job, score in zip(
                due, network().score([job.window for job in due if job.window]), strict=True
            ):
                job.resume(score)
            await asyncio.sleep(0)
        self._jobs = {}


def _job(detector: SpeechDetector, fed: _Fed) -> _Job:
    return _Job(detector.feeding(b"".join(fed.parts), fed.end_ns), fed.take)


def _finish(job: _Job) -> None:
    while job.window is not None:
        job.resume(network().score([job.window])[0])
