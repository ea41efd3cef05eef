"""Tests that a process of a load test ends with the command that started it."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from tui.load.plan import LoadPlan, Role
from tui.load.processes import LoadProcesses
from tui.models.target import Target

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


@pytest.mark.parametrize(
    ("stops", "code", "words"),
    [(0, 70, "was killed (signal 9)"), (2, 130, "")],
    ids=["killed", "stopped twice"],
)
def test_a_killed_main_process_is_reported_unless_the_user_stopped_it_twice(
    monkeypatch: pytest.MonkeyPatch, stops: int, code: int, words: str
) -> None:
    monkeypatch.setattr("tui.child.child_command", lambda module: ["sleep", "600"])
    target = Target(url="ws://127.0.0.1:9/pcm", protocol="pcm")
    with LoadProcesses([LoadPlan(scenario="", target=target)]) as processes:
        for _ in range(stops):
            processes.stop()
        processes._processes[0].kill()
        assert processes.wait() == code
    assert words in processes.killed
    assert bool(processes.killed) == bool(words)


def test_ctrl_c_while_the_canary_calls_alone_waits_for_it_to_hang_up(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(7)); print('calls', flush=True)"
    )
    command = [sys.executable, "-c", f"{code}; signal.pause()"]
    monkeypatch.setattr("tui.child.child_command", lambda module: command)
    plan = LoadPlan(scenario="", target=Target(url="ws://127.0.0.1:9/pcm", protocol="pcm"), role=Role.CANARY)
    canaries: list[subprocess.Popen[bytes]] = []

    class Interrupted(LoadProcesses):
        def _start(self, plan: LoadPlan, *, is_read: bool) -> subprocess.Popen[bytes]:
            canary = super()._start(plan, is_read=is_read)
            assert canary.stdout is not None
            assert canary.stdout.readline() == b"calls\n"
            canary.stdout.close()
            canary.stdout = InterruptedPipe()
            canaries.append(canary)
            return canary

    with pytest.raises(KeyboardInterrupt), Interrupted([plan]):
        pass
    assert [canary.returncode for canary in canaries] == [7]


class InterruptedPipe(io.BytesIO):
    """A pipe that is being read when Ctrl+C is pressed."""

    def readline(self, size: int | None = -1, /) -> bytes:
        raise KeyboardInterrupt
