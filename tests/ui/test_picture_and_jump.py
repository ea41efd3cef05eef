from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.conftest import Stage, Staging, sized
from tests.ui.fakes import Script, a_call, telemetry
from tests.ui.test_reading import notices
from tui.models.target import Target
from tui.screens.connect import ConnectScreen
from tui.screens.jump import JumpScreen
from tui.widgets.choice import Choice


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_a_screenshot_is_a_picture_and_the_text_of_the_screen(
    stage: Staging, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    monkeypatch.chdir(folder)
    async with stage((100, 30)) as s:
        await s.play([*a_call(script).take(), telemetry(-23, -14)])
        before = s.text()
        await s.press("f12")
        picture, text = files_in(folder)
        assert text.read_text() == before.replace("\N{NO-BREAK SPACE}", " ")
        assert picture.read_text().startswith("<svg")
        assert notices(s) == f"Saved {picture} and {text.name}"
        await s.press("f12")
        assert len(files_in(folder)) == 4


async def test_a_folder_that_cannot_be_written_to_is_a_sentence(
    stage: Staging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    async with stage((100, 30)) as s:
        monkeypatch.setattr(Path, "cwd", lambda: gone / "deeper")
        await s.press("f12")
        assert notices(s) == "The screenshot was not saved: No such file or directory."


@sized((120, 40))
async def test_jump_mode_goes_to_the_pane_whose_letter_is_typed(booking: Stage) -> None:
    await booking.press("ctrl+g")
    screen = booking.screen(JumpScreen)
    letters = {widget.id: letter for letter, widget in screen.targets.items()}
    assert {"log", "transcript", "turns"} <= letters.keys()
    x, y = booking.session.turns.region.offset
    assert booking.text().splitlines()[y][x : x + 3] == f" {letters['turns']} "
    await booking.press(letters["turns"])
    assert booking.focused() is booking.session.turns
    await booking.press("ctrl+g", "9")
    assert booking.top() is booking.session
    assert booking.focused() is booking.session.turns


async def test_jump_mode_reaches_every_field_of_the_first_screen(stage: Staging) -> None:
    async with stage((100, 30), target=None, recent=[Target(url="ws://h/x")]) as s:
        await s.press("ctrl+g")
        screen = s.screen(JumpScreen)
        letters = {widget.id: letter for letter, widget in screen.targets.items()}
        assert {"url", "targets", "protocol", "token", "in", "out", "call"} <= letters.keys()
        await s.press(letters["protocol"])
        assert isinstance(s.top(), ConnectScreen)
        assert isinstance(s.focused(), Choice)
