from __future__ import annotations

from typing import Any

import pytest

from tests.builders import begins, edge, said, tool
from tui.models import events as e
from tui.models.journal import Journal, utc_now
from tui.models.session_state import SessionState
from tui.protocols.base import CallerEnd, CallerSettings
from tui.protocols.registry import protocol_named
from tui.session.answer_watch import LIMIT_MS, AnswerWatch
from tui.session.pending import Pending

MS = 1_000_000


def caller(protocol: str, *, stream_open: bool) -> CallerEnd:
    end = protocol_named(protocol).caller(CallerSettings(), lambda: "id", utc_now)
    end.opened()
    if stream_open and protocol == "audiocodes":
        end.receive('{"type": "session.accepted", "mediaFormat": "raw/lpcm16"}')
        end.start_user_stream()
        end.receive('{"type": "userStream.started"}')
    end.start_user_stream()
    return end


class Waiting:
    """A call in which the user speaks, and the emitted events."""

    def __init__(
        self, protocol: str = "audiocodes", *, stream_open: bool = False, replies_are_ended: bool = True
    ) -> None:
        self.emitted: list[tuple[bool, str]] = []
        self.hints: list[str] = []
        self.now_ms = 0.0
        self.journal = Journal(
            SessionState(), sink=self._take, keep_raw=lambda _: -1, clock_ns=lambda: int(self.now_ms * MS)
        )
        self.pending = Pending(replies_are_ended=replies_are_ended)
        for step in (e.Status.CONNECTING, e.Status.INITIATING, e.Status.ACTIVE):
            self.journal.become(step)
        self.watch = AnswerWatch(self.journal, caller(protocol, stream_open=stream_open), self.pending)

    def _take(self, event: e.SessionEvent) -> None:
        if isinstance(event, e.ConditionChanged):
            assert event.condition is e.Condition.NOT_ANSWERED
            self.emitted.append((event.active, event.text))
            self.hints.append(event.hint)

    def edge(self, speaker: e.Party, *, started: bool) -> None:
        self.journal.emit(edge(speaker, started, self.now_ms))

    def says(self, ms: float = 500) -> None:
        self.edge(e.Party.USER, started=True)
        self.wait(ms)
        self.edge(e.Party.USER, started=False)

    def speaks(self, reply: str, ms: float, *, tool_after_ms: float | None = None) -> None:
        """A reply of the agent, during which the result of a tool may be sent."""
        begun = begins(reply, self.now_ms)
        self.journal.emit(begun)
        self.pending.apply(begun)
        self.edge(e.Party.AGENT, started=True)
        self.wait(tool_after_ms or 0)
        if tool_after_ms is not None:
            self.finishes_tool()
        self.wait(ms - (tool_after_ms or 0))
        self.edge(e.Party.AGENT, started=False)

    def finishes_tool(self, *, withdrawn: bool = False) -> None:
        for finished in (False, True):
            self.pending.apply(tool("1", self.now_ms, finished=finished, withdrawn=finished and withdrawn))

    def wait(self, ms: float) -> None:
        for _ in range(int(ms / 20)):
            self.now_ms += 20
            self.watch.poll()


def unanswered(**options: Any) -> Waiting:
    """Returns a call 4 s after the user's last word."""
    call = Waiting(**options)
    call.says()
    call.wait(4_000)
    return call


def test_an_answer_that_is_missing_is_told_once_while_it_is() -> None:
    call = Waiting()
    call.says()
    call.wait(LIMIT_MS - 20)
    assert call.emitted == []
    call.wait(10_000)
    assert call.emitted == [
        (True, "The agent has not answered: no reply within 3 s after the user's last word.")
    ]
    assert list(call.journal.state.conditions.values())


def test_the_answer_ends_it() -> None:
    call = unanswered()
    call.journal.emit(begins("1", call.now_ms))
    call.wait(20)
    assert len(call.emitted) == 1, "nothing of it was heard yet"
    call.edge(e.Party.AGENT, started=True)
    call.wait(20)
    assert call.emitted[-1] == (False, "The agent has answered.")
    assert not call.journal.state.conditions


def test_a_lost_socket_is_not_taken_for_a_user_who_goes_on() -> None:
    call = unanswered()
    call.journal.become(e.Status.RESUMING)
    call.wait(20)
    assert call.emitted[-1] == (False, "The connection was lost; the agent has not answered.")


def test_a_user_who_goes_on_is_not_waiting() -> None:
    call = unanswered()
    call.says(6_000)
    assert [active for active, _ in call.emitted] == [True, False]
    call.wait(4_000)
    assert [active for active, _ in call.emitted] == [True, False, True]


def test_a_greeting_is_not_owed_and_a_prompt_answer_is_none_too_late() -> None:
    call = Waiting()
    call.wait(10_000)
    call.says()
    call.edge(e.Party.AGENT, started=True)
    call.wait(10_000)
    assert call.emitted == []


