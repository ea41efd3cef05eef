"""What the screen costs: first picture, processor, frames of a long log, searching, memory.

Run ``python benchmarks/screen.py`` from the root, all of it or the parts you name, ``--quick`` for a look; it prints
a Markdown table. Needs Linux, tmux and pulseaudio. What is judged are ratios within one run, or shares of a core;
a part during which the host took more than 1 % of the processors away is shown and not judged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# a script finds what is in its own folder; the program is in the root
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
