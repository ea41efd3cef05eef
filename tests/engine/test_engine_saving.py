"""Tests that an engine process killed at any time has saved everything older than a second."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import wave
from pathlib import Path

import pytest

from tests.engine.process import connect, handle_of, heard, until
from tui.agent.process import AgentProcess
from tui.bridge import Bridge
from tui.engine import wire
from tui.engine.saved_engine import SavedEngine
from tui.models import events as e
from tui.models.events import Status
from tui.models.target import Target
from tui.saving.listing import list_sessions
from tui.saving.reading import open_session
from tui.saving.record import Outcome


def call(bridge: Bridge, agent: AgentProcess, folder: Path, **options: object) -> None:
    target = Target(
        url=agent.url("/audiocodes"),
        title="demo",
        input="lines",
        output="none",
        save=str(folder),
        **options,  # type: ignore[arg-type]
    )
    connect(bridge, target)


def test_a_call_is_saved_completely_and_its_messages_are_read_from_the_session(
    bridge: Bridge, agent: AgentProcess, tmp_path: Path
) -> None:
    call(bridge, agent, tmp_path, token="open-sesame")
    until(bridge, lambda: heard(bridge))
    (running,) = list_sessions(tmp_path)
    assert running.outcome == Outcome.RUNNING
    bridge.send(wire.HangUp())
    until(bridge, lambda: bridge.state.status is Status.ENDED)
    until(bridge, lambda: list_sessions(tmp_path)[0].outcome == Outcome.ENDED)
    (summary,) = list_sessions(tmp_path)
    assert summary.title == "demo"
    assert summary.has_audio
    with open_session(summary.folder) as saved:
        assert list(saved.events()) == bridge.log.events
        assert saved.problems == []
        for event in bridge.log.events:
            if isinstance(event, e.MessageLogged):
                assert bridge.raw_message(event) == saved.raw_message(event) is not None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prlimit is Linux")
def test_a_full_disk_ends_the_saving_and_not_the_call(
    bridge: Bridge, agent: AgentProcess, tmp_path: Path
) -> None:
    """No file of the engine may grow beyond 100 kB, which the tracks reach in less than two seconds."""
    import resource

    call(bridge, agent, tmp_path)
    _, hard = resource.prlimit(handle_of(bridge).pid, resource.RLIMIT_FSIZE)
    resource.prlimit(handle_of(bridge).pid, resource.RLIMIT_FSIZE, (100_000, hard))
    until(bridge, lambda: any(isinstance(event, e.ErrorRaised) for event in bridge.log.events))
    error = next(event for event in bridge.log.events if isinstance(event, e.ErrorRaised))
    assert error.message == "The session is no longer being saved: File too large."
    assert not error.fatal
    until(bridge, lambda: bridge.log.events[-1].number > error.number + 20)
    assert bridge.state.status is Status.ACTIVE
    (summary,) = list_sessions(tmp_path)
    with open_session(summary.folder) as saved:
        saved_events = list(saved.written_events())
        assert saved_events == bridge.log.events[: len(saved_events)]
        assert 0 < len(saved_events) < error.number
        assert saved.record.problem == "File too large"
        assert saved.problems == []
        assert saved.audio is not None


@pytest.mark.parametrize("after_s", [1.2, 2.8])
def test_after_a_kill_everything_older_than_a_second_opens(
    bridge: Bridge, agent: AgentProcess, tmp_path: Path, after_s: float
) -> None:
    call(bridge, agent, tmp_path)
    bridge.send(wire.SpeakLine(key="1"))
    until_ns = time.monotonic_ns() + int(after_s * 1e9)
    until(bridge, lambda: time.monotonic_ns() >= until_ns)
    os.kill(handle_of(bridge).pid, signal.SIGKILL)
    killed_ns = time.monotonic_ns()
    live = list(bridge.log.events)
    until(bridge, lambda: not bridge.engine.alive)
    (summary,) = list_sessions(tmp_path)
    assert summary.outcome == Outcome.CUT_OFF
    with wave.open(str(summary.folder / "audio.wav")) as file:
        frames = file.getnframes()
        assert len(file.readframes(frames)) == 4 * frames
    with open_session(summary.folder) as saved:
        written = list(saved.written_events())
        # Edges of speech are back-dated; everything else is emitted at its time or later.
        new = (x.number for x in live if x.at_ns >= killed_ns - 1e9 and not isinstance(x, e.SpeechEdge))
        due = live[: next(new, len(live) + 1) - 1]
        assert due
        assert due == written[: len(due)]
        assert saved.audio is not None
        assert saved.audio.ns_at(saved.audio.frames) >= killed_ns - 1_000_000_000
        messages = [event for event in written if isinstance(event, e.MessageLogged)]
        assert messages
        for event in messages:
            assert json.loads(saved.raw_message(event) or b"")
        assert all("cut short" in problem for problem in saved.problems)
        screen = SavedEngine(saved)
        replayed = Bridge(screen, screen.now_ns)
        while not screen.finished:
            replayed.tick()
        assert replayed.state.status is Status.ERROR
        assert replayed.state.last_error is not None
        assert replayed.state.last_error.code == "cut-off"
        replayed.close()
