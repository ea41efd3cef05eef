from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.callbacks.conftest import waiting
from tests.failures import ListedReporter
from tui.callbacks import CallbackChain, spawn
from tui.callbacks.testing import AsyncMockCallback, MockCallback

Run = Callable[[Any], Awaitable[Any]]


@pytest.fixture
def chain(reporter: ListedReporter) -> CallbackChain:
    return CallbackChain("capture", reporter)


@pytest.fixture
def run(chain: CallbackChain) -> Run:
    return chain.execute_chain


async def test_each_step_gets_the_result_of_the_one_before(chain: CallbackChain, run: Run) -> None:
    assert await run(b"chunk") == b"chunk"
    steps = [MockCallback(return_value=value) for value in (1, None, 3)]
    for step in steps:
        chain.add_callback(step)
    assert await run(0) == 3
    assert [step.calls[0][0] for step in steps] == [(0,), (1,), (None,)]


async def test_an_error_ends_the_chain_with_the_last_good_value(
    chain: CallbackChain, run: Run, reporter: ListedReporter
) -> None:
    after = MockCallback()
    chain.add_callback(lambda value: value + 1)
    chain.add_callback(MockCallback(side_effect=ValueError("bad"), name="gate"))
    chain.add_callback(after)
    assert await run(1) == 2
    assert await run(2) == 3
    after.assert_not_called()
    [report] = reporter.reports
    assert str(report) == "Callback gate failed on capture: ValueError: bad."
    assert reporter.total == 2


async def test_the_same_step_twice_and_removing_it(chain: CallbackChain, run: Run) -> None:
    def double(value: int) -> int:
        return value * 2

    chain.add_callback(double)
    registration = chain.add_callback(double)
    assert await run(1) == 4
    assert chain.remove(double)
    assert registration.active, "the first one goes first"
    assert await run(1) == 2
    assert registration.unregister()
    assert not registration.unregister()
    assert not chain.remove(double)
    assert await run(1) == 1


async def test_steps_removed_during_a_run_are_passed_over_and_added_ones_wait(
    chain: CallbackChain, run: Run
) -> None:
    def change(value: int) -> int:
        if registration.unregister():
            chain.add_callback(lambda value: value + 10)
        return value + 1

    chain.add_callback(change)
    registration = chain.add_callback(lambda value: value * 100)
    assert await run(1) == 2
    assert await run(1) == 12


async def test_coroutine_steps_are_awaited(chain: CallbackChain) -> None:
    chain.add_callback(AsyncMockCallback(side_effect=lambda value: value + 1))
    chain.add_callback(lambda value: asyncio.sleep(0, value * 2))
    assert await chain.execute_chain(1) == 4


async def test_the_cancellation_of_the_running_task_comes_out(
    chain: CallbackChain, reporter: ListedReporter
) -> None:
    entered = asyncio.Event()
    chain.add_callback(waiting(entered))
    task = spawn(chain.execute_chain(1), "run")
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reporter.total == 0


async def test_a_step_that_awaits_what_was_cancelled_has_failed(
    chain: CallbackChain, reporter: ListedReporter
) -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    chain.add_callback(lambda value: future)
    assert await chain.execute_chain(1) == 1
    assert reporter.total == 1
