"""Tests that a wheel installs the complete program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installs the built wheel into an empty environment; returns the folder of its programs."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    folder = tmp_path_factory.mktemp("wheel")
    run([uv, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)])
    run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")])
    (wheel,) = folder.glob("*.whl")
    run([uv, "pip", "install", "--quiet", "--python", str(folder / "venv"), str(wheel)])
    return folder / "venv" / "bin"


def run(command: list[str], cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_it_tells_its_version_and_help(installed: Path, tmp_path: Path) -> None:
    program = str(installed / "opusagent-tui")
    assert "0." in run([program, "--version"], tmp_path)
    assert "demo" in run([program, "--help"], tmp_path)


def test_it_holds_a_call_with_its_own_agent_and_reports_it(installed: Path, tmp_path: Path) -> None:
    """Runs in a folder of modules with the same names as the program's, none of which is run."""
    for name in ("tui", "numpy", "websockets", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('decoy')")
    program = str(installed / "opusagent-tui")
    code = (
        "import subprocess, sys\n"
        "from tui.agent.process import start_agent\n"
        "from tui.agent.settings import AgentSettings\n"
        "with start_agent(AgentSettings()) as agent:\n"
        "    url = agent.url('/audiocodes')\n"
        f"    command = [{program!r}, 'call', url, '--say', '4', '--save', 'kept']\n"
        "    sys.exit(subprocess.run(command).returncode)\n"
    )
    told = run([str(installed / "python"), "-P", "-c", code], tmp_path)
    assert "recognition: Yes." in told
    run([program, "report", "kept/latest", "-o", "report.html"], tmp_path)
    assert b"default-src 'none'" in (tmp_path / "report.html").read_bytes()


def test_its_screen_can_be_painted(installed: Path, tmp_path: Path) -> None:
    """Requires the style sheets and recordings in the wheel."""
    code = (
        "import asyncio, time\n"
        "from tui.app import Launch, OpusAgentApp\n"
        "from tui.bridge import Bridge\n"
        "class Engine:\n"
        "    alive, log_path = True, ''\n"
        "    def drain(self): return []\n"
        "    def send(self, command): pass\n"
        "async def main():\n"
        "    app = OpusAgentApp(Bridge(Engine(), time.monotonic_ns), launch=Launch(auto_tick=False))\n"
        "    async with app.run_test(size=(80, 24)):\n"
        "        print(app.screen.__class__.__name__)\n"
        "asyncio.run(main())\n"
    )
    assert "ConnectScreen" in run([str(installed / "python"), "-c", code], tmp_path)
