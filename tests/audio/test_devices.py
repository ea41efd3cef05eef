from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.audio.fake_sounddevice import (
    FakeSoundDevice,
    HeldUp,
    PortAudioError,
    device,
    installed,
    invalid_rate,
    unavailable,
)
from tui.audio import devices
from tui.audio.devices import AudioDeviceError, Direction


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    """Installs a machine with the devices of a typical desk."""
    return installed(
        monkeypatch,
        device("HDA Analog", 2, 2),
        device("USB Headset", 1, 0, 16_000.0),
        device("USB Headset", 0, 2),
        device("USB Camera", 1, 0),
        device("HDA Analog", 2, 2, api=1),
        defaults=(1, 0),
    )


def sentence(call: Callable[[], object]) -> str:
    with pytest.raises(AudioDeviceError) as caught:
        call()
    return str(caught.value)


def test_devices_are_listed_with_the_defaults_marked(desk: FakeSoundDevice) -> None:
    assert devices.audio_problem() is None
    found = devices.list_devices()
    assert [str(one) for one in found] == [
        "0 HDA Analog (ALSA)",
        "1 USB Headset (ALSA)",
        "2 USB Headset (ALSA)",
        "3 USB Camera (ALSA)",
        "4 HDA Analog (JACK)",
    ]
    assert [one.index for one in found if one.is_default("input")] == [1]
    assert [one.index for one in found if one.is_default("output")] == [0]
    assert (found[1].default_rate, found[1].channels("input"), found[1].channels("output")) == (16_000, 1, 0)


@pytest.mark.parametrize(
    ("spec", "direction", "index"),
    [
        ("auto", "input", 1),
        ("auto", "output", 0),
        ("3", "input", 3),
        ("camera", "input", 3),
        ("usb headset", "output", 2),
        ("headset", "input", 1),
        ("HDA", "output", 0),
    ],
)
def test_a_device_is_found_by_index_or_part_of_its_name(
    desk: FakeSoundDevice, spec: str, direction: Direction, index: int
) -> None:
    assert devices.find_device(spec, direction).index == index


def test_auto_takes_the_first_where_the_system_prefers_none(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, device("Speaker", 0, 2), device("Mic", 1, 0), defaults=(-1, -1))
    assert devices.find_device("auto", "input").name == "Mic"


def test_what_cannot_be_found_gets_a_sentence(desk: FakeSoundDevice) -> None:
    assert sentence(lambda: devices.find_device("modem", "output")) == (
        "No output device has 'modem' in its name; available: "
        "0 HDA Analog (ALSA), 2 USB Headset (ALSA), 4 HDA Analog (JACK)."
    )
    assert sentence(lambda: devices.find_device("usb", "input")) == (
        "'usb' matches several input devices: 1 USB Headset (ALSA), 3 USB Camera (ALSA). Use more of the name."
    )
    assert sentence(lambda: devices.find_device("9", "input")).startswith(
        "Sound device 9 does not exist; available: 0 "
    )
    assert sentence(lambda: devices.find_device("3", "output")).startswith(
        "Sound device 3 USB Camera (ALSA) is not an output device; available: 0 "
    )


def test_no_device_of_a_kind_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, device("Speaker", 0, 2), defaults=(-1, -1))
    assert sentence(lambda: devices.find_device("auto", "input")) == (
        "None of the sound devices found (1) is an input device. Connect one."
    )


def test_no_device_at_all_is_a_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    problem = devices.audio_problem()
    assert problem is not None
    assert problem.startswith("No sound device was found")
    assert sentence(lambda: devices.find_device("auto", "output")) == problem


@pytest.mark.parametrize(
    ("place", "tools", "remedy"),
    [
        (
            None,
            {"apt-get", "pulseaudio"},
            "To let PortAudio reach PulseAudio or PipeWire, run `sudo apt-get ",
        ),
        ("lib/x86_64-linux-gnu", {"apt-get", "pulseaudio"}, "to start one, run `pulseaudio --start`."),
        ("lib64", {"dnf", "pipewire-pulse"}, "to start one, run `systemctl --user start pipewire-pulse`."),
        ("lib", {"pacman"}, "no PulseAudio or PipeWire server is responding."),
    ],
)
def test_what_is_installed_is_not_to_be_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str | None, tools: set[str], remedy: str
) -> None:
    installed(monkeypatch)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("shutil.which", lambda tool: tool if tool in tools else None)
    monkeypatch.setattr(devices, "_SYSTEM", tmp_path)
    if place is not None:
        (tmp_path / place / "alsa-lib").mkdir(parents=True)
        (tmp_path / place / "alsa-lib" / "libasound_module_pcm_pulse.so").touch()
    assert remedy in str(devices.audio_problem())


