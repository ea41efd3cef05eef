"""Tests, with the real library, ALSA configurations and a sound server that make PortAudio abort, hang or fail."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("sound setups")
CONFIGURATIONS = Path(__file__).with_name("alsa")


@pytest.fixture
def hung_server(tmp_path: Path) -> Iterator[Path]:
    """Yields the folder of a sound server that accepts connections and never answers."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "pulse.sock"))
        server.listen(50)
        yield tmp_path


def program(configuration: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "ALSA_CONFIG_PATH": str(configuration), **environment},
    )


def configured(name: str, folder: Path, server: str | Path) -> Path:
    """Returns a copy of a configuration for the sound server in this folder."""
    copy = folder / name
    copy.write_bytes((CONFIGURATIONS / name).read_bytes().replace(b"VIRTUAL_AUDIO_DIR", os.fsencode(server)))
    return copy


@pytest.mark.parametrize("name", ["bad.conf", "empty.conf", "dead.conf", "missing.conf"])
def test_a_configuration_without_devices_is_one_sentence(name: str) -> None:
    run = program(CONFIGURATIONS / name, "devices")
    assert (run.returncode, run.stdout) == (4, "")
    assert re.fullmatch(r"(There is no|No sound|The sound|PortAudio) [^\n]*\.\n", run.stderr), run.stderr


@pytest.mark.parametrize("name", ["dup.conf", "inonly.conf", "outonly.conf"])
def test_portaudio_that_aborts_without_a_default_device_is_one_sentence(
    name: str, tmp_path: Path, sound: dict[str, str]
) -> None:
    run = program(configured(name, tmp_path, sound["VIRTUAL_AUDIO_DIR"]), "devices")
    assert (run.returncode, run.stdout) == (4, "")
    assert run.stderr == (
        "PortAudio crashed while listing the sound devices (SIGABRT)."
        " Check the ALSA configuration: PortAudio needs a device called “default”.\n"
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("names.conf", ["evil␛[31m␇", "tab new", " 5 ", " lines "]),
        ("utf8.conf", ["Mikrofon ü漢🎤", "default"]),
        ("stereo.conf", ["mono1", "default"]),
    ],
)
def test_names_are_shown_and_cannot_control_the_terminal(
    name: str, shown: list[str], tmp_path: Path, sound: dict[str, str]
) -> None:
    run = program(configured(name, tmp_path, sound["VIRTUAL_AUDIO_DIR"]), "devices")
    assert run.returncode == 0, run.stderr
    for device in shown:
        assert device in run.stdout
    assert not set("\x1b\x07\t") & set(run.stdout)


def test_a_sound_server_that_never_answers_is_given_up_after_the_time_limit(
    tmp_path: Path, hung_server: Path
) -> None:
    configuration = configured("utf8.conf", tmp_path, hung_server)
    run = program(configuration, "devices", OPUSAGENT_TUI_SOUND_TIMEOUT_S="0.7")
    assert run.returncode == 4
    assert run.stderr.startswith("The sound system did not answer within 0.7 s. ")


def test_a_device_that_was_typed_and_does_not_exist_is_a_wrong_usage(
    tmp_path: Path, sound: dict[str, str]
) -> None:
    configuration = configured("utf8.conf", tmp_path, sound["VIRTUAL_AUDIO_DIR"])
    run = program(configuration, "connect", "ws://127.0.0.1:9/", "--input", "Mikroskop")
    assert run.returncode == 2
    assert run.stderr.startswith("--input: No input device has 'Mikroskop' in its name; available: ")
