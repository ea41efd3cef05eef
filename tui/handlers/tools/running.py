"""Runs functions that the agent calls.

User code may block, exit or never return, and must not stop the audio, which uses the same loop. A plain
function therefore runs in a separate thread. The thread is a daemon, because a function that never returns
cannot be stopped and must not keep the program from exiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from tui.callbacks import (
    Callback,
    ErrorReporter,
    callback_tracing,
    is_coroutine_callback,
    maybe_await,
    spawn,
)
from tui.callbacks.errors import error_message
from tui.callbacks.execution import ISOLATED, is_cancellation

T = TypeVar("T")

EVENT = "function call"
"""The event name of function calls in reports and statistics."""
CALLS_LIMIT = 32
"""Maximum number of simultaneous calls, including those whose thread is still running after the time limit."""
TEXT_LIMIT = 4000
"""Maximum length of the arguments, result or error in an event; the message in the log has the full text."""

ARGUMENTS_LIMIT = 65_536
"""Maximum length of a call's arguments, in characters of JSON."""
OUTPUT_LIMIT = 65_536
"""Maximum length of the output sent to the agent, in characters of JSON."""


class CallRefused(Exception):
    """Raised if a function cannot be called as the agent requested. The message is sent to the agent.

    Does not count as a failing callback, because the function did not cause the error.
    """


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """The outcome of a function call: its result, as an object and as JSON, or an error."""

    result: object = None
    output: str = ""
    error: str = ""


class DaemonThreads:
    """Runs functions in daemon threads, for one event loop. Counts threads that return too late."""

    def __init__(self, name: str = "tool") -> None:
        self._name = name
        self.running = 0
        """Number of threads that have not returned, including those whose caller has given up."""
        self.late = 0
        """Number of threads that returned after their caller had given up; their results were dropped."""

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Calls ``function`` in a thread and returns its result. Cancellation ends the wait, but not the thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        call = functools.partial(contextvars.copy_context().run, function, *args)

        def work() -> None:
            try:
                come_back = functools.partial(self._come_back, future, call(), None)
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                come_back = functools.partial(self._come_back, future, None, _as_exception(error))
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the call has ended
                loop.call_soon_threadsafe(come_back)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        self.running += 1
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # the result arrived in the same loop iteration
                self._drop(None if future.exception() else future.result())
            raise

    def _come_back(self, future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
        self.running -= 1
        if future.done():
            self._drop(result)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _drop(self, result: object) -> None:
        self.late += 1
        if inspect.iscoroutine(result):
            result.close()


class ToolRunner:
    """Runs functions with limits on their time and number. Turns every failure into a `ToolOutcome`.

    A coroutine function runs on the calling loop. A plain function runs in a thread. An awaitable that a
    plain function returns is awaited on the loop. At ``time_limit_s`` a coroutine is cancelled. A thread
    cannot be cancelled: it continues to run, and its result is dropped and counted.
    """

    def __init__(self, time_limit_s: float, reporter: ErrorReporter) -> None:
        self._time_limit_s = time_limit_s
        self._reporter = reporter
        self.threads = DaemonThreads()
        self._running = 0

    async def run(self, name: str, func: Callback, arguments: str | Mapping[str, Any]) -> ToolOutcome:
        """Decodes the arguments and calls ``func``. Raises only if the calling task is cancelled."""
        # a separate task, because a coroutine that ignores its cancellation would delay the answer
        work = spawn(self._run(name, func, arguments), f"tool {name}", event=EVENT, reporter=self._reporter)
        try:
            done, _ = await asyncio.wait({work}, timeout=self._time_limit_s)
            if done:
                return work.result()
        finally:
            work.cancel()
        late = TimeoutError(f"it did not return within {self._time_limit_s:g} s")
        self._reporter.report(late, callback=name, event=EVENT)
        return ToolOutcome(error=_sentence(late))

    async def _run(self, name: str, func: Callback, arguments: str | Mapping[str, Any]) -> ToolOutcome:
        self._running += 1
        try:
            if max(self._running - 1, self.threads.running) >= CALLS_LIMIT:
                raise CallRefused(f"{CALLS_LIMIT} function calls are already running.")
            result = await self._call(func, parse_arguments(arguments))
            # also in a thread: a value without a JSON form is converted by its __str__, which is user code
            output = within_limit(await self.threads.run(as_json, result))
        except (*ISOLATED, SystemExit) as error:
            if is_cancellation(error):
                raise
            if not isinstance(error, CallRefused):
                self._reporter.report(error, callback=name, event=EVENT)
            return ToolOutcome(error=_sentence(error))
        finally:
            self._running -= 1
        return ToolOutcome(result, output)

    async def _call(self, func: Callback, arguments: dict[str, Any]) -> object:
        func = callback_tracing.instrument(EVENT, func)
        if is_coroutine_callback(func):
            return await maybe_await(func(arguments))
        return await maybe_await(await self.threads.run(func, arguments))


async def on_side_loop(function: Callable[[], Awaitable[T]]) -> T:
    """Runs a coroutine function on a loop in a separate thread and returns its result. All tools share the loop.

    The loop runs as long as the process, because a tool may keep a client between calls, and the client is
    bound to its loop. Cancellation is passed on to the function.
    """

    async def contained() -> T:
        try:
            return await function()
        except SystemExit as error:  # it would stop the loop that all tools share
            raise _as_exception(error) from error

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(contained(), _side_loop()))


def parse_arguments(arguments: str | Mapping[str, Any]) -> dict[str, Any]:
    """Returns a call's arguments as a dict; {} if there are none. Raises `CallRefused`."""
    if not isinstance(arguments, str):
        return dict(arguments)
    if len(arguments) > ARGUMENTS_LIMIT:
        raise CallRefused(
            f"The arguments are {len(arguments):,} characters long; the limit is {ARGUMENTS_LIMIT:,}."
        )
    try:
        return msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CallRefused(f"The arguments are not a JSON object: {error}.") from error


def as_json(value: object) -> str:
    """Returns a value as JSON. Values that JSON does not support are converted with ``str``."""
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError, RecursionError):  # unsupported keys, lone surrogates, cycles
        return json.dumps(str(value))


def within_limit(output: str) -> str:
    """Returns ``output`` unchanged. Raises `CallRefused` if ``output`` is too long to send."""
    if len(output) > OUTPUT_LIMIT:
        raise CallRefused(f"The result is {len(output):,} characters long; the limit is {OUTPUT_LIMIT:,}.")
    return output


@functools.cache
def _side_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="coroutine tools", daemon=True).start()
    return loop


def _as_exception(error: BaseException) -> Exception:
    """Returns the error, wrapped if it is SystemExit or StopIteration, which would end the program or a coroutine."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"it raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _sentence(error: BaseException) -> str:
    message = cut(error_message(error))
    if isinstance(error, CallRefused):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def cut(text: str, limit: int = TEXT_LIMIT) -> str:
    """Cuts the text to ``limit`` characters and replaces lone surrogates, which UTF-8 cannot encode."""
    short = text if len(text) <= limit else text[:limit] + "…"
    return short.encode(errors="replace").decode()
