"""Tests load tests with real processes: a master, its workers, and a server that counts its callers."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.terminal import PROGRAM
from tests.load.serving import Server, serving, short_scenario, silent_scenario
from tui.child import child_command
from tui.load.plan import LoadPlan, Role
from tui.load.processes import free_port
from tui.models.target import Target

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("load processes"),
]  # limits a hanging run; a busy machine may take this long


def test_a_hundred_callers_on_two_workers_are_all_accounted_for_and_hung_up_by_ctrl_c(tmp_path: Path) -> None:
    # Long calls, so that calls overlap at the server even on a slow machine.
    scenario, summary_file = silent_scenario(tmp_path, silence="10m"), tmp_path / "summary.json"
    options = ["--users", "100", "--spawn-rate", "50", "--workers", "2", "--json", str(summary_file)]
    with serving("--refuse-above", "80") as server:
        command = [*PROGRAM, "load", str(scenario), "--url", server.url, "--headless", *options]
        with running(command) as program:
            server.until(lambda seen: seen["heard"] == 80 and seen["refused"] >= 20)
            program.send_signal(signal.SIGINT)
            seen = server.until(lambda seen: seen["open"] == 0)
            assert program.wait() == 0
    summary = json.loads(summary_file.read_text())
    ended = summary["completed"] + summary["failed"] + summary["stopped"]
    assert (summary["calls"], summary["lost"]) == (ended, 0)
    assert (seen["opened"], seen["codes"]) == (80, {"1000": 80})
    assert summary["set_up"] == 80
    refused = next(cluster for cluster in summary["clusters"] if "503" in cluster["reason"])
    assert refused["kind"] == "socket refused"
    assert [worker["calls"] >= 40 for worker in summary["workers"]] == [True, True]


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Runs a program and kills it if the test fails before it ends, because leaving `Popen` would wait for it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as program:
        try:
            yield program
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)


class Process:
    """A process of a load test, started as by the command."""

    def __init__(self, plan: LoadPlan) -> None:
        self.process = subprocess.Popen(
            child_command("tui.load"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(plan) + b"\n")
        self.process.stdin.flush()

    def snapshot_where(self, condition: Any) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            snapshot: dict[str, Any] = json.loads(line)
            if condition(snapshot):
                return snapshot
        raise AssertionError("the process has ended")

    def end(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def test_a_lost_worker_loses_its_own_calls_and_without_their_master_workers_hang_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As set by users who start `locust` with a VoiceUser; a master needs the patches too.
    monkeypatch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
    with serving() as server:
        plan = plan_for(server, silent_scenario(tmp_path, silence="10m"))
        master = Process(msgspec.structs.replace(plan, role=Role.MASTER, workers=2, users=10, spawn_rate=10))
        workers = [Process(msgspec.structs.replace(plan, role=Role.WORKER)) for _ in range(2)]
        try:
            server.until(lambda seen: seen["heard"] == 10)
            workers[0].process.kill()
            found = master.snapshot_where(lambda snapshot: snapshot["workers_lost"] == 1)
            assert (found["calls"], found["failed"]) == (10, 0)
            seen = server.until(lambda seen: seen["open"] == 5)
            assert seen["codes"] == {"1006": 5}
            master.process.kill()
            seen = server.until(lambda seen: seen["open"] == 0)
            assert seen["codes"] == {"1006": 5, "1000": 5}
            assert workers[1].process.wait() == 0
        finally:
            for process in (master, *workers):
                process.end()


def test_workers_hang_up_and_end_when_the_command_is_killed(tmp_path: Path) -> None:
    options = ["--users", "4", "--spawn-rate", "4", "--workers", "1", "--headless"]
    with serving() as server:
        scenario = silent_scenario(tmp_path, silence="10m")
        with running([*PROGRAM, "load", str(scenario), "--url", server.url, *options]) as program:
            server.until(lambda seen: seen["heard"] == 4)
            children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
            processes = [os.pidfd_open(int(child)) for child in children]
            assert len(processes) == 2  # the master and its worker
            program.kill()
            seen = server.until(lambda seen: seen["open"] == 0)
            assert seen["codes"] == {"1000": 4}
            for process in processes:
                select.select([process], [], [])  # readable once the process has ended
                os.close(process)


def plan_for(server: Server, scenario: Path) -> LoadPlan:
    target = Target(url=server.url, protocol="pcm", input="lines", output="none")
    return LoadPlan(
        scenario=str(scenario), target=target, master_port=free_port(), snapshots=True, master_timeout_s=6
    )


def test_the_canary_calls_alone_first_and_beside_the_others_then(tmp_path: Path) -> None:
    scenario, summary_file = short_scenario(tmp_path), tmp_path / "summary.json"
    options = ["--users", "2", "--spawn-rate", "2", "--canary", "--json", str(summary_file)]
    with serving() as server:
        command = [*PROGRAM, "load", str(scenario), "--url", server.url, "--headless", *options]
        with running(command) as program:
            server.until(lambda seen: seen["open"] == 3)
            server.until(lambda seen: seen["opened"] >= 5)
            program.send_signal(signal.SIGINT)
            assert program.wait() == 0
            server.until(lambda seen: seen["open"] == 0)
    canary = json.loads(summary_file.read_text())["canary"]
    assert Path(canary["idle_folder"], "events.jsonl").exists()
    assert Path(canary["loaded_folder"]).is_dir()
