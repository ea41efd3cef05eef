"""Tests that a session's marks and notes are saved immediately, survive any ending, and can be shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.models.log.marks import Marking
from tui.saving.marks_file import append_marking, read_marks


def test_changes_are_read_back_as_they_left_the_marks(tmp_path: Path) -> None:
    assert len(read_marks(tmp_path)) == len(read_marks(tmp_path / "nothing")) == 0
    for change in (
        Marking(7, marked=True),
        Marking(3, marked=True),
        Marking(3, note="slow here"),
        Marking(9, marked=True),
        Marking(9, marked=False),
        Marking(9, note="first"),
        Marking(9, note=""),
    ):
        append_marking(tmp_path, change)
    marks = read_marks(tmp_path)
    assert (marks.numbers, marks.notes) == ([3, 7], {3: "slow here"})
    assert (tmp_path / "marks.jsonl").read_text().splitlines()[0] == '{"event":7,"marked":true}'
    assert (tmp_path / "marks.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_off_costs_only_itself(tmp_path: Path) -> None:
    append_marking(tmp_path, Marking(1, note="kept"))
    with (tmp_path / "marks.jsonl").open("ab") as file:
        file.write(b'{"event":2,"note":"lo')
    append_marking(tmp_path, Marking(3, note="kept too"))
    assert read_marks(tmp_path).notes == {1: "kept", 3: "kept too"}


def test_a_link_is_neither_read_nor_written(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"event":1,"note":"not of this session"}\n')
    (tmp_path / "marks.jsonl").symlink_to(elsewhere)
    assert read_marks(tmp_path).notes == {}
    with pytest.raises(OSError, match=r"Too many levels"):
        append_marking(tmp_path, Marking(2, marked=True))
    assert elsewhere.read_text().count("\n") == 1
