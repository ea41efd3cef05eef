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


def modules_after(code: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"],
        check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_a_command_does_not_load_the_others() -> None:
    loaded = modules_after("""
import click
from tui.cli.main import cli
assert cli.get_command(click.Context(cli), "connect") and cli.get_command(click.Context(cli), "config")
""")
    assert "tui.cli.config" in loaded
    assert not loaded & {"tui.cli.sessions", "tui.cli.scenario", "tui.cli.load", "tui.cli.calibrate"}


def test_the_screen_of_a_call_is_loaded_without_what_its_first_picture_does_not_show() -> None:
    loaded = modules_after("import tui.screens.session, tui.screens.availability, tui.cli.main")
    assert "tui.widgets.event_log" in loaded
    assert not loaded & {
        "tui.models.filter.completion",
        "tui.models.log.pairs",
        "tui.models.log.search",
        "tui.protocols.base",
        "tui.screens.clipboard",
        "tui.widgets.detail",
        "tui.widgets.transcript",
    }


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
