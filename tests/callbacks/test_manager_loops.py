"""Tests the synchronous trigger with event loops and threads."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.callbacks.conftest import settle
from tests.failures import ListedReporter
from tui.callbacks import CallbackManager
from tui.callbacks.testing import AsyncMockCallback, MockCallback

LIMIT = 10.0
pytestmark = pytest.mark.usefixtures("quick_collections")


def test_without_a_loop_coroutine_callbacks_run_to_their_end_in_order(
    manager: CallbackManager, reporter: ListedReporter
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
    await settle()
    callback.assert_called_once()


def test_a_task_cancelled_with_its_loop_causes_neither_failure_nor_warning(
    manager: CallbackManager, reporter: ListedReporter
) -> None:
    async def main() -> None:
        manager.trigger("event", 1)

    manager.register_callback("event", AsyncMockCallback())
    asyncio.run(main())
    gc.collect()
    assert reporter.total == 0


def test_registering_and_unregistering_while_threads_dispatch(
    manager: CallbackManager, reporter: ListedReporter
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
    assert len(manager.traceable()) == 1
    assert reporter.total == 0
