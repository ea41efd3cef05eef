from __future__ import annotations

import pytest

from tests.builders import error, started, status
from tui.exit_code import ExitCode
from tui.models.events import ErrorRaised, SessionEvent, Status
from tui.models.session_state import SessionState

ACTIVE = status(Status.INITIATING, Status.ACTIVE)


def fatal(source: str, code: str) -> ErrorRaised:
    return ErrorRaised(at_ns=0, source=source, code=code, message="m", fatal=True)


def code_after(*events: SessionEvent) -> ExitCode:
    state = SessionState()
    for event in events:
        state.apply(event)
    return state.exit_code


@pytest.mark.parametrize(
    ("source", "code", "early", "late"),
    [
        ("socket", "unreachable", ExitCode.UNREACHABLE, ExitCode.PROTOCOL_ERROR),
        ("socket", "lost", ExitCode.UNREACHABLE, ExitCode.PROTOCOL_ERROR),
        ("agent", "unknown", ExitCode.UNREACHABLE, ExitCode.PROTOCOL_ERROR),
        ("agent", "not-accepted", ExitCode.PROTOCOL_ERROR, ExitCode.PROTOCOL_ERROR),
        ("webhook", "unreachable", ExitCode.UNREACHABLE, ExitCode.PROTOCOL_ERROR),
        ("agent", "silent", ExitCode.NOT_ANSWERED, ExitCode.PROTOCOL_ERROR),
        ("settings", "unreachable", ExitCode.UNREACHABLE, ExitCode.PROTOCOL_ERROR),
        ("settings", "impossible", ExitCode.USAGE, ExitCode.USAGE),
        ("engine", "engine-lost", ExitCode.CRASHED, ExitCode.CRASHED),
    ],
)
def test_a_call_that_could_not_be_made_differs_from_one_that_was_broken_off(
    source: str, code: str, early: ExitCode, late: ExitCode
) -> None:
    assert code_after(started(), fatal(source, code)) == early
    assert code_after(started(), ACTIVE, fatal(source, code)) == late


def test_the_first_reason_counts_until_the_next_call() -> None:
    call = (started(), ACTIVE, error("harmless"), fatal("socket", "lost"), fatal("engine", "engine-lost"))
    assert code_after(*call) == ExitCode.PROTOCOL_ERROR
    assert code_after(*call, started()) == ExitCode.FINE
