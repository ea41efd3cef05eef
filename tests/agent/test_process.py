from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tui.agent.process import AgentProcess, _argument, settings_from, start_agent
from tui.agent.settings import EVERYTHING_AT_ONCE, AgentError, AgentSettings, Fault, ReplyMode, parse_pace
from tui.protocols.registry import BUILT_IN


def test_a_started_agent_answers_and_stops() -> None:
    with start_agent(AgentSettings(token="secret")) as agent:
        url = agent.url("/audiocodes")
        assert url.startswith("ws://127.0.0.1:")
        with connect(url, additional_headers={"Authorization": "Bearer secret"}):
            pass
        with pytest.raises(InvalidStatus):
            connect(url)
        assert agent.process.poll() is None
        assert "secret" not in str(agent.process.args)
    assert not agent.is_running
    assert agent.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_as_it_should(number: signal.Signals) -> None:
    agent = start_agent(AgentSettings())
    with connect(agent.url("/audiocodes")) as call:
        agent.process.send_signal(number)
        assert agent.process.wait(10) == 0
        assert list(call) == []
        assert call.close_code == 1001
    agent.stop()


def test_the_end_of_its_parent_ends_it() -> None:
    program = (
        "from tui.agent.process import start_agent\n"
        "from tui.agent.settings import AgentSettings\n"
        "import os\n"
        "agent = start_agent(AgentSettings())\n"
        "print(agent.url(''), flush=True)\n"
        "os._exit(1)"
    )
    parent = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    port = int(parent.stdout.rpartition(b":")[2])
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.01)
    pytest.fail("the agent outlived its parent")


def test_an_agent_that_cannot_listen_reports_why() -> None:
    with start_agent(AgentSettings()) as agent:
        port = int(agent.url("").rpartition(":")[2])
        other = start_agent(AgentSettings(port=port))
        with pytest.raises(AgentError, match=f"cannot listen on 127.0.0.1, port {port}"):
            other.url("/audiocodes")
        assert not other.is_running


def test_a_program_that_is_not_an_agent_is_not_waited_for() -> None:
    silent = AgentProcess(
        subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ),
        start_limit_s=0.05,
    )
    with pytest.raises(AgentError, match="failed to start"):
        silent.url("/audiocodes")
    assert not silent.is_running


def test_an_agent_that_does_not_listen_to_reason_is_killed() -> None:
    deaf = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('listening on x', flush=True)\n"
        "time.sleep(60)"
    )
    agent = AgentProcess(
        subprocess.Popen([sys.executable, "-c", deaf], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    )
    assert agent.url("/y") == "x/y"
    assert agent.stop(timeout_s=0.05) == -signal.SIGKILL


def test_all_settings_reach_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPUSAGENT_AGENT_TOKEN", "secret")
    settings = AgentSettings(
        host="::1",
        port=7,
        token="secret",
        reply=ReplyMode.ECHO,
        reply_delay_ms=250,
        pace=EVERYTHING_AT_ONCE,
        chunk_ms=33.3,
        silence_ms=700,
        fault=Fault.LATE,
        answers="caf\udce9.toml",
    )
    argument = _argument(settings)
    assert "secret" not in argument
    reached = settings_from(argument)
    assert reached == settings
    assert (reached.reply, reached.fault) == (ReplyMode.ECHO, Fault.LATE)
    assert isinstance(reached.fault, Fault)


def test_impossible_settings_are_one_sentence() -> None:
    with pytest.raises(AgentError, match="must be greater than 0, not 0"):
        AgentSettings(pace=0)
    with pytest.raises(AgentError, match="must be greater than 0, not nan"):
        AgentSettings(pace=float("nan"))
    with pytest.raises(AgentError, match="between 0 and 65535, not 70000"):
        AgentSettings(port=70_000)
    with pytest.raises(ValueError, match="must be a number or 'all'"):
        parse_pace("fast")
    assert "secret" not in repr(AgentSettings(token="secret"))


@pytest.mark.parametrize("quiet", [False, True])
def test_the_command_prints_calls_on_stderr_unless_it_is_quiet(quiet: bool) -> None:
    command = [sys.executable, "-m", "tui", "agent", *(["--quiet"] if quiet else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        urls = [agent.stdout.readline().split()[-1] for _ in BUILT_IN]
        with connect(next(url for url in urls if url.endswith("/v1/realtime"))) as call:
            call.send('{"type":"session.update","session":{}}')
            for _ in range(2):
                call.recv(10)
        agent.send_signal(signal.SIGINT)
        more, printed = agent.communicate(timeout=10)
    assert more == ""
    lines = [line.partition(": ")[2] for line in printed.splitlines()]
    refused = "refused session.update: Missing required parameter: 'session.type'."
    assert [line for line in lines if line.startswith("refused")] == ([] if quiet else [refused])
    assert bool(printed) is not quiet
