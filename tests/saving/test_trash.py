"""Tests that a session in the trash is complete, can be restored, and is subject to the same limits."""

from __future__ import annotations

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.saving.events import a_session, write_now
from tests.saving.test_deleting import OURS, make
from tui.cli.main import cli
from tui.saving.deleting import TRASH, retain
from tui.saving.folders import NAME_TIME
from tui.saving.listing import list_sessions
from tui.saving.record import SavedSessionError
from tui.saving.trash import move_to_trash, restore


def test_a_session_is_moved_whole_and_comes_back_whole(tmp_path: Path) -> None:
    folder = write_now(tmp_path, a_session())
    (folder / "notes of mine.txt").write_text("kept")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    moved = move_to_trash(folder)
    assert not folder.exists()
    assert list_sessions(tmp_path) == []
    assert (tmp_path / TRASH).stat().st_mode & 0o777 == 0o700
    assert {path.name: path.read_bytes() for path in moved.iterdir()} == before
    assert restore(tmp_path, folder.name[:12]) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_two_sessions_of_one_name_are_both_kept_in_the_trash(tmp_path: Path) -> None:
    folder = write_now(tmp_path, a_session())
    first = move_to_trash(folder)
    second = move_to_trash(make(folder, session_json=OURS))
    assert (first.exists(), second.name) == (True, f"{folder.name} 2")


@pytest.mark.parametrize("how", ["foreign", "being saved", "open elsewhere"])
def test_what_is_not_ours_or_in_use_stays(tmp_path: Path, how: str) -> None:
    if how == "foreign":
        folder = make(tmp_path / "x", session_json='{"schema": 1, "program": "other 1"}')
        with pytest.raises(SavedSessionError, match="not a session of this program"):
            move_to_trash(folder)
    else:
        folder = write_now(tmp_path, a_session())
        with (folder / "events.jsonl").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX if how == "being saved" else fcntl.LOCK_SH)
            with pytest.raises(SavedSessionError, match=r"still being saved|open in another"):
                move_to_trash(folder)
    assert folder.exists()


def test_a_trash_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    parent, elsewhere = tmp_path / "sessions", tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = write_now(parent, a_session())
    (parent / TRASH).symlink_to(elsewhere)
    with pytest.raises(SavedSessionError, match="cannot be moved to the trash"):
        move_to_trash(folder)
    assert folder.exists()
    other = make(elsewhere / folder.name, session_json=OURS)
    with pytest.raises(SavedSessionError, match="No session"):
        restore(parent, folder.name)
    assert retain(parent, keep_days=None, keep_count=1) == ""
    assert other.exists()


def test_a_session_that_is_there_again_is_not_replaced(tmp_path: Path) -> None:
    folder = write_now(tmp_path, a_session())
    move_to_trash(folder)
    make(folder, session_json=OURS)
    with pytest.raises(SavedSessionError, match="already exists"):
        restore(tmp_path, folder.name)
    assert (folder / "session.json").read_text() == OURS


@pytest.mark.parametrize("name", ["", "..", "a/b", "nothing"])
def test_only_what_is_in_the_trash_is_restored(tmp_path: Path, name: str) -> None:
    with pytest.raises(SavedSessionError):
        restore(tmp_path, name)


def test_the_limits_apply_to_the_trash_too(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    names = [f"{(now - timedelta(days=days)).strftime(NAME_TIME)} old-{days}" for days in (40, 1)]
    for name in names:
        move_to_trash(make(tmp_path / name, session_json=OURS, events_jsonl=""))
    assert "old-40" in retain(tmp_path, keep_days=30, keep_count=None)
    assert [folder.name for folder in (tmp_path / TRASH).iterdir()] == names[1:]


def test_the_trash_on_the_command_line(tmp_path: Path) -> None:
    folder = write_now(tmp_path, a_session())
    move_to_trash(folder)
    of_folder = ("sessions", "--save", str(tmp_path))

    def run(*arguments: str) -> str:
        ran = CliRunner().invoke(cli, [*of_folder, *arguments])
        assert ran.exit_code == 0, ran.output
        return ran.output

    assert "1 in the trash; `opusagent-tui sessions list --trash` lists them." in run()
    assert folder.name in run("list", "--trash")
    assert folder.name in run("--trash", "delete", folder.name, "--dry-run")
    assert run("restore", folder.name) == f"Restored {folder.name}\n"
    assert "in the trash" not in run()
    assert "Leave out --trash" in CliRunner().invoke(cli, [*of_folder, "--trash", "restore", "x"]).output
