"""Microphones and speakers through PortAudio.

No other module imports sounddevice, and this module imports it only on demand. A missing library or device is
expected: `audio_problem` describes the problem and how to fix it; all other functions raise `AudioDeviceError`.

PortAudio reads the device list once when it is loaded, and again when `refresh_devices` is called. Loading
takes 150 to 290 ms, after a `Trial` in a child process that takes slightly longer. All functions block and
may be called from any thread; callbacks run on PortAudio's thread.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from tui.audio.trial import Trial, TrialFailed, time_limit_s

HIDE_VARIABLE = "OPUSAGENT_TUI_HIDE_PORTAUDIO"
"""Environment variable that, if set to 1, makes PortAudio appear not to be installed."""

_lists_lock = threading.RLock()
"""Held while PortAudio's device list or stream list is read or changed.

PortAudio does not protect its lists. Starting or ending a stream does not require the lock, so a barge-in
never waits for devices to be listed or opened.
"""
_open_streams: weakref.WeakSet[Stream] = weakref.WeakSet()
_trial_lock = threading.Lock()
_trials: list[Trial] = []
"""Empty, or a list with the current trial (see `begin_trial`)."""

_COMMON_RATES = (48_000, 44_100, 32_000, 24_000, 16_000, 8_000)
_INVALID_RATE = -9997
_UNAVAILABLE = -9985
_INSTALL = {
    "apt-get": "sudo apt-get install libportaudio2",
    "dnf": "sudo dnf install portaudio",
    "pacman": "sudo pacman -S portaudio",
    "zypper": "sudo zypper install portaudio",
    "apk": "sudo apk add portaudio",
}
_REACH_SOUND_SERVER = {
    "apt-get": "sudo apt-get install libasound2-plugins",
    "dnf": "sudo dnf install alsa-plugins-pulseaudio",
    "pacman": "sudo pacman -S alsa-plugins",
    "zypper": "sudo zypper install alsa-plugins-pulse",
    "apk": "sudo apk add alsa-plugins-pulse",
}
_SYSTEM = Path("/usr")
_ALSA_PLUGIN = "alsa-lib/libasound_module_pcm_pulse.so"
_START_SOUND_SERVER = {
    "pipewire-pulse": "systemctl --user start pipewire-pulse",
    "pulseaudio": "pulseaudio --start",
}


class AudioDeviceError(Exception):
    """Raised if a device, or sound in general, cannot be used. The message gives the reason and a remedy."""


Direction = Literal["input", "output"]
"""Direction of audio from the program's point of view: "input" is the microphone, "output" the speaker."""


class Device(msgspec.Struct, frozen=True):
    """A device in PortAudio's list. The index is valid until the list is read again."""

    index: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    default_rate: int
    is_default_input: bool
    is_default_output: bool

    def channels(self, direction: Direction) -> int:
        """Returns the number of channels in this direction; 0 if the device does not support the direction."""
        return self.input_channels if direction == "input" else self.output_channels

    def is_default(self, direction: Direction) -> bool:
        """Returns whether the device is the system default for this direction."""
        return self.is_default_input if direction == "input" else self.is_default_output

    def __str__(self) -> str:
        return f"{self.index} {self.name} ({self.host_api})"


StreamCallback = Callable[[Any, int, Any, Any], None]
"""Called with ``(buffer, frames, times, flags)`` on PortAudio's thread. An exception ends the stream silently.

The buffer is valid only during the call: read it with ``bytes(buffer)``, or write to it with ``buffer[:] = pcm``.
``times`` are in seconds on PortAudio's own clock, so only their differences are meaningful. ``flags`` are the
problems since the previous block: ``input_overflow`` (samples were lost) and ``output_underflow`` (a gap was played).
"""
Latency = float | Literal["low", "high"]
"""Requested latency in seconds, or one of PortAudio's names for it. `Stream.latency_s` is the actual latency."""


