"""Tests that a realtime caller controls when turns end, when they are answered, and with which tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.agent.calls import Call, line_named, prompt, spoken
from tui.agent.settings import AgentSettings
from tui.assets import prompts
from tui.audio.formats import encode
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.json_frames import outgoing
from tui.protocols.openai_realtime import FORMATS, OPENAI_REALTIME

_TOOL = {
    "type": "function",
    "name": "opening_hours",
    "description": "When the workshop is open",
    "parameters": {
        "type": "object",
        "properties": {"day": {"type": "string", "enum": ["today", "monday"]}},
        "required": ["day"],
    },
}


def call_with(settings: AgentSettings | None = None, **options: str) -> Call:
    return Call(settings, protocol=OPENAI_REALTIME, options=options, greeted=False)


def push_to_talk() -> Call:
    return call_with(turn_detection="off")


def uninterrupted() -> Call:
    return Call(protocol=OPENAI_REALTIME, barge_in=False, greeted=False)


def append(call: Call, pcm: bytes) -> None:
    """Sends audio that this program's caller would withhold."""
    for at in range(0, len(pcm), 960):
        call.wait(20)
        send(call, "input_audio_buffer.append", audio=pcm[at : at + 960])


def send(call: Call, kind: str, **members: Any) -> None:
    call.send([outgoing({"type": kind, **members}, kind)])


def type_text(call: Call, text: str) -> None:
    part = {"type": "input_text", "text": text}
    send(call, "conversation.item.create", item={"type": "message", "role": "user", "content": [part]})


def ask(call: Call, **wishes: Any) -> None:
    send(call, "response.create", response=wishes)


def answer_to(call: Call) -> str:
    call.wait_for_reply()
    return call.texts[-1]


def of_kind(call: Call, kind: str) -> list[dict[str, Any]]:
    return [json.loads(frame.frame) for frame in call.received if frame.kind == kind]


def statuses(call: Call) -> list[str]:
    return [done["response"]["status"] for done in of_kind(call, "response.done")]


def text_of(prompt_name: str) -> str:
    return prompts()[prompt_name].text


def errors(call: Call) -> list[str]:
    return [event.code for event in call.of(Type.AGENT_ERROR)]


