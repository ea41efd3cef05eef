"""Chooses the microphone and the speaker of a call from the user's options and the available devices."""

from __future__ import annotations

import stat
from enum import StrEnum
from pathlib import Path

import msgspec

from tui.audio import devices
from tui.audio.devices import AudioDeviceError
from tui.audio.in_thread import in_thread


class InputKind(StrEnum):
    """Where a call's user audio comes from."""

    DEVICE = "device"
    FILE = "file"
    LINES = "lines"
    """No microphone; recorded lines are played one after another."""


class OutputKind(StrEnum):
    """Where a call's agent audio goes."""

    DEVICE = "device"
    FILE = "file"
    NONE = "none"
    """Audio is discarded at the speed at which a speaker would play it."""


class Endpoints(msgspec.Struct, frozen=True):
    """The source of a call's user audio and the destination of its agent audio."""

    input: InputKind
    input_name: str
    output: OutputKind
    output_name: str
    input_device: devices.Device | None = None
    output_device: devices.Device | None = None
    notice: str = ""
    """One line that states what is missing."""
    hint: str = ""
    """The command that installs what is missing."""
    warnings: tuple[str, ...] = ()
    """Warnings about named devices that were not found; the default device, or none, is used instead."""


def wants_device(input_spec: str, output_spec: str) -> bool:
    """Returns whether these options require PortAudio."""
    wants_microphone = input_spec != "lines" and not _is_wav(input_spec)
    return wants_microphone or (output_spec != "none" and not is_output_file(output_spec))


def names_device(spec: str, direction: devices.Direction) -> bool:
    """Returns whether an option names a device, by index or name; false for auto, files and no device."""
    wants = wants_device(spec, "none") if direction == "input" else wants_device("lines", spec)
    return wants and spec != "auto"


async def find(input_spec: str, output_spec: str) -> Endpoints:
    """Lists the devices if necessary and chooses the endpoints. Reports problems in the result."""
    problem: str | None = None
    found: list[devices.Device] = []
    if wants_device(input_spec, output_spec):
        try:
            found = await in_thread(devices.list_devices, cancellable=True, limit_s=devices.listing_limit_s())
            problem = None if found else devices.no_device_sentence()
        except AudioDeviceError as error:
            problem = str(error)
    return resolve(input_spec, output_spec, found, problem)


def resolve(
    input_spec: str, output_spec: str, listed: list[devices.Device], problem: str | None = None
) -> Endpoints:
    """Chooses the endpoints from the listed devices. ``problem`` explains why no device is listed."""
    warnings: list[str] = []
    missing: list[str] = []
    input_kind, input_name = InputKind.LINES, "caller lines"
    input_device: devices.Device | None = None
    if _is_wav(input_spec):
        input_kind, input_name = InputKind.FILE, Path(input_spec).name
    elif input_spec != "lines" and (found := _find(input_spec, "input", listed, warnings)):
        input_kind, input_name, input_device = InputKind.DEVICE, found.name, found
    elif input_spec != "lines":
        missing.append("recorded lines replace the microphone")
    output_kind, output_name = OutputKind.NONE, "none"
    output_device: devices.Device | None = None
    if is_output_file(output_spec):
        output_kind, output_name = OutputKind.FILE, Path(output_spec).name
    elif output_spec != "none" and (found := _find(output_spec, "output", listed, warnings)):
        output_kind, output_name, output_device = OutputKind.DEVICE, found.name, found
    elif output_spec != "none":
        missing.append("you will not hear the agent")
    cause, _, hint = (problem or "No sound device is responding.").partition(". ")
    return Endpoints(
        input_kind,
        input_name,
        output_kind,
        output_name,
        input_device,
        output_device,
        notice=f"{cause.rstrip('.')}: {', '.join(missing)}." if missing else "",
        hint=hint,
        warnings=tuple(warnings),
    )


def is_output_file(spec: str) -> bool:
    """Returns whether an output is a file to write: a WAV file, a pipe, or a device file."""
    if _is_wav(spec) or "/" not in spec:
        return _is_wav(spec)
    try:
        mode = Path(spec).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_wav(spec: str) -> bool:
    return spec.lower().endswith(".wav")


def _find(
    spec: str, direction: devices.Direction, listed: list[devices.Device], warnings: list[str]
) -> devices.Device | None:
    """Returns the device that ``spec`` names.

    If that device does not exist, returns the default device and adds a warning; None if there is no device.
    """
    for wanted in dict.fromkeys((spec, "auto")):
        try:
            found = devices.find_among(listed, wanted, direction)
        except AudioDeviceError as error:
            reason = str(error)
        else:
            # A device from the command line was checked before dialing, so this one comes from the settings
            # or was remembered, and is now unplugged.
            if wanted != spec:
                warnings.append(f"{reason} Using {found.name} instead.")
            return found
    return None
