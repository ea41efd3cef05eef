"""FunctionHandler: runs the functions that the agent calls and sends it their results.

The handler receives the events of the OpenAI Realtime protocol, GA or beta, through an `EventRouter`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

import msgspec

from tui.callbacks import (
    Callback,
    CompletionCallback,
    ErrorReporter,
    callback_name,
    callback_tracing,
    default_reporter,
    maybe_await,
    safe_callback_execution,
    spawn,
)
from tui.handlers.event_router import EventRouter
from tui.handlers.tools.announcements import Announcement, Announcements, Call, Rounds
from tui.handlers.tools.running import EVENT, ToolOutcome, ToolRunner, as_json, cut
from tui.models.events import ToolChanged
from tui.protocols.base import TelephonyEvent, TelephonyEventType
from tui.settings import default_of

NAME_LIMIT = 100
"""Maximum length of a function name in an event or a report."""
HANG_UP_KEYS = ("hang_up", "hangup", "end_call")
ACTION_KEYS = ("action", "next_action")
_CANCELLED_BY_AGENT = "the agent no longer wants the result"


class RealtimeWebSocket(Protocol):
    """The connection through which results are sent."""

    def send(self, message: Mapping[str, Any], /) -> object:
        """Encodes a message as the protocol requires and sends it. May be a plain or a coroutine function."""


@dataclass(eq=False, repr=False)
class FunctionHandler:
    """Runs registered functions when the agent calls them. Use the handler on one event loop.

    A function receives its arguments as a dict. A coroutine function runs on this loop. A plain function runs
    in a thread, where it may block without stopping the audio. An awaitable that a plain function returns is
    awaited on the loop. Calls run concurrently. Every failure is returned to the agent as ``{"error": "…"}``.

    At ``time_limit_s`` a coroutine is cancelled. A thread cannot be cancelled: it keeps running, the agent
    receives an error, and the late result is dropped and counted in `late_results`.

    ``on_change`` receives a `ToolChanged` event at the start and at the end of every call. ``on_unknown``
    receives the name of a function that was called but is not registered. Such a call counts as an error of
    the agent, not as a failed callback.
    """

    realtime_websocket: RealtimeWebSocket
    hang_up_callback: Callback | None = None
    _: KW_ONLY
    time_limit_s: float = default_of("tool_timeout_s")
    on_change: CompletionCallback[ToolChanged] | None = None
    on_unknown: CompletionCallback[str] | None = None
    clock_ns: Callable[[], int] = time.monotonic_ns
    reporter: ErrorReporter = default_reporter

    def __post_init__(self) -> None:
        self.function_registry: dict[str, Callback] = {}
        self._runner = ToolRunner(self.time_limit_s, self.reporter)
        self._announcements = Announcements()
        self._rounds = Rounds()
        self._tasks: dict[asyncio.Task[None], str] = {}
        """The running calls, each with its id."""
        self._closed = False
        callback_tracing.adopt(self)

    @property
    def late_results(self) -> int:
        """Number of results that were dropped because they came after the time limit or the hang-up."""
        return self._runner.threads.late

    def register_function(self, name: str, func: Callback) -> None:
        """Lets the agent call ``func`` by ``name``. Replaces an earlier function with that name."""
        self.function_registry[name] = func

    def register_with(self, router: EventRouter) -> None:
        """Registers handlers for the realtime events that announce function calls."""
        for event_type, handler in (
            ("response.output_item.added", self._on_item_added),
            ("response.function_call_arguments.delta", self._on_arguments_delta),
            ("response.function_call_arguments.done", self._on_arguments_done),
            ("response.output_item.done", self._on_item_done),
            ("response.done", self._on_response_done),
        ):
            router.register_realtime_handler(event_type, handler)

    def answer_calls(self, router: EventRouter) -> None:
        """Registers handlers for TOOL_CALL events, in which a single message is a complete call."""
        router.register_telephony_handler(TelephonyEventType.TOOL_CALL, self._on_tool_call)
        router.register_telephony_handler(
            TelephonyEventType.TOOL_CALL_CANCELLED, self._on_tool_call_cancelled
        )

    async def close(self) -> None:
        """Cancels running calls. Afterwards, no call starts and nothing is sent."""
        self._closed = True
        tasks = self._tasks.keys() - {asyncio.current_task()}  # one of the calls may be hanging up
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def traceable(self) -> list[tuple[str, str]]:
        """Returns the event and the name of each function."""
        return [(EVENT, callback_name(func)) for func in self.function_registry.values()]

    def retrace(self) -> None:
        """Does nothing, because each call checks the tracing switch itself."""

    # -- messages from the agent --

    def _on_item_added(self, data: Mapping[str, Any]) -> None:
        self._announcements.item_added(Announcement.read(data))

    def _on_arguments_delta(self, data: Mapping[str, Any]) -> None:
        self._announcements.delta(Announcement.read(data))

    def _on_arguments_done(self, data: Mapping[str, Any]) -> None:
        self._begin(self._announcements.arguments_done(Announcement.read(data)))

    def _on_item_done(self, data: Mapping[str, Any]) -> None:
        self._begin(self._announcements.item_done(Announcement.read(data)))

    async def _on_response_done(self, data: Mapping[str, Any]) -> None:
        message = Announcement.read(data)
        for call in self._announcements.response_done(message):
            self._begin(call)
        if self._rounds.response_ended(message):
            await self._ask_for_answer()

    def _on_tool_call(self, event: TelephonyEvent) -> None:
        self._begin(Call(event.stream_id, event.stream_id, event.text, as_json(event.params)))

    def _on_tool_call_cancelled(self, event: TelephonyEvent) -> None:
        loop = asyncio.get_running_loop()
        for task, call_id in self._tasks.items():
            if event.stream_id and call_id == event.stream_id:
                # Not immediately: a task that has not started yet would end without an event for its call.
                loop.call_soon(task.cancel, _CANCELLED_BY_AGENT)

    # -- running the calls --

    def _begin(self, call: Call | None) -> None:
        if call is None or self._closed:
            return
        self._rounds.call_begun(call.response_id)
        name = f"answer to {cut(call.name, NAME_LIMIT)}"
        task = spawn(self._answer(call), name, event=EVENT, reporter=self.reporter)
        self._tasks[task] = call.call_id
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _answer(self, call: Call) -> None:
        try:
            await self._execute_and_respond_to_function(call.name, call.arguments, call.call_id)
        finally:
            if self._rounds.call_answered(call.response_id):
                await self._ask_for_answer()

    async def _execute_and_respond_to_function(
        self, function_name: str, arguments: str | Mapping[str, Any], call_id: str = ""
    ) -> None:
        """Runs a function and sends its result or error. Hangs up afterwards if the result requests it.

        Without a ``call_id``, the result is not sent.
        """
        started_ns = self.clock_ns()
        text = arguments if isinstance(arguments, str) else as_json(arguments)
        name = cut(function_name, NAME_LIMIT)
        call = ToolChanged(at_ns=started_ns, call=call_id, name=name, arguments=cut(text))
        try:
            await self._emit(call)
            outcome = await self._run(function_name, arguments)
        except asyncio.CancelledError as cancelled:
            by_agent = _CANCELLED_BY_AGENT in cancelled.args
            reason = _CANCELLED_BY_AGENT if by_agent else "the call has ended"
            await self._emit_end(call, ToolOutcome(error=f"cancelled: {reason}"), withdrawn=by_agent)
            raise
        await self._emit_end(call, outcome)
        if call_id:
            output = as_json({"error": outcome.error}) if outcome.error else outcome.output
            item = {"type": "function_call_output", "call_id": call_id, "output": output}
            await self._send({"type": "conversation.item.create", "item": item})
        if self.hang_up_callback and self._should_hang_up(outcome.result):
            self._rounds.stop()
            await safe_callback_execution(
                self.hang_up_callback, outcome.result, "hang-up", reporter=self.reporter
            )

    async def _run(self, name: str, arguments: str | Mapping[str, Any]) -> ToolOutcome:
        func = self.function_registry.get(name)
        short = cut(name, NAME_LIMIT)
        if func is not None:
            return await self._runner.run(short, func, arguments)
        if self.on_unknown is not None:
            await safe_callback_execution(self.on_unknown, short, EVENT, reporter=self.reporter)
        return ToolOutcome(error=f"NotImplementedError: Function '{short}' not implemented.")

    def _should_hang_up(self, result: object) -> bool:
        """Returns whether a function's result requests the end of the call.

        In such a result, ``hang_up``, ``hangup`` or ``end_call`` is true, or ``action`` or ``next_action`` is
        one of these words.
        """
        return isinstance(result, Mapping) and (
            any(result.get(key) is True for key in HANG_UP_KEYS)
            or any(result.get(key) in HANG_UP_KEYS for key in ACTION_KEYS)
        )

    async def _ask_for_answer(self) -> None:
        await self._send({"type": "response.create"})

    async def _send(self, message: Mapping[str, Any]) -> None:
        if not self._closed:
            await maybe_await(self.realtime_websocket.send(message))

    async def _emit_end(self, call: ToolChanged, outcome: ToolOutcome, *, withdrawn: bool = False) -> None:
        ended_ns = self.clock_ns()
        await self._emit(
            msgspec.structs.replace(
                call,
                at_ns=ended_ns,
                result=cut(outcome.output),
                error=cut(outcome.error),
                finished=True,
                withdrawn=withdrawn,
                duration_ms=(ended_ns - call.at_ns) / 1e6,
            )
        )

    async def _emit(self, event: ToolChanged) -> None:
        if self.on_change is not None:
            await safe_callback_execution(self.on_change, event, EVENT, reporter=self.reporter)
