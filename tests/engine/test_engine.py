"""Tests the engine without its process: the effects of commands, as reported to the screen."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.audio.fake_sounddevice import FakeSoundDevice, device
from tests.waiting import wait_for
from tui import assets
from tui.audio import devices
from tui.audio.in_thread import driver_hangs
from tui.audio.trial import TIMEOUT_VARIABLE
from tui.callbacks import spawn
from tui.engine import wire
from tui.engine.engine import Engine
from tui.exit_code import ExitCode
from tui.models import events as e
from tui.models.log.event_log import EventLog
from tui.models.session_state import SessionState
from tui.models.target import Target
from tui.saving.listing import list_sessions
from tui.saving.reading import open_session

LIMIT_S = 10
NOBODY = {"url": "ws://127.0.0.1:9/", "protocol": "audiocodes"}


class Desk:
    """An engine, and the state folded from its frames."""

    def __init__(self) -> None:
        self.engine = Engine(self._read, lambda: 0)
        self.state = SessionState()
        self.log = EventLog()
        self.items: list[wire.FrameItem] = []
        self._came = asyncio.Event()

    def _read(self, frame: bytes) -> None:
        for item in wire.frame_items(frame[4:]):
            self.items.append(item)
            if isinstance(item, wire.EventItem):
                self.state.apply(item.event)
                self.log.apply(item.event)
        self._came.set()

    @property
    def errors(self) -> list[str]:
        return [event.message for event in self.log.events if isinstance(event, e.ErrorRaised)]

    @property
    def devices(self) -> tuple[str, str]:
        """Returns the names of the microphone and the speaker, as last reported."""
        opened = [event for event in self.log.events if isinstance(event, e.AudioOpened)][-1]
        return opened.capture, opened.playback

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self._came.clear()
                await self._came.wait()

    async def ask_for_a_call(self, **settings: str) -> None:
        target = Target(**{"input": "none", "output": "none", **settings})  # type: ignore[arg-type]
        self.state = SessionState()
        await self.engine.handle(wire.Connect(target=target))

    async def call(self, **settings: str) -> None:
        """Makes a call, and waits until it has ended."""
        await self.ask_for_a_call(**settings)
        await self.until(lambda: self.state.status in (e.Status.ERROR, e.Status.ENDED))


@asynccontextmanager
async def at_a_desk() -> AsyncIterator[Desk]:
    desk = Desk()
    running = spawn(desk.engine.run(), "engine")
    try:
        yield desk
    finally:
        desk.engine.shut_down()
        await running


async def test_a_call_that_cannot_begin_is_reported_whatever_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise assets.AssetsMissing("The recordings are missing from this installation.")

    monkeypatch.setattr(assets, "caller_lines", missing)
    async with at_a_desk() as desk:
        await desk.call(**NOBODY)
        assert desk.errors == ["The recordings are missing from this installation."]
        monkeypatch.setattr(assets, "caller_lines", lambda: 1 / 0)
        await desk.call(**NOBODY)
        assert desk.errors == ["The call could not be started: ZeroDivisionError: division by zero."]


async def test_a_home_folder_that_does_not_exist_saves_nothing_and_the_call_goes_on() -> None:
    async with at_a_desk() as desk:
        await desk.call(**NOBODY, save="~nobody-at-all/x")
        unkept, unreachable = desk.errors
    assert unkept.startswith("The session is not being saved: Cannot write to ~nobody-at-all/x: ")
    assert "cannot be reached" in unreachable


async def test_messages_that_are_not_kept_are_reported_in_their_own_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with at_a_desk() as desk:
        await desk.call(**NOBODY)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        await desk.call(**NOBODY)
        assert len(desk.errors) == 2
        assert desk.errors[0] == "Messages are no longer being stored: No such file or directory."
        assert isinstance(desk.log.events[0], e.SessionStarted)


async def test_devices_are_listed_as_the_sound_system_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(devices.HIDE_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSoundDevice(device("Desk", 1, 2), defaults=(0, 0)))
    async with at_a_desk() as desk:
        await desk.engine.handle(wire.ListDevices())
        await desk.until(lambda: any(isinstance(item, wire.DeviceList) for item in desk.items))
        listed = next(item for item in desk.items if isinstance(item, wire.DeviceList))
        assert list(listed.devices) == devices.list_devices() == listed.usable("output")
        assert listed.devices[0].is_default("input")


@pytest.fixture
def silent() -> Iterator[str]:
    """Yields the address of a server that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_a_call_can_be_hung_up_while_it_is_dialled(scheme: str, silent: str, tmp_path: Path) -> None:
    async with at_a_desk() as desk:
        await desk.ask_for_a_call(url=f"{scheme}://{silent}/", protocol="auto", save=str(tmp_path))
        await desk.until(lambda: desk.state.status is e.Status.CONNECTING)
        await desk.engine.handle(wire.HangUp())
        await desk.until(lambda: desk.state.status is e.Status.ENDED)
        assert desk.state.reason == "hung up"
        # Saving ends after the last event, and emits no event.
        await wait_for(lambda: [call.outcome for call in list_sessions(tmp_path)] == ["ended"])
    (summary,) = list_sessions(tmp_path)
    with open_session(summary.folder) as saved:
        assert list(saved.events()) == desk.log.events


