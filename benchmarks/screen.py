"""What the screen costs: first picture, processor, frames of a long log, searching, memory.

Run ``python benchmarks/screen.py`` from the root, all of it or the parts you name, ``--quick`` for a look; it prints
a Markdown table. Needs Linux, tmux and pulseaudio. What is judged are ratios within one run, or shares of a core;
a part during which the host took more than 1 % of the processors away is shown and not judged.
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
from benchmarks.screen_parts import first_paint, frames, live_call, long_session, searching

PARTS: dict[str, Callable[..., Iterator[Measured]]] = {
    "paint": first_paint.measure,
    "frames": frames.measure,
    "search": searching.measure,
    "call": live_call.measure,
    "hour": long_session.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is named"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds and short calls")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose of {', '.join(PARTS)}")
    print("| what | measured | bound | verdict |")
    print("| --- | --- | --- | --- |")
    for name in asked.parts or PARTS:
        steal, began = Steal(), perf_counter()
        for measured in PARTS[name](quick=asked.quick):
            print(measured.row(steal.share), flush=True)
        print(f"{name}: {perf_counter() - began:.0f} s, stolen {steal.share:.2%}", file=sys.stderr)


if __name__ == "__main__":
    main()
