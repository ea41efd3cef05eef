"""Measures the time from the agent's interrupt signal to silence at the speaker."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping

import numpy as np

from benchmarks.call_parts.agent import Agent, Call
from benchmarks.call_parts.devices import RATE, Recorder
from benchmarks.call_parts.loss import coded
from benchmarks.call_parts.program import call
from benchmarks.call_parts.result import judged
from benchmarks.call_parts.truth import silent_from
from benchmarks.measuring import Measured
from tui.models import events as e
from tui.models.turns.turns import nearest_rank

ONE_BLOCK_MS = 20.0
_REST_S = 0.8
_REPLY_S = 4.0
_REST_FRAMES = RATE // 2
_BEFORE_FRAMES = RATE // 20
_SAME_NS = 500_000_000


class Interrupting:
    """The agent's script: sends speech at different paces, and interrupts it in the middle."""

    def __init__(self, times: int) -> None:
        self.signals_ns: list[int] = []
        """The time at which each interrupt was sent."""
        self.done = False
        self._times = times
        self._dice = random.Random(3)

    async def __call__(self, call: Call) -> None:
        """Interrupts itself the given number of times."""
        for number in range(self._times):
            reply = coded(_REPLY_S, 10 + number)
            saying = asyncio.ensure_future(call.say(reply, pace=(1.0, 4.0, 100.0)[number % 3]))
            await asyncio.sleep(self._dice.uniform(0.8, 1.6))
            saying.cancel()
            self.signals_ns.append(await call.tell(type="interrupt"))
            await asyncio.sleep(_REST_S)
        self.done = True


def measure(environment: Mapping[str, str], times: int) -> tuple[list[Measured], list[str]]:
    """Measures ``times`` barge-ins in one call; returns rows for the table and a line for each barge-in."""
    script = Interrupting(times)
    with Agent(script) as agent, Recorder(environment) as recorder, call(environment, agent.url) as held:
        while not script.done:
            time.sleep(0.1)
    tracks = recorder.tracks()
    flushes = [event for event in held.events if isinstance(event, e.Flushed) and event.by_agent]
    truths: list[float] = []
    errors: list[float] = []
    lines: list[str] = []
    for number, signal_ns in enumerate(script.signals_ns):
        signal = tracks.frame_of(signal_ns)
        silent = silent_from(tracks.speaker, signal, _REST_FRAMES)
        if silent is None or not np.any(tracks.speaker[signal - _BEFORE_FRAMES : signal]):
            lines.append(f"{number:3} nothing played at the signal")
            continue
        true_ms = (tracks.ns_of(silent) - signal_ns) / 1e6
        truths.append(true_ms)
        said_ms = _said_ms(flushes, signal_ns)
        if said_ms is not None:
            errors.append(said_ms - true_ms)
        lines.append(f"{number:3} silent {true_ms:6.1f} ms after the signal; the program says {said_ms}")
    idle = times - len(truths)
    whole = f"of {len(truths)}" + (f"; at {idle} nothing played" if idle else "")
    return [
        judged(
            "agent's signal → silence at the speaker, median",
            _share(truths, 0.5),
            30,
            told=whole,
        ),
        judged("agent's signal → silence at the speaker, p95", _share(truths, 0.95), 60),
        judged(
            "the same on the screen, worst error",
            _worst(errors, len(truths)),
            ONE_BLOCK_MS,
            told=f"of {len(errors)}",
        ),
    ], lines


def _said_ms(flushes: list[e.Flushed], signal_ns: int) -> float | None:
    """Returns the program's figure for the time from the signal's arrival to silence."""
    near = [flush for flush in flushes if flush.asked_ns and 0 <= flush.asked_ns - signal_ns < _SAME_NS]
    if not near or near[0].silent_ns is None or near[0].asked_ns is None:
        return None
    return (near[0].silent_ns - near[0].asked_ns) / 1e6


def _share(values: list[float], share: float) -> float | None:
    return nearest_rank(values, share) if values else None


def _worst(errors: list[float], times: int) -> float | None:
    return max(map(abs, errors)) if len(errors) == times else None
