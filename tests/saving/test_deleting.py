"""Tests that only files that this program wrote are deleted, by name and by the limits in the settings."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.saving.events import a_session, write_now
from tui.audio.formats import AudioFormat, Encoding
from tui.models.log.marks import Marking
from tui.models.target import Target
from tui.saving.deleting import delete_session, delete_sessions, find_to_delete, is_own, retain, superfluous
from tui.saving.folders import NAME_TIME
from tui.saving.marks_file import append_marking
from tui.saving.reading import open_session
from tui.saving.record import SESSION_FILES, SavedSessionError
from tui.saving.writer import SessionWriter

DAYS_OLD = (50, 40, 10, 0)
OURS = json.dumps({"schema": 1, "program": "opusagent-tui 0.1.0"})
NAMED = "2026-11-22T07-41-25Z demo"


def make(folder: Path, **files: str) -> Path:
    """Creates a folder with these files; ``_`` in a name stands for a dot."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Returns sessions of different ages, oldest first."""
    now = datetime.now(UTC)
    return [
        make(
            tmp_path / f"{(now - timedelta(days=days)).strftime(NAME_TIME)} old-{days}",
            events_jsonl="",
            session_json=OURS,
        )
        for days in DAYS_OLD
    ]


def left(folders: list[Path]) -> list[int]:
    return [days for folder, days in zip(folders, DAYS_OLD, strict=True) if folder.exists()]


# -- sessions of this program --


def test_a_session_is_deleted_with_its_folder(tmp_path: Path) -> None:
    folder = write_now(tmp_path, [*a_session(), b"raw"])
    before = delete_session(folder, dry_run=True)
    assert folder.is_dir()
    assert delete_session(folder) == before
    assert (before.size_bytes > 0, before.left, before.report) == (True, (), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "files", "own"),
    [
        ("anything", {"session_json": OURS}, True),
        ("anything", {"session_json": '{"cookie": "x"}'}, False),
        ("anything", {"session_json": '{"schema": 1, "program": "other 1.0"}'}, False),
        ("anything", {"session_json": '{"schema": 1, "program": "opusagent-tui-clone 1"}'}, False),
        ("anything", {"session_json": '{"schema": 0, "program": "opusagent-tui 0.1.0"}'}, False),
        ("anything", {"session_json": '{"schem'}, False),
        ("anything", {"events_jsonl": ""}, False),
        (NAMED, {"session_json": '{"schem'}, True),
        (NAMED, {"session_json": '{"cookie": "x"}', "events_jsonl": ""}, False),
        (NAMED, {"events_jsonl": "", "audio_wav": ""}, True),
        (NAMED, {"events_jsonl": "", "thesis_txt": "x"}, False),
        (NAMED, {}, False),
    ],
)
def test_a_folder_is_ours_if_its_record_or_its_name_and_content_say_so(
    tmp_path: Path, name: str, files: dict[str, str], own: bool
) -> None:
    folder = make(tmp_path / name, **files)
    assert is_own(folder) == own
    if own:
        delete_session(folder)
        assert not folder.exists()
        return
    with pytest.raises(SavedSessionError, match=r"is not a session of this program\. Nothing was deleted"):
        delete_session(folder)
    assert {path.name for path in folder.iterdir()} == {name.replace("_", ".") for name in files}


def test_what_else_is_in_the_folder_stays_and_is_named(tmp_path: Path) -> None:
    outside = make(tmp_path / "outside", precious="x")
    folder = make(tmp_path / "1 x", session_json=OURS, messages_bin="m", thesis_txt="precious")
    (folder / "link").symlink_to(outside)
    (folder / "events.jsonl").symlink_to(outside / "precious")
    (folder / "audio.wav").mkdir()
    deletion = delete_session(folder)
    assert deletion.left == ("audio.wav", "events.jsonl", "link", "thesis.txt")
    assert {path.name for path in folder.iterdir()} == set(deletion.left)
    assert (outside / "precious").read_text() == "x"


def test_a_report_beside_the_folder_stays_and_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path / NAMED, session_json=OURS)
    (tmp_path / f"{NAMED}.html").write_text("a page")
    assert delete_session(folder).report == tmp_path / f"{NAMED}.html"
    assert (tmp_path / f"{NAMED}.html").read_text() == "a page"


