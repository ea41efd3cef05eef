"""Tests what `check` reports about agents that do or do not answer the validation of the connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.session.scripted import ACCEPTED, Peer, agent
from tui.cli.check import check
from tui.exit_code import ExitCode
from tui.models.target import Target

REFUSED = {"type": "session.error", "reason": "no capacity"}


class Checked(NamedTuple):
    """The exit code and output of a check, and the agent's received messages."""

    code: ExitCode
    said: str
    received: list[tuple[str, str]]


async def checked(
    answers: Mapping[str, dict[str, Any]], *, closes_on: str = "session.end", protocol: str = "audiocodes"
) -> Checked:
    """Checks an agent that sends ``answers`` by message type; that for "" answers every other message."""
    said: list[str] = []
    received: list[tuple[str, str]] = []

    async def hold(peer: Peer) -> None:
        async for frame in peer.socket:
            message = json.loads(frame)
            kind = message.get("type", "")
            received.append((kind, message.get("reasonCode", "")))
            if kind in answers:
                await peer.send(answers[kind])
            if kind == closes_on:
                await peer.socket.close()

    async with agent(hold) as url:
        # Short limits, because some of these agents never answer.
        target = Target(url=url, protocol=protocol, accept_timeout_s=0.2)
        code = await check(target, said.append)
    return Checked(code, "\n".join(said), received)


async def test_an_agent_that_validates_is_not_asked_for_a_session() -> None:
    code, said, received = await checked(
        {"connection.validate": {"type": "connection.validated", "success": True}}
    )
    assert code is ExitCode.FINE
    assert "opened in" in said
    assert "The agent answered with connection.validated after" in said
    assert "session" not in said
    assert received == [("connection.validate", "")]


async def test_an_agent_that_ignores_validation_is_fine_if_it_accepts_a_session() -> None:
    code, said, received = await checked({"session.initiate": ACCEPTED})
    assert code is ExitCode.FINE
    assert "did not answer connection.validate within 0.2 s" in said
    assert "The agent accepted a session after" in said
    assert "(raw/lpcm16)" in said
    assert "Sent session.end (Client Side)." in said
    assert received == [
        ("connection.validate", ""),
        ("session.initiate", ""),
        ("session.end", "client-disconnected"),
    ]


async def test_an_error_about_the_validation_does_not_refuse_the_session() -> None:
    code, said, received = await checked({"connection.validate": REFUSED, "session.initiate": ACCEPTED})
    assert code is ExitCode.FINE
    assert "answered connection.validate with an error: no capacity. Initiating a session instead." in said
    assert "within" not in said
    assert received[-1] == ("session.end", "client-disconnected")


async def test_an_unhealthy_agent_is_exit_5() -> None:
    code, said, _ = await checked({"connection.validate": {"type": "connection.validated", "success": False}})
    assert (code, "not healthy" in said) == (ExitCode.PROTOCOL_ERROR, True)


async def test_a_refused_session_is_exit_4_with_the_reason() -> None:
    code, said, received = await checked({"session.initiate": REFUSED})
    assert code is ExitCode.UNREACHABLE
    assert said.endswith("The agent refused the session: no capacity")
    assert received[-1] == ("session.initiate", "")


async def test_a_format_that_the_protocol_does_not_have_is_exit_5() -> None:
    code, said, _ = await checked({"session.initiate": {**ACCEPTED, "mediaFormat": "raw/opus"}})
    assert (code, "raw/opus" in said) == (ExitCode.PROTOCOL_ERROR, True)


async def test_an_agent_that_accepts_nothing_is_exit_3_and_the_session_is_ended_as_failed() -> None:
    code, said, received = await checked({"session.initiate": {"type": "userStream.started"}})
    assert code is ExitCode.NOT_ANSWERED
    assert "did not accept a session within 0.2 s (received 1 other messages)" in said
    assert received[-1] == ("session.end", "error")


@pytest.mark.parametrize(
    ("closes_on", "says"),
    [
        ("connection.validate", "did not answer connection.validate: the socket was closed with code 1000"),
        ("session.initiate", "did not accept a session: the socket was closed with code 1000"),
    ],
)
async def test_an_agent_that_closes_instead_is_exit_3(closes_on: str, says: str) -> None:
    code, said, received = await checked({}, closes_on=closes_on)
    assert code is ExitCode.NOT_ANSWERED
    assert says in said
    assert received[-1] == (closes_on, "")


@pytest.mark.parametrize(
    ("answer", "code", "sentence"),
    [
        ({"setupComplete": {}}, ExitCode.FINE, "The agent accepted a session after"),
        (
            {"error": {"status": "DENIED", "message": "no"}},
            ExitCode.PROTOCOL_ERROR,
            "The agent refused the session: DENIED: no",
        ),
        (
            {"goAway": {}},
            ExitCode.NOT_ANSWERED,
            "did not accept a session within 0.2 s (received 1 other messages)",
        ),
    ],
)
async def test_where_a_session_opens_for_nothing_that_is_the_check(
    answer: dict[str, Any], code: ExitCode, sentence: str
) -> None:
    found = await checked({"": answer}, protocol="gemini")
    assert found.code is code
    assert sentence in found.said
    assert "validat" not in found.said


@pytest.mark.parametrize(
    ("protocol", "shown"),
    [("telnyx", "stream_bidirectional_mode"), ("signalwire", 'realtime="true"'), ("twilio", "")],
)
async def test_what_a_call_cannot_show_of_a_real_account_is_shown(protocol: str, shown: str) -> None:
    code, said, _ = await checked({}, protocol=protocol)
    assert code is ExitCode.FINE
    for setting in ("stream_bidirectional_mode", 'realtime="true"'):
        assert (setting in said) is (setting == shown)
    assert "can only confirm that the socket opens" in said.splitlines()[-1]
