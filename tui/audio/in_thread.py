"""Calls the sound driver in daemon threads with a time limit, so that no driver can block an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from tui.audio.devices import AudioDeviceError
from tui.audio.trial import time_limit_s

T = TypeVar("T")

_NAME = "sound driver"
_hanging: list[threading.Thread] = []
"""Threads of abandoned calls that have not returned.

PortAudio is not thread-safe, so no other call is made until these calls return.
"""


def driver_hangs() -> bool:
    """Returns whether a driver call that exceeded its time limit is still running."""
    _hanging[:] = [thread for thread in _hanging if thread.is_alive()]
    return bool(_hanging)


def driver_busy() -> bool:
    """Returns whether a driver call is running; if so, exiting the interpreter would crash or wait for the driver."""
    return any(thread.name == _NAME for thread in threading.enumerate())


async def in_thread(
    function: Callable[[], T],
    *,
    undo: Callable[[], object] | None = None,
    cancellable: bool = False,
    limit_s: float | None = None,
) -> T:
    """Calls ``function`` in a thread and returns its result, or raises its exception.

    Raises `AudioDeviceError` if the call takes longer than ``limit_s`` (default: the sound system's time
    limit), or if an earlier call still hangs. A call that exceeds the limit keeps running. Once the call
    returns, its thread calls ``undo``.

    A task that is cancelled still waits for the call, unless ``cancellable``. If the task did not wait, a
    lock held during the call would be released while the driver is opening or closing a device.
    """
    if driver_hangs():
        raise _not_answering()
    outcome: Future[T] = Future()
    # A daemon thread, because at exit the interpreter would wait for an executor's thread for as long as the
    # driver hangs.
    thread = threading.Thread(target=_work, args=(function, outcome, undo), name=_NAME, daemon=True)
    thread.start()
    waiting = asyncio.wrap_future(outcome)
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + (limit_s or time_limit_s())
    cancelled: asyncio.CancelledError | None = None
    while not waiting.done() and (left_s := give_up_s - loop.time()) > 0:
        try:
            await asyncio.wait([waiting], timeout=left_s)
        except asyncio.CancelledError as error:
            cancelled = error
            if cancellable:
                break
    if not waiting.done() and outcome.cancel():
        if not (cancelled and cancellable):
            _hanging.append(thread)
        raise cancelled or _not_answering()
    if cancelled is None:
        return await waiting
    await asyncio.wait([waiting])
    waiting.exception()  # retrieved, because asyncio would otherwise log it as never retrieved
    raise cancelled


def _work(function: Callable[[], T], outcome: Future[T], undo: Callable[[], object] | None) -> None:
    try:
        settle = partial(outcome.set_result, function())
    except Exception as error:  # noqa: BLE001 - the caller raises it
        settle = partial(outcome.set_exception, error)
    # The future decides atomically which came first: this result, or the loop's decision to abandon the call.
    if outcome.set_running_or_notify_cancel():
        settle()
    elif undo is not None:
        undo()


def _not_answering() -> AudioDeviceError:
    return AudioDeviceError("The sound system is not responding.")
