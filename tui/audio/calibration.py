"""Calibrations of pairs of devices, the file that stores them, and the error bounds of measured times.

Without a calibration, this program knows only the delays that the driver reports for a microphone and a
speaker. A calibration (`tui.calibrating`) measures their error. A calibration never changes recorded times:
bias and ± are stored separately and applied when a figure is shown. The screen and the engine both import this
module, so it loads nothing heavy.
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
"""Error bound of a time measured with uncalibrated devices, as determined with virtual devices. See
`benchmarks/README.md`.

Any delay that the driver does not report adds to this; only a calibration can reveal it."""
LEAST_BOUND_MS = 1.0
"""Smallest possible bound, because edges of sound are found to the nearest millisecond."""
VALID_DAYS = 30
NOT_CALIBRATED = "not calibrated"
_SAME_LATENCY_MS = 1.0
_FILE = "calibrations.json"
_KEPT = 50
_SERVER_S = 1.0


class Bound(NamedTuple):
    """The error of one kind of figure: its bias, and the largest error that remains once the bias is subtracted."""

    bias_ms: float = 0.0
    bound_ms: float = 0.0


class Spread(msgspec.Struct, frozen=True):
    """Measured errors (measured minus true value) of one kind of figure."""

    bias_ms: float
    """The median error."""
    spread_ms: float
    """95th percentile of the distance from the median."""
    count: int

    @property
    def bound_ms(self) -> float:
        """The ± of a figure after the bias is subtracted."""
        return max(self.spread_ms, LEAST_BOUND_MS)

    def __str__(self) -> str:
        return f"bias {self.bias_ms:+.1f} ms, ± {self.spread_ms:.1f} ms (p95 of {self.count})"


class DevicesInUse(msgspec.Struct, frozen=True):
    """The devices and settings for which a calibration is valid."""

    capture: str
    playback: str
    latency_ms: float
    """Latency of the speaker, as the device reports it."""
    block_ms: int
    server: str = ""
    """Host API, and the name and version of the sound server if there is one."""

    @property
    def pair(self) -> tuple[str, str]:
        """The two devices, regardless of their settings."""
        return self.capture, self.playback

    def change(self, now: DevicesInUse) -> str:
        """Returns what differs now, in words; empty if nothing has changed."""
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
    """The errors and delays measured with a pair of devices. None means not measured."""

    devices: DevicesInUse
    measured: Annotated[datetime, msgspec.Meta(tz=True)]
    protocol: str = ""
    response: Spread | None = None
    """Error of response times."""
    silence: Spread | None = None
    """Error of the time from the user's onset in a barge-in to silence at the speaker."""
    signal: Spread | None = None
    """Error of the user's onset in a barge-in, excluding the microphone's delay.

    The time to the agent's signal has the same error.
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
        """Total delay of both devices that the driver does not report."""
        if self.round_trip_ms is None or self.round_trip_stated_ms is None:
            return None
        return self.round_trip_ms - self.round_trip_stated_ms

    @property
    def bound_ms(self) -> float | None:
        """The ± of a response time after the bias is subtracted; None if no loopback was used to measure it."""
        if self.response is None or self.round_trip_ms is None:
            return None
        return self.response.bound_ms

    def is_old(self, at: datetime | None = None) -> bool:
        """Returns whether the calibration is too old to apply; ``at`` defaults to now."""
        return ((at or datetime.now(UTC)) - self.measured).days >= VALID_DAYS

    def problem(self, now: DevicesInUse, at: datetime) -> str:
        """Returns why the calibration does not apply, in words; empty if it does."""
        if changed := self.devices.change(now):
            return f"the calibration is out of date: {changed}"
        if self.is_old(at):
            return f"the calibration is out of date: it is at least {VALID_DAYS} days old"
        if self.bound_ms is None:
            return "calibrated without a loopback, so the devices' delay is not known"
        return ""


class Timing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The accuracy of times in a call with devices."""

    calibration: Calibration | None = None
    """The calibration that applies; None if there is none."""
    problem: str = NOT_CALIBRATED
    """Why no calibration applies; empty if one does."""

    @property
    def response(self) -> Bound:
        """The error of a response time, which depends on the delays of both devices."""
        of = self.calibration
        return self._bound(of.response if of else None)

    @property
    def silence(self) -> Bound:
        """The error of the time from the user's onset to silence at the speaker."""
        of = self.calibration
        return self._bound(of.silence or of.response if of else None)

    @property
    def one_device(self) -> Bound:
        """The error of a time that depends on only one device.

        A loopback measures only the sum of both delays, so the delay of each device is unknown and cannot be
        subtracted.
        """
        both = self.response
        return Bound(0.0, both.bound_ms + abs(both.bias_ms))

    @property
    def dead_air(self) -> Bound:
        """The error of the length of a silence or an overlap, whose ends may be measured at different devices."""
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
    """The timing accuracy of a call's devices, as far as it is known before the call."""

    block_ms: int
    calibrations: Sequence[Calibration] = ()
    server: str = ""

    def timing(self, capture: str | None, playback: str | None, latency_ms: float) -> Timing | None:
        """Returns the timing for these devices; None if neither is used."""
        if capture is None and playback is None:
            return None
        if capture is None or playback is None:
            return Timing()
        return timing_of(
            self.calibrations, DevicesInUse(capture, playback, latency_ms, self.block_ms, self.server)
        )


def known_devices(block_ms: int, host_api: str) -> KnownDevices:
    """Returns the known timing accuracy of the devices of this host API. Blocks the calling thread."""
    known = calibrations()
    # The server is compared only if there is a calibration.
    return KnownDevices(block_ms, known, sound_server(host_api) if known else "")


def timing_of(known: Sequence[Calibration], now: DevicesInUse, at: datetime | None = None) -> Timing:
    """Returns the timing of a call with these devices; ``at`` defaults to now."""
    at = at or datetime.now(UTC)
    of_pair = [each for each in known if each.devices.pair == now.pair]
    problems = [(each.problem(now, at), each) for each in of_pair]
    for problem, each in reversed(problems):
        if not problem:
            return Timing(each, "")
    return Timing(None, problems[-1][0] if problems else NOT_CALIBRATED)


def calibrations() -> list[Calibration]:
    """Returns the stored calibrations, newest last.

    Empty if the file is missing or unreadable. Blocks the calling thread.
    """
    try:
        return msgspec.json.decode(_path().read_bytes(), type=list[Calibration])
    except (OSError, ValueError, RecursionError):
        return []


def keep_calibration(calibration: Calibration) -> Path:
    """Stores a calibration, replacing any with the same devices, latency and block. Blocks the calling thread.

    Raises `OSError`.
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
    """Returns the host API and, if `pactl` reports one, its sound server.

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
