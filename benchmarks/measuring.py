"""Shared parts of the benchmarks: times, the cost of processes, CPU time taken away by the host, and verdicts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

MAX_STEAL = 0.01
"""Share of CPU time that the host may take away in a run that can be judged."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """A row of a table."""

    what: str
    value: str
    bound: str = ""
    holds: bool | None = None
    """Whether the value meets its bound; None if there is no bound."""

    def row(self, steal: float) -> str:
        """Returns the row in Markdown. A run that the host disturbed is not judged."""
        verdict = "" if self.holds is None else "holds" if self.holds else "**missed**"
        if verdict and steal > MAX_STEAL:
            verdict = f"not judged: the host stole {steal:.1%}"
        return f"| {self.what} | {self.value} | {self.bound} | {verdict} |"


class Steal:
    """Share of CPU time that the host has taken away since this object was created."""

    def __init__(self) -> None:
        self._began = self._read()

    @property
    def share(self) -> float:
        """Returns the share, 0..1."""
        stolen, total = (now - then for now, then in zip(self._read(), self._began, strict=True))
        return stolen / total if total else 0.0

    @staticmethod
    def _read() -> tuple[int, int]:
        jiffies = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return jiffies[7], sum(jiffies)


def processor_s(pid: int) -> float:
    """Returns the CPU time in seconds that a process has used so far, in all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def resident_bytes(pid: int | str = "self") -> int:
    """Returns the resident memory of a process."""
    return _status_bytes(pid, "VmRSS:")


def peak_resident_bytes(pid: int) -> int:
    """Returns the peak resident memory of a process."""
    return _status_bytes(pid, "VmHWM:")


def _status_bytes(pid: int | str, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {name} this benchmark needs Linux")


def best(work: Callable[[], object], rounds: int) -> float:
    """Returns the seconds of the fastest round, because disturbances can only slow the machine down."""
    times = []
    for _ in range(rounds):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return min(times)


def megabytes(size_bytes: float) -> str:
    """Returns a size in megabytes, as text."""
    return f"{size_bytes / 1e6:.0f} MB"


def run_parts(parts: Mapping[str, Callable[..., Iterator[Measured]]], description: str, quick: str) -> None:
    """Runs the command line of a benchmark: measures the named parts (by default, all) and prints a table."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"any of {', '.join(parts)}; all if none is named"
    )
    parser.add_argument("--quick", action="store_true", help=quick)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(parts):
        parser.error(f"unknown part {', '.join(sorted(unknown))}: choose from {', '.join(parts)}")
    print("| what | measured | bound | verdict |")
    print("| --- | --- | --- | --- |")
    for name in asked.parts or parts:
        steal, began = Steal(), perf_counter()
        for measured in parts[name](quick=asked.quick):
            print(measured.row(steal.share), flush=True)
        print(f"{name}: {perf_counter() - began:.0f} s, stolen {steal.share:.2%}", file=sys.stderr)
