"""Runs single callbacks, plain or coroutine, so that a failure affects no other callback; starts tasks."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable
from typing import Any, TypeVar, overload

from tui.callbacks.errors import ErrorReporter, default_reporter
from tui.callbacks.types import Callback

T = TypeVar("T")

ISOLATED = (Exception, asyncio.CancelledError)
"""Exceptions to catch around a callback. A CancelledError is a failure unless `is_cancellation` returns true."""

_tasks: set[asyncio.Task[Any]] = set()


async def safe_callback_execution(
    callback: Callback, data: Any, context: str = "", *, reporter: ErrorReporter = default_reporter
) -> None:
    """Calls ``callback(data)``, awaits an awaitable result, and reports a failure under ``context``.

    Raises only the cancellation of the calling task, and exceptions such as KeyboardInterrupt.
    """
    try:
        result = callback(data)
        if result is not None:
            await maybe_await(result)
    except ISOLATED as error:
        if is_cancellation(error):
            raise
        reporter.report(error, callback=callback_name(callback), event=context)


@overload
async def maybe_await(value: Awaitable[T]) -> T: ...
@overload
async def maybe_await(value: T) -> T: ...
async def maybe_await(value: Any) -> Any:
    """Awaits ``value`` if it is awaitable and returns the result; otherwise returns ``value`` itself."""
    if inspect.isawaitable(value):
        return await value
    return value


def spawn(
    awaitable: Awaitable[T], name: str, *, event: str = "", reporter: ErrorReporter = default_reporter
) -> asyncio.Task[T]:
    """Starts a task on the running loop, keeps a reference to it until it ends, and reports a failure.

    Raises: RuntimeError: No loop runs in this thread.
    """
    coroutine = awaitable if inspect.iscoroutine(awaitable) else _wait_for(awaitable)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        coroutine.close()
        raise
    task = loop.create_task(coroutine, name=name)
    _tasks.add(task)

    def done(task: asyncio.Task[T]) -> None:
        _tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
        else:  # the task was asked to stop, or it awaited something that was cancelled
            error = None if task.cancelling() else asyncio.CancelledError("it awaited a canceled task")
        if error is not None:
            reporter.report(error, callback=name, event=event)

    task.add_done_callback(done)
    return task


def run_to_completion(awaitable: Awaitable[T]) -> T:
    """Awaits ``awaitable`` on a new event loop and returns its result. No loop may be running in this thread."""
    # with a factory, the runner does not replace the thread's current loop
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(_wait_for(awaitable))


async def _wait_for(awaitable: Awaitable[T]) -> T:
    return await awaitable


def is_cancellation(error: BaseException) -> bool:
    """Returns whether ``error`` is the cancellation of the current task.

    A callback also raises CancelledError if it awaits a task that was cancelled elsewhere. Such an error
    counts as a failure of the callback, because the task that runs the callback should continue.
    """
    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


def is_coroutine_callback(callback: Callback) -> bool:
    """Returns whether ``callback`` is a coroutine function, or a method, partial or callable object of that kind.

    A plain function may also return an awaitable, but this is known only after the call.
    """
    while isinstance(callback, functools.partial):
        callback = callback.func
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__)


def callback_name(callback: Callback) -> str:
    """Returns the name of ``callback`` for the screen and the log. Works for every callable.

    The name of a bound method contains its object's class, not the base class that defines the method.
    """
    while isinstance(callback, functools.partial):
        callback = callback.func
    if inspect.ismethod(callback):
        owner = callback.__self__ if isinstance(callback.__self__, type) else type(callback.__self__)
        name: object = f"{owner.__qualname__}.{callback.__name__}"
    else:
        name = getattr(callback, "__qualname__", None) or getattr(callback, "__name__", None)
    if not isinstance(name, str):
        return type(callback).__qualname__
    name = name.rpartition("<locals>.")[2]
    if name.endswith("<lambda>") and inspect.isfunction(callback):
        code = callback.__code__
        return f"lambda at {code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"
    return name
