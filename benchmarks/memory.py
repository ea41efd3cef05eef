"""Memory that the engine and the local agent hold after many calls, and what new calls cost those under way.

Run ``python benchmarks/memory.py`` from the root, all of it or the parts you name, ``--quick`` for a look; it prints
a Markdown table. Needs Linux and pulseaudio. A part during which the host took more than 1 % of the processors away
is shown and not judged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

# a script finds what is in its own folder; the program is in the root
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import Measured, Steal
from benchmarks.memory_parts import many_callers, many_calls, starting_calls

PARTS: dict[str, Callable[..., Iterator[Measured]]] = {
    "engine": many_calls.measure,
    "agent": many_callers.measure,
    "gap": starting_calls.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all if none is named"
    )
    parser.add_argument("--quick", action="store_true", help="few calls and short waits")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    print("| what | measured | bound | verdict |")
    print("| --- | --- | --- | --- |")
    for name in asked.parts or PARTS:
        steal, began = Steal(), perf_counter()
        for measured in PARTS[name](quick=asked.quick):
            print(measured.row(steal.share), flush=True)
        print(f"{name}: {perf_counter() - began:.0f} s, stolen {steal.share:.2%}", file=sys.stderr)


if __name__ == "__main__":
    main()
