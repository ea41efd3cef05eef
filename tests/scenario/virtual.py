"""Plays scenarios against local agents in virtual time: ``python -m tests.scenario.virtual FOLDER CALL…``.

A call is ``AGENT/SCENARIO/PROTOCOL``; an agent is the name of a planted bug, or ``sound`` for an agent
without one. Prints a line of JSON for each call. Both ends share one event loop, whose clock stands still
while there is work to do and otherwise jumps to the next timer, so the timing of a call is exact even on a
busy machine.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

SOUND = "sound"
INTERRUPT_MS = 500
TOOLS = "tools.py"
GREETS_WHEN_ASKED = ("openai", "gemini")


class Call(NamedTuple):
    """A scenario to play."""

    agent: str
    name: str
    protocol: str


class Clock:
    """The clock of the whole process."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / 1e9


class _Selector(selectors.DefaultSelector):
    """Advances the clock instead of waiting, unless a thread is working."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.threads = 0
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.threads:
            return super().select(None)
        # A nanosecond more, so that rounding never leaves the clock just before the timer.
        self._clock.now_ns += round(timeout * 1e9) + 1
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits = _Selector(clock)
        super().__init__(self._waits)

    def time(self) -> float:
        return self._clock.monotonic()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        def done(_: object) -> None:
            self._waits.threads -= 1

        self._waits.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(done)
        return future


def recognizer() -> Callable[[bytes, int], str]:
    """Returns a recognizer for the agent's prompts, which chooses the prompt with the closest length."""
    import numpy as np

    from tui.assets import prompts
    from tui.audio.pcm import to_float
    from tui.audio.wav import read_wav

    def length_s(pcm: bytes, rate: int) -> float:
        loud = np.flatnonzero(np.abs(to_float(pcm)) > 0.02)
        return float(loud[-1] - loud[0]) / rate if len(loud) else 0.0

    known = sorted((length_s(read_wav(each.path, 16_000), 16_000), each.text) for each in prompts().values())

    def recognize(pcm: bytes, rate: int) -> str:
        heard_s = length_s(pcm, rate)
        return min(known, key=lambda each: abs(each[0] - heard_s))[1]

    return recognize


async def play(folder: Path, calls: list[Call]) -> None:
    """Plays all calls at once, and prints the results."""
    from tui.agent.server import AgentServer
    from tui.agent.settings import AgentSettings, Fault
    from tui.handlers.tools.file import load_tools
    from tui.models.target import Target
    from tui.protocols.registry import protocol_named
    from tui.scenario.holding import hold
    from tui.scenario.lines import lines_of
    from tui.scenario.player import Aids
    from tui.scenario.reading import read_scenario

    hear = recognizer()
    tools = load_tools(folder / TOOLS)
    servers: dict[str, AgentServer] = {}
    for name in {call.agent for call in calls}:
        fault = None if name == SOUND else Fault(name)
        servers[name] = await AgentServer(AgentSettings(fault=fault, interrupt_ms=INTERRUPT_MS)).__aenter__()

    async def one(call: Call) -> None:
        scenario = read_scenario(folder / f"{call.name}.call.toml")
        options = {"greet": "on"} if call.protocol in GREETS_WHEN_ASKED else {}
        url = servers[call.agent].url + protocol_named(call.protocol).path
        target = Target(url=url, protocol=call.protocol, options=options)
        run = await hold(
            scenario,
            target,
            aids=Aids(lines_of(scenario), hear=hear),
            tools=tools if call.name == "tool" else [],
        )
        cases = [f"{case.verdict} {case.name} {case.reason}".rstrip() for case in run.cases]
        reasons = "; ".join(filter(None, [run.unreachable, run.late, run.not_applicable, *cases]))
        print(json.dumps({"call": call, "verdict": run.verdict, "reasons": reasons}), flush=True)

    try:
        await asyncio.gather(*map(one, calls))
    finally:
        for server in servers.values():
            await server.__aexit__(None, None, None)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine in virtual time. Call it before importing anything that uses the clock as a default value."""
    clock = Clock()
    time.monotonic, time.monotonic_ns = clock.monotonic, clock.monotonic_ns
    VirtualLoop(clock).run_until_complete(main())


if __name__ == "__main__":
    run(lambda: play(Path(sys.argv[1]), [Call(*argument.split("/")) for argument in sys.argv[2:]]))
