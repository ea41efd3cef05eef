"""Snapshot: how a load test is doing, as the master reports it while it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec


class Snapshot(msgspec.Struct, frozen=True):
    """How a run is doing."""

    at_s: float
    """Time since the first call."""
    users: int
    calls: int
    """Calls under way."""
    began: int
    failed: int
    calls_per_s: float
    p50_ms: float | None
    """Of the last 30 s, as what follows."""
    p95_ms: float | None
    p99_ms: float | None
    not_trusted: int
    lag_ms: float
    """The worst of all workers in their last second."""
    kinds: dict[str, int]
    """Failures by kind."""
    workers_lost: int
    knee_calls: int | None = None
    """The knee so far; None without one."""
    canary_ms: Sequence[float] = ()
    """The newest response times of the canary, the latest last."""


def print_json(snapshot: Snapshot) -> None:
    """Print how the run is doing as one line of JSON, for the live screen."""
    sys.stdout.write(msgspec.json.encode(snapshot).decode() + "\n")
    sys.stdout.flush()
