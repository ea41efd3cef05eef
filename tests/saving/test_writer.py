from __future__ import annotations

import shutil
import stat
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import message, numbered, said, started
from tests.saving.events import a_session, any_event, write_now
from tests.waiting import wait_for
from tui.audio.formats import AudioFormat, Encoding
from tui.models import events as e
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.models.target import Target
from tui.saving import stereo
from tui.saving import writer as writer_module
from tui.saving.folder_writer import FolderWriter
from tui.saving.folders import new_session_folder, safe_title
from tui.saving.reading import open_session
from tui.saving.record import Outcome, SavingError, SessionRecord
from tui.saving.writer import TOO_SLOW, SessionWriter

LIMIT_S = 10.0


@settings(max_examples=30)
@given(st.lists(any_event, max_size=20))
def test_events_are_read_back_unchanged(events: list[e.SessionEvent]) -> None:
    events = numbered(events)
    with tempfile.TemporaryDirectory() as folder:
        saved = open_session(write_now(Path(folder), events))
        assert list(saved.written_events()) == events
        assert not saved.problems
        saved.close()


async def test_each_event_points_to_its_message(tmp_path: Path) -> None:
    messages = [b'{"a":1}', b"", b"\xff\x00binary", '{"é":"ü"}'.encode(), b"x" * 1_000_000]
    target = Target(url="ws://x/", save=str(tmp_path))
    writer = await SessionWriter.start(target, pytest.fail)
    for raw in messages:
        event = msgspec.structs.replace(message(size_bytes=len(raw)), offset=writer.append(raw))
        assert writer.take(event) == event
    await writer.close()
    with open_session(writer.folder) as saved:
        logged = [event for event in saved.written_events() if isinstance(event, e.MessageLogged)]
        assert [saved.raw_message(event) for event in logged] == messages
        assert saved.messages_path.read_bytes() == b"".join(messages)


async def test_offsets_hold_where_secrets_and_audio_are_taken_out(tmp_path: Path) -> None:
    messages = [
        b'{"key":"open-sesame"}',
        bytes(640),
        b'{"audio":"' + b"A" * 200 + b'"}',
        b'{"pin":1234}',
        b"{}",
    ]
    target = Target(url="ws://x/", save=str(tmp_path), token="open-sesame", redact=("pin",), audio=False)
    writer = await SessionWriter.start(target, pytest.fail)
    assert writer.tracks is None
    taken: list[e.SessionEvent] = []
    journal = Journal(
        SessionState(),
        sink=lambda event: taken.append(writer.take(event)),
        keep_raw=writer.append,
        clock_ns=lambda: 1,
        redactor=target.redactor(),
    )
    for raw in messages:
        journal.message(e.Direction.RECEIVED, raw, "x")
    journal.notice("the word is open-sesame")
    await writer.close()
    with open_session(writer.folder) as saved:
        logged = [event for event in saved.written_events() if isinstance(event, e.MessageLogged)]
        assert logged == taken[:-1]
        assert [event.size_bytes for event in logged] == [len(raw) for raw in messages]
        assert [saved.raw_message(event) for event in logged] == [
            b'{"key":"[redacted]"}',
            None,
            b'{"audio":"(200 characters)"}',
            b'{"pin":"[redacted]"}',
            b"{}",
        ]
    everything = b"".join(path.read_bytes() for path in writer.folder.iterdir())
    assert b"open-sesame" not in everything
    assert not (writer.folder / "audio.wav").exists()


