"""Calibrations of pairs of devices, the file that stores them, and the error bounds of measured times.

Without a calibration, this program knows only the delays that the driver reports for a microphone and a
speaker. A calibration (`tui.calibrating`) measures the error of these delays. A calibration never changes
recorded times: bias and ± are stored separately and applied when a figure is shown. The screen and the engine
both import this module, so it does not import large packages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from platformdirs import user_state_path

from tui.files import private_folder, write_atomically

STATED_BOUND_MS = 20.0
"""Error bound of a time measured with uncalibrated devices, as determined with virtual devices.

See `benchmarks/README.md`. A delay that the driver does not report adds to this bound; only a calibration can
reveal such a delay.
"""
LEAST_BOUND_MS = 1.0
"""Smallest possible bound, because edges of sound are detected to the nearest millisecond."""
VALID_DAYS = 30
NOT_CALIBRATED = "not calibrated"
_SAME_LATENCY_MS = 1.0
_FILE = "calibrations.json"
_KEPT = 50
_SERVER_S = 1.0


class Bound(NamedTuple):
    """The error of one kind of measurement: its bias, and the largest error left after subtracting the bias."""

    bias_ms: float = 0.0
    bound_ms: float = 0.0


class Spread(msgspec.Struct, frozen=True):
    """The distribution of errors (measured minus true value) of one kind of measurement."""

    bias_ms: float
    """The median error."""
    spread_ms: float
    """95th percentile of the distance from the median."""
    count: int

    @property
    def bound_ms(self) -> float:
        """The largest error (±) to expect after subtracting the bias."""
        return max(self.spread_ms, LEAST_BOUND_MS)

    def __str__(self) -> str:
        return f"bias {self.bias_ms:+.1f} ms, ± {self.spread_ms:.1f} ms (p95 of {self.count})"


class DevicesInUse(msgspec.Struct, frozen=True):
    """A microphone and a speaker, with the settings that affect their timing."""

    capture: str
    playback: str
    latency_ms: float
    """Latency of the speaker, as the device reports it."""
    block_ms: int
    server: str = ""
    """Host API, and the name and version of the sound server if there is one."""

    @property
    def pair(self) -> tuple[str, str]:
        """The names of the microphone and the speaker."""
        return self.capture, self.playback

    def change(self, now: DevicesInUse) -> str:
        """Describes the first difference from the devices in use ``now``, as a clause; empty if there is none."""
        if self.pair != now.pair:
            return "it was measured with different devices"
        if abs(self.latency_ms - now.latency_ms) > _SAME_LATENCY_MS:
            return f"the speaker latency changed from {self.latency_ms:.0f} ms to {now.latency_ms:.0f} ms"
        if self.block_ms != now.block_ms:
            return f"the block size changed from {self.block_ms} ms to {now.block_ms} ms"
        if self.server != now.server:
            return f"the sound server changed from {self.server} to {now.server}"
        return ""


class Calibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The errors and delays measured with one pair of devices. A value is None if it was not measured."""

    devices: DevicesInUse
    measured: Annotated[datetime, msgspec.Meta(tz=True)]
    protocol: str = ""
    response: Spread | None = None
    """Error of response times."""
    silence: Spread | None = None
    """Error of the time from the start of the user's speech in a barge-in until the speaker is silent."""
    signal: Spread | None = None
    """Error of the detected onset of the user's speech in a barge-in, excluding the microphone's delay.

    The time until the agent signals the barge-in has the same error.
    """
    capture_ppm: float | None = None
    """Deviation of the microphone's clock from its nominal rate, in ppm; positive if it runs fast."""
    playback_ppm: float | None = None
    round_trip_stated_ms: float | None = None
    """Time from the speaker's callback to the microphone's, as reported by the driver."""
    round_trip_ms: float | None = None
    """Time from the speaker's callback to the microphone's, as measured with a loopback; None without a loopback."""

    @property
    def unstated_ms(self) -> float | None:
        """The part of both devices' total delay that the driver does not report; None without a loopback."""
        if self.round_trip_ms is None or self.round_trip_stated_ms is None:
            return None
        return self.round_trip_ms - self.round_trip_stated_ms

    @property
    def bound_ms(self) -> float | None:
        """The largest error (±) of a response time after subtracting the bias; None without a loopback."""
        if self.response is None or self.round_trip_ms is None:
            return None
        return self.response.bound_ms

    def is_old(self, at: datetime | None = None) -> bool:
        """Returns whether the calibration has expired; ``at`` defaults to the current time."""
        return ((at or datetime.now(UTC)) - self.measured).days >= VALID_DAYS

    def problem(self, now: DevicesInUse, at: datetime) -> str:
        """Explains why the calibration does not apply to the devices in use ``now``; empty if it applies."""
        if changed := self.devices.change(now):
            return f"the calibration is out of date: {changed}"
        if self.is_old(at):
            return f"the calibration is out of date: it is at least {VALID_DAYS} days old"
        if self.bound_ms is None:
            return "calibrated without a loopback, so the devices' delay is not known"
        return ""


