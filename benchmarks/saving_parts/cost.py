"""Measures the cost of saving a call: CPU time of the same engine in calls alternately with and without saving."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.call_parts.agent import Agent, Call
from benchmarks.call_parts.devices import RATE
from benchmarks.call_parts.loss import coded
from benchmarks.call_parts.result import judged
from benchmarks.measuring import Measured, processor_s
from tui.audio.wav import WavWriter
from tui.bridge import Bridge
from tui.engine import wire
from tui.engine.handle import EngineHandle
from tui.models.events import Status
from tui.models.target import Target

MOST_SHARE = 3.0
"""Maximum share of a core, in percent."""
_SETTLE_S = 2.0
_LIMIT_S = 20.0


async def _speak_on(call: Call) -> None:
    """The agent's script: speaks without a pause, sends transcripts, and reports user speech."""
    chatter = asyncio.ensure_future(_tell_words(call))
    try:
        while True:
            await call.say(coded(10, 5))
    finally:
        chatter.cancel()


async def _tell_words(call: Call) -> None:
    for number in range(1_000_000):
        await asyncio.sleep(0.1)
        await call.tell(type="transcript", text=f"word {number}", final=number % 20 == 19)


def measure(rounds: int, seconds: float) -> tuple[list[Measured], list[str]]:
    """Measures ``rounds`` pairs of calls for ``seconds`` each.

    Returns rows for the table and a line for each pair.
    """
    engine = EngineHandle().start()
    bridge = Bridge(engine, time.monotonic_ns)
    plain: list[float] = []
    saving: list[float] = []
    try:
        with Agent(_speak_on) as agent, tempfile.TemporaryDirectory(prefix="saving-bench-") as name:
            spoken = Path(name) / "user.wav"
            _write(spoken, seconds + 60)
            # Work done only once, such as late imports, must not count towards the compared calls.
            _share_in_a_call(bridge, engine.pid, agent.url, spoken, f"{name}/sessions", _SETTLE_S)
            for number in range(rounds):
                order = [(plain, ""), (saving, f"{name}/sessions")]
                for shares, save in order if number % 2 == 0 else reversed(order):
                    shares.append(_share_in_a_call(bridge, engine.pid, agent.url, spoken, save, seconds))
    finally:
        bridge.close()
        engine.stop()
    costs = [with_it - without for without, with_it in zip(plain, saving, strict=True)]
    rows = [
        Measured("engine in a call, nothing saved", _percent(plain)),
        Measured("engine in a call that is saved", _percent(saving)),
        judged("what saving costs of a core, median", statistics.median(costs), MOST_SHARE, "%"),
    ]
    lines = [
        f"{without:5.2f} % without, {with_it:5.2f} % with, {with_it - without:+5.2f}"
        for without, with_it in zip(plain, saving, strict=True)
    ]
    return rows, lines


def _share_in_a_call(bridge: Bridge, pid: int, url: str, spoken: Path, save: str, seconds: float) -> float:
    """Returns the percentage of a core that the engine uses in a call in which both parties speak."""
    options: dict[str, Any] = {"protocol": "pcm", "input": str(spoken), "output": "none", "save": save}
    _until(bridge, lambda: bridge.state.status in (Status.IDLE, Status.ENDED))
    bridge.send(wire.Connect(target=Target(url=url, **options)))
    _until(bridge, lambda: bridge.state.status is Status.ACTIVE)
    bridge.send(wire.Record(on=True))
    _until(bridge, lambda: bridge.state.controls.recording)
    _pass(bridge, _SETTLE_S)
    before_s, began_s = processor_s(pid), time.monotonic()
    _pass(bridge, seconds)
    share = 100 * (processor_s(pid) - before_s) / (time.monotonic() - began_s)
    bridge.send(wire.HangUp())
    _until(bridge, lambda: bridge.state.status is Status.ENDED)
    _pass(bridge, 0.5)
    return share


def _pass(bridge: Bridge, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        bridge.tick()
        time.sleep(0.05)


def _until(bridge: Bridge, condition: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + _LIMIT_S
    while not condition():
        if time.monotonic() > limit_s:
            raise RuntimeError(f"it did not come true; status {bridge.state.status}")
        bridge.tick()
        time.sleep(0.01)


def _write(path: Path, seconds: float) -> None:
    writer = WavWriter(path, RATE)
    writer.write(coded(seconds, 6).astype("<i2").tobytes())
    writer.close()


def _percent(shares: list[float]) -> str:
    return f"{statistics.median(shares):.2f} % ({min(shares):.2f} to {max(shares):.2f})"
