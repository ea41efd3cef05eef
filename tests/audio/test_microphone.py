"""Tests that a microphone follows the latest request, regardless of what its device was doing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.audio.fake_sounddevice import FakeSoundDevice, PortAudioError, device, installed
from tests.waiting import wait_for
from tui.audio import devices
from tui.audio.devices import AudioDeviceError
from tui.audio.microphone import Microphone
from tui.callbacks import spawn

RATE = 16_000
SOUND, SILENCE = b"\5\0" * 320, bytes(640)


class Desk:
    """A microphone with its delivered blocks, and a device whose opening can be delayed."""

    def __init__(self, sound: FakeSoundDevice) -> None:
        self.sound = sound
        self.delivered: list[bytes] = []
        self.opening = threading.Event()
        self.open_on = threading.Event()
        self.open_on.set()
        sound.refuse = self._wait
        self.microphone = Microphone(
            self._take, rate=RATE, block_ms=20, spawn=spawn, device=devices.find_device("auto", "input")
        )

    def _take(self, indata: Any, frames: int, times: Any, status: Any) -> None:
        self.delivered.append(bytes(indata))

    def _wait(self, rate: int) -> None:
        self.opening.set()
        assert self.open_on.wait(10)

    def hold_up(self) -> None:
        self.opening.clear()
        self.open_on.clear()

    async def held_up(self, opens: asyncio.Future[None]) -> asyncio.Future[None]:
        """Waits until the device is being opened, which continues when `open_on` is set."""
        await wait_for(self.opening.is_set)
        return opens

    def open(self) -> int:
        return sum("close" not in stream.calls for stream in self.sound.streams)

    def speak(self) -> None:
        self.sound.streams[-1].arguments["callback"](SOUND, 320, None, None)


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(installed(monkeypatch, device("Desk", 1, 0), device("Headset", 1, 0), defaults=(0, -1)))


async def test_a_device_that_is_being_opened_as_the_user_stops_is_given_back(desk: Desk) -> None:
    desk.hold_up()
    opening = await desk.held_up(asyncio.ensure_future(desk.microphone.start(silent=False)))
    stopping = asyncio.ensure_future(desk.microphone.stop())
    await asyncio.sleep(0)
    desk.open_on.set()
    await asyncio.gather(opening, stopping)
    assert len(desk.sound.streams) == 1
    assert desk.open() == 0
    assert not desk.microphone.delivering
    assert desk.microphone.callback_ns is None


@pytest.mark.parametrize("again", ["same device", "another"])
async def test_silence_flows_though_the_device_was_being_opened_again(desk: Desk, again: str) -> None:
    await desk.microphone.start(silent=False)
    desk.speak()
    desk.hold_up()
    other = devices.find_device("Headset" if again == "another" else "Desk", "input")
    opening = await desk.held_up(asyncio.ensure_future(desk.microphone.reopen(other)))
    resting = asyncio.ensure_future(desk.microphone.start(silent=True))
    await wait_for(lambda: desk.delivered[1:])
    desk.open_on.set()
    await asyncio.gather(opening, resting)
    desk.speak()
    assert desk.open() == 0
    assert desk.delivered[0] == SOUND
    assert set(desk.delivered[1:]) == {SILENCE}
    assert not desk.microphone.vanished
    await desk.microphone.start(silent=False)
    assert desk.sound.streams[-1].arguments["device"] == other.index
    await desk.microphone.stop()


async def test_who_records_again_while_the_device_is_closed_gets_it(desk: Desk) -> None:
    await desk.microphone.start(silent=False)
    stopping = asyncio.ensure_future(desk.microphone.stop())
    await asyncio.sleep(0)
    await asyncio.gather(stopping, desk.microphone.start(silent=False))
    assert desk.open() == 1
    desk.speak()
    assert desk.delivered == [SOUND]
    await desk.microphone.stop()


async def test_an_opening_that_is_cancelled_leaves_nothing_open_after_a_stop(desk: Desk) -> None:
    desk.hold_up()
    opening = await desk.held_up(asyncio.ensure_future(desk.microphone.start(silent=False)))
    for _ in range(2):
        opening.cancel()
        await asyncio.sleep(0)
    stopping = asyncio.ensure_future(desk.microphone.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done(), "a thread cannot be cancelled"
    desk.open_on.set()
    await stopping
    assert opening.cancelled()
    assert desk.open() == 0


async def test_a_device_that_opens_and_does_not_start_is_given_back(desk: Desk) -> None:
    desk.sound.start_failure = PortAudioError("Error starting stream: Unanticipated host error", -9999)
    with pytest.raises(AudioDeviceError, match="failed to start"):
        await desk.microphone.start(silent=False)
    assert desk.open() == 0
    assert desk.microphone.callback_ns is None
    await wait_for(lambda: desk.delivered)
    await desk.microphone.stop()


async def test_once_closed_it_opens_nothing_any_more(desk: Desk) -> None:
    await desk.microphone.close()
    await desk.microphone.start(silent=False)
    assert desk.sound.streams == []
    assert not desk.microphone.delivering


async def test_the_longest_gap_of_a_stream_is_that_between_two_of_its_callbacks(desk: Desk) -> None:
    await desk.microphone.start(silent=False)
    desk.speak()
    assert desk.microphone.take_gap_ms() == 0
    desk.speak()
    assert desk.microphone.take_gap_ms() > 0
    assert desk.microphone.take_gap_ms() == 0
    await desk.microphone.stop()
    await desk.microphone.start(silent=False)
    desk.speak()
    assert desk.microphone.take_gap_ms() == 0
