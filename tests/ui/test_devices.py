from __future__ import annotations

import pytest
from textual.widgets import OptionList

from tests.ui.conftest import Stage, Staging, at_every_size
from tests.ui.fakes import Script, devices
from tui.engine.wire import Connect, ListDevices, SwitchDevice
from tui.models import events as e
from tui.screens.devices import DevicesScreen


def opened(
    script: Script, capture: str = "Built-in Microphone", playback: str = "Jabra [/b] Evolve"
) -> Script:
    """Adds a call with these devices."""
    script.started().status(e.Status.IDLE, e.Status.ACTIVE)
    return script.add(e.AudioOpened, capture=capture, playback=playback)


def line(s: Stage, word: str) -> str:
    return next(line for line in s.text().splitlines() if word in line)


async def test_devices_are_listed_and_those_in_use_are_marked(script: Script, s: Stage) -> None:
    await s.play(opened(script, "Jabra [/b] Evolve", "HDMI").take())
    s.sent()
    await s.press("A")
    assert s.sent() == [ListDevices()]
    assert "Looking for devices" in s.text()
    await s.play([devices()])
    assert "● Jabra [/b] Evolve  in use" in line(s, "Jabra [/b] Evolve  in use")
    assert line(s, "Built-in").split("│")[2].strip() == "Built-in Microphone  system default"
    assert s.text().count("● HDMI  in use") == 2, "what has one name cannot be told apart"
    await s.press("r")
    assert s.sent() == [ListDevices(anew=True)]
    await s.press("escape")
    assert s.top() is s.session


async def test_a_device_can_be_switched_during_a_call_and_is_kept_for_the_next(
    script: Script, s: Stage
) -> None:
    await s.play([*opened(script).take(), devices()])
    await s.press("A")
    await s.press("down", "enter", "tab", "end", "enter")
    assert [command for command in s.sent() if isinstance(command, SwitchDevice)] == [
        SwitchDevice(direction="input", device="Jabra [/b] Evolve"),
        SwitchDevice(direction="output", device="3"),
    ]
    await s.play(script.add(e.AudioOpened, capture="Jabra [/b] Evolve", playback="HDMI").take())
    assert "● Jabra [/b] Evolve  in use" in s.text()
    await s.play(script.status(e.Status.ACTIVE, e.Status.ENDED).take())
    await s.press("escape", "c")
    (connect,) = [command for command in s.sent() if isinstance(command, Connect)]
    assert (connect.target.input, connect.target.output) == ("Jabra [/b] Evolve", "3")


async def test_a_device_that_cannot_be_opened_is_reported_on_the_devices_screen(
    script: Script, s: Stage
) -> None:
    script.started().status(e.Status.IDLE, e.Status.ACTIVE)
    script.add(e.ErrorRaised, source="audio", code="device", message="Something before.")
    await s.play([*script.take(), devices()])
    await s.press("A")
    assert "Something before." not in s.text().partition("Microphone")[2]
    await s.press("enter")
    script.add(e.ErrorRaised, source="audio", code="device", message="HDMI is in use by another program.")
    await s.play(script.take())
    assert "HDMI is in use by another program." in s.text().partition("Microphone")[2]


async def test_without_devices_the_screen_shows_the_reason(s: Stage) -> None:
    await s.play([devices("PortAudio is not installed. Run: apt install libportaudio2")])
    await s.press("A")
    assert isinstance(s.top(), DevicesScreen)
    assert "apt install libportaudio2" in s.text()


@at_every_size
async def test_how_it_looks(script: Script, s: Stage) -> None:
    await s.play([*opened(script).take(), devices()])
    await s.press("A")
    s.check("devices", "#devices")


async def test_without_colours_the_focused_row_is_still_visible(
    stage: Staging, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage() as s:
        await s.play([*script.started().take(), devices()])
        await s.press("A", "down")
        lists = s.top().query(OptionList)
        told = {
            part.text
            for each in lists
            for y in range(each.option_count)
            for part in each.render_line(y)
            if part.style and part.style.underline
        }
        names = {"Built-in Microphone", "Jabra [/b] Evolve", "HDMI"}
        assert {text.strip() for text in told} & names == {"Built-in Microphone"}
