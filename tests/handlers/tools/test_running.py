"""Tests tool functions that run in threads."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine

import pytest

from tui.handlers.tools.running import DaemonThreads


async def test_a_result_that_comes_with_the_cancellation_is_dropped() -> None:
    threads = DaemonThreads("tool under test")
    made: list[Coroutine[None, None, None]] = []

    async def result() -> None:
        raise AssertionError("nobody wants it")

    def function() -> Coroutine[None, None, None]:
        made.append(result())
        return made[0]

    call = asyncio.ensure_future(threads.run(function))
    await asyncio.sleep(0)
    for thread in threading.enumerate():
        if thread.name == "tool under test":
            thread.join()  # blocks the loop, which sees the result and the cancellation in its next iteration
    asyncio.get_running_loop().call_soon(call.cancel)
    with pytest.raises(asyncio.CancelledError):
        _ = await call
    assert (threads.late, threads.running) == (1, 0)
    assert inspect.getcoroutinestate(made[0]) == inspect.CORO_CLOSED
