"""Lateness: monitors the event loop on which a worker runs its calls, and records when the loop was late."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tui.load.records import WorkerSecond
from tui.session.self_check import LOOP_LIMIT_MS
from tui.units import NS_PER_MS, NS_PER_S

BUSY = 0.95
"""Share of a core above which the worker is the bottleneck: one event loop cannot use more than one core."""
_LOOK_S = 0.02
_KEPT = 20_000


class Lateness:
    """Records the periods in which a worker's event loop was late.

    Runs on the worker's event loop, but `between` may be called from any thread. ``emit`` receives a
    `WorkerSecond` every second; ``calls`` returns the number of calls in progress.
    """

    def __init__(self, worker: str, emit: Callable[[WorkerSecond], object], calls: Callable[[], int]) -> None:
        self._worker = worker
        self._emit = emit
        self._calls = calls
        self._late: deque[tuple[int, int, float]] = deque(maxlen=_KEPT)
        """Late periods: start and end in ns of the monotonic clock, and the lateness in ms."""
        self._worst_ms = 0.0

    async def watch(self) -> None:
        """Monitors the event loop until cancelled."""
        second_ns, used_ns = time.monotonic_ns(), time.process_time_ns()
        while True:
            due_ns = time.monotonic_ns() + round(_LOOK_S * NS_PER_S)
            await asyncio.sleep(_LOOK_S)
            now_ns = time.monotonic_ns()
            self.woke(due_ns, now_ns)
            if now_ns - second_ns >= NS_PER_S:
                now_used_ns = time.process_time_ns()
                self.second(second_ns, now_ns, (now_used_ns - used_ns) / (now_ns - second_ns))
                second_ns, used_ns = now_ns, now_used_ns

    def woke(self, due_ns: int, now_ns: int) -> None:
        """Records that a task that was due at ``due_ns`` did not run until ``now_ns``."""
        late_ms = max(now_ns - due_ns, 0) / NS_PER_MS
        self._worst_ms = max(self._worst_ms, late_ms)
        if late_ms > LOOP_LIMIT_MS:
            self._late.append((due_ns, now_ns, late_ms))

    def second(self, since_ns: int, now_ns: int, processor: float) -> None:
        """Emits the figures of one second. ``processor`` is the CPU time used, as a share of a core."""
        if processor > BUSY:
            # Tasks that waited for the processor were late, by an unknown part of this second.
            self._late.append((since_ns, now_ns, max(self._worst_ms, LOOP_LIMIT_MS)))
        self._emit(
            WorkerSecond(
                worker=self._worker,
                at_s=time.time(),
                calls=self._calls(),
                lag_ms=round(self._worst_ms, 1),
                processor=round(processor, 3),
                rss_bytes=_rss_bytes(),
                descriptors=_descriptors(),
                descriptors_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            )
        )
        self._worst_ms = 0.0

    def between(self, since_ns: int, until_ns: int) -> float:
        """Returns the worker's largest lateness in this period, in ms; 0 if it was never late."""
        late = (
            late_ms
            for begin_ns, end_ns, late_ms in tuple(self._late)
            if begin_ns <= until_ns and end_ns >= since_ns
        )
        return max(late, default=0.0)


def _rss_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # macOS has no /proc; there, the peak is used, which is in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _descriptors() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder))  # noqa: PTH208 - Path objects for thousands of entries, once a second
        except OSError:
            continue
    return 0
