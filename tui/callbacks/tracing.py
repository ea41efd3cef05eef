"""What callbacks do and how long they take: for one callback by a decorator, for all of them by a switch."""

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
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from tui.callbacks.errors import error_message, event_name
from tui.callbacks.execution import callback_name, is_coroutine_callback, maybe_await
from tui.callbacks.types import Callback

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)


def trace_callback(callback: Callable[P, R], name: str | None = None) -> Callable[P, R]:
    """Log each call of ``callback``, its end and its failure, which it raises as before."""
    name = name or callback_name(callback)
    return _observed(callback, name, _Trace(name))


def monitor_callback_performance(callback: Callable[P, R]) -> Callable[P, R]:
    """Log how long each call of ``callback`` took, to the end of what it awaits."""
    name = callback_name(callback)
    return _observed(callback, name, _Monitor(name))


@dataclass(frozen=True, slots=True)
class CallbackStats:
    """What was measured of one callback under one event; times are None until it has been called."""

    event: str
    name: str
    registered: int
    """How many times it is registered now; 0 if it is gone."""
    calls: int = 0
    errors: int = 0
    last_error: str | None = None
    mean_ms: float | None = None
    p50_ms: float | None = None
    """Median and 99th percentile are of the most recent calls, mean and maximum of all."""
    p99_ms: float | None = None
    max_ms: float | None = None


class CallbackTracing:
    """The switch that measures every callback of every manager and chain, without touching their code.

    Off, dispatch runs the callbacks themselves. Switching changes what it runs, from any thread; a call under
    way is not measured. What was measured stays until ``reset``, also of callbacks that are no longer
    registered.
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
        """Whether callbacks are measured now."""
        return self._enabled

    def enable(self) -> None:
        """Start to measure whatever is and will be registered, and log each call at debug level."""
        self._switch(True)

    def disable(self) -> None:
        """Stop measuring."""
        self._switch(False)

    def reset(self) -> None:
        """Forget what was measured."""
        with self._lock:
            self._meters.clear()
        self._switch(self._enabled)  # what is registered still feeds the meters that were thrown away

    def snapshot(self) -> tuple[CallbackStats, ...]:
        """A row for every callback that is registered or was called while measuring, as plain values."""
        with self._lock:
            owners = tuple(self._owners)
            meters = dict(self._meters)
        registered = Counter(key for owner in owners for key in owner.traceable())
        return tuple(
            meters[key].stats(registered[key]) if key in meters else CallbackStats(*key, registered[key])
            for key in {**registered, **meters}
        )

    def adopt(self, owner: Traceable) -> None:
        """Switch ``owner`` too, from now on and as long as it lives."""
        with self._lock:
            self._owners.add(owner)

    def instrument(self, event_type: Hashable, callback: Callback) -> Callback:
        """What to call instead of ``callback``: itself while the switch is off."""
        if not self._enabled:
            return callback
        event, name = event_name(event_type), callback_name(callback)
        with self._lock:
            if (event, name) not in self._meters and len(self._meters) >= self._limit:
                event, name = "(others)", "(others)"
            meter = self._meters.setdefault((event, name), _Meter(event, name, self._recent))
        return _observed(callback, name, meter)

    def _switch(self, on: bool) -> None:
        with self._lock:
            self._enabled = on
            owners = tuple(self._owners)
        for owner in owners:
            owner.retrace()


class Traceable(Protocol):
    """What the switch works on: a manager or a chain."""

    def traceable(self) -> Iterable[tuple[str, str]]:
        """Event and name of each registered callback."""

    def retrace(self) -> None:
        """Ask again what to call for each callback."""


class _Observer(Protocol):
    def started(self) -> None: ...

    def ended(self, duration_ns: int, error: BaseException | None) -> None: ...


class _Trace:
    def __init__(self, name: str) -> None:
        self._name = name

    def started(self) -> None:
        logger.debug("Executing callback: %s", self._name)

    def ended(self, duration_ns: int, error: BaseException | None) -> None:
        if error is None:
            logger.debug("Callback completed: %s", self._name)
        else:
            logger.error("Callback failed: %s - %s", self._name, error_message(error))


class _Monitor:
    def __init__(self, name: str) -> None:
        self._name = name

    def started(self) -> None:
        pass

    def ended(self, duration_ns: int, error: BaseException | None) -> None:
        if error is None:
            logger.debug("Callback %s took %.3fs", self._name, duration_ns / 1e9)
        else:
            message = error_message(error)
            logger.error("Callback %s failed after %.3fs: %s", self._name, duration_ns / 1e9, message)


class _Meter:
    """Both of them for the switch, with numbers; a failure is the reporter's to log as an error."""

    def __init__(self, event: str, name: str, recent: int) -> None:
        self._event = event
        self._name = name
        self._lock = threading.Lock()
        self._calls = self._errors = self._total_ns = self._max_ns = 0
        self._last_error: str | None = None
        self._recent_ns: deque[int] = deque(maxlen=recent)

    def started(self) -> None:
        logger.debug("Executing callback: %s on %s", self._name, self._event)

    def ended(self, duration_ns: int, error: BaseException | None) -> None:
        with self._lock:
            self._calls += 1
            self._total_ns += duration_ns
            self._max_ns = max(self._max_ns, duration_ns)
            self._recent_ns.append(duration_ns)
            if isinstance(error, Exception):  # a cancelled callback has not failed
                self._errors += 1
                self._last_error = f"{type(error).__name__}: {error_message(error)}"
        logger.debug(
            "Callback %s: %s on %s took %.3fs",
            "failed" if error else "completed",
            self._name,
            self._event,
            duration_ns / 1e9,
        )

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
    """One call: begins when it is made, ends when it is left, unless an awaitable carries it on."""

    __slots__ = ("_carried_on", "_observer", "_started_ns")

    def __init__(self, observer: _Observer) -> None:
        self._observer = observer
        self._carried_on = False
        observer.started()
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
            self._observer.ended(perf_counter_ns() - self._started_ns, error)


def _observed(callback: Callable[P, R], name: str, observer: _Observer) -> Callable[P, R]:
    async def run_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
        with _Span(observer):
            return await maybe_await(callback(*args, **kwargs))

    def run_plain(*args: P.args, **kwargs: P.kwargs) -> Any:
        with _Span(observer) as span:
            result = callback(*args, **kwargs)
            return span.carry(result) if inspect.isawaitable(result) else result

    run: Any = run_coroutine if is_coroutine_callback(callback) else run_plain
    functools.update_wrapper(run, callback)
    run.__name__ = run.__qualname__ = name
    return cast("Callable[P, R]", run)


callback_tracing = CallbackTracing()
"""The switch of this process."""
