"""Tests that nothing is imported from the current directory, however the program was installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.process import until
from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.bridge import Bridge
from tui.child import child_command
from tui.engine import wire
from tui.engine.handle import EngineHandle

pytestmark = pytest.mark.xdist_group("decoys")

ROOT = Path(__file__).parent.parent
EVERYTHING = """
import sys, json
import tui.cli.main, tui.cli.screen, tui.cli.sessions, tui.app, tui.call, tui.report.page, tui.screens.session
import tui.agent.__main__, tui.agent.server, tui.engine.__main__, tui.engine.engine, tui.saving.deleting
import numpy, onnxruntime, samplerate, sounddevice, websockets.asyncio.client, websockets.asyncio.server
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules} - set(sys.builtin_module_names))))
"""


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """Returns every top-level module that the program imports, including the standard library's."""
    ran = subprocess.run(
        [sys.executable, "-c", EVERYTHING], capture_output=True, text=True, check=True, cwd=ROOT
    )
    found: list[str] = [name for name in json.loads(ran.stdout) if name != "__main__"]
    assert {"tui", "numpy", "websockets", "msgspec", "textual", "sounddevice", "asyncio", "json"} <= set(
        found
    )
    return found


@pytest.fixture
def here(modules: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fills the current directory with modules that write a note when they are run; returns the path of the note."""
    note = tmp_path / "note"
    code = f"import os; open({str(note)!r}, 'a').write(__name__ + ' '); raise SystemExit('decoy')"
    folder = tmp_path / "here"
    for name in modules:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(code)
        (folder / name / "__main__.py").write_text(code)
    for name in ("sitecustomize", "usercustomize"):
        (folder / f"{name}.py").write_text(code)
    monkeypatch.chdir(folder)
    return note


def test_the_engine_imports_nothing_from_the_current_directory(here: Path) -> None:
    engine = EngineHandle().start()
    bridge = Bridge(engine, time.monotonic_ns)
    try:
        bridge.send(wire.ListDevices())
        until(bridge, lambda: bridge.latest.devices is not None)
    finally:
        bridge.close()
        engine.stop()
    assert not here.exists()


def test_agent_and_call_import_nothing_from_the_current_directory(here: Path) -> None:
    program = str(Path(sys.executable).with_name("opusagent-tui"))
    with start_agent(AgentSettings()) as agent:
        command = [program, "call", agent.url("/audiocodes"), "--say", "4", "--no-save"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert ran.returncode == 0, ran.stderr
    assert not here.exists()


def test_the_decoys_would_be_run(here: Path) -> None:
    subprocess.run([sys.executable, "-m", "tui.engine"], capture_output=True, check=False, timeout=50)
    assert here.read_text()


@pytest.mark.parametrize("pythonpath", [None, str(ROOT)])
def test_a_clone_that_is_not_installed_is_found(tmp_path: Path, pythonpath: str | None) -> None:
    """-S excludes site-packages, and therefore an installed copy of the program."""
    python, *rest = child_command("tui.units")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if pythonpath:
        environment["PYTHONPATH"] = pythonpath
    code = "import sys, tui; sys.exit(not tui.__file__.startswith(sys.argv[1]))"
    bare = [python, "-S", "-c", code, str(ROOT)]
    found_by_itself = subprocess.run(bare, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (found_by_itself.returncode == 0) == (pythonpath is not None)
    ran = subprocess.run(
        [python, "-S", *rest], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