@pytest.mark.parametrize("name", ["", " ", ".", "..", "sub/1", "1 x/", "/etc", "link", "file", "nothing"])
def test_names_that_lead_elsewhere_are_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = tmp_path / "sessions"
    make(parent / "1 x", session_json=OURS)
    make(parent / "sub" / "1", session_json=OURS)
    (parent / "link").symlink_to(parent / "1 x")
    (parent / "file").write_text("")
    monkeypatch.chdir(make(tmp_path / "here", session_json=OURS))
    with pytest.raises(SavedSessionError):
        find_to_delete(parent, name)


def test_names_are_looked_up_in_the_sessions_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "here" / "demo", session_json=OURS)
    parent = make(tmp_path / "sessions")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SavedSessionError, match="No session demo in"):
        find_to_delete(parent, "demo")
    make(parent / NAMED, session_json=OURS)
    assert find_to_delete(parent, NAMED[:13]) == parent / NAMED
    with pytest.raises(SavedSessionError, match="No session demo in"):
        find_to_delete(parent, "demo")


# -- foreign files never change, in any tree --

_names = st.sampled_from([*SESSION_FILES, "thesis.txt", "session.json.html", "sub", ".hidden", "ü"])
_contents = st.sampled_from([OURS, "", "{", '{"cookie": 1}', '{"schema": 1, "program": "other"}', "text"])
_kinds = st.sampled_from(["file", "file", "file", "link", "folder"])
_others = st.dictionaries(_names, st.tuples(_kinds, _contents), max_size=6)
_records = st.sampled_from([{}, {"session.json": ("file", OURS)}])
_folders = st.builds(lambda others, record: {**others, **record}, _others, _records)
_trees = st.dictionaries(
    st.sampled_from([NAMED, "2026-11-22T07-41-26Z x 2", "app", "logs", "x", "thesis"]), _folders, max_size=5
)
_words = st.sampled_from(["", ".", "..", "app", "x", "2026", NAMED, "logs/sub", "/", "outside", "link"])


def build(parent: Path, tree: dict[str, dict[str, tuple[str, str]]], outside: Path) -> None:
    for folder, files in tree.items():
        (parent / folder).mkdir()
        for name, (kind, content) in files.items():
            path = parent / folder / name
            if kind == "link":
                path.symlink_to(outside / "precious")
            elif kind == "folder":
                make(path, precious=content)
            else:
                path.write_text(content)
    (parent / "link").symlink_to(outside)
    (parent / f"{NAMED}.html").write_text("a page")


def foreign(root: Path) -> dict[str, str]:
    """Returns everything in a folder that must not be deleted, with its content."""
    found = {}
    for where, folders, files in os.walk(root):
        own = _is_ours_by_hand(Path(where))
        for name in [*folders, *files]:
            path = Path(where, name)
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            elif path.is_file() and not (own and name in SESSION_FILES):
                found[str(path)] = path.read_text()
            elif path.is_dir() and not _is_ours_by_hand(path):
                found[str(path)] = "a folder"
    return found


def _is_ours_by_hand(folder: Path) -> bool:
    """Returns the expected result, determined independently from the files themselves."""
    files = {path.name: path for path in folder.iterdir()}
    plain = {name for name, path in files.items() if path.is_file() and not path.is_symlink()}
    if not plain & {"session.json", "events.jsonl"}:
        return False
    content = files["session.json"].read_text() if "session.json" in plain else "{"
    if content == OURS:
        return True
    damaged = content in ("", "{", "text")
    return damaged and folder.name.startswith("2026-") and files.keys() == plain <= set(SESSION_FILES)


