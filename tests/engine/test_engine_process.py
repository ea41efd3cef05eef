"""Tests the engine as a process, as the screen uses it."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.process import connect, engine_process, handle_of, sounds, until
from tui.agent.process import AgentProcess
from tui.bridge import Bridge
from tui.engine import wire
from tui.engine.handle import EngineHandle
from tui.models import events as e
from tui.models.events import Status
from tui.models.target import Target
from tui.models.transcript import Utterance
from tui.saving.listing import list_sessions
from tui.saving.record import Outcome


def target(agent: AgentProcess, **options: Any) -> Target:
    return Target(url=agent.url("/audiocodes"), input="lines", output="none", **options)


def test_a_call_reaches_the_models_and_its_messages_can_be_read(bridge: Bridge, agent: AgentProcess) -> None:
    bridge.trace_callbacks(True)
    try:
        connect(bridge, target(agent))
        until(bridge, lambda: sounds(bridge))
        until(bridge, lambda: any(stats.calls for stats in bridge.latest.callbacks))
        assert "engine" in {process for process, _ in bridge.callback_stats()}
        assert any("MessageLog.received" in stats.name for stats in bridge.latest.callbacks)
    finally:
        bridge.trace_callbacks(False)
    assert not bridge.tracing_callbacks
    assert [event.number for event in bridge.log.events] == list(range(1, len(bridge.log.events) + 1))
    accepted = next(
        event
        for event in bridge.log.events
        if isinstance(event, e.MessageLogged) and event.kind == "session.accepted"
    )
    raw = bridge.raw_message(accepted)
    assert raw is not None
    assert raw.startswith(b'{"type":"session.accepted"')
    first = bridge.transcript.entries[0]
    assert isinstance(first, Utterance)
    assert first.speaker is e.Party.AGENT
    assert bridge.latest.telemetry.agent_peak_dbfs is not None
    bridge.send(wire.HangUp())
    until(bridge, lambda: bridge.state.status is Status.ENDED)


def test_a_second_call_is_a_second_session_and_starts_from_an_empty_state(
    bridge: Bridge, agent: AgentProcess, tmp_path: Path
) -> None:
    connect(bridge, target(agent, save=str(tmp_path)))
    first = bridge.state.session_id
    bridge.send(wire.Connect(target=target(agent, save=str(tmp_path))))
    until(bridge, lambda: bridge.state.session_id not in ("", first))
    until(bridge, lambda: bridge.state.status is Status.ACTIVE)
    assert isinstance(bridge.log.events[0], e.SessionStarted)
    assert bridge.log.events[0].number == 1
    assert [summary.outcome for summary in list_sessions(tmp_path)][1:] == [Outcome.ENDED]


def test_without_a_call_commands_do_nothing_and_a_refused_call_is_reported_and_saved(
    bridge: Bridge, tmp_path: Path
) -> None:
    for command in (wire.Record(on=True), wire.HangUp(), wire.Interrupt(), wire.SendDtmf(digits="1")):
        bridge.send(command)
    bridge.send(wire.ListDevices())
    until(bridge, lambda: bridge.latest.devices is not None)
    assert bridge.log.events == []
    unknown = Target(url="ws://127.0.0.1:9/", protocol="smoke-signals", save=str(tmp_path))
    bridge.send(wire.Connect(target=unknown))
    until(bridge, lambda: bridge.state.status is Status.ERROR)
    assert bridge.state.last_error is not None
    assert "smoke-signals" in bridge.state.last_error.message
    until(bridge, lambda: [summary.outcome for summary in list_sessions(tmp_path)] == [Outcome.ERROR])
    assert bridge.engine.alive


def test_commands_sent_before_the_process_runs_reach_it_and_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPUSAGENT_TUI_HIDE_PORTAUDIO", "1")
    engine = EngineHandle()
    bridge = Bridge(engine, time.monotonic_ns)
    bridge.send(wire.ListDevices())
    bridge.tick()
    assert bridge.engine.alive
    engine.start()
    until(bridge, lambda: bridge.latest.devices is not None)
    assert bridge.latest.devices is not None
    assert "PortAudio" in bridge.latest.devices.problem
    # What drivers print does not pile up.
    Path(engine.log_path).write_text("underrun occurred")
    engine.stop()
    bridge.close()
    assert not Path(engine.log_path).exists()


def test_a_paused_screen_misses_nothing(bridge: Bridge, agent: AgentProcess) -> None:
    connect(bridge, target(agent))
    bridge.send(wire.Pause(paused=True))
    time.sleep(0.5)
    bridge.tick()
    before = len(bridge.log.events)
    time.sleep(0.3)
    bridge.tick()
    assert len(bridge.log.events) == before
    bridge.send(wire.Pause(paused=False))
    until(bridge, lambda: len(bridge.log.events) > before + 20)
    assert [event.number for event in bridge.log.events] == list(range(1, len(bridge.log.events) + 1))


def test_stopping_says_goodbye_and_leaves_no_file(agent: AgentProcess) -> None:
    engine = EngineHandle().start()
    bridge = Bridge(engine, time.monotonic_ns)
    connect(bridge, target(agent))
    kept = Path(f"/proc/self/fd/{bridge.folder.raw._descriptor}").resolve()
    assert kept.exists()
    engine.stop()
    bridge.tick()
    assert not kept.exists()
    assert not Path(engine.log_path).exists()
    assert any(
        isinstance(event, e.MessageLogged) and event.kind == "session.end" for event in bridge.log.events
    )
    bridge.close()


def test_an_engine_that_dies_is_an_error_on_the_screen_and_its_log_is_kept(agent: AgentProcess) -> None:
    engine = EngineHandle().start()
    bridge = Bridge(engine, time.monotonic_ns)
    connect(bridge, target(agent))
    Path(engine.log_path).write_text("an assertion of a driver")
    os.kill(engine.pid, signal.SIGABRT)
    until(bridge, lambda: not bridge.engine.alive)
    bridge.tick()
    assert bridge.state.status is Status.ERROR
    assert bridge.state.last_error is not None
    assert bridge.state.last_error.code == "engine-lost"
    assert engine.log_path in bridge.state.last_error.hint
    bridge.send(wire.HangUp())
    engine.stop()
    bridge.close()
    assert Path(engine.log_path).exists()
    Path(engine.log_path).unlink()


def test_an_engine_that_never_started_leaves_no_file() -> None:
    engine = EngineHandle()
    engine.stop()
    assert not Path(engine.log_path).exists()


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_quitting_does_not_wait_for_an_agent_that_does_not_answer(scheme: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with engine_process() as bridge:
            url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/"
            bridge.send(wire.Connect(target=Target(url=url, protocol="auto", input="none", output="none")))
            until(bridge, lambda: bridge.state.status is Status.CONNECTING)
            time.sleep(0.3)
        process = handle_of(bridge)._process
    assert process is not None
    assert process.returncode == 0
