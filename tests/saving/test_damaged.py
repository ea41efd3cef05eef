"""Tests damaged and forged sessions: bounded time and memory, named damage, and complete lists."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
import wave
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.builders import error, numbered, started, status
from tests.saving.events import a_session, write_now
from tui.cli.main import cli
from tui.models import events as e
from tui.models.events import Status
from tui.report.page import render
from tui.saving import listing, reading
from tui.saving.listing import list_sessions
from tui.saving.reading import open_session
from tui.saving.remeasure import remeasure

NAMES = ("2026-11-01T07-41-25Z bad", "2026-11-02T07-41-25Z good")


def session(parent: Path, name: str = NAMES[0], **record: Any) -> Path:
    """Returns a session whose ``session.json`` has these fields."""
    folder = write_now(parent, a_session()).rename(parent / name)
    content = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps({**content, **record}))
    return folder


def with_tracks(folder: Path, rate: int, *, frames: int = 1600, claimed_rate: int | None = None) -> Path:
    """Adds tracks in a sparse file."""
    path = folder / "audio.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, rate, 0, "NONE", ""))
        file.writeframes(b"")
    os.truncate(path, 44 + 4 * frames)
    with path.open("r+b") as header:
        header.seek(24)
        header.write(struct.pack("<I", rate if claimed_rate is None else claimed_rate))
        header.seek(40)
        header.write(struct.pack("<I", 4 * frames))
    return folder


@pytest.mark.parametrize("rate", [0, 1, 999, 768_001, 4_000_000_000])
def test_a_rate_that_cannot_be_is_named_and_the_rest_is_read(tmp_path: Path, rate: int) -> None:
    with open_session(with_tracks(session(tmp_path), 16_000, claimed_rate=rate)) as saved:
        assert saved.problems == [f"audio.wav cannot be read: its header states {rate} samples per second."]
        assert remeasure(saved).messages_received == 1
        assert b"default-src 'none'" in render(saved)


def test_unusual_rates_that_can_be_are_read(tmp_path: Path) -> None:
    for name, rate in zip(NAMES, (1_000, 192_000), strict=True):
        with open_session(with_tracks(session(tmp_path, name), rate)) as saved:
            assert saved.problems == []
            assert remeasure(saved).messages_received == 1


@pytest.mark.parametrize(
    "started_utc", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01", "soon"]
)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_an_impossible_date_is_named_and_the_others_are_listed(
    tmp_path: Path, started_utc: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    session(tmp_path, NAMES[0], started_utc=started_utc)
    session(tmp_path, NAMES[1])
    bad, good = sorted(list_sessions(tmp_path), key=lambda summary: summary.name)
    assert bad.problem == f"session.json has an impossible date: {started_utc}"
    assert (bad.started is not None and bad.started.year, good.problem) == (2026, "")
    ran = CliRunner().invoke(cli, ["sessions", "--save", str(tmp_path)])
    assert (ran.exit_code, ran.output.count("Z good"), ran.output.count("Z bad")) == (0, 1, 1)


def test_no_session_has_a_negative_or_endless_length(tmp_path: Path) -> None:
    folder = session(tmp_path)
    record = json.loads((folder / "session.json").read_text())
    for ended_ns in (None, 0, 2**61):
        record["metrics"]["ended_ns"] = ended_ns
        (folder / "session.json").write_text(json.dumps(record))
        (summary,) = list_sessions(tmp_path)
        if ended_ns is None:  # the length is that of the events, as for a cut-off call
            assert (summary.duration_s, summary.problem) == (6.0, "")
        else:
            assert summary.duration_s is None
            assert summary.problem.startswith("session.json has an impossible duration: ")
        listed = CliRunner().invoke(cli, ["sessions", "--save", str(tmp_path)]).output
        assert "day" not in listed


def cut_off(parent: Path) -> Path:
    """Returns a session of two errors whose end was never written."""
    events: list[e.SessionEvent] = [started(), error(), error(), status(Status.IDLE, Status.CONNECTING, 3000)]
    folder = write_now(parent, numbered(events)).rename(parent / NAMES[0])
    record = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps({**record, "metrics": None}))
    return folder


@pytest.mark.parametrize("piece_bytes", [1, 7, 100, 1 << 20])
def test_errors_are_counted_across_pieces(
    tmp_path: Path, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(tmp_path)
    monkeypatch.setattr(listing, "_PIECE_BYTES", piece_bytes)
    assert list_sessions(tmp_path)[0].errors == 2


def test_events_of_gigabytes_are_not_counted_and_that_is_said(tmp_path: Path) -> None:
    folder = cut_off(tmp_path)
    session(tmp_path, NAMES[1])
    os.truncate(folder / "events.jsonl", 6 << 30)
    tracemalloc.start()
    good, bad = sorted(list_sessions(tmp_path), key=lambda summary: summary.name, reverse=True)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 40_000_000
    assert (bad.errors, bad.problem) == (
        None,
        "events.jsonl is missing or too large, so errors could not be counted",
    )
    assert good.problem == ""


def test_a_line_without_an_end_is_named_and_what_precedes_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session(tmp_path)
    monkeypatch.setattr(reading, "_MAX_LINE_BYTES", 10_000)
    monkeypatch.setattr(reading, "_MAX_SKIPPED_BYTES", 50_000)
    os.truncate(folder / "events.jsonl", 1 << 30)
    with open_session(folder) as saved:
        assert len(list(saved.written_events())) == len(a_session())
        assert saved.problems == [
            "events.jsonl has a line of hundreds of megabytes; nothing after it is read."
        ]


def test_a_line_that_is_too_long_but_ends_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session(tmp_path)
    monkeypatch.setattr(reading, "_MAX_LINE_BYTES", 10_000)
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join([*lines[:3], b" " * 25_000 + b"\n", *lines[3:]]))
    with open_session(folder) as saved:
        assert len(list(saved.written_events())) == len(a_session())
        assert len(saved.problems) == 1


def test_tracks_of_gigabytes_are_read_to_shortly_after_the_last_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MAX_AUDIO_AFTER_EVENTS_S", 60)
    folder = with_tracks(session(tmp_path), 8_000, frames=(4 << 30) // 4 - 100)
    with open_session(folder) as saved:
        assert saved.problems == [
            "audio.wav continues for 37.3 h after the last event; only the first 1 minutes of that are read."
        ]
        assert saved.audio is not None
        assert saved.audio.frames == 8_000 * (6 + 60)
        assert len(saved.audio.read(saved.audio.frames - 5, 100).user) == 10
        assert remeasure(saved).messages_received == 1


def test_control_characters_of_a_saved_session_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    """Tested as on a terminal: `CliRunner` with colors keeps escape sequences."""
    evil = "\x1b[31m\x9b2J\u202e\0" + "x" * 1000
    folder = session(tmp_path, outcome=evil, title=evil, protocol=evil, target={"url": f"ws://h/{evil}"})
    lines = (folder / "events.jsonl").read_text().splitlines()
    for kind in (
        {"event": "loss", "loss": evil, "count": 1, "total": 1},
        {"event": "condition", "condition": evil, "active": True, "text": evil},
    ):
        lines.append(json.dumps({**kind, "number": len(lines) + 1, "at_ns": 6_000_000_000}))
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    for command in (["sessions", "--save", str(tmp_path)], ["metrics", str(folder)]):
        output = CliRunner().invoke(cli, command, color=True).output
        assert not set(output) & set("\x1b\x9b\u202e\0"), output
        assert max(map(len, output.splitlines())) < 1500