class TestWhatIsAskedFor:
    def test_typed_text_is_answered_when_asked(self) -> None:
        call = call_with()
        type_text(call, "Yes.")
        call.wait(5_000)
        assert call.texts == []
        ask(call)
        assert answer_to(call) == text_of("confirmed")

    def test_asked_at_first_it_greets_and_asked_again_it_listens(self) -> None:
        call = call_with()
        ask(call)
        assert answer_to(call) == text_of("greeting")
        ask(call)
        assert answer_to(call) == text_of("listening")

    def test_the_latest_of_several_is_answered(self) -> None:
        call = call_with()
        type_text(call, "Yes.")
        type_text(call, "Please hold on for a moment.")
        ask(call)
        assert answer_to(call) == text_of("waiting")
        ask(call)
        assert answer_to(call) == text_of("listening")

    def test_a_turn_is_answered_once_where_only_the_caller_may_ask(self) -> None:
        turns = {"turn_detection": {"type": "server_vad", "create_response": False}}
        call = call_with(session=json.dumps({"audio": {"input": turns}}))
        call.say("yes")
        call.wait(5_000)
        assert call.recognised == ["Yes."]
        assert call.texts == [text_of("confirmed")]
        assert statuses(call) == ["completed"]

    def test_a_response_for_an_answer_that_was_planned_is_that_answer(self) -> None:
        call = call_with(AgentSettings(reply_delay_ms=2_000))
        call.say("yes")
        ask(call)
        assert answer_to(call) == text_of("confirmed")
        assert statuses(call) == ["completed"]

    def test_a_written_answer_takes_no_time(self) -> None:
        call = call_with()
        type_text(call, "Yes.")
        ask(call, output_modalities=["text"])
        assert call.texts == [text_of("confirmed")]
        assert call.count(Type.PLAY_STREAM_START) == 0
        assert statuses(call) == ["completed"]
        assert call.agent.play_format == FORMATS["audio/pcm"]

    def test_a_written_goodbye_ends_the_call_as_well(self) -> None:
        call = call_with()
        type_text(call, line_named("goodbye").text)
        ask(call, output_modalities=["text"])
        call.wait(1_500)
        assert call.conversation.over

    def test_a_response_keeps_the_format_it_began_in(self) -> None:
        call = call_with(AgentSettings(reply_delay_ms=500))
        call.say("services")
        call.wait(1_000)
        output = {"format": {"type": "audio/pcmu"}}
        send(call, "session.update", session={"type": "realtime", "audio": {"output": output}})
        call.wait_for_reply()
        assert call.audio() == prompt("workshop", rate=24_000)
        call.say("yes")
        call.wait_for_reply()
        assert call.audio() == encode(prompt("confirmed", rate=8_000), FORMATS["audio/pcmu"])

    def test_the_users_format_may_change(self) -> None:
        call = call_with()
        session = {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
        send(call, "session.update", session=session)
        append(call, encode(spoken("yes", 8_000), FORMATS["audio/pcmu"]))
        assert call.recognised == ["Yes."]


class TestCancelling:
    def test_a_cancelled_answer_is_not_gone_on_with(self) -> None:
        call = call_with()
        call.say("services")
        call.wait(1_000)
        send(call, "response.cancel")
        sent_ms = call.times_ms(Type.PLAY_STREAM_CHUNK)[-1]
        call.wait(10_000)
        assert call.times_ms(Type.PLAY_STREAM_CHUNK)[-1] == sent_ms
        assert statuses(call) == ["cancelled"]
        assert call.cut_short == []

    def test_an_answer_can_be_cancelled_before_it_begins(self) -> None:
        call = call_with(AgentSettings(reply_delay_ms=500))
        type_text(call, "Yes.")
        ask(call)
        send(call, "response.cancel")
        call.wait(5_000)
        assert call.texts == []
        assert statuses(call) == ["cancelled"]

    def test_a_cancelled_goodbye_is_none(self) -> None:
        call = call_with()
        call.say("goodbye")
        send(call, "response.cancel")
        call.wait(10_000)
        assert not call.conversation.over


class TestTurnsOfTheCallers:
    def test_what_was_committed_is_recognised_once_pauses_included(self) -> None:
        call = push_to_talk()
        call.say("hours")
        call.say("lamp")
        call.wait(5_000)
        assert call.kinds() == [Type.SESSION_ACCEPTED]
        call.send(call.caller.stop_user_stream())
        (heard,) = call.recognised
        assert heard.endswith("s of speech)")
        assert answer_to(call) == text_of("fallback")

    @pytest.mark.parametrize("name", ["yes", "hours", "lamp"])
    def test_a_line_is_known_however_long_the_user_was_silent_after_it(self, name: str) -> None:
        call = push_to_talk()
        call.speak(bytes(48_000))
        call.say(name)
        call.speak(bytes(3 * 48_000))
        call.send(call.caller.stop_user_stream())
        assert call.recognised == [line_named(name).text]
        assert answer_to(call) == text_of(line_named(name).answer)

    def test_a_line_that_is_committed_at_its_last_word(self) -> None:
        call = push_to_talk()
        call.speak(spoken("number", 24_000)[:-48_000])
        call.send(call.caller.stop_user_stream())
        assert call.recognised == [line_named("number").text]

    def test_one_turn_after_another(self) -> None:
        call = push_to_talk()
        for name in ("yes", "hold"):
            call.say(name)
            call.send(call.caller.stop_user_stream())
            call.wait_for_reply()
        assert call.recognised == [line_named("yes").text, line_named("hold").text]
        assert call.texts == [text_of("confirmed"), text_of("waiting")]

    def test_silence_is_a_turn_without_words(self) -> None:
        call = push_to_talk()
        call.speak(bytes(48_000))
        call.send(call.caller.stop_user_stream())
        assert call.recognised == ["(0.0 s of speech)"]
        assert answer_to(call) == text_of("greeting")

    def test_what_was_cleared_was_never_said(self) -> None:
        call = push_to_talk()
        call.say("yes")
        send(call, "input_audio_buffer.clear")
        call.say("hold")
        call.send(call.caller.stop_user_stream())
        assert call.recognised == [line_named("hold").text]

    def test_speech_is_no_interruption(self) -> None:
        call = push_to_talk()
        type_text(call, line_named("services").text)
        ask(call)
        call.wait(1_000)
        call.say("interrupt")
        call.wait_for_reply()
        assert call.audio() == prompt("workshop", rate=24_000)

    def test_turn_detection_can_be_turned_off_in_mid_turn(self) -> None:
        call = call_with()
        call.speak(spoken("yes", 24_000)[:-48_000])
        off = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        send(call, "session.update", session=off)
        call.speak(bytes(48_000))
        send(call, "input_audio_buffer.commit")
        assert call.recognised == ["Yes."]

    def test_a_turn_that_is_committed_before_its_end_was_heard(self) -> None:
        call = call_with()
        call.speak(spoken("yes", 24_000)[:-48_000])
        send(call, "input_audio_buffer.commit")
        call.speak(bytes(48_000))
        assert call.recognised == ["Yes."]
        assert call.texts == []
        ask(call)
        assert answer_to(call) == text_of("confirmed")


class TestAnAgentThatIsNotInterrupted:
    def test_goes_on_and_keeps_the_turn_for_later(self) -> None:
        call = uninterrupted()
        append(call, spoken("services", 24_000))
        call.wait(500)
        append(call, spoken("yes", 24_000))
        call.wait_for_reply()
        assert call.recognised[-1] == "Yes."
        assert call.cut_short == []
        assert call.audio() == prompt("workshop", rate=24_000)
        call.wait(2_000)
        ask(call)
        assert answer_to(call) == text_of("confirmed")

    def test_answers_what_is_said_when_it_is_silent(self) -> None:
        call = uninterrupted()
        append(call, spoken("yes", 24_000))
        assert answer_to(call) == text_of("confirmed")


class TestTools:
    def test_one_that_fits_is_called_and_its_output_answered(self) -> None:
        call = call_with(tools=json.dumps([_TOOL]))
        call.say("hours")
        (asked,) = of_kind(call, "response.function_call_arguments.done")
        assert (asked["name"], json.loads(asked["arguments"])) == ("opening_hours", {"day": "today"})
        assert statuses(call) == ["completed"]
        output = {"type": "function_call_output", "call_id": asked["call_id"], "output": '{"opens":"09:00"}'}
        send(call, "conversation.item.create", item=output)
        call.wait(2_000)
        assert call.texts == []
        ask(call)
        assert answer_to(call) == text_of("hours") + ' {"opens":"09:00"}'
        assert call.audio() == prompt("hours", rate=24_000)

    def test_it_is_called_in_the_response_that_was_asked_for(self) -> None:
        call = call_with(tools=json.dumps([_TOOL]))
        type_text(call, "Is the workshop open?")
        ask(call)
        assert len(of_kind(call, "response.function_call_arguments.done")) == 1
        assert len(of_kind(call, "response.created")) == 1
        output = {"type": "function_call_output", "call_id": "x", "output": "x" * 1_000}
        send(call, "conversation.item.create", item=output)
        ask(call)
        said = answer_to(call)
        assert said.startswith(text_of("confirmed"))
        assert len(said) < 600

    def test_a_call_interrupts_nothing_that_was_heard(self) -> None:
        call = call_with(greet="on", tools=json.dumps([_TOOL]))
        call.wait_for_reply()
        type_text(call, "opening hours")
        ask(call)
        assert statuses(call) == ["completed", "completed"]
        assert errors(call) == []

    def test_none_is_called_for_other_words(self) -> None:
        call = call_with(tools=json.dumps([_TOOL]))
        call.say("yes")
        assert answer_to(call) == text_of("confirmed")

    def test_none_is_called_where_the_caller_wants_none(self) -> None:
        call = call_with(tools=json.dumps([_TOOL]), session='{"tool_choice":"none"}')
        call.say("hours")
        assert answer_to(call) == text_of("hours")

    def test_an_output_nobody_asked_for_is_answered_too(self) -> None:
        call = call_with()
        output = {"type": "function_call_output", "call_id": "x", "output": "done"}
        send(call, "conversation.item.create", item=output)
        ask(call)
        assert answer_to(call) == text_of("confirmed") + " done"

    @pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "opening_hours"}])
    @pytest.mark.parametrize("text", ["", "Yes."])
    def test_one_is_called_whatever_was_said_where_the_caller_requires_it(
        self, choice: Any, text: str
    ) -> None:
        call = call_with(tools=json.dumps([_TOOL]))
        if text:
            type_text(call, text)
        ask(call, tool_choice=choice)
        assert len(of_kind(call, "response.function_call_arguments.done")) == 1
        assert statuses(call) == ["completed"]
        type_text(call, "Yes.")
        ask(call)
        assert answer_to(call) == text_of("confirmed")

    def test_one_is_required_of_spoken_turns_by_the_session(self) -> None:
        call = call_with(tools=json.dumps([_TOOL]), session='{"tool_choice":"required"}')
        call.say("yes")
        assert len(of_kind(call, "response.function_call_arguments.done")) == 1
        assert call.texts == []

    def test_the_named_one_of_several_is_called(self) -> None:
        other = {"type": "function", "name": "weather"}
        call = call_with(tools=json.dumps([_TOOL, other]))
        type_text(call, "opening hours")
        ask(call, tool_choice={"type": "function", "name": "weather"})
        (asked,) = of_kind(call, "response.function_call_arguments.done")
        assert (asked["name"], asked["arguments"]) == ("weather", "{}")

    def test_a_response_may_bring_its_own_or_want_none(self) -> None:
        call = call_with(tools=json.dumps([_TOOL]))
        type_text(call, "opening hours")
        ask(call, tool_choice="none")
        assert answer_to(call) == text_of("fallback")
        type_text(call, "opening hours")
        ask(call, tools=[{"type": "function", "name": "hours"}])
        (asked,) = of_kind(call, "response.function_call_arguments.done")
        assert asked["name"] == "hours"

    @pytest.mark.parametrize(
        "wishes",
        [
            {"tool_choice": {"type": "function", "name": "weather"}},
            {"tool_choice": "always"},
            {"tools": ["opening_hours"]},
        ],
    )
    def test_an_impossible_choice_is_an_error(self, wishes: Any) -> None:
        call = call_with(tools=json.dumps([_TOOL]))
        ask(call, **wishes)
        (error,) = of_kind(call, "error")
        assert error["error"]["param"] in ("response.tool_choice", "response.tools")
        assert statuses(call) == []


