"""Tests time limit, number of calls, hang-up and closing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.handlers.realtime_agent import HARD_LIMIT_S, Agent, Gate
from tui.callbacks import Callback
from tui.callbacks.testing import AsyncMockCallback, MockCallback
from tui.handlers.tools.running import CALLS_LIMIT


async def passed(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, HARD_LIMIT_S)


def endless(cancelled: asyncio.Event) -> Callback:
    """Returns a coroutine function that never returns, and sets the event when it is cancelled."""

    async def wait(_: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    return wait


# -- time limit, number of calls --


async def test_a_thread_past_the_time_limit_is_answered_for_and_its_late_result_dropped() -> None:
    agent = Agent(time_limit_s=0.01)
    gate = Gate()
    agent.handler.register_function("slow", gate)
    assert await agent.calls("slow") == {"error": "TimeoutError: it did not return within 0.01 s"}
    assert agent.socket.requests == 1
    assert [report.error for report in agent.reporter.reports] == ["TimeoutError"]
    assert agent.handler.late_results == 0
    gate.opened.set()
    await agent.until_late()
    assert len(agent.socket.outputs) == 1


async def test_a_coroutine_past_the_time_limit_is_cancelled() -> None:
    agent = Agent(time_limit_s=0.01)
    cancelled = asyncio.Event()
    agent.handler.register_function("slow", endless(cancelled))
    assert "TimeoutError" in (await agent.calls("slow"))["error"]
    await asyncio.wait_for(cancelled.wait(), HARD_LIMIT_S)


async def test_a_coroutine_that_ignores_its_cancellation_does_not_hold_up_the_answer() -> None:
    agent = Agent(time_limit_s=0.01)
    release = asyncio.Event()

    async def stubborn(_: dict[str, Any]) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    agent.handler.register_function("stubborn", stubborn)
    assert "TimeoutError" in (await agent.calls("stubborn"))["error"]
    release.set()


async def test_a_timeout_raised_by_the_function_is_reported_as_its_own(agent: Agent) -> None:
    agent.handler.register_function("f", MockCallback(side_effect=TimeoutError("the shop does not answer")))
    assert await agent.calls("f") == {"error": "TimeoutError: the shop does not answer"}


async def test_the_number_of_calls_at_a_time_is_bounded(agent: Agent) -> None:
    release = asyncio.Event()
    begun = 0

    async def wait(_: dict[str, Any]) -> str:
        nonlocal begun
        begun += 1
        await release.wait()
        return "ok"

    agent.handler.register_function("wait", wait)
    for number in range(CALLS_LIMIT + 3):
        await agent.ends_item("wait", call_id=f"call_{number}")
    await agent.socket.until(lambda: len(agent.socket.outputs) == 3)
    refusal = {"error": f"{CALLS_LIMIT} function calls are already running."}
    assert list(agent.socket.outputs.values()) == [refusal] * 3
    release.set()
    await agent.idle()
    assert begun == CALLS_LIMIT
    assert len(agent.socket.outputs) == CALLS_LIMIT + 3


async def test_threads_that_never_came_back_count_as_running() -> None:
    agent = Agent(time_limit_s=0.01)
    gate = Gate()
    agent.handler.register_function("stuck", gate)
    for number in range(CALLS_LIMIT):
        await agent.ends_item("stuck", call_id=f"call_{number}")
    await agent.idle()
    await agent.ends_item("stuck", call_id="one_more")
    await agent.idle()
    assert "already running" in agent.socket.outputs["one_more"]["error"]
    gate.opened.set()


# -- hanging up --


@pytest.mark.parametrize(
    "result",
    [
        {"hang_up": True},
        {"hangup": True, "reason": "done"},
        {"end_call": True},
        {"action": "hang_up"},
        {"next_action": "end_call"},
    ],
)
async def test_a_result_that_asks_for_it_hangs_up_after_it_was_sent(result: dict[str, Any]) -> None:
    sent_before: list[int] = []

    def hang_up(_: object) -> None:
        sent_before.append(len(agent.socket.sent))

    agent = Agent(hang_up)
    agent.handler.register_function("bye", lambda _: result)
    await agent.starts_response()
    await agent.ends_item("bye")
    await agent.idle()
    await agent.ends_response()
    assert sent_before == [1]
    assert agent.socket.outputs == {"call_1": result}
    assert agent.socket.requests == 0, "nobody will be there to hear the answer"


@pytest.mark.parametrize(
    "result",
    [{"hang_up": False}, {"hang_up": "no"}, {"action": "transfer"}, "hang_up", None, [], {"error": 1}],
)
async def test_any_other_result_does_not_hang_up(result: object) -> None:
    hang_up = MockCallback()
    agent = Agent(hang_up)
    agent.handler.register_function("f", lambda _: result)
    assert await agent.calls("f") == result
    hang_up.assert_not_called()
    assert agent.socket.requests == 1


async def test_a_coroutine_hang_up_callback_is_awaited_and_a_failing_one_is_reported() -> None:
    hang_up = AsyncMockCallback(side_effect=ValueError("cannot"))
    agent = Agent(hang_up)
    agent.handler.register_function("bye", lambda _: {"hang_up": True})
    await agent.calls("bye")
    hang_up.assert_called_once()
    [report] = agent.reporter.reports
    assert (report.event, report.message) == ("hang-up", "cannot")


async def test_closing_cancels_what_runs_and_sends_no_result() -> None:
    agent = Agent()
    gate = Gate()
    cancelled = asyncio.Event()
    agent.handler.register_function("thread", gate)
    agent.handler.register_function("coroutine", endless(cancelled))
    await agent.starts_response()
    await agent.ends_item("thread", call_id="thread")
    await agent.ends_item("coroutine", call_id="coroutine")
    await agent.ends_response()
    await passed(gate.entered)
    await agent.handler.close()
    await asyncio.wait_for(cancelled.wait(), HARD_LIMIT_S)
    gate.opened.set()
    await agent.until_late()
    assert agent.socket.sent == []
    ends = {change.call: change.error for change in agent.changes if change.finished}
    assert ends == dict.fromkeys(("thread", "coroutine"), "cancelled: the call has ended")
    assert agent.reporter.total == 0


async def test_after_closing_no_call_is_begun_and_closing_again_is_harmless() -> None:
    agent = Agent()
    function = MockCallback()
    agent.handler.register_function("f", function)
    await agent.handler.close()
    await agent.handler.close()
    await agent.ends_item("f")
    await agent.ends_response()
    await agent.idle()
    function.assert_not_called()
    assert agent.socket.sent == []


async def test_a_hang_up_callback_may_close_the_handler() -> None:
    async def hang_up(_: object) -> None:
        await agent.handler.close()

    agent = Agent(hang_up)
    agent.handler.register_function("bye", lambda _: {"hang_up": True})
    assert await agent.calls("bye") == {"hang_up": True}
    assert agent.handler._closed