async def test_a_call_that_is_hung_up_at_once_ends_like_any_other(silent: str) -> None:
    async with at_a_desk() as desk:
        await desk.ask_for_a_call(url=f"ws://{silent}/", protocol="auto")
        await desk.engine.handle(wire.HangUp())
        await desk.engine.handle(wire.HangUp())
        await desk.until(lambda: desk.state.status is e.Status.ENDED)
        assert desk.errors == []


async def test_another_call_takes_the_place_of_one_that_is_dialled(silent: str) -> None:
    async with at_a_desk() as desk:
        await desk.ask_for_a_call(url=f"ws://{silent}/", protocol="auto")
        await desk.ask_for_a_call(**NOBODY)
        await desk.until(lambda: bool(desk.errors))
        assert "cannot be reached" in desk.errors[0]


async def test_commands_sent_while_a_call_is_dialled_run_once_it_has_begun() -> None:
    async def agent(socket: ServerConnection) -> None:
        await socket.send('{"type":"session.created","session":{"type":"realtime"}}')
        await socket.wait_closed()

    async with serve(agent, "127.0.0.1", 0) as server, at_a_desk() as desk:
        port = next(iter(server.sockets)).getsockname()[1]
        await desk.ask_for_a_call(url=f"ws://127.0.0.1:{port}/", protocol="auto")
        await desk.engine.handle(wire.SetMuted(muted=True))
        await desk.until(lambda: desk.state.protocol == "openai")
        await desk.until(lambda: desk.state.controls.muted)


async def test_the_volume_is_kept_and_reported_at_the_start_of_the_next_call(silent: str) -> None:
    target = {"url": f"ws://{silent}/", "protocol": "audiocodes"}
    async with at_a_desk() as desk:
        await desk.ask_for_a_call(**target)
        await desk.engine.handle(wire.SetMuted(muted=True))
        await desk.engine.handle(wire.ChangeVolume(by=0.2))
        await desk.until(lambda: desk.state.controls.volume == 1.2 and desk.state.controls.muted)
        await desk.engine.handle(wire.HangUp())
        await desk.until(lambda: desk.state.status is e.Status.ENDED)
        await desk.ask_for_a_call(**target)
        for dialled in range(2):
            await desk.until(lambda: desk.state.status is e.Status.CONNECTING)
            assert (desk.state.controls.volume, desk.state.controls.muted) == (1.2, False), dialled
            await desk.until(lambda: bool(desk.state.session_id))
        kinds = [type(event) for event in desk.log.events[:2]]
        assert kinds == [e.SessionStarted, e.VolumeChanged]


@pytest.mark.parametrize("protocol", ["auto", "audiocodes"])
async def test_an_agent_that_cannot_be_reached_is_a_socket_error_whatever_the_protocol(protocol: str) -> None:
    async with at_a_desk() as desk:
        await desk.call(url="ws://127.0.0.1:9/", protocol=protocol)
        error = desk.state.fatal_error
        assert error is not None
        assert (error.source, error.code) == ("socket", "unreachable")
        assert error.message == desk.state.reason
        assert error.hint
        assert error.hint not in error.message
        assert desk.state.exit_code is ExitCode.UNREACHABLE


