from __future__ import annotations

import pytest
from textual.command import CommandPalette

from tests.ui.conftest import Stage, Staging
from tests.ui.fakes import Script, a_call, to_active
from tui.engine.wire import HangUp
from tui.screens.actions import APP, spoken
from tui.screens.help import HelpScreen
from tui.screens.palette import ActionCommands
from tui.screens.session_actions import REPLAY, SEARCHING, SESSION


async def help_text(s: Stage) -> str:
    await s.pilot.resize_terminal(100, 190)
    await s.press("question_mark")
    assert isinstance(s.app.screen, HelpScreen)
    return s.text()


async def test_help_lists_every_binding(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(a_call(script).take())
        active = s.session.active_bindings
        text = " ".join((await help_text(s)).replace("│", " ").split())
        for key, entry in active.items():
            if entry.binding.system:
                continue
            line = spoken().get(entry.binding.id or "")
            told = f"{key} {line}"[:50] if line else entry.binding.tooltip or entry.binding.description
            assert line or s.app.get_key_display(entry.binding) in text, key
            assert told in text, key


async def test_help_describes_the_place_where_it_was_opened(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        text = await help_text(s)
        assert "Row up" in text
        assert "Jump to the event of the last error. (not now: there was no error)" in text
        await s.press("escape", "tab", "question_mark")
        assert "First words" in s.text()
        assert "Row up" not in s.text()


async def test_every_action_has_an_id_of_its_own_and_a_tooltip() -> None:
    actions = [*SESSION, *APP]
    assert len({action.id for action in actions}) == len(actions)
    assert all(action.tooltip.endswith((".", "here")) for action in actions)


async def test_no_key_has_two_actions_in_the_session() -> None:
    keys = [
        key
        for action in (*SESSION, *APP)
        if action not in (*SEARCHING, *REPLAY)
        for key in action.keys.split(",")
    ]
    assert [key for key in keys if keys.count(key) > 1] == []


async def palette_names(s: Stage) -> list[str]:
    provider = ActionCommands(s.app.screen)
    return [str(hit.prompt) async for hit in provider.discover()]


async def test_the_palette_lists_what_applies_now(stage: Staging, script: Script) -> None:
    async with stage() as s:
        idle = " ".join(await palette_names(s))
        assert "Call" in idle
        assert "Hang up" not in idle
        await s.play(to_active(script).take())
        active = " ".join(await palette_names(s))
        assert "Hang up" in active
        assert "Say: Hello, what are your opening hours today?  1" in active
        assert "Show error" not in active


async def test_a_palette_command_does_what_its_key_does(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        s.sent()
        await s.press("ctrl+p")
        assert isinstance(s.app.screen, CommandPalette)
        await s.press(*"hang")
        await s.until(lambda: "End the call." in s.text())
        await s.pilot.press("down", "enter")
        await s.until(lambda: s.engine.sent)
        assert s.sent() == [HangUp()]


async def test_a_recorded_line_is_found_by_its_words(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        found = [str(hit.prompt) async for hit in ActionCommands(s.app.screen).search("hours")]
        assert found[0].startswith("Say: Hello, what are your opening hours today?")


async def test_every_theme_draws(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(a_call(script).take())
        await s.press("enter")
        for theme in ("opus-light", "ansi-dark", "ansi-light", "opus-dark"):
            s.app.theme = theme
            await s.tick()
            assert "active" in s.text()


async def test_no_color_means_the_terminals_colours(stage: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage() as s:
        assert s.app.theme == "ansi-dark"
