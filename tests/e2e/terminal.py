"""Runs the real program in a real terminal (tmux) with virtual sound devices."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

VIRTUAL_AUDIO = Path(__file__).parent / "virtual-audio"
PROGRAM = [sys.executable, "-m", "tui"]
ROOT = Path(__file__).parents[2]
LIMIT_S = 45
"""Time limit in seconds for every wait. A machine that also runs other tests may need 20 s to start an agent."""


class Terminal:
    """A tmux server with one window (80x24 by default), in which the program runs."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], size: tuple[int, int] = (80, 24)
    ) -> None:
        self.marker = uuid.uuid4().hex
        self._socket = folder / "tmux.sock"
        self._size = size
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            **environment,
            "OPUSAGENT_E2E": self.marker,
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
        }
        self._environment.pop("TMUX", None)

    def run(self, *arguments: str) -> None:
        """Starts the program; its exit code is printed when it ends."""
        self._start(shlex.join([*PROGRAM, *arguments]) + '; echo "EXIT $?"; stty -a; sleep 1000')

    def run_shell(self, command: str) -> None:
        """Passes the command to a shell with job control, without waiting."""
        self._start("bash --norc -i")
        self.type(command)
        self.press("Enter")

    def _start(self, command: str) -> None:
        width, height = self._size
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), command)

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-u", "-S", str(self._socket), *arguments],
            check=True,
            capture_output=True,
            text=True,
            env=self._environment,
        ).stdout

    def press(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", key)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def text(self) -> str:
        """Returns the current text of the screen."""
        return self._tmux("capture-pane", "-p")

    def wait_for(self, *texts: str | re.Pattern[str], limit_s: float = LIMIT_S) -> str:
        """Waits until all of these texts are on the screen; returns the screen."""
        until = time.monotonic() + limit_s
        while True:
            screen = self.text()
            missing = [text for text in texts if not _stands(text, screen)]
            if not missing:
                return screen
            if time.monotonic() > until:
                raise AssertionError(f"{missing} did not appear within {limit_s:g} s:\n{screen}")
            time.sleep(0.05)

    def modes(self) -> str:
        """Returns the modes that show whether the terminal was restored: no alternate screen, no mouse, a cursor."""
        return self._tmux("display", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}").strip()

    def close_window(self) -> None:
        """Closes the terminal as a user would, which sends SIGHUP."""
        self._tmux("kill-session")

    def processes(self) -> dict[int, str]:
        """Returns all living processes of this terminal's program, with their command lines."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            ours = f"OPUSAGENT_E2E={self.marker}".encode() in environment
            starts = (f"{sys.executable} -m tui", f"{sys.executable} -P {ROOT}/tui/child.py")
            if ours and state != "Z" and command.startswith(starts):
                found[int(entry.name)] = command.strip()
        return found

    def process(self, module: str) -> int:
        """Returns the process that runs a module: "tui" (the screen), "tui.engine" or "tui.agent"."""
        return next(pid for pid, command in self.processes().items() if f" {module} " in command + " ")

    def wait_until_gone(self) -> None:
        """Waits until none of these processes is left."""
        until = time.monotonic() + LIMIT_S
        while left := self.processes():
            if time.monotonic() > until:
                raise AssertionError(f"still running: {left}")
            time.sleep(0.05)

    def kill(self) -> None:
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], check=False, capture_output=True)


def _stands(text: str | re.Pattern[str], screen: str) -> bool:
    return text in screen if isinstance(text, str) else text.search(screen) is not None


@contextmanager
def virtual_audio(folder: Path, rate: int) -> Iterator[dict[str, str]]:
    """Creates a virtual microphone and speaker; yields the environment in which they are visible."""
    settings = {"VIRTUAL_AUDIO_DIR": str(folder), "VIRTUAL_AUDIO_RATE": str(rate)}
    environment = {**os.environ, **settings}
    started = subprocess.run(
        [VIRTUAL_AUDIO / "start"], check=True, capture_output=True, text=True, env=environment
    )
    variables: dict[str, str] = {}
    for line in started.stdout.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        variables[name] = shlex.split(value)[0]
    try:
        yield variables
    finally:
        subprocess.run([VIRTUAL_AUDIO / "stop"], check=True, env=environment)


@contextmanager
def recorded_speaker(environment: Mapping[str, str], path: Path, rate: int) -> Iterator[None]:
    """Records the speaker to a file of raw 16-bit samples."""
    with path.open("wb") as file:
        command = ["parec", "--device=virtual_speaker.monitor", "--format=s16le", f"--rate={rate}"]
        recorder = subprocess.Popen(
            [*command, "--channels=1", "--raw", "--latency-msec=20"],
            stdout=file,
            env={**os.environ, **environment},
        )
        try:
            yield
        finally:
            recorder.terminate()
            recorder.wait(5)


def say(environment: Mapping[str, str], path: Path) -> None:
    """Plays a complete WAV file into the microphone."""
    subprocess.run(
        ["paplay", "--device=virtual_mic_feed", str(path)], check=True, env={**os.environ, **environment}
    )