@pytest.mark.parametrize(("protocol", "source"), [("twilio", "webhook"), ("pcm", "settings")])
async def test_a_webhook_that_cannot_be_reached_differs_from_an_address_that_is_not_one(
    protocol: str, source: str
) -> None:
    async with at_a_desk() as desk:
        await desk.call(url="http://127.0.0.1:9/", protocol=protocol)
        assert desk.state.fatal_error is not None
        assert desk.state.fatal_error.source == source
        assert desk.state.exit_code is ExitCode.UNREACHABLE


async def test_hanging_up_does_not_wait_for_a_sound_system_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    answers = threading.Event()
    monkeypatch.setenv(TIMEOUT_VARIABLE, "30")
    monkeypatch.setattr(devices, "list_devices", lambda: [answers.wait(30)])
    try:
        async with at_a_desk() as desk:
            await desk.ask_for_a_call(url=f"ws://{silent}/", protocol="audiocodes", input="auto")
            await desk.engine.handle(wire.ListDevices())
            await desk.engine.handle(wire.HangUp())
            await desk.until(lambda: desk.state.status is e.Status.ENDED)
            assert desk.state.reason == "hung up"
    finally:
        answers.set()


class _DriverThatHangs(FakeSoundDevice):
    """A driver that opens only its first device. Every later opening waits until `answers` is set."""

    def __init__(self) -> None:
        super().__init__(device("Desk", 1, 2), device("Headset", 1, 2), defaults=(0, 0))
        self.answers = threading.Event()
        self.asked = threading.Event()

    def check_input_settings(self, **settings: Any) -> None:
        if settings["device"] != 0:
            self.asked.set()
            self.answers.wait(30)
        super().check_input_settings(**settings)

    check_output_settings = check_input_settings


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[_DriverThatHangs]:
    driver = _DriverThatHangs()
    monkeypatch.delenv(devices.HIDE_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "sounddevice", driver)
    yield driver
    driver.answers.set()


@asynccontextmanager
async def a_call_with_sound() -> AsyncIterator[Desk]:
    """Yields a desk in a call whose microphone and speaker are open."""

    async def agent(socket: ServerConnection) -> None:
        await socket.send(bytes(640))
        await socket.wait_closed()

    async with serve(agent, "127.0.0.1", 0) as server, at_a_desk() as desk:
        port = next(iter(server.sockets)).getsockname()[1]
        await desk.ask_for_a_call(url=f"ws://127.0.0.1:{port}/", protocol="pcm", input="auto", output="auto")
        await desk.until(lambda: desk.state.status is e.Status.ACTIVE)
        await desk.engine.handle(wire.Record(on=True))
        await desk.until(lambda: desk.state.controls.recording and desk.devices == ("Desk", "Desk"))
        yield desk


DIRECTIONS: tuple[Literal["input", "output"], ...] = ("input", "output")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("ending", [wire.HangUp(), wire.Shutdown()])
async def test_a_call_ends_while_a_device_that_it_switches_to_hangs(
    driver: _DriverThatHangs,
    direction: Literal["input", "output"],
    ending: wire.Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.3")
    async with a_call_with_sound() as desk:
        await desk.engine.handle(wire.SwitchDevice(direction=direction, device="Headset"))
        await asyncio.to_thread(driver.asked.wait, LIMIT_S)
        await desk.engine.handle(ending)
        await desk.until(lambda: desk.state.status is e.Status.ENDED)
        assert desk.state.reason == "hung up"
        assert driver_hangs()


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_device_that_hangs_is_given_up_and_another_can_be_chosen_once_it_answers(
    driver: _DriverThatHangs, direction: Literal["input", "output"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.05")
    async with a_call_with_sound() as desk:
        switch = wire.SwitchDevice(direction=direction, device="Headset")
        await desk.engine.handle(switch)
        await desk.until(lambda: "The sound system is not responding." in desk.errors)
        driver.answers.set()
        await wait_for(lambda: not driver_hangs())
        await desk.engine.handle(switch)
        await desk.until(lambda: "Headset" in desk.devices)