class Timing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How accurately a call with sound devices measures times."""

    calibration: Calibration | None = None
    """The calibration that applies; None if there is none."""
    problem: str = NOT_CALIBRATED
    """Why no calibration applies; empty if a calibration applies."""

    @property
    def response(self) -> Bound:
        """The error of a response time. The delays of both devices contribute to the error."""
        of = self.calibration
        return self._bound(of.response if of else None)

    @property
    def silence(self) -> Bound:
        """The error of the time from the start of the user's speech until the speaker is silent."""
        of = self.calibration
        return self._bound(of.silence or of.response if of else None)

    @property
    def one_device(self) -> Bound:
        """The error of a time that is measured at only one device.

        A loopback measures only the sum of both delays, so the delay of each device is unknown and cannot be
        subtracted.
        """
        both = self.response
        return Bound(0.0, both.bound_ms + abs(both.bias_ms))

    @property
    def dead_air(self) -> Bound:
        """The error of the length of a silence or an overlap, which may start and end at different devices."""
        return self.one_device

    def _bound(self, measured: Spread | None) -> Bound:
        if measured is None:
            return Bound(0.0, STATED_BOUND_MS)
        return Bound(measured.bias_ms, measured.bound_ms)

    def __str__(self) -> str:
        bound_ms = self.response.bound_ms
        if self.calibration is None:
            return f"± {bound_ms:.0f} ms, {self.problem}"
        return f"± {bound_ms:.1f} ms, calibrated {self.calibration.measured:%Y-%m-%d}"


class KnownDevices(NamedTuple):
    """Stored calibrations, block size and sound server, which are known before a call opens its devices."""

    block_ms: int
    calibrations: Sequence[Calibration] = ()
    server: str = ""

    def timing(self, capture: str | None, playback: str | None, latency_ms: float) -> Timing | None:
        """Returns the timing accuracy with these devices; None if the call uses no device."""
        if capture is None and playback is None:
            return None
        if capture is None or playback is None:
            return Timing()
        return timing_of(
            self.calibrations, DevicesInUse(capture, playback, latency_ms, self.block_ms, self.server)
        )


def known_devices(block_ms: int, host_api: str) -> KnownDevices:
    """Reads the stored calibrations and the name of the sound server. Blocks the calling thread."""
    known = calibrations()
    # The server is compared only if there is a calibration.
    return KnownDevices(block_ms, known, sound_server(host_api) if known else "")


def timing_of(known: Sequence[Calibration], now: DevicesInUse, at: datetime | None = None) -> Timing:
    """Returns the timing accuracy of the devices in use ``now``; ``at`` defaults to the current time."""
    at = at or datetime.now(UTC)
    of_pair = [each for each in known if each.devices.pair == now.pair]
    problems = [(each.problem(now, at), each) for each in of_pair]
    for problem, each in reversed(problems):
        if not problem:
            return Timing(each, "")
    return Timing(None, problems[-1][0] if problems else NOT_CALIBRATED)


def calibrations() -> list[Calibration]:
    """Returns the stored calibrations, newest last. Blocks the calling thread.

    The list is empty if the file is missing or unreadable.
    """
    try:
        return msgspec.json.decode(_path().read_bytes(), type=list[Calibration])
    except (OSError, ValueError, RecursionError):
        return []


def keep_calibration(calibration: Calibration) -> Path:
    """Stores a calibration and returns the path of the file. Blocks the calling thread.

    Replaces calibrations with the same devices, latency and block size. Raises `OSError`.
    """
    of = calibration.devices
    kept = [
        each
        for each in calibrations()
        if (each.devices.pair, each.devices.block_ms) != (of.pair, of.block_ms)
        or abs(each.devices.latency_ms - of.latency_ms) > _SAME_LATENCY_MS
    ]
    path = _path()
    private_folder(path.parent)
    write_atomically(path, msgspec.json.format(msgspec.json.encode([*kept, calibration][-_KEPT:])))
    return path


def sound_server(host_api: str) -> str:
    """Returns the name of the host API, followed by the sound server that `pactl` reports, if any.

    Blocks the calling thread for at most a second.
    """
    pactl = shutil.which("pactl")
    if pactl is None:
        return host_api
    lines: list[str] = []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = subprocess.run(
            [pactl, "info"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SERVER_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        lines = asked.stdout.decode(errors="replace").splitlines()
    found = dict(line.split(": ", 1) for line in lines if ": " in line)
    named = [found[key][:60] for key in ("Server Name", "Server Version") if key in found]
    return ", ".join([host_api, " ".join(named)]) if named else host_api


def _path() -> Path:
    return user_state_path("opusagent-tui") / _FILE
