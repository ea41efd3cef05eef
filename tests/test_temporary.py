"""Tests that temporary files do not accumulate when their processes are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tui.temporary import create_temporary, remove_abandoned


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_in_use_stays(folder: Path) -> None:
    descriptor, path = create_temporary("-engine.log")
    remove_abandoned("-engine.log")
    assert names(folder) == {path.name}
    assert path.stat().st_mode & 0o777 == 0o600
    os.close(descriptor)
    remove_abandoned("-engine.log")
    assert names(folder) == set()


def test_what_a_child_holds_stays_until_it_is_killed(folder: Path) -> None:
    descriptor, path = create_temporary("-engine.log")
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, stderr=descriptor
    )
    os.close(descriptor)
    remove_abandoned("-engine.log")
    assert names(folder) == {path.name}
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    remove_abandoned("-engine.log")
    assert names(folder) == set()


def test_the_newest_with_content_are_kept_and_nothing_else_is_touched(folder: Path) -> None:
    for index in range(8):
        path = folder / f"opusagent-tui-{index}-engine.log"
        path.write_text("" if index == 7 else "a traceback")
        os.utime(path, (index, index))
    (folder / "opusagent-tui-x.messages").write_text("raw")
    (folder / "other-engine.log").write_text("mine")
    (folder / "opusagent-tui-link-engine.log").symlink_to(folder / "other-engine.log")
    (folder / "opusagent-tui-folder-engine.log").mkdir()
    remove_abandoned("-engine.log", keep=5)
    assert names(folder) == {
        *(f"opusagent-tui-{index}-engine.log" for index in (2, 3, 4, 5, 6)),
        "opusagent-tui-x.messages",
        "other-engine.log",
        "opusagent-tui-link-engine.log",
        "opusagent-tui-folder-engine.log",
    }
