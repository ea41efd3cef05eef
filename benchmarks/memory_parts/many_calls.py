"""Measures the memory of one engine process over many short calls with the local agent, on virtual devices."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measuring import Measured, megabytes, resident_bytes
from tests.e2e.terminal import virtual_audio
from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.bridge import Bridge
from tui.engine import wire
from tui.engine.handle import EngineHandle
from tui.models.events import Status
from tui.models.target import Target

MAX_RESIDENT_BYTES = 150e6
CALLS, QUICK_CALLS = 100, 10
CALL_S = 0.6
"""Length of a call in seconds from acceptance: the greeting plays, and the user speaks."""
IDLE_S = 5.0
"""Time in seconds between the last call and reading the memory."""
RATE = 48_000
LINE_KEY = "4"
_LIMIT_S = 20.0


def measure(*, quick: bool) -> Iterator[Measured]:
    """Yields the resident memory of an engine after the first call and after all calls, without and with saving."""
    calls = QUICK_CALLS if quick else CALLS
    with (
        tempfile.TemporaryDirectory(prefix="memory-bench-") as name,
        virtual_audio(Path(name, "audio"), RATE) as sound,
        start_agent(AgentSettings()) as agent,
    ):
        os.environ.update(sound)  # for the engine
        url = agent.url("/audiocodes")
        for what, save in (("not saved", ""), ("saved", f"{name}/sessions")):
            first, last = _resident_after(calls, Target(url=url, protocol="audiocodes", save=save))
            yield Measured(
                f"engine after {calls} calls, {what}",
                f"{megabytes(last)} ({megabytes(first)} after the first)",
                megabytes(MAX_RESIDENT_BYTES),
                last <= MAX_RESIDENT_BYTES,
            )


def _resident_after(calls: int, target: Target) -> tuple[int, int]:
    """Returns an engine's resident memory in bytes after the first call, and some seconds after the last."""
    engine = EngineHandle().start()
    bridge = Bridge(engine, time.monotonic_ns)
    try:
        _call(bridge, target)
        _pass(bridge, IDLE_S)
        first = resident_bytes(engine.pid)
        for _ in range(calls - 1):
            _call(bridge, target)
        _pass(bridge, IDLE_S)
        return first, resident_bytes(engine.pid)
    finally:
        bridge.close()
        engine.stop()


def _call(bridge: Bridge, target: Target) -> None:
    bridge.send(wire.Connect(target=target))
    _until(bridge, lambda: bridge.state.status is Status.ACTIVE)
    bridge.send(wire.Record(on=True))
    bridge.send(wire.SpeakLine(key=LINE_KEY))
    _pass(bridge, CALL_S)
    bridge.send(wire.HangUp())
    _until(bridge, lambda: bridge.state.status is Status.ENDED)


def _pass(bridge: Bridge, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        bridge.tick()
        time.sleep(0.02)


def _until(bridge: Bridge, condition: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + _LIMIT_S
    while not condition():
        if time.monotonic() > limit_s:
            raise RuntimeError(f"the call did not get on; status {bridge.state.status}")
        bridge.tick()
        time.sleep(0.01)
