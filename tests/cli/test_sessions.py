"""Tests saved sessions of real calls on the command line."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.report.sessions import save_call
from tui.cli.main import cli

pytestmark = pytest.mark.xdist_group("saved_cli")


def run(*arguments: str, home: Path) -> Result:
    """Runs a command in this process, because starting another would take most of the time."""
    return CliRunner().invoke(cli, arguments, env={"XDG_DATA_HOME": str(home)})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a data folder with one session of one turn."""
    home = tmp_path_factory.mktemp("data")
    save_call(home / "opusagent-tui" / "sessions")
    return home


@pytest.fixture
def folder(home: Path) -> Path:
    """Returns the folder of the session."""
    (folder,) = (home / "opusagent-tui" / "sessions").iterdir()
    return folder


def test_sessions_are_listed_and_filtered(home: Path, folder: Path) -> None:
    assert f"{folder.name}  audiocodes  /audiocodes  (1 error)\n" in run("sessions", home=home).stdout
    assert "1 session, " in run("sessions", "--errors", "--target", "127.0.0.1", home=home).stdout
    listed = json.loads(run("sessions", "--json", "--since", "2026-01-01", home=home).stdout)
    assert (listed["folder"], listed["errors"]) == (str(folder), 1)
    assert "0 sessions" in run("sessions", "--min-duration", "3600", home=home).stdout


def test_a_narrow_terminal_shows_only_the_name(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.cli.sessions._columns", lambda: 100)
    listed = CliRunner().invoke(cli, ["sessions", "--save", str(folder.parent)]).output
    assert f"{folder.name}  (1 error)\n" in listed


def test_every_output_shows_the_same_figures(home: Path, tmp_path: Path) -> None:
    figures = json.loads(run("metrics", "latest", "--json", home=home).stdout)
    shown = [f"{turn['response']['ms']:.0f} ms" for turn in figures["turns"] if "ms" in turn["response"]]
    assert len(shown) == 2
    assert figures["thresholds"] == {
        "good_ms": 800.0,
        "slow_ms": 1500.0,
        "backchannel_ms": 1000.0,
        "backchannel_gap_ms": 300.0,
    }
    lines = run("metrics", "latest", home=home).stdout.splitlines()
    assert lines[0] == figures["verdict"] != ""
    run("report", "latest", "--no-audio", "-o", str(tmp_path / "it.html"), home=home)
    page = unescape((tmp_path / "it.html").read_text())
    assert figures["verdict"] in page
    for ms in shown:
        assert any(ms in line for line in lines)
        assert ms in page


def test_a_report_is_made_by_any_name_of_the_session(home: Path, folder: Path, tmp_path: Path) -> None:
    for name in ("latest", folder.name[:10], str(folder / "events.jsonl")):
        assert run("report", name, "--no-audio", "-o", str(tmp_path / "it.html"), home=home).exit_code == 0
        page = (tmp_path / "it.html").read_text()
        assert "Yes." in page
    assert run("report", "latest", "--no-audio", "-o", "-", home=home).stdout == page
    ran = run("report", "latest", home=home)
    beside = folder.with_name(f"{folder.name}.html")
    assert str(beside) in ran.stdout
    assert len(beside.read_text()) > len(page)
    beside.unlink()


def test_sessions_are_deleted_and_pruned(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("sessions", "prune", home=home).exit_code == 2
    assert run("sessions", "prune", "--keep-count", "1", home=home).stdout == ""
    monkeypatch.setenv("OPUSAGENT_TUI_SESSIONS_KEEP_COUNT", "1")
    pruned = run("sessions", "prune", home=home)
    assert (pruned.exit_code, pruned.stdout) == (0, "")
    assert f"Deleted {folder.name}" in run("sessions", "delete", folder.name, home=home).stdout
    assert not folder.exists()
    assert run("sessions", "delete", "nothing", home=home).exit_code == 2


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Returns a folder with three sessions and a folder of the user's own."""
    for day in (1, 2, 3):
        folder = tmp_path / f"2026-11-0{day}T07-41-25Z demo"
        folder.mkdir()
        (folder / "session.json").write_text('{"schema": 1, "program": "opusagent-tui 0.1.0"}')
        (folder / "events.jsonl").write_text("")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "session.json").write_text('{"cookie": "x"}')
    return tmp_path


def invoke(*arguments: str, answer: str | None = None) -> tuple[int, str]:
    """Runs a command of `sessions` in this process; returns exit code and output."""
    ran = CliRunner().invoke(cli, ["sessions", *arguments], input=answer)
    return ran.exit_code, ran.output


def test_more_than_one_session_is_deleted_only_after_a_yes(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = sorted(path.name for path in three.iterdir() if path.name != "app")
    prune = ("--save", str(three), "prune", "--keep-count", "1")
    code, output = invoke(*prune)
    assert (code, output.splitlines()[-1]) == (
        2,
        "These 2 sessions would be deleted. Add --yes to delete more than one.",
    )
    code, output = invoke(*prune, "--dry-run")
    assert (code, [line[:47] for line in output.splitlines()]) == (
        0,
        [f"Would delete {name}  4 kB"[:47] for name in (second, first)],
    )
    assert len(list(three.iterdir())) == 4
    code, output = invoke(*prune, "--yes")
    assert (code, output.count("Deleted ")) == (0, 2)
    assert {path.name for path in three.iterdir()} == {third, "app"}


def test_on_a_terminal_more_than_one_is_asked_about(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.cli.sessions._can_ask", lambda: True)
    delete = ("--save", str(three), "delete", "2026-11-01", "2026-11-02")
    code, output = invoke(*delete, answer="n\n")
    assert (code, output.splitlines()[-1]) == (0, "Nothing was deleted.")
    assert len(list(three.iterdir())) == 4
    assert invoke(*delete, answer="y\n")[0] == 0
    assert len(list(three.iterdir())) == 2


def test_one_session_is_deleted_at_once_and_what_stays_is_named(three: Path) -> None:
    name = "2026-11-01T07-41-25Z demo"
    (three / name / "thesis.txt").write_text("precious")
    (three / f"{name}.html").write_text("a page")
    code, output = invoke("--save", str(three), "delete", name)
    assert code == 0
    assert "thesis.txt was kept: opusagent-tui did not write it." in output
    assert f"Its report, {name}.html, was kept." in output
    assert [path.name for path in (three / name).iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("named", ["", ".", "..", "app", "../app", "nothing"])
def test_what_is_not_a_session_is_not_deleted(
    three: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(three.rglob("*"))
    monkeypatch.chdir(three / "app")
    code, output = invoke("--save", str(three), "delete", named, "2026-11-01")
    assert code == 2
    assert len(output.splitlines()) == 1
    assert sorted(three.rglob("*")) == before


def test_a_folder_of_sessions_that_is_not_there_is_not_an_empty_one(three: Path, tmp_path: Path) -> None:
    assert invoke("--save", "/no/such/dir") == (2, "--save /no/such/dir: there is no such folder.\n")
    (tmp_path / "file").write_text("")
    for command in ((), ("prune", "--keep-count", "0"), ("delete", "x")):
        assert invoke("--save", str(tmp_path / "file"), *command) == (
            2,
            f"{tmp_path / 'file'} is not a folder.\n",
        )


def test_a_tilde_is_the_home_folder(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(three.parent))
    assert f"total in {three}" in invoke("--save", f"~/{three.name}")[1]
