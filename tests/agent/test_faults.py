"""Tests the bugs that can be planted in the local agent, each against the agent without it."""

from __future__ import annotations

import pytest

from tests.agent.calls import Call, prompt, spoken
from tui.agent.settings import AgentError, AgentSettings, Fault
from tui.agent.tools import wrong_value
from tui.assets import prompts
from tui.cli.options import FAULTS
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.pcm import PCM

YES = spoken("yes")[:-32_000]
SECOND = bytes(32_000)


def planted(fault: Fault | None, interrupt_ms: int = 500) -> Call:
    return Call(AgentSettings(fault=fault, interrupt_ms=interrupt_ms))


def while_it_speaks(fault: Fault | None, pcm: bytes) -> Call:
    """Returns a call in which the user speaks 500 ms after the start of a long answer."""
    call = planted(fault)
    call.say("services")
    call.wait(500)
    call.speak(pcm + SECOND)
    call.wait(1_000)
    return call


def test_the_options_are_the_faults() -> None:
    assert tuple(Fault) == FAULTS


def test_late_answers_come_800_ms_later() -> None:
    begun_ms = []
    for fault in (None, Fault.LATE):
        call = planted(fault)
        call.say("hours")
        call.wait_for_reply()
        begun_ms.append(call.times_ms(Type.PLAY_STREAM_START)[0])
    assert begun_ms[1] - begun_ms[0] == pytest.approx(800, abs=20)


@pytest.mark.parametrize(("fault", "cut"), [(None, 1), (Fault.IGNORES_BARGE_IN, 0)])
def test_an_agent_that_ignores_barge_in_speaks_on_and_does_not_answer(fault: Fault | None, cut: int) -> None:
    call = while_it_speaks(fault, spoken("interrupt")[:-32_000])
    assert len(call.cut_short) == cut
    assert call.texts == [prompts()[name].text for name in ("workshop", "listening")[: 1 + cut]]


@pytest.mark.parametrize(("fault", "cut"), [(None, 0), (Fault.STOPS_AT_BACKCHANNEL, 1)])
def test_a_backchannel_stops_only_an_agent_with_that_fault(fault: Fault | None, cut: int) -> None:
    call = while_it_speaks(fault, YES)
    assert len(call.cut_short) == cut
    assert call.texts == [prompts()[name].text for name in ("workshop", "confirmed")[: 1 + cut]]


def test_brief_speech_is_answered_while_the_agent_is_silent() -> None:
    call = planted(None)
    call.speak(YES + SECOND)
    call.wait_for_reply()
    assert call.texts == [prompts()["confirmed"].text]
    assert call.count(Type.SPEECH_STARTED) == call.count(Type.SPEECH_STOPPED) == 1


def test_speech_interrupts_once_it_has_lasted() -> None:
    cut_ms = []
    for interrupt_ms in (0, 700):
        call = planted(None, interrupt_ms)
        call.say("services")
        call.wait(500)
        began_ms = call.at_ms
        call.speak(spoken("interrupt")[: 2 * 16 * 900])
        cut_ms.append(call.times_ms(Type.PLAY_STREAM_STOP)[0] - began_ms)
    assert cut_ms[0] < 400
    assert 700 <= cut_ms[1] < 900


@pytest.mark.parametrize(("fault", "over"), [(None, True), (Fault.NEVER_HANGS_UP, False)])
def test_an_agent_that_never_hangs_up_says_goodbye_and_stays(fault: Fault | None, over: bool) -> None:
    call = planted(fault)
    call.say("goodbye")
    call.wait_for_reply()
    call.wait(10_000)
    assert call.texts == [prompts()["goodbye"].text]
    assert call.conversation.over is over


def test_a_clipped_reply_lacks_its_first_400_ms() -> None:
    call = planted(Fault.CLIPS_FIRST_WORD)
    call.say("hours")
    call.wait_for_reply()
    assert call.audio() == prompt("hours")[2 * 16 * 400 :]


@pytest.mark.parametrize(("fault", "spoken_meanwhile"), [(None, False), (Fault.TALKS_OVER, True)])
def test_an_agent_that_talks_over_the_user_begins_before_they_have_finished(
    fault: Fault | None, spoken_meanwhile: bool
) -> None:
    # Callers with other protocols flush the agent's audio at this point.
    call = Call(AgentSettings(fault=fault), protocol=PCM)
    call.speak(spoken("appointment")[:-32_000])
    assert (call.count(Type.PLAY_STREAM_CHUNK) > 0) is spoken_meanwhile


def test_an_agent_that_crashes_answers_once() -> None:
    call = planted(Fault.CRASHES)
    call.say("hours")
    call.wait_for_reply()
    assert not call.conversation.over
    call.say("hours")
    assert (call.conversation.over, call.conversation.close.code) == (True, 1011)
    assert call.texts == [prompts()["hours"].text]


def test_wrong_values_differ_and_keep_their_type() -> None:
    right = {"people": 2, "share": 0.5, "late": False, "name": "Ann", "days": ["Monday"], "who": {"age": 3}}
    wrong = wrong_value(right)
    assert wrong == {
        "people": 3,
        "share": 1.5,
        "late": True,
        "name": "Ann (wrong)",
        "days": ["Monday (wrong)"],
        "who": {"age": 4},
    }
    empty: list[object] = ["", [], {}, None]
    assert [wrong_value(value) for value in empty] == ["(wrong)", [None], {"wrong": True}, "wrong"]


def test_an_impossible_interruption_is_refused() -> None:
    with pytest.raises(AgentError, match="must be between 0 and 10 s, not 10"):
        AgentSettings(interrupt_ms=10_001)
