"""Runs callbacks in sequence and passes the result of each one to the next."""

from __future__ import annotations

import threading
from inspect import isawaitable
from typing import Any

from tui.callbacks.errors import ErrorReporter, default_reporter
from tui.callbacks.execution import ISOLATED, is_cancellation
from tui.callbacks.registration import Registration
from tui.callbacks.tracing import callback_tracing
from tui.callbacks.types import Callback


class CallbackChain:
    """A sequence of steps. Each step receives the value that the previous one returned, even if it is None.

    A step that fails ends the execution: the failure is reported, and the last good value is the result.
    Steps may be added and removed from any thread. An execution in progress ignores steps that were added
    after its start, and skips steps that are removed before their turn.
    """

    def __init__(self, name: str = "chain", reporter: ErrorReporter = default_reporter) -> None:
        self.name = name
        """Name of the chain, used as the event in reports and statistics."""
        self.reporter = reporter
        self._lock = threading.RLock()
        self._steps: tuple[Registration, ...] = ()
        callback_tracing.adopt(self)

    def add_callback(self, callback: Callback) -> Registration:
        """Adds ``callback`` as the last step."""
        registration = Registration(self.name, callback, self._remove)
        with self._lock:
            self._replace((*self._steps, registration))
        return registration

    def remove(self, callback: Callback) -> bool:
        """Removes the first step with this callback; returns False if there is no such step."""
        return any(step.callback == callback and step.unregister() for step in self._steps)

    async def execute_chain(self, initial_data: Any) -> Any:
        """Runs the steps, awaits awaitable results, and returns the last good value."""
        result = initial_data
        for step in self._steps:
            try:
                if step.active:
                    returned = step.call(result)
                    # Checked first because most steps return this; the other check takes longer than a step.
                    if not isinstance(returned, bytes) and isawaitable(returned):
                        returned = await returned
                    result = returned
            except ISOLATED as error:
                self._failed(step, error)
                break
        return result

    def traceable(self) -> list[tuple[str, str]]:
        """Returns the event and the name of each step."""
        return [(step.event, step.name) for step in self._steps]

    def retrace(self) -> None:
        """Starts or stops tracing the steps, according to `callback_tracing`."""
        with self._lock:
            self._replace(self._steps)

    def _replace(self, steps: tuple[Registration, ...]) -> None:
        for step in steps:
            step.prepare()
        self._steps = steps

    def _remove(self, registration: Registration) -> bool:
        with self._lock:
            if not registration.active:
                return False
            registration.active = False
            self._replace(tuple(step for step in self._steps if step is not registration))
            return True

    def _failed(self, step: Registration, error: BaseException) -> None:
        if is_cancellation(error):
            raise error
        self.reporter.report(error, callback=step.name, event=self.name)
