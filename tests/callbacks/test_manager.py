from __future__ import annotations

import asyncio
import enum
import functools
from collections.abc import Awaitable, Generator
from typing import Any

import pytest

from tests.callbacks.conftest import settle, waiting
from tests.failures import ListedReporter
from tui.callbacks import CallbackManager
from tui.callbacks.testing import AsyncMockCallback, MockCallback


class Status(enum.Enum):
    CONNECTED = "connected"
    CLOSED = "closed"


class Later:
    """An awaitable that is not a coroutine."""

    def __init__(self, log: list[object]) -> None:
        self.log = log

    def __await__(self) -> Generator[None, None, None]:
        yield
        self.log.append("awaited")


@pytest.mark.parametrize("args", [(), (None,), ("one",), ("old", "new"), (1, 2, 3)])
async def test_any_number_of_arguments_arrives_in_order_of_registration(
    manager: CallbackManager, args: tuple[object, ...]
) -> None:
    log: list[tuple[str, tuple[object, ...]]] = []

    async def coroutine(*args: object) -> None:
        log.append(("coroutine", args))

    manager.register_callback("event", lambda *args: log.append(("first", args)))
    manager.register_callback("event", coroutine)
    manager.register_callback("event", lambda *args: log.append(("last", args)))
    await manager.trigger_callbacks("event", *args)
    assert log == [("first", args), ("coroutine", args), ("last", args)]

    log.clear()
    manager.trigger("event", *args)
    await settle()
    assert log == [("first", args), ("last", args), ("coroutine", args)]


async def test_an_event_without_callbacks_is_nothing_special(manager: CallbackManager) -> None:
    manager.trigger("nobody", 1)
    await manager.trigger_callbacks("nobody", 1)
    assert manager.traceable() == []


def test_events_may_be_strings_enums_and_types(manager: CallbackManager, reporter: ListedReporter) -> None:
    callback = MockCallback(side_effect=ValueError())
    for event in ("text", Status.CONNECTED, int, (1, 2)):
        manager.register_callback(event, callback)
        manager.trigger(event, "data")
    manager.trigger(Status.CLOSED, "data")
    assert callback.call_count == 4
    assert [report.event for report in reporter.reports] == ["text", "connected", "int", "(1, 2)"]


def test_one_callback_under_several_events_and_twice_under_one(manager: CallbackManager) -> None:
    callback = MockCallback()
    manager.register_callback("a", callback)
    manager.register_callback("b", callback)
    second = manager.register_callback("b", callback)
    manager.trigger("a", 1)
    assert callback.call_count == 1
    manager.trigger("b", 1)
    assert callback.call_count == 3
    assert [event for event, _ in manager.traceable()] == ["a", "b", "b"]

    assert manager.unregister_callback("b", callback)
    assert second.active, "the oldest one goes first"
    manager.trigger("b", 1)
    assert callback.call_count == 4


def test_a_bound_method_can_be_unregistered_by_looking_it_up_again(manager: CallbackManager) -> None:
    log: list[int] = []
    manager.register_callback("event", log.append)
    assert manager.unregister_callback("event", log.append)
    manager.trigger("event", 1)
    assert not log


def test_the_handle_unregisters_once(manager: CallbackManager) -> None:
    callback = MockCallback()
    registration = manager.register_callback("event", callback)
    assert repr(registration) == "<Registration MockCallback on event>"
    assert registration.unregister() is True
    assert registration.unregister() is False
    assert not registration.active
    assert "unregistered" in repr(registration)
    manager.trigger("event", 1)
    callback.assert_not_called()


@pytest.mark.parametrize("args", [("one",), ("old", "new")])
async def test_one_failing_callback_does_not_stop_the_others(
    manager: CallbackManager, reporter: ListedReporter, args: tuple[object, ...]
) -> None:
    siblings = [MockCallback(), AsyncMockCallback(), MockCallback()]
    manager.register_callback("event", siblings[0])
    manager.register_callback("event", MockCallback(side_effect=ValueError("plain"), name="plain"))
    manager.register_callback("event", siblings[1])
    manager.register_callback("event", AsyncMockCallback(side_effect=KeyError("late"), name="coroutine"))
    manager.register_callback("event", siblings[2])

    await manager.trigger_callbacks("event", *args)
    manager.trigger("event", *args)
    await settle()
    assert [sibling.call_count for sibling in siblings] == [2, 2, 2]
    assert [(report.callback, report.event, report.error) for report in reporter.reports] == [
        ("plain", "event", "ValueError"),
        ("coroutine", "event", "KeyError"),
    ]
    assert reporter.total == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("args", [("one",), ("old", "new")])
