from __future__ import annotations

import logging

import pytest

from tui.callbacks import FailureReport, default_reporter
from tui.callbacks.testing import AsyncMockCallback, MockCallback
from tui.handlers.event_router import EventRouter
from tui.protocols.base import TelephonyEvent, TelephonyEventType

HANG_UP = TelephonyEvent(type=TelephonyEventType.HANG_UP, reason="done")


@pytest.fixture
def router() -> EventRouter:
    default_reporter.clear()
    return EventRouter()


async def test_each_event_goes_to_the_handler_of_its_kind_and_type(router: EventRouter) -> None:
    on_hang_up, on_clear, on_created, not_telephony = (MockCallback() for _ in range(4))
    router.register_telephony_handler(TelephonyEventType.HANG_UP, on_hang_up)
    router.register_telephony_handler(TelephonyEventType.CLEAR, on_clear)
    router.register_realtime_handler("response.created", on_created)
    router.register_realtime_handler("hang_up", not_telephony)
    message = {"type": "response.created", "response": {"id": "resp_1"}}
    await router.handle_platform_event(HANG_UP)
    await router.handle_realtime_event(message)
    on_hang_up.assert_called_once()
    on_hang_up.assert_called_with(HANG_UP)
    on_created.assert_called_with(message)
    on_clear.assert_not_called()
    not_telephony.assert_not_called()


async def test_a_mapping_with_a_type_is_taken_like_an_event(router: EventRouter) -> None:
    handler = MockCallback()
    router.register_telephony_handler(TelephonyEventType.HANG_UP, handler)
    await router.handle_platform_event({"type": "hang_up"})
    await router.handle_platform_event({"type": TelephonyEventType.HANG_UP})
    assert handler.call_count == 2
    handler.assert_called_with({"type": TelephonyEventType.HANG_UP})


@pytest.mark.parametrize("mock", [MockCallback, AsyncMockCallback])
async def test_a_later_handler_of_a_type_replaces_the_first_and_has_run_when_the_event_is_handled(
    router: EventRouter, mock: type[MockCallback], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = mock(), mock()
    for handler in (first, second):
        router.register_telephony_handler(TelephonyEventType.HANG_UP, handler)
        router.register_realtime_handler("response.done", handler)
    await router.handle_platform_event(HANG_UP)
    await router.handle_realtime_event({"type": "response.done"})
    first.assert_not_called()
    assert second.call_count == 2
    assert not caplog.records


async def test_a_type_without_a_handler_is_logged_once(
    router: EventRouter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await router.handle_platform_event({"type": "session.novelty"})
            await router.handle_realtime_event({"type": "response.novelty"})
            await router.handle_platform_event(HANG_UP)
        await router.handle_realtime_event({})
    assert [record.getMessage() for record in caplog.records] == [
        "no handler for event type 'session.novelty'",
        "no handler for event type 'response.novelty'",
        "no handler for event type 'hang_up'",
        "no handler for event type ''",
    ]


@pytest.mark.parametrize("mock", [MockCallback, AsyncMockCallback])
async def test_a_failing_handler_is_reported_and_stops_nothing(
    router: EventRouter, mock: type[MockCallback]
) -> None:
    failing, working = mock(side_effect=ValueError("broken"), name="failing"), MockCallback()
    router.register_telephony_handler(TelephonyEventType.HANG_UP, failing)
    router.register_realtime_handler("response.created", failing)
    router.register_realtime_handler("response.done", working)
    reports: list[FailureReport] = []
    unsubscribe = default_reporter.subscribe(reports.append)
    for _ in range(2):
        await router.handle_platform_event(HANG_UP)
        await router.handle_realtime_event({"type": "response.created"})
        await router.handle_realtime_event({"type": "response.done"})
    assert working.call_count == 2
    unsubscribe()
    assert [(report.callback, report.event) for report in reports] == [
        ("failing", "hang_up event"),
        ("failing", "response.created event"),
    ]
    assert default_reporter.total == 4
