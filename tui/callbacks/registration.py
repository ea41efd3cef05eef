"""Registration: the handle that a caller receives when it registers a callback."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from tui.callbacks.errors import event_name
from tui.callbacks.execution import callback_name
from tui.callbacks.tracing import callback_tracing
from tui.callbacks.types import Callback


class Registration:
    """A callback registered for an event type."""

    __slots__ = ("_remove", "active", "call", "callback", "event_type")

    def __init__(
        self, event_type: Hashable, callback: Callback, remove: Callable[[Registration], bool]
    ) -> None:
        self._remove = remove
        self.event_type = event_type
        self.callback = callback
        self.active = True
        """Whether the callback is still registered. Only the owner changes this, while holding its lock."""
        self.call: Callback = callback
        """The callable that dispatch calls: the callback itself or, while tracing is on, its traced form."""

    @property
    def name(self) -> str:
        """Name of the callback."""
        return callback_name(self.callback)

    @property
    def event(self) -> str:
        """Name of the event."""
        return event_name(self.event_type)

    def unregister(self) -> bool:
        """Unregisters the callback; returns False if it was unregistered already. Can be called from any thread.

        Even a dispatch in progress no longer calls the callback, unless another thread is calling it at that
        moment.
        """
        return self._remove(self)

    def prepare(self) -> Callback:
        """Returns the callable that dispatch should call: the callback, or its traced form while tracing is on."""
        self.call = callback_tracing.instrument(self.event_type, self.callback)
        return self.call

    def call_if_active(self, *args: object) -> object:
        """Calls the callback unless it has been unregistered since the dispatch began."""
        return self.call(*args) if self.active else None

    def __repr__(self) -> str:
        return f"<Registration {self.name} on {self.event}{'' if self.active else ', unregistered'}>"
