"""Snapshot: the state of a load test while it runs, as the master reports it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec


class Snapshot(msgspec.Struct, frozen=True):
    """The state of a load test while it runs."""

    at_s: float
    """Time since the start of the first call."""
    users: int
    calls: int
    """Number of calls in progress."""
    began: int
    failed: int
    calls_per_s: float
    p50_ms: float | None
    """Median response time over the last 30 s; all three percentiles cover this period."""
    p95_ms: float | None
    p99_ms: float | None
    not_trusted: int
    lag_ms: float
    """Largest lateness of any worker during its last second."""
    kinds: dict[str, int]
    """Number of failures by kind."""
    workers_lost: int
    knee_calls: int | None = None
    """Number of calls at the knee found so far; None if no knee was found."""
    canary_ms: Sequence[float] = ()
    """The canary's most recent response times, the latest last."""


def print_json(snapshot: Snapshot) -> None:
    """Prints the snapshot as one line of JSON, which the live screen reads."""
    sys.stdout.write(msgspec.json.encode(snapshot).decode() + "\n")
    sys.stdout.flush()
