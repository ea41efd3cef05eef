"""Telemetry: levels and delays that change continuously."""

from __future__ import annotations

import msgspec


class Telemetry(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="event", tag="telemetry"
):
    """Current levels and delays of a call. Levels are in dBFS.

    Only the latest values are sent to the screen; they are neither logged nor saved.
    """

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
    """How much of a reply is queued before playback starts; adapts to the jitter of agent audio."""
    output_latency_ms: float | None = None
    """Buffer of the playback device, as the device reports it."""
    arrival_jitter_ms: float | None = None
    """95th percentile of the lateness of chunks of the current reply in the last 10 s."""
    delivery_ratio: float | None = None
    """Length of received audio of the current reply divided by the time it took to arrive; 1 is real time."""
    user_dc: float | None = None
    """Mean of the microphone's samples, in -1..1."""
    user_is_zero: bool = False
    callback_load: float | None = None
    """Longest audio callback of the last second, as a share of a block's length."""
    drift_ppm: float | None = None
    """Deviation of the capture clock from the playback clock, in parts per million.

    Positive if capture runs faster.
    """
    echo_delay_ms: float | None = None
    echo_db: float | None = None
    """Level of the agent's echo at the microphone, relative to the played audio."""
    loop_lag_ms: float | None = None
    """Longest delay of the engine's event loop in the last second."""
    send_late_ms: float | None = None
    """Longest time from a capture callback to the socket in the last second."""
    send_p50_ms: float | None = None
    """Median time from a capture callback to the socket since recording began."""
    send_p99_ms: float | None = None
    line_progress: float | None = None
    """Progress of the recorded line that is playing, 0..1; None if there is none."""
