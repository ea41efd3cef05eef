"""Tests which calibration applies to the devices of a call, and the file that stores calibrations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.builders import CALIBRATED
from tui.audio.calibration import (
    DevicesInUse,
    Spread,
    Timing,
    calibrations,
    keep_calibration,
    sound_server,
    timing_of,
)

DAY = datetime(2026, 3, 1, tzinfo=UTC)
DEVICES = DevicesInUse("USB mic", "USB speaker", 40.0, 20, "ALSA, PulseAudio 16.1")
assert CALIBRATED.calibration
KNOWN = msgspec.structs.replace(CALIBRATED.calibration, devices=DEVICES)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def changed(**what: object) -> DevicesInUse:
    return msgspec.structs.replace(DEVICES, **what)


def test_a_calibration_of_the_same_devices_applies() -> None:
    timing = timing_of([KNOWN], changed(latency_ms=40.4), DAY + timedelta(days=29))
    assert (timing.calibration, timing.problem) == (KNOWN, "")
    assert timing.response == (-37.0, 2.5)
    assert timing.silence == (-30.0, 4.0)
    # It is unknown which of the two devices is late.
    assert timing.one_device == (0.0, 39.5)
    assert str(timing) == "± 2.5 ms, calibrated 2026-03-01"
    assert KNOWN.unstated_ms == 37.0


@pytest.mark.parametrize(
    ("now", "days", "problem"),
    [
        (changed(capture="headset"), 0, "not calibrated"),
        (changed(latency_ms=120.0), 0, "the speaker latency changed from 40 ms to 120 ms"),
        (changed(block_ms=10), 0, "the block size changed from 20 ms to 10 ms"),
        (
            changed(server="ALSA, PipeWire 1.0"),
            0,
            "the sound server changed from ALSA, PulseAudio 16.1 to ALSA, PipeWire 1.0",
        ),
        (DEVICES, 30, "it is at least 30 days old"),
    ],
)
def test_what_has_changed_makes_it_stale_and_is_named(now: DevicesInUse, days: int, problem: str) -> None:
    timing = timing_of([KNOWN], now, DAY + timedelta(days=days))
    assert timing.calibration is None
    assert problem in timing.problem
    assert timing.response == timing.silence == timing.one_device == (0.0, 20.0)


def test_without_a_loop_the_stated_bound_stays() -> None:
    timing = timing_of([msgspec.structs.replace(KNOWN, round_trip_ms=None)], DEVICES, DAY)
    assert timing.problem == "calibrated without a loopback, so the devices' delay is not known"
    assert timing.response == (0.0, 20.0)


def test_one_that_applies_is_found_among_others_and_the_newest_counts() -> None:
    newer = msgspec.structs.replace(KNOWN, response=Spread(-36.0, 0.2, 17))
    other = msgspec.structs.replace(KNOWN, devices=changed(block_ms=10))
    timing = timing_of([KNOWN, newer, other], DEVICES, DAY)
    # Edges are found to the millisecond, and no figure is more accurate than its edges.
    assert timing.response == (-36.0, 1.0)


def test_calibrations_are_kept_and_replaced_by_newer_ones() -> None:
    assert calibrations() == []
    keep_calibration(KNOWN)
    keep_calibration(msgspec.structs.replace(KNOWN, devices=changed(block_ms=10)))
    newer = msgspec.structs.replace(KNOWN, measured=DAY + timedelta(days=1))
    path = keep_calibration(newer)
    assert [(each.devices.block_ms, each.measured.day) for each in calibrations()] == [(10, 1), (20, 2)]
    path.write_text('[{"devices": {}}]')
    assert calibrations() == []


def test_a_timing_crosses_the_pipe_and_the_disk() -> None:
    timing = Timing(KNOWN, "")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(timing), type=Timing) == timing
    assert msgspec.json.decode(msgspec.json.encode(timing), type=Timing) == timing


def test_the_sound_server_is_named_where_it_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pactl = tmp_path / "pactl"
    pactl.write_text("#!/bin/sh\necho 'Server Name: PulseAudio'\necho 'Server Version: 16.1'\n")
    pactl.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sound_server("ALSA") == "ALSA, PulseAudio 16.1"
    pactl.write_text("#!/bin/sh\nexit 1\n")
    assert sound_server("ALSA") == "ALSA"
    pactl.unlink()
    assert sound_server("Core Audio") == "Core Audio"
