"""Tests all kinds of sound faults in one call: each is reported while it lasts, and the call survives it.

This takes about 25 seconds, because devices must be silent for half a second before a fault is reported, and
an echo must be heard for two seconds.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.conftest import RATE
from tests.e2e.terminal import LIMIT_S, VIRTUAL_AUDIO, Terminal, virtual_audio

pytestmark = pytest.mark.timeout(240)


class Desk:
    """A private sound server that tests may break."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = environment
        self._environment = {**os.environ, **environment}
        self._folder = Path(environment["VIRTUAL_AUDIO_DIR"])
        self._room = folder / "room.raw"
        noise = np.random.default_rng(1).integers(-8, 9, RATE * 60, dtype=np.int16)
        self._room.write_bytes(noise.astype("<i2").tobytes())

    def control(self, *arguments: str) -> str:
        """Returns the output of `pactl` for these arguments."""
        return subprocess.run(
            ["pactl", *arguments], check=True, capture_output=True, text=True, env=self._environment
        ).stdout.strip()

    @contextmanager
    def room(self) -> Iterator[None]:
        """Adds room noise, because a microphone in a room never delivers complete silence."""
        command = ["pacat", "--device=virtual_mic_feed", "--format=s16le", f"--rate={RATE}", "--channels=1"]
        player = subprocess.Popen([*command, str(self._room)], env=self._environment)
        try:
            yield
        finally:
            player.kill()
            player.wait(5)

    @property
    def _pid_file(self) -> Path:
        return self._folder / "run" / "pid"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspends the server, which then exists but does not answer."""
        server = int(self._pid_file.read_text())
        os.kill(server, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(int(self._pid_file.read_text()), signal.SIGKILL)
        self._pid_file.unlink()  # otherwise, the next server would assume that this one is running

    def start(self) -> None:
        subprocess.run([VIRTUAL_AUDIO / "start"], check=True, capture_output=True, env=self._environment)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "va"
    folder.mkdir()
    with virtual_audio(folder, RATE) as environment:
        yield Desk(environment, tmp_path)


def until(condition: Callable[[], bool], what: str, terminal: Terminal) -> None:
    give_up = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < give_up, f"{what} did not come to pass:\n{terminal.text()}"
        time.sleep(0.05)


def notice(terminal: Terminal) -> str:
    """Returns the current notice line."""
    return next((line for line in terminal.text().splitlines()[:5] if line.startswith(" ! ")), "")


def shows(terminal: Terminal, words: str) -> None:
    until(lambda: words in notice(terminal), f"{words!r} in the line of notices", terminal)


def over(terminal: Terminal, words: str) -> None:
    until(lambda: words not in notice(terminal), f"the end of {words!r}", terminal)


def test_what_is_the_matter_with_sound_is_told_while_it_lasts(desk: Desk, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, desk.environment, (100, 30))
    try:
        desk.control("set-source-mute", "virtual_mic", "1")
        terminal.run("demo", "--latency", "0.1", "--no-save")
        terminal.wait_for("active", re.compile(r"s played: play-1|play-1 ended"))
        with desk.room():
            # Permission missing, or muted.
            terminal.press("r")
            shows(terminal, "The microphone has sent only silence")
            desk.control("set-source-mute", "virtual_mic", "0")
            over(terminal, "The microphone has sent only silence")

            # Stalled.
            for kind, name, word in (
                ("source", "virtual_mic", "microphone"),
                ("sink", "virtual_speaker", "speaker"),
            ):
                desk.control(f"suspend-{kind}", name, "1")
                shows(terminal, f"The {word} (default) has stalled")
                desk.control(f"suspend-{kind}", name, "0")
                over(terminal, "has stalled")

            # Echo. The agent answers a line and hears its own answer.
            loop = desk.control(
                "load-module",
                "module-loopback",
                "source=virtual_speaker.monitor",
                "sink=virtual_mic_feed",
                "latency_msec=30",
            )
            terminal.press("1")
            shows(terminal, "The agent is hearing itself")
            desk.control("unload-module", loop)
            terminal.press("1")
            over(terminal, "hearing itself")

        # Device lost and found again.
        desk.kill()
        shows(terminal, "has disappeared")
        desk.start()
        over(terminal, "has disappeared")

        # The program itself is late, and reports it.
        engine = terminal.process("tui.engine")
        os.kill(engine, signal.SIGSTOP)
        time.sleep(1)
        os.kill(engine, signal.SIGCONT)
        terminal.wait_for(re.compile(r"fell (9\d{2}|1\d{3}) ms behind"))
        terminal.press("q", "Enter")
        terminal.wait_for("EXIT 0")
    finally:
        terminal.kill()
    terminal.wait_until_gone()


def test_a_sound_server_that_stops_answering_does_not_keep_the_call(desk: Desk, tmp_path: Path) -> None:
    """Devices cannot be switched in this state, but hanging up and quitting always work."""
    terminal = Terminal(tmp_path, {**desk.environment, "OPUSAGENT_TUI_SOUND_TIMEOUT_S": "1"}, (100, 30))
    try:
        terminal.run("demo", "--no-save")
        terminal.wait_for("active", re.compile(r"s played: play-1|play-1 ended"))
        terminal.press("r")
        terminal.wait_for("mic on")
        terminal.press("A")
        terminal.wait_for("in use", "default")
        with desk.frozen():
            terminal.press("Down", "Enter")
            terminal.wait_for("The sound system is not responding.")
            terminal.press("A")  # not escape, which may be combined with the next key
            terminal.wait_for("(default) is not responding")
            terminal.press("d")
            terminal.wait_for("■ ended")
            terminal.press("q")
            terminal.wait_for("EXIT 0")
    finally:
        terminal.kill()
    terminal.wait_until_gone()
