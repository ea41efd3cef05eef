"""Measures the memory of ``opusagent-tui agent`` a minute after many simultaneous callers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE, Popen

from benchmarks.measuring import Measured, megabytes, peak_resident_bytes, resident_bytes
from benchmarks.memory_parts.callers import calling, spoken_line
from tests.e2e.terminal import ROOT

MAX_RESIDENT_BYTES = 150e6
CALLERS, QUICK_CALLERS = 300, 30
IDLE_S, QUICK_IDLE_S = 60.0, 10.0
SERVE_S = 75.0
"""Time in seconds after which callers disconnect if their call has not ended."""
CHUNK_MS = "100"
"""Message length in ms. With messages of 20 ms, two cores need minutes for so many callers."""
PATH = "/twilio"


def measure(*, quick: bool) -> Iterator[Measured]:
    """Yields the resident memory of the agent before the callers, at its peak, and after them."""
    callers, idle_s = (QUICK_CALLERS, QUICK_IDLE_S) if quick else (CALLERS, IDLE_S)
    with agent_command("--chunk", CHUNK_MS) as (pid, url):
        before, began_s = resident_bytes(pid), time.perf_counter()
        asyncio.run(_all_at_once(url, callers))
        took_s = time.perf_counter() - began_s
        time.sleep(idle_s)
        after, peak = resident_bytes(pid), peak_resident_bytes(pid)
    yield Measured(
        f"agent {idle_s:.0f} s after {callers} callers at once, gone after {took_s:.0f} s",
        f"{megabytes(after)} ({megabytes(before)} before, {megabytes(peak)} at most)",
        megabytes(MAX_RESIDENT_BYTES),
        after <= MAX_RESIDENT_BYTES,
    )


async def _all_at_once(url: str, callers: int) -> None:
    spoken = spoken_line("hours")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SERVE_S), asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(_be_served(url, spoken))


async def _be_served(url: str, spoken: bytes) -> None:
    """Makes a call: hears the greeting, speaks, and hears the answer."""
    async with calling(url) as caller:
        await caller.hear()
        await caller.say(spoken)
        await caller.hear()


@contextmanager
def agent_command(*options: str) -> Iterator[tuple[int, str]]:
    """Runs the command like a user; yields its process id and the URL for Twilio's protocol."""
    command = [sys.executable, "-m", "tui", "agent", "--port", "0", "--quiet", *options]
    with Popen(command, stdout=PIPE, stderr=DEVNULL, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        try:
            yield (
                process.pid,
                next(word for line in process.stdout for word in line.split() if word.endswith(PATH)),
            )
        finally:
            process.terminate()
