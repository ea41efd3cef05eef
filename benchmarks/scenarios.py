"""Measures the timing precision of scenarios for a line due "600 ms after the agent is heard", on the saved tracks.

Both recordings, the agent's greeting and the caller's line, are found on the tracks sample for sample, so
that no detector is involved in the measurement. ``--quick`` makes fewer calls.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import Measured, run_parts
from numpy.typing import NDArray

from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.assets import caller_lines, prompts
from tui.audio.wav import read_wav
from tui.scenario.lines import spoken_line

ASKED_MS = 600.0
BOUND_MS = 10.0
LINE = "interrupt"
MARGIN_S = 0.5
"""Length in seconds of the beginning of each recording that is searched for.

A barge-in cuts off the rest of the greeting.
"""
PLANNED = "tool none within 1 ms"
SCENARIO = f"""
[[step]]
say = "{LINE}"
when = "agent speaks + {ASKED_MS:g}ms"
[[step]]
silence = "1s"
# It always fails, so that the session is kept.
[[step]]
expect = "tool none"
within = "1ms"
[[step]]
hang_up = true
"""


class Calls(NamedTuple):
    """The calls made by one run of the command."""

    errors_ms: list[float]
    count: int
    untrusted: list[str]
    """Reasons why timings of runs were not trusted."""
    took_s: float


def hold(url: str, folder: Path, *, jobs: int, calls: int) -> Calls:
    """Plays the scenario with the command, and measures all its sessions."""
    path, sessions = folder / "timed.call.toml", folder / f"jobs-{jobs}"
    path.write_text(SCENARIO)
    command = [sys.executable, "-m", "tui", "test", str(path), "--url", url, "--protocol", "audiocodes"]
    command += ["--jobs", str(jobs), "--repeat", str(calls), "--save", str(sessions), "--json", "-"]
    began_s = time.monotonic()
    ran = subprocess.run(command, capture_output=True, check=False)
    took_s = time.monotonic() - began_s
    if ran.returncode not in (0, 1):
        sys.exit(ran.stderr.decode())
    (scenario,) = json.loads(ran.stdout)["scenarios"]
    untrusted = [why for run in scenario["runs"] if (why := _untrusted(run))]
    errors_ms = [error_ms(Path(run["session"])) for run in scenario["runs"] if run["session"]]
    return Calls(errors_ms, len(scenario["runs"]), untrusted, took_s)


def _untrusted(run: dict[str, Any]) -> str:
    unmeasured = [case["reason"] for case in run["cases"] if case["verdict"] == "not measured"]
    return str(run["late"] or run["unreachable"] or next(iter(unmeasured), ""))


def error_ms(session: Path) -> float:
    """Returns how much later than specified the line was audible, in ms."""
    with wave.open(str(session / "audio.wav")) as file:
        rate = file.getframerate()
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).astype(np.float64)
    line = next(line for line in caller_lines() if line.name == LINE)
    greeting = prompts()["greeting"]
    spoke_ms = _begins_ms(both[:, 0], line.path, rate) + spoken_line(line.path).onset_ns / 1e6
    heard_ms = _begins_ms(both[:, 1], greeting.path, rate) + spoken_line(greeting.path).onset_ns / 1e6
    return spoke_ms - heard_ms - ASKED_MS


def _begins_ms(track: NDArray[np.float64], recording: Path, rate: int) -> float:
    """Returns where a recording begins on a track."""
    onset = spoken_line(recording).onset_ns * rate // 1_000_000_000
    known = np.frombuffer(read_wav(recording, rate), "<i2")[: onset + int(MARGIN_S * rate)].astype(np.float64)
    size = 1 << (len(track) + len(known)).bit_length()
    found = np.fft.irfft(np.fft.rfft(track, size) * np.conj(np.fft.rfft(known, size)), size)
    at = int(np.argmax(found[: len(track)]))
    return at * 1000 / rate


def _measured(jobs: int, calls: int) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory() as name, start_agent(AgentSettings()) as agent:
        held = hold(agent.url("/audiocodes"), Path(name), jobs=jobs, calls=calls)
    errors_ms = np.abs(held.errors_ms)
    what = f"`--jobs {jobs}`, {held.count} calls in {held.took_s:.0f} s"
    p50, p95, worst = (float(np.percentile(errors_ms, share)) for share in (50, 95, 100))
    figures = f"{p50:.1f}, {p95:.1f}, {worst:.1f} ms"
    yield Measured(
        f"{what}: scheduling error p50, p95, worst", figures, f"p95 {BOUND_MS:g} ms", p95 <= BOUND_MS
    )
    trusted = f"{held.count - len(held.untrusted)} of {held.count}"
    yield Measured(f"{what}: runs whose timings are all trusted", trusted, "all", not held.untrusted)
    for why in dict.fromkeys(held.untrusted):
        print(why, file=sys.stderr)


def alone(*, quick: bool) -> Iterator[Measured]:
    """Measures calls made one after another."""
    yield from _measured(1, 4 if quick else 16)


def together(*, quick: bool) -> Iterator[Measured]:
    """Measures eight simultaneous calls."""
    yield from _measured(8, 16 if quick else 64)


if __name__ == "__main__":
    run_parts({"alone": alone, "together": together}, __doc__ or "", "fewer calls")