def test_an_answer_in_text_is_an_answer() -> None:
    call = unanswered()
    words = said(e.Party.AGENT, "At nine.", at_ms=call.now_ms)
    call.journal.emit(words)
    call.wait(10_000)
    assert [text for _, text in call.emitted[1:]] == ["The agent has answered in text."]


def test_an_agent_that_waits_for_our_tool_is_not_late() -> None:
    call = Waiting()
    call.says()
    call.pending.apply(tool("1"))
    call.wait(10_000)
    assert call.emitted == []
    call.finishes_tool()
    call.wait(LIMIT_MS - 20)
    assert call.emitted == []
    call.wait(20)
    assert call.emitted == [
        (True, "The agent has not answered: no reply within 3 s after the result of its tool find.")
    ]


@pytest.mark.parametrize("replies_are_ended", [True, False])
def test_an_agent_that_falls_silent_after_its_tool_is_late_until_it_answers(replies_are_ended: bool) -> None:
    call = Waiting(replies_are_ended=replies_are_ended)
    call.says()
    call.speaks("filler", 600)
    call.finishes_tool()
    call.wait(LIMIT_MS + 20)
    assert call.emitted == [
        (True, "The agent has not answered: no reply within 3 s after the result of its tool find.")
    ]
    call.speaks("answer", 600)
    assert call.emitted[1:] == [(False, "The agent has answered.")]
    call.wait(10_000)
    assert len(call.emitted) == 2


def test_a_user_who_speaks_after_a_tool_asks_again() -> None:
    call = Waiting()
    call.says()
    call.speaks("filler", 600)
    call.finishes_tool()
    call.wait(LIMIT_MS + 20)
    call.says()
    assert call.emitted[1:] == [(False, "The user continued speaking; the agent has not answered.")]


def test_what_the_agent_says_on_is_its_answer_where_replies_have_no_end() -> None:
    goes_on = Waiting(replies_are_ended=False)
    goes_on.says()
    goes_on.speaks("filler", 600, tool_after_ms=300)
    goes_on.wait(10_000)
    assert goes_on.emitted == []
    ended = Waiting()
    ended.says()
    ended.speaks("filler", 600, tool_after_ms=300)
    ended.wait(10_000)
    assert [active for active, _ in ended.emitted] == [True]


@pytest.mark.parametrize("withdrawn", [True, False])
def test_an_agent_that_owes_no_answer_to_its_tool_is_not_late(withdrawn: bool) -> None:
    call = Waiting()
    call.pending.results_are_answered = withdrawn
    call.says()
    call.speaks("filler", 600)
    call.finishes_tool(withdrawn=withdrawn)
    call.wait(10_000)
    assert call.emitted == []


def test_an_agent_that_talks_on_is_not_said_not_to_answer_before_it_has_fallen_silent() -> None:
    call = Waiting()
    call.journal.emit(begins("1"))
    call.edge(e.Party.AGENT, started=True)
    call.wait(2_000)
    call.says()
    call.wait(20_000)
    assert call.emitted == []
    call.edge(e.Party.AGENT, started=False)
    call.wait(LIMIT_MS - 20)
    assert call.emitted == []
    call.wait(1_000)
    assert call.emitted == [(True, "The agent has not answered: no reply within 3 s after it last spoke.")]
    call.edge(e.Party.AGENT, started=True)
    call.wait(20)
    assert call.emitted[1:] == [(False, "The agent has answered.")]


def test_a_pressed_key_is_owed_an_answer_too() -> None:
    call = Waiting()
    call.journal.emit(e.KeysPressed(at_ns=0, digits="5"))
    call.wait(4_000)
    assert call.emitted == [
        (True, "The agent has not answered: no reply within 3 s after the user's last key.")
    ]


def recognized(call: Waiting) -> None:
    call.journal.emit(said(e.Party.USER, "hello", at_ms=call.now_ms))


def test_an_agent_that_recognized_the_user_and_waits_for_the_end_of_the_stream_has_options_that_help() -> (
    None
):
    call = Waiting(stream_open=True)
    call.says()
    recognized(call)
    call.wait(4_000)
    assert "--on-stop close or --no-barge-in" in call.hints[0]


def test_no_option_is_named_where_it_would_not_help() -> None:
    unrecognized, closed, twilio = Waiting(stream_open=True), Waiting(), Waiting("twilio")
    for call in (unrecognized, closed, twilio):
        call.says()
        if call is not unrecognized:
            recognized(call)
        call.wait(4_000)
        assert call.hints == [
            "Check the event log for what was sent to the agent and what the agent has sent since."
        ]


def test_a_hang_up_of_ours_interrupts_nothing() -> None:
    call = unanswered()
    call.journal.become(e.Status.ENDING, "hung up")
    call.wait(20)
    assert call.emitted[-1] == (False, "The call is over; the agent has not answered.")
