"""Compares the program's delay from capture callback to socket with the arrivals at the other end of the socket."""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks.call_parts.agent import Agent
from benchmarks.call_parts.devices import Recorder, speak
from benchmarks.call_parts.loss import Chatter, coded
from benchmarks.call_parts.program import call
from benchmarks.call_parts.result import figure, judged
from benchmarks.measuring import Measured
from tui.models import events as e
from tui.models.turns.turns import nearest_rank

BLOCK_NS = 20_000_000
_AROUND = 50
"""Number of messages before and after a message among which the earliest counts as on time."""


def measure(environment: Mapping[str, str], seconds: float) -> tuple[list[Measured], list[str]]:
    """Records for ``seconds`` while the agent keeps the screen busy.

    Returns rows for the table and lines with details.
    """
    script = Chatter(coded(seconds, 2))
    with Agent(script) as agent, Recorder(environment), call(environment, agent.url) as held:
        held.record()
        began_ns = time.monotonic_ns()
        speak(environment, coded(seconds, 1)).wait()
        ended_ns = time.monotonic_ns()
    (heard,) = agent.calls
    arrived = [at_ns for at_ns, _ in heard.received]
    sent = [event.at_ns for event in held.events if _is_user_audio(event)]
    travelled_ms = [(there - here) / 1e6 for here, there in zip(sent, arrived, strict=False)]
    late_ms = lateness_ms([at_ns for at_ns in arrived if began_ns <= at_ns <= ended_ns])
    metrics = held.shown()
    rows = [
        judged("capture callback → socket, p50", metrics.send_p50_ms, 1),
        judged("capture callback → socket, p99", metrics.send_p99_ms, 5),
        Measured("message logged as sent → read by the agent", _told(travelled_ms)),
    ]
    lines = [
        f"{len(sent)} messages with user audio logged as sent, {len(arrived)} read",
        f"read by the agent later than the earliest around it, the device's own lateness included: {_told(late_ms)}",
        f"worst, says the program: {figure(metrics.send_worst_ms)}",
    ]
    return rows, lines


def lateness_ms(arrived: list[int]) -> list[float]:
    """Returns each message's lateness relative to a steady clock, which the earliest adjacent messages set."""
    offsets = [at_ns - number * BLOCK_NS for number, at_ns in enumerate(arrived)]
    return [
        (offset - min(offsets[max(number - _AROUND, 0) : number + _AROUND + 1])) / 1e6
        for number, offset in enumerate(offsets)
    ]


def _is_user_audio(event: e.SessionEvent) -> bool:
    return isinstance(event, e.MessageLogged) and event.direction is e.Direction.SENT and event.audio_ms > 0


def _told(values: list[float]) -> str:
    if not values:
        return "–"
    return f"p50 {figure(nearest_rank(values, 0.5))}, p99 {figure(nearest_rank(values, 0.99))}"
