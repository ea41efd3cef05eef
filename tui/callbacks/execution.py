"""Running one callback, whatever it is made of, and starting one task."""

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
"""What to catch around a callback; a cancellation is a failure only if ``is_cancellation`` says no."""

_tasks: set[asyncio.Task[Any]] = set()


async def safe_callback_execution(
    callback: Callback, data: Any, context: str = "", *, reporter: ErrorReporter = default_reporter
) -> None:
    """Call ``callback(data)``, await its result if that can be awaited, report its failure under ``context``.

    Only the cancellation of the calling task and exceptions that are no errors (KeyboardInterrupt) come out.
    """
    try:
        await maybe_await(callback(data))
    except ISOLATED as error:
        if is_cancellation(error):
            raise
        reporter.report(error, callback=callback_name(callback), event=context)


@overload
async def maybe_await(value: Awaitable[T]) -> T: ...
@overload
async def maybe_await(value: T) -> T: ...
async def maybe_await(value: Any) -> Any:
    """Await ``value`` if it can be awaited, whatever made it; otherwise it is the result."""
    if inspect.isawaitable(value):
        return await value
    return value


def spawn(
    awaitable: Awaitable[T], name: str, *, event: str = "", reporter: ErrorReporter = default_reporter
) -> asyncio.Task[T]:
    """Start a task on the running loop, keep a reference to it until it is done, and report its failure.

    Raises:
        RuntimeError: No loop runs in this thread.
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
        else:  # it was asked to stop, or it ended on something else that was cancelled
            error = None if task.cancelling() else asyncio.CancelledError("it awaited what was cancelled")
        if error is not None:
            reporter.report(error, callback=name, event=event)

    task.add_done_callback(done)
    return task


def run_to_completion(awaitable: Awaitable[T]) -> T:
    """Await ``awaitable`` on a loop of its own, in a thread in which none runs, and return its result."""
    # given a factory, the runner leaves the thread's current loop as it is
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(_wait_for(awaitable))


async def _wait_for(awaitable: Awaitable[T]) -> T:
    return await awaitable


def is_cancellation(error: BaseException) -> bool:
    """Whether ``error`` is the cancellation of the current task.

    A callback that awaits a task which was cancelled elsewhere raises the same CancelledError, but nobody
    asked its caller to stop: that is one more failing callback.
    """
    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


def is_coroutine_callback(callback: Callback) -> bool:
    """Whether calling ``callback`` surely makes a coroutine: functions, methods, partials and objects alike.

    A plain function may still return something to await; only its result tells.
    """
    while isinstance(callback, functools.partial):
        callback = callback.func
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__)


def callback_name(callback: Callback) -> str:
    """A name to tell ``callback`` by on the screen and in the log; every callable has one."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None) or getattr(callback, "__name__", None)
    if not isinstance(name, str):
        return type(callback).__qualname__
    name = name.rpartition("<locals>.")[2]
    if name.endswith("<lambda>") and inspect.isfunction(callback):
        code = callback.__code__
        return f"lambda at {code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"
    return name
