from __future__ import annotations

import pytest

from tests.builders import error, started, status
from tui.models.events import ErrorRaised, SessionEvent, Status
from tui.models.outcome import Outcome
from tui.models.session_state import SessionState

ACTIVE = status(Status.INITIATING, Status.ACTIVE)


def fatal(source: str, code: str) -> ErrorRaised:
    return ErrorRaised(at_ns=0, source=source, code=code, message="m", fatal=True)


def outcome_after(*events: SessionEvent) -> Outcome:
    state = SessionState()
    for event in events:
        state.apply(event)
    return state.outcome


@pytest.mark.parametrize(
    ("source", "code", "early", "late"),
    [
        ("socket", "unreachable", Outcome.UNREACHABLE, Outcome.PROTOCOL_ERROR),
        ("socket", "lost", Outcome.UNREACHABLE, Outcome.PROTOCOL_ERROR),
        ("agent", "unknown", Outcome.UNREACHABLE, Outcome.PROTOCOL_ERROR),
        ("agent", "not-accepted", Outcome.PROTOCOL_ERROR, Outcome.PROTOCOL_ERROR),
        ("settings", "unreachable", Outcome.UNREACHABLE, Outcome.PROTOCOL_ERROR),
        ("settings", "impossible", Outcome.USAGE, Outcome.USAGE),
        ("engine", "engine-lost", Outcome.CRASHED, Outcome.CRASHED),
    ],
)
def test_a_call_that_could_not_be_made_is_told_from_one_that_was_broken_off(
    source: str, code: str, early: Outcome, late: Outcome
) -> None:
    assert outcome_after(started(), fatal(source, code)) == early
    assert outcome_after(started(), ACTIVE, fatal(source, code)) == late


def test_the_first_reason_counts_and_another_call_begins_anew() -> None:
    call = (started(), ACTIVE, error("harmless"), fatal("socket", "lost"), fatal("engine", "engine-lost"))
    assert outcome_after(*call) == Outcome.PROTOCOL_ERROR
    assert outcome_after(*call, started()) == Outcome.FINE
