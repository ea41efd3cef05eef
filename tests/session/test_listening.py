"""Tests what a headless call waits for and for how long, with a fake clock."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

import pytest

from tests.builders import MS, begins, edge, ends, played, plays, said, tool
from tui.models import events as e
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.session.listening import Answered, Limits, Listening
from tui.session.pending import Pending

AGENT = e.Party.AGENT


class Scripted:
    """An agent whose events happen at given times, and what the call waits for in the meantime."""

    def __init__(self, *, replies_are_ended: bool, answer_s: float = 5.0, max_turn_s: float = 60.0) -> None:
        self.now_ns = 0
        self.notes: list[str] = []
        self.pending = Pending(replies_are_ended=replies_are_ended)
        state = SessionState()
        self.listening = Listening(
            Limits(answer_s, max_turn_s), self.notes.append, clock_ns=lambda: self.now_ns, wait=self._wait
        )
        self.listening.follow(state, self.pending)
        self.journal = Journal(state, sink=self._take, keep_raw=lambda _: -1, clock_ns=lambda: self.now_ns)
        for step in (e.Status.CONNECTING, e.Status.INITIATING, e.Status.ACTIVE):
            self.journal.become(step)
        self._numbers = count()
        self._due: list[tuple[float, int, e.SessionEvent]] = []

    def _take(self, event: e.SessionEvent) -> None:
        self.pending.apply(event)
        self.listening.take(event)

    async def _wait(self, _: asyncio.Event) -> None:
        self.now_ns += 50 * MS
        while self._due and self._due[0][0] * MS <= self.now_ns:
            self.journal.emit(heapq.heappop(self._due)[2])

    @property
    def now_ms(self) -> float:
        return self.now_ns / MS

    def at(self, ms: float, event: e.SessionEvent, *, known_ms: float | None = None) -> Scripted:
        heapq.heappush(self._due, (ms if known_ms is None else known_ms, next(self._numbers), event))
        return self

    def heard(self, began_ms: float, ended_ms: float, method: str = "silero") -> Scripted:
        for edge_ms, started in ((began_ms, True), (ended_ms, False)):
            heard = edge(AGENT, started, edge_ms, method=method)
            self.at(edge_ms, heard, known_ms=edge_ms + (100 if started else 500))
        return self

    def begins(self, reply: str, ms: float) -> Scripted:
        self.at(ms, begins(reply, ms))
        return self.at(ms + 80, plays(reply, ms + 80))

    def sends(self, ms: float, audio_ms: float) -> Scripted:
        message = e.MessageLogged(
            at_ns=int(ms * MS), direction=e.Direction.RECEIVED, kind="audio", audio_ms=audio_ms
        )
        return self.at(ms, message)

    def streams(self, until_ms: int) -> Scripted:
        """Adds audio without a pause, most of it silence."""
        self.begins("stream", 50)
        for ms in range(50, until_ms, 20):
            self.sends(ms, 20)
        return self

    def ends(self, reply: str, ms: float, received_ms: float, played_ms: float) -> Scripted:
        self.at(ms, ends(reply, ms, received_ms))
        return self.at(played_ms, played(reply, played_ms, received_ms))

    def filler(self) -> Scripted:
        """Adds a reply that is heard from 130 to 1000 ms."""
        self.begins("filler", 50).sends(60, 900)
        return self.ends("filler", 70, 900, 1000).heard(130, 1000)

    async def whole_turn(self) -> None:
        """Waits for the answer and for its end."""
        await self.listening.answer(0)
        await self.listening.turn_end()

    def tool(self, began_ms: float, ended_ms: float) -> Scripted:
        for ms, finished in ((began_ms, False), (ended_ms, True)):
            event = tool("c", ms, finished=finished)
            self.at(ms, event)
        return self


async def test_a_stream_of_silence_is_not_an_answer_and_words_in_it_are() -> None:
    for replies_are_ended in (True, False):
        silent = Scripted(replies_are_ended=replies_are_ended).streams(20_000)
        assert await silent.listening.answer(0) is Answered.NONE
        assert silent.now_ms == 5000
        speaks = Scripted(replies_are_ended=replies_are_ended).streams(20_000).heard(2000, 3000)
        assert await speaks.listening.answer(0) is Answered.HEARD
        assert speaks.now_ms == 2100
        assert await speaks.listening.turn_end() is Answered.HEARD
        assert 3900 < speaks.now_ms < 4200, "a pause that is longer than one in speech"
        assert speaks.listening.unfinished == 0


async def test_a_wait_checks_again_with_the_first_message_after_50_ms() -> None:
    checked_ms: list[float] = []
    scripted = Scripted(replies_are_ended=True)

    async def wait(changed: asyncio.Event) -> None:
        while not changed.is_set():
            scripted.now_ns += 20 * MS
            scripted.sends(scripted.now_ms, 20)
            scripted.journal.emit(heapq.heappop(scripted._due)[2])

    def checks() -> bool:
        checked_ms.append(scripted.now_ms)
        return False

    scripted.listening = Listening(
        Limits(), scripted.notes.append, clock_ns=lambda: scripted.now_ns, wait=wait
    )
    assert not await scripted.listening.until(checks, 0.2)
    assert checked_ms[:4] == [0, 60, 120, 180]


async def test_a_pause_in_speech_is_not_the_end_of_the_turn() -> None:
    agent = Scripted(replies_are_ended=False).streams(20_000).heard(500, 1500).heard(2200, 3000)
    await agent.whole_turn()
    assert agent.now_ms > 3900


async def test_music_behind_words_does_not_hold_the_turn_open() -> None:
    agent = Scripted(replies_are_ended=False).streams(90_000).heard(500, 1500).heard(1500, 80_000, "energy")
    await agent.whole_turn()
    assert agent.now_ms < 4000
    assert agent.notes == []


async def test_sound_without_an_end_is_over_after_its_limit_which_is_noted() -> None:
    agent = Scripted(replies_are_ended=False, max_turn_s=12).streams(90_000).heard(500, 80_000)
    await agent.whole_turn()
    assert 12_000 < agent.now_ms < 13_000
    assert agent.notes == [
        "The agent's turn had not ended after 12 s and was treated as finished (--max-turn)."
    ]


async def test_a_long_reply_that_was_sent_whole_is_heard_out() -> None:
    agent = Scripted(replies_are_ended=True, max_turn_s=12).begins("r", 50).sends(60, 20_000)
    agent.ends("r", 70, 20_000, 20_100).heard(150, 20_000)
    await agent.whole_turn()
    assert 20_400 < agent.now_ms < 20_700
    assert agent.notes == []


async def test_a_reply_that_stalls_is_waited_for_and_then_counted_as_unfinished() -> None:
    agent = Scripted(replies_are_ended=True).begins("r", 50).sends(60, 500).heard(150, 500)
    await agent.whole_turn()
    assert agent.listening.unfinished == 1
    assert 5500 < agent.now_ms < 6500
    goes_on = Scripted(replies_are_ended=True).begins("r", 50).sends(60, 500).heard(150, 500)
    goes_on.sends(3000, 500).heard(3100, 3400).ends("r", 3100, 1000, 3500)
    await goes_on.whole_turn()
    assert goes_on.listening.unfinished == 0
    assert 3800 < goes_on.now_ms < 4200


async def test_words_that_no_sound_follows_are_an_answer_in_text() -> None:
    for item in ("", "item-1"):
        agent = Scripted(replies_are_ended=True).at(400, said(AGENT, "At nine.", item=item, at_ms=400))
        assert await agent.listening.answer(0) is Answered.IN_TEXT
        assert agent.now_ms < 2500
        assert await agent.listening.turn_end() is Answered.HEARD


async def test_words_that_a_reply_follows_are_an_answer_once_it_is_heard() -> None:
    agent = Scripted(replies_are_ended=True).at(400, said(AGENT, "At nine.", item="r", at_ms=400))
    agent.begins("r", 600).sends(600, 4000).heard(3000, 4000)
    assert await agent.listening.answer(0) is Answered.HEARD
    assert agent.now_ms == 3100


async def test_a_running_tool_holds_the_turn_open_until_its_answer_is_heard() -> None:
    agent = Scripted(replies_are_ended=True).filler().tool(80, 9000)
    agent.begins("answer", 9400).sends(9400, 1000).ends("answer", 9450, 1000, 10_500).heard(9500, 10_400)
    assert await agent.listening.answer(0) is Answered.HEARD
    assert await agent.listening.turn_end() is Answered.HEARD
    assert 10_800 < agent.now_ms < 11_200


@pytest.mark.parametrize("replies_are_ended", [True, False])
async def test_an_agent_that_never_answers_its_tool_fell_silent(replies_are_ended: bool) -> None:
    agent = Scripted(replies_are_ended=replies_are_ended).filler().tool(80, 90)
    assert await agent.listening.answer(0) is Answered.HEARD
    assert await agent.listening.turn_end() is Answered.SILENT_AFTER_TOOL
    assert agent.listening.silent_tool == "find"
    assert 6000 < agent.now_ms < 7500, "its limit runs from the end of what it said before"
    assert await agent.listening.turn_end() is Answered.HEARD, "it is not waited for again"


async def test_an_agent_that_says_nothing_before_or_after_its_tool_fell_silent() -> None:
    agent = Scripted(replies_are_ended=True).tool(80, 9000)
    assert await agent.listening.answer(0) is Answered.SILENT_AFTER_TOOL
    earlier = Scripted(replies_are_ended=True).tool(80, 90)
    earlier.now_ns = 200 * MS
    await earlier.listening.line_end(0, 0.05)
    assert await earlier.listening.answer(200 * MS) is Answered.NONE, "the tool was about an earlier turn"


async def test_what_follows_a_tool_without_a_pause_answers_it_where_replies_have_no_end() -> None:
    agent = Scripted(replies_are_ended=False).begins("r", 50).sends(60, 900).tool(80, 90)
    agent.sends(700, 1500).heard(130, 2400).at(2500, played("r", 2500, 2400))
    assert await agent.listening.answer(0) is Answered.HEARD
    assert await agent.listening.turn_end() is Answered.HEARD
    assert 2400 < agent.now_ms < 4000


@pytest.mark.parametrize("withdrawn", [True, False])
async def test_an_agent_that_owes_no_answer_to_its_tool_has_finished(withdrawn: bool) -> None:
    agent = Scripted(replies_are_ended=True).filler()
    agent.pending.results_are_answered = withdrawn
    agent.at(80, tool("c", 80)).at(2000, tool("c", 2000, finished=True, withdrawn=withdrawn))
    assert await agent.listening.answer(0) is Answered.HEARD
    assert await agent.listening.turn_end() is Answered.HEARD
    assert 2000 <= agent.now_ms < 2500


def failed(ms: int, *, answer: bool = True) -> e.ErrorRaised:
    return e.ErrorRaised(
        at_ns=ms * MS, source="agent", code="server_error", message="Sorry.", answer_failed=answer
    )


async def test_a_failed_answer_ends_the_wait_at_once_and_other_errors_do_not() -> None:
    for replies_are_ended in (True, False):
        agent = Scripted(replies_are_ended=replies_are_ended).at(2000, failed(2000))
        assert await agent.listening.answer(0) is Answered.FAILED
        assert agent.now_ms == 2000
        agent = Scripted(replies_are_ended=replies_are_ended).at(2000, failed(2000, answer=False))
        assert await agent.listening.answer(0) is Answered.NONE
        assert agent.now_ms == 5000
        agent = Scripted(replies_are_ended=replies_are_ended).at(2000, failed(2000))
        await agent.listening.line_end(0, 2.5)
        assert await agent.listening.answer(2400 * MS) is Answered.NONE, "it was an earlier answer"


async def test_the_user_who_went_on_speaking_may_still_be_answered() -> None:
    last_word = edge(e.Party.USER, False, 700)
    agent = Scripted(replies_are_ended=True).at(400, failed(400)).at(700, last_word).heard(1500, 2000)
    agent.now_ns = 350 * MS
    await agent.listening.line_end(0, 0.5)
    assert await agent.listening.answer(0) is Answered.HEARD


async def test_what_was_sent_of_a_failed_answer_is_heard_first() -> None:
    agent = Scripted(replies_are_ended=True).begins("r", 50).sends(60, 900).at(70, failed(70))
    agent.ends("r", 70, 900, 1000).heard(130, 900)
    assert await agent.listening.answer(0) is Answered.HEARD
    silent = Scripted(replies_are_ended=True).begins("r", 50).sends(60, 900).at(70, failed(70))
    silent.ends("r", 70, 900, 1000)
    assert await silent.listening.answer(0) is Answered.FAILED
    assert 1000 < silent.now_ms < 2000


async def test_a_failed_answer_after_a_tool_is_not_waited_for() -> None:
    agent = Scripted(replies_are_ended=True).filler().tool(80, 1500).at(1600, failed(1600))
    assert await agent.listening.answer(0) is Answered.HEARD
    assert await agent.listening.turn_end() is Answered.FAILED
    assert agent.now_ms < 2500


async def test_while_the_session_is_resumed_no_time_passes() -> None:
    agent = Scripted(replies_are_ended=True).heard(8000, 9000)
    agent.at(1000, e.StatusChanged(at_ns=0, old=e.Status.ACTIVE, new=e.Status.RESUMING))
    agent.at(6000, e.StatusChanged(at_ns=0, old=e.Status.RESUMING, new=e.Status.ACTIVE))
    assert await agent.listening.answer(0) is Answered.HEARD


async def test_a_line_ends_the_wait_for_it_and_so_does_its_limit() -> None:
    agent = Scripted(replies_are_ended=True)
    agent.at(300, e.LineChanged(at_ns=300 * MS, name="1")).at(
        900, e.LineChanged(at_ns=900 * MS, name="1", finished=True)
    )
    await agent.listening.line_end(100 * MS, 5)
    assert agent.now_ms == 900
    await agent.listening.line_end(agent.now_ns, 5)
    assert agent.now_ms == 5900


async def test_nothing_is_waited_for_once_the_call_is_over() -> None:
    agent = Scripted(replies_are_ended=True)
    agent.at(300, e.StatusChanged(at_ns=300 * MS, old=e.Status.ACTIVE, new=e.Status.ENDING))
    assert await agent.listening.answer(0) is Answered.NONE
    assert agent.now_ms == 300
    await agent.listening.turn_end()
    assert agent.now_ms == 300
