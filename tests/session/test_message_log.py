from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import pytest

from tui.models import events as e
from tui.models.events import Direction, Status
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.protocols.base import Finding, Incoming, Outgoing
from tui.session.message_log import MessageLog
from tui.websocket.message_handler import Received

E = TypeVar("E", bound=e.SessionEvent)
STRAY = Finding(rule="stray", text="It strays.")
PONG = Outgoing("pong", "pong")


class Log:
    """A `MessageLog` and everything that it emits."""

    def __init__(self) -> None:
        self.events: list[e.SessionEvent] = []
        self.steps: list[str] = []
        self.fatal: list[e.ErrorRaised] = []
        self.now_ns = 0
        self.journal = Journal(
            SessionState(), sink=self._take, keep_raw=lambda _: -1, clock_ns=lambda: self.now_ns
        )
        self.log = MessageLog(
            self.journal, protocol="openai", reply=self._reply, route=self._route, on_fatal=self.fatal.append
        )

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def _take(self, event: e.SessionEvent) -> None:
        self.events.append(event)
        self.steps.append(type(event).__name__)

    def _reply(self, messages: Iterable[Outgoing]) -> None:
        self.steps += [f"reply {message.kind}" for message in messages]

    async def _route(self, incoming: Incoming) -> None:
        self.steps.append(f"route {incoming.kind}")


async def test_a_received_message_is_logged_before_it_is_answered_and_routed() -> None:
    log = Log()
    await log.log.received(Received("ping", 7, Incoming(kind="ping", summary="a ping", replies=(PONG,))))
    assert log.steps == ["MessageLogged", "reply pong", "route ping"]
    (logged,) = log.of(e.MessageLogged)
    assert (logged.direction, logged.at_ns) == (Direction.RECEIVED, 7)
    assert (logged.kind, logged.summary) == ("ping", "a ping")
    assert (logged.size_bytes, logged.known) == (4, True)


async def test_a_frame_that_was_not_understood_is_logged_and_counted_and_not_routed() -> None:
    log = Log()
    await log.log.received(Received("[1", 7, None, "not-json", "this is not JSON"))
    log.log.emit_counts()
    (logged,), (lost,) = log.of(e.MessageLogged), log.of(e.LossCounted)
    assert (logged.kind, logged.summary) == ("undecodable (not-json)", "this is not JSON")
    assert not logged.known
    assert (lost.loss, lost.count) == (e.Loss.UNDECODABLE, 1)
    assert log.steps == ["MessageLogged", "LossCounted"]


async def test_a_finding_is_about_the_message_it_came_with() -> None:
    log = Log()
    await log.log.received(Received("x", 0, Incoming(kind="x"), findings=(STRAY,)))
    (found,) = log.of(e.FindingRaised)
    assert (found.rule, found.text, found.about, found.count) == ("stray", "It strays.", 1, 1)


async def test_advice_is_counted_apart_from_findings() -> None:
    log = Log()
    advice = Finding("hint", "It could be better.", advice=True)
    await log.log.received(Received("x", 0, Incoming(kind="x"), findings=(STRAY, advice, advice)))
    log.log.emit_counts(at_the_end=True)
    metrics = log.journal.state.metrics
    assert (metrics.findings, metrics.advice) == (1, 2)
    assert [(f.rule, f.advice, f.count) for f in log.of(e.FindingRaised)] == [
        ("stray", False, 1),
        ("hint", True, 1),
        ("hint", True, 2),
    ]


async def test_a_finding_in_every_message_is_logged_a_few_times_with_its_count() -> None:
    log = Log()
    for _ in range(120):
        await log.log.received(Received("x", 0, Incoming(kind="x"), findings=(STRAY,)))
        log.log.emit_counts()
    for _ in range(2):
        log.log.emit_counts(at_the_end=True)
    assert [f.count for f in log.of(e.FindingRaised)] == [1, 10, 100, 120]
    assert log.journal.state.metrics.findings == 120


def error(source: str, *, fatal: bool = False) -> e.ErrorRaised:
    return e.ErrorRaised(at_ns=0, source=source, code="x", message="It failed.", fatal=fatal)


async def test_an_error_is_emitted_as_it_is_about_the_last_message() -> None:
    log = Log()
    await log.log.received(Received("x", 0, Incoming(kind="x")))
    log.log.report_error(error("agent"))
    (raised,) = log.of(e.ErrorRaised)
    assert (raised.number, raised.about, raised.message, raised.hint) == (2, 1, "It failed.", "")
    assert not log.fatal


def test_a_fatal_error_ends_the_session_as_the_event_that_was_emitted() -> None:
    log = Log()
    log.log.report_error(error("agent", fatal=True))
    assert log.fatal == log.events


@pytest.mark.parametrize(
    ("accepted", "hint"), [(False, "Does it speak openai?"), (True, "the call continues")]
)
def test_an_unreadable_message_puts_the_protocol_in_doubt_only_before_the_session_is_accepted(
    accepted: bool, hint: str
) -> None:
    log = Log()
    if accepted:
        for status in (Status.CONNECTING, Status.INITIATING, Status.ACTIVE):
            log.journal.become(status)
    log.log.report_error(error("protocol"))
    (raised,) = log.of(e.ErrorRaised)
    assert hint in raised.hint