@settings(max_examples=100, deadline=None)
@given(
    tree=_trees,
    words=st.lists(_words, max_size=3),
    limits=st.sampled_from([(None, 0), (0.0, None), (1.0, 1)]),
)
def test_nothing_foreign_ever_changes(
    tree: dict[str, dict[str, tuple[str, str]]], words: list[str], limits: tuple[float | None, int | None]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        outside = make(Path(root) / "outside", precious="x", session_json=OURS)
        parent = make(Path(root) / "sessions")
        build(parent, tree, outside)
        before, whole = foreign(parent), set(parent.rglob("*"))
        delete_sessions(list(parent.iterdir()), dry_run=True)
        assert set(parent.rglob("*")) == whole
        for word in words:
            try:
                delete_session(find_to_delete(parent, word))
            except SavedSessionError:
                continue
        delete_sessions(superfluous(parent, keep_days=limits[0], keep_count=limits[1]))
        delete_sessions([*parent.iterdir(), parent, parent / "..", outside / ".." / "sessions"])
        after = foreign(parent)
        assert {path: after.get(path) for path in before} == before
        assert {path.name for path in outside.iterdir()} == {"precious", "session.json"}


# -- the list of files --


async def test_every_file_that_is_written_is_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: set[str] = set()
    replace = Path.replace

    def noted(path: Path, target: Path) -> Path:
        written.add(path.name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    writer = await SessionWriter.start(Target(url="ws://x/", save=str(tmp_path)), pytest.fail)
    writer.append(b"raw")
    for event in a_session():
        writer.take(event)
    writer.user_format(AudioFormat(Encoding.PCM16, 16_000))
    writer.user_sent(1_020_000_000, bytes(range(64)) * 10, 16_000)
    await writer.close()
    append_marking(writer.folder, Marking(4, marked=True))
    written |= {path.name for path in writer.folder.iterdir()}
    assert written == set(SESSION_FILES)


# -- limits --


def test_limits_keep_days_and_counts(folders: list[Path], tmp_path: Path) -> None:
    found = superfluous(tmp_path, keep_days=30, keep_count=None)
    assert found == [folders[1], folders[0]]
    assert superfluous(tmp_path, keep_days=None, keep_count=3) == [folders[0]]
    assert superfluous(tmp_path, keep_days=36500, keep_count=4) == []


def test_folders_of_others_are_neither_counted_nor_deleted(folders: list[Path], tmp_path: Path) -> None:
    app = make(tmp_path / "app1", session_json='{"cookie": "x", "started_utc": "2099-01-01"}', main_js="code")
    logs = make(tmp_path / "logs", events_jsonl="", notes_md="notes")
    report = retain(tmp_path, keep_days=None, keep_count=1)
    assert left(folders) == [0]
    assert "app1" not in report
    assert (len(list(app.iterdir())), len(list(logs.iterdir()))) == (2, 2)


def test_old_sessions_are_deleted_and_reported_in_one_line(folders: list[Path], tmp_path: Path) -> None:
    assert retain(tmp_path, keep_days=None, keep_count=None) == ""
    assert left(folders) == [50, 40, 10, 0]
    report = retain(tmp_path, keep_days=30, keep_count=None)
    assert left(folders) == [10, 0]
    assert report.startswith("Deleted 2 saved sessions beyond the limits in [sessions] of the settings: ")
    assert all(folder.name in report for folder in folders[:2])
    assert "\n" not in report
    assert retain(tmp_path, keep_days=30, keep_count=None) == ""


def test_sessions_in_use_are_kept(folders: list[Path], tmp_path: Path) -> None:
    writing = (folders[0] / "events.jsonl").open("ab")
    fcntl.flock(writing, fcntl.LOCK_EX)
    with writing, open_session(folders[1]):
        report = retain(tmp_path, keep_days=1, keep_count=1)
        assert left(folders) == [50, 40, 0]
        assert f"{folders[1].name} is open in another opusagent-tui" in report
    retain(tmp_path, keep_days=1, keep_count=1)
    assert left(folders) == [0]


def test_what_stays_of_a_session_is_reported_and_others_are_deleted(
    folders: list[Path], tmp_path: Path
) -> None:
    (folders[1] / "notes.txt").write_text("mine")
    report = retain(tmp_path, keep_days=30, keep_count=None)
    assert left(folders) == [40, 10, 0]
    assert "Deleted 2 saved sessions beyond" in report
    assert f"Not deleted, because this program did not write it: {folders[1].name}/notes.txt." in report


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path) -> None:
    assert retain(tmp_path / "none", keep_days=1, keep_count=1) == ""
    (tmp_path / "file").write_text("")
    assert retain(tmp_path / "file", keep_days=1, keep_count=1) == f"{tmp_path / 'file'} is not a folder."
