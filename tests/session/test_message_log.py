from __future__ import annotations

import pytest

from tui.models import events as e
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.session.message_log import MessageLog


async def route(_: object) -> None:
    raise AssertionError("nothing is routed here")


@pytest.mark.parametrize(
    ("kind", "code", "said", "told"),
    [
        (
            "agent.error",
            "rate_limit_exceeded",
            "Rate limit reached.",
            "rate_limit_exceeded: Rate limit reached.",
        ),
        ("agent.error", "x_failed", "It is x_failed.", "It is x_failed."),
        ("agent.error", "unknown", "Sorry.", "Sorry."),
        ("session.error", "unknown-format", "No common format.", "No common format."),
    ],
)
def test_the_code_that_the_agent_gave_stands_in_the_sentence(
    kind: str, code: str, said: str, told: str
) -> None:
    raised: list[e.SessionEvent] = []
    journal = Journal(SessionState(), sink=raised.append, keep_raw=lambda _: -1, clock_ns=lambda: 0)
    log = MessageLog(journal, protocol="openai", reply=lambda _: None, route=route, on_fatal=lambda _: None)
    log.report_error({"type": kind, "fatal": False, "error": {"code": code, "message": said}})
    (error,) = raised
    assert isinstance(error, e.ErrorRaised)
    assert (error.code, error.message) == (code, told)
