"""Tests that a process of a load test ends with the command that started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

STUBBORN = """
import signal, sys, threading
from tui.load.parent import end_with_parent
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
end_with_parent(0.05)
print("ready", flush=True)
while True:
    threading.Event().wait(0.01)
"""
WILLING = """
from tui.load.parent import end_with_parent
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
end_with_parent()
print("ready", flush=True)
while True:
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("code", "after", "ends_with"),
    [(STUBBORN, "interrupted\n", 130), (WILLING, "", 7)],
    ids=["ignored", "obeyed"],
)
def test_at_the_end_of_stdin_it_is_interrupted_and_ends_even_if_that_is_ignored(
    code: str, after: str, ends_with: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("what else comes is not read\n")
        process.stdin.flush()
        assert process.poll() is None
        process.stdin.close()
        assert process.stdout.read() == after
        assert process.wait() == ends_with
