"""CallerThread: runs calls on an asyncio loop in a real OS thread, on behalf of greenlets.

Audio has to be sent every 20 ms. Under gevent, each send would wait for other greenlets. Calls therefore run
on a separate event loop, and a greenlet only waits for the end of its call.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import gevent
from gevent import monkey
from gevent.event import AsyncResult

from tui import collector

T = TypeVar("T")

_COLLECTION_DELAY_S = 0.3
"""Calls that end within this time of each other share one garbage collection."""

PATCHED = (
    "VoiceUser needs real threads, but gevent has replaced them. Run the file with "
    "`opusagent-tui load --locustfile FILE`, or set LOCUST_SKIP_MONKEY_PATCH=1 for locust."
)


class ThreadsReplaced(RuntimeError):
    """Raised if gevent has replaced threads, so that asyncio cannot run in a thread."""


class Ticket(Generic[T]):
    """A greenlet's handle to a call on the thread. Only greenlets call `wait` and `hang_up`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.result: AsyncResult = AsyncResult()
        self.task: asyncio.Task[T] | None = None
        """The task of the call. This and the next two attributes are used only on the loop's thread."""
        self.hung_up = False
        """Whether the call was asked to end, possibly before its task began."""
        self.end: Callable[[], object] | None = None
        """Ends the call properly; if None, the task is cancelled instead."""

    def wait(self, timeout_s: float | None = None) -> T:
        """Returns the result of the call. Raises the call's exception, or `gevent.Timeout`."""
        result: T = self.result.get(timeout=timeout_s)
        return result

    def hang_up(self) -> None:
        """Requests the end of the call. The call still produces a result."""
        self._loop.call_soon_threadsafe(self._hang_up)

    def _hang_up(self) -> None:
        if self.hung_up:
            return
        self.hung_up = True
        if self.end is not None:
            self.end()
        elif self.task is not None:
            self.task.cancel()


class CallerThread:
    """A thread with an event loop that runs calls.

    Only greenlets of the thread that created the `CallerThread` may use it.

    Raises `ThreadsReplaced` if threads are not OS threads.
    """

    def __init__(self) -> None:
        if monkey.is_module_patched("threading"):
            raise ThreadsReplaced(PATCHED)
        self.loop = asyncio.new_event_loop()
        self._open: set[Ticket[Any]] = set()
        self._done: deque[tuple[Ticket[Any], Any, BaseException | None]] = deque()
        # Wakes the hub, which then sets the results, because gevent's events may be set only on the hub's thread.
        self._waker = gevent.get_hub().loop.async_()
        self._waker.start(self._settle)
        self._collection: asyncio.Handle | None = None
        self._thread = threading.Thread(target=self._run, name="callers", daemon=True)
        self._thread.start()

    @property
    def native_id(self) -> int | None:
        """The thread's id in the operating system."""
        return self._thread.native_id

    @property
    def calls(self) -> int:
        """Number of calls in progress."""
        return len(self._open)

    def submit(self, make: Callable[[Ticket[T]], Coroutine[Any, Any, T]]) -> Ticket[T]:
        """Starts a call on the loop and returns its ticket. The loop calls ``make`` with the ticket."""
        ticket: Ticket[T] = Ticket(self.loop)
        self._open.add(ticket)
        self.loop.call_soon_threadsafe(self._begin, ticket, make)
        return ticket

    def hang_up_all(self, timeout_s: float, *, except_for: Ticket[Any] | None = None) -> bool:
        """Ends all calls except ``except_for`` and waits for their results.

        Returns False if some calls did not end in time.
        """
        ending = [ticket for ticket in self._open if ticket is not except_for]
        for ticket in ending:
            ticket.hang_up()
        return len(gevent.wait([ticket.result for ticket in ending], timeout=timeout_s)) == len(ending)

    def close(self) -> None:
        """Stops the loop and the thread. No call may be in progress."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self._waker.stop()
        self._waker.close()

    # -- on the loop's thread --

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        # Objects imported so far are never scanned again, because a full collection would delay all calls.
        self.loop.call_soon(collector.settle)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    def _begin(self, ticket: Ticket[T], make: Callable[[Ticket[T]], Coroutine[Any, Any, T]]) -> None:
        task = ticket.task = self.loop.create_task(make(ticket))
        task.add_done_callback(lambda done: self._end(ticket, done))
        if ticket.hung_up:
            task.cancel()

    def _end(self, ticket: Ticket[T], task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._done.append((ticket, None, asyncio.CancelledError()))
        else:
            error = task.exception()
            self._done.append((ticket, None if error else task.result(), error))
        self._waker.send()
        # An ended call is a web of objects that refer to each other. Left to Python, those of about 40 calls are
        # collected at once, which was measured to stop all other calls for 130 ms. Not at once, because the end of a
        # call has delayed the others already.
        if self._collection is None:
            self._collection = self.loop.call_later(_COLLECTION_DELAY_S, self._collect)

    def _collect(self) -> None:
        self._collection = None
        gc.collect()

    # -- on the hub --

    def _settle(self) -> None:
        while self._done:
            ticket, value, error = self._done.popleft()
            self._open.discard(ticket)
            if error is None:
                ticket.result.set(value)
            else:
                ticket.result.set_exception(error)
