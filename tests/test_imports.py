"""Tests, in separate processes, that modules are not loaded where they should not be."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCREEN = """
import tui.app, tui.bridge, tui.remembered, tui.engine.handle, tui.agent.process, tui.agent.settings, tui.assets
"""
SAVED = "import tui.engine.saved_engine, tui.saving.listing"
FIRST_PICTURE = "import tui.screens.session, tui.screens.availability, tui.cli.main"
HELP = """
from click.testing import CliRunner
from tui.cli.main import cli
assert CliRunner().invoke(cli, ["--help"]).exit_code == 0
"""
TWO_COMMANDS = """
import click
from tui.cli.main import cli
assert cli.get_command(click.Context(cli), "connect") and cli.get_command(click.Context(cli), "config")
"""
LOAD = "import tui.load, tui.cli.main, tui.load.plan, tui.load.conditions, tui.load.processes"


@pytest.mark.parametrize(
    ("code", "never"),
    [
        (SCREEN, {"numpy", "sounddevice", "websockets", "samplerate", "onnxruntime"}),
        (SAVED, {"numpy"}),  # the screen's process opens sessions too
        (
            FIRST_PICTURE,
            {
                "tui.models.filter.completion",
                "tui.models.log.pairs",
                "tui.models.log.search",
                "tui.protocols.base",
                "tui.screens.clipboard",
                "tui.widgets.detail",
                "tui.widgets.transcript",
            },
        ),
        (HELP, {"textual", "numpy", "sounddevice", "websockets", "msgspec", "asyncio"}),
        (TWO_COMMANDS, {"tui.cli.sessions", "tui.cli.scenario", "tui.cli.load", "tui.cli.calibrate"}),
        (LOAD, {"locust", "gevent", "flask", "zmq"}),
        ("import tui.call", {"textual", "sounddevice"}),
        ("import tui.engine.engine, tui.engine.__main__", {"textual", "sounddevice"}),
        ("import tui.agent.server", {"textual", "sounddevice"}),
        ("import tui.report.page", {"textual", "sounddevice", "websockets"}),
        ("import tui.callbacks", {"textual", "numpy", "msgspec", "rich", "websockets"}),
    ],
    ids=[
        *("screen", "saved sessions", "first picture", "help", "two commands", "load tests"),
        *("headless call", "engine", "agent", "report", "callback kit"),
    ],
)
def test_is_loaded_only_where_it_is_needed(code: str, never: set[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert "tui" in loaded
    assert not loaded & never
