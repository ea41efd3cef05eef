from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.builders import message, numbered, said, started, status
from tests.saving.events import a_session, write_now
from tui.bridge import Bridge
from tui.engine.saved_engine import SavedEngine
from tui.models import events as e
from tui.models.events import Status
from tui.saving.reading import open_session
from tui.saving.record import Outcome, SavedSessionError
from tui.saving.stereo import Channel, StereoFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_now(tmp_path / "sessions", [*a_session(), b"raw"])


def edit(folder: Path, **changes: object) -> None:
    path = folder / "session.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def spoil(folder: Path, number: int, line: bytes) -> None:
    path = folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = line + b"\n"
    path.write_bytes(b"".join(lines))


def a_message(member: bytes) -> bytes:
    return b'{"event":"message","number":3,"at_ns":1,"direction":"sent","kind":"x",' + member + b"}"


@pytest.mark.parametrize("name", ["", "session.json", "events.jsonl", "messages.bin"])
def test_a_session_is_opened_by_its_folder_or_a_file_of_it(folder: Path, name: str) -> None:
    with open_session(folder / name) as saved:
        assert list(saved.events()) == a_session()
        assert saved.problems == []
        assert saved.outcome == Outcome.ENDED


@pytest.mark.parametrize("name", ["nothing", "file.txt", "."])
def test_a_path_without_a_session_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("no")
    with pytest.raises(SavedSessionError, match=r"is not a saved session|does not exist"):
        open_session(tmp_path / name)


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b'{"event":"from the future","at_ns":1}',
        b"[" * 100_000,
        b"",
        b'{"event":"notice","at_ns":1,"text":"\x1b[2J"}',
        b'{"event":"notice","number":3}',
        b'{"event":"notice","number":3,"at_ns":9223372036854775808,"text":""}',
        b'{"event":"notice","number":9223372036854775808,"at_ns":1,"text":""}',
        a_message(b'"size_bytes":9223372036854775807'),
        a_message(b'"size_bytes":-1'),
        a_message(b'"offset":1267650600228229401496703205376'),
        a_message(b'"kept_bytes":1267650600228229401496703205376'),
    ],
)
def test_a_corrupt_line_is_named_and_skipped(folder: Path, line: bytes) -> None:
    spoil(folder, 3, line)
    with open_session(folder) as saved:
        assert list(saved.written_events()) == [event for event in a_session() if event.number != 3]
        assert any("line 3 is not an event" in problem for problem in saved.problems)
        assert "events.jsonl: events 3 are missing." in saved.problems
        assert all("\x1b" not in problem for problem in saved.problems)


def test_a_line_that_was_cut_short_is_named(folder: Path) -> None:
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    with open_session(folder) as saved:
        assert list(saved.written_events()) == a_session()[:-1]
        assert saved.problems == ["events.jsonl line 8 is truncated."]


def test_ten_thousand_corrupt_lines_are_a_few_sentences(folder: Path) -> None:
    (folder / "events.jsonl").write_bytes(b"x\n" * 10_000)
    with open_session(folder) as saved:
        assert list(saved.events()) == []
        assert len(saved.problems) == 21


def test_a_newer_schema_is_reported_and_read_as_far_as_possible(folder: Path) -> None:
    edit(folder, schema=2, novelty={"a": 1})
    with open_session(folder) as saved:
        assert "newer version (schema 2, this program reads 1)" in saved.problems[0]
        assert list(saved.events()) == a_session()
        assert saved.record.title == "test"


def test_a_newer_record_that_cannot_be_understood_is_replaced_by_the_events(folder: Path) -> None:
    edit(folder, schema=2, metrics="none", title=7)
    with open_session(folder) as saved:
        assert "schema 2" in saved.problems[0]
        assert "session.json cannot be read" in saved.problems[1]
        assert saved.record.session_id == "s-1"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"schema":"x"}', b"[" * 100_000])
def test_a_corrupt_record_is_replaced_by_the_events(folder: Path, content: bytes) -> None:
    (folder / "session.json").write_bytes(content)
    with open_session(folder) as saved:
        assert saved.problems
        assert (saved.record.session_id, saved.record.title) == ("s-1", "demo")
        assert list(saved.events()) == a_session()


