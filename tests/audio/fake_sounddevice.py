"""A fake sounddevice module without PortAudio, whose devices and failures are set by the test."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tui.audio.devices import HIDE_VARIABLE


class PortAudioError(Exception):
    pass


def invalid_rate() -> PortAudioError:
    return PortAudioError("Error opening RawInputStream: Invalid sample rate", -9997)


def unavailable() -> PortAudioError:
    return PortAudioError("Error opening RawInputStream: Device unavailable", -9985)


def device(name: str, inputs: int, outputs: int, rate: float = 48_000.0, api: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "hostapi": api,
        "max_input_channels": inputs,
        "max_output_channels": outputs,
        "default_samplerate": rate,
    }


class FakeStream:
    """A controlled stream. Only starting can fail, because sounddevice ignores failures to end."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.calls: list[str] = []
        self.failure: PortAudioError | None = None
        self.latency = 0.04
        self.time = 7.0
        self.active = False

    def _do(self, call: str) -> None:
        if call == "start" and "close" in self.calls:
            raise PortAudioError("Error starting stream: Invalid stream pointer", -9988)
        self.calls.append(call)
        if call == "start" and self.failure is not None:
            raise self.failure
        self.active = call == "start"
        if not self.active:
            self.end()

    def start(self) -> None:
        self._do("start")

    def stop(self) -> None:
        self._do("stop")

    def abort(self) -> None:
        self._do("abort")

    def end(self) -> None:
        """Ends the stream, unexpectedly or on request, and reports that as PortAudio does."""
        self.active = False
        self.arguments["finished_callback"]()

    def close(self, ignore_errors: bool = True) -> None:
        self.calls.append("close")
        self.active = False


class FakeDefaults:
    def __init__(self) -> None:
        self.device = [-1, -1]


class FakeSoundDevice(ModuleType):
    """Replaces the module itself."""

    PortAudioError = PortAudioError

    def __init__(self, *devices: dict[str, Any], defaults: tuple[int, int] = (-1, -1)) -> None:
        super().__init__("sounddevice")
        self.devices = devices
        self.default = FakeDefaults()
        self.default.device = list(defaults)
        self.refuse: Callable[[int], Exception | None] = lambda rate: None
        self.start_failure: PortAudioError | None = None
        """Failure of every stream that is opened from now on."""
        self.list_failure: Exception | None = None
        self.bad: dict[int, Exception] = {}
        """Errors that PortAudio raises when describing a device, by index."""
        self.streams: list[FakeStream] = []
        self.refreshed: list[str] = []

    def query_devices(self, index: int | None = None) -> Any:
        if self.list_failure is not None:
            raise self.list_failure
        asked = range(len(self.devices)) if index is None else [index]
        if failures := [self.bad[one] for one in asked if one in self.bad]:
            raise failures[0]
        return self.devices if index is None else self.devices[index]

    def query_hostapis(self) -> tuple[dict[str, Any], ...]:
        listed = [[at for at, one in enumerate(self.devices) if one["hostapi"] == api] for api in (0, 1)]
        return ({"name": "ALSA", "devices": listed[0]}, {"name": "JACK", "devices": listed[1]})

    def check_input_settings(self, *, samplerate: int, **settings: Any) -> None:
        assert settings["channels"] == 1
        assert settings["dtype"] == "int16"
        if failure := self.refuse(samplerate):
            raise failure

    check_output_settings = check_input_settings

    def _open(self, kind: str, arguments: dict[str, Any]) -> FakeStream:
        if failure := self.refuse(arguments["samplerate"]):
            raise failure
        stream = FakeStream(kind=kind, **arguments)
        stream.failure = self.start_failure
        self.streams.append(stream)
        return stream

    def RawInputStream(self, **arguments: Any) -> FakeStream:  # noqa: N802  sounddevice's name
        return self._open("input", arguments)

    def RawOutputStream(self, **arguments: Any) -> FakeStream:  # noqa: N802  sounddevice's name
        return self._open("output", arguments)

    def _terminate(self) -> None:
        self.refreshed.append("terminate")

    def _initialize(self) -> None:
        self.refreshed.append("initialize")


class HeldUp:
    """A step of a driver that does not return before the test lets it."""

    def __init__(self) -> None:
        self.began, self._may_return = threading.Event(), threading.Event()

    def __call__(self, *_: object) -> None:
        self.began.set()
        assert self._may_return.wait(10)

    def let_go(self) -> None:
        self._may_return.set()


def installed(
    monkeypatch: pytest.MonkeyPatch, *devices: dict[str, Any], defaults: tuple[int, int] = (0, 0)
) -> FakeSoundDevice:
    """Replaces sounddevice during the test, on a machine with these devices."""
    monkeypatch.delenv(HIDE_VARIABLE, raising=False)
    module = FakeSoundDevice(*devices, defaults=defaults)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module
