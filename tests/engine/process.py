"""Shared by tests of the engine process: the process as the screen uses it, and its calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tui.bridge import Bridge
from tui.engine import wire
from tui.engine.handle import EngineHandle
from tui.models import events as e
from tui.models.target import Target

LIMIT_S = 15


@contextmanager
def engine_process() -> Iterator[Bridge]:
    """Yields the bridge to a new engine."""
    engine = EngineHandle().start()
    bridge = Bridge(engine, time.monotonic_ns)
    try:
        yield bridge
    finally:
        bridge.close()
        engine.stop()


def handle_of(bridge: Bridge) -> EngineHandle:
    assert isinstance(bridge.engine, EngineHandle)
    return bridge.engine


def until(bridge: Bridge, condition: Callable[[], bool]) -> None:
    """Ticks until the condition holds."""
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, f"it did not come true; status {bridge.state.status}"
        bridge.tick()
        time.sleep(0.005)


def connect(bridge: Bridge, target: Target) -> None:
    """Calls the agent and waits until it has accepted."""
    bridge.send(wire.Connect(target=target))
    until(bridge, lambda: bridge.state.status is e.Status.ACTIVE)


def sounds(bridge: Bridge) -> bool:
    """Returns whether playback of a reply has begun."""
    return any(isinstance(event, e.PlaybackStarted) for event in bridge.log.events)


def heard(bridge: Bridge) -> bool:
    """Returns whether a reply was played to its end."""
    return any(isinstance(event, e.PlaybackEnded) for event in bridge.log.events)