def test_the_record_has_the_target_and_the_outcome(tmp_path: Path) -> None:
    events = a_session()
    opened = e.AudioOpened(at_ns=1, capture="mic", playback="speaker", latency_ms=40)
    reply = e.ReplyStarted(at_ns=1, reply="r", format="pcm16 16 kHz")
    folder = write_now(
        tmp_path,
        [*events[:4], opened, reply, *events[4:]],
        url="wss://me:hidden-password@host/x?key=hidden-key",
        token="hidden-token",
        headers={"X-Key": "hidden-header"},
        params={"to": "hidden-token"},
    )
    with open_session(folder) as saved:
        record = saved.record
    assert (record.schema, record.title, record.protocol) == (1, "test", "audiocodes")
    assert record.target["url"] == "wss://host/x?key=…"
    assert (record.target["token"], record.target["headers"]) == ("…", {"X-Key": "…"})
    assert record.target["params"] == {"to": "[redacted]"}
    assert (record.outcome, record.reason) == (Outcome.ENDED, "hung up")
    assert (record.devices.capture, record.devices.playback) == ("mic", "speaker")
    assert record.devices.latency_ms == 40
    assert record.formats.agent == "pcm16 16 kHz"
    assert record.started_utc == "2026-01-15T09:00:00.000Z"
    assert record.metrics is not None
    assert (record.metrics.started_ns, record.metrics.ended_ns) == (1_000_000_000, 6_000_000_000)
    assert "hidden" not in (folder / "session.json").read_text()


def test_files_are_private(tmp_path: Path) -> None:
    folder = write_now(tmp_path / "new" / "sessions", [*a_session(), b"raw"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {"session.json", "events.jsonl", "messages.bin"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("demo", "demo"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "session"),
        ("", "session"),
        (".hidden", "hidden"),
        ("a b\0c\nd/e\\f", "a-b-c-d-e-f"),
        ("\x1b[31mred", "31mred"),
        ("Büro 3", "Büro-3"),
        ("\ud800x", "x"),
        ("x" * 300, "x" * 60),
        ("host:8080", "host-8080"),
    ],
)
def test_a_title_cannot_be_a_path(tmp_path: Path, title: str, name: str) -> None:
    assert safe_title(title) == name
    now = datetime(2026, 11, 22, 7, 41, 25, tzinfo=UTC)
    folder = new_session_folder(tmp_path, title, now)
    assert folder == tmp_path / f"2026-11-22T07-41-25Z {name}"
    assert new_session_folder(tmp_path, title, now).name == f"2026-11-22T07-41-25Z {name} 2"


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SavingError, match=r"Cannot write to .*file: "):
        write_now(tmp_path / "file", [])


def test_text_that_utf_8_cannot_encode_becomes_a_question_mark(tmp_path: Path) -> None:
    folder = write_now(tmp_path, numbered([said(e.Party.AGENT, "a\ud800b")]))
    with open_session(folder) as saved:
        (event,) = saved.written_events()
    assert isinstance(event, e.Transcribed)
    assert event.text == "a?b"


