"""Measures the cost of saving a call, and the alignment of the two saved tracks.

Run ``python benchmarks/saving.py cost`` or ``alignment`` from the root folder. ``cost`` measures the CPU time
of an engine in calls that are alternately saved and not saved. ``alignment`` makes a call with the real
program in tmux on virtual sound devices, which are recorded, and finds every burst of sound on the devices
and on the saved tracks, sample by sample. Requires everything that the end-to-end tests require. Exit codes:
0 all bounds were met; 1 a bound was missed; 3 the host took away more than 1 % of CPU time, so the run cannot
be judged.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# a script can import only from its own folder, but the program is in the root folder
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.call_parts.devices import devices
from benchmarks.call_parts.machine import awake
from benchmarks.measuring import MAX_STEAL, Measured, Steal
from benchmarks.saving_parts import alignment, cost


def main() -> int:
    """Runs the requested part; returns the exit code."""
    asked = _arguments()
    steal = Steal()
    rows, lines = _measure(asked)
    stolen = steal.share
    print("| what | measured | bound | |\n| --- | --: | --: | --- |")
    for row in rows:
        print(row.row(stolen))
    if asked.verbose:
        print(f"{stolen:.2%} of the processors' time stolen", *lines, sep="\n", file=sys.stderr)
    return 3 if stolen > MAX_STEAL else int(any(row.holds is False for row in rows))


def _measure(asked: argparse.Namespace) -> tuple[list[Measured], list[str]]:
    if asked.part == "cost":
        return cost.measure(asked.rounds, asked.seconds)
    with awake(), devices() as environment:
        return alignment.measure(environment, asked.minutes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["cost", "alignment"])
    parser.add_argument("--rounds", type=int, default=6, help="pairs of calls (cost)")
    parser.add_argument("--seconds", type=float, default=20, help="measured of each call (cost)")
    parser.add_argument("--minutes", type=float, default=10, help="how long the call is (alignment)")
    parser.add_argument("--verbose", action="store_true", help="tell on stderr what the rows are made of")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
