"""FunctionHandler: the agent calls functions, this runs them and sends back what they return.

Driven by the events of the OpenAI Realtime protocol, in its present and its beta form, through an `EventRouter`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from tui.callbacks import (
    Callback,
    CompletionCallback,
    ErrorReporter,
    callback_name,
    callback_tracing,
    default_reporter,
    is_coroutine_callback,
    maybe_await,
    safe_callback_execution,
    spawn,
)
from tui.callbacks.errors import error_message
from tui.callbacks.execution import ISOLATED, is_cancellation
from tui.handlers.event_router import EventRouter
from tui.handlers.tools.announcements import Announcements, Call, Message, Responses
from tui.handlers.tools.running import CallRefused, DaemonThreads, as_json, parse_arguments, within_limit
from tui.models.events import ToolChanged

EVENT = "function call"
"""How function calls are named in reports and statistics."""
CALLS_LIMIT = 32
"""Calls at a time, those counted whose thread did not end at the time limit."""
NAME_LIMIT = 100
TEXT_LIMIT = 4000
"""Longest arguments, result and error in an event; the message in the log has all of it."""
HANG_UP_KEYS = ("hang_up", "hangup", "end_call")
ACTION_KEYS = ("action", "next_action")


class RealtimeWebSocket(Protocol):
    """Where answers go."""

    def send(self, message: Mapping[str, Any], /) -> object:
        """Send one message, encoded as the protocol wants it; plain or coroutine."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: object = None
    output: str = ""
    error: str = ""


