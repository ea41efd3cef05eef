from __future__ import annotations

import pytest

from tests.ui.conftest import Staging
from tui.remembered import Layout, ScreenMemory


async def test_a_theme_that_was_chosen_is_there_the_next_time(stage: Staging) -> None:
    async with stage() as s:
        assert s.app.memory == ScreenMemory()
        s.app.theme = "opus-light"
        await s.tick()
        left = s.app.memory
    async with stage(memory=left) as s:
        assert s.app.theme == "opus-light"
        assert s.app.memory == left


async def test_a_theme_that_is_no_more_is_not_missed(stage: Staging) -> None:
    async with stage(memory=ScreenMemory("gone")) as s:
        assert s.app.theme == "opus-dark"


async def test_no_color_is_not_remembered_as_a_choice(
    stage: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(memory=ScreenMemory("opus-light")) as s:
        assert s.app.theme == "ansi-dark"
        assert s.app.memory.theme == "opus-light"


async def test_a_layout_is_kept_beside_the_theme(stage: Staging) -> None:
    async with stage(memory=ScreenMemory("opus-light")) as s:
        s.app.remember_layout(Layout("turns", 40))
        assert s.app.memory == ScreenMemory("opus-light", Layout("turns", 40))
