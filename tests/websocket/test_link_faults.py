"""Tests planned faults of a connection, each active and inactive, in virtual time with exact delivery times."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.scenario.virtual import Clock, VirtualLoop
from tui.protocols.base import Outgoing
from tui.websocket.link_faults import Heading, LinkFaults

MS = 1_000_000
Delivery = tuple[int, str]


class Wire:
    """A connection whose messages arrive only here, with their arrival times in ms."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._began_ns = self.clock.now_ns
        self.sent: list[Delivery] = []
        self.received: list[Delivery] = []
        self.losses = 0
        self.faults = LinkFaults(
            send=self._send, receive=self._receive, abort=self._abort, clock_ns=self.clock.monotonic_ns
        )

    @property
    def at_ms(self) -> int:
        return round((self.clock.now_ns - self._began_ns) / MS)

    def run(self, scene: Coroutine[Any, Any, None]) -> None:
        loop = VirtualLoop(self.clock)
        try:
            loop.run_until_complete(scene)
        finally:
            loop.close()

    def put(self, name: str, *, audio: bool = True) -> None:
        """Sends a message as the connection does."""
        message = Outgoing(frame=name, kind="chunk" if audio else "control", audio_ms=20 if audio else 0)
        if self.faults.sent.holds:
            self.faults.sent.put(message, audio=audio)
        else:
            self.sent.append((self.at_ms, name))

    def arrive(self, name: str) -> None:
        if self.faults.received.holds:
            self.faults.received.put(name)
        else:
            self.received.append((self.at_ms, name))

    async def talk(self, count: int) -> None:
        """Sends a message every 20 ms, and receives one each time."""
        for number in range(count):
            self.put(str(number))
            self.arrive(str(number))
            await asyncio.sleep(0.02)
        await self.faults.sent.emptied()
        await self.faults.received.emptied()

    async def _send(self, message: Outgoing) -> None:
        self.sent.append((self.at_ms, str(message.frame)))

    async def _receive(self, frame: str | bytes) -> None:
        self.received.append((self.at_ms, str(frame)))

    def _abort(self) -> None:
        self.losses += 1


ON_TIME = [(20 * number, str(number)) for number in range(10)]


def late(since: int, until: int, *, by_ms: int = 0, to_ms: int = 0) -> list[Delivery]:
    """Returns ten deliveries, of which ``since`` to ``until`` (exclusive) are late or arrive together."""
    return [
        (to_ms or at_ms + by_ms, name) if since <= int(name) < until else (at_ms, name)
        for at_ms, name in ON_TIME
    ]


def test_without_a_fault_nothing_is_late() -> None:
    wire = Wire()
    wire.run(wire.talk(10))
    assert wire.sent == wire.received == ON_TIME


@pytest.mark.parametrize("heading", Heading)
def test_a_stall_holds_up_all_messages_and_then_lets_them_pass_at_once(heading: Heading) -> None:
    wire = Wire()
    wire.faults.stall(100 * MS, heading)
    wire.run(wire.talk(10))
    stalled = late(0, 5, to_ms=100)
    assert wire.sent == (ON_TIME if heading is Heading.RECEIVED else stalled)
    assert wire.received == (ON_TIME if heading is Heading.SENT else stalled)


@pytest.mark.parametrize("heading", Heading)
def test_a_delay_makes_messages_late_and_none_overtakes_another(heading: Heading) -> None:
    wire = Wire()
    wire.faults.delay(50 * MS, 100 * MS, heading)
    wire.run(wire.talk(10))
    # The fault ends at 100 ms, and the messages from 100 and 120 ms wait for the message from 80 ms.
    delayed = [(at_ms, name) if name not in "56" else (130, name) for at_ms, name in late(0, 5, by_ms=50)]
    assert wire.sent == (ON_TIME if heading is Heading.RECEIVED else delayed)
    assert wire.received == (ON_TIME if heading is Heading.SENT else delayed)


def order(share: float, seed: int, *, audio: bool = True) -> list[int]:
    wire = Wire()
    wire.faults.reorder(share, 4_000 * MS, seed)

    async def talk() -> None:
        for number in range(100):
            wire.put(str(number), audio=audio)
            await asyncio.sleep(0.02)
        await wire.faults.sent.emptied()

    wire.run(talk())
    return [int(name) for _, name in wire.sent]


def test_reordering_swaps_some_neighbours_and_the_same_ones_each_time() -> None:
    swapped = order(0.2, seed=3)
    moved = [number for at, number in enumerate(swapped) if at != number]
    assert sorted(swapped) == list(range(100))
    assert 10 <= len(moved) <= 60
    assert all(abs(at - number) <= 1 for at, number in enumerate(swapped))
    assert order(0.2, seed=3) == swapped
    assert order(0.2, seed=4) != swapped
    assert order(0.0, seed=3) == list(range(100))


def test_only_audio_is_reordered() -> None:
    assert order(1.0, seed=3, audio=False) == list(range(100))
    wire = Wire()
    wire.faults.reorder(1.0, 4_000 * MS, seed=1)

    async def talk() -> None:
        wire.put("audio")
        await asyncio.sleep(0.02)
        wire.put("stop", audio=False)
        await wire.faults.sent.emptied()

    wire.run(talk())
    assert [name for _, name in wire.sent] == ["audio", "stop"]


def jittered(seed: int) -> list[Delivery]:
    wire = Wire()
    wire.faults.jitter(30 * MS, seed)
    wire.run(wire.talk(100))
    assert [name for _, name in wire.received] == [name for _, name in wire.sent]
    assert wire.received == [(20 * number, str(number)) for number in range(100)]
    return wire.sent


def test_jitter_delays_audio_by_random_times_and_the_same_ones_each_time() -> None:
    sent = jittered(7)
    delays_ms = [at_ms - 20 * int(name) for at_ms, name in sent]
    assert [int(name) for _, name in sent] == list(range(100))
    assert 0 <= min(delays_ms) < 5
    assert 25 < max(delays_ms) <= 30
    assert jittered(7) == sent
    assert jittered(8) != sent


def test_a_fault_that_is_lifted_lets_everything_pass_in_order() -> None:
    wire = Wire()

    async def talk() -> None:
        wire.faults.reorder(1.0, 60_000 * MS, seed=1)
        wire.put("0")
        wire.faults.stall(60_000 * MS)
        wire.faults.delay(10_000 * MS, 60_000 * MS)
        wire.put("1", audio=False)
        await asyncio.sleep(0.02)
        assert wire.sent == []
        wire.faults.lift()
        wire.put("2")
        await wire.faults.sent.emptied()

    wire.run(talk())
    assert wire.sent == [(20, "0"), (20, "1"), (20, "2")]


def test_a_dropped_socket_loses_what_is_on_its_way_and_is_replaced_after_its_time() -> None:
    wire = Wire()

    async def talk() -> None:
        wire.faults.stall(50 * MS)
        wire.put("lost")
        wire.faults.drop(2_000 * MS)
        assert (wire.losses, wire.faults.breaks) == (1, True)
        await wire.faults.reachable()
        assert (wire.at_ms, wire.faults.breaks) == (2_000, False)
        wire.put("new")

    wire.run(talk())
    assert wire.sent == [(2_000, "new")]


def test_faults_end_with_the_connection() -> None:
    wire = Wire()

    async def talk() -> None:
        wire.faults.stall(60_000 * MS)
        wire.put("lost")
        await wire.faults.close()

    wire.run(talk())
    assert (wire.at_ms, wire.sent) == (0, [])
