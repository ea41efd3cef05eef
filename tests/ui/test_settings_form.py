"""Tests settings that are changed on the screen, and the file that they are written to."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.ui.conftest import Stage, Staging
from tests.ui.test_reading import notices
from tui.config.model import ScreenSettings, Settings
from tui.config.reading import read_settings
from tui.config.writing import change_file, changes_between
from tui.engine.wire import Record
from tui.models.turns.figures import Thresholds
from tui.screens.settings_form import SettingsScreen
from tui.text.strict import SettingsError

WRITTEN = """\
# my settings
[thresholds]
good_ms = 700  # as agreed

[screen]
refresh_per_s = 8 # over SSH

[profiles.staging] # theirs
url = "wss://h/x"

[keys]
mark = "f6"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(WRITTEN)
    return path


@pytest.fixture
async def s(stage: Staging, file: Path) -> AsyncIterator[Stage]:
    """Yields a stage whose settings are written to the file."""
    options = {"settings": read_settings(str(file)).settings, "change_settings": partial(change_file, file)}
    async with stage((100, 36), **options) as running:
        yield running


def form(s: Stage) -> SettingsScreen:
    return s.screen(SettingsScreen)


def content(file: Path) -> str:
    return file.read_text()


def choose_record(s: Stage) -> None:
    """Moves the cursor to the key of Record."""
    keys = form(s).keys
    keys.focus()
    keys.highlighted = keys.get_option_index("record")


async def test_thresholds_hold_at_once_and_are_written(file: Path, booking: Stage) -> None:
    assert "response 480 ms ✓" in booking.text()
    await booking.press("f4")
    form(booking).good.value, form(booking).slow.value = "300", "400"
    await booking.press("ctrl+s")
    assert booking.top() is booking.session
    assert "response 480 ms ✗" in booking.text()
    await booking.press("u")
    assert "480 ms ✗" in booking.text("#turns")
    text = content(file)
    assert text.startswith("# my settings\n[thresholds]\ngood_ms = 300  # as agreed\n")
    assert "slow_ms = 400\n" in text
    assert 'refresh_per_s = 8 # over SSH\n\n[profiles.staging] # theirs\nurl = "wss://h/x"\n' in text
    assert read_settings(str(file)).settings.thresholds == Thresholds(good_ms=300, slow_ms=400)


async def test_a_theme_is_previewed_and_escape_takes_it_back(file: Path, s: Stage) -> None:
    await s.press("f4")
    form(s).theme.choose("opus-light")
    await s.tick()
    assert s.app.theme == "opus-light"
    await s.press("escape")
    assert s.app.theme == "opus-dark"
    assert content(file) == WRITTEN
    await s.press("f4")
    form(s).theme.choose("opus-light")
    form(s).quitting.choose("no")
    await s.press("ctrl+s")
    assert s.app.theme == "opus-light"
    assert tomllib.loads(content(file))["screen"] == {
        "refresh_per_s": 8,
        "theme": "opus-light",
        "confirm_quit": False,
    }


async def test_a_key_is_changed_and_changed_back(file: Path, call: Stage) -> None:
    await call.press("f4")
    choose_record(call)
    await call.press("enter", "f7", "ctrl+s")
    call.sent()
    await call.press("r")
    assert call.sent() == []
    await call.press("f7")
    assert call.sent() == [Record(on=True)]
    assert tomllib.loads(content(file))["keys"] == {"mark": "f6", "record": "f7"}
    await call.press("f4")
    choose_record(call)
    await call.press("backspace", "ctrl+s")
    assert tomllib.loads(content(file))["keys"] == {"mark": "f6"}
    assert call.session.active_bindings["r"].binding.id == "record"


async def test_a_taken_key_and_a_wrong_number_are_explained(call: Stage) -> None:
    await call.press("f4")
    choose_record(call)
    await call.press("enter", "m")
    text = " ".join(call.text("#settings").replace("│", " ").split())
    assert "that key is already bound to Mute (mute) on the Session screen" in text
    form(call).good.value = "2000"
    await call.press("ctrl+s")
    assert "slow_ms (1500) must be at least good_ms (2000)" in call.text()
    form(call).good.value = "soon"
    await call.press("ctrl+s")
    assert "[thresholds] good_ms must be" in call.text()
    await call.press("escape")
    assert call.top() is call.session


async def test_a_file_that_cannot_be_written_is_a_sentence_and_the_change_holds(
    file: Path, monkeypatch: pytest.MonkeyPatch, booking: Stage
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("tui.config.writing.write_to", refuse)
    await booking.press("f4")
    form(booking).good.value = "100"
    await booking.press("ctrl+s")
    assert (
        notices(booking) == f"{file} cannot be written: Permission denied. The change applies until you quit."
    )
    assert "response 480 ms ~" in booking.text()


def test_a_new_file_is_made_and_a_broken_one_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    change_file(path, {"screen": {"theme": "opus-light"}})
    assert path.read_text() == '[screen]\ntheme = "opus-light"\n'
    path.write_text("[screen\n")
    with pytest.raises(SettingsError, match="is not valid TOML"):
        change_file(path, {"screen": {"theme": "opus-dark"}})
    assert path.read_text() == "[screen\n"


def test_only_what_differs_is_written() -> None:
    old = Settings(keys={"mark": ("f6",), "note": ("f7", "f8")})
    new = Settings(screen=ScreenSettings(confirm_quit=False), keys={"note": ("f7", "f8"), "record": ("f9",)})
    assert changes_between(old, old) == {}
    assert changes_between(old, new) == {
        "screen": {"confirm_quit": False},
        "keys": {"mark": None, "record": ("f9",)},
    }
