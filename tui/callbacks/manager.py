"""Registers callbacks by event type and calls them when an event is triggered.

Dispatch walks a list of plain callables, so it costs little more than a handwritten loop. A registration or
removal creates a new list for the event. The items of the old list are replaced with callables that first
check whether their registration is still active. A dispatch that is walking the old list therefore skips
callbacks that have been removed in the meantime.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable
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
"""Marks a missing argument. A single argument has its own parameter and loop, because forwarding
``*args`` costs as much as calling a small callback.
"""


class CallbackManager:
    """Calls the callbacks of an event type in order of registration. A failing callback does not affect the others.

    An event type can be any hashable value, usually a string or an enum member. The same callback may be
    registered under several events, and several times under one. All methods may be called from any thread
    and from inside a callback. A dispatch calls the callbacks that were registered when it began, except
    those that are unregistered before their turn comes.
    """

    def __init__(self, reporter: ErrorReporter = default_reporter) -> None:
        self.reporter = reporter
        """The reporter for failing callbacks."""
        self._lock = threading.RLock()
        self._registrations: dict[Hashable, tuple[Registration, ...]] = {}
        self._calls: dict[Hashable, list[Callback]] = {}
        callback_tracing.adopt(self)

    def register_callback(self, event_type: Hashable, callback: Callback) -> Registration:
        """Registers ``callback`` to be called whenever ``event_type`` is triggered."""
        registration = Registration(event_type, callback, self._remove)
        with self._lock:
            self._replace(event_type, (*self._registrations.get(event_type, ()), registration))
        return registration

    def unregister_callback(self, event_type: Hashable, callback: Callback) -> bool:
        """Removes the oldest registration of ``callback`` for ``event_type``; returns False if there is none."""
        return any(
            registration.callback == callback and registration.unregister()
            for registration in self._registrations.get(event_type, ())
        )

    def trigger(self, event_type: Hashable, data: Any = _NOTHING, /, *more: Any) -> None:
        """Calls the callbacks of ``event_type`` immediately, in this thread.

        An awaitable result, such as a coroutine, becomes a task on this thread's running loop. Tasks start in
        order, but do not wait for each other. If no loop is running, the awaitable is awaited before the next
        callback is called.
        """
        calls = self._calls.get(event_type, ())
        if more or data is _NOTHING:
            args = _arguments(data, more)
            for call in calls:
                try:
                    self._await_somewhere(event_type, call, call(*args))
                except ISOLATED as error:
                    self._failed(event_type, call, error)
            return
        for call in calls:
            try:
                if (result := call(data)) is not None:
                    self._await_somewhere(event_type, call, result)
            except ISOLATED as error:
                self._failed(event_type, call, error)

    async def trigger_callbacks(self, event_type: Hashable, data: Any = _NOTHING, /, *more: Any) -> None:
        """Calls the callbacks of ``event_type``, and awaits each one before calling the next.

        If the calling task is cancelled, the cancellation is raised and the remaining callbacks are not
        called.
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

    def traceable(self) -> list[tuple[str, str]]:
        """Returns the event and the name of each callback."""
        with self._lock:
            return [
                (r.event, r.name) for registrations in self._registrations.values() for r in registrations
            ]

    def retrace(self) -> None:
        """Starts or stops tracing the callbacks, according to `callback_tracing`."""
        with self._lock:
            for event_type, registrations in tuple(self._registrations.items()):
                self._replace(event_type, registrations)

    def _replace(self, event_type: Hashable, registrations: tuple[Registration, ...]) -> None:
        """Replaces the list of callbacks for an event type. The caller holds the lock."""
        previous = self._registrations.get(event_type, ())
        walked = self._calls.get(event_type, [])
        if registrations:
            self._registrations[event_type] = registrations
            self._calls[event_type] = [registration.prepare() for registration in registrations]
        else:
            self._registrations.pop(event_type, None)
            self._calls.pop(event_type, None)
        walked[:] = [registration.call_if_active for registration in previous]

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

    def _await_somewhere(self, event_type: Hashable, call: Callback, result: object) -> None:
        """Awaits ``result`` if it is awaitable: in a task if a loop is running in this thread, otherwise at once."""
        if not isawaitable(result):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            run_to_completion(result)
        else:
            spawn(result, _name(call), event=event_name(event_type), reporter=self.reporter)

    def _failed(self, event_type: Hashable, call: Callback, error: BaseException) -> None:
        if is_cancellation(error):
            raise error
        self.reporter.report(error, callback=_name(call), event=event_name(event_type))


def _arguments(data: Any, more: tuple[Any, ...]) -> tuple[Any, ...]:
    return () if data is _NOTHING else (data, *more)


def _name(call: Callback) -> str:
    registration = getattr(call, "__self__", None)
    return registration.name if isinstance(registration, Registration) else callback_name(call)