class Stream:
    """An open device that delivers or plays blocks of 16-bit mono samples once `start` is called."""

    def __init__(
        self,
        device: Device,
        rate: int,
        block_frames: int,
        open_raw: Callable[..., Any],
    ) -> None:
        self.device = device
        self.rate = rate
        self.block_frames = block_frames
        self._ending = False
        self._ended_unasked = False
        self._closed = False
        self._action_lock = threading.Lock()
        """If both locks are needed, `_lists_lock` is acquired first."""
        # Opening and refreshing must not overlap. A refresh terminates PortAudio, which frees every stream,
        # so it must know this stream and close it first.
        with _lists_lock:
            self._raw = open_raw(finished_callback=self._finished)
            _open_streams.add(self)

    def _finished(self) -> None:
        # PortAudio calls this whenever a stream ends, even if that was requested.
        if not self._ending:
            self._ended_unasked = True

    @property
    def vanished(self) -> bool:
        """Whether the stream ended unexpectedly: device unplugged, sound server exited, or callback failed."""
        # Both conditions are needed: a stream that was restarted after it ended is active and has not
        # vanished.
        return self._ended_unasked and not self.active

    @property
    def latency_s(self) -> float:
        """Delay between callback and speaker, or between microphone and callback, as PortAudio reports it."""
        return float(self._raw.latency)

    @property
    def time_s(self) -> float:
        """Current time in seconds on PortAudio's own clock, which also dates the callbacks."""
        return float(self._raw.time)

    @property
    def active(self) -> bool:
        """Whether PortAudio is running the stream. Stays true while the device is stalled."""
        return not self._closed and bool(self._raw.active)

    def start(self) -> None:
        """Starts the stream, or restarts it after `stop` or `abort`.

        A stream that has vanished cannot be restarted. If `AudioDeviceError` is raised, the stream is closed
        and counts as vanished.
        """
        if self.vanished:
            # PortAudio's ALSA backend would wait for the lost device forever.
            raise AudioDeviceError(
                f"{self.device.name} has disappeared. Reconnect it or choose another device."
            )
        self._ending = False
        try:
            self._do("start")
        except AudioDeviceError:
            self.take_away()
            raise

    def stop(self) -> None:
        """Waits until the device has played its buffer, then stops. Raises `AudioDeviceError`."""
        # Set before the call, because PortAudio may call the finished callback before `stop` returns.
        self._ending = True
        self._do("stop")

    def abort(self) -> None:
        """Stops immediately and discards the device's buffer. Raises `AudioDeviceError`.

        Takes 1 to 3 ms, at worst 25 ms, so call `abort` from a worker thread, never from the callback.
        """
        self._ending = True
        self._do("abort")

    def close(self) -> None:
        """Releases the device. Can be called repeatedly, even after the device has disappeared."""
        self._ending = True
        # The locks are always acquired in this order; otherwise, a refresh and a close on two threads could
        # deadlock. The action lock waits for a start or stop in progress, because closing frees the stream's
        # memory.
        with _lists_lock, self._action_lock:
            self._closed = True
            self._raw.close(ignore_errors=True)
            _open_streams.discard(self)

    def take_away(self) -> None:
        """Closes the stream while it is in use. To the owner of the stream, the device appears to have vanished."""
        self.close()
        self._ended_unasked = True

    def _do(self, action: str) -> None:
        with (
            _as_sentence(lambda error: f"{self.device.name} failed to {action}: {_reason(error)}."),
            self._action_lock,
        ):
            getattr(self._raw, action)()


def audio_problem() -> str | None:
    """Explains why sound does not work and what to do; None if a device is available."""
    try:
        devices = list_devices()
    except AudioDeviceError as error:
        return str(error)
    return None if devices else no_device_sentence()


def list_devices() -> list[Device]:
    """Returns all devices that PortAudio knows, possibly none.

    Raises `AudioDeviceError` if the library is missing.
    """
    return _list_with(_portaudio())


def list_without_trial() -> list[Device]:
    """Works like `list_devices`, but without a trial. PortAudio may crash or hang the process."""
    return _list_with(_load())


def list_by_trial() -> list[Device]:
    """Works like `list_devices`, but without loading PortAudio in this process. Raises `AudioDeviceError`."""
    _refuse_if_hidden()
    return msgspec.json.decode(_tried(), type=list[Device])


def listing_limit_s() -> float:
    """Returns how long `list_devices` may take: the time limit of the trial, plus as much for loading PortAudio."""
    return 2 * time_limit_s()


def begin_trial() -> Trial | None:
    """Starts testing PortAudio in a child process, unless that has already been done; returns at once.

    Returns None if PortAudio is already loaded or is hidden by `HIDE_VARIABLE`.
    """
    if "sounddevice" in sys.modules or os.environ.get(HIDE_VARIABLE) == "1":
        return None
    with _trial_lock:
        if not _trials:
            _trials.append(Trial())
        return _trials[0]


def _list_with(portaudio: Any) -> list[Device]:
    with _as_sentence(lambda error: f"The sound devices cannot be listed: {_reason(error)}."), _lists_lock:
        host_apis = portaudio.query_hostapis()
        default_input, default_output = portaudio.default.device
        entries = _entries(portaudio, host_apis)
    found: list[Device] = []
    for index, entry in entries:
        # A device with an unexpected description must not hide the others.
        with suppress(Exception):
            device = Device(
                index=index,
                name=str(entry["name"]),
                host_api=str(host_apis[entry["hostapi"]]["name"]),
                input_channels=int(entry["max_input_channels"]),
                output_channels=int(entry["max_output_channels"]),
                default_rate=int(entry["default_samplerate"]),
                is_default_input=index == default_input,
                is_default_output=index == default_output,
            )
            found.append(device)
    return found


