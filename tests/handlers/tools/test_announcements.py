"""Tests which call is complete, how often it runs, and when the answer is requested."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.realtime_agent import Agent, Gate
from tui.callbacks import default_reporter
from tui.callbacks.testing import MockCallback

# -- one execution, regardless of how it is announced --


@pytest.mark.parametrize("announced_first", ["arguments", "item"])
async def test_a_call_announced_twice_is_run_once(agent: Agent, announced_first: str) -> None:
    function = MockCallback("ok")
    agent.handler.register_function("f", function)
    await agent.starts_response()
    if announced_first == "arguments":
        await agent.ends_arguments("{}", name="f")
        await agent.ends_item("f")
    else:
        await agent.ends_item("f")
        await agent.ends_arguments("{}", name="f")
    await agent.idle()
    item = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    await agent.ends_response(output=[item])
    await agent.ends_item("f")
    await agent.idle()
    function.assert_called_once()
    assert agent.socket.kinds == ["conversation.item.create", "response.create"]


async def test_arguments_are_gathered_from_deltas_for_each_call(agent: Agent) -> None:
    agent.handler.register_function("echo", lambda arguments: arguments)
    await agent.starts_response()
    for call_id in ("a", "b"):
        await agent.adds_item("echo", call_id)
    for position, piece in enumerate(('{"n":', " 4", "}")):
        await agent.sends_delta(piece, "a")
        await agent.sends_delta(piece.replace("4", f"{position}"), "b")
    await agent.ends_arguments("", "a")
    await agent.ends_item("", "", "b")
    await agent.idle()
    assert agent.socket.outputs == {"a": {"n": 4}, "b": {"n": 1}}


async def test_the_beta_form_without_a_name_takes_it_from_the_item(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: "ok")
    await agent.starts_response()
    await agent.ends_arguments("{}")
    assert not agent.changes
    await agent.ends_item("f")
    await agent.idle()
    assert agent.socket.outputs == {"call_1": "ok"}


async def test_a_call_announced_only_by_its_response_is_run(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: "ok")
    await agent.starts_response()
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_audio"}]}
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}", "status": None}
    await agent.ends_response(output=[message, call])
    await agent.idle()
    assert agent.socket.kinds == ["conversation.item.create", "response.create"]


async def test_a_call_cut_off_by_a_barge_in_is_not_run(agent: Agent) -> None:
    function = MockCallback()
    agent.handler.register_function("f", function)
    await agent.starts_response()
    await agent.adds_item("f")
    await agent.sends_delta('{"day": "mo')
    await agent.ends_arguments('{"day": "mo', name="f")
    await agent.ends_item("f", '{"day": "mo', status="incomplete")
    item = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"day": "mo'}
    await agent.ends_response(status="cancelled", output=[item])
    await agent.idle()
    function.assert_not_called()
    assert agent.socket.sent == []
    assert agent.changes == []


async def test_items_that_are_not_calls_and_other_events_are_ignored(agent: Agent) -> None:
    default_reporter.clear()
    message: dict[str, Any] = {
        "id": "item_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "call_id": None,
    }
    await agent.starts_response()
    await agent.says("response.output_item.added", response_id="resp_1", item=message)
    await agent.says("response.output_item.done", response_id="resp_1", item=message)
    await agent.ends_response(output=[message])
    await agent.says("error", error={"type": "server_error", "code": None, "message": "…", "event_id": None})
    assert agent.socket.sent == []
    assert default_reporter.total == 0


# -- requesting the answer --


async def test_the_answer_is_asked_for_after_the_response_has_ended(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: 1)
    await agent.starts_response()
    await agent.ends_item("f")
    await agent.idle()
    assert agent.socket.kinds == ["conversation.item.create"]
    await agent.ends_response()
    assert agent.socket.kinds == ["conversation.item.create", "response.create"]


async def test_several_calls_get_one_answer_after_the_last_of_them(agent: Agent) -> None:
    gates = {"slow": Gate(), "slower": Gate()}
    await agent.starts_response()
    for name, gate in gates.items():
        agent.handler.register_function(name, gate)
        await agent.ends_item(name, call_id=name)
    await agent.ends_response()
    gates["slow"].opened.set()
    await agent.socket.until(lambda: "slow" in agent.socket.outputs)
    assert agent.socket.requests == 0
    gates["slower"].opened.set()
    await agent.idle()
    assert agent.socket.kinds == ["conversation.item.create"] * 2 + ["response.create"]


async def test_no_answer_is_requested_while_another_response_is_active(agent: Agent) -> None:
    gate = Gate()
    agent.handler.register_function("slow", gate)
    await agent.starts_response()
    await agent.ends_item("slow")
    await agent.ends_response()
    await agent.starts_response("resp_2")
    gate.opened.set()
    await agent.idle()
    assert agent.socket.kinds == ["conversation.item.create"]
    await agent.ends_response("resp_2")
    assert agent.socket.requests == 1


async def test_an_answer_due_while_another_is_requested_is_asked_for_after_it(agent: Agent) -> None:
    gate = Gate()
    agent.handler.register_function("slow", gate)
    agent.handler.register_function("fast", lambda _: 1)
    await agent.starts_response("resp_1")
    await agent.ends_item("slow", call_id="slow", response_id="resp_1")
    await agent.ends_response("resp_1")
    await agent.starts_response("resp_2")
    await agent.ends_item("fast", call_id="fast", response_id="resp_2")
    await agent.ends_response("resp_2")
    await agent.socket.until(lambda: agent.socket.requests == 1)
    gate.opened.set()
    await agent.idle()
    assert agent.socket.requests == 1
    await agent.starts_response("resp_3")
    await agent.ends_response("resp_3")
    assert agent.socket.requests == 2


async def test_a_request_refused_because_a_response_was_running_is_made_again(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: 1)
    await agent.calls("f")
    await agent.starts_response("resp_vad")
    refusal = {"code": "conversation_already_has_active_response", "message": "…", "param": None}
    await agent.says("error", error={**refusal, "event_id": "somebody_elses"})
    await agent.says("error", error={**refusal, "event_id": agent.socket.sent[-1]["event_id"]})
    assert agent.socket.requests == 1
    await agent.ends_response("resp_vad")
    assert agent.socket.requests == 2, "the refusal came after the response that was in the way began"


async def test_a_response_the_user_cancelled_by_speaking_gets_its_outputs_but_no_answer(agent: Agent) -> None:
    agent.handler.register_function("f", lambda _: 1)
    await agent.starts_response()
    await agent.ends_item("f")
    await agent.ends_response(status="cancelled")
    await agent.idle()
    assert agent.socket.kinds == ["conversation.item.create"]
