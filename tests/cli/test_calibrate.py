"""Tests `calibrate` and `devices`: output, stored calibrations, and exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tui.audio.calibration import Calibration, DevicesInUse, Spread, calibrations
from tui.audio.devices import Device
from tui.calibrating.calibrate import CalibrationFailed
from tui.cli.main import cli
from tui.models.target import Target

MEASURED = Calibration(
    devices=DevicesInUse("USB mic", "USB speaker", 40.0, 20, "ALSA"),
    measured=datetime.now(UTC).replace(microsecond=0),
    protocol="pcm",
    response=Spread(-37.2, 2.5, 17),
    silence=Spread(-30.0, 4.0, 8),
    capture_ppm=12.4,
    round_trip_stated_ms=70.0,
    round_trip_ms=107.2,
)
NO_LOOP = msgspec.structs.replace(MEASURED, round_trip_ms=None)
DEVICE = Device(0, "USB mic", "ALSA", 1, 1, 16_000, is_default_input=True, is_default_output=True)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def ran(monkeypatch: pytest.MonkeyPatch, found: Calibration | str, *arguments: str) -> Result:
    """Runs the command; ``found`` is its calibration, or the reason why there is none."""

    async def measure(target: Target, seconds: float) -> Calibration:
        assert (target.protocol, seconds) == ("pcm", 60.0)
        if isinstance(found, str):
            raise CalibrationFailed(found)
        return found

    monkeypatch.setattr("tui.calibrating.calibrate.calibrate", measure)
    return CliRunner().invoke(cli, ["calibrate", "--protocol", "pcm", *arguments])


def test_it_prints_and_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    result = ran(monkeypatch, MEASURED)
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "USB mic → USB speaker, latency 40 ms, block 20 ms, pcm",
            "  response time     bias -37.2 ms, ± 2.5 ms (p95 of 17)",
            "  onset to silence  bias -30.0 ms, ± 4.0 ms (p95 of 8)",
            "  barge-in onset    not measured (too few values)",
            "  dead air          same as response time (measured between the same edges)",
            "  clocks            microphone +12 ppm, speaker not measured",
            "  round trip        reported 70.0 ms, measured 107.2 ms",
        ],
    )
    assert calibrations() == [MEASURED]


def test_without_a_loop_it_says_what_was_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    result = ran(monkeypatch, NO_LOOP)
    assert result.exit_code == 0
    assert "reported 70.0 ms, measured not measured" in result.stdout
    assert "The microphone cannot hear the speaker" in result.stdout


def test_json_is_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    result = ran(monkeypatch, MEASURED, "--json")
    assert msgspec.json.decode(result.stdout, type=Calibration) == MEASURED


@pytest.mark.parametrize(
    ("found", "check", "code"),
    [(MEASURED, "2.5", 0), (MEASURED, "2.4", 1), (NO_LOOP, "100", 6)],
)
def test_check_judges_how_exact_times_are(
    found: Calibration, check: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ran(monkeypatch, found, "--check", check).exit_code == code


def test_a_failure_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    result = ran(monkeypatch, "The microphone is not delivering any audio.", "--json")
    assert result.exit_code == 4
    assert result.stderr.splitlines()[-1] == "The microphone is not delivering any audio."
    assert json.loads(result.stdout)["code"] == "unreachable"
    assert calibrations() == []


def test_without_devices_there_is_nothing_to_calibrate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPUSAGENT_TUI_HIDE_PORTAUDIO", "1")
    result = CliRunner().invoke(cli, ["calibrate"])
    assert result.exit_code == 4
    assert "PortAudio" in result.stderr


def test_devices_shows_calibrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.audio.devices.list_by_trial", lambda: [DEVICE])
    assert "not calibrated" in CliRunner().invoke(cli, ["devices"]).stdout
    ran(monkeypatch, MEASURED)
    shown = CliRunner().invoke(cli, ["devices"]).stdout.splitlines()[-1]
    assert shown.startswith("calibrated: USB mic → USB speaker  (latency 40 ms, block 20 ms)  ± 2.5 ms  20")
