"""What benchmarks have in common: times, what a process costs, whether the host took time away, verdicts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

MAX_STEAL = 0.01
"""Share of the processors' time that the host may keep from us in a run that is to be judged."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """One line of a table."""

    what: str
    value: str
    bound: str = ""
    holds: bool | None = None
    """Whether the value keeps to the bound; None where there is none."""

    def row(self, steal: float) -> str:
        """As Markdown; a run that the host has disturbed is not judged."""
        verdict = "" if self.holds is None else "holds" if self.holds else "**missed**"
        if verdict and steal > MAX_STEAL:
            verdict = f"not judged: the host stole {steal:.1%}"
        return f"| {self.what} | {self.value} | {self.bound} | {verdict} |"


class Steal:
    """What share of the processors' time the host has kept for itself since this was made."""

    def __init__(self) -> None:
        self._began = self._read()

    @property
    def share(self) -> float:
        """0..1."""
        stolen, total = (now - then for now, then in zip(self._read(), self._began, strict=True))
        return stolen / total if total else 0.0

    @staticmethod
    def _read() -> tuple[int, int]:
        jiffies = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return jiffies[7], sum(jiffies)


def processor_s(pid: int) -> float:
    """Processor time a process has taken so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def resident_bytes(pid: int | str = "self") -> int:
    """Memory a process holds."""
    return _status_bytes(pid, "VmRSS:")


def peak_resident_bytes(pid: int) -> int:
    """The most it has held so far."""
    return _status_bytes(pid, "VmHWM:")


def _status_bytes(pid: int | str, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {name} this benchmark needs Linux")


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round: the machine's speed wanders, and only ever to the worse."""
    times = []
    for _ in range(rounds):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return min(times)


def megabytes(size_bytes: float) -> str:
    """As people say it."""
    return f"{size_bytes / 1e6:.0f} MB"


def run_parts(parts: Mapping[str, Callable[..., Iterator[Measured]]], description: str, quick: str) -> None:
    """Be the command line of a benchmark: measure the parts that are named, all if none is, and print a table."""
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
