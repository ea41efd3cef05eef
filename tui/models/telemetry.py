"""Telemetry: the levels and delays of this instant, which need no history."""

from __future__ import annotations

import msgspec


class Telemetry(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="event", tag="telemetry"
):
    """What is true now and needs no history: latest wins, neither logged nor saved. Levels in dBFS."""

    at_ns: int
    user_dbfs: float | None = None
    user_peak_dbfs: float | None = None
    agent_dbfs: float | None = None
    agent_peak_dbfs: float | None = None
    queued_ms: float = 0.0
    """Agent audio waiting to be played."""
    queued_worst_ms: float = 0.0
    user_clipped: bool = False
    prebuffer_ms: float | None = None
    """How much of a reply is waited for before it plays; adapts to how agent audio arrives."""
    output_latency_ms: float | None = None
    """What the playback device holds, by its own account."""
    arrival_jitter_ms: float | None = None
    """95th percentile of how much later than real time chunks of the running reply came, last 10 s."""
    delivery_ratio: float | None = None
    """Agent audio received over the time it took to come, of the running reply: 1 is real time."""
    user_dc: float | None = None
    """Mean of the microphone's samples, -1..1."""
    user_is_zero: bool = False
    callback_load: float | None = None
    """Worst share of a block's length spent in an audio callback, last second; 1 is all of it."""
    drift_ppm: float | None = None
    """Capture clock against playback clock, parts per million."""
    echo_delay_ms: float | None = None
    echo_db: float | None = None
    """Level of what comes back of the agent on the microphone, relative to what was played."""
    loop_lag_ms: float | None = None
    """Worst lateness of the engine's event loop, last second."""
    send_late_ms: float | None = None
    """Worst time from a capture callback to the socket, last second."""
    send_p50_ms: float | None = None
    """Median of the same, since recording began."""
    send_p99_ms: float | None = None
    line_progress: float | None = None
    """How far the recorded line that is being spoken has come, 0..1; None while there is none."""
