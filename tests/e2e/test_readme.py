"""Tests that every command in the README works as written, from a copy of the source tree and with an empty home."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.terminal import ROOT, Terminal

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("readme")]

README = (ROOT / "README.md").read_text(encoding="utf-8")
OUTSIDE = ("agent.example.com", "connect staging")
"""Commands that need the reader's own server."""
ON_A_SCREEN = {
    "opusagent-tui demo": "active",
    "opusagent-tui": "Choose an agent to call",
    "opusagent-tui open latest": "0:00.0",
    "opusagent-tui demo --protocol openai": "active",
}
"""Commands with a screen, and a text that the screen shows once it is up."""
THE_TESTS = "tests/run"
SHORTENED = {
    # In 15 s, a busy machine may measure too few answers.
    "opusagent-tui calibrate": " || ".join(
        f"opusagent-tui calibrate --latency 0.1{seconds}" for seconds in (" --seconds 15", "")
    ),
    "--max-response-ms 3000": "--max-response-ms 60000",
    "--users 20 --run-time 1m": "--users 2 --run-time 8s",
}
"""Parts of commands, and what replaces them to shorten them and make them reliable on a busy machine."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Returns every command line in a block and every command in a sentence, in order, without comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    whole = re.findall(r"`(opusagent-tui [a-z][^`…]*)`", prose)
    return [re.sub(r"\s+# .*", "", line) for line in [*lines, *whole]]


def without_screen() -> list[str]:
    return [
        line
        for line in commands()
        if line not in ON_A_SCREEN and line != THE_TESTS and not any(word in line for word in OUTSIDE)
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone") / "opusagent-tui"
    for name in ("tui", "assets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, sound: dict[str, str]) -> dict[str, str]:
    """Returns an environment in which uv and pipx install to a test folder, which is first on PATH."""
    folder = tmp_path_factory.mktemp("tools")
    programs = Path(sys.executable).parent  # pipx, and a python3 that is new enough
    return {
        **sound,
        "PATH": f"{folder / 'bin'}{os.pathsep}{programs}{os.pathsep}{os.environ['PATH']}",
        "UV_TOOL_DIR": str(folder / "uv"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "UV_PYTHON": sys.executable,
        "PIP_NO_COMPILE": "0",  # "0" turns the option on; compiling bytecode would take half of pip's time
        "PIPX_HOME": str(folder / "pipx"),
        "PIPX_BIN_DIR": str(folder / "pipx-bin"),
    }


@pytest.fixture(scope="module")
def installed(source: Path, tools: dict[str, str]) -> None:
    """Installs the program with the README's first command, and an extra with a later one."""
    installs = [line for line in commands() if line.startswith("uv tool")]
    assert installs == ["uv tool install .", "uv tool install --force '.[load]'"]
    shell("\n".join(installs), source, {**os.environ, **tools})


@pytest.fixture
def environment(tools: dict[str, str]) -> dict[str, str]:
    """Returns the environment of a shell after the installation, with an empty home."""
    return {name: value for name, value in {**os.environ, **tools}.items() if name != "PYTHONPATH"}


def shell(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout


def script_of(lines: list[str]) -> str:
    """Returns a script of command lines, which waits until an agent started in the background listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script = ["set -euo pipefail", "trap 'kill $(jobs -p)' EXIT"]
    for line in lines:
        shortened = line
        for part, shorter in SHORTENED.items():
            shortened = shortened.replace(part, shorter)
        script.append(shortened.replace("9000", port))
        if line.endswith("&"):
            script += [f"until (: <>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done"]
    return "\n".join(script)


def test_the_other_two_ways_to_install(source: Path, environment: dict[str, str]) -> None:
    (by_pipx,) = re.findall(r"# or: (pipx .*)", README)
    (by_hand,) = re.findall(r"`(python3 -m venv [^`]*)`", README)
    shell(by_hand, source, environment)
    version = shell(".venv/bin/opusagent-tui --version", source, environment)
    shutil.rmtree(source / ".venv")
    shell(by_pipx, source, environment)
    assert shell(f"{environment['PIPX_BIN_DIR']}/opusagent-tui --version", source, environment) == version


@pytest.mark.usefixtures("installed")
def test_every_command_without_a_screen(environment: dict[str, str], tmp_path: Path) -> None:
    lines = [line for line in without_screen() if not line.startswith("uv tool")]
    printed = shell(script_of([*lines, "complete -p opusagent-tui"]), tmp_path, environment)
    assert "agent: We are open from nine" in printed  # jq reads the transcript
    assert re.search(r"^\d+\.\d+ seconds$", printed, re.MULTILINE)  # python3 reads the recording
    assert "complete -o" in printed
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "answer.wav").stat().st_size > 10_000
    assert "response time" in (tmp_path / "load.html").read_text()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("command", ON_A_SCREEN)
def test_every_command_with_a_screen(command: str, environment: dict[str, str], tmp_path: Path) -> None:
    assert command in commands()
    if "latest" in command:
        call = [
            line
            for line in without_screen()
            if line.startswith(("opusagent-tui agent", "opusagent-tui call"))
        ]
        shell(script_of(call), tmp_path, environment)
    terminal = Terminal(tmp_path, environment, (120, 36))
    try:
        terminal.run_shell(command)
        terminal.wait_for(ON_A_SCREEN[command])
        terminal.press("q")
    finally:
        terminal.kill()
        terminal.wait_until_gone()


def test_the_settings_of_the_example_are_valid(environment: dict[str, str], tmp_path: Path) -> None:
    (settings,) = blocks("toml")
    (tmp_path / "config.toml").write_text(settings, encoding="utf-8")
    command = f"TENANT=acme {sys.executable} -m tui config --config config.toml"
    assert "keep_days" in shell(command, tmp_path, {**environment, "PYTHONPATH": str(ROOT)})
