"""Tests the appearance of a few screens with pictures (SVG) of all colors and styles.

Look at a changed picture before keeping it.
"""

from __future__ import annotations

import re

import pytest

from tests.ui.conftest import Stage, check_snapshot, sized
from tests.ui.fakes import MS, Script, a_call, devices, telemetry, with_tools
from tests.ui.test_devices import opened
from tests.ui.test_reading import two_updates
from tests.ui.test_snapshots import with_error
from tests.ui.test_turns import conversation

THEMES = ("opus-dark", "opus-light", "ansi-dark")


async def check_look(s: Stage, name: str) -> None:
    """Compares the picture without the footer, which has its own snapshots, and without the renderer's build."""
    for footer in s.app.screen.query("KeyBar"):
        footer.display = False
    await s.tick()
    svg = s.app.export_screenshot(title="opusagent-tui", simplify=True)
    check_snapshot(name, re.sub(r"terminal-\d+", "terminal", svg), "svg")


@pytest.mark.parametrize("theme", THEMES)
@sized((120, 40))
async def test_a_call(script: Script, theme: str, s: Stage) -> None:
    s.app.theme = theme
    s.clock.now_ns += 83_000 * MS
    await s.play([*with_tools(a_call(script)).take(), telemetry(-23, -14, queued_ms=1240, clipped=True)])
    s.session.log_pane.move_to(20)
    await check_look(s, f"look-call-{theme}")


@sized((120, 40))
async def test_turns(script: Script, s: Stage) -> None:
    await s.play(conversation(script).take())
    await s.press("u", "up")
    await check_look(s, "look-turns-opus-dark")


@sized((120, 40))
async def test_a_detail_beside_an_error(script: Script, s: Stage) -> None:
    s.app.theme = "opus-light"
    await s.play(with_error(a_call(script)).take())
    s.session.log_pane.move_to(s.bridge.log.row_of(148) or 0, centre=True)
    await s.press("enter")
    await check_look(s, "look-detail-opus-light")


@pytest.mark.parametrize("theme", THEMES)
@sized((120, 40))
async def test_a_comparison(script: Script, theme: str, s: Stage) -> None:
    s.app.theme = theme
    await s.play(two_updates(script).take())
    await s.press("b", "up", "D", "n")
    await check_look(s, f"look-compare-{theme}")


async def test_the_help(booking: Stage) -> None:
    await booking.press("question_mark")
    await check_look(booking, "look-help-opus-dark")


async def test_the_devices(script: Script, s: Stage) -> None:
    s.app.theme = "opus-light"
    await s.play([*opened(script).take(), devices()])
    await s.press("A")
    await check_look(s, "look-devices-opus-light")


@sized((120, 40))
async def test_a_message_as_a_tree(script: Script, s: Stage) -> None:
    await s.play(two_updates(script).take())
    await s.press("enter", "enter", "down", "down")
    await check_look(s, "look-tree-opus-dark")


async def test_a_log_that_nothing_matches(booking: Stage) -> None:
    booking.session.questions.set_filter("transcript")
    await check_look(booking, "look-unmatched-opus-dark")
