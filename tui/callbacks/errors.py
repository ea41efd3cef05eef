"""Reports failing callbacks, once for each distinct error, with bounded memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 500
"""Maximum length of an error message that is kept, in characters."""


@dataclass(frozen=True, slots=True)
class FailureReport:
    """One distinct failure of one callback."""

    callback: str
    """The callback's name."""
    event: str
    """The event, chain or context for which the callback was called; may be empty."""
    error: str
    """The name of the exception's type."""
    message: str
    """The exception's text."""

    @property
    def reason(self) -> str:
        """The failure as a sentence without the callback's name."""
        where = f" on {self.event}" if self.event else ""
        message = f": {self.message}" if self.message else ""
        return f"Failed{where}: {self.error}{message.rstrip('.')}."

    def __str__(self) -> str:
        return f"Callback {self.callback} f{self.reason[1:]}"


class ErrorReporter:
    """Counts callback failures and passes each distinct failure to the listeners once.

    Two failures are the same if they have the same callback, event, exception type and message. After
    ``limit`` distinct failures, all further failures share one report. An error with a changing message
    therefore neither floods a listener nor fills the memory. Can be used from any thread.
    """

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._lock = threading.RLock()
        self._known: set[FailureReport] = set()
        self._listeners: tuple[Callable[[FailureReport], object], ...] = ()
        self._total = 0

    @property
    def total(self) -> int:
        """Number of failures so far, including repeated ones."""
        return self._total

    def subscribe(self, listener: Callable[[FailureReport], object]) -> Callable[[], None]:
        """Calls ``listener`` with each distinct failure, in the failing thread.

        Returns a function that unsubscribes the listener.
        """
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
        """Counts one failure; if the failure is new, logs it and notifies the listeners. Never raises."""
        found = FailureReport(callback, event, type(error).__name__, error_message(error))
        with self._lock:
            self._total += 1
            if found not in self._known and len(self._known) >= self._limit:
                found = FailureReport(
                    "(others)", "", "further errors", f"more than {self._limit} distinct errors"
                )
            if found in self._known:
                return
            self._known.add(found)
            listeners = self._listeners
        logger.error("%s", found, exc_info=error)
        for listener in listeners:
            try:
                listener(found)
            except Exception:
                logger.exception("an error listener failed")

    def clear(self) -> None:
        """Forgets all failures, so that each one is reported again the next time it occurs."""
        with self._lock:
            self._known.clear()
            self._total = 0


def error_message(error: BaseException) -> str:
    """Returns the exception's text, cut to `MESSAGE_LIMIT`, or a placeholder if converting it to text fails."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - user code must not break the error handling that calls it
        text = "(the error text cannot be printed)"
    return text if len(text) <= MESSAGE_LIMIT else text[:MESSAGE_LIMIT] + "…"


def event_name(event_type: Hashable) -> str:
    """Returns the name of an event type for reports: the string itself, or the name of the enum member or class."""
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
"""The reporter of every object that is created without a reporter."""
