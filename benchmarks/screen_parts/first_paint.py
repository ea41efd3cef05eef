"""Measures the time from process start to the first complete paint, relative to a bare Textual application."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.measuring import Measured

MAX_RATIO = 1.5
ROUNDS, QUICK_ROUNDS = 15, 4
SIZE = (120, 40)
LIMIT_S = 20.0
PROGRAM = (sys.executable, "-m", "tui")
BARE = "bare"
WAYS: dict[str, tuple[tuple[str, ...], bytes]] = {
    BARE: ((sys.executable, str(Path(__file__).with_name("bare_app.py"))), b"ready"),
    "`opusagent-tui`, the connect screen": (PROGRAM, b"All"),
    "`opusagent-tui connect URL`": (
        (*PROGRAM, "connect", "ws://127.0.0.1:9/audiocodes", "--no-save"),
        b"Quit",
    ),
    "`opusagent-tui demo`": ((*PROGRAM, "demo", "--no-save"), b"Quit"),
}
"""What to start: the command, and the end of the lowest line of its first complete paint."""


def measure(*, quick: bool) -> Iterator[Measured]:
    """Yields the ratio of the medians for each way to start."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "PYTHONDONTWRITEBYTECODE": "",  # installed programs have bytecode, like Textual
            "PYTHONPATH": str(Path.cwd()),
            "XDG_CONFIG_HOME": home,
            "XDG_DATA_HOME": home,
            # An installed program runs from bytecode. Without it, each start would compile all modules, and the
            # ratio would depend on the length of their source.
            "PYTHONPYCACHEPREFIX": home,
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for number in range((QUICK_ROUNDS if quick else ROUNDS) + 1):
            for way, (command, last) in WAYS.items():
                taken = first_paint_s(command, last, environment)
                if number:  # in the first run, files may have to be read from disk
                    seconds[way].append(taken)
    medians = {way: statistics.median(times) for way, times in seconds.items()}
    bare = medians.pop(BARE)
    for way, median in medians.items():
        ratio = median / bare
        yield Measured(
            f"first paint: {way}",
            f"{ratio:.2f} times ({median * 1000:.0f} ms against {bare * 1000:.0f} ms)",
            f"{MAX_RATIO} times a bare Textual app",
            ratio <= MAX_RATIO,
        )


def first_paint_s(command: tuple[str, ...], last: bytes, environment: dict[str, str]) -> float:
    """Returns the seconds from the start of the process to its first paint.

    The process has ended when this returns.
    """
    began = perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, environment)
    width, height = SIZE
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    try:
        _read_until(terminal, last)
        return perf_counter() - began
    finally:
        os.kill(pid, signal.SIGTERM)
        _read_until_closed(terminal)
        os.close(terminal)
        os.waitpid(pid, 0)


def _read_until(terminal: int, last: bytes) -> None:
    painted = b""
    until = perf_counter() + LIMIT_S
    while last not in painted:
        ready, _, _ = select.select([terminal], [], [], max(until - perf_counter(), 0))
        if not ready:
            raise TimeoutError(f"{last!r} was not painted within {LIMIT_S:g} s: {painted[-500:]!r}")
        painted += os.read(terminal, 65_536)


def _read_until_closed(terminal: int) -> None:
    with contextlib.suppress(OSError):  # a pseudo-terminal ends with this error
        while os.read(terminal, 65_536):
            pass
