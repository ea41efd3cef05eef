"""Measures the memory of the engine and the local agent after many calls, and how new calls affect current ones.

Run ``python benchmarks/memory.py`` from the root folder, optionally with the names of the parts to run;
``--quick`` shortens the run. It prints a Markdown table. Requires Linux and PulseAudio. A part during which
the host took away more than 1 % of CPU time is shown but not judged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# a script can import only from its own folder, but the program is in the root folder
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import Measured, run_parts
from benchmarks.memory_parts import many_callers, many_calls, starting_calls

PARTS: dict[str, Callable[..., Iterator[Measured]]] = {
    "engine": many_calls.measure,
    "agent": many_callers.measure,
    "gap": starting_calls.measure,
}

if __name__ == "__main__":
    run_parts(PARTS, __doc__, "few calls and short waits")
