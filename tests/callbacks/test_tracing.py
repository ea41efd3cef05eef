from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.callbacks.conftest import settle, waiting
from tui.callbacks import (
    CallbackChain,
    CallbackManager,
    CallbackStats,
    CallbackTracing,
    ErrorReporter,
    callback_tracing,
    maybe_await,
    monitor_callback_performance,
    trace_callback,
)
from tui.callbacks.testing import AsyncMockCallback, MockCallback

pytestmark = pytest.mark.usefixtures("quick_collections")


@pytest.fixture(autouse=True)
def switch_off_again() -> Iterator[None]:
    gc.collect()
    callback_tracing.reset()
    yield
    callback_tracing.disable()
    callback_tracing.reset()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "tui.callbacks")
    return caplog


class Object:
    def __init__(self, effect: Callable[[int], object]) -> None:
        self.effect = effect

    def __call__(self, value: int) -> object:
        return self.effect(value)


def kinds(effect: Callable[[int], object]) -> dict[str, Callable[[int], Any]]:
    """Returns ``effect`` as each kind of callable."""

    async def coroutine(value: int) -> object:
        await asyncio.sleep(0)
        return effect(value)

    return {
        "plain": lambda value: effect(value),
        "coroutine": coroutine,
        "partial": functools.partial(effect),
        "coroutine partial": functools.partial(coroutine),
        "object": Object(effect),
        "returns a coroutine": lambda value: coroutine(value),
        "returns a future": lambda value: asyncio.ensure_future(coroutine(value)),
    }


