"""Tests a complete call in a terminal, from microphone to speaker, on the screen and in the audio."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.conftest import RATE
from tests.e2e.listening import ONE_BLOCK, gaps_in, samples
from tests.e2e.terminal import Terminal, recorded_speaker, say
from tui.assets import caller_lines, prompts

pytestmark = pytest.mark.timeout(240)

HOURS = caller_lines()[0]


def test_a_live_call_is_seen_and_heard_whole(
    terminal: Terminal, sound: dict[str, str], tmp_path: Path
) -> None:
    heard_path = tmp_path / "heard.raw"
    with recorded_speaker(sound, heard_path, RATE):
        terminal.run("demo", "--latency", "0.1")
        terminal.wait_for("● active", "How can I help you?")
        # The log shows the messages in order, with arrival times.
        terminal.wait_for("playFinished")
        terminal.press("f")
        terminal.wait_for("\n Filter")
        terminal.type("not dir:own not kind:chunk")
        terminal.press("Enter")
        screen = terminal.wait_for("session.accepted", "playFinished")
        assert re.search("(?s)session.accepted.*playStream.start.*playStream.stop.*playFinished", screen)
        assert re.search(r"\+\d+\.\d{3} +← +playStream\.stop", screen)
        terminal.press("f")
        terminal.wait_for("\n Filter")
        terminal.press("C-u", "Enter")
        terminal.wait_for(re.compile(r"Events · [0-9,]+ *─"))

        terminal.press("r")
        terminal.wait_for("◉ mic on")
        say(sound, HOURS.path)
        terminal.wait_for(HOURS.text, prompts()["hours"].text[:30])
        terminal.wait_for(re.compile(r"s played: play-2|play-2 ended"))
        terminal.wait_for(re.compile(r"response \d+( ± \d+)? ms"))

        # Stop: the microphone is off, but silence is still sent. Then hang up and quit.
        terminal.press("s")
        terminal.wait_for("mic off")
        terminal.press("d")
        terminal.wait_for("■ ended", "session.end")

        # The detail of a message shows its JSON, with audio elided to its length.
        terminal.press("Home", "Enter")
        terminal.press("Escape", "End")
        terminal.press("q")
        terminal.wait_for("EXIT 0")
    assert terminal.modes() == "0 0 1"
    assert "-icanon" not in terminal.text()
    terminal.wait_until_gone()

    heard = np.fromfile(heard_path, "<i2")
    greeting, answer = samples(prompts()["greeting"].path), samples(prompts()["hours"].path)
    for played in (greeting, answer):
        gaps = gaps_in(heard, played, RATE)
        assert all(gap <= ONE_BLOCK for gap in gaps), f"gaps of {gaps} samples"


def test_without_portaudio_the_caller_lines_are_the_microphone(tmp_path: Path, sound: dict[str, str]) -> None:
    terminal = Terminal(tmp_path, {"OPUSAGENT_TUI_HIDE_PORTAUDIO": "1"})
    try:
        terminal.run("demo")
        terminal.wait_for("active", re.compile("[Rr]ecorded lines"))
        terminal.wait_for(re.compile(r"s played: play-1|play-1 ended"))
        terminal.press("9")
        terminal.wait_for(caller_lines()[8].text, "the agent hung up", "■ ended")
        terminal.press("q")
        terminal.wait_for("EXIT 0")
        assert terminal.modes() == "0 0 1"
        terminal.wait_until_gone()
    finally:
        terminal.kill()


def test_an_agent_that_is_killed_leaves_a_usable_screen(terminal: Terminal) -> None:
    terminal.run("demo", "--latency", "0.1")
    terminal.wait_for("active")
    os.kill(terminal.process("tui.agent"), signal.SIGKILL)
    terminal.wait_for("could not be resumed", "✗ error  demo")  # the call has ended, rather than only failed
    terminal.press("c")
    terminal.wait_for("● active", "How can I help you?")
    terminal.press("q", "Enter")
    terminal.wait_for("EXIT 0")


def test_an_engine_that_is_killed_can_be_started_again(terminal: Terminal) -> None:
    terminal.run("demo", "--latency", "0.1")
    terminal.wait_for("active")
    os.kill(terminal.process("tui.engine"), signal.SIGKILL)
    terminal.wait_for("engine process has ended")
    terminal.press("c")
    terminal.wait_for("● active", "How can I help you?")
    terminal.press("q", "Enter")
    terminal.wait_for("EXIT 0")
