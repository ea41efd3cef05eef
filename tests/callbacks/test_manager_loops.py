"""The synchronous trigger, loops and threads."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tui.callbacks import CallbackManager, ErrorReporter
from tui.callbacks.testing import AsyncMockCallback, MockCallback

LIMIT = 10.0


def in_thread(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(LIMIT)


def test_without_a_loop_coroutine_callbacks_run_to_their_end_in_order(
    manager: CallbackManager, reporter: ErrorReporter
) -> None:
    log: list[str] = []

    async def coroutine(data: object) -> None:
        await asyncio.sleep(0)
        log.append("coroutine")

    manager.register_callback("event", coroutine)
    manager.register_callback("event", AsyncMockCallback(side_effect=ValueError("late"), name="broken"))
    manager.register_callback("event", lambda data: log.append("plain"))
    manager.trigger("event", 1)
    assert log == ["coroutine", "plain"]
    assert [(report.callback, report.message) for report in reporter.reports] == [("broken", "late")]


def test_running_without_a_loop_leaves_the_current_loop_of_the_thread_alone(manager: CallbackManager) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        manager.register_callback("event", AsyncMockCallback())
        manager.trigger("event", 1)
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def test_on_a_running_loop_coroutine_callbacks_become_tasks(manager: CallbackManager) -> None:
    callback = AsyncMockCallback()
    manager.register_callback("event", callback)
    manager.trigger("event", 1)
    callback.assert_not_called()
    gc.collect()
    assert await callback.was_called()


async def test_from_another_thread_they_run_on_the_bound_loop(manager: CallbackManager) -> None:
    threads: list[tuple[str, threading.Thread]] = []

    async def coroutine(data: object) -> None:
        assert asyncio.get_running_loop() is loop
        threads.append(("coroutine", threading.current_thread()))

    def plain(data: object) -> None:
        threads.append(("plain", threading.current_thread()))

    loop = asyncio.get_running_loop()
    manager.bind_loop(loop)
    manager.register_callback("event", coroutine)
    manager.register_callback("event", plain)
    await asyncio.to_thread(manager.trigger, "event", 1)
    await manager.drain()
    assert sorted(name for name, _ in threads) == ["coroutine", "plain"]
    by_name = dict(threads)
    assert by_name["coroutine"] is threading.current_thread()
    assert by_name["plain"] is not threading.current_thread()


async def test_from_another_loop_they_run_on_the_bound_one(manager: CallbackManager) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def coroutine(data: object) -> None:
        loops.append(asyncio.get_running_loop())

    async def elsewhere() -> None:
        manager.trigger("event", 1)

    manager.bind_loop(asyncio.get_running_loop())
    manager.register_callback("event", coroutine)
    await asyncio.to_thread(asyncio.run, elsewhere())
    await manager.drain()
    assert loops == [asyncio.get_running_loop()]


@pytest.mark.parametrize("state", ["closed", "stopped"])
def test_a_bound_loop_that_no_longer_runs_loses_nothing(manager: CallbackManager, state: str) -> None:
    callback = AsyncMockCallback()
    manager.register_callback("event", callback)
    loop = asyncio.new_event_loop()
    manager.bind_loop(loop)
    if state == "closed":
        loop.close()
    manager.trigger("event", 1)
    callback.assert_called_once()
    in_thread(lambda: manager.trigger("event", 2))
    assert callback.call_count == 2
    loop.close()


def test_a_bound_loop_that_closes_at_that_moment_loses_nothing(manager: CallbackManager) -> None:
    class ClosedSinceAsked(asyncio.SelectorEventLoop):
        def is_running(self) -> bool:
            return self.is_closed()

    callback = AsyncMockCallback()
    manager.register_callback("event", callback)
    loop = ClosedSinceAsked()
    loop.close()
    manager.bind_loop(loop)
    manager.trigger("event", 1)
    callback.assert_called_once()


async def test_drain_waits_for_everything_that_was_started(manager: CallbackManager) -> None:
    go = asyncio.Event()
    callback = MockCallback()

    async def waits(data: object) -> None:
        await go.wait()
        callback(data)

    manager.register_callback("event", waits)
    manager.trigger("event", 1)
    manager.trigger("event", 2)
    asyncio.get_running_loop().call_soon(go.set)
    async with asyncio.timeout(LIMIT):
        await manager.drain()
    assert callback.call_count == 2


async def test_drain_waits_for_what_another_thread_has_just_handed_over(manager: CallbackManager) -> None:
    callback = AsyncMockCallback()
    manager.bind_loop(asyncio.get_running_loop())
    manager.register_callback("event", callback)
    in_thread(lambda: manager.trigger("event", 1))
    callback.assert_not_called()
    await manager.drain()
    callback.assert_called_once()


async def test_drain_inside_a_callback_does_not_wait_for_itself(manager: CallbackManager) -> None:
    async def drains(data: object) -> None:
        await manager.drain()

    manager.register_callback("event", drains)
    manager.trigger("event", 1)
    async with asyncio.timeout(LIMIT):
        await manager.drain()


def test_a_task_cancelled_with_its_loop_is_no_failure_and_no_warning(
    manager: CallbackManager, reporter: ErrorReporter
) -> None:
    async def main() -> None:
        manager.trigger("event", 1)

    manager.register_callback("event", AsyncMockCallback())
    asyncio.run(main())
    gc.collect()
    assert reporter.total == 0


def test_registering_and_unregistering_while_threads_dispatch(
    manager: CallbackManager, reporter: ErrorReporter
) -> None:
    lasting = MockCallback()
    stop = threading.Event()
    manager.register_callback("event", lasting)

    def dispatch() -> int:
        dispatched = 0
        while not stop.is_set():
            manager.trigger("event", 1)
            dispatched += 1
        return dispatched

    def change() -> None:
        for _ in range(500):
            registrations = [manager.register_callback("event", int) for _ in range(4)]
            assert all(registration.unregister() for registration in registrations)

    with ThreadPoolExecutor(4) as pool:
        dispatchers = [pool.submit(dispatch) for _ in range(2)]
        changers = [pool.submit(change) for _ in range(2)]
        try:
            for changer in changers:
                changer.result(LIMIT)
        finally:
            stop.set()
        dispatched = sum(dispatcher.result(LIMIT) for dispatcher in dispatchers)
    assert lasting.call_count == dispatched
    assert manager.count() == 1
    assert reporter.total == 0


def test_once_is_called_once_however_many_threads_trigger(manager: CallbackManager) -> None:
    workers, rounds = 4, 200
    callback = MockCallback()
    ready, done = threading.Barrier(workers, timeout=LIMIT), threading.Barrier(workers, timeout=LIMIT)

    def work() -> None:
        for number in range(rounds):
            if ready.wait() == 0:
                manager.register_callback(number, callback, once=True)
            done.wait()
            manager.trigger(number, number)

    with ThreadPoolExecutor(workers) as pool:
        for worker in [pool.submit(work) for _ in range(workers)]:
            worker.result(LIMIT)
    assert callback.call_count == rounds
    assert manager.count() == 0


async def test_nothing_triggered_by_threads_is_lost(manager: CallbackManager) -> None:
    manager.bind_loop(asyncio.get_running_loop())
    callback = AsyncMockCallback()
    manager.register_callback("event", callback)

    def work() -> None:
        for number in range(250):
            manager.trigger("event", number)

    async with asyncio.timeout(LIMIT):
        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
        await manager.drain()
    assert callback.call_count == 1000
