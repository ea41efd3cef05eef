"""Runs `opusagent-tui load` against a server with planted limits, in real processes, and judges its summary."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measuring import Measured
from tests.e2e.terminal import PROGRAM, ROOT
from tests.load.serving import short_scenario

WORKERS, FEW_CALLERS = 2, 4
TURNS_IN_A_CALL = 4
RAMP_S, HOLD_S, SHORT_RUN_S = 80.0, 40.0, 60.0
MOST_KNEE_ERROR = 5
PAUSE_S, PAUSE_EVERY_S = 0.3, 2.0
LEAK_MS_PER_S, MOST_LEAK_ERROR = 5.0, 0.2


def knee(limit: int, users: int, *, quick: bool) -> Iterator[Measured]:
    """Yields the knee found at a server that answers 600 ms later above ``limit`` simultaneous calls."""
    ramp_s = RAMP_S / 2 if quick else RAMP_S
    summary = load_test(
        ("--slow-above", str(limit)), users=users, spawn_rate=users / ramp_s, run_time_s=ramp_s + HOLD_S
    )
    found = summary["knee"]
    what = f"knee at a server that is slow above {limit} calls, {users} callers"
    bound = f"{limit} ± {MOST_KNEE_ERROR} calls"
    if found is None:
        yield Measured(what, summary["generator_limit"] or "none", bound, False)
        return
    yield Measured(
        what,
        f"{found['calls']} calls ({found['below_ms']:,.0f} ms up to there, {found['above_ms']:,.0f} ms beyond)",
        bound,
        abs(found["calls"] - limit) <= MOST_KNEE_ERROR,
    )
    yield _accounted_for(summary)
    yield Measured("turns left out", _left_out(summary["not_trusted"], summary["response"]["count"]))


def slow_worker(*, quick: bool) -> Iterator[Measured]:
    """Yields the turns left out of each worker's figures, first with no pauses, then while one is paused."""
    run_time_s = SHORT_RUN_S / 2 if quick else SHORT_RUN_S
    for pauses in (False, True):
        summary = load_test(
            run_time_s=run_time_s, meanwhile=_pause_last_worker if pauses else lambda program: None
        )
        counts = sorted((each["turns_not_trusted"], each["turns"]) for each in summary["workers"])
        shown = ", ".join(f"{late} of {turns}" for late, turns in counts)
        (fewest, _), (most, _) = counts[0], counts[-1]
        if not pauses:
            yield Measured("turns left out, by worker: no worker was paused", shown, "0", most == 0)
            continue
        what = (
            f"turns left out: one worker was paused for {PAUSE_S * 1_000:.0f} ms every {PAUSE_EVERY_S:.0f} s"
        )
        yield Measured(what, shown, "0, more than 0", fewest == 0 < most)
        counted = sum(late for late, _ in counts)
        yield Measured(
            "turns left out and counted in the summary",
            f"{summary['not_trusted']}",
            f"{counted}",
            summary["not_trusted"] == counted,
        )
        yield Measured("sentence of the summary", summary["generator_limit"] or "none")


def leak(*, quick: bool) -> Iterator[Measured]:
    """Yields the drift in response times, first without a leak, then with a server that becomes slower."""
    run_time_s = SHORT_RUN_S / 2 if quick else SHORT_RUN_S
    drift = load_test(run_time_s=run_time_s)["drift"]
    yield Measured(
        "drift without a leak", "none" if drift is None else json.dumps(drift), "none", drift is None
    )
    drift = load_test(("--leak-ms-per-s", str(LEAK_MS_PER_S)), run_time_s=run_time_s)["drift"]
    what = f"drift at a server that becomes slower by {LEAK_MS_PER_S:g} ms per second"
    bound = f"{LEAK_MS_PER_S:g} ms per second ± {MOST_LEAK_ERROR:.0%}"
    if drift is None:
        yield Measured(what, "none", bound, False)
        return
    apart_s = drift["minutes"] * 60
    slope = (drift["last_ms"] - drift["first_ms"]) / apart_s
    yield Measured(
        what,
        f"{slope:.1f} ms per second ({drift['first_ms']:,.0f} ms, {drift['last_ms']:,.0f} ms {apart_s:.0f} s later)",
        bound,
        abs(slope / LEAK_MS_PER_S - 1) <= MOST_LEAK_ERROR,
    )


def load_test(
    server_options: tuple[str, ...] = (),
    *,
    run_time_s: float,
    users: int = FEW_CALLERS,
    spawn_rate: float = FEW_CALLERS,
    meanwhile: Callable[[subprocess.Popen[bytes]], None] = lambda program: None,
) -> dict[str, Any]:
    """Returns the summary of a run with two workers. ``meanwhile`` is called with the running program."""
    with TemporaryDirectory() as folder, _server(*server_options) as url:
        scenario, summary_file = (
            short_scenario(Path(folder), turns=TURNS_IN_A_CALL),
            Path(folder, "summary.json"),
        )
        command = [*PROGRAM, "load", str(scenario), "--url", url, "--headless", "--json", str(summary_file)]
        command += ["--users", str(users), "--spawn-rate", str(spawn_rate), "--workers", str(WORKERS)]
        command += ["--run-time", f"{run_time_s:g}s"]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr) as program:
            meanwhile(program)
            program.wait()
        summary: dict[str, Any] = json.loads(summary_file.read_text())
    return summary


@contextmanager
def _server(*options: str) -> Iterator[str]:
    """Runs the server with planted limits; returns its URL."""
    command = [sys.executable, str(ROOT / "tests/load/server.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"ws://127.0.0.1:{int(server.stdout.readline())}/pcm"
        # The server prints its observations for the tests. Unread, they would fill the pipe and stop it.
        reading = threading.Thread(target=server.stdout.read)
        reading.start()
        try:
            yield url
        finally:
            server.terminate()
            reading.join()


def _pause_last_worker(program: subprocess.Popen[bytes]) -> None:
    """Stops the process of the last worker for a moment every few seconds, until the program ends."""
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children")
    while program.poll() is None:
        time.sleep(PAUSE_EVERY_S)
        processes = children.read_text().split() if children.exists() else []
        # The master and its workers; a worker ends shortly before the program does.
        if len(processes) == 1 + WORKERS:
            worker = os.pidfd_open(int(processes[-1]))
            try:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(worker, signal.SIGSTOP)
                    time.sleep(PAUSE_S)
            finally:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(worker, signal.SIGCONT)
                os.close(worker)


def _accounted_for(summary: dict[str, Any]) -> Measured:
    ended = summary["completed"] + summary["failed"] + summary["stopped"]
    return Measured(
        "calls accounted for",
        f"{ended:,} of {summary['calls']:,} ({summary['failed']:,} failed)",
        "all",
        ended == summary["calls"],
    )


def _left_out(late: int, measured: int) -> str:
    return f"{late:,} of {late + measured:,}"


PARTS: dict[str, Callable[..., Iterator[Measured]]] = {"worker": slow_worker, "leak": leak}
