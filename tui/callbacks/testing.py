"""Mock callbacks for tests, which record how they were called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tui.callbacks.execution import maybe_await

Call = tuple[tuple[Any, ...], dict[str, Any]]


class MockCallback:
    """A plain callback that records its calls. Can be called from any thread.

    Args:
        return_value: The value that a call returns.
        side_effect: An exception to raise, or a function whose result is returned instead.
        name: The callback's name in reports and statistics.
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
        """The positional and keyword arguments of each call."""
        self.call_count = 0
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Records the call; then applies `side_effect` or returns `return_value`."""
        with self._lock:
            self.calls.append((args, kwargs))
            self.call_count += 1
        effect = self.side_effect
        if isinstance(effect, BaseException) or (
            isinstance(effect, type) and issubclass(effect, BaseException)
        ):
            raise effect
        return effect(*args, **kwargs) if effect is not None else self.return_value

    def assert_called_with(self, *args: Any, **kwargs: Any) -> None:
        """Fails unless the last call had these arguments.

        Pass the arguments as in the call, ``assert_called_with(1, key=2)``, or as a tuple and a dict,
        ``assert_called_with(expected_args, expected_kwargs=None)``. Without ``expected_kwargs``, the second
        form ignores the keyword arguments of the call. The assertion holds if one of the two interpretations
        matches.
        """
        assert self.calls, f"{self.__name__} was not called"
        last = self.calls[-1]
        matches = last == (args, kwargs) or _matches(last, *args, **kwargs)
        assert matches, f"{self.__name__} was last called with {last}"

    def assert_called_once(self) -> None:
        """Fails unless the callback was called exactly once."""
        assert self.call_count == 1, f"{self.__name__} was called {self.call_count} times: {self.calls}"

    def assert_not_called(self) -> None:
        """Fails if the callback was called."""
        assert not self.calls, f"{self.__name__} was called {self.call_count} times: {self.calls}"

    def reset(self) -> None:
        """Forgets all recorded calls."""
        with self._lock:
            self.calls.clear()
            self.call_count = 0


class AsyncMockCallback(MockCallback):
    """A coroutine callback that records each call when the call is awaited.

    The side effect may be a coroutine function.
    """

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Records the call; then applies `side_effect` or returns `return_value`."""
        return await maybe_await(super().__call__(*args, **kwargs))


def _matches(last: Call, *expected: Any, **named: Any) -> bool:
    """Returns whether the last call has the given ``expected_args`` and ``expected_kwargs``."""
    given = dict(zip(("expected_args", "expected_kwargs"), expected, strict=False)) | named
    if len(expected) > 2 or given.keys() - {"expected_args", "expected_kwargs"}:
        return False
    args, kwargs = given.get("expected_args"), given.get("expected_kwargs")
    return last[0] == args and (not kwargs or last[1] == kwargs)
