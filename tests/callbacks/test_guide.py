"""Tests the guide's own testing section as written, its example of error isolation, and its callback types."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tui.callbacks import (
    Callback,
    CallbackManager,
    CompletionCallback,
    ErrorCallback,
    EventCallback,
    ProgressCallback,
    StateChangeCallback,
    safe_callback_execution,
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


async def test_error_isolation_pattern(caplog: pytest.LogCaptureFixture) -> None:
    broken = MockCallback(side_effect=ValueError("no such thing"), name="broken")
    await safe_callback_execution(broken, {"data": 1}, "guide")
    broken.assert_called_with({"data": 1})
    assert "Callback broken failed on guide: ValueError: no such thing." in caplog.text


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
    triggered: dict[str, tuple[Callback, tuple[Any, ...]]] = {
        "event": (on_event, ({"type": "hello"},)),
        "state": (on_state, ("connecting", "connected")),
        "error": (on_error, (ValueError("bad"), "decoding")),
        "completion": (on_completion, (200,)),
        "progress": (on_progress, (0.5,)),
    }
    for name, (callback, args) in triggered.items():
        manager.register_callback(name, callback)
        await manager.trigger_callbacks(name, *args)
    assert calls == ["hello", ("connecting", "connected"), ("bad", "decoding"), 200, 0.5]
