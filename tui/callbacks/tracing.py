"""Traces and times callbacks: single callbacks with a decorator, or all callbacks with a switch."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import weakref
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from time import perf_counter_ns
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar, cast

from tui.callbacks.errors import error_message, event_name
from tui.callbacks.execution import callback_name, is_coroutine_callback, maybe_await
from tui.callbacks.types import Callback

P = ParamSpec("P")
R = TypeVar("R")

Record: TypeAlias = Callable[[int, BaseException | None], object]
"""Receives the duration of a call in nanoseconds, and the exception that ended it, if any."""

logger = logging.getLogger(__name__)


def trace_callback(
    callback: Callable[P, R], name: str | None = None, *, failure_level: int = logging.ERROR
) -> Callable[P, R]:
    """Wraps ``callback`` to log the start, end and failure of each call. Exceptions still propagate."""
    name = name or callback_name(callback)

    def started() -> None:
        logger.debug("Executing callback: %s", name)

    def ended(duration_ns: int, error: BaseException | None) -> None:
        if error is None:
            logger.debug("Callback completed: %s", name)
        else:
            logger.log(failure_level, "Callback failed: %s - %s", name, error_message(error))

    return _observed(callback, name, started, ended)


def monitor_callback_performance(callback: Callable[P, R], record: Record | None = None) -> Callable[P, R]:
    """Wraps ``callback`` to measure the duration of each call, including the time spent awaiting its result.

    ``record(duration_ns, error)`` receives the duration and, if the call failed, the exception. Without
    ``record``, the duration is logged.
    """
    name = callback_name(callback)

    def log(duration_ns: int, error: BaseException | None) -> None:
        if error is None:
            logger.debug("Callback %s took %.3fs", name, duration_ns / 1e9)
        else:
            message = error_message(error)
            logger.error("Callback %s failed after %.3fs: %s", name, duration_ns / 1e9, message)

    return _observed(callback, name, lambda: None, record or log)


@dataclass(frozen=True, slots=True)
class CallbackStats:
    """Measurements of one callback under one event. Times are None before the first call."""

    event: str
    name: str
    registered: int
    """How many times the callback is currently registered; 0 after it was unregistered."""
    calls: int = 0
    errors: int = 0
    last_error: str | None = None
    mean_ms: float | None = None
    p50_ms: float | None = None
    """The median and the 99th percentile cover the most recent calls; the mean and the maximum cover all calls."""
    p99_ms: float | None = None
    max_ms: float | None = None


class CallbackTracing:
    """The switch that turns tracing and measuring of all callbacks on and off.

    While the switch is off, dispatch calls the callbacks directly. While the switch is on, dispatch calls the
    callbacks through `trace_callback` and `monitor_callback_performance`. The switch can be used from any
    thread. A call in progress is not measured. Measurements are kept until ``reset``, even for callbacks that
    are no longer registered.
    """

    def __init__(self, limit: int = 1000, recent: int = 1000) -> None:
        self._limit = limit
        self._recent = recent
        self._lock = threading.RLock()
        self._owners: weakref.WeakSet[Traceable] = weakref.WeakSet()
        self._meters: dict[tuple[str, str], _Meter] = {}
        self._enabled = False

    @property
    def enabled(self) -> bool:
        """Whether callbacks are being measured."""
        return self._enabled

    def enable(self) -> None:
        """Starts measuring all callbacks, even those registered later. Also logs each call at debug level."""
        self._switch(True)

    def disable(self) -> None:
        """Stops measuring and logging calls."""
        self._switch(False)

    def reset(self) -> None:
        """Discards all measurements."""
        with self._lock:
            self._meters.clear()
        self._switch(self._enabled)  # otherwise callbacks would keep updating the discarded meters

    def snapshot(self) -> tuple[CallbackStats, ...]:
        """Returns the measurements of every callback that is registered or was called while tracing was on."""
        with self._lock:
            owners = tuple(self._owners)
            meters = dict(self._meters)
        registered = Counter(key for owner in owners for key in owner.traceable())
        return tuple(
            meters[key].stats(registered[key]) if key in meters else CallbackStats(*key, registered[key])
            for key in {**registered, **meters}
        )

    def adopt(self, owner: Traceable) -> None:
        """Applies the switch to the callbacks of ``owner``. Keeps only a weak reference to ``owner``."""
        with self._lock:
            self._owners.add(owner)

    def instrument(self, event_type: Hashable, callback: Callback) -> Callback:
        """Returns ``callback`` with tracing and measuring added; while the switch is off, ``callback`` itself."""
        if not self._enabled:
            return callback
        event, name = event_name(event_type), callback_name(callback)
        with self._lock:
            if (event, name) not in self._meters and len(self._meters) >= self._limit:
                event, name = "(others)", "(others)"
            meter = self._meters.setdefault((event, name), _Meter(event, name, self._recent))
        # the reporter logs the failure as an error, so a second error here would count it twice
        traced = trace_callback(callback, name, failure_level=logging.DEBUG)
        return monitor_callback_performance(traced, meter.add)

    def _switch(self, on: bool) -> None:
        with self._lock:
            self._enabled = on
            owners = tuple(self._owners)
        for owner in owners:
            owner.retrace()


class Traceable(Protocol):
    """An owner of callbacks that can be traced, such as a manager or a chain."""

    def traceable(self) -> Iterable[tuple[str, str]]:
        """Returns the event and name of each registered callback."""

    def retrace(self) -> None:
        """Starts or stops tracing the callbacks, according to `callback_tracing`."""


class _Meter:
    """Counts and times the calls of one callback under one event."""

    def __init__(self, event: str, name: str, recent: int) -> None:
        self._event = event
        self._name = name
        self._lock = threading.Lock()
        self._calls = self._errors = self._total_ns = self._max_ns = 0
        self._last_error: str | None = None
        self._recent_ns: deque[int] = deque(maxlen=recent)

    def add(self, duration_ns: int, error: BaseException | None) -> None:
        with self._lock:
            self._calls += 1
            self._total_ns += duration_ns
            self._max_ns = max(self._max_ns, duration_ns)
            self._recent_ns.append(duration_ns)
            if isinstance(error, Exception):  # a cancelled callback has not failed
                self._errors += 1
                self._last_error = f"{type(error).__name__}: {error_message(error)}"

    def stats(self, registered: int) -> CallbackStats:
        with self._lock:
            calls, errors, last_error = self._calls, self._errors, self._last_error
            total_ns, max_ns = self._total_ns, self._max_ns
            recent_ns = sorted(self._recent_ns)
        if not calls:
            return CallbackStats(self._event, self._name, registered)
        return CallbackStats(
            event=self._event,
            name=self._name,
            registered=registered,
            calls=calls,
            errors=errors,
            last_error=last_error,
            mean_ms=total_ns / calls / 1e6,
            p50_ms=recent_ns[(len(recent_ns) - 1) // 2] / 1e6,
            p99_ms=recent_ns[-(-len(recent_ns) * 99 // 100) - 1] / 1e6,
            max_ms=max_ns / 1e6,
        )


class _Span:
    """Times one call from its start to its return, including an awaitable that the call returns."""

    __slots__ = ("_carried_on", "_ended", "_started_ns")

    def __init__(self, ended: Record) -> None:
        self._ended = ended
        self._carried_on = False
        self._started_ns = perf_counter_ns()

    async def carry_on(self, awaitable: Awaitable[Any]) -> Any:
        with self:
            self._carried_on = False
            return await awaitable

    def carry(self, awaitable: Awaitable[Any]) -> Awaitable[Any]:
        self._carried_on = True
        return self.carry_on(awaitable)

    def __enter__(self) -> _Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._carried_on:
            self._ended(perf_counter_ns() - self._started_ns, error)


def _observed(
    callback: Callable[P, R], name: str, started: Callable[[], object], ended: Record
) -> Callable[P, R]:
    async def run_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
        started()
        with _Span(ended):
            return await maybe_await(callback(*args, **kwargs))

    def run_plain(*args: P.args, **kwargs: P.kwargs) -> Any:
        started()
        with _Span(ended) as span:
            result = callback(*args, **kwargs)
            return span.carry(result) if inspect.isawaitable(result) else result

    run: Any = run_coroutine if is_coroutine_callback(callback) else run_plain
    functools.update_wrapper(run, callback)
    run.__name__ = run.__qualname__ = name
    return cast("Callable[P, R]", run)


callback_tracing = CallbackTracing()
"""The tracing switch of this process."""
