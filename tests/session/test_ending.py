from __future__ import annotations

import pytest

from tui.models import events as e
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.session.ending import Ending


class Told(list[e.SessionEvent]):
    """What an ending emitted, in a session that is active unless told otherwise."""

    def __init__(self, *, active: bool = True) -> None:
        journal = Journal(SessionState(), sink=self.append, keep_raw=lambda _: -1, clock_ns=lambda: 1)
        steps = [e.Status.CONNECTING, e.Status.INITIATING, *([e.Status.ACTIVE] if active else [])]
        for step in steps:
            journal.become(step)
        self.clear()
        self.ending = Ending(journal)

    def statuses(self) -> list[tuple[e.Status, str]]:
        return [(event.new, event.reason) for event in self if isinstance(event, e.StatusChanged)]


def test_of_several_reasons_the_first_one_holds() -> None:
    told = Told()
    told.ending.finish("the agent hung up")
    told.ending.finish()
    assert told.ending.due
    assert not told.ending.ours
    told.ending.emit()
    assert told.statuses() == [
        (e.Status.ENDING, "the agent hung up"),
        (e.Status.ENDED, "the agent hung up"),
    ]


def test_a_fault_is_told_in_place_of_any_reason() -> None:
    told = Told()
    told.ending.finish()
    told.ending.fail("agent", "broken", "It broke.")
    told.ending.fail("agent", "later", "It broke again.")
    told.ending.emit()
    assert told.statuses() == [(e.Status.ERROR, "It broke.")]


@pytest.mark.parametrize(
    ("active", "lost", "failed", "code", "words"),
    [
        (False, False, False, "not-accepted", "The agent did not accept the session: the socket was closed."),
        (True, True, False, "lost", "The agent is gone: the socket was closed."),
        (True, False, True, "closed", "The call was broken off: the socket was closed."),
    ],
)
def test_a_socket_that_should_not_have_closed_is_a_fault(
    active: bool, lost: bool, failed: bool, code: str, words: str
) -> None:
    told = Told(active=active)
    told.ending.socket_closed("closed", lost=lost, failed=failed, in_reply=True)
    (error,) = [event for event in told if isinstance(event, e.ErrorRaised)]
    assert (error.code, error.message, error.fatal) == (code, words, True)
    assert told.ending.reason == words


def test_a_socket_that_closes_after_the_end_says_nothing_new() -> None:
    told = Told()
    told.ending.finish("the agent hung up")
    told.ending.socket_closed("closed", lost=True, failed=False, in_reply=False)
    assert told.ending.reason == "the agent hung up"
    assert not told
