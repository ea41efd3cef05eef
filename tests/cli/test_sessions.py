"""Saved sessions on the command line, made by a real call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.cli.main import cli

pytestmark = pytest.mark.xdist_group("saved_cli")


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui", *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "XDG_DATA_HOME": str(home), "CALL_TOKEN": "open-sesame"},
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one call of one turn in it, held with a token."""
    home = tmp_path_factory.mktemp("data")
    with start_agent(AgentSettings(token="open-sesame")) as agent:
        call = partial(run, "call", agent.url("/audiocodes"), "--token-env", "CALL_TOKEN", home=home)
        with ThreadPoolExecutor() as both:
            calls = [both.submit(call, "--say", "4"), both.submit(call, "--no-save")]
    for ran in [call.result() for call in calls]:
        assert ran.returncode == 0, ran.stderr
        assert "open-sesame" not in ran.stdout + ran.stderr
    return home


def folders(home: Path) -> list[Path]:
    return sorted((home / "opusagent-tui" / "sessions").iterdir())


def test_a_call_is_saved_privately_unless_disabled(home: Path) -> None:
    (folder,) = folders(home)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in folder.iterdir()} == {
        "session.json",
        "events.jsonl",
        "messages.bin",
        "audio.wav",
    }
    for path in folder.iterdir():
        assert b"open-sesame" not in path.read_bytes()


def test_sessions_are_listed_and_filtered(home: Path) -> None:
    (folder,) = folders(home)
    assert f"{folder.name}  audiocodes  /audiocodes\n" in run("sessions", home=home).stdout
    assert "1 session, " in run("sessions", "--no-errors", "--target", "127.0.0.1", home=home).stdout
    listed = json.loads(run("sessions", "--json", "--since", "2026-01-01", home=home).stdout)
    assert (listed["folder"], listed["errors"]) == (str(folder), 0)
    assert "0 sessions" in run("sessions", "--min-duration", "3600", home=home).stdout


def test_a_narrow_terminal_shows_only_the_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = folders(home)
    monkeypatch.setattr("tui.cli.sessions._columns", lambda: 100)
    listed = CliRunner().invoke(cli, ["sessions", "--save", str(folder.parent)]).output
    assert f"{folder.name}\n" in listed


def test_a_session_is_measured_again(home: Path) -> None:
    (folder,) = folders(home)
    ran = run("metrics", folder.name, "--json", home=home)
    figures = json.loads(ran.stdout)
    live = json.loads((folder / "session.json").read_text())["metrics"]
    assert figures["messages_received"] == live["messages_received"]
    for again, before in zip(figures["turns"], live["turns"], strict=True):
        assert again["response_latency_ms"] == pytest.approx(before["response_latency_ms"], abs=20)


def test_a_report_is_made_by_any_name_of_the_session(home: Path, tmp_path: Path) -> None:
    (folder,) = folders(home)
    for name in ("latest", folder.name[:10], str(folder / "events.jsonl")):
        assert run("report", name, "--no-audio", "-o", str(tmp_path / "it.html"), home=home).returncode == 0
        page = (tmp_path / "it.html").read_text()
        assert "Yes." in page
        assert "open-sesame" not in page
    assert run("report", "latest", "--no-audio", "-o", "-", home=home).stdout == page
    ran = run("report", "latest", home=home)
    beside = folder.with_name(f"{folder.name}.html")
    assert str(beside) in ran.stdout
    assert len(beside.read_text()) > len(page)
    beside.unlink()


def test_a_path_without_a_session_is_reported(home: Path, tmp_path: Path) -> None:
    for command in ("metrics", "report", "open"):
        ran = run(command, str(tmp_path), home=home)
        assert ran.returncode == 2
        assert "Traceback" not in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def test_sessions_are_deleted_and_pruned(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = folders(home)
    assert run("sessions", "prune", home=home).returncode == 2
    assert run("sessions", "prune", "--keep-count", "1", home=home).stdout == ""
    monkeypatch.setenv("OPUSAGENT_TUI_SESSIONS_KEEP_COUNT", "1")
    pruned = run("sessions", "prune", home=home)
    assert (pruned.returncode, pruned.stdout) == (0, "")
    assert f"Deleted {folder.name}" in run("sessions", "delete", folder.name, home=home).stdout
    assert folders(home) == []
    assert run("sessions", "delete", "nothing", home=home).returncode == 2
