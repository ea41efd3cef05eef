"""Measures the mouth-to-ear delay through the program and an echoing agent, against PortAudio alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.call_parts.agent import Agent, Call
from benchmarks.call_parts.devices import RATE, Recorder, Tracks, speak
from benchmarks.call_parts.loss import coded
from benchmarks.call_parts.program import call
from benchmarks.call_parts.result import figure, judged
from benchmarks.call_parts.truth import find
from benchmarks.measuring import Measured
from tui.models import events as e
from tui.models.turns.turns import nearest_rank

BLOCK_MS, LATENCY = 20, "low"
MOST_MORE_MS = 25.0
_PROBE_FRAMES, _STEP_FRAMES = RATE // 4, RATE // 2
_LONGEST_FRAMES = RATE


async def _echo(call: Call) -> None:
    # A speaker is opened for the first reply. Audio that arrived while it was being opened would delay all
    # later audio.
    await call.say(coded(0.5, 3))
    await call.tell(type="end")
    await call.echo()


def measure(environment: Mapping[str, str], seconds: float) -> tuple[list[Measured], list[str]]:
    """Measures both for ``seconds``; returns rows for the table and lines with details."""
    bare = _bare(environment, seconds)
    with (
        Agent(_echo) as agent,
        Recorder(environment) as recorder,
        call(environment, agent.url, LATENCY) as held,
    ):
        held.record()
        speak(environment, coded(seconds, 1)).wait()
        time.sleep(1)
    delays, bare_delays = delays_ms(recorder.tracks()), delays_ms(bare)
    prebuffer_ms = _stated_prebuffer_ms(held.events)
    lines = [f"bare: {_spread(bare_delays)}", f"program: {_spread(delays)}"]
    lines.append(f"losses counted: {held.shown().losses}")
    if not delays or not bare_delays or prebuffer_ms is None:
        return [judged("mouth to ear: beyond bare PortAudio and the prebuffer", None, MOST_MORE_MS)], lines
    # A late block permanently lengthens the bare echo's queue, so its minimum is PortAudio's own delay.
    bare_ms, whole_ms = min(bare_delays), nearest_rank(delays, 0.5)
    told = f"{figure(whole_ms)} = bare {figure(bare_ms)} + prebuffer {figure(prebuffer_ms)} + rest"
    more_ms = whole_ms - bare_ms - prebuffer_ms
    return [
        judged("mouth to ear: beyond bare PortAudio and the prebuffer", more_ms, MOST_MORE_MS, told=told)
    ], lines


def _bare(environment: Mapping[str, str], seconds: float) -> Tracks:
    command = [sys.executable, str(Path(__file__).parent / "bare_echo.py"), str(BLOCK_MS), LATENCY]
    with Recorder(environment) as recorder:
        echo = subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **environment})
        time.sleep(1)
        speak(environment, coded(seconds, 1)).wait()
        time.sleep(1)
        echo.communicate()
    return recorder.tracks()


def delays_ms(tracks: Tracks) -> list[float]:
    """Returns the delay from microphone to speaker for every half second that the speaker repeated."""
    found: list[float] = []
    loud = np.flatnonzero(tracks.microphone)
    # The first second is skipped, because a stream and a reply start in it.
    for start in range(int(loud[0]) + RATE, int(loud[-1]) - _PROBE_FRAMES, _STEP_FRAMES):
        probe = tracks.microphone[start : start + _PROBE_FRAMES]
        at = find(tracks.speaker, probe, start, start + _PROBE_FRAMES + _LONGEST_FRAMES)
        if at is not None:
            found.append((at - start) * 1000 / RATE)
    return found


def _stated_prebuffer_ms(events: list[e.SessionEvent]) -> float | None:
    """Returns the program's figure for how long the last reply waited between its arrival and the device."""
    begun = [event for event in events if isinstance(event, e.PlaybackStarted)]
    if not begun or begun[-1].handed_ns is None or begun[-1].arrived_ns is None:
        return None
    return (begun[-1].handed_ns - begun[-1].arrived_ns) / 1e6


def _spread(delays: list[float]) -> str:
    if not delays:
        return "nothing came back"
    parts = (min(delays), nearest_rank(delays, 0.5), max(delays))
    return f"{len(delays)} times, least, median, most: " + ", ".join(f"{part:.1f} ms" for part in parts)
