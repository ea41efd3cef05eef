from __future__ import annotations

import pytest

from tui.callbacks.testing import AsyncMockCallback, MockCallback
from tui.models.events import ErrorRaised
from tui.protocols.base import Incoming, ProtocolError, TelephonyEvent, TelephonyEventType
from tui.websocket.message_handler import MessageHandler, Received

ACCEPTED = TelephonyEvent(type=TelephonyEventType.SESSION_ACCEPTED)
CHUNK = TelephonyEvent(type=TelephonyEventType.PLAY_STREAM_CHUNK, audio=b"\0\0")
REFUSED = TelephonyEvent(type=TelephonyEventType.SESSION_ERROR, reason="no quota", code="quota", fatal=True)


def understands(*events: TelephonyEvent) -> MessageHandler:
    return MessageHandler(lambda frame: Incoming(kind="k", events=events))


def refuses(frame: str | bytes) -> Incoming:
    raise ProtocolError("not-json", "this is not JSON")


async def test_each_handler_gets_its_kind_of_news() -> None:
    handler = understands(ACCEPTED, CHUNK)
    message, session, audio = AsyncMockCallback(), MockCallback(), MockCallback()
    handler.add_message_handler(message)
    handler.add_session_handler(session)
    handler.add_audio_handler(audio)
    await handler.handle_message("frame", 7)
    (received,), _ = message.calls[0]
    assert isinstance(received, Received)
    assert (received.frame, received.at_ns) == ("frame", 7)
    session.assert_called_with(ACCEPTED)
    audio.assert_called_with(CHUNK)


async def test_an_error_of_the_agent_reaches_error_handlers_alone_and_stays_typed() -> None:
    handler = understands(REFUSED)
    error, session = MockCallback(), MockCallback()
    handler.add_error_handler(error)
    handler.add_session_handler(session)
    await handler.handle_message("frame", 7)
    error.assert_called_with(
        ErrorRaised(at_ns=7, source="agent", code="quota", message="no quota", fatal=True)
    )
    session.assert_not_called()


@pytest.mark.parametrize(
    ("kind", "code", "reason", "message"),
    [
        (
            TelephonyEventType.AGENT_ERROR,
            "rate_limit_exceeded",
            "Rate limit reached.",
            "rate_limit_exceeded: Rate limit reached.",
        ),
        (TelephonyEventType.AGENT_ERROR, "x_failed", "It is x_failed.", "It is x_failed."),
        (TelephonyEventType.AGENT_ERROR, "unknown", "Sorry.", "Sorry."),
        (TelephonyEventType.AGENT_ERROR, "", "Sorry.", "Sorry."),
        (TelephonyEventType.SESSION_ERROR, "unknown-format", "No common format.", "No common format."),
    ],
)
async def test_the_code_that_the_agent_gave_stands_in_the_sentence(
    kind: TelephonyEventType, code: str, reason: str, message: str
) -> None:
    handler, error = understands(TelephonyEvent(type=kind, code=code, reason=reason)), MockCallback()
    handler.add_error_handler(error)
    await handler.handle_message("frame", 0)
    error.assert_called_with(ErrorRaised(at_ns=0, source="agent", code=code or "unknown", message=message))


@pytest.mark.parametrize("kind", [TelephonyEventType.CONFIG, TelephonyEventType.USER_STREAM_STOPPED])
async def test_what_only_the_protocol_follows_is_logged_and_handed_to_nobody_else(
    kind: TelephonyEventType,
) -> None:
    handler, message, session, audio = (
        understands(TelephonyEvent(type=kind)),
        MockCallback(),
        MockCallback(),
        MockCallback(),
    )
    handler.add_message_handler(message)
    handler.add_session_handler(session)
    handler.add_audio_handler(audio)
    await handler.handle_message("frame", 0)
    message.assert_called_once()
    session.assert_not_called()
    audio.assert_not_called()


async def test_the_same_mistake_is_reported_at_1_10_100_with_its_count() -> None:
    handler, error, message = MessageHandler(refuses), MockCallback(), MockCallback()
    handler.add_error_handler(error)
    handler.add_message_handler(message)
    for _ in range(150):
        await handler.handle_message("x", 0)
    assert [args[0].count for args, _ in error.calls] == [1, 10, 100]
    assert handler.undecodable == {"not-json": 150}
    assert message.call_count == handler.received == 150


async def test_a_failing_handler_keeps_no_other_from_its_news() -> None:
    def broken(event: TelephonyEvent) -> None:
        raise RuntimeError("broken")

    handler, session = understands(ACCEPTED), MockCallback()
    handler.add_session_handler(broken)
    handler.add_session_handler(session)
    await handler.handle_message("frame", 0)
    session.assert_called_once()


async def test_a_removed_handler_hears_nothing_more() -> None:
    handler, session = understands(ACCEPTED), MockCallback()
    registration = handler.add_session_handler(session)
    await handler.handle_message("frame", 0)
    registration.unregister()
    await handler.handle_message("frame", 0)
    session.assert_called_once()


async def test_a_protocol_that_raises_what_it_must_not_is_named_with_its_line() -> None:
    def broken(frame: str | bytes) -> Incoming:
        raise ZeroDivisionError("division by zero")

    handler, error = MessageHandler(broken), MockCallback()
    handler.add_error_handler(error)
    await handler.handle_message("x", 0)
    (raised,), _ = error.calls[0]
    assert (raised.source, raised.code, raised.fatal) == ("protocol", "broken", True)
    assert "test_message_handler.py, line" in raised.message
