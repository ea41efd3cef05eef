from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_state_path

from tui.models.target import Target
from tui.remembered import ScreenMemory, recent_targets, remember_screen, remember_target, screen_memory
from tui.view.layout import Layout

BASE = Target(url="", save="/kept", echo="gate")


def state_folder() -> Path:
    return user_state_path("opusagent-tui")


def test_the_screen_is_found_as_it_was_left() -> None:
    left = ScreenMemory("opus-light", Layout(("health",), 0.3))
    remember_screen(left)
    assert screen_memory() == left
    assert state_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"theme": 3}',
        b'{"layout": {"side_share_percent": 500}}',
        b'"later"',
    ],
)
def test_a_file_that_cannot_be_read_is_none(content: bytes) -> None:
    state_folder().mkdir(parents=True)
    for name in ("screen.json", "recent.json"):
        (state_folder() / name).write_bytes(content)
    assert screen_memory() == ScreenMemory()
    assert recent_targets(BASE) == []


def test_what_a_newer_program_remembers_is_passed_over() -> None:
    state_folder().mkdir(parents=True)
    (state_folder() / "screen.json").write_text('{"layout": {"panes": ["turns"], "colour": 1}, "new": []}')
    assert screen_memory().layout.panes == ("turns",)


def test_a_folder_that_cannot_be_made_stops_nothing() -> None:
    state_folder().parent.mkdir(parents=True)
    state_folder().write_text("in the way")
    remember_screen(ScreenMemory("opus-light"))
    remember_target(Target(url="ws://h"))
    assert screen_memory() == ScreenMemory()


def test_targets_are_remembered_newest_first_without_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_TOKEN", "hunter2")
    remember_target(Target(url="ws://user:pw@h/x?key=abc", headers={"X": "hunter3"}))
    remember_target(Target(url="ws://other", token="hunter2", token_env="BOT_TOKEN"))
    remember_target(Target(url="ws://user:pw@h/x?key=abc"))
    assert [target.url for target in recent_targets(BASE)] == ["ws://h/x?key=…", "ws://other"]
    assert recent_targets(BASE)[1].token == "hunter2"
    kept = (state_folder() / "recent.json").read_text()
    assert not any(secret in kept for secret in ("hunter", "pw", "abc"))
