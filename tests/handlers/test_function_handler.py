from __future__ import annotations

import asyncio
import functools
import json
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.realtime_agent import HARD_LIMIT_S, Agent
from tui.callbacks import FailureReport, callback_tracing, default_reporter
from tui.callbacks.testing import MockCallback
from tui.handlers.function_handler import NAME_LIMIT
from tui.handlers.tools.running import ARGUMENTS_LIMIT, OUTPUT_LIMIT, TEXT_LIMIT
from tui.models.events import ToolChanged

# -- running functions --


async def test_a_call_is_run_with_the_argument_dict_and_its_result_sent_as_json(agent: Agent) -> None:
    function = MockCallback({"opens": "09:00"})
    agent.handler.register_function("opening_hours", function)
    await agent.starts_response()
    await agent.adds_item("opening_hours")
    await agent.sends_delta('{"day":')
    await agent.sends_delta('"monday"}')
    await agent.ends_arguments('{"day":"monday"}', name="opening_hours")
    await agent.ends_item("opening_hours", '{"day":"monday"}')
    await agent.ends_response()
    await agent.idle()
    function.assert_called_once()
    function.assert_called_with({"day": "monday"})
    item = {"type": "function_call_output", "call_id": "call_1", "output": '{"opens":"09:00"}'}
    assert agent.socket.sent[0]["type"] == "conversation.item.create"
    assert agent.socket.sent[0]["item"] == item
    assert agent.socket.kinds == ["conversation.item.create", "response.create"]


async def test_plain_coroutine_partial_object_and_awaitable_functions_are_all_run(agent: Agent) -> None:
    async def coroutine(arguments: dict[str, Any], extra: int = 0) -> int:
        return int(arguments["n"]) + extra

    class CoroutineObject:
        async def __call__(self, arguments: dict[str, Any]) -> int:
            return await coroutine(arguments, 2)

    outputs = await agent.runs(
        {
            "plain": lambda arguments: arguments["n"],
            "coroutine": coroutine,
            "partial": functools.partial(coroutine, extra=1),
            "object": CoroutineObject(),
            "awaitable": lambda arguments: coroutine(arguments, 3),
        },
        '{"n": 10}',
    )
    assert outputs == {"plain": 10, "coroutine": 10, "partial": 11, "object": 12, "awaitable": 13}


async def test_a_coroutine_function_runs_on_the_loop_and_a_plain_one_beside_it(agent: Agent) -> None:
    async def coroutine(_: dict[str, Any]) -> str:
        return threading.current_thread().name

    outputs = await agent.runs({"coroutine": coroutine, "plain": lambda _: threading.current_thread().daemon})
    assert outputs == {"coroutine": threading.main_thread().name, "plain": True}


async def test_calls_run_at_the_same_time(agent: Agent) -> None:
    barrier = threading.Barrier(3, timeout=HARD_LIMIT_S)
    meet = dict.fromkeys("abc", lambda _: barrier.wait() >= 0)
    assert await agent.runs(meet) == {"a": True, "b": True, "c": True}


async def test_the_registry_is_a_dict_and_a_later_function_replaces_an_earlier_one(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: "old")
    agent.handler.register_function("f", lambda _: "new")
    assert list(agent.handler.function_registry) == ["f"]
    assert await agent.calls("f") == "new"


async def test_the_guides_method_runs_answers_and_hangs_up() -> None:
    hang_up = MockCallback()
    agent = Agent(hang_up)
    agent.handler.register_function("bye", lambda arguments: {**arguments, "hang_up": True})
    await agent.handler._execute_and_respond_to_function("bye", {"reason": "done"}, "call_7")
    assert agent.socket.outputs == {"call_7": {"reason": "done", "hang_up": True}}
    hang_up.assert_called_with({"reason": "done", "hang_up": True})
    await agent.handler._execute_and_respond_to_function("bye", {})
    assert hang_up.call_count == 2
    assert len(agent.socket.sent) == 1, "there was no call to answer"


# -- failures are answered --


async def test_an_unknown_function_is_answered_as_not_implemented(agent: Agent) -> None:
    output = await agent.calls("nope")
    assert output == {"error": "NotImplementedError: Function 'nope' not implemented."}
    assert agent.socket.requests == 1
    assert agent.unknown == ["nope"]
    assert not agent.reporter.reports, "no callback has failed"


@pytest.mark.parametrize("arguments", ['{"day":', "[1]", '"text"', "null", "{} {}", "[" * 5000, "\ud800"])
async def test_arguments_that_are_not_a_json_object_are_refused(agent: Agent, arguments: str) -> None:
    function = MockCallback()
    agent.handler.register_function("f", function)
    output = await agent.calls("f", arguments)
    assert output["error"].startswith("The arguments are not a JSON object: ")
    function.assert_not_called()
    assert agent.reporter.total == 0, "no callback has failed"


async def test_no_arguments_at_all_are_an_empty_dict(agent: Agent) -> None:
    agent.handler.register_function("f", lambda arguments: arguments)
    assert await agent.calls("f", "") == {}


async def test_arguments_without_end_are_refused_and_not_kept(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: 1)
    await agent.adds_item("f")
    for _ in range(100):
        await agent.sends_delta(" " * 10_000)
    [gathered] = agent.handler._announcements._gathered.values()
    assert gathered.size <= ARGUMENTS_LIMIT + 10_000
    await agent.ends_item("f", "")
    await agent.idle()
    assert "the limit is 65,536" in agent.socket.outputs["call_1"]["error"]


