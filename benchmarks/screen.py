"""Measures the cost of the screen: first paint, CPU use, frames of a long log, searching, memory.

Run ``python benchmarks/screen.py`` from the root folder, optionally with the names of the parts to run;
``--quick`` shortens the run. It prints a Markdown table. Requires Linux, tmux and PulseAudio. Ratios within a
run and shares of a core are judged. A part during which the host took away more than 1 % of CPU time is shown
but not judged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# a script can import only from its own folder, but the program is in the root folder
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import Measured, run_parts
from benchmarks.screen_parts import first_paint, frames, live_call, long_session, searching

PARTS: dict[str, Callable[..., Iterator[Measured]]] = {
    "paint": first_paint.measure,
    "frames": frames.measure,
    "search": searching.measure,
    "call": live_call.measure,
    "hour": long_session.measure,
}

if __name__ == "__main__":
    run_parts(PARTS, __doc__, "few rounds and short calls")