def _entries(portaudio: Any, host_apis: Any) -> list[tuple[int, Any]]:
    """Returns the index and entry of each device that PortAudio can describe."""
    try:
        return list(enumerate(portaudio.query_devices()))
    except Exception:
        # A single device, such as one whose name is not UTF-8, makes the whole list fail, so each device is
        # then queried separately.
        entries: list[tuple[int, Any]] = []
        for index in sorted(index for api in host_apis for index in api.get("devices", ())):
            with suppress(Exception):
                entries.append((index, portaudio.query_devices(index)))
        if not entries:
            raise
        return entries


def refresh_devices() -> None:
    """Makes PortAudio read the device list again, which closes every open stream. Raises `AudioDeviceError`."""
    with _trial_lock:
        if "sounddevice" not in sys.modules:
            _trials.clear()  # a sound server that hung may respond by now
    portaudio = _portaudio()
    with _lists_lock:
        # PortAudio would free their memory while it is still in use.
        for stream in list(_open_streams):
            stream.take_away()
        with _as_sentence(lambda error: f"The sound devices cannot be listed: {_reason(error)}."):
            portaudio._terminate()  # noqa: SLF001  the only way there is
            portaudio._initialize()  # noqa: SLF001


def find_device(spec: str, direction: Direction) -> Device:
    """Returns the device selected by ``spec``: "auto", an index, or part of a name (case-insensitive).

    Raises `AudioDeviceError` if there is no device, if none or several match, or if the match has the wrong
    direction.
    """
    return find_among(list_devices(), spec, direction)


def find_among(devices: list[Device], spec: str, direction: Direction) -> Device:
    """Works like `find_device`, but searches ``devices``."""
    if not devices:
        raise AudioDeviceError(no_device_sentence())
    usable = [device for device in devices if device.channels(direction)]
    if not usable:
        raise AudioDeviceError(
            f"None of the sound devices found ({len(devices)}) is an {direction} device. Connect one."
        )
    if spec == "auto":
        return next((device for device in usable if device.is_default(direction)), usable[0])
    if spec.isdecimal():
        return _by_index(int(spec), devices, direction)
    wanted = spec.casefold()
    matches = [device for device in usable if device.name.casefold() == wanted]
    matches = matches or [device for device in usable if wanted in device.name.casefold()]
    if not matches:
        raise AudioDeviceError(
            f"No {direction} device has {spec!r} in its name; available: {_listed(usable)}."
        )
    # Entries with the same name under several host APIs are one device; PortAudio lists the preferred API
    # first.
    if len({device.name for device in matches}) > 1:
        raise AudioDeviceError(
            f"{spec!r} matches several {direction} devices: {_listed(matches)}. Use more of the name."
        )
    return matches[0]


def supported_rate(device: Device, direction: Direction, wanted: int) -> int:
    """Returns the rate in Hz at which to open a device. Raises `AudioDeviceError` if no rate works.

    Prefers ``wanted``, which the sound system may support by resampling; then the device's own rate; then
    common rates.
    """
    portaudio = _portaudio()
    check = portaudio.check_input_settings if direction == "input" else portaudio.check_output_settings
    refusal: Exception | None = None
    # The wanted rate is tried first: PulseAudio, PipeWire and CoreAudio can resample, and only raw ALSA
    # hardware refuses.
    for rate in dict.fromkeys((wanted, device.default_rate, *_COMMON_RATES)):
        try:
            with _lists_lock:
                check(device=device.index, channels=1, dtype="int16", samplerate=rate)
        except Exception as error:  # noqa: BLE001 - as in `_as_sentence`
            refusal = error
            if _code(error) != _INVALID_RATE:
                break
        else:
            return rate
    raise AudioDeviceError(_refused(device, wanted, refusal)) from refusal


def open_stream(
    direction: Direction,
    device: Device,
    rate: int,
    block_frames: int,
    callback: StreamCallback,
    *,
    latency: Latency = "low",
) -> Stream:
    """Opens a microphone or a speaker without starting it; see `Stream.start`.

    ``callback`` receives each block of a microphone, or must fill each block of a speaker completely. Raises
    `AudioDeviceError` if the device is busy, denied or gone, or does not support this rate (see
    `supported_rate`).
    """
    portaudio = _portaudio()
    # Raw streams pass a plain buffer, so that no numpy array is created per block on PortAudio's thread.
    stream_type = portaudio.RawInputStream if direction == "input" else portaudio.RawOutputStream
    open_raw = partial(
        stream_type,
        samplerate=rate,
        blocksize=block_frames,
        device=device.index,
        channels=1,
        dtype="int16",
        latency=latency,
        callback=callback,
    )
    with _as_sentence(lambda error: _refused(device, rate, error)):
        return Stream(device, rate, block_frames, open_raw)


