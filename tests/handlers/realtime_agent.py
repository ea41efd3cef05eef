"""The agent's side of function calls: sends OpenAI Realtime events through an EventRouter, and stores the results."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.failures import ListedReporter
from tui.callbacks import Callback
from tui.handlers.event_router import EventRouter
from tui.handlers.function_handler import FunctionHandler
from tui.models.events import ToolChanged
from tui.protocols.base import CallerSettings, Outgoing, ProtocolError
from tui.protocols.openai_realtime import OpenAICaller

HARD_LIMIT_S = 10.0


class FakeWebSocket:
    """Stores sent messages in order. Messages pass through a caller's end, as in a session."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self._changed = asyncio.Event()
        ids = (f"event_{number}" for number in itertools.count(1))
        self.caller = OpenAICaller(CallerSettings(), lambda: next(ids), lambda: "")
        for kind in ("session.created", "session.updated"):
            self.caller.receive(json.dumps({"type": kind, "session": {"type": "realtime"}}))

    async def send(self, message: Mapping[str, Any]) -> None:
        self.put(self.caller.relay(message))

    def put(self, messages: Sequence[Outgoing]) -> None:
        self.sent += [json.loads(message.frame) for message in messages]
        self._changed.set()

    @property
    def kinds(self) -> list[str]:
        return [message["type"] for message in self.sent]

    @property
    def outputs(self) -> dict[str, Any]:
        """Returns the decoded outputs by call."""
        items = [message["item"] for message in self.sent if message["type"] == "conversation.item.create"]
        assert all(item["type"] == "function_call_output" for item in items)
        return {item["call_id"]: json.loads(item["output"]) for item in items}

    @property
    def requests(self) -> int:
        return self.kinds.count("response.create")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until a sent message makes ``condition`` true."""
        async with asyncio.timeout(HARD_LIMIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Agent:
    """A handler under test, connected as in a session, and events that drive it."""

    def __init__(
        self, hang_up_callback: Callable[[Any], object] | None = None, *, time_limit_s: float = HARD_LIMIT_S
    ) -> None:
        self.socket = FakeWebSocket()
        self.changes: list[ToolChanged] = []
        self.unknown: list[str] = []
        self.reporter = ListedReporter()
        self.now_ns = 0
        self.handler = FunctionHandler(
            self.socket,
            hang_up_callback,
            time_limit_s=time_limit_s,
            on_change=self.changes.append,
            on_unknown=self.unknown.append,
            clock_ns=lambda: self.now_ns,
            reporter=self.reporter,
        )
        self.router = EventRouter()
        self.handler.register_with(self.router)

    async def says(self, kind: str, **members: Any) -> None:
        message = {"type": kind, "event_id": "event_1", **members}
        with contextlib.suppress(ProtocolError):
            self.socket.put(self.socket.caller.receive(json.dumps(message)).replies)
        await self.router.handle_realtime_event(message)

    async def starts_response(self, response_id: str = "resp_1") -> None:
        await self.says("response.created", response={"id": response_id, "status": "in_progress"})

    async def ends_response(
        self, response_id: str = "resp_1", status: str = "completed", output: list[Any] | None = None
    ) -> None:
        await self.says("response.done", response={"id": response_id, "status": status, "output": output})

    async def adds_item(self, name: str, call_id: str = "call_1", response_id: str = "resp_1") -> None:
        item = function_call(name, "", call_id, "in_progress")
        await self.says("response.output_item.added", response_id=response_id, output_index=0, item=item)

    async def sends_delta(self, delta: str, call_id: str = "call_1", response_id: str = "resp_1") -> None:
        ids = {"response_id": response_id, "item_id": "item_1", "output_index": 0, "call_id": call_id}
        await self.says("response.function_call_arguments.delta", delta=delta, **ids)

    async def ends_arguments(self, arguments: str, call_id: str = "call_1", **members: Any) -> None:
        ids = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "call_id": call_id}
        await self.says("response.function_call_arguments.done", arguments=arguments, **ids, **members)

    async def ends_item(
        self,
        name: str,
        arguments: str = "{}",
        call_id: str = "call_1",
        response_id: str = "resp_1",
        status: str = "completed",
    ) -> None:
        item = function_call(name, arguments, call_id, status)
        await self.says("response.output_item.done", response_id=response_id, output_index=0, item=item)

    async def idle(self) -> None:
        """Waits until every started call is answered and all resulting messages are sent."""
        async with asyncio.timeout(HARD_LIMIT_S):
            while self.handler._tasks:
                await asyncio.wait(self.handler._tasks)

    async def until_late(self) -> None:
        """Waits until a thread that outlived its caller has returned."""
        async with asyncio.timeout(HARD_LIMIT_S):
            while not self.handler.late_results:  # noqa: ASYNC110 - a counter has no event
                await asyncio.sleep(0)

    async def runs(self, functions: Mapping[str, Callback], arguments: str = "{}") -> dict[str, Any]:
        """Registers each function and calls it once, all at the same time; returns the outputs by name."""
        for name, function in functions.items():
            self.handler.register_function(name, function)
            await self.ends_item(name, arguments, call_id=name)
        await self.idle()
        return self.socket.outputs

    async def calls(self, name: str, arguments: str = "{}") -> Any:
        """Runs a complete response with one call; returns its output."""
        await self.starts_response()
        await self.ends_item(name, arguments)
        await self.ends_response()
        await self.idle()
        return self.socket.outputs["call_1"]


def function_call(name: str, arguments: str, call_id: str, status: str) -> dict[str, Any]:
    return {
        "id": f"item_{call_id}",
        "object": "realtime.item",
        "type": "function_call",
        "status": status,
        "name": name,
        "call_id": call_id,
        "arguments": arguments,
    }


class Gate:
    """A function that blocks its thread until the test opens it."""

    def __init__(self, result: object = "late") -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.left = threading.Event()
        self.result = result

    def __call__(self, arguments: dict[str, Any]) -> object:
        self.entered.set()
        assert self.opened.wait(HARD_LIMIT_S)
        self.left.set()
        return self.result
