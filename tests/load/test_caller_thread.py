"""Tests that calls run in a real thread, and that the worker notices when it is late."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import gevent
import pytest

from tui.load.caller_thread import CallerThread, Ticket
from tui.load.lateness import Lateness
from tui.load.records import WorkerSecond
from tui.units import NS_PER_MS, NS_PER_S


@pytest.fixture
def thread() -> Iterator[CallerThread]:
    thread = CallerThread()
    yield thread
    thread.hang_up_all(5)
    thread.close()


def test_calls_run_in_an_operating_system_thread_of_their_own(thread: CallerThread) -> None:
    async def ident(ticket: Ticket[int]) -> int:
        return threading.get_native_id()

    found = thread.submit(ident).wait(5)
    assert found == thread.native_id
    assert found != threading.get_native_id()


def test_a_greenlet_that_waits_for_its_call_does_not_hold_the_others(thread: CallerThread) -> None:
    released = asyncio.Event()
    order: list[str] = []

    async def call(ticket: Ticket[str]) -> str:
        await released.wait()
        return "answered"

    def waits() -> None:
        order.append(thread.submit(call).wait(5))

    greenlet = gevent.spawn(waits)
    gevent.sleep(0)
    order.append("others go on")
    thread.loop.call_soon_threadsafe(released.set)
    greenlet.join(5)
    assert order == ["others go on", "answered"]


def test_what_a_call_raises_is_raised_where_it_is_waited_for(thread: CallerThread) -> None:
    async def call(ticket: Ticket[str]) -> str:
        raise ValueError("wrong number")

    with pytest.raises(ValueError, match="wrong number"):
        thread.submit(call).wait(5)


def test_hanging_up_all_ends_calls_in_order_where_they_know_how(thread: CallerThread) -> None:
    async def polite(ticket: Ticket[str]) -> str:
        ended = asyncio.Event()
        ticket.end = ended.set
        await ended.wait()
        return "said goodbye"

    async def rude(ticket: Ticket[str]) -> str:
        await asyncio.sleep(60)
        return "never"

    first, second = thread.submit(polite), thread.submit(rude)
    with gevent.Timeout(5):
        while thread.calls < 2 or first.end is None:
            gevent.sleep(0.001)
    assert thread.hang_up_all(5)
    assert first.wait(0) == "said goodbye"
    with pytest.raises(asyncio.CancelledError):
        second.wait(0)
    assert thread.calls == 0


def test_a_call_that_is_hung_up_before_it_begins_never_begins(thread: CallerThread) -> None:
    begun: list[int] = []

    async def call(ticket: Ticket[None]) -> None:
        begun.append(1)

    holding = threading.Event()
    thread.loop.call_soon_threadsafe(holding.wait)
    ticket = thread.submit(call)
    ticket.hang_up()
    holding.set()
    with pytest.raises(asyncio.CancelledError):
        ticket.wait(5)


class Call:
    """Refers to itself, as the objects of a call refer to each other."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_call_leaves_is_collected_soon_after_its_end(thread: CallerThread) -> None:
    async def hold(ticket: Ticket[weakref.ref[Call]]) -> weakref.ref[Call]:
        return weakref.ref(Call())

    gc.disable()
    try:
        left = thread.submit(hold).wait(5)
        with gevent.Timeout(20):
            while left() is not None:
                gevent.sleep(0.05)
    finally:
        gc.enable()


def test_threads_that_gevent_replaced_are_refused_with_a_sentence() -> None:
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "from tui.load.caller_thread import CallerThread, ThreadsReplaced\n"
        "try: CallerThread()\n"
        "except ThreadsReplaced as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert "opusagent-tui load --locustfile FILE" in ran.stdout


def test_a_loop_that_is_held_up_is_late_then_and_at_no_other_time(thread: CallerThread) -> None:
    seconds: list[WorkerSecond] = []
    lateness = Lateness("w", seconds.append, lambda: 1)

    async def watched(ticket: Ticket[tuple[int, int, int]]) -> tuple[int, int, int]:
        watching = asyncio.ensure_future(lateness.watch())
        await asyncio.sleep(0.05)
        began_ns = time.monotonic_ns()
        time.sleep(0.2)  # noqa: ASYNC251 - the planted fault
        ended_ns = time.monotonic_ns()
        await asyncio.sleep(0.05)
        watching.cancel()
        return began_ns, ended_ns, time.monotonic_ns()

    began_ns, ended_ns, now_ns = thread.submit(watched).wait(5)
    assert lateness.between(began_ns, ended_ns) > 150
    assert lateness.between(ended_ns + 1_000 * NS_PER_MS, now_ns + 2 * NS_PER_S) == 0


def test_a_second_without_processor_time_to_spare_is_late() -> None:
    seconds: list[WorkerSecond] = []
    lateness = Lateness("w", seconds.append, lambda: 3)
    lateness.second(0, NS_PER_S, 0.5)
    lateness.woke(NS_PER_S, NS_PER_S + 20 * NS_PER_MS)
    assert lateness.between(0, 2 * NS_PER_S) == 0
    lateness.second(NS_PER_S + 1, 2 * NS_PER_S, 0.99)
    assert lateness.between(2 * NS_PER_S, 2 * NS_PER_S) == 30
    assert lateness.between(0, NS_PER_S) == 0
    assert [(second.calls, second.lag_ms, second.processor) for second in seconds] == [
        (3, 0, 0.5),
        (3, 20, 0.99),
    ]
    assert seconds[0].rss_bytes > 1_000_000
    assert 0 < seconds[0].descriptors < seconds[0].descriptors_limit
