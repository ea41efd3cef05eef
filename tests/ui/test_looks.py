"""Tests the appearance of a few screens with pictures (SVG) of all colors and styles.

Look at a changed picture before keeping it.
"""

from __future__ import annotations

import re

import pytest

from tests.ui.conftest import Stage, Staging, check_snapshot
from tests.ui.fakes import MS, Script, a_call, devices, telemetry, with_tools
from tests.ui.test_reading import two_updates
from tests.ui.test_snapshots import with_error
from tests.ui.test_turns import conversation
from tui.models import events as e

THEMES = ("opus-dark", "opus-light", "ansi-dark")


async def check_look(s: Stage, name: str) -> None:
    """Compares the picture without the footer, which has its own snapshots, and without the renderer's build."""
    for footer in s.app.screen.query("KeyBar"):
        footer.display = False
    await s.tick()
    svg = s.app.export_screenshot(title="opusagent-tui", simplify=True)
    check_snapshot(name, re.sub(r"terminal-\d+", "terminal", svg), "svg")


@pytest.mark.parametrize("theme", THEMES)
async def test_a_call(stage: Staging, script: Script, theme: str) -> None:
    async with stage((120, 40)) as s:
        s.app.theme = theme
        s.clock.now_ns += 83_000 * MS
        await s.play([*with_tools(a_call(script)).take(), telemetry(-23, -14, queued_ms=1240, clipped=True)])
        s.session.log_pane.move_to(20)
        await check_look(s, f"look-call-{theme}")


async def test_turns(stage: Staging, script: Script) -> None:
    async with stage((120, 40)) as s:
        await s.play(conversation(script).take())
        await s.press("u", "up")
        await check_look(s, "look-turns-opus-dark")


async def test_a_detail_beside_an_error(stage: Staging, script: Script) -> None:
    async with stage((120, 40)) as s:
        s.app.theme = "opus-light"
        await s.play(with_error(a_call(script)).take())
        s.session.log_pane.move_to(s.bridge.log.row_of(148) or 0, centre=True)
        await s.press("enter")
        await check_look(s, "look-detail-opus-light")


@pytest.mark.parametrize("theme", THEMES)
async def test_a_comparison(stage: Staging, script: Script, theme: str) -> None:
    async with stage((120, 40)) as s:
        s.app.theme = theme
        await s.play(two_updates(script).take())
        await s.press("b", "up", "D", "n")
        await check_look(s, f"look-compare-{theme}")


async def test_the_help(script: Script, s: Stage) -> None:
    await s.play(a_call(script).take())
    await s.press("question_mark")
    await check_look(s, "look-help-opus-dark")


async def test_the_devices(script: Script, s: Stage) -> None:
    s.app.theme = "opus-light"
    script.started().status(e.Status.IDLE, e.Status.ACTIVE)
    script.add(e.AudioOpened, capture="Built-in Microphone", playback="Jabra [/b] Evolve")
    await s.play([*script.take(), devices()])
    await s.press("A")
    await check_look(s, "look-devices-opus-light")


async def test_a_message_as_a_tree(stage: Staging, script: Script) -> None:
    async with stage((120, 40)) as s:
        await s.play(two_updates(script).take())
        await s.press("enter", "enter", "down", "down")
        await check_look(s, "look-tree-opus-dark")


async def test_a_log_that_nothing_matches(script: Script, s: Stage) -> None:
    await s.play(a_call(script).take())
    s.session.questions.set_filter("transcript")
    await check_look(s, "look-unmatched-opus-dark")
