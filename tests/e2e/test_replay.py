"""Tests opening a saved session and listening to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.e2e.conftest import RATE
from tests.e2e.listening import ONE_BLOCK, gaps_in
from tests.e2e.terminal import Terminal, recorded_speaker
from tests.saving.events import a_session, write_now
from tui.assets import caller_lines, prompts
from tui.audio.wav import read_wav
from tui.models.events import SessionStarted
from tui.saving.stereo import Channel, StereoFile

pytestmark = pytest.mark.timeout(240)


def test_both_tracks_of_a_saved_session_are_heard(
    terminal: Terminal, sound: dict[str, str], tmp_path: Path
) -> None:
    user, agent = read_wav(caller_lines()[3].path, RATE), read_wav(prompts()["greeting"].path, RATE)
    assert isinstance(a_session()[0], SessionStarted)
    folder = write_now(tmp_path / "sessions", a_session())
    (folder / "audio.wav").unlink(missing_ok=True)
    tracks = StereoFile(folder / "audio.wav", RATE)
    tracks.put(Channel.USER, RATE // 2, user)
    tracks.put(Channel.AGENT, RATE // 2 + len(user) // 2 - RATE // 4, agent)
    tracks.extend(RATE // 2 + (len(user) + len(agent)) // 2)
    tracks.close()

    heard_path = tmp_path / "heard.raw"
    with recorded_speaker(sound, heard_path, RATE):
        terminal.run("open", str(folder))
        terminal.wait_for("‖ 0:00.0", "both tracks", "▅")
        terminal.press("Space")
        terminal.wait_for("▶")
        terminal.wait_for("‖")
        terminal.press("q")
        terminal.wait_for("EXIT 0")
    terminal.wait_until_gone()

    both = np.zeros((len(user) + len(agent)) // 2 - RATE // 4, np.int32)
    both[: len(user) // 2] += np.frombuffer(user, "<i2")
    both[-len(agent) // 2 :] += np.frombuffer(agent, "<i2")
    gaps = gaps_in(np.fromfile(heard_path, "<i2"), np.clip(both, -32_768, 32_767).astype(np.int16), RATE)
    assert all(gap <= ONE_BLOCK for gap in gaps), f"gaps of {gaps} samples"