KINDS = tuple(kinds(str))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_traced_callback_logs_and_returns_or_raises_as_before(
    kind: str, log: pytest.LogCaptureFixture
) -> None:
    works = trace_callback(kinds(lambda value: value + 1)[kind], "works")
    assert await maybe_await(works(1)) == 2
    fails = trace_callback(kinds(MockCallback(side_effect=ValueError("bad")))[kind], "fails")
    with pytest.raises(ValueError, match="bad"):
        await maybe_await(fails(1))
    assert log.messages == [
        "Executing callback: works",
        "Callback completed: works",
        "Executing callback: fails",
        "Callback failed: fails - bad",
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_monitored_callback_logs_how_long_it_took(kind: str, log: pytest.LogCaptureFixture) -> None:
    works = monitor_callback_performance(kinds(lambda value: value + 1)[kind])
    assert await maybe_await(works(1)) == 2
    fails = monitor_callback_performance(kinds(MockCallback(side_effect=ValueError("bad")))[kind])
    with pytest.raises(ValueError, match="bad"):
        await maybe_await(fails(1))
    took, failed = log.messages
    assert " took 0." in took
    assert re.search(r" failed after 0\.\d+s: bad$", failed)


def test_the_decorators_keep_names_docstrings_keywords_and_kind() -> None:
    @monitor_callback_performance
    @trace_callback
    def plain(value: int, *, more: int = 0) -> int:
        """Adds the values."""
        return value + more

    @trace_callback
    async def coroutine() -> None: ...

    assert (plain.__name__, plain.__doc__, plain(1, more=2)) == ("plain", "Adds the values.", 3)
    assert inspect.iscoroutinefunction(coroutine)
    assert not inspect.iscoroutinefunction(plain)


async def test_a_call_cancelled_before_it_began_leaves_no_warning() -> None:
    task = asyncio.ensure_future(trace_callback(AsyncMockCallback())())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()


def rows() -> dict[tuple[str, str], CallbackStats]:
    return {(row.event, row.name): row for row in callback_tracing.snapshot()}


async def test_the_switch_measures_callbacks_registered_before_and_after() -> None:
    manager, chain = CallbackManager(), CallbackChain("capture")
    before, after = MockCallback(name="before"), AsyncMockCallback(name="after")
    manager.register_callback("event", before)
    chain.add_callback(MockCallback(name="step"))
    manager.trigger("event", 1)
    await chain.execute_chain(1)

    callback_tracing.enable()
    assert callback_tracing.enabled
    manager.register_callback("event", after)
    await manager.trigger_callbacks("event", 2)
    manager.trigger("event", 3)
    await settle()
    await chain.execute_chain(1)
    await chain.execute_chain(1)
    callback_tracing.disable()
    manager.trigger("event", 4)
    await settle()
    await chain.execute_chain(1)

    assert {key: row.calls for key, row in rows().items()} == {
        ("event", "before"): 2,
        ("event", "after"): 2,
        ("capture", "step"): 2,
    }
    assert before.call_count == 4
    assert after.call_count == 3


async def test_a_row_has_calls_errors_and_times(log: pytest.LogCaptureFixture) -> None:
    reporter = ErrorReporter()
    manager = CallbackManager(reporter)
    effect = MockCallback(side_effect=lambda value: 1 / value, name="divide")
    manager.register_callback("event", effect)
    callback_tracing.enable()
    for value in (1, 0, 2):
        await manager.trigger_callbacks("event", value)
    [row] = callback_tracing.snapshot()
    assert (row.event, row.name, row.registered, row.calls, row.errors) == ("event", "divide", 1, 3, 1)
    assert row.last_error == "ZeroDivisionError: division by zero"
    assert row.mean_ms is not None
    assert row.p50_ms is not None
    assert row.p99_ms is not None
    assert row.max_ms is not None
    assert 0 < row.p50_ms <= row.p99_ms <= row.max_ms
    assert row.mean_ms <= row.max_ms
    assert reporter.total == 1
    assert [record.levelno for record in log.records if "failed" in record.message] == [
        logging.DEBUG,
        logging.ERROR,
    ], "the reporter's line is the only error"


def test_a_callback_that_was_not_called_has_no_times() -> None:
    manager = CallbackManager()
    manager.register_callback("event", MockCallback(name="twice"))
    manager.register_callback("event", MockCallback(name="twice"))
    assert callback_tracing.snapshot() == (CallbackStats("event", "twice", registered=2),)
    callback_tracing.enable()
    assert callback_tracing.snapshot() == (CallbackStats("event", "twice", registered=2),)
    assert rows()["event", "twice"].p99_ms is None


def test_an_unregistered_callback_keeps_its_row_until_reset() -> None:
    manager, callback = CallbackManager(), MockCallback(name="once")
    callback_tracing.enable()
    registration = manager.register_callback("event", callback)
    manager.trigger("event", 1)
    registration.unregister()
    [row] = callback_tracing.snapshot()
    assert (row.registered, row.calls) == (0, 1)
    callback_tracing.reset()
    assert callback_tracing.snapshot() == ()


def test_reset_goes_on_measuring() -> None:
    manager = CallbackManager()
    manager.register_callback("event", MockCallback(name="it"))
    callback_tracing.enable()
    manager.trigger("event", 1)
    callback_tracing.reset()
    assert rows()["event", "it"].calls == 0
    manager.trigger("event", 1)
    assert rows()["event", "it"].calls == 1


async def test_a_cancelled_callback_was_called_but_did_not_fail() -> None:
    manager = CallbackManager()
    entered = asyncio.Event()
    manager.register_callback("event", waiting(entered))
    callback_tracing.enable()
    task = asyncio.ensure_future(manager.trigger_callbacks("event", 1))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = rows()["event", "waits"]
    assert (row.calls, row.errors) == (1, 0)


def test_switching_inside_a_callback_is_safe() -> None:
    manager, after = CallbackManager(), MockCallback(name="after")
    manager.register_callback("event", lambda data: callback_tracing.enable())
    manager.register_callback("event", after)
    manager.trigger("event", 1)
    after.assert_called_once()
    assert rows()["event", "after"].calls == 1


def test_memory_is_bounded_by_callbacks_and_by_calls() -> None:
    tracing = CallbackTracing(limit=2, recent=10)
    tracing.enable()
    callbacks = [tracing.instrument("event", MockCallback(name=f"callback {number}")) for number in range(5)]
    for callback in callbacks:
        for _ in range(100):
            callback(1)
    assert [(row.name, row.calls) for row in tracing.snapshot()] == [
        ("callback 0", 100),
        ("callback 1", 100),
        ("(others)", 300),
    ]


def test_percentiles_are_of_the_recent_calls_mean_and_maximum_of_all() -> None:
    from tui.callbacks.tracing import _Meter

    meter = _Meter("event", "it", recent=100)
    meter.add(1_000_000_000, None)
    for milliseconds in range(1, 101):
        meter.add(milliseconds * 1_000_000, None)
    row = meter.stats(1)
    assert (row.p50_ms, row.p99_ms, row.max_ms, row.calls) == (50.0, 99.0, 1000.0, 101)
    assert row.mean_ms == pytest.approx((1000 + 5050) / 101)


def test_a_forgotten_manager_is_not_kept_alive() -> None:
    manager = CallbackManager()
    manager.register_callback("event", MockCallback(name="gone"))
    del manager
    gc.collect()
    assert callback_tracing.snapshot() == ()


async def test_the_switch_logs_calls_as_the_decorators_do(log: pytest.LogCaptureFixture) -> None:
    manager = CallbackManager()
    manager.register_callback("event", MockCallback(name="it"))
    manager.trigger("event", 1)
    assert log.messages == []
    callback_tracing.enable()
    manager.trigger("event", 2)
    assert log.messages == ["Executing callback: it", "Callback completed: it"]
