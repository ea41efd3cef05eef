"""Tests a saved session with a real engine for sound, and unreadable parts of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.saving.events import a_session, write_now
from tests.ui.fakes import FakeEngine
from tui.bridge import Bridge
from tui.engine.saved_engine import SavedEngine
from tui.engine.wire import EventItem, FindPeaks, HangUp, MessagesFile, Peaks, PlayAudio, PlayingAudio
from tui.models import events as e
from tui.saving.reading import SavedSession, open_session
from tui.saving.stereo import StereoFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write_now(tmp_path / "sessions", [*a_session(), b"raw"])
    (folder / "audio.wav").unlink(missing_ok=True)
    tracks = StereoFile(folder / "audio.wav", 16_000)
    tracks.extend(16_000)
    tracks.close()
    return folder


def opened(saved: SavedSession, **options: Any) -> tuple[SavedEngine, Bridge]:
    """Returns the engine of a session, and a bridge that has ticked once."""
    engine = SavedEngine(saved, **options)
    bridge = Bridge(engine, engine.now_ns)
    bridge.tick()
    return engine, bridge


@pytest.fixture
def saved(folder: Path) -> Iterator[SavedSession]:
    with open_session(folder) as saved:
        yield saved


def test_sound_commands_go_to_the_engine_process(saved: SavedSession) -> None:
    sound = FakeEngine()
    _, bridge = opened(saved, sound=sound)
    path = str(saved.folder / "audio.wav")
    assert sound.sent == [FindPeaks(path=path)]
    bridge.send(HangUp())
    clip = bridge.player.play(PlayAudio(path=path))
    assert sound.sent[1:] == [PlayAudio(clip=clip, path=path)]
    playing = PlayingAudio(clip=clip, at_ms=20.0, playing=True)
    sound.frames = [
        MessagesFile(path="/not/of/this/session"),
        playing,
        Peaks(path=path, bins=2, bin_ms=10.0, tracks=(b"\1\2", b"\3\4")),
    ]
    bridge.tick()
    assert bridge.player.playing == playing
    assert bridge.waveform.columns(1, 0, 20, 2) == b"\3\4"
    assert bridge.log.events == a_session()
    bridge.close()


def test_without_an_engine_process_the_rest_is_shown_and_one_notice(saved: SavedSession) -> None:
    sound = FakeEngine()
    _, bridge = opened(saved, sound=sound)
    bridge.player.play(PlayAudio(path="audio.wav"))
    sound.alive = False
    bridge.tick()
    assert bridge.player.playing is not None
    assert "engine process has ended" in bridge.player.playing.problem
    assert sound.log_path in bridge.player.playing.problem
    assert not any(isinstance(event, e.ErrorRaised) for event in bridge.log.events)
    told = bridge.player.playing
    bridge.tick()
    assert bridge.player.playing is told
    bridge.close()


def test_the_playhead_spans_events_and_tracks(saved: SavedSession) -> None:
    head = SavedEngine(saved, sound=FakeEngine()).playhead
    events = a_session()
    assert saved.audio is not None
    assert head.first_ns == events[0].at_ns
    assert head.last_ns == max(events[-1].at_ns, saved.audio.ns_at(saved.audio.frames))
    assert not head.playing
    assert SavedEngine(saved, speed=2).playhead.playing


def test_what_cannot_be_read_is_reported_after_what_can(folder: Path) -> None:
    path = folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = b"{nonsense\n"
    path.write_bytes(b"".join(lines)[:-10])
    (folder / "audio.wav").write_bytes(b"RIFF")
    with open_session(folder) as saved:
        engine, bridge = opened(saved, sound=FakeEngine())
        told = [event.text for event in bridge.log.events if isinstance(event, e.NoticeRaised)]
        assert any("audio.wav cannot be read" in text for text in told)
        assert any("line 4 is not an event" in text for text in told)
        assert any("is truncated" in text for text in told)
        numbers = [event.number for event in bridge.log.events]
        assert numbers == sorted(set(numbers))
        assert engine.playhead.audio_path == ""
        bridge.close()


def test_a_session_without_events_still_reports_what_is_wrong(folder: Path) -> None:
    (folder / "events.jsonl").unlink()
    with open_session(folder) as saved:
        engine, bridge = opened(saved, sound=FakeEngine())
        assert bridge.state.notice is not None
        assert "the events are missing" in bridge.state.notice.text
        assert bridge.state.notice.of_opening
        assert engine.playhead.last_ns - engine.playhead.first_ns == 1_000_000_000
        bridge.close()


def test_a_session_is_folded_again_only_when_the_playhead_moves_back(saved: SavedSession) -> None:
    now_ns = 0
    engine = SavedEngine(saved, speed=1, clock_ns=lambda: now_ns)
    begun: list[int] = []

    def tick() -> None:
        items = [item.event for item in engine.drain() if isinstance(item, EventItem)]
        begun.append(sum(isinstance(event, e.SessionStarted) for event in items))

    tick()
    for _ in range(5):
        now_ns += 50_000_000
        engine.playhead.advance()
        tick()
    assert begun == [1, 0, 0, 0, 0, 0]
    engine.playhead.seek(engine.playhead.last_ns)
    tick()
    engine.playhead.seek(engine.playhead.first_ns)
    tick()
    tick()
    assert begun[6:] == [0, 1, 0]


def test_how_far_a_long_session_has_been_read_is_shown(
    saved: SavedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.engine.saved_engine.AT_ONCE_EVENTS", 3)
    engine = SavedEngine(saved)
    bridge = Bridge(engine, engine.now_ns)
    seen = []
    while not engine.finished:
        bridge.tick()
        seen.append(bridge.latest.reading)
    bridge.tick()
    *shares, last = seen
    assert (last, bridge.latest.reading) == (None, None)
    assert len(shares) == 2
    assert all(share is not None and 0 <= share < 1 for share in shares)
    assert shares == sorted(shares, key=lambda share: share or 0)
    bridge.close()


def test_a_short_session_and_a_replay_are_not_being_read(saved: SavedSession) -> None:
    for speed in (None, 1.0):
        _, bridge = opened(saved, speed=speed)
        assert bridge.latest.reading is None
        bridge.close()
