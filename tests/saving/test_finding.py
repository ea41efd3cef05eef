"""Tests finding sessions by the names that people use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.saving.listing import find_session
from tui.saving.record import SavedSessionError

NAMES = ["2026-11-22T07-41-25Z demo", "2026-11-22T09-00-00Z demo", "2026-11-23T07-41-25Z agent.example.com"]


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.jsonl").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (NAMES[0], NAMES[0]),
        ("2026-11-22T07", NAMES[0]),
        ("2026-11-23", NAMES[2]),
        ("demo", NAMES[1]),
        ("latest", NAMES[2]),
    ],
)
def test_sessions_are_found_by_name_beginning_title_or_age(parent: Path, said: str, found: str) -> None:
    assert find_session(parent, Path(said)) == parent / found
    assert find_session(Path("/nowhere"), parent / said) == parent / found


@pytest.mark.parametrize(
    ("said", "sentence"),
    [("2026-11-22", "matches 2 sessions"), ("other", "No session other in")],
)
def test_an_ambiguous_or_unknown_name_is_reported(parent: Path, said: str, sentence: str) -> None:
    with pytest.raises(SavedSessionError, match=sentence):
        find_session(parent, Path(said))


def test_an_empty_folder_has_no_latest_session(tmp_path: Path) -> None:
    with pytest.raises(SavedSessionError, match="No sessions in"):
        find_session(tmp_path, Path("latest"))


@pytest.mark.parametrize("said", ["demo", "latest"])
def test_a_file_or_folder_of_that_name_hides_no_session(
    parent: Path, said: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "latest").write_text("")
    (elsewhere / "demo").mkdir()
    (elsewhere / "notes").mkdir()
    monkeypatch.chdir(elsewhere)
    assert find_session(parent, Path(said)).parent == parent
    with pytest.raises(SavedSessionError, match="notes is not a saved session: it has neither"):
        find_session(parent, Path("notes"))


@pytest.mark.parametrize("said", ["", ".", ".."])
def test_nothing_names_no_session(tmp_path: Path, said: str) -> None:
    (tmp_path / NAMES[0]).mkdir()
    (tmp_path / NAMES[0] / "events.jsonl").write_text("")
    with pytest.raises(SavedSessionError, match="is not a saved session"):
        find_session(tmp_path, Path(said))
