"""Tests that all painted text is readable in the program's themes, with a contrast of at least 4.5:1."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rich.color
from rich.style import Style
from textual._context import visible_screen_stack
from textual.color import Color
from textual.theme import Theme

from tests.ui.conftest import Stage, Staging
from tests.ui.fakes import Script, a_call, devices, measured, telemetry, with_tools
from tests.ui.test_reading import two_updates
from tests.ui.test_snapshots import with_error
from tests.ui.test_turns import conversation
from tui.config.model import ScreenSettings, Settings
from tui.models.target import Target
from tui.screens.connect import ConnectScreen
from tui.screens.palette import ThemeCommands
from tui.screens.themes import THEMES
from tui.widgets.choice import Choice

LEAST = 4.5
PLACES = (
    ("enter", "enter", "down"),
    ("u", "enter"),
    ("h",),
    ("question_mark",),
    ("ctrl+p",),
    ("x",),
    ("A",),
    ("f2",),
    ("T", "space"),
    ("f4",),
)
"""Keys that lead from the log to the measured screens; escape leads back."""


def unreadable(s: Stage) -> Iterator[str]:
    visible_screen_stack.set(s.app._background_screens)
    strips = s.app.screen._compositor.render_strips()
    if s.app.screen.is_modal:  # the screen behind is dimmed on purpose
        box = s.app.screen.children[0].region
        strips = [strip.crop(box.x, box.right) for strip in strips[box.y : box.bottom]]
    for strip in strips:
        for text, style, _ in strip:
            if style is not None and any(character.isalnum() for character in text):
                ratio = contrast(style)
                if ratio < LEAST:
                    yield f"{ratio:.2f} {text.strip()!r} {style}"


def contrast(style: Style) -> float:
    front, back = (colour(each) for each in (style.color, style.bgcolor))
    if style.reverse:
        front, back = back, front
    if style.dim:
        front = back.blend(front, 0.5)
    return ratio_of(front, back)


def ratio_of(one: Color, other: Color) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(of: Color) -> float:
    """Returns the relative luminance as defined by the Web Content Accessibility Guidelines."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in of.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def colour(of: rich.color.Color | None) -> Color:
    assert of is not None, "a text without a colour of ours"
    assert of.triplet is not None, of
    return Color(*of.triplet)


def test_contrast_is_measured_as_the_guidelines_do() -> None:
    assert ratio_of(Color(0, 0, 0), Color(255, 255, 255)) == pytest.approx(21)
    assert ratio_of(Color(118, 118, 118), Color(255, 255, 255)) == pytest.approx(4.54, abs=0.01)
    assert contrast(Style.parse("#767676 on #ffffff")) > LEAST > contrast(Style.parse("#777777 on #ffffff"))


in_both_themes = pytest.mark.parametrize("theme", [theme.name for theme in THEMES])


@pytest.mark.usefixtures("untraced")
@in_both_themes
async def test_every_text_of_a_call_can_be_read(script: Script, theme: str, s: Stage) -> None:
    s.app.theme = theme
    await s.play([*with_error(with_tools(a_call(script))).take(), telemetry(-23, -3, queued_ms=1240)])
    await s.play([devices(), measured()])
    s.session.search.highlight("audio")
    for keys in PLACES:
        await s.press(*keys)
        assert list(unreadable(s)) == [], keys
        while s.top() is not s.session:
            await s.press("escape")


@in_both_themes
async def test_every_text_of_the_other_screens_can_be_read(
    stage: Staging, script: Script, theme: str
) -> None:
    recent = [Target(url="ws://h/x", title="recent")]
    async with stage((120, 40), recent=recent, start_demo=lambda: Target(url="ws://x")) as s:
        s.app.theme = theme
        await s.play(conversation(script).take())
        await s.press("u", "P")
        found = list(unreadable(s))
        await s.press("escape", "l")
        s.session.post_message(s.session.TargetWanted())
        await s.play([devices("PortAudio is missing.")])
        assert isinstance(s.top(), ConnectScreen)
        await s.press("x", "enter")
        found += unreadable(s)
        await s.press("down")
        found += unreadable(s)
        await s.press("escape")
        await s.play(two_updates(script).take())
        await s.press("l", "b", "up", "D", "n")
        found += unreadable(s)
    assert found == []


@in_both_themes
async def test_a_marked_row_under_the_cursor_can_be_read(booking: Stage, theme: str) -> None:
    booking.app.theme = theme
    await booking.press("l", "up", "b")
    await booking.play([])
    assert list(unreadable(booking)) == []
    await booking.press("t")
    assert not booking.session.log_pane.has_focus
    assert list(unreadable(booking)) == []


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_the_thumb_of_a_scrollbar_is_visible(theme: Theme) -> None:
    thumb, track = (Color.parse(theme.variables[name]) for name in ("scrollbar", "scrollbar-background"))
    assert ratio_of(thumb, track) >= 3


@in_both_themes
async def test_the_focus_on_a_choice_is_visible(s: Stage, theme: str) -> None:
    s.app.theme = theme
    await s.press("f4")
    choice = s.top().query(Choice).first()
    shown = choice.query_one("SelectCurrent")
    s.top().set_focus(None)
    await s.tick()
    before = shown.background_colors[1]
    choice.focus()
    await s.tick()
    assert ratio_of(before, shown.background_colors[1]) >= 3
    assert list(unreadable(s)) == []


async def test_the_offered_themes_are_ours_and_the_terminals(s: Stage) -> None:
    await s.press("f3")
    hits = [str(hit.prompt) async for hit in ThemeCommands(s.app.screen).discover()]
    assert hits == ["opus-dark", "opus-light", "ansi-dark"]
    found = [str(hit.prompt) async for hit in ThemeCommands(s.app.screen).search("terminal")]
    assert found == ["ansi-dark"]


async def test_another_theme_still_works_in_the_settings_file(stage: Staging) -> None:
    settings = Settings(screen=ScreenSettings(theme="nord"))
    async with stage(settings=settings) as s:
        assert s.app.theme == "nord"
