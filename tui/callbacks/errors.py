"""Where failing callbacks are reported: once per distinct error, with a count, in bounded memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from enum import Enum

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 500
"""Longest error message that is kept, in characters."""


@dataclass(frozen=True, slots=True)
class FailureReport:
    """One distinct failure of one callback."""

    callback: str
    """The callback's name."""
    event: str
    """The event, chain or context it was called for; empty if there was none."""
    error: str
    """The exception's type."""
    message: str
    """The exception's text."""
    count: int = 1
    """How many times this failure has been seen."""

    def __str__(self) -> str:
        where = f" on {self.event}" if self.event else ""
        message = f": {self.message}" if self.message else ""
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"Callback {self.callback} failed{where}: {self.error}{message.rstrip('.')}{times}."


class ErrorReporter:
    """Counts the failures of callbacks and tells its listeners about each distinct one, once.

    Two failures are the same if callback, event, exception type and message are. After ``limit`` distinct
    ones, all further failures share one last report, so that an error with a changing message neither floods
    a listener nor fills the memory. Safe from any thread.
    """

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._lock = threading.RLock()
        self._reports: dict[tuple[str, str, str, str], FailureReport] = {}
        self._listeners: tuple[Callable[[FailureReport], object], ...] = ()
        self._total = 0

    @property
    def total(self) -> int:
        """How many failures there were, repeated ones included."""
        return self._total

    @property
    def reports(self) -> tuple[FailureReport, ...]:
        """Every distinct failure with its count so far, oldest first."""
        with self._lock:
            return tuple(self._reports.values())

    def subscribe(self, listener: Callable[[FailureReport], object]) -> Callable[[], None]:
        """Call ``listener`` with each distinct failure, in its thread; returns what ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                kept = list(self._listeners)
                if listener in kept:
                    kept.remove(listener)
                self._listeners = tuple(kept)

        return unsubscribe

    def report(self, error: BaseException, *, callback: str, event: str = "") -> None:
        """Count one failure; log it and tell the listeners if it is a new one. Never raises."""
        found = FailureReport(callback, event, type(error).__name__, error_message(error))
        with self._lock:
            self._total += 1
            key = (found.callback, found.event, found.error, found.message)
            if key not in self._reports and len(self._reports) >= self._limit:
                found = FailureReport(
                    "(others)", "", "further errors", f"more than {self._limit} distinct ones"
                )
                key = (found.callback, found.event, found.error, found.message)
            known = self._reports.get(key)
            self._reports[key] = replace(known, count=known.count + 1) if known else found
            listeners = self._listeners
        if known:
            return
        logger.error("%s", found, exc_info=error)
        for listener in listeners:
            try:
                listener(found)
            except Exception:
                logger.exception("the listener for failing callbacks failed itself")

    def clear(self) -> None:
        """Forget all failures, so that the next of each kind is reported again."""
        with self._lock:
            self._reports.clear()
            self._total = 0


def error_message(error: BaseException) -> str:
    """The exception's text, cut to ``MESSAGE_LIMIT``; an exception that cannot be printed says so."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it is user code, and it is running inside somebody's error handling
        text = "(its text cannot be printed)"
    return text if len(text) <= MESSAGE_LIMIT else text[:MESSAGE_LIMIT] + "…"


def event_name(event_type: Hashable) -> str:
    """How an event type is called in reports: its text, its enum value or name, or its class name."""
    match event_type:
        case Enum():
            return event_type.value if isinstance(event_type.value, str) else event_type.name
        case str():
            return event_type
        case type():
            return event_type.__name__
        case _:
            return repr(event_type)


default_reporter = ErrorReporter()
"""The reporter of everything that was not given one of its own."""
