from __future__ import annotations

import asyncio

import pytest

from tests.builders import message
from tui.engine import frames, wire
from tui.engine.frames import Frames
from tui.models.telemetry import Telemetry


class Screen:
    """The receiver of the frames."""

    def __init__(self) -> None:
        self.unread_bytes = 0
        self.items: list[wire.FrameItem] = []
        self.frames = Frames(self._read, lambda: self.unread_bytes)

    def _read(self, frame: bytes) -> None:
        self.items += wire.frame_items(frame[4:])


def telemetry(at_ns: int) -> wire.TelemetryItem:
    return wire.TelemetryItem(telemetry=Telemetry(at_ns=at_ns))


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_a_screen_that_does_not_read_gets_only_the_latest_telemetry(screen: Screen) -> None:
    screen.frames.paused = True
    for at_ns in range(1_000):
        screen.frames.replace(telemetry(at_ns))
        screen.frames.replace(wire.PlayingAudio(clip=1, at_ms=at_ns, playing=True))
        screen.frames.replace(wire.CallbackFigures(stats=()))
        assert screen.frames.flush() == 0
    assert screen.items == []
    screen.frames.paused = False
    screen.frames.flush()
    playing = wire.PlayingAudio(clip=1, at_ms=999, playing=True)
    assert screen.items == [telemetry(999), playing, wire.CallbackFigures(stats=())]


async def test_the_next_batch_is_due_once_there_is_something_that_the_screen_can_read(screen: Screen) -> None:
    async def is_due() -> bool:
        try:
            async with asyncio.timeout(0):
                await screen.frames.filled()
        except TimeoutError:
            return False
        return True

    assert not await is_due()
    for add in (screen.frames.add, screen.frames.replace):
        add(telemetry(1))
        assert await is_due()
        screen.frames.paused = True
        screen.frames.flush()
        assert await is_due(), "a screen that does not read is tried again"
        screen.frames.paused = False
        screen.frames.flush()
        assert not await is_due()
    screen.frames.add_event(message())
    assert await is_due()


def test_only_events_use_the_room_for_events_and_those_without_room_are_counted(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_HELD_EVENTS", 10)
    screen.unread_bytes = wire.MAX_FRAME_BYTES
    for at_ns in range(12):
        screen.frames.replace(telemetry(at_ns))
        screen.frames.add_event(message())
        assert screen.frames.flush() == 0
    screen.unread_bytes = 0
    assert screen.frames.flush() == 2
    assert screen.items == [wire.EventItem(event=message())] * 10 + [telemetry(11)]
    screen.items.clear()
    assert screen.frames.flush() == 0
    assert screen.items == []


def test_many_items_go_in_several_frames_in_order(screen: Screen) -> None:
    paths = [wire.MessagesFile(path=str(number)) for number in range(4_500)]
    for path in paths:
        screen.frames.add(path)
    screen.frames.flush()
    assert screen.items == paths
