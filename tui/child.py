"""Starts modules of this package in a separate Python process. Uses only the standard library.

``python -m`` would look for modules in the current directory first, and run a ``numpy.py`` or
``tui/`` that it finds there.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parent.parent)


def child_command(module: str, *arguments: str) -> list[str]:
    """Returns the command line that runs a module of this package, whatever the current directory is."""
    # -P keeps the current directory and that of the script out of sys.path.
    return [sys.executable, "-P", str(Path(_ROOT, "tui", "child.py")), module, *arguments]


def _run() -> None:
    """Runs in the child process. Finds this package next to this file, even in a clone that is not installed."""
    if _ROOT not in sys.path:
        sys.path.insert(0, _ROOT)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run()
