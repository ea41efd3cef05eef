from __future__ import annotations

from tests.builders import begins, ends, played, said, status, tool
from tui.models import events as e
from tui.session.pending import Pending


def pending(*events: e.SessionEvent, replies_are_ended: bool = True) -> Pending:
    fold = Pending(replies_are_ended=replies_are_ended)
    for event in events:
        fold.apply(event)
    return fold


BEGUN = begins()


def test_a_reply_is_due_until_it_is_ended_or_cut_off() -> None:
    assert pending(BEGUN).replies == ["r"]
    assert pending(BEGUN).in_words() == ["an unfinished reply"]
    assert pending(BEGUN, ends()).replies == []
    for unheard_ms in (40, 0):
        cut = played("r", 0, 20, unheard_ms)
        assert pending(BEGUN, cut).replies == []
        assert pending(BEGUN, cut, BEGUN).replies == ["r"]


def test_a_reply_without_an_end_is_not_due_where_no_reply_has_one() -> None:
    assert pending(BEGUN, replies_are_ended=False).replies == []
    assert pending(BEGUN, replies_are_ended=False).in_words() == []


def test_a_line_is_due_while_it_is_spoken() -> None:
    begun = e.LineChanged(at_ns=0, name="1-hours.wav")
    assert pending(begun).in_words() == ["1-hours.wav being spoken"]
    assert pending(begun, e.LineChanged(at_ns=1, name="1-hours.wav", finished=True)).line == ""


def test_a_tool_is_due_while_it_runs() -> None:
    begun = [tool(call, name=name) for call, name in (("1", "find"), ("2", "book"))]
    done = tool("1", finished=True)
    assert pending(*begun).tools == ["find", "book"]
    assert pending(*begun, done).in_words() == ["the tool book still running"]


def test_the_result_of_a_tool_is_unanswered_until_the_agent_replies_or_writes() -> None:
    ended = tool("1", 20, finished=True)
    assert pending(tool("1"), ended).unanswered_tool == ("find", 20_000_000)
    for answer in (begins("r2"), said(e.Party.AGENT, "Nine.")):
        assert pending(tool("1"), ended, answer).unanswered_tool is None


def test_an_agent_that_wants_no_result_or_no_longer_owes_no_answer() -> None:
    no_result, withdrawn = tool("", finished=True), tool("1", finished=True, withdrawn=True)
    assert pending(no_result, withdrawn, tool("1")).unanswered_tool is None
    silent = pending()
    silent.results_are_answered = False
    silent.apply(tool("1", finished=True))
    assert silent.unanswered_tool is None


def test_lines_not_spoken_and_a_session_that_resumes_are_due() -> None:
    fold = pending(status(e.Status.ACTIVE, e.Status.RESUMING))
    fold.lines_left = 2
    assert fold.in_words() == ["2 lines not spoken", "the resumption of the session still pending"]
    fold.apply(status(e.Status.RESUMING, e.Status.ACTIVE))
    assert not fold.resuming


def test_an_answer_is_due_until_the_agent_begins_it_in_sound_or_in_text() -> None:
    text = said(e.Party.AGENT, "Nine.")
    for answer in (BEGUN, text):
        fold = pending()
        fold.answer_due = "2-hours.wav"
        assert fold.in_words() == ["2-hours.wav unanswered"]
        fold.apply(said(e.Party.USER, "When?"))
        assert fold.answer_due
        fold.apply(answer)
        assert fold.answer_due == ""
