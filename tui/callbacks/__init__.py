"""The callback kit: registers, calls, chains, traces and mocks callbacks (plain or coroutine functions).

The kit uses only the standard library and imports no other module of the program.
"""

from tui.callbacks.chain import CallbackChain
from tui.callbacks.errors import ErrorReporter, FailureReport, default_reporter
from tui.callbacks.execution import (
    callback_name,
    is_coroutine_callback,
    maybe_await,
    safe_callback_execution,
    spawn,
)
from tui.callbacks.manager import CallbackManager
from tui.callbacks.registration import Registration
from tui.callbacks.tracing import (
    CallbackStats,
    CallbackTracing,
    callback_tracing,
    monitor_callback_performance,
    trace_callback,
)
from tui.callbacks.types import (
    Callback,
    CompletionCallback,
    ErrorCallback,
    EventCallback,
    ProgressCallback,
    StateChangeCallback,
)

__all__ = [
    "Callback",
    "CallbackChain",
    "CallbackManager",
    "CallbackStats",
    "CallbackTracing",
    "CompletionCallback",
    "ErrorCallback",
    "ErrorReporter",
    "EventCallback",
    "FailureReport",
    "ProgressCallback",
    "Registration",
    "StateChangeCallback",
    "callback_name",
    "callback_tracing",
    "default_reporter",
    "is_coroutine_callback",
    "maybe_await",
    "monitor_callback_performance",
    "safe_callback_execution",
    "spawn",
    "trace_callback",
]
