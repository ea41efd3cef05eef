"""Which microphone and which speaker a call uses: from what the user asked for to what there is."""

from __future__ import annotations

import stat
from enum import StrEnum
from pathlib import Path

import msgspec

from tui.audio import devices
from tui.audio.devices import AudioDeviceError


class InputKind(StrEnum):
    """Where user audio comes from."""

    DEVICE = "device"
    FILE = "file"
    LINES = "lines"
    """No microphone: recorded caller lines, spoken one after the other."""


class OutputKind(StrEnum):
    """Where agent audio goes."""

    DEVICE = "device"
    FILE = "file"
    NONE = "none"
    """Played to nobody, at the pace of a speaker."""


class Endpoints(msgspec.Struct, frozen=True):
    """What a call captures from and plays to."""

    input: InputKind
    input_name: str
    output: OutputKind
    output_name: str
    input_device: devices.Device | None = None
    output_device: devices.Device | None = None
    notice: str = ""
    """One line on what is missing."""
    hint: str = ""
    """The command that would bring it."""
    errors: tuple[str, ...] = ()
    """What was asked for by name and is not to be had; the call goes on without it."""


def resolve(input_spec: str, output_spec: str) -> Endpoints:
    """Find the endpoints. Blocks (it may load PortAudio): call it from a worker thread. Raises nothing."""
    wants_microphone = input_spec != "lines" and not _is_wav(input_spec)
    wants_device = wants_microphone or (output_spec != "none" and not is_output_file(output_spec))
    problem = devices.audio_problem() if wants_device else None
    errors: list[str] = []
    missing: list[str] = []
    input_kind, input_name = InputKind.LINES, "caller lines"
    input_device: devices.Device | None = None
    if _is_wav(input_spec):
        input_kind, input_name = InputKind.FILE, Path(input_spec).name
    elif input_spec != "lines" and (found := _find(input_spec, "input", problem, errors)):
        input_kind, input_name, input_device = InputKind.DEVICE, found.name, found
    elif input_spec != "lines":
        missing.append("recorded caller lines are the microphone")
    output_kind, output_name = OutputKind.NONE, "none"
    output_device: devices.Device | None = None
    if is_output_file(output_spec):
        output_kind, output_name = OutputKind.FILE, Path(output_spec).name
    elif output_spec != "none" and (found := _find(output_spec, "output", problem, errors)):
        output_kind, output_name, output_device = OutputKind.DEVICE, found.name, found
    elif output_spec != "none":
        missing.append("the agent is not heard")
    cause, _, hint = (problem or "No sound device answers.").partition(". ")
    return Endpoints(
        input_kind,
        input_name,
        output_kind,
        output_name,
        input_device,
        output_device,
        notice=f"{cause.rstrip('.')}: {', '.join(missing)}." if missing else "",
        hint=hint,
        errors=tuple(errors),
    )


def is_output_file(spec: str) -> bool:
    """Whether an output is written to as a file: a WAV, or by its path a pipe or a device of the file system."""
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
    spec: str, direction: devices.Direction, problem: str | None, errors: list[str]
) -> devices.Device | None:
    if problem:
        return None
    try:
        return devices.find_device(spec, direction)
    except AudioDeviceError as error:
        if spec != "auto":
            errors.append(str(error))
        return None
