"""Tests that a name on the wire never acts as one of the program's own event names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.session.scripted import ACCEPTED, Call, Peer, call_to
from tui.models import events as e
from tui.models.events import Status
from tui.protocols.base import TelephonyEventType

DEFINED = {
    "audiocodes": {"session.accepted", "session.error", "session.end", "connection.validated"},
    "twilio": {"clear", "mark", "dtmf"},
    "openai": set[str](),
    "elevenlabs": set[str](),
    "gemini": set[str](),
    "deepgram": set[str](),
    "genesys": {"dtmf"},
    "pcm": {"clear"},
}
"""The values of `TelephonyEventType` that are also names on the wire in the protocol."""
MEMBER = {"twilio": "event"}
"""The member with the type of a message, if it is not ``type``."""
OPENAI_SESSION = {"type": "realtime"}
FORMATS = {"agent_output_audio_format": "pcm_16000", "user_input_audio_format": "pcm_16000"}
ACCEPTANCE: dict[str, list[dict[str, Any]]] = {
    "audiocodes": [ACCEPTED],
    "openai": [
        {"type": "session.created", "event_id": "e0", "session": OPENAI_SESSION},
        {"type": "session.updated", "event_id": "e1", "session": OPENAI_SESSION},
    ],
    "elevenlabs": [
        {
            "type": "conversation_initiation_metadata",
            "conversation_initiation_metadata_event": {"conversation_id": "c1", **FORMATS},
        }
    ],
}
"""The messages that accept the session; with Twilio and plain PCM, it is accepted when the socket opens."""
UNSTEADY = (e.LatenessSeen, e.SendingMeasured, e.RoundTripMeasured)
"""Events that a busy machine may add to any call."""


def foreign(protocol: str) -> list[dict[str, str]]:
    member = MEMBER.get(protocol, "type")
    return [{member: value} for value in TelephonyEventType if value not in DEFINED[protocol]]


async def hold(protocol: str, *messages: dict[str, Any], **options: Any) -> Call:
    """Runs a complete call with an agent that sends these messages and disconnects."""

    async def script(peer: Peer) -> None:
        await peer.send(*messages)
        await asyncio.sleep(0.1)
        await peer.socket.close(1000)

    async with call_to(script, protocol=protocol, **options) as held:
        await held.until(e.StatusChanged, lambda event: event.new in (Status.ENDED, Status.ERROR))
    return held


def kinds(held: Call) -> set[type[e.SessionEvent]]:
    return {type(event) for event in held.events if not isinstance(event, UNSTEADY)}


@pytest.mark.parametrize("protocol", ["audiocodes", "twilio", "openai", "elevenlabs"])
async def test_a_type_the_protocol_does_not_define_is_logged_found_and_counted_and_does_nothing(
    protocol: str,
) -> None:
    accept, messages = ACCEPTANCE.get(protocol, []), foreign(protocol)
    quiet, held = await hold(protocol, *accept), await hold(protocol, *accept, *messages)
    assert kinds(held) - {e.FindingRaised} == kinds(quiet) - {e.FindingRaised}
    assert held.statuses() == quiet.statuses()
    assert Status.ACTIVE in held.statuses()
    logged = [m.kind for m in held.of(e.MessageLogged) if not m.known]
    assert logged == [next(iter(message.values())) for message in messages]
    found = [finding for finding in held.of(e.FindingRaised) if finding.rule == "unknown-type"]
    assert found[-1].count == len(messages)
    metrics, before = held.session.state.metrics, quiet.session.state.metrics
    assert metrics.unknown_messages - before.unknown_messages == len(messages)
    assert (metrics.errors, metrics.losses) == (before.errors, before.losses)
    assert len(metrics.turns) == len(before.turns)


async def test_plain_pcm_logs_any_json_and_does_nothing() -> None:
    messages = foreign("pcm")
    quiet, held = await hold("pcm"), await hold("pcm", *messages)
    assert kinds(held) == kinds(quiet)
    assert held.statuses() == quiet.statuses()
    received = [m.kind for m in held.of(e.MessageLogged) if m.direction is e.Direction.RECEIVED]
    assert received == [message["type"] for message in messages]
    assert not held.of(e.FindingRaised)


@pytest.mark.parametrize("protocol", ["audiocodes", "openai", "elevenlabs"])
async def test_a_type_the_protocol_does_not_define_accepts_no_session(protocol: str) -> None:
    held = await hold(protocol, *foreign(protocol))
    assert Status.ACTIVE not in held.statuses()
    assert [error.code for error in held.of(e.ErrorRaised)] == ["not-accepted"]
