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
from tui.saving.folders import default_folder
from tui.saving.listing import delete_session, list_sessions, prune, total_size
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
    assert (newest.outcome, newest.reason, newest.errors, newest.duration_s) == (
        Outcome.ERROR,
        "it broke",
        1,
        1.0,
    )
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


def test_deleting_removes_links_but_not_their_targets(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    sessions = tmp_path / "sessions"
    folder = session(sessions, "1 x")
    (folder / "link").symlink_to(outside)
    (folder / "events.jsonl").unlink()
    (folder / "events.jsonl").symlink_to(outside / "precious")
    assert total_size(sessions) < 100_000
    delete_session(folder)
    assert (outside / "precious").read_text() == "x"
    assert not folder.exists()


def test_only_sessions_are_deleted(tmp_path: Path) -> None:
    session(tmp_path / "sessions", "1 x")
    (tmp_path / "link").symlink_to(tmp_path / "sessions" / "1 x")
    for folder in (tmp_path, tmp_path / "sessions", tmp_path / "link", tmp_path / "nothing"):
        with pytest.raises(SavedSessionError, match=r"is not a saved session\. Nothing was deleted"):
            delete_session(folder)
    assert names(tmp_path / "sessions") == ["1 x"]
    assert names(tmp_path) == []


def test_a_running_session_is_listed_as_running_and_not_deleted(tmp_path: Path) -> None:
    async def run() -> None:
        writer = await SessionWriter.start(Target(url="ws://x/", save=str(tmp_path)), pytest.fail)
        (summary,) = list_sessions(tmp_path)
        assert summary.outcome == Outcome.RUNNING
        with pytest.raises(SavedSessionError, match="still being saved"):
            delete_session(writer.folder)
        assert prune(tmp_path, keep_count=0, now=NOW + timedelta(days=9999)) == []
        await writer.close()
        assert list_sessions(tmp_path)[0].outcome == Outcome.CUT_OFF

    asyncio.run(run())


def test_retention_keeps_days_and_counts(tmp_path: Path) -> None:
    for index, days in enumerate((40, 31, 29, 2, 0)):
        session(tmp_path, f"{index} x", days_old=days)
    assert prune(tmp_path, now=NOW) == []
    assert [path.name for path in prune(tmp_path, keep_days=30, now=NOW)] == ["1 x", "0 x"]
    assert [path.name for path in prune(tmp_path, keep_count=2, now=NOW)] == ["2 x"]
    assert names(tmp_path) == ["4 x", "3 x"]
