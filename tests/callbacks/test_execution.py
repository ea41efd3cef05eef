from __future__ import annotations

import asyncio
import functools
import gc
import weakref
from typing import Any

import pytest

from tests.callbacks.conftest import waiting
from tests.failures import ListedReporter
from tui.callbacks import (
    Callback,
    callback_name,
    is_coroutine_callback,
    maybe_await,
    safe_callback_execution,
    spawn,
)
from tui.callbacks.execution import run_to_completion
from tui.callbacks.testing import AsyncMockCallback, MockCallback

pytestmark = pytest.mark.usefixtures("quick_collections")


class Plain:
    def __call__(self, data: object) -> None: ...

    def method(self, data: object) -> None: ...


class Coroutine:
    async def __call__(self, data: object) -> None: ...

    async def method(self, data: object) -> None: ...

    @staticmethod
    async def static(data: object) -> None: ...


def plain(data: object) -> None: ...


async def coroutine(data: object) -> None: ...


async def test_plain_callbacks_are_called_and_whatever_can_be_awaited_is_awaited(
    reporter: ListedReporter,
) -> None:
    for mock in (MockCallback(), AsyncMockCallback()):
        for callback in (mock, functools.partial(mock), lambda data, mock=mock: mock(data)):
            await safe_callback_execution(callback, {"data": 1}, reporter=reporter)
        assert mock.calls == [(({"data": 1},), {})] * 3
    assert reporter.total == 0


@pytest.mark.parametrize("kind", [MockCallback, AsyncMockCallback])
async def test_a_failure_is_reported_under_its_context(
    kind: type[MockCallback], reporter: ListedReporter
) -> None:
    await safe_callback_execution(
        kind(side_effect=OSError("gone"), name="save"), 1, "export", reporter=reporter
    )
    [report] = reporter.reports
    assert str(report) == "Callback save failed on export: OSError: gone."


async def test_cancellation_and_interrupts_come_out(reporter: ListedReporter) -> None:
    with pytest.raises(KeyboardInterrupt):
        await safe_callback_execution(MockCallback(side_effect=KeyboardInterrupt), 1, reporter=reporter)

    entered = asyncio.Event()
    task = spawn(safe_callback_execution(waiting(entered), 1, reporter=reporter), "waits")
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reporter.total == 0


async def test_maybe_await_takes_values_and_whatever_can_be_awaited() -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_result(3)
    assert await maybe_await(1) == 1
    assert await maybe_await(asyncio.sleep(0, 2)) == 2
    assert await maybe_await(future) == 3


async def test_spawn_keeps_a_task_without_other_references() -> None:
    async def wait_for_what_only_the_task_knows() -> None:
        await asyncio.get_running_loop().create_future()

    task = weakref.ref(spawn(wait_for_what_only_the_task_knows(), "waits"))
    await asyncio.sleep(0)
    gc.collect()
    kept = task()
    assert kept is not None
    assert kept.get_name() == "waits"
    kept.cancel()
    await asyncio.wait([kept])
    await asyncio.sleep(0)
    del kept
    gc.collect()
    assert task() is None


async def test_spawn_reports_a_failure_and_no_cancellation(reporter: ListedReporter) -> None:
    cancelled = spawn(asyncio.Event().wait(), "waits", reporter=reporter)
    failing = spawn(AsyncMockCallback(side_effect=ValueError("bad"))(), "fails", event="e", reporter=reporter)
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled, failing])
    [report] = reporter.reports
    assert (report.callback, report.event, report.message) == ("fails", "e", "bad")


async def test_spawn_takes_any_awaitable() -> None:
    future = asyncio.get_running_loop().create_future()
    task = spawn(future, "waits")
    future.set_result(7)
    assert await task == 7


def test_spawn_without_a_loop_raises_and_leaves_no_coroutine_unawaited() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        spawn(coroutine(1), "work")
    gc.collect()


def test_run_to_completion_returns_the_result() -> None:
    assert run_to_completion(AsyncMockCallback(return_value=7)()) == 7


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (plain, False),
        (coroutine, True),
        (Plain(), False),
        (Coroutine(), True),
        (Plain().method, False),
        (Coroutine().method, True),
        (Coroutine.static, True),
        (functools.partial(plain, 1), False),
        (functools.partial(functools.partial(coroutine)), True),
        (functools.partial(Coroutine()), True),
        (print, False),
        (Plain, False),
        (lambda data: coroutine(data), False),
    ],
)
def test_coroutine_callbacks_are_distinguished_from_plain_ones(callback: Any, expected: bool) -> None:
    assert is_coroutine_callback(callback) is expected


def test_every_callable_has_a_name() -> None:
    def inner(data: object) -> None: ...

    names: dict[str, Callback] = {
        "plain": plain,
        "inner": inner,
        "Plain": Plain(),
        "Plain.method": Plain().method,
        "Coroutine.static": functools.partial(functools.partial(Coroutine.static)),
        "list.append": [].append,
        "print": print,
        "given": MockCallback(name="given"),
    }
    assert {name: callback_name(callback) for name, callback in names.items()} == {
        name: name for name in names
    }
    assert callback_name(lambda data: data).startswith("lambda at test_execution.py:")


class Base:
    def changed(self) -> None: ...

    @classmethod
    def made(cls) -> None: ...


class Derived(Base): ...


def test_a_method_is_named_after_its_object_and_not_after_the_class_that_defines_it() -> None:
    assert callback_name(Derived().changed) == "Derived.changed"
    assert callback_name(Base().changed) == "Base.changed"
    assert callback_name(Derived.made) == "Derived.made"
    assert callback_name(Derived.changed) == "Base.changed"