def test_missing_files_are_named_and_the_rest_is_read(folder: Path) -> None:
    edit(folder, audio_rate=16_000)
    (folder / "messages.bin").unlink()
    with open_session(folder) as saved:
        assert saved.problems == [
            "audio.wav was not found: the tracks are missing.",
            "messages.bin was not found: raw messages cannot be shown.",
        ]
        assert (
            saved.raw_message(e.MessageLogged(at_ns=0, direction=e.Direction.SENT, kind="x", offset=0))
            is None
        )
    (folder / "events.jsonl").unlink()
    with open_session(folder) as saved:
        assert list(saved.events()) == []
        assert "events.jsonl was not found: the events are missing." in saved.problems
    (folder / "session.json").unlink()
    with pytest.raises(SavedSessionError):
        open_session(folder)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x24\0\0\0WAVE", b"no wav at all, but long enough"])
def test_a_corrupt_track_is_named(folder: Path, content: bytes) -> None:
    (folder / "audio.wav").write_bytes(content)
    with open_session(folder) as saved:
        assert saved.audio is None
        assert "audio.wav cannot be read" in saved.problems[0]


def test_a_truncated_track_is_read_as_far_as_it_exists(folder: Path) -> None:
    path = folder / "audio.wav"
    tracks = StereoFile(path, 8_000)
    tracks.put(Channel.USER, 0, b"\1\0" * 16_000)
    tracks.extend(16_000)
    tracks.close()
    os.truncate(path, 44 + 4 * 4_000 + 2)
    edit(folder, audio_rate=8_000, audio_starts_ns=50)
    with open_session(folder) as saved:
        assert saved.problems == ["audio.wav is truncated: only 0.5 s of 2.0 s are present."]
        assert saved.audio is not None
        assert saved.audio.frames == 4_000
        assert saved.audio.read(0, 9_000).user == b"\1\0" * 4_000
        assert saved.audio.read(3_990, 5).user == b"\1\0" * 5
        assert saved.audio.read(9_000, 5).user == b""
        assert (saved.audio.ns_at(8_000), saved.audio.frame_at(1_000_000_050)) == (1_000_000_050, 8_000)


def test_links_and_pipes_are_not_read(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (folder / "messages.bin").unlink()
    (folder / "messages.bin").symlink_to(secret)
    os.mkfifo(folder / "audio.wav")
    with open_session(folder) as saved:
        assert saved.raw_message(message(size_bytes=3)) is None
        assert len(saved.problems) == 2


def test_an_invalid_offset_has_no_message(folder: Path) -> None:
    with open_session(folder) as saved:
        for offset, size in ((2, 10), (10**30, 3), (0, 10**30), (0, 2**40), (0, -5)):
            logged = e.MessageLogged(
                at_ns=0, direction=e.Direction.SENT, kind="x", offset=offset, size_bytes=size
            )
            assert saved.raw_message(logged) is None


def test_the_largest_readable_values_can_be_folded_and_shown(folder: Path) -> None:
    most = b'"at_ns":4611686018427387904,"direction":"sent","kind":"x","size_bytes":1099511627776,"offset":0'
    spoil(folder, 3, b'{"event":"message","number":3,' + most + b"}")
    with open_session(folder) as saved:
        engine = SavedEngine(saved)
        bridge = Bridge(engine, engine.now_ns)
        bridge.tick()
        assert bridge.log.events == list(saved.written_events())
        assert isinstance(logged := bridge.log.events[2], e.MessageLogged)
        assert bridge.raw_message(logged) is None
        with (folder / "messages.bin").open("r+b") as file:
            file.truncate(2**40)
        assert bridge.raw_message(logged) is None
        bridge.close()


def test_a_session_that_was_cut_off_gets_an_end(tmp_path: Path) -> None:
    events = numbered(
        [started(), status(Status.IDLE, Status.CONNECTING, 10), said(e.Party.USER, "x", at_ms=20)]
    )
    with open_session(write_now(tmp_path, events)) as saved:
        *read, error, ended = saved.events()
        assert list(saved.written_events()) == events == read
        assert saved.outcome == Outcome.CUT_OFF
    assert isinstance(error, e.ErrorRaised)
    assert "cut off" in error.message
    assert isinstance(ended, e.StatusChanged)
    assert (ended.old, ended.new, ended.number) == (Status.CONNECTING, Status.ERROR, 5)
    assert ended.at_ns == events[-1].at_ns
