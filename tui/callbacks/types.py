"""Types for the five kinds of callback.

Each callback may be a plain or a coroutine function. An awaitable result is awaited and any other result is
ignored, so the result type is ``object``. All arguments are positional, so callbacks can use any parameter
names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

T_contra = TypeVar("T_contra", contravariant=True)

Callback: TypeAlias = Callable[..., object]
"""A callback of any of the five kinds, for places where the kind does not matter."""


class EventCallback(Protocol):
    """Reacts to a system event, such as a message that arrived."""

    def __call__(self, data: dict[str, Any], /) -> object:
        """Receives the event's data."""


class StateChangeCallback(Protocol[T_contra]):
    """Reacts to a transition, such as a session's change from connecting to connected."""

    def __call__(self, old: T_contra, new: T_contra, /) -> object:
        """Receives the previous state and the new state."""


class ErrorCallback(Protocol):
    """Handles an error, for example an error that the agent reported."""

    def __call__(self, error: Exception, context: str, /) -> object:
        """Receives the error and a short description of the operation that failed."""


class CompletionCallback(Protocol[T_contra]):
    """Runs when an operation has ended, such as a tool call or the playback of a recorded line."""

    def __call__(self, result: T_contra, /) -> object:
        """Receives the operation's result."""


class ProgressCallback(Protocol):
    """Receives the progress of a long operation, such as a session export."""

    def __call__(self, fraction: float, /) -> object:
        """Receives the completed fraction, from 0.0 to 1.0."""
