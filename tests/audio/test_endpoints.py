from __future__ import annotations

import pytest

from tests.audio.fake_sounddevice import FakeSoundDevice, device, installed
from tui.audio import devices, endpoints
from tui.audio.endpoints import InputKind, OutputKind


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    return installed(monkeypatch, device("Built-in", 2, 2), device("USB Headset", 1, 2))


async def test_a_remembered_device_that_is_gone_is_a_warning_and_the_default(desk: FakeSoundDevice) -> None:
    found = await endpoints.find("Blue Yeti", "USB")
    assert (found.input_name, found.output_name) == ("Built-in", "USB Headset")
    (warning,) = found.warnings
    assert warning.startswith("No input device has 'Blue Yeti' in its name; available: 0 Built-in (ALSA), ")
    assert warning.endswith(" Using Built-in instead.")
    assert found.notice == ""


async def test_without_a_usable_sound_system_the_lines_are_the_microphone(desk: FakeSoundDevice) -> None:
    desk.list_failure = OSError(5, "Input/output error")
    found = await endpoints.find("auto", "auto")
    assert (found.input, found.output, found.warnings) == (InputKind.LINES, OutputKind.NONE, ())
    assert found.notice == (
        "The sound devices cannot be listed: Input/output error:"
        " recorded lines replace the microphone, you will not hear the agent."
    )


async def test_lines_and_no_output_never_ask_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_devices", lambda: pytest.fail("PortAudio was asked"))
    monkeypatch.setattr(devices, "begin_trial", lambda: pytest.fail("PortAudio was tried"))
    found = await endpoints.find("lines", "none")
    assert (found.input, found.output, found.notice) == (InputKind.LINES, OutputKind.NONE, "")
    assert not endpoints.wants_device("lines", "answer.wav")
    assert endpoints.wants_device("lines", "auto")
