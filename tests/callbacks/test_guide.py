"""Tests the guide's own testing section as written, and each of its headings that concerns the kit."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest

from tui.callbacks import (
    Callback,
    CallbackChain,
    CallbackManager,
    CompletionCallback,
    ErrorCallback,
    EventCallback,
    ProgressCallback,
    StateChangeCallback,
    monitor_callback_performance,
    safe_callback_execution,
    trace_callback,
)
from tui.callbacks.testing import MockCallback


async def test_callback_integration() -> None:
    """Test callback integration with main system."""
    manager = CallbackManager()
    mock_callback = MockCallback()

    # Register callback
    manager.register_callback("test_event", mock_callback)

    # Trigger event
    await manager.trigger_callbacks("test_event", {"data": "test"})

    # Verify callback was called
    assert mock_callback.call_count == 1
    mock_callback.assert_called_with({"data": "test"})


def test_mock_callback_testing() -> None:
    mock_callback = MockCallback()
    mock_callback(1, key="value")
    assert mock_callback.calls == [((1,), {"key": "value"})]
    mock_callback.assert_called_with(1, key="value")


async def test_basic_callback_flow() -> None:
    manager = CallbackManager()
    seen: list[str] = []
    manager.register_callback("event", seen.append)
    assert not seen, "registering does not call"
    await manager.trigger_callbacks("event", "data")
    assert seen == ["data"]


async def test_callback_registration_pattern() -> None:
    manager = CallbackManager()
    callback = MockCallback()
    manager.register_callback("event", callback)
    assert manager.unregister_callback("event", callback) is True
    assert manager.unregister_callback("event", callback) is False
    assert manager.unregister_callback("never registered", callback) is False
    await manager.trigger_callbacks("event", 1)
    callback.assert_not_called()


async def test_multiple_callback_execution() -> None:
    manager = CallbackManager()
    order: list[int] = []

    async def second(data: object) -> None:
        await asyncio.sleep(0)
        order.append(2)

    manager.register_callback("event", lambda data: order.append(1))
    manager.register_callback("event", second)
    manager.register_callback("event", lambda data: order.append(3))
    await manager.trigger_callbacks("event", None)
    assert order == [1, 2, 3]


async def test_error_isolation_pattern(caplog: pytest.LogCaptureFixture) -> None:
    broken = MockCallback(side_effect=ValueError("no such thing"), name="broken")
    await safe_callback_execution(broken, {"data": 1}, "guide")
    broken.assert_called_with({"data": 1})
    assert "Callback broken failed on guide: ValueError: no such thing." in caplog.text


async def test_callback_chaining_pattern() -> None:
    chain = CallbackChain()

    async def double(value: int) -> int:
        return value * 2

    chain.add_callback(lambda value: value + 1)
    chain.add_callback(double)
    chain.add_callback(str)
    assert await chain.execute_chain(3) == "8"


def test_callback_tracing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert trace_callback(lambda: 7, "seven")() == 7
    assert caplog.messages == ["Executing callback: seven", "Callback completed: seven"]


def test_callback_performance_monitoring(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def seven() -> int:
        return 7

    assert monitor_callback_performance(seven)() == 7
    assert caplog.messages[0].startswith("Callback seven took 0.")


async def test_common_callback_types_hold_plain_and_coroutine_callbacks() -> None:
    calls: list[Any] = []

    def event(data: dict[str, Any]) -> None:
        calls.append(data["type"])

    async def state(old: str, new: str) -> None:
        calls.append((old, new))

    def error(error: Exception, context: str) -> None:
        calls.append((str(error), context))

    on_event: EventCallback = event
    on_state: StateChangeCallback[str] = state
    on_error: ErrorCallback = error
    on_completion: CompletionCallback[int] = calls.append
    on_progress: ProgressCallback = functools.partial(calls.append)

    manager = CallbackManager()
    callbacks: dict[str, Callback] = {
        "event": on_event,
        "state": on_state,
        "error": on_error,
        "completion": on_completion,
        "progress": on_progress,
    }
    for name, callback in callbacks.items():
        manager.register_callback(name, callback)
    await manager.trigger_callbacks("event", {"type": "hello"})
    await manager.trigger_callbacks("state", "connecting", "connected")
    await manager.trigger_callbacks("error", ValueError("bad"), "decoding")
    await manager.trigger_callbacks("completion", 200)
    await manager.trigger_callbacks("progress", 0.5)
    assert calls == ["hello", ("connecting", "connected"), ("bad", "decoding"), 200, 0.5]
