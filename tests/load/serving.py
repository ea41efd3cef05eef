"""Starts the server with planted limits."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui.assets import caller_lines
from tui.audio.wav import read_wav

RATE = 16_000


class Server:
    """The server's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.url = f"ws://127.0.0.1:{int(process.stdout.readline())}/pcm"

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Waits until the server's observations fulfill a condition. The test's time limit applies."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            seen: dict[str, Any] = json.loads(line)
            if condition(seen):
                return seen
        raise AssertionError("the server has ended")


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    command = [sys.executable, str(Path(__file__).with_name("server.py")), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()
            process.communicate()


def short_scenario(folder: Path, *, turns: int = 1) -> Path:
    """Writes a scenario whose caller speaks for one second and hangs up after the answer."""
    pcm = read_wav(str(caller_lines()[0].path), RATE)
    with wave.open(str(folder / "word.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm[: RATE * 2])
    path = folder / "short.call.toml"
    turn = '[[step]]\nsay = "word.wav"\nwhen = "now"\n[[step]]\nexpect = "agent speaks"\nwithin = "5s"\n'
    path.write_text(turn * turns + "[[step]]\nhang_up = true\n")
    return path


def silent_scenario(folder: Path, *, silence: str = "1s") -> Path:
    """Writes a scenario whose caller is silent, so that many callers cost little."""
    path = folder / "silent.call.toml"
    path.write_text(f'[[step]]\nsilence = "{silence}"\n[[step]]\nhang_up = true\n')
    return path
