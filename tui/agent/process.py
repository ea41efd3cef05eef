"""Starts and stops the local agent's process. Uses only the standard library."""

from __future__ import annotations

import os
import select
import subprocess
import time
from types import TracebackType
from typing import IO, Self

from tui.agent.settings import EVERYTHING_AT_ONCE, AgentError, AgentSettings
from tui.child import child_command

_TOKEN_VARIABLE = "OPUSAGENT_AGENT_TOKEN"
_READY = "listening on "
_FAILED = "failed: "
_START_LIMIT_S = 10.0
_SPEAKING_LIMIT_S = 120.0
"""Maximum startup time, in seconds, of an agent that must first synthesize the answers in its rules."""


class AgentProcess:
    """A running agent, which ends on `stop`, at the end of a ``with`` block, or when this process ends."""

    def __init__(self, process: subprocess.Popen[bytes], start_limit_s: float = _START_LIMIT_S) -> None:
        self.process = process
        self._start_limit_s = start_limit_s
        self._base_url = ""

    def wait_until_ready(self, timeout_s: float | None = None) -> str:
        """Waits until the agent is listening; returns its URL without a path.

        If the agent fails or takes too long, stops it and raises `AgentError`.
        """
        if not self._base_url:
            line = self._read_line(self._start_limit_s if timeout_s is None else timeout_s)
            if not line.startswith(_READY):
                self.stop()
                raise AgentError(line.removeprefix(_FAILED) or "The local agent failed to start.")
            self._base_url = line.removeprefix(_READY)
        return self._base_url

    def url(self, protocol_path: str, timeout_s: float | None = None) -> str:
        """Waits until the agent is listening; returns the URL for a protocol's path. Raises `AgentError`."""
        return self.wait_until_ready(timeout_s) + protocol_path

    @property
    def is_running(self) -> bool:
        """Whether the process is running."""
        return self.process.poll() is None

    def stop(self, timeout_s: float = 3.0) -> int:
        """Lets the agent hang up its calls, then terminates it and, if needed, kills it; returns the exit code."""
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read_line(self, timeout_s: float) -> str:
        """Returns the first line that the agent prints; an incomplete line if the agent ends or takes too long."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        line = b""
        while not line.endswith(b"\n"):
            left_s = max(deadline - time.monotonic(), 0)
            readable, _, _ = select.select([descriptor], [], [], left_s)
            piece = os.read(descriptor, 4096) if readable else b""
            if not piece:
                return ""
            line += piece
        return line.decode(errors="replace").strip()


def start_agent(settings: AgentSettings, log: IO[bytes] | None = None) -> AgentProcess:
    """Starts the agent and returns at once; the agent's log goes to ``log`` or is discarded. Raises `AgentError`."""
    # The token is passed in the environment, because every user can read the arguments of a process.
    token = {_TOKEN_VARIABLE: settings.token} if settings.token else {}
    try:
        process = subprocess.Popen(
            child_command("tui.agent", *_arguments(settings)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if log is None else log,
            start_new_session=True,
            env={**os.environ, **token},
        )
    except OSError as error:
        raise AgentError(f"The local agent cannot be started: {error.strerror or error}.") from error
    return AgentProcess(process, _SPEAKING_LIMIT_S if settings.answers else _START_LIMIT_S)


def _arguments(settings: AgentSettings) -> list[str]:
    pace = "all" if settings.pace == EVERYTHING_AT_ONCE else repr(settings.pace)
    values = {
        "--host": settings.host,
        "--port": settings.port,
        "--reply": settings.reply,
        "--reply-delay": settings.reply_delay_ms / 1000,
        "--pace": pace,
        "--chunk": settings.chunk_ms,
        "--silence": settings.silence_ms,
        "--interrupt": settings.interrupt_ms,
        "--yield": settings.yield_ms,
        "--backchannel": settings.backchannel_ms,
        "--talk-over": settings.talk_over_ms,
        "--overlap-chance": settings.overlap_chance,
        "--seed": settings.seed,
        "--fault": settings.fault or "",
        "--answers": settings.answers,
        "--synthesizer": settings.synthesizer,
        "--speech-model": settings.speech_model,
        "--cert": settings.cert,
        "--key": settings.key,
    }
    hears = ["--hear"] if settings.hear else []
    arguments = ["--lifeline", *hears, *(f"{name}={value}" for name, value in values.items())]
    return [*arguments, f"--token-env={_TOKEN_VARIABLE}"] if settings.token else arguments
