from __future__ import annotations

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tui.saving.folders import NAME_TIME
from tui.saving.listing import delete_session
from tui.saving.reading import open_session
from tui.saving.record import SavedSessionError
from tui.saving.retention import retain

DAYS_OLD = (50, 40, 10, 0)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Sessions of different age, the oldest first."""
    found = []
    for days in DAYS_OLD:
        started = datetime.now(UTC) - timedelta(days=days)
        folder = tmp_path / f"{started.strftime(NAME_TIME)} old-{days}"
        folder.mkdir()
        (folder / "events.jsonl").write_text("")
        (folder / "session.json").write_text("{}")
        found.append(folder)
    return found


def left(folders: list[Path]) -> list[int]:
    return [days for folder, days in zip(folders, DAYS_OLD, strict=True) if folder.exists()]


def test_without_a_setting_nothing_is_deleted(folders: list[Path], tmp_path: Path) -> None:
    assert retain(tmp_path, keep_days=None, keep_count=None) == ""
    assert left(folders) == [50, 40, 10, 0]


def test_old_sessions_are_deleted_and_reported_in_one_line(folders: list[Path], tmp_path: Path) -> None:
    report = retain(tmp_path, keep_days=30, keep_count=None)
    assert left(folders) == [10, 0]
    assert report.startswith("Deleted 2 saved sessions beyond the limits in [sessions] of the settings: ")
    assert all(folder.name in report for folder in folders[:2])
    assert "\n" not in report
    assert retain(tmp_path, keep_days=30, keep_count=None) == ""


def test_the_newest_sessions_are_kept(folders: list[Path], tmp_path: Path) -> None:
    retain(tmp_path, keep_days=None, keep_count=1)
    assert left(folders) == [0]


def test_sessions_in_use_are_kept(folders: list[Path], tmp_path: Path) -> None:
    writing = (folders[0] / "events.jsonl").open("ab")
    fcntl.flock(writing, fcntl.LOCK_EX)
    with writing, open_session(folders[1]):
        retain(tmp_path, keep_days=1, keep_count=1)
        assert left(folders) == [50, 40, 0]
    retain(tmp_path, keep_days=1, keep_count=1)
    assert left(folders) == [0]


def test_a_session_that_cannot_be_deleted_is_reported_and_others_are_deleted(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        if folder == folders[1]:
            raise SavedSessionError("old-40 cannot be deleted: Permission denied.")
        delete_session(folder)

    monkeypatch.setattr("tui.saving.retention.delete_session", refuse)
    report = retain(tmp_path, keep_days=30, keep_count=None)
    assert left(folders) == [40, 10, 0]
    assert "Deleted 1 saved session beyond" in report
    assert "old-40 cannot be deleted" in report


def test_a_missing_folder_has_nothing_to_delete(tmp_path: Path) -> None:
    assert retain(tmp_path / "none", keep_days=1, keep_count=1) == ""