def test_exceptions_that_are_not_errors_are_raised(
    manager: CallbackManager, error: type[BaseException], args: tuple[object, ...]
) -> None:
    manager.register_callback("event", MockCallback(side_effect=error))
    with pytest.raises(error):
        manager.trigger("event", *args)


async def test_the_cancellation_of_the_dispatching_task_comes_out(
    manager: CallbackManager, reporter: ListedReporter
) -> None:
    inside, follower = asyncio.Event(), MockCallback()
    manager.register_callback("event", waiting(inside))
    manager.register_callback("event", follower)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(manager.trigger_callbacks("event", 1))
        await inside.wait()
        task.cancel()
    assert task.cancelled()
    follower.assert_not_called()
    assert reporter.total == 0


@pytest.mark.parametrize("args", [("one",), ("old", "new")])
async def test_awaiting_what_somebody_else_cancelled_is_one_more_failure(
    manager: CallbackManager, reporter: ListedReporter, args: tuple[object, ...]
) -> None:
    cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    follower = MockCallback()
    manager.register_callback("event", lambda *_: cancelled)
    manager.register_callback("event", lambda *_: cancelled.result())
    manager.register_callback("event", follower)
    await manager.trigger_callbacks("event", *args)
    manager.trigger("event", *args)
    await settle()
    assert follower.call_count == 2
    assert reporter.total == 4


async def test_whatever_can_be_awaited_is_awaited(manager: CallbackManager) -> None:
    log: list[object] = []

    class Callable:
        async def __call__(self, data: object) -> None:
            log.append("object")

        async def method(self, data: object) -> None:
            log.append("method")

    async def function(number: int, data: object) -> None:
        log.append("function")

    def returns_coroutine(data: object) -> Awaitable[None]:
        return function(2, data)

    ways: list[Any] = [
        functools.partial(function, 1),
        functools.partial(Callable()),
        Callable(),
        Callable().method,
        returns_coroutine,
        lambda data: function(3, data),
        lambda data: Later(log),
        lambda data: asyncio.ensure_future(function(4, data)),
    ]
    for way in ways:
        manager.register_callback("event", way)
    expected = ["function", "object", "object", "method", "function", "function", "awaited", "function"]

    await manager.trigger_callbacks("event", 1)
    assert log == expected
    log.clear()
    manager.trigger("event", 1)
    await settle()
    assert sorted(map(str, log)) == sorted(expected)
    log.clear()
    ways.pop()  # this way needs a running loop
    elsewhere = CallbackManager()
    for way in ways:
        elsewhere.register_callback("event", way)
    await asyncio.to_thread(elsewhere.trigger, "event", 1)
    assert log == expected[:-1]


def test_results_that_cannot_be_awaited_are_ignored(
    manager: CallbackManager, reporter: ListedReporter
) -> None:
    manager.register_callback("event", MockCallback(return_value=[1, 2, 3]))
    manager.trigger("event", 1)
    manager.trigger("event", 1, 2)
    assert reporter.total == 0


async def test_a_callback_removed_while_it_waits_runs_to_its_end(manager: CallbackManager) -> None:
    go, ended = asyncio.Event(), MockCallback()

    async def waits(data: object) -> None:
        await go.wait()
        ended(data)

    registration = manager.register_callback("event", waits)
    manager.trigger("event", 1)
    await asyncio.sleep(0)
    assert registration.unregister()
    go.set()
    await settle()
    ended.assert_called_once()


def test_nothing_is_kept_of_events_whose_callbacks_are_gone(manager: CallbackManager) -> None:
    for number in range(100):
        manager.register_callback(number, print).unregister()
    assert not manager._registrations
    assert not manager._calls