def test_a_missing_package_is_a_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(devices.HIDE_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert devices.audio_problem() == (
        "The Python package sounddevice is not installed. Run `pip install sounddevice`."
    )


def test_a_missing_library_is_a_sentence_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(devices.HIDE_VARIABLE, raising=False)
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    problem = devices.audio_problem()
    assert problem is not None
    assert problem.startswith("PortAudio is not installed. ")
    assert sentence(devices.list_devices) == problem


def test_the_library_can_be_hidden(desk: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.HIDE_VARIABLE, "1")
    assert str(devices.audio_problem()).startswith("PortAudio is not installed. ")


@pytest.mark.parametrize(
    ("platform", "tools", "words"),
    [
        ("linux", {"apt-get"}, "Run `sudo apt-get install libportaudio2`."),
        ("linux", {"dnf"}, "Run `sudo dnf install portaudio`."),
        ("linux", set(), "Install libportaudio with this system's package manager."),
        ("darwin", {"apt-get"}, "Run `pip install --force-reinstall sounddevice`."),
    ],
)
def test_the_command_fits_the_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, tools: set[str], words: str
) -> None:
    monkeypatch.setenv(devices.HIDE_VARIABLE, "1")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("shutil.which", lambda tool: tool if tool in tools else None)
    assert devices.audio_problem() == f"PortAudio is not installed. {words}"


def test_a_list_that_fails_gets_a_sentence(desk: FakeSoundDevice) -> None:
    desk.list_failure = PortAudioError("Error querying device 0", -9996)
    assert devices.audio_problem() == "The sound devices cannot be listed: Error querying device 0."


@pytest.mark.parametrize(
    "failure",
    [
        PortAudioError("Error querying device 1", -9996),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        AttributeError("name"),
    ],
)
def test_one_bad_device_does_not_hide_the_others(desk: FakeSoundDevice, failure: Exception) -> None:
    desk.bad[1] = failure
    assert [one.index for one in devices.list_devices()] == [0, 2, 3, 4]
    assert devices.find_device("camera", "input").index == 3


@pytest.mark.parametrize(
    "failure", [OSError(5, "Input/output error"), AttributeError("lib"), ValueError("3 devices")]
)
def test_whatever_the_wrapper_raises_is_a_sentence(desk: FakeSoundDevice, failure: Exception) -> None:
    desk.list_failure = failure
    assert str(devices.audio_problem()).startswith("The sound devices cannot be listed: ")
    desk.list_failure = None
    headset = devices.list_devices()[1]
    desk.refuse = lambda rate: failure
    assert sentence(lambda: devices.open_stream("input", headset, 16_000, 320, print)).startswith(
        "USB Headset cannot be opened: "
    )
    assert sentence(lambda: devices.supported_rate(headset, "input", 16_000)).startswith(
        "USB Headset cannot be opened: "
    )


