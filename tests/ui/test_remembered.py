from __future__ import annotations

import pytest

from tests.ui.conftest import Staging
from tui.remembered import ScreenMemory
from tui.view.layout import Layout


async def test_a_chosen_theme_is_used_in_the_next_run(stage: Staging) -> None:
    async with stage() as s:
        assert s.app.memory == ScreenMemory()
        s.app.theme = "opus-light"
        await s.tick()
        left = s.app.memory
    async with stage(memory=left) as s:
        assert s.app.theme == "opus-light"
        assert s.app.memory == left


async def test_an_unknown_remembered_theme_is_ignored(stage: Staging) -> None:
    async with stage(memory=ScreenMemory("gone")) as s:
        assert s.app.theme == "opus-dark"


async def test_no_color_is_not_remembered_as_a_choice(
    stage: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(memory=ScreenMemory("opus-light")) as s:
        assert s.app.theme == "ansi-dark"
        assert s.app.memory.theme == "opus-light"


async def test_the_layout_is_saved_with_the_theme(stage: Staging) -> None:
    layout = Layout(panes=("health",), log_share_beside=0.3, weights={"health": 2.0})
    async with stage((120, 40), memory=ScreenMemory("opus-light", layout)) as s:
        assert s.session.panes.shown == ["transcript", "health"]
        assert s.session.log_pane.region.width == 36
        assert s.session.health.region.height > 1.8 * s.session.transcript.region.height
        await s.press("u", "enter", "escape", "less_than_sign")
        left = s.app.memory
    expected = Layout(("turns", "health", "transcript", "tools", "floor"), 0.35, 0.6, {"health": 2.0})
    assert left == ScreenMemory("opus-light", expected)
