from __future__ import annotations

from pathlib import Path

import pytest

from tui.crash import crash_report


def failing(secret: str) -> ValueError:
    try:
        raise ValueError(f"cannot read {'x' * 2000}")
    except ValueError as error:
        return error


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_crash_file_is_private_and_holds_the_traceback_but_no_values(folder: Path) -> None:
    report = crash_report(failing("hunter2"))
    (path,) = folder.iterdir()
    assert report == (
        f"opusagent-tui stopped because of an internal error (ValueError). The details are in {path}"
    )
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "in failing\n" in text
    assert "ValueError: cannot read xxx" in text
    assert "hunter2" not in text
    assert max(map(len, text.splitlines())) < 600


def test_two_crashes_leave_two_files(folder: Path) -> None:
    crash_report(failing(""))
    crash_report(failing(""))
    assert len(list(folder.iterdir())) == 2


def test_without_a_folder_for_it_the_sentence_remains(folder: Path) -> None:
    folder.rmdir()
    report = crash_report(ValueError("x"))
    assert report == "opusagent-tui stopped because of an internal error (ValueError)."
