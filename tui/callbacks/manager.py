"""The registry of callbacks: who wants to know what, and telling them.

Dispatch walks a list of plain callables, so that it costs little more than the loop one would write by hand.
A change replaces the event's list and rewrites the one it replaces in place, slot by slot, to callables that
first ask whether their registration still holds: whoever is walking it goes on at the same position, and does
not meet a callback that was removed meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Hashable
from inspect import isawaitable
from types import CoroutineType
from typing import Any, Final

from tui.callbacks.errors import ErrorReporter, default_reporter, event_name
from tui.callbacks.execution import (
    ISOLATED,
    callback_name,
    is_cancellation,
    maybe_await,
    run_to_completion,
    spawn,
)
from tui.callbacks.registration import Registration
from tui.callbacks.tracing import callback_tracing
from tui.callbacks.types import Callback

_NOTHING: Final[Any] = object()
"""Stands for no argument. One argument has a parameter and a loop of its own: passing ``*args`` on costs as
much as a callback that does little."""


class CallbackManager:
    """Callbacks by event type, called in order of registration, each isolated from the failure of the others.

    An event type is anything hashable, usually a string or an enum member. The same callback may be
    registered under several events, and several times under one. All methods may be called from any thread
    and from inside a callback. A dispatch calls what was registered when it began, less what is unregistered
    before its turn comes.
    """

    def __init__(self, reporter: ErrorReporter = default_reporter) -> None:
        self.reporter = reporter
        """Where failing callbacks are reported."""
        self._lock = threading.RLock()
        self._registrations: dict[Hashable, tuple[Registration, ...]] = {}
        self._calls: dict[Hashable, list[Callback]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        callback_tracing.adopt(self)

    def register_callback(
        self, event_type: Hashable, callback: Callback, *, once: bool = False
    ) -> Registration:
        """Call ``callback`` at each ``event_type`` from now on, or at the next one only."""
        registration = Registration(event_type, callback, self._remove, once=once)
        with self._lock:
            self._replace(event_type, (*self._registrations.get(event_type, ()), registration))
        return registration

    def unregister_callback(self, event_type: Hashable, callback: Callback) -> bool:
        """Take out the oldest registration of ``callback`` under ``event_type``; False if there is none."""
        return any(
            registration.callback == callback and registration.unregister()
            for registration in self._registrations.get(event_type, ())
        )

    def clear(self, event_type: Hashable | None = None) -> None:
        """Unregister everything, or everything under one event."""
        with self._lock:
            for event in tuple(self._registrations) if event_type is None else (event_type,):
                for registration in self._registrations.get(event, ()):
                    registration.active = False
                self._replace(event, ())

    def count(self, event_type: Hashable | None = None) -> int:
        """How many callbacks are registered, in all or under one event."""
        with self._lock:
            if event_type is not None:
                return len(self._registrations.get(event_type, ()))
            return sum(map(len, self._registrations.values()))

    def trigger(self, event_type: Hashable, data: Any = _NOTHING, /, *more: Any) -> None:
        """Call everything that is registered under ``event_type``, now, in this thread.

        What a callback returns to be awaited, such as a coroutine, becomes a task on the bound loop, also
        from another thread; without one, on the loop that runs in this thread; without that, it is awaited
        before the next callback is called. Tasks start in order, but do not wait for each other.
        """
        calls = self._calls.get(event_type, ())
        if more or data is _NOTHING:
            args = _arguments(data, more)
            for call in calls:
                try:
                    self._deliver(event_type, call, call(*args))
                except ISOLATED as error:
                    self._failed(event_type, call, error)
            return
        for call in calls:
            try:
                if (result := call(data)) is not None:
                    self._deliver(event_type, call, result)
            except ISOLATED as error:
                self._failed(event_type, call, error)

    async def trigger_callbacks(self, event_type: Hashable, data: Any = _NOTHING, /, *more: Any) -> None:
        """Call everything that is registered under ``event_type``, each awaited before the next.

        The cancellation of the calling task comes out, and what follows is then not called.
        """
        calls = self._calls.get(event_type, ())
        if more or data is _NOTHING:
            args = _arguments(data, more)
            for call in calls:
                try:
                    await maybe_await(call(*args))
                except ISOLATED as error:
                    self._failed(event_type, call, error)
            return
        for call in calls:
            try:
                result = call(data)
                if result is not None and (result.__class__ is CoroutineType or isawaitable(result)):
                    await result
            except ISOLATED as error:
                self._failed(event_type, call, error)

    def bind_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Choose the loop ``trigger`` starts coroutine callbacks on; one that does not run is none."""
        self._loop = loop

    async def drain(self) -> None:
        """Wait for the tasks that ``trigger`` started on this loop; to be awaited before the loop ends."""
        await asyncio.sleep(0)  # what another thread handed over starts first
        loop, current = asyncio.get_running_loop(), asyncio.current_task()
        while tasks := [
            task for task in tuple(self._tasks) if task is not current and task.get_loop() is loop
        ]:
            await asyncio.wait(tasks)

    def traceable(self) -> list[tuple[str, str]]:
        """Event and name of each callback, for the tracing switch."""
        with self._lock:
            return [
                (r.event, r.name) for registrations in self._registrations.values() for r in registrations
            ]

    def retrace(self) -> None:
        """Take over how the tracing switch is set."""
        with self._lock:
            for event_type, registrations in tuple(self._registrations.items()):
                self._replace(event_type, registrations)

    def _replace(self, event_type: Hashable, registrations: tuple[Registration, ...]) -> None:
        """Make ``registrations`` what the event has; the lock is held."""
        before = self._registrations.get(event_type, ())
        walked = self._calls.get(event_type, [])
        if registrations:
            self._registrations[event_type] = registrations
            self._calls[event_type] = [registration.prepare() for registration in registrations]
        else:
            self._registrations.pop(event_type, None)
            self._calls.pop(event_type, None)
        walked[:] = [registration.call_if_active for registration in before]

    def _remove(self, registration: Registration) -> bool:
        with self._lock:
            if not registration.active:
                return False
            registration.active = False
            event_type = registration.event_type
            self._replace(
                event_type, tuple(r for r in self._registrations[event_type] if r is not registration)
            )
            return True

    def _deliver(self, event_type: Hashable, call: Callback, result: object) -> None:
        """Have ``result`` awaited, if it can be, where there is a loop."""
        if not isawaitable(result):
            return
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        bound = self._loop
        if bound is not None and bound is not here and bound.is_running():
            try:
                bound.call_soon_threadsafe(self._start, event_type, call, result)
            except RuntimeError:
                pass  # closed since we asked
            else:
                return
        if here is not None:
            self._start(event_type, call, result)
        else:
            run_to_completion(result)

    def _start(self, event_type: Hashable, call: Callback, awaitable: Awaitable[Any]) -> None:
        task = spawn(awaitable, _name(call), event=event_name(event_type), reporter=self.reporter)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _failed(self, event_type: Hashable, call: Callback, error: BaseException) -> None:
        if is_cancellation(error):
            raise error
        self.reporter.report(error, callback=_name(call), event=event_name(event_type))


def _arguments(data: Any, more: tuple[Any, ...]) -> tuple[Any, ...]:
    return () if data is _NOTHING else (data, *more)


def _name(call: Callback) -> str:
    registration = getattr(call, "__self__", None)
    return registration.name if isinstance(registration, Registration) else callback_name(call)
