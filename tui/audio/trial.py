"""Tests PortAudio in a child process, so that a driver that aborts or hangs does not affect the program.

An ALSA setup without a default device makes PortAudio call ``abort()``. If a sound server accepts connections
but never answers, PortAudio's first call blocks forever. Neither problem can be handled within the affected
process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import msgspec

from tui.child import child_command

TIMEOUT_VARIABLE = "OPUSAGENT_TUI_SOUND_TIMEOUT_S"
"""Environment variable that passes the setting ``[sound] timeout_s`` to processes that open devices."""
DEFAULT_TIMEOUT_S = 3.0


def time_limit_s() -> float:
    """Returns how many seconds the sound system may take to respond."""
    return float(os.environ.get(TIMEOUT_VARIABLE, DEFAULT_TIMEOUT_S))


class TrialFailed(Exception):
    """Raised if PortAudio cannot be used here. The message explains what happened and what to do."""


class TrialResult(msgspec.Struct, frozen=True):
    """The result that the child process prints."""

    devices: msgspec.Raw = msgspec.Raw(b"[]")
    """The devices as `tui.audio.devices` encodes them."""
    problem: str = ""
    """Explains to the user why the devices could not be listed; empty if they were listed."""


class Trial:
    """A child process that loads PortAudio and lists its devices.

    The process starts immediately. Methods can be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcome: bytes | TrialFailed | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._ends_s = time.monotonic() + time_limit_s()
        # Started immediately, so that the child loads PortAudio while its parent continues to start.
        with suppress(OSError):  # reported by `result`
            self._child = subprocess.Popen(
                child_command("tui.audio.trial"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Signals from the terminal are for the program. The child ends at the time limit at the
                # latest.
                start_new_session=True,
            )

    def result(self) -> bytes:
        """Returns the devices as JSON. Blocks for at most the time limit.

        If the trial failed, raises the same `TrialFailed` each time.
        """
        # Under the lock, so that a second caller waits for the result that the first is reading.
        with self._lock:
            if self._outcome is None:
                self._outcome = self._wait()
            if isinstance(self._outcome, TrialFailed):
                raise self._outcome
            return self._outcome

    def stop(self) -> None:
        """Stops the child if it is still running; `result` then fails immediately."""
        if self._child is not None:
            self._child.kill()

    def _wait(self) -> bytes | TrialFailed:
        child = self._child
        if child is None:
            return TrialFailed(
                "Could not start a process to test PortAudio. Free some memory or close other programs."
            )
        try:
            # Reads the pipe instead of calling `wait`, because a long device list would fill the pipe and the
            # child would never end.
            written, _ = child.communicate(timeout=max(self._ends_s - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.kill()
            # No longer than this, because a process that hangs in the kernel does not end before its driver
            # responds.
            with suppress(subprocess.TimeoutExpired):
                child.wait(0.2)
            return TrialFailed(
                f"The sound system did not answer within {time_limit_s():g} s."
                " Restart the sound server (PipeWire, PulseAudio) or check the ALSA configuration."
            )
        if child.returncode != 0:
            return TrialFailed(
                f"PortAudio crashed while listing the sound devices ({_how_it_ended(child.returncode)})."
                " Check the ALSA configuration: PortAudio needs a device called “default”."
            )
        try:
            answer = msgspec.json.decode(written, type=TrialResult)
        except msgspec.DecodeError:
            return TrialFailed(
                "The list of sound devices could not be read. Check that sounddevice is installed."
            )
        return TrialFailed(answer.problem) if answer.problem else bytes(answer.devices)


def _how_it_ended(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    with suppress(ValueError):
        return signal.Signals(-returncode).name
    return f"signal {-returncode}"


def main() -> None:
    """Runs the child process: prints a `TrialResult` as JSON."""
    from tui.audio import devices

    # Libraries that PortAudio uses print messages, but only the result may reach the pipe.
    pipe = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    try:
        listed = devices.list_without_trial()
        answer = TrialResult(devices=msgspec.Raw(msgspec.json.encode(listed)))
    except devices.AudioDeviceError as error:
        answer = TrialResult(problem=str(error))
    os.write(pipe, msgspec.json.encode(answer))
    # Exits without terminating PortAudio, which may hang even if the driver has responded so far.
    os._exit(0)


if __name__ == "__main__":
    main()
