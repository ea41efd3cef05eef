from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.builders import error, numbered, started, status
from tests.saving.events import a_session, write_now
from tui.models import events as e
from tui.models.events import Status
from tui.models.target import Target
from tui.saving.deleting import delete_session, superfluous
from tui.saving.folders import default_folder
from tui.saving.listing import list_sessions, newest_in_lines, total_size
from tui.saving.record import Outcome, SavedSessionError
from tui.saving.writer import SessionWriter

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def session(
    parent: Path, name: str, *, days_old: float = 0, events: list[e.SessionEvent] | None = None
) -> Path:
    folder = write_now(parent, events or a_session())
    named = folder.rename(parent / name)
    record = json.loads((named / "session.json").read_text())
    record["started_utc"] = (NOW - timedelta(days=days_old)).isoformat()
    record["title"] = name.split()[-1]
    (named / "session.json").write_text(json.dumps(record))
    return named


def names(parent: Path, **filters: object) -> list[str]:
    return [summary.name for summary in list_sessions(parent, **filters)]  # type: ignore[arg-type]


def test_no_folder_has_no_sessions(tmp_path: Path) -> None:
    assert list_sessions(tmp_path / "nothing") == []
    assert total_size(tmp_path / "nothing") == 0
    assert default_folder().name == "sessions"


def test_the_newest_sessions_are_one_line_each(tmp_path: Path) -> None:
    for number, name in enumerate(("1 alpha", "2 beta", "3 gamma")):
        session(tmp_path, name, days_old=2 - number)
    began = [(NOW - timedelta(days=days)).astimezone().strftime("%Y-%m-%d %H:%M") for days in (0, 1)]
    newest = newest_in_lines(tmp_path, 2)
    assert [line for _, line in newest] == [f"gamma  {began[0]}  0:05", f"beta  {began[1]}  0:05"]
    assert [folder.parent for folder, _ in newest] == [tmp_path, tmp_path]
    assert newest_in_lines(tmp_path / "nothing", 2) == []


def test_sessions_are_listed_newest_first_and_filtered(tmp_path: Path) -> None:
    session(tmp_path, "1 alpha", days_old=9)
    session(tmp_path, "2 beta", days_old=1)
    failed = [*a_session()[:6], error(), status(Status.ACTIVE, Status.ERROR, 2000, "it broke")]
    session(tmp_path, "3 gamma", events=numbered(failed))
    (tmp_path / "4 notes").mkdir()
    (tmp_path / "5 file").write_text("")
    assert names(tmp_path) == ["3 gamma", "2 beta", "1 alpha"]
    assert names(tmp_path, target="BET") == ["2 beta"]
    assert names(tmp_path, target="127.0.0.1:9") == ["3 gamma", "2 beta", "1 alpha"]
    assert names(tmp_path, since=NOW - timedelta(days=2)) == ["3 gamma", "2 beta"]
    assert names(tmp_path, errors=True) == ["3 gamma"]
    assert names(tmp_path, errors=False) == ["2 beta", "1 alpha"]
    assert names(tmp_path, min_duration_s=4.9) == ["2 beta", "1 alpha"]
    newest = list_sessions(tmp_path)[0]
    assert (newest.outcome, newest.reason) == (Outcome.ERROR, "it broke")
    assert (newest.errors, newest.duration_s) == (1, 1.0)
    assert newest.started == NOW
    assert total_size(tmp_path) == sum(summary.size_bytes for summary in list_sessions(tmp_path)) > 0


def test_a_session_that_was_cut_off_is_summarised_from_its_events(tmp_path: Path) -> None:
    folder = session(
        tmp_path, "1 x", events=numbered([started(), error(), status(Status.IDLE, Status.CONNECTING, 3000)])
    )
    record = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps({**record, "metrics": None}))
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"event":"err')
    (summary,) = list_sessions(tmp_path)
    assert (summary.outcome, summary.errors, summary.duration_s) == (Outcome.CUT_OFF, 1, 3.0)


@pytest.mark.parametrize("content", [b"", b"{", b'{"target": 5}', b"\xff"])
def test_an_unreadable_session_is_listed_with_its_problem(tmp_path: Path, content: bytes) -> None:
    folder = session(tmp_path, "1 x")
    (folder / "session.json").write_bytes(content)
    (summary,) = list_sessions(tmp_path)
    assert summary.problem.startswith("session.json cannot be read: ")
    assert summary.name == "1 x"


def test_a_running_session_is_listed_as_running_and_not_deleted(tmp_path: Path) -> None:
    async def run() -> None:
        writer = await SessionWriter.start(Target(url="ws://x/", save=str(tmp_path)), pytest.fail)
        (summary,) = list_sessions(tmp_path)
        assert summary.outcome == Outcome.RUNNING
        with pytest.raises(SavedSessionError, match="still being saved"):
            delete_session(writer.folder)
        assert superfluous(tmp_path, keep_days=None, keep_count=0) == []
        await writer.close()
        assert list_sessions(tmp_path)[0].outcome == Outcome.CUT_OFF

    asyncio.run(run())


def test_what_is_not_a_folder_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(SavedSessionError, match=r"file is not a folder\."):
        list_sessions(tmp_path / "file")
    with pytest.raises(SavedSessionError, match=r"loop cannot be read: Too many levels of symbolic links\."):
        list_sessions(tmp_path / "loop")


def test_a_session_that_may_not_be_looked_into_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's refusal is simulated, because root may read everything."""
    (tmp_path / "2026-11-22T07-41-25Z demo").mkdir()
    (tmp_path / "private").mkdir()
    assert list_sessions(tmp_path) == []
    monkeypatch.setattr("tui.saving.folders.os.access", lambda path, mode: False)
    (summary,) = list_sessions(tmp_path)
    assert summary.name == "2026-11-22T07-41-25Z demo"
    assert summary.problem.startswith("session.json cannot be read")
