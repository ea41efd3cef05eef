"""Callbacks for tests: they write down how they were called."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

from tui.callbacks.execution import maybe_await

Call = tuple[tuple[Any, ...], dict[str, Any]]


class MockCallback:
    """A plain callback that records its calls, from any thread.

    Args:
        return_value: What calling it returns.
        side_effect: An exception to raise, or a function whose result is returned instead.
        name: How reports and statistics call it.
    """

    def __init__(
        self,
        return_value: Any = None,
        side_effect: BaseException | type[BaseException] | Callable[..., Any] | None = None,
        *,
        name: str = "MockCallback",
    ) -> None:
        self.__name__ = name
        self.return_value = return_value
        self.side_effect = side_effect
        self.calls: list[Call] = []
        """The arguments of each call, positional and by keyword."""
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] = []

    @property
    def call_count(self) -> int:
        """How many times it was called."""
        return len(self.calls)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record the call, then do as told."""
        with self._lock:
            self.calls.append((args, kwargs))
            wakers = tuple(self._wakers)
        for wake in wakers:
            with contextlib.suppress(RuntimeError):  # the loop that waited is closed
                wake()
        effect = self.side_effect
        if isinstance(effect, BaseException) or (
            isinstance(effect, type) and issubclass(effect, BaseException)
        ):
            raise effect
        return effect(*args, **kwargs) if effect is not None else self.return_value

    async def was_called(self, timeout: float = 1.0, *, times: int = 1) -> bool:  # noqa: ASYNC109 - it is the question asked
        """Wait until it has been called ``times`` times, at most ``timeout`` seconds; False if it was not."""
        called = asyncio.Event()
        wake = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, called.set)
        with self._lock:
            self._wakers.append(wake)
        try:
            async with asyncio.timeout(timeout):
                while self.call_count < times:
                    await called.wait()
                    called.clear()
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._wakers.remove(wake)
        return True

    def assert_called_with(self, *args: Any, **kwargs: Any) -> None:
        """Fail unless the last call had exactly these arguments."""
        assert self.calls, f"{self.__name__} was not called"
        assert self.calls[-1] == (args, kwargs), f"{self.__name__} was last called with {self.calls[-1]}"

    def assert_called_once(self) -> None:
        """Fail unless it was called exactly once."""
        assert self.call_count == 1, f"{self.__name__} was called {self.call_count} times: {self.calls}"

    def assert_not_called(self) -> None:
        """Fail if it was called."""
        assert not self.calls, f"{self.__name__} was called {self.call_count} times: {self.calls}"

    def reset(self) -> None:
        """Forget the calls."""
        with self._lock:
            self.calls.clear()


class AsyncMockCallback(MockCallback):
    """A coroutine callback that records its calls when they are awaited; a side effect may be one too."""

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record the call, then do as told."""
        return await maybe_await(super().__call__(*args, **kwargs))