class FunctionHandler:
    """A registry of functions, and what happens when the agent calls one. For one loop.

    A function gets the argument dict. A coroutine function runs on this loop; a plain one in a thread, where it
    may block without stopping the audio, and what it returns is awaited here if it can be awaited. Calls run at
    the same time. Whatever goes wrong is answered to the agent as ``{"error": "…"}``.

    At ``time_limit_s`` a coroutine is cancelled. A thread cannot be: it goes on, its call is answered with an
    error, and what it returns is dropped and counted in `late_results`.

    ``on_change`` gets a `ToolChanged` event at the start and at the end of every call, ``on_unknown`` the name of
    a function that was called and is not registered: that is the agent's mistake, and no callback has failed.
    """

    def __init__(
        self,
        realtime_websocket: RealtimeWebSocket,
        hang_up_callback: Callback | None = None,
        *,
        time_limit_s: float = 10.0,
        on_change: CompletionCallback[ToolChanged] | None = None,
        on_unknown: CompletionCallback[str] | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        reporter: ErrorReporter = default_reporter,
    ) -> None:
        self.realtime_websocket = realtime_websocket
        self.hang_up_callback = hang_up_callback
        self.function_registry: dict[str, Callback] = {}
        self.time_limit_s = time_limit_s
        self._on_change = on_change
        self._on_unknown = on_unknown
        self._clock_ns = clock_ns
        self._reporter = reporter
        self._threads = DaemonThreads()
        self._announcements = Announcements()
        self._responses = Responses()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._hanging_up = False
        self._closed = False
        callback_tracing.adopt(self)

    @property
    def late_results(self) -> int:
        """Results that came after the time limit or the hang-up, and were dropped."""
        return self._threads.late

    def register_function(self, name: str, func: Callback) -> None:
        """Let the agent call ``func`` by ``name``; it replaces an earlier one of that name."""
        self.function_registry[name] = func

    def register_with(self, router: EventRouter) -> None:
        """Become the handler of the events that function calls are made of."""
        for event_type, handler in (
            ("response.created", self._on_response_created),
            ("response.output_item.added", self._on_item_added),
            ("response.function_call_arguments.delta", self._on_arguments_delta),
            ("response.function_call_arguments.done", self._on_arguments_done),
            ("response.output_item.done", self._on_item_done),
            ("response.done", self._on_response_done),
            ("error", self._on_error),
        ):
            router.register_realtime_handler(event_type, handler)

    async def close(self) -> None:
        """Cancel what is running, at hang-up: nothing is sent from now on, and no further call is begun."""
        self._closed = True
        tasks = self._tasks - {asyncio.current_task()}  # a hang-up callback may be what calls this
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def traceable(self) -> list[tuple[str, str]]:
        """Event and name of each function, for the tracing switch."""
        return [(EVENT, callback_name(func)) for func in self.function_registry.values()]

    def retrace(self) -> None:
        """Each call asks anew how the tracing switch is set."""

    # -- what the agent says --

    def _on_response_created(self, data: Mapping[str, Any]) -> None:
        self._responses.created(Message.read(data))

    def _on_item_added(self, data: Mapping[str, Any]) -> None:
        self._announcements.item_added(Message.read(data))

    def _on_arguments_delta(self, data: Mapping[str, Any]) -> None:
        self._announcements.delta(Message.read(data))

    def _on_arguments_done(self, data: Mapping[str, Any]) -> None:
        self._begin(self._announcements.arguments_done(Message.read(data)))

    def _on_item_done(self, data: Mapping[str, Any]) -> None:
        self._begin(self._announcements.item_done(Message.read(data)))

    async def _on_response_done(self, data: Mapping[str, Any]) -> None:
        message = Message.read(data)
        for call in self._announcements.response_done(message):
            self._begin(call)
        self._responses.ended(message)
        await self._ask_for_answer()

    def _on_error(self, data: Mapping[str, Any]) -> None:
        self._responses.refused(Message.read(data))

    # -- what is done about it --

    def _begin(self, call: Call | None) -> None:
        if call is None or self._closed:
            return
        self._responses.call_begun(call.response_id)
        name = f"answer to {_cut(call.name, NAME_LIMIT)}"
        task = spawn(self._answer(call), name, event=EVENT, reporter=self._reporter)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, call: Call) -> None:
        try:
            await self._execute_and_respond_to_function(call.name, call.arguments, call.call_id)
        finally:
            self._responses.call_answered(call.response_id)
        await self._ask_for_answer()

    async def _execute_and_respond_to_function(
        self, function_name: str, arguments: str | Mapping[str, Any], call_id: str = ""
    ) -> None:
        """Run a function and send its result, or its error; then hang up if the result asks for it.

        Without a ``call_id`` there is no call to answer, so nothing is sent.
        """
        started_ns = self._clock_ns()
        text = arguments if isinstance(arguments, str) else as_json(arguments)
        name = _cut(function_name, NAME_LIMIT)
        call = ToolChanged(at_ns=started_ns, call=call_id, name=name, arguments=_cut(text))
        try:
            await self._tell(call)
            outcome = await self._run_within_limit(function_name, arguments)
        except asyncio.CancelledError:
            await self._tell_end(call, _Outcome(error="cancelled: the call has ended"))
            raise
        await self._tell_end(call, outcome)
        if call_id:
            output = as_json({"error": outcome.error}) if outcome.error else outcome.output
            item = {"type": "function_call_output", "call_id": call_id, "output": output}
            await self._send({"type": "conversation.item.create", "item": item})
        if self.hang_up_callback and self._should_hang_up(outcome.result):
            self._hanging_up = True
            await safe_callback_execution(
                self.hang_up_callback, outcome.result, "hang-up", reporter=self._reporter
            )

    async def _run_within_limit(self, name: str, arguments: str | Mapping[str, Any]) -> _Outcome:
        # a task of its own, because a coroutine that ignores its cancellation would hold up the answer
        label = _cut(name, NAME_LIMIT)
        work = spawn(self._run(name, arguments), f"tool {label}", event=EVENT, reporter=self._reporter)
        try:
            done, _ = await asyncio.wait({work}, timeout=self.time_limit_s)
            if done:
                return work.result()
        finally:
            work.cancel()
        late = TimeoutError(f"it did not return within {self.time_limit_s:g} s")
        self._reporter.report(late, callback=label, event=EVENT)
        return _Outcome(error=_sentence(late))

    async def _run(self, name: str, arguments: str | Mapping[str, Any]) -> _Outcome:
        self._running += 1
        try:
            if max(self._running - 1, self._threads.running) >= CALLS_LIMIT:
                raise CallRefused(f"There are {CALLS_LIMIT} function calls running already.")
            result = await self._call(name, parse_arguments(arguments))
            # in a thread too: where JSON has no form for an object, its text is asked for, which is user code
            output = within_limit(await self._threads.run(as_json, result))
        except (*ISOLATED, SystemExit) as error:
            if is_cancellation(error):
                raise
            if not isinstance(error, CallRefused):
                self._reporter.report(error, callback=_cut(name, NAME_LIMIT), event=EVENT)
            return _Outcome(error=_sentence(error))
        finally:
            self._running -= 1
        return _Outcome(result, output)

    async def _call(self, name: str, arguments: dict[str, Any]) -> object:
        func = self.function_registry.get(name)
        if func is None:
            short = _cut(name, NAME_LIMIT)
            if self._on_unknown is not None:
                await safe_callback_execution(self._on_unknown, short, EVENT, reporter=self._reporter)
            raise CallRefused(f"NotImplementedError: Function '{short}' not implemented.")
        func = callback_tracing.instrument(EVENT, func)
        if is_coroutine_callback(func):
            return await maybe_await(func(arguments))
        return await maybe_await(await self._threads.run(func, arguments))

    def _should_hang_up(self, result: object) -> bool:
        """Whether a result asks for the end of the call.

        It does as a mapping with ``hang_up``, ``hangup`` or ``end_call`` true, or with one of these words as
        ``action`` or ``next_action``.
        """
        return isinstance(result, Mapping) and (
            any(result.get(key) is True for key in HANG_UP_KEYS)
            or any(result.get(key) in HANG_UP_KEYS for key in ACTION_KEYS)
        )

    async def _ask_for_answer(self) -> None:
        if not self._hanging_up and (request := self._responses.take_request()):
            await self._send(request)

    async def _send(self, message: Mapping[str, Any]) -> None:
        if not self._closed:
            await maybe_await(self.realtime_websocket.send(message))

    async def _tell_end(self, call: ToolChanged, outcome: _Outcome) -> None:
        ended_ns = self._clock_ns()
        await self._tell(
            msgspec.structs.replace(
                call,
                at_ns=ended_ns,
                result=_cut(outcome.output),
                error=_cut(outcome.error),
                finished=True,
                duration_ms=(ended_ns - call.at_ns) / 1e6,
            )
        )

    async def _tell(self, event: ToolChanged) -> None:
        if self._on_change is not None:
            await safe_callback_execution(self._on_change, event, EVENT, reporter=self._reporter)


def _sentence(error: BaseException) -> str:
    message = _cut(error_message(error))
    if isinstance(error, CallRefused):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _cut(text: str, limit: int = TEXT_LIMIT) -> str:
    """Short enough for an event, and without what UTF-8 has no form for."""
    short = text if len(text) <= limit else text[:limit] + "…"
    return short.encode(errors="replace").decode()
