"""Tests that every screen works without a mouse: tab, shift+tab and arrows reach each control, and escape leaves."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from textual.screen import Screen
from textual.widget import Widget

from tests.ui.conftest import Stage, Staging
from tests.ui.fakes import Script, a_call, devices, measured
from tests.ui.test_reading import two_updates
from tui.config.model import ScreenSettings, Settings
from tui.engine.wire import PlayScenario
from tui.models import events as e
from tui.models.target import Target
from tui.screens.compare_sessions import CompareSessionsScreen
from tui.screens.keymap import PLACES
from tui.screens.quit import QuitScreen
from tui.screens.session import SessionScreen
from tui.screens.settings_form import KeyScreen, SettingsScreen
from tui.widgets.choice import Choice

KEYS = {
    "SessionScreen": (),
    "CallbacksScreen": ("T",),
    "CompareScreen": ("b", "up", "D"),
    "ExportScreen": ("x",),
    "SessionsScreen": ("ctrl+o",),
    "CompareSessionsScreen": (),
    "ReportScreen": ("ctrl+s",),
    "DevicesScreen": ("A",),
    "InstructionsScreen": ("I",),
    "KeypadScreen": ("K",),
    "HelpScreen": ("question_mark",),
    "FilterHelpScreen": ("f2",),
    "QuitScreen": ("q",),
    "TurnScreen": ("u", "enter"),
    "JumpScreen": ("ctrl+g",),
    "SettingsScreen": ("f4",),
    "KeyScreen": ("f4", "shift+tab", "enter"),
    "ChartScreen": ("u", "P"),
}
"""Keys that open each screen from the session screen."""
NEEDS_NO_CALL = ("SessionsScreen", "CompareSessionsScreen", "ReportScreen")
NEEDS_OPENAI = ("CompareScreen", "InstructionsScreen")


async def open_screen(s: Stage, script: Script, kind: type[Screen[object]]) -> Screen[object]:
    name = kind.__name__
    if name == "CompareScreen":
        await s.play(two_updates(script).take())
    else:
        a_call(script, "openai" if name in NEEDS_OPENAI else "audiocodes")
        if name in NEEDS_NO_CALL:
            script.status(e.Status.ACTIVE, e.Status.ENDED)
        await s.play([*script.take(), devices()])
    if name == "ConnectScreen":
        s.session.post_message(s.session.TargetWanted())
        await s.tick()
    elif name == "CommandsScreen":
        s.session.scenario.ask_commands(PlayScenario(path="/x", commands=("true",)), lambda _: None)
        await s.tick()
    elif name == "CompareSessionsScreen":
        s.app.push_screen(CompareSessionsScreen(s.app.library, Path("a"), Path("b")))
        await s.tick()
    else:
        await s.press(*KEYS[name])
    await s.play([measured()])
    assert type(s.top()) is kind
    return s.top()


def controls(screen: Screen[object]) -> set[Widget]:
    """Returns everything on the screen that can have the focus."""
    return {
        widget
        for widget in screen.walk_children(Widget)
        if widget.can_focus and widget.is_on_screen and not widget.disabled and widget.region.area
    }


@pytest.mark.parametrize("kind", PLACES, ids=lambda kind: kind.__name__)
async def test_every_control_is_reached_and_escape_leaves(
    stage: Staging, script: Script, kind: type[Screen[object]]
) -> None:
    async with stage((100, 36), recent=[Target(url="ws://h/x")]) as s:
        screen = await open_screen(s, script, kind)
        wanted = controls(screen)
        for key in ("tab", "shift+tab"):
            reached = {s.focused()}
            for _ in range(len(wanted)):
                await s.press(key)
                reached.add(s.focused())
            assert wanted - reached == set(), key
        assert s.top() is screen
        await s.press("escape")
        if kind is KeyScreen:
            assert isinstance(s.top(), SettingsScreen)
        else:
            assert s.top() is s.session


async def test_an_export_is_set_up_and_written_by_keys_alone(booking: Stage) -> None:
    await booking.press("x", "shift+tab", "shift+tab", "shift+tab", "enter", "down", "down", "enter")
    focused = booking.focused()
    assert isinstance(focused, Choice)
    assert (focused.id, focused.chosen) == ("what", "marked")
    assert "^s export" in booking.text()


async def test_arrows_move_between_the_keys_of_the_keypad(booking: Stage) -> None:
    await booking.press("K", "down", "enter", "right", "down", "enter", "up", "up", "left", "enter")
    assert [getattr(command, "digits", "") for command in booking.sent()] == ["1", "5", "*"]


async def test_q_in_a_call_asks_once(booking: Stage) -> None:
    await booking.press("q")
    assert isinstance(booking.top(), QuitScreen)
    await booking.press("escape")
    assert isinstance(booking.top(), SessionScreen)
    await booking.press("q")
    booking.app.simulate_key("enter")
    await booking.until(lambda: booking.app.return_code is not None)
    assert booking.app.return_code == 0


async def test_the_question_says_so_if_the_call_ends_meanwhile(script: Script, booking: Stage) -> None:
    await booking.press("q")
    assert "The call is still active. End it and quit?" in booking.text()
    await booking.play(script.status(e.Status.ACTIVE, e.Status.ENDED).take())
    assert "The call has ended in the meantime. Quit?" in booking.text()
    assert "End call" not in booking.text()
    await booking.press("escape")
    assert booking.top() is booking.session


async def test_the_settings_turn_the_question_off(stage: Staging, script: Script) -> None:
    settings = msgspec.structs.replace(Settings(), screen=ScreenSettings(confirm_quit=False))
    async with stage((100, 36), settings=settings) as s:
        await s.play(a_call(script).take())
        s.app.simulate_key("q")
        await s.until(lambda: s.app.return_code is not None)


async def test_j_and_k_move(booking: Stage) -> None:
    at = booking.session.log_pane.cursor
    await booking.press("k", "k")
    assert booking.session.log_pane.cursor == at - 2
    await booking.press("j")
    assert booking.session.log_pane.cursor == at - 1
