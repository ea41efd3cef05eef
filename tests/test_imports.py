"""Tests, in separate processes, that modules are not loaded where they should not be."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SHOW = "import sys, json; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"


def loaded_by(code: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{SHOW}"], check=True, capture_output=True, text=True, timeout=30
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


SCREEN = """
import tui.app, tui.bridge, tui.remembered, tui.engine.handle, tui.agent.process, tui.agent.settings, tui.assets
"""
HELP = """
from click.testing import CliRunner
from tui.cli.main import cli
assert CliRunner().invoke(cli, ["--help"]).exit_code == 0
"""


@pytest.mark.parametrize(
    ("code", "never"),
    [
        (SCREEN, {"numpy", "sounddevice", "websockets", "samplerate", "onnxruntime"}),
        (HELP, {"textual", "numpy", "sounddevice", "websockets", "msgspec", "asyncio"}),
        ("import tui.call", {"textual", "sounddevice"}),
        ("import tui.engine.engine, tui.engine.__main__", {"textual", "sounddevice"}),
        ("import tui.agent.server", {"textual", "sounddevice"}),
        ("import tui.report.page", {"textual", "sounddevice", "websockets"}),
        ("import tui.callbacks", {"textual", "numpy", "msgspec", "rich", "websockets"}),
    ],
    ids=["screen", "help", "headless call", "engine", "agent", "report", "callback kit"],
)
def test_is_loaded_only_where_it_is_needed(code: str, never: set[str]) -> None:
    assert not loaded_by(code) & never
