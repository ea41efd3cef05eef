"""Levels: response times by number of simultaneous calls, and the knee, where response times begin to rise."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.load.records import CallRecord
from tui.models.turns.turns import percentile

_LEAST_TURNS = 10
"""Minimum number of turns on either side of a knee."""
_LEAST_RISE, _LEAST_RISE_MS = 1.25, 50.0
"""Minimum rise at a knee, as a factor and in ms; users would not hear a smaller difference."""
_LEAST_GAIN = 0.2
"""Minimum share by which a bend has to reduce the error compared with a straight line."""
_MOST_WEIGHT = 20
"""Maximum total weight of the turns at the same number of calls."""
_MOST_LEVELS = 20


class CallLevel(msgspec.Struct, frozen=True):
    """Response times with a certain number of simultaneous calls. A percentile is None if there are too few turns."""

    calls_from: int
    calls_to: int
    turns: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    @property
    def span(self) -> str:
        """The number of calls as text, such as "4" or "3–5"."""
        least, most = self.calls_from, self.calls_to
        return f"{least}–{most}" if most > least else f"{least}"


class Knee(msgspec.Struct, frozen=True):
    """The saturation point: beyond ``calls`` simultaneous calls, the agent responds more slowly."""

    calls: int
    below_ms: float
    """Median response time up to the knee."""
    above_ms: float
    """Median response time beyond the knee."""


class Concurrency:
    """Counts the active calls at any time. Calls in progress are active since the times in ``in_progress_s``."""

    def __init__(self, calls: Iterable[CallRecord], in_progress_s: Iterable[float] = ()) -> None:
        active = [call for call in calls if call.active_s is not None]
        began_s = [*(call.active_s or 0.0 for call in active), *in_progress_s]
        steps = sorted([(at_s, 1) for at_s in began_s] + [(call.ended_s, -1) for call in active])
        self._at_s = [at_s for at_s, _ in steps]
        self._calls = list(accumulate((step for _, step in steps), initial=0))

    def at(self, at_s: float) -> int:
        """Returns the number of calls that were active at ``at_s``."""
        return self._calls[bisect.bisect_right(self._at_s, at_s)]

    @property
    def most(self) -> int:
        """Largest number of calls that were active at the same time."""
        return max(self._calls)


def levels_of(turns: Sequence[tuple[int, float]]) -> list[CallLevel]:
    """Groups turns into up to 20 levels. Each turn is a pair: number of calls, response time in ms."""
    most = max((calls for calls, _ in turns), default=0)
    width = max(math.ceil(most / _MOST_LEVELS), 1)
    by_level: dict[int, list[float]] = {}
    for calls, response_ms in turns:
        by_level.setdefault(max(calls - 1, 0) // width, []).append(response_ms)
    return [
        CallLevel(
            level * width + 1,
            min((level + 1) * width, most),
            len(found),
            percentile(found, 0.5),
            percentile(found, 0.95),
            percentile(found, 0.99),
        )
        for level, found in sorted(by_level.items())
    ]


def knee_of(turns: Sequence[tuple[int, float]]) -> Knee | None:
    """Returns the knee of the response times; None if response times do not rise. Takes turns like `levels_of`.

    Two lines are fitted to the logarithms of the response times: a horizontal line up to the knee, and any
    straight line beyond it. The knee is the number of calls at which the lines fit best. Both steps and
    slopes have a knee.
    """
    ordered = sorted((calls, math.log(max(response_ms, 1.0))) for calls, response_ms in turns)
    if len(ordered) < 2 * _LEAST_TURNS:
        return None
    x, y = (np.array(column, float) for column in zip(*ordered, strict=True))
    # A run spends most of its time at full load, and those turns must not outweigh the ramp-up.
    _, level, sizes = np.unique(x, return_inverse=True, return_counts=True)
    weight = np.minimum(1.0, _MOST_WEIGHT / sizes)[level]
    # A split is only possible after the last turn at a given number of calls.
    splits = np.flatnonzero(np.diff(x)) + 1
    splits = splits[(splits >= _LEAST_TURNS) & (splits <= len(x) - _LEAST_TURNS)]
    if not len(splits):
        return None
    before, after = _Sums(x, y, weight), _Sums(x[::-1], y[::-1], weight[::-1])
    errors = before.level_error(splits) + after.line_error(len(x) - splits)
    best = int(splits[int(np.argmin(errors))])
    straight = float(before.line_error(np.array([len(x)]))[0])
    below_ms, above_ms = math.exp(float(np.median(y[:best]))), math.exp(float(np.median(y[best:])))
    bends = float(errors.min()) <= (1 - _LEAST_GAIN) * straight
    rises = above_ms >= _LEAST_RISE * below_ms and above_ms - below_ms >= _LEAST_RISE_MS
    return Knee(int(x[best - 1]), round(below_ms, 1), round(above_ms, 1)) if bends and rises else None


_Numbers = NDArray[np.float64]


class _Sums:
    """Weighted cumulative sums over points, which yield the error of a fitted line without another pass."""

    def __init__(self, x: _Numbers, y: _Numbers, weight: _Numbers) -> None:
        x = x - x.mean()  # centered, to keep the differences of large squares exact enough
        products = (np.ones_like(x), x, y, x * x, x * y, y * y)
        self._sums = np.array([np.concatenate([[0.0], np.cumsum(weight * each)]) for each in products])

    def level_error(self, counts: NDArray[np.int64]) -> _Numbers:
        """Returns the squared error of a horizontal line through the first ``counts`` points."""
        n, _, y, _, _, yy = self._sums[:, counts]
        error: _Numbers = np.maximum(yy - y * y / n, 0.0)
        return error

    def line_error(self, counts: NDArray[np.int64]) -> _Numbers:
        """Returns the squared error of the best straight line through the first ``counts`` points."""
        n, x, y, xx, xy, yy = self._sums[:, counts]
        spread = xx - x * x / n
        together = xy - x * y / n
        explained = np.where(spread > 1e-9, together * together / np.maximum(spread, 1e-9), 0.0)
        error: _Numbers = np.maximum(yy - y * y / n - explained, 0.0)
        return error
