"""Tests a live call with each protocol on sound devices: audio in both directions, a barge-in, and a clean end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.conftest import RATE
from tests.e2e.listening import Samples, likeness, samples
from tests.e2e.terminal import ROOT, Terminal, recorded_speaker, say
from tui.assets import caller_lines, prompts
from tui.audio.wav import WavWriter, read_wav

pytestmark = pytest.mark.timeout(240)

RESPONSE = re.compile(r"response \d+( ± \d+)? ms")
LINES = {line.name: line for line in caller_lines()}


def is_heard(heard: Samples, played: Samples) -> bool:
    """Returns whether most fifths of a second were heard; a starved machine may insert silence between them."""
    pieces = [played[start : start + RATE // 5] for start in range(0, len(played) - RATE // 5, RATE // 5)]
    return sum(likeness(heard, piece) > 0.85 for piece in pieces) >= 0.7 * len(pieces)


def after_a_pause(line: Path, path: Path) -> Path:
    """Writes a line preceded by 1.5 s of silence, so that the agent can speak first."""
    with WavWriter(path, RATE) as file:
        file.write(bytes(3 * RATE) + read_wav(line, RATE))
    return path


@pytest.mark.parametrize("size", [(160, 50)])
@pytest.mark.parametrize("protocol", ["twilio", "openai"])
def test_a_live_call(protocol: str, terminal: Terminal, sound: dict[str, str], tmp_path: Path) -> None:
    heard_path = tmp_path / "heard.raw"
    with recorded_speaker(sound, heard_path, RATE):
        terminal.run("demo", "--protocol", protocol, "--latency", "0.1")
        terminal.wait_for("active", protocol)
        if protocol != "openai":  # its agents do not speak first
            terminal.wait_for("s played")
        terminal.press("r")
        terminal.wait_for("◉ mic on")
        say(sound, LINES["services"].path)
        # The answer is long, so speak over it.
        terminal.wait_for(RESPONSE)
        say(sound, after_a_pause(LINES["interrupt"].path, tmp_path / "interrupt.wav"))
        terminal.wait_for("unplayed")
        terminal.press("d")
        terminal.wait_for("■ ended")
        terminal.press("q")
        terminal.wait_for("EXIT 0")
    terminal.wait_until_gone()
    heard = np.fromfile(heard_path, "<i2")
    assert is_heard(heard, samples(prompts()["workshop"].path)[:RATE])
    if protocol != "openai":
        assert is_heard(heard, samples(prompts()["greeting"].path))


def test_live_calls_of_the_others_side_by_side(sound: dict[str, str]) -> None:
    """All calls use the same microphone and speaker; every millisecond of the agents' audio is accounted for."""
    telephony = ("genesys", "telnyx", "plivo", "exotel", "vonage", "asterisk")
    without_keys = ("gemini", "deepgram", "elevenlabs", "pcm")
    held = subprocess.run(
        [sys.executable, "-m", "tests.e2e.side_by_side", *telephony, *without_keys],
        env={**os.environ, **sound},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert held.returncode == 0, held.stderr
    for protocol, result in json.loads(held.stdout).items():
        keys = protocol in telephony  # the others have no message for keys
        assert result["keys"] == keys, protocol
        # On a starved machine, a pause between two words may end a turn, which is then answered too.
        assert result["replies"] >= 3 + keys, protocol
        assert result["flushes"] >= 1, protocol
        assert (result["findings"], result["errors"]) == ([], []), protocol
        assert result["status"] == "ended", protocol
        assert result["greeting_ms"] == pytest.approx(len(samples(prompts()["greeting"].path)) / 16, abs=101)
        accounted = result["played_ms"] + result["dropped_ms"]
        assert accounted == pytest.approx(result["received_ms"], abs=1), protocol
