"""Memory that the engine and the local agent hold after many calls, and what new calls cost those under way.

Run ``python benchmarks/memory.py`` from the root, all of it or the parts you name, ``--quick`` for a look; it prints
a Markdown table. Needs Linux and pulseaudio. A part during which the host took more than 1 % of the processors away
is shown and not judged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# a script finds what is in its own folder; the program is in the root
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
