"""Starts modules of this package in separate Python processes.

Uses only the standard library. Plain ``python -m`` would search the current directory first, and run any
``numpy.py`` or ``tui/`` there.
"""

from __future__ import annotations

import os
import runpy
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_ROOT = str(Path(__file__).resolve().parent.parent)


def child_command(module: str, *arguments: str) -> list[str]:
    """Returns the command line that runs a module of this package from any current directory."""
    # -P keeps the current directory and the script's directory out of sys.path.
    return [sys.executable, "-P", str(Path(_ROOT, "tui", "child.py")), module, *arguments]


def start_child(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Starts a module of this package with pipes as stdin and stdout, in a new session.

    The new session keeps signals from the terminal away from the child. ``options`` are those of
    `subprocess.Popen`.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(child_command(module, *arguments), start_new_session=True, **{**pipes, **options})


def read_line(child: subprocess.Popen[bytes], timeout_s: float) -> bytes:
    """Returns the next line that the child prints. Raises `TimeoutError`, `EOFError` or another `OSError`."""
    assert child.stdout is not None
    descriptor = child.stdout.fileno()
    deadline_s = time.monotonic() + timeout_s
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([descriptor], [], [], max(deadline_s - time.monotonic(), 0))
        if not readable:
            raise TimeoutError
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            raise EOFError
        line += piece
    return line


def _run() -> None:
    """Runs a module in the child process. Imports this package from next to this file, even if not installed."""
    if _ROOT not in sys.path:
        sys.path.insert(0, _ROOT)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run()