@contextmanager
def _as_sentence(sentence: Callable[[Exception], str]) -> Iterator[None]:
    """Turns an error from sounddevice into an `AudioDeviceError` with the given sentence."""
    try:
        yield
    except AudioDeviceError:
        raise
    except Exception as error:
        raise AudioDeviceError(sentence(error)) from error


def _portaudio() -> Any:
    """Returns the sounddevice module, after a trial. Raises `AudioDeviceError` with advice on what to install."""
    _refuse_if_hidden()
    if "sounddevice" not in sys.modules:
        _tried()
    return _load()


def _refuse_if_hidden() -> None:
    if os.environ.get(HIDE_VARIABLE) == "1":
        raise AudioDeviceError(_no_library_sentence())


def _tried() -> bytes:
    """Returns the device list as JSON, from the trial. Raises `AudioDeviceError` if the trial failed."""
    trial = begin_trial()
    try:
        return trial.result() if trial else msgspec.json.encode(list_devices())
    except TrialFailed as error:
        raise AudioDeviceError(str(error)) from error


def _load() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise AudioDeviceError(
            "The Python package sounddevice is not installed. Run `pip install sounddevice`."
        ) from error
    except OSError as error:
        raise AudioDeviceError(_no_library_sentence()) from error
    except Exception as error:
        raise AudioDeviceError(f"PortAudio failed to start: {_reason(error)}.") from error
    return sounddevice


def _by_index(index: int, devices: list[Device], direction: Direction) -> Device:
    if index >= len(devices):
        raise AudioDeviceError(f"Sound device {index} does not exist; available: {_listed(devices)}.")
    if not devices[index].channels(direction):
        usable = [device for device in devices if device.channels(direction)]
        raise AudioDeviceError(
            f"Sound device {devices[index]} is not an {direction} device; available: {_listed(usable)}."
        )
    return devices[index]


def _listed(devices: list[Device]) -> str:
    return ", ".join(str(device) for device in devices)


def _refused(device: Device, rate: int, error: Exception | None) -> str:
    code = None if error is None else _code(error)
    if code == _UNAVAILABLE:
        return f"{device.name} is in use by another program. Close that program or choose another device."
    if code == _INVALID_RATE:
        return f"{device.name} does not support a sample rate of {rate} Hz."
    return f"{device.name} cannot be opened: {_reason(error)}."


def _code(error: Exception) -> int | None:
    """Returns PortAudio's error number, which sounddevice appends to the message."""
    return error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else None


def _reason(error: Exception | None) -> str:
    """Returns PortAudio's error message without the number."""
    words = str(error.args[0]) if error is not None and error.args else "PortAudio gave no reason"
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror
    return words.partition(" [PaErrorCode")[0].rstrip(".")


def _platform_command(commands: dict[str, str]) -> str | None:
    """Returns the command for this system's package manager; None if the package manager is unknown."""
    if not sys.platform.startswith("linux"):
        return None
    return next((command for tool, command in commands.items() if shutil.which(tool)), None)


def _no_library_sentence() -> str:
    command = _platform_command(_INSTALL)
    if command is None and not sys.platform.startswith("linux"):
        command = "pip install --force-reinstall sounddevice"
    if command is None:
        return "PortAudio is not installed. Install libportaudio with this system's package manager."
    return f"PortAudio is not installed. Run `{command}`."


def no_device_sentence() -> str:
    """Returns advice for this system for the case that PortAudio lists no devices."""
    command = _platform_command(_REACH_SOUND_SERVER)
    if command is None:
        return "No sound device was found. Connect one, and allow this terminal to use it."
    if _reaches_sound_server():
        start = next((start for tool, start in _START_SOUND_SERVER.items() if shutil.which(tool)), None)
        how = f"; to start one, run `{start}`" if start else ""
        return f"No sound device was found: no PulseAudio or PipeWire server is responding{how}."
    return f"No sound device was found. To let PortAudio reach PulseAudio or PipeWire, run `{command}`."


def _reaches_sound_server() -> bool:
    """Returns whether ALSA's plugin for sound servers is installed, which PortAudio needs to reach a server."""
    return any(next(_SYSTEM.glob(f"{place}/{_ALSA_PLUGIN}"), None) for place in ("lib*", "lib*/*"))
