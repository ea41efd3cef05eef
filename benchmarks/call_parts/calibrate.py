"""Tests whether calibration finds a device delay that the driver does not report, and how accurate figures are."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

import msgspec

from benchmarks.call_parts.agent import Agent
from benchmarks.call_parts.devices import Recorder, devices, speak, with_cable
from benchmarks.call_parts.program import call
from benchmarks.call_parts.result import judged
from benchmarks.call_parts.turns import AGREE_TO_MS, Answering, Comparison, plan, spoken, truths
from benchmarks.measuring import Measured
from tests.e2e.terminal import ROOT
from tui.audio.calibration import Calibration

LATE_MS = 37.0
_FOUND_TO_MS, _EXACT_TO_MS = 3.0, 5.0
_LATENCY = "0.1"


def measure(seconds: float, turns: int, *, seed: int = 1) -> tuple[list[Measured], list[str]]:
    """Calibrates devices with and without the delay, then makes a call with it.

    Returns rows and a description of the results.
    """
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="call-bench-") as state:
        found: list[Calibration] = []
        for late_ms in (0.0, LATE_MS):
            with devices(late_ms) as environment:
                own = {**environment, "XDG_STATE_HOME": f"{state}/{late_ms:g}"}
                # While the recorder runs, the sink renders in small steps, as during the call.
                with Recorder(environment):
                    found.append(_calibrate(with_cable(own), seconds))
                lines.append(f"{late_ms:g} ms: {found[-1]}")
                comparison = _hold(own, turns, seed) if late_ms else Comparison()
    lines += comparison.lines
    without, late = (each.unstated_ms for each in found)
    off_ms = None if without is None or late is None else abs(late - without - LATE_MS)
    told = "" if late is None or without is None else f"found {late - without:.1f} ms"
    return [
        judged(f"an injected device delay of {LATE_MS:g} ms: off by", off_ms, _FOUND_TO_MS, told=told),
        comparison.responses.row("response latency with calibration, worst error", _EXACT_TO_MS),
        comparison.again.row("the same, measured again from the saved session", _EXACT_TO_MS),
        comparison.apart.row("difference between the saved session and the screen", AGREE_TO_MS),
    ], lines


def _calibrate(environment: Mapping[str, str], seconds: float) -> Calibration:
    command = [sys.executable, "-m", "tui", "calibrate", "--protocol", "pcm", "--latency", _LATENCY, "--json"]
    command += ["--seconds", f"{seconds:g}"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env={**os.environ, **environment})
    if done.returncode:
        raise RuntimeError(f"calibrate failed: {done.stdout!r} {done.stderr.decode(errors='replace')}")
    return msgspec.json.decode(done.stdout, type=Calibration)


def _hold(environment: Mapping[str, str], turns: int, seed: int) -> Comparison:
    comparison = Comparison()
    steps = plan(turns, random.Random(seed))
    user, starts = spoken(steps)
    script = Answering(steps, starts)
    with (
        Agent(script) as agent,
        Recorder(environment) as recorder,
        call(environment, agent.url, latency=_LATENCY) as held,
    ):
        held.record()
        began_ns = time.monotonic_ns()
        speak(environment, user).wait()
    tracks = recorder.tracks()
    comparison.add(steps, truths(steps, starts, tracks, began_ns), tracks, script, held)
    return comparison
