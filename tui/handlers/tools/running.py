"""Calling a tool's function: where it runs, what it is given, what becomes of its result.

User code may block, exit or never return, and the loop that calls it carries the audio. So a plain function
gets a thread of its own. The thread is a daemon: nothing can end a function that does not want to end, but it
must not keep the program from ending.
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
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

ARGUMENTS_LIMIT = 65_536
"""Longest arguments of a call, in characters of JSON."""
OUTPUT_LIMIT = 65_536
"""Longest output that is sent to the agent, in characters of JSON."""


class CallRefused(Exception):
    """A call that cannot be made as the agent asked for it, in a sentence for the agent.

    The function is not to blame, so it does not count as a failing callback.
    """


class DaemonThreads:
    """Runs functions in threads of their own, for one loop, and counts those nobody waits for any more."""

    def __init__(self, name: str = "tool") -> None:
        self._name = name
        self.running = 0
        """Threads that have not come back, awaited or not."""
        self.late = 0
        """Threads that came back after their caller had given up; what they brought was dropped."""

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call ``function`` in a thread. Being cancelled ends the waiting, not the thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        call = functools.partial(contextvars.copy_context().run, function, *args)

        def work() -> None:
            try:
                come_back = functools.partial(self._come_back, future, call(), None)
            except BaseException as error:  # noqa: BLE001 - a thread has nobody else to tell
                come_back = functools.partial(self._come_back, future, None, _as_exception(error))
            with contextlib.suppress(RuntimeError):  # the loop is closed: the call was over long ago
                loop.call_soon_threadsafe(come_back)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        self.running += 1
        return await future

    def _come_back(self, future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
        self.running -= 1
        if future.done():
            self.late += 1
            if inspect.iscoroutine(result):
                result.close()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


async def on_side_loop(function: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function on the loop that all of them share in a thread aside, and wait for it here.

    One loop for the life of the process, because clients that a tool keeps between calls belong to a loop.
    Being cancelled cancels it there too.
    """

    async def contained() -> T:
        try:
            return await function()
        except SystemExit as error:  # would end the loop for everybody
            raise _as_exception(error) from error

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(contained(), _side_loop()))


def parse_arguments(arguments: str | Mapping[str, Any]) -> dict[str, Any]:
    """The argument dict of a call; no arguments at all are an empty one. Raises `CallRefused`."""
    if not isinstance(arguments, str):
        return dict(arguments)
    if len(arguments) > ARGUMENTS_LIMIT:
        raise CallRefused(
            f"The arguments are {len(arguments):,} characters long, the limit is {ARGUMENTS_LIMIT:,}."
        )
    try:
        return msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CallRefused(f"The arguments are not a JSON object: {error}.") from error


def as_json(value: object) -> str:
    """A value as JSON; what JSON has no form for becomes its text."""
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError, RecursionError):  # strange keys, lone surrogates, cycles
        return json.dumps(str(value))


def within_limit(output: str) -> str:
    """The output of a call, unless it is too long to be sent. Raises `CallRefused`."""
    if len(output) > OUTPUT_LIMIT:
        raise CallRefused(f"The result is {len(output):,} characters long, the limit is {OUTPUT_LIMIT:,}.")
    return output


@functools.cache
def _side_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="coroutine tools", daemon=True).start()
    return loop


def _as_exception(error: BaseException) -> Exception:
    """What a future can hold: an exit is no reason to end this program, and a StopIteration ends a coroutine."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"it raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