async def test_an_exception_is_answered_with_its_sentence_and_reported_once(agent: Agent) -> None:
    def broken(_: dict[str, Any]) -> None:
        raise LookupError("no such day")

    agent.handler.register_function("broken", broken)
    for call_id in "ab":
        await agent.ends_item("broken", call_id=call_id)
    await agent.idle()
    assert agent.socket.outputs == {key: {"error": "LookupError: no such day"} for key in "ab"}
    [report] = agent.reporter.reports
    assert (report.callback, report.event) == ("broken", "function call")
    assert agent.reporter.total == 2


async def test_an_error_text_that_utf8_cannot_encode_is_still_an_error_output(agent: Agent) -> None:
    agent.handler.register_function("f", MockCallback(side_effect=ValueError("a\ud800b")))
    assert await agent.calls("f") == {"error": "ValueError: a?b"}


async def test_what_ends_a_program_a_thread_or_a_coroutine_is_one_more_error(agent: Agent) -> None:
    async def exits_on_the_loop(_: dict[str, Any]) -> None:
        sys.exit(3)

    async def awaits_what_was_cancelled(_: dict[str, Any]) -> None:
        other = asyncio.get_running_loop().create_future()
        other.cancel()
        await other

    def stops(_: dict[str, Any]) -> None:
        raise StopIteration

    outputs = await agent.runs(
        {
            "loop": exits_on_the_loop,
            "cancelled": awaits_what_was_cancelled,
            "stops": stops,
            "thread": lambda _: sys.exit(3),
        }
    )
    assert outputs == {
        "loop": {"error": "SystemExit: 3"},
        "cancelled": {"error": "CancelledError"},
        "stops": {"error": "RuntimeError: it raised StopIteration: "},
        "thread": {"error": "RuntimeError: it raised SystemExit: 3"},
    }


async def test_results_without_a_json_form_are_sent_as_text(agent: Agent) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    results: dict[str, object] = {
        "path": {"at": Path("/tmp"), "tags": {"x"}},
        "object": AttributeError,
        "keys": {(1, 2): 3},
        "surrogate": "\ud800",
        "cycle": cycle,
        "nothing": None,
    }
    assert await agent.runs({name: MockCallback(result) for name, result in results.items()}) == {
        "path": {"at": "/tmp", "tags": ["x"]},
        "object": "<class 'AttributeError'>",
        "keys": {"(1, 2)": 3},
        "surrogate": "\ud800",
        "cycle": "[[...]]",
        "nothing": None,
    }


async def test_a_result_that_is_too_long_is_an_error(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: "x" * OUTPUT_LIMIT)
    assert await agent.calls("f") == {"error": "The result is 65,538 characters long; the limit is 65,536."}


async def test_a_call_that_cannot_be_answered_is_reported_and_later_calls_still_run(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: 1)
    default_reporter.clear()
    reports: list[FailureReport] = []
    unsubscribe = default_reporter.subscribe(reports.append)
    await agent.ends_item("f", call_id="")
    await agent.says("response.output_item.done", item=["nonsense"])
    unsubscribe()
    assert [report.error for report in reports] == ["ValueError", "ValidationError"]
    assert await agent.calls("f") == 1


async def test_a_failing_listener_or_socket_does_not_lose_the_other_calls(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: 1)
    agent.handler.on_change = MockCallback(side_effect=ValueError("listener"))
    send = agent.socket.send

    async def fail_first(message: Mapping[str, Any]) -> None:
        agent.socket.send = send  # type: ignore[method-assign]  # one failure is enough
        raise ConnectionError("gone")

    agent.socket.send = fail_first  # type: ignore[method-assign]  # it stands for a socket that closes
    await agent.starts_response()
    await agent.ends_item("f", call_id="a")
    await agent.idle()
    await agent.ends_item("f", call_id="b")
    await agent.ends_response()
    await agent.idle()
    assert agent.socket.outputs == {"b": 1}
    assert agent.socket.requests == 1
    assert {report.message for report in agent.reporter.reports} == {"listener", "gone"}


# -- events --


async def test_the_start_and_the_end_of_a_call_are_emitted_with_its_duration(agent: Agent) -> None:
    async def book(arguments: dict[str, Any]) -> dict[str, Any]:
        agent.now_ns += 250_000_000
        return {"booked": arguments["day"]}

    agent.handler.register_function("book", book)
    agent.now_ns = 1_000
    await agent.calls("book", '{"day": "monday"}')
    start = ToolChanged(at_ns=1_000, call="call_1", name="book", arguments='{"day": "monday"}')
    end = ToolChanged(
        at_ns=250_001_000,
        call="call_1",
        name="book",
        arguments='{"day": "monday"}',
        result='{"booked":"monday"}',
        finished=True,
        duration_ms=250.0,
    )
    assert agent.changes == [start, end]


async def test_an_error_is_emitted_with_the_end_of_the_call(agent: Agent) -> None:
    await agent.calls("nope")
    assert agent.changes[1].error == "NotImplementedError: Function 'nope' not implemented."
    assert agent.changes[1].result == ""


async def test_emitted_texts_are_bounded_and_can_be_encoded(agent: Agent) -> None:
    await agent.calls("n\ud800" * 5000, json.dumps({"x": "y" * 60_000}))
    for change in agent.changes:
        assert len(change.name) == NAME_LIMIT + 1
        assert len(change.arguments) == TEXT_LIMIT + 1
        assert len(change.error) <= TEXT_LIMIT
        change.name.encode()


async def test_calls_are_measured_while_tracing_is_on(agent: Agent) -> None:
    def traced_function(_: dict[str, Any]) -> int:
        return 1

    agent.handler.register_function("f", traced_function)
    callback_tracing.enable()
    try:
        await agent.calls("f")
        [row] = [row for row in callback_tracing.snapshot() if row.name == "traced_function"]
    finally:
        callback_tracing.disable()
        callback_tracing.reset()
    assert (row.event, row.registered, row.calls) == ("function call", 1, 1)