class StuckFiles(FolderWriter):
    """A disk that blocks until it is released."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SessionRecord(), began_ns=time.monotonic_ns())
        self.let_go = threading.Event()

    def flush(self, now_ns: int) -> str:
        assert self.let_go.wait(LIMIT_S)
        return super().flush(now_ns)


async def test_a_hanging_disk_blocks_nothing_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING_BYTES", 10_000)
    monkeypatch.setattr(writer_module, "MAX_WAITING_BLOCKS", 10)
    files, problems = StuckFiles(tmp_path), list[str]()
    writer = SessionWriter(tmp_path, files, problems.append, save_audio=True, clock_ns=time.monotonic_ns)
    writer._thread.start()
    began_s = time.monotonic()
    offsets = [writer.append(bytes(1000)) for _ in range(50)]
    for _ in range(50):
        writer.user_sent(time.monotonic_ns(), bytes(640), 16_000)
    writer.take(started(time.monotonic() * 1000))
    assert time.monotonic() - began_s < 1
    kept = [offset for offset in offsets if offset >= 0]
    assert kept == [1000 * index for index in range(len(kept))]
    assert 10 <= len(kept) < 50
    await wait_for(lambda: bool(problems))
    files.let_go.set()
    await writer.close()
    assert problems == [TOO_SLOW]
    assert (tmp_path / "messages.bin").stat().st_size == 1000 * len(kept)
    with open_session(tmp_path) as saved:
        assert saved.record.unsaved >= 80


class FullFiles(FolderWriter):
    """A disk that is full when the second event arrives."""

    def flush(self, now_ns: int) -> str:
        if len(self._lines) > 1:
            self._events.append([self._lines[0], self._lines[1][:9]])
            raise OSError(28, "No space left on device")
        return super().flush(now_ns)


async def test_a_full_disk_ends_saving_and_is_reported(tmp_path: Path) -> None:
    files, problems = FullFiles(tmp_path, SessionRecord(), began_ns=time.monotonic_ns()), list[str]()
    writer = SessionWriter(tmp_path, files, problems.append, save_audio=True, clock_ns=time.monotonic_ns)
    for event in a_session():
        writer.take(event)
    writer._thread.start()
    await wait_for(lambda: bool(problems))
    assert problems == ["The session is no longer being saved: No space left on device."]
    assert writer.append(b"x") == -1
    event = message()
    assert writer.take(event) is event
    writer.user_sent(0, bytes(640), 16_000)
    await writer.close()
    with open_session(tmp_path) as saved:
        assert saved.record.problem == "No space left on device"
        assert next(saved.written_events()) == a_session()[0]


async def test_a_problem_of_the_tracks_ends_only_the_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stereo, "_MAX_FRAMES", 1000)
    problems: list[str] = []
    target = Target(url="ws://x/", save=str(tmp_path))
    writer = await SessionWriter.start(target, problems.append)
    writer.take(started(time.monotonic() * 1000))
    writer.user_sent(time.monotonic_ns(), bytes(640), 16_000)
    await wait_for(lambda: bool(problems))
    assert problems == ["The audio tracks are no longer being saved: a WAV file cannot exceed 4 GB."]
    writer.user_sent(time.monotonic_ns(), bytes(640), 16_000)
    writer.take(said(e.Party.USER, "still here"))
    await writer.close()
    with open_session(writer.folder) as saved:
        assert len(list(saved.written_events())) == 2


def files_below(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.*")}


@pytest.mark.parametrize("removed", ["", "events.jsonl", "messages.bin", "session.json", "audio.wav"])
async def test_a_file_that_is_removed_during_the_call_ends_the_saving_at_once(
    tmp_path: Path, removed: str
) -> None:
    problems: list[str] = []
    writer = await SessionWriter.start(Target(url="ws://x/", save=str(tmp_path)), problems.append)
    writer.user_sent(time.monotonic_ns(), bytes(range(64)) * 10, 16_000)
    record_path = writer.folder / "session.json"

    def is_idle() -> bool:
        """Returns whether everything is written. In the middle of a cycle, session.json would be written again."""
        return msgspec.json.decode(record_path.read_bytes(), type=SessionRecord).audio_rate is not None

    await wait_for(is_idle)
    assert problems == []
    if removed:
        (writer.folder / removed).unlink()
    else:
        shutil.rmtree(writer.folder)
    removed_s = time.monotonic()
    await wait_for(lambda: bool(problems))
    assert time.monotonic() - removed_s < LIMIT_S
    assert problems == [f"The session is no longer being saved: {removed or 'its folder'} was removed."]
    for _ in range(3):
        writer.append(b"{}")
        writer.take(started(time.monotonic() * 1000))
        writer.user_sent(time.monotonic_ns(), bytes(640), 16_000)
    await writer.close()
    assert len(problems) == 1
    left = {"events.jsonl", "messages.bin", "session.json", "audio.wav"} - {removed}
    assert files_below(tmp_path) == (left if removed else set())
    if removed not in ("", "session.json"):
        record = msgspec.json.decode((writer.folder / "session.json").read_bytes(), type=SessionRecord)
        assert record.problem == f"{removed} was removed"


async def test_a_session_without_tracks_or_messages_is_not_taken_for_damaged(tmp_path: Path) -> None:
    problems: list[str] = []
    writer = await SessionWriter.start(Target(url="ws://x/", save=str(tmp_path)), problems.append)
    writer.user_format(AudioFormat(Encoding.PCM16, 16_000))
    writer.take(started(time.monotonic() * 1000))
    await wait_for(lambda: (writer.folder / "events.jsonl").stat().st_size > 0)
    await writer.close()
    assert problems == []
