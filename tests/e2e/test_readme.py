"""Tests that every command in the README works as written, from a copy of the source tree and with an empty home."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.terminal import ROOT, Terminal
from tui.load.processes import free_port

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
HOMES = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
IN_THE_BACKGROUND = {
    # It takes 25 s. In the 15 s that it listens, a busy machine may measure too few answers.
    "opusagent-tui calibrate": " || ".join(
        f"opusagent-tui calibrate --latency 0.1{seconds}" for seconds in (" --seconds 15", "")
    ),
}
"""Commands that run beside all others, and what replaces them."""
SHORTENED = {
    "--max-response-ms 3000": "--max-response-ms 60000",
    "--users 20 --run-time 1m": "--users 2 --run-time 3s",
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
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, sound: dict[str, str]) -> dict[str, str]:
    """Returns an environment in which uv and pipx install to a test folder, which is first on PATH."""
    folder = tmp_path_factory.mktemp("tools")
    programs = Path(sys.executable).parent  # pipx, and a python3 that is new enough
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()  # not that of the empty home
    return {
        **sound,
        "PATH": f"{folder / 'bin'}{os.pathsep}{programs}{os.pathsep}{os.environ['PATH']}",
        "PIP_CACHE_DIR": str(cache / "pip"),
        "UV_CACHE_DIR": str(cache / "uv"),
        "UV_TOOL_DIR": str(folder / "uv"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "UV_PYTHON": sys.executable,
        "PIP_NO_COMPILE": "0",  # "0" turns the option on; compiling bytecode would take half of pip's time
        "PIPX_HOME": str(folder / "pipx"),
        "PIPX_BIN_DIR": str(folder / "pipx-bin"),
    }


@pytest.fixture(scope="module")
def environment(
    source: Path, tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Installs the program and an extra; returns the environment of a shell after that, with an empty home."""
    installs = [line for line in commands() if line.startswith("uv tool")]
    assert installs == ["uv tool install .", "uv tool install --force '.[load]'"]
    shell("\n".join(installs), source, {**os.environ, **tools})
    home = tmp_path_factory.mktemp("home")
    places = {name: str(home / name.lower()) for name in ("HOME", *HOMES)}
    return {**os.environ, **tools, **places, "PYTHONPATH": ""}  # not the source tree


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder in which the commands are run."""
    return tmp_path_factory.mktemp("here")


@pytest.fixture(scope="module")
def printed(environment: dict[str, str], folder: Path) -> str:
    """Runs every command without a screen, one of which saves a session; returns what they print."""
    lines = [line for line in without_screen() if not line.startswith("uv tool")]
    return shell(script_of([*lines, "complete -p opusagent-tui"]), folder, environment)


def shell(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout


def script_of(lines: list[str]) -> str:
    """Returns a script of command lines, which waits until an agent started in the background listens."""
    port = str(free_port())
    script = ["set -euo pipefail", "trap 'kill $(jobs -p)' EXIT"]
    script += [f"({IN_THE_BACKGROUND[line]}) & beside=$!" for line in lines if line in IN_THE_BACKGROUND]
    for line in lines:
        if line in IN_THE_BACKGROUND:
            continue
        shortened = line
        for part, shorter in SHORTENED.items():
            shortened = shortened.replace(part, shorter)
        script.append(shortened.replace("9000", port))
        if line.endswith("&"):
            script += [f"until (: <>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done"]
    return "\n".join([*script, "wait $beside"])


def test_the_other_two_ways_to_install(source: Path, environment: dict[str, str]) -> None:
    (by_pipx,) = re.findall(r"# or: (pipx .*)", README)
    (by_hand,) = re.findall(r"`(python3 -m venv [^`]*)`", README)
    shell(by_hand, source, environment)
    version = shell(".venv/bin/opusagent-tui --version", source, environment)
    shutil.rmtree(source / ".venv")
    shell(by_pipx, source, environment)
    assert shell(f"{environment['PIPX_BIN_DIR']}/opusagent-tui --version", source, environment) == version


def test_every_command_without_a_screen(printed: str, folder: Path) -> None:
    assert "agent: We are open from nine" in printed  # jq reads the transcript
    assert re.search(r"^\d+\.\d+ seconds$", printed, re.MULTILINE)  # python3 reads the recording
    assert "complete -o" in printed
    assert (folder / "report.html").stat().st_size > 10_000
    assert (folder / "answer.wav").stat().st_size > 10_000
    assert "response time" in (folder / "load.html").read_text()


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize("command", ON_A_SCREEN)
def test_every_command_with_a_screen(command: str, environment: dict[str, str], tmp_path: Path) -> None:
    assert command in commands()
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
    command = "TENANT=acme opusagent-tui config --config config.toml"
    assert "keep_days" in shell(command, tmp_path, environment)
