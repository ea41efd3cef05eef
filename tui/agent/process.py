"""Starts and stops the local agent's process. Uses only the standard library."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, replace
from typing import Self

from tui.agent.settings import AgentError, AgentSettings
from tui.child import read_line, start_child

_TOKEN_VARIABLE = "OPUSAGENT_AGENT_TOKEN"
READY = "listening on "
FAILED = "failed: "
_START_LIMIT_S = 10.0
_SPEAKING_LIMIT_S = 120.0
"""Maximum startup time, in seconds, of an agent that must first synthesize the answers in its rules."""


class AgentProcess:
    """The process of a running agent, which ends on `stop`, at the end of a ``with`` block, or with this process."""

    def __init__(self, process: subprocess.Popen[bytes], start_limit_s: float = _START_LIMIT_S) -> None:
        self.process = process
        self._start_limit_s = start_limit_s
        self._base_url = ""

    def url(self, protocol_path: str) -> str:
        """Waits until the agent is listening; returns the URL for a protocol's path.

        If the agent fails or takes too long, stops it and raises `AgentError`.
        """
        if not self._base_url:
            line = self._first_line()
            if not line.startswith(READY):
                self.stop()
                raise AgentError(line.removeprefix(FAILED) or "The local agent failed to start.")
            self._base_url = line.removeprefix(READY)
        return self._base_url + protocol_path

    @property
    def is_running(self) -> bool:
        """Whether the agent's process is still running."""
        return self.process.poll() is None

    def stop(self, timeout_s: float = 3.0) -> int:
        """Makes the agent hang up its calls and exit; returns the exit code.

        Terminates the process after ``timeout_s``, and kills it after another ``timeout_s``.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        for harder in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(timeout_s)
                break
            except subprocess.TimeoutExpired:
                harder()
        self.process.stdout.close()
        return self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _first_line(self) -> str:
        try:
            return read_line(self.process, self._start_limit_s).decode(errors="replace").strip()
        except (TimeoutError, EOFError):
            return ""


def start_agent(settings: AgentSettings) -> AgentProcess:
    """Starts the agent without waiting until it listens. Raises `AgentError` if the process cannot be started."""
    # The token is passed in the environment, because every user can read the arguments of a process.
    token = {_TOKEN_VARIABLE: settings.token} if settings.token else {}
    try:
        process = start_child(
            "tui.agent",
            _argument(settings),
            stderr=subprocess.DEVNULL,
            env={**os.environ, **token},
        )
    except OSError as error:
        raise AgentError(f"The local agent cannot be started: {error.strerror or error}.") from error
    return AgentProcess(process, _SPEAKING_LIMIT_S if settings.answers else _START_LIMIT_S)


def _argument(settings: AgentSettings) -> str:
    return json.dumps(asdict(replace(settings, token="")))


def settings_from(argument: str) -> AgentSettings:
    """Parses the argument that `start_agent` passed to this process. Raises `AgentError` for invalid values."""
    import msgspec

    return msgspec.convert(
        {**json.loads(argument), "token": os.environ.get(_TOKEN_VARIABLE, "")}, AgentSettings
    )
