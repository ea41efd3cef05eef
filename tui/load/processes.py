"""Starts the processes of a load test, and makes sure that all of them end."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import msgspec

from tui.child import start_child
from tui.exit_code import ExitCode
from tui.load.plan import LoadPlan, Role

_END_S = 16.0
"""Time limit, in seconds, for the workers to end after their master; they have to hang up first."""


def free_port() -> int:
    """Returns a free port on the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class LoadProcesses:
    """The processes of a load test, which run for the duration of a ``with`` block.

    The first process is the master of the others. A canary starts before all others and first measures the
    agent's responses alone.

    With ``captures``, the first process prints to a pipe, which the caller reads with `lines`. All methods
    may be called from any thread.
    """

    def __init__(self, plans: Sequence[LoadPlan], *, captures: bool = False) -> None:
        self._plans = plans
        self._captures = captures
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stops = 0
        self._canary: subprocess.Popen[bytes] | None = None
        self.killed = ""
        """Sentence about the first process, if something other than `stop` killed it; set by `wait`."""

    def __enter__(self) -> Self:
        canaries = [plan for plan in self._plans if plan.role is Role.CANARY]
        for plan in canaries:
            self._canary = self._start(plan, is_read=True)
            assert self._canary.stdout is not None
            try:
                self._canary.stdout.readline()
            except KeyboardInterrupt:
                # The block is not entered, so `__exit__` is not called. The canary hangs up and writes its record
                # into a folder that the caller deletes next.
                self._canary.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._canary.wait(_END_S)
                self.__exit__()
                raise
        for plan in self._plans:
            if plan.role is not Role.CANARY:
                self._processes.append(self._start(plan, is_read=self._captures and not self._processes))
        return self

    def _start(self, plan: LoadPlan, *, is_read: bool) -> subprocess.Popen[bytes]:
        # In a new session, so that Ctrl+C reaches only the master, which makes the workers hang up and report.
        process = start_child("tui.load", stdout=subprocess.PIPE if is_read else None)
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(plan) + b"\n")
        process.stdin.flush()
        return process

    def __exit__(self, *_: object) -> None:
        for process in (*self._processes, *filter(None, [self._canary])):
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def stop(self) -> None:
        """Hangs up every call and ends the test. If called again, kills the processes."""
        self._stops += 1
        self._processes[0].send_signal(signal.SIGINT if self._stops == 1 else signal.SIGKILL)

    def lines(self) -> Iterator[str]:
        """Yields the lines that the first process prints, until it ends."""
        output = self._processes[0].stdout
        assert output is not None
        for line in output:
            yield line.decode(errors="replace").rstrip("\n")

    def wait(self) -> int:
        """Waits until all processes have ended; returns the first process's exit code, or 70 if it was killed."""
        first, *workers = self._processes
        code = first.wait()
        if self._canary is not None:
            self._canary.send_signal(signal.SIGINT)
            workers.append(self._canary)
        until_s = time.monotonic() + _END_S
        for worker in workers:
            if code < 0 or code in (ExitCode.CRASHED, ExitCode.INTERRUPTED):
                worker.send_signal(signal.SIGINT)  # they did not end with their master
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(max(until_s - time.monotonic(), 0))
        if code >= 0:
            return code
        if self._stops > 1:
            return ExitCode.INTERRUPTED
        self.killed = f"The load test's main process was killed (signal {-code}), so there is no summary."
        return ExitCode.CRASHED


def run(plans: Sequence[LoadPlan]) -> int:
    """Runs a process for each plan until all have ended; returns the exit code of the first process.

    Ctrl+C, SIGTERM and SIGHUP end the calls properly; a second signal ends the processes immediately.
    """
    with LoadProcesses(plans) as processes, _passed_on(processes):
        code = processes.wait()
    if processes.killed:
        sys.stderr.write(f"{processes.killed}\n")
    return code


@contextmanager
def _passed_on(processes: LoadProcesses) -> Iterator[None]:
    """Stops the processes when this process receives a signal that would end it."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {
        each: signal.signal(each, lambda *_: processes.stop())
        for each in signals
        if signal.getsignal(each) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
