from __future__ import annotations

import pytest

from tui.models import events as e
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.session.ending import Ending
from tui.session.pending import Pending


class Told(list[e.SessionEvent]):
    """The events that an ending emits, in a session that is active by default."""

    def __init__(self, *, active: bool = True) -> None:
        journal = Journal(SessionState(), sink=self.append, keep_raw=lambda _: -1, clock_ns=lambda: 1)
        steps = [e.Status.CONNECTING, e.Status.INITIATING, *([e.Status.ACTIVE] if active else [])]
        for step in steps:
            journal.become(step)
        self.clear()
        self.ending = Ending(journal, Pending(replies_are_ended=True))

    def statuses(self) -> list[tuple[e.Status, str]]:
        return [(event.new, event.reason) for event in self if isinstance(event, e.StatusChanged)]


def test_of_several_reasons_the_first_one_holds() -> None:
    emitted = Told()
    emitted.ending.finish("the agent hung up")
    emitted.ending.finish()
    assert emitted.ending.due
    assert not emitted.ending.ours
    emitted.ending.emit()
    assert emitted.statuses() == [
        (e.Status.ENDING, "the agent hung up"),
        (e.Status.ENDED, "the agent hung up"),
    ]


def test_a_fault_is_told_in_place_of_any_reason() -> None:
    emitted = Told()
    emitted.ending.finish()
    emitted.ending.fail("agent", "broken", "It broke.")
    emitted.ending.fail("agent", "later", "It broke again.")
    emitted.ending.emit()
    assert emitted.statuses() == [(e.Status.ERROR, "It broke.")]


@pytest.mark.parametrize(
    ("active", "lost", "failed", "code", "words"),
    [
        (False, False, False, "not-accepted", "The agent did not accept the session: the socket was closed."),
        (True, True, False, "lost", "The connection was closed."),
        (True, False, True, "closed", "The agent ended the call with an error: the socket was closed."),
    ],
)
def test_a_socket_that_should_not_have_closed_is_a_fault(
    active: bool, lost: bool, failed: bool, code: str, words: str
) -> None:
    emitted = Told(active=active)
    emitted.ending.socket_closed("closed", lost=lost, failed=failed)
    (error,) = [event for event in emitted if isinstance(event, e.ErrorRaised)]
    assert (error.code, error.message, error.fatal) == (code, words, True)
    assert emitted.ending.reason == words


@pytest.mark.parametrize("active", [False, True])
def test_a_socket_that_this_end_closed_names_what_the_agent_sent(active: bool) -> None:
    emitted = Told(active=active)
    violation = "the agent sent text that is not UTF-8 (closed with code 1007)"
    emitted.ending.socket_closed("closed by opusagent-tui", lost=False, failed=False, violation=violation)
    (error,) = [event for event in emitted if isinstance(event, e.ErrorRaised)]
    assert (error.code, error.fatal) == ("violation", True)
    assert error.message == f"The call was cut off because {violation}."


def test_a_socket_that_closes_after_the_end_says_nothing_new() -> None:
    emitted = Told()
    emitted.ending.finish("the agent hung up")
    emitted.ending.socket_closed("closed", lost=True, failed=False)
    assert emitted.ending.reason == "the agent hung up"
    assert not emitted
