"""The handle that registering a callback returns."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from types import TracebackType

from tui.callbacks.errors import event_name
from tui.callbacks.execution import callback_name
from tui.callbacks.tracing import callback_tracing
from tui.callbacks.types import Callback


class Registration:
    """One callback under one event; leaving it as a context manager unregisters."""

    __slots__ = ("_remove", "active", "call", "callback", "event_type", "once")

    def __init__(
        self,
        event_type: Hashable,
        callback: Callback,
        remove: Callable[[Registration], bool],
        *,
        once: bool = False,
    ) -> None:
        self._remove = remove
        self.event_type = event_type
        self.callback = callback
        self.once = once
        self.active = True
        """Whether the callback is still registered; its owner clears it under its lock."""
        self.call: Callback = callback
        """What dispatch calls: the callback itself unless something has to come before it."""

    @property
    def name(self) -> str:
        """The callback's name."""
        return callback_name(self.callback)

    @property
    def event(self) -> str:
        """The event's name."""
        return event_name(self.event_type)

    def unregister(self) -> bool:
        """Take the callback out, from any thread; False if it was out already.

        A dispatch that is under way does not start the callback any more either, unless another thread is
        doing so at this very moment.
        """
        return self._remove(self)

    def prepare(self) -> Callback:
        """Choose what dispatch calls, as tracing is now switched."""
        self.call = (
            self.call_once if self.once else callback_tracing.instrument(self.event_type, self.callback)
        )
        return self.call

    def call_once(self, *args: object) -> object:
        """Unregister, then call: of two triggers at the same time one gets through."""
        if not self.unregister():
            return None
        return callback_tracing.instrument(self.event_type, self.callback)(*args)

    def call_if_active(self, *args: object) -> object:
        """Call unless it has been unregistered since the dispatch began."""
        return self.call(*args) if self.active else None

    def __enter__(self) -> Registration:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.unregister()

    def __repr__(self) -> str:
        return f"<Registration {self.name} on {self.event}{'' if self.active else ', unregistered'}>"