class TestResponsesApart:
    def test_they_do_not_change_the_conversation(self) -> None:
        call = call_with()
        type_text(call, "Yes.")
        content = [{"type": "input_text", "text": "Please hold on for a moment."}]
        item = {"type": "message", "role": "user", "content": content}
        items_before = len(of_kind(call, "conversation.item.added"))
        ask(call, conversation="none", metadata={"topic": "mood"}, output_modalities=["text"], input=[item])
        (done,) = of_kind(call, "response.done")
        assert done["response"]["conversation_id"] is None
        assert done["response"]["metadata"] == {"topic": "mood"}
        assert done["response"]["output"][0]["content"][0]["text"] == text_of("waiting")
        assert len(of_kind(call, "conversation.item.added")) == items_before
        assert len(of_kind(call, "conversation.item.done")) == items_before
        assert len(of_kind(call, "response.output_item.done")) == 1
        call.wait_for_reply()
        ask(call)
        assert answer_to(call) == text_of("confirmed")

    def test_one_before_the_greeting_does_not_replace_it(self) -> None:
        call = call_with()
        ask(call, conversation="none")
        assert answer_to(call) == text_of("listening")
        ask(call)
        assert answer_to(call) == text_of("greeting")


class TestASilentUser:
    def call(self, **turns: Any) -> Call:
        detection = {"type": "server_vad", "idle_timeout_ms": 5_000, **turns}
        call = call_with(session=json.dumps({"audio": {"input": {"turn_detection": detection}}}))
        ask(call)
        call.wait_for_reply()
        return call

    def test_is_spoken_to_after_the_idle_time(self) -> None:
        call = self.call()
        heard_ms = call.at_ms
        call.speak(bytes(48_000 * 4))
        assert of_kind(call, "input_audio_buffer.timeout_triggered") == []
        call.speak(bytes(48_000 * 2))
        (triggered,) = of_kind(call, "input_audio_buffer.timeout_triggered")
        assert triggered["audio_end_ms"] - triggered["audio_start_ms"] == pytest.approx(5_000, abs=300)
        assert triggered["item_id"] == of_kind(call, "input_audio_buffer.committed")[-1]["item_id"]
        assert answer_to(call) == text_of("listening")
        assert call.times_ms(Type.PLAY_STREAM_START)[-1] == pytest.approx(heard_ms + 5_000, abs=300)

    def test_is_not_while_speaking_or_when_it_was_not_asked_for(self) -> None:
        call = self.call()
        call.wait(4_800)
        call.say("hours")
        call.wait_for_reply()
        assert call.texts[-1] == text_of("hours")
        assert of_kind(call, "input_audio_buffer.timeout_triggered") == []
        patient = self.call(idle_timeout_ms=None)
        patient.wait(60_000)
        assert of_kind(patient, "input_audio_buffer.timeout_triggered") == []

    @pytest.mark.parametrize(
        "turns", [{"idle_timeout_ms": 100}, {"idle_timeout_ms": "5"}, {"type": "semantic_vad"}]
    )
    def test_an_impossible_time_is_an_error(self, turns: Any) -> None:
        detection = {"type": "server_vad", "idle_timeout_ms": 5_000, **turns}
        call = call_with()
        session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        send(call, "session.update", session=session)
        (error,) = of_kind(call, "error")
        assert error["error"]["param"] == "session.audio.input.turn_detection.idle_timeout_ms"
