"""Compares the program's figures for a live call with recordings: latencies, losses, echo, wire, barge-in.

Run ``python benchmarks/call.py all`` from the root folder, or a part: ``turns``, ``loss``, ``echo``,
``wire``, ``barge-in``, ``calibrate``. ``--quick`` shortens every part. The real program runs in tmux on
virtual sound devices (PulseAudio), including its engine and PortAudio, in calls with a scripted agent whose
delays and audio are known. Both devices are channels of the same sink, which is recorded. Requires everything
that the end-to-end tests require, and a C compiler for ``calibrate``.

Exit codes: 0 all bounds were met; 1 a bound was missed; 2 a call failed; 3 the host took away more than 1 %
of CPU time, so the run cannot be judged.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

# a script can import only from its own folder, but the program is in the root folder
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.call_parts import barge_in, calibrate, echo, loss, turns, wire
from benchmarks.call_parts.devices import devices
from benchmarks.call_parts.machine import awake
from benchmarks.measuring import MAX_STEAL, Measured, Steal

Part = Callable[[Mapping[str, str]], tuple[list[Measured], list[str]]]


def main() -> int:
    """Runs the requested parts; returns the exit code."""
    asked = _arguments()
    code = 0
    began_s = perf_counter()
    print("| what | measured | bound | |\n| --- | --: | --: | --- |", flush=True)
    for name, part in _parts(asked).items():
        if asked.part not in (name, "all"):
            continue
        with awake(), devices() as environment:
            steal = Steal()
            try:
                rows, lines = part(environment)
            except (AssertionError, OSError, RuntimeError, subprocess.SubprocessError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 2
            stolen = steal.share
        for row in rows:
            print(row.row(stolen), flush=True)
        if asked.verbose:
            load = f"{stolen:.2%} of the processors' time stolen, load average {os.getloadavg()[0]:.1f}"
            print(f"{name}: {load}, {perf_counter() - began_s:.0f} s since the beginning", file=sys.stderr)
            print(*lines, sep="\n", file=sys.stderr)
        missed = any(row.holds is False for row in rows)
        code = 3 if stolen > MAX_STEAL else code or int(missed)
    return code


def _parts(asked: argparse.Namespace) -> dict[str, Part]:
    quick = asked.quick
    return {
        "turns": lambda env: turns.measure(env, asked.turns or (12 if quick else 100)),
        "loss": lambda env: loss.measure(env, asked.minutes or (0.5 if quick else 10)),
        "echo": lambda env: echo.measure(env, asked.seconds or (8 if quick else 30)),
        "wire": lambda env: wire.measure(env, asked.seconds or (15 if quick else 60)),
        "calibrate": lambda _: calibrate.measure(
            asked.seconds or (30 if quick else 60), asked.turns or (8 if quick else 24)
        ),
        "barge-in": lambda env: barge_in.measure(env, asked.times or (9 if quick else 60)),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["turns", "loss", "echo", "wire", "barge-in", "calibrate", "all"])
    parser.add_argument("--quick", action="store_true", help="a short run of each")
    parser.add_argument("--turns", type=int, help="how many turns (turns, calibrate)")
    parser.add_argument("--minutes", type=float, help="how long a call (loss)")
    parser.add_argument("--seconds", type=float, help="how long a call (echo, wire, calibrate)")
    parser.add_argument("--times", type=int, help="how many barge-ins (barge-in)")
    parser.add_argument("--verbose", action="store_true", help="tell on stderr what the rows are made of")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