@pytest.mark.parametrize("raised", ["AttributeError('x')", "Exception('Unanticipated host error', -9999)"])
def test_a_library_that_does_not_start_is_a_sentence(
    raised: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(devices.HIDE_VARIABLE, raising=False)
    (tmp_path / "sounddevice.py").write_text(f"raise {raised}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    assert sentence(devices.list_without_trial).startswith("PortAudio failed to start: ")


@pytest.mark.parametrize("direction", ["input", "output"])
def test_the_wanted_rate_is_taken_where_it_works(desk: FakeSoundDevice, direction: Direction) -> None:
    assert devices.supported_rate(devices.list_devices()[0], direction, 24_000) == 24_000


def test_else_the_devices_own_rate_else_a_common_one(desk: FakeSoundDevice) -> None:
    headset = devices.list_devices()[1]
    desk.refuse = lambda rate: None if rate in {16_000, 44_100} else invalid_rate()
    assert devices.supported_rate(headset, "input", 24_000) == 16_000
    desk.refuse = lambda rate: None if rate == 44_100 else invalid_rate()
    assert devices.supported_rate(headset, "input", 24_000) == 44_100
    desk.refuse = lambda rate: invalid_rate()
    assert sentence(lambda: devices.supported_rate(headset, "input", 24_000)) == (
        "USB Headset does not support a sample rate of 24000 Hz."
    )


def test_a_busy_device_is_not_asked_for_every_rate(desk: FakeSoundDevice) -> None:
    asked: list[int] = []

    def refuse(rate: int) -> PortAudioError:
        asked.append(rate)
        return unavailable()

    desk.refuse = refuse
    words = sentence(lambda: devices.supported_rate(devices.list_devices()[1], "input", 24_000))
    assert words == "USB Headset is in use by another program. Close that program or choose another device."
    assert asked == [24_000]


def test_streams_are_opened_raw_and_mono(desk: FakeSoundDevice) -> None:
    def callback(*arguments: object) -> None:
        pass

    headset = devices.list_devices()[1]
    stream = devices.open_stream("input", headset, 16_000, 320, callback, latency=0.1)
    devices.open_stream("output", devices.list_devices()[0], 24_000, 480, callback)
    desk.streams[0].arguments.pop("finished_callback")
    assert desk.streams[0].arguments == {
        "kind": "input",
        "samplerate": 16_000,
        "blocksize": 320,
        "device": 1,
        "channels": 1,
        "dtype": "int16",
        "latency": 0.1,
        "callback": callback,
    }
    assert desk.streams[1].arguments["kind"] == "output"
    assert desk.streams[1].arguments["latency"] == "low"
    assert (stream.device, stream.rate, stream.block_frames, stream.latency_s) == (headset, 16_000, 320, 0.04)


def test_a_stream_starts_and_stops_on_request(desk: FakeSoundDevice) -> None:
    stream = devices.open_stream("input", devices.list_devices()[1], 16_000, 320, print)
    seen = [stream.active]
    for action in (stream.start, stream.abort, stream.start, stream.stop, stream.close):
        action()
        seen.append(stream.active)
    assert seen == [False, True, False, True, False, False]
    assert desk.streams[0].calls == ["start", "abort", "start", "stop", "close"]
    assert not stream.vanished


def test_a_stream_that_vanished_is_recognised_and_not_started_again(desk: FakeSoundDevice) -> None:
    stream = devices.open_stream("input", devices.list_devices()[1], 16_000, 320, print)
    stream.start()
    desk.streams[0].end()
    assert stream.vanished
    assert sentence(stream.start) == "USB Headset has disappeared. Reconnect it or choose another device."
    assert desk.streams[0].calls == ["start"]


def test_a_refusal_gets_a_sentence(desk: FakeSoundDevice) -> None:
    headset = devices.list_devices()[1]

    def open_it() -> object:
        return devices.open_stream("input", headset, 16_000, 320, print)

    desk.refuse = lambda rate: unavailable()
    assert sentence(open_it) == (
        "USB Headset is in use by another program. Close that program or choose another device."
    )
    desk.refuse = lambda rate: PortAudioError("Error opening RawInputStream: Invalid device", -9996)
    assert sentence(open_it) == "USB Headset cannot be opened: Error opening RawInputStream: Invalid device."
    desk.refuse = lambda rate: None
    stream = open_it()
    assert isinstance(stream, devices.Stream)
    desk.streams[0].failure = PortAudioError()
    assert sentence(stream.start) == "USB Headset failed to start: PortAudio gave no reason."
    assert desk.streams[0].calls == ["start", "close"], "nobody else would give it back"
    assert stream.vanished


def test_the_list_can_be_read_again(desk: FakeSoundDevice) -> None:
    devices.refresh_devices()
    assert desk.refreshed == ["terminate", "initialize"]


def test_devices_are_not_listed_again_while_somebody_reads_the_list_and_no_barge_in_waits_for_that(
    desk: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = devices.open_stream("output", devices.list_devices()[0], 24_000, 480, print)
    stream.start()
    reading = HeldUp()

    def query_devices() -> tuple[dict[str, Any], ...]:
        reading()
        return desk.devices

    monkeypatch.setattr(desk, "query_devices", query_devices)
    reader, refresher = (
        threading.Thread(target=devices.list_devices),
        threading.Thread(target=devices.refresh_devices),
    )
    reader.start()
    assert reading.began.wait(10)
    refresher.start()
    stream.abort()
    refresher.join(0.05)
    assert desk.refreshed == []
    reading.let_go()
    reader.join(10)
    refresher.join(10)
    assert desk.refreshed == ["terminate", "initialize"]


def test_a_stream_is_not_closed_in_the_middle_of_what_it_does(desk: FakeSoundDevice) -> None:
    stream = devices.open_stream("output", devices.list_devices()[0], 24_000, 480, print)
    stream.start()
    ending = HeldUp()
    desk.streams[0].arguments["finished_callback"] = ending
    aborting, closing = threading.Thread(target=stream.abort), threading.Thread(target=stream.close)
    aborting.start()
    assert ending.began.wait(10)
    closing.start()
    closing.join(0.05)
    assert "close" not in desk.streams[0].calls
    ending.let_go()
    aborting.join(10)
    closing.join(10)
    assert desk.streams[0].calls == ["start", "abort", "close"]
    assert (
        sentence(stream.start) == "HDA Analog failed to start: Error starting stream: Invalid stream pointer."
    )


def test_importing_the_ground_loads_nothing_heavy() -> None:
    modules = ["devices", "formats", "queue", "speech", "resample", "wav", "levels", "blocks", "clocked"]
    script = f"import sys, {', '.join('tui.audio.' + name for name in modules)}\n"
    script += "print(*{'sounddevice', 'samplerate', 'onnxruntime'} & set(sys.modules))"
    root = Path(devices.__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
