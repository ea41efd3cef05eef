from __future__ import annotations

import pytest
from textual import events
from textual.widget import Widget

from tests.ui.conftest import Stage, Staging, sized
from tests.ui.fakes import Script, a_call, to_active
from tui.models import events as e
from tui.widgets.tabs import Tab, fitted

SHOWN = {
    (60, 20): ["transcript"],
    (80, 24): ["transcript"],
    (80, 60): ["transcript", "turns"],
    (120, 30): ["transcript"],
    (120, 40): ["transcript", "turns"],
    (160, 50): ["transcript", "turns"],
    (200, 60): ["transcript", "turns", "health"],
}


async def mouse(s: Stage, kind: type[events.MouseEvent], x: int, y: int) -> None:
    s.app.post_message(kind(None, x, y, 0, 0, 1, False, False, False, x, y))
    await s.tick()


async def drag(s: Stage, start: tuple[int, int], end: tuple[int, int]) -> None:
    await mouse(s, events.MouseDown, *start)
    await mouse(s, events.MouseMove, *end)
    await mouse(s, events.MouseUp, *end)


def tabs_line(s: Stage) -> str:
    return s.text().splitlines()[3]


@pytest.mark.parametrize(("size", "shown"), SHOWN.items(), ids=str)
async def test_a_larger_screen_shows_more_panes(shown: list[str], s: Stage) -> None:
    assert s.session.panes.shown == shown
    assert all(s.session.panes.panes[name].size.height >= 4 for name in shown)


async def test_a_focused_side_pane_gets_the_room_unless_the_user_has_divided_it(
    stage: Staging, script: Script
) -> None:
    async with stage((80, 24)) as s:
        await s.play(a_call(script).take())
        s.session.log_pane.move_to(10, centre=True)
        small, row = s.session.transcript.size.height, s.session.log_pane.row
        await s.press("t")
        large = s.session.transcript.size.height
        assert (small, large) == (7, 13)
        await s.press("f", "escape")
        assert s.session.transcript.size.height == large, "a question leaves the panes as they are"
        await s.press("l")
        assert s.session.transcript.size.height == small
        assert s.session.log_pane.row == row
        assert any(line.startswith("▌") for line in s.text("#log").splitlines())
        await s.press("greater_than_sign")
        chosen = s.session.transcript.size.height
        assert chosen < small
        await s.press("t")
        assert s.session.transcript.size.height == chosen
    async with stage((80, 60)) as s:
        height = s.session.transcript.size.height
        await s.press("t")
        assert s.session.transcript.size.height == height, "there is enough room as it is"


async def test_a_key_goes_to_a_pane_and_from_it_back_to_the_log(booking: Stage) -> None:
    for key, name in (("t", "transcript"), ("u", "turns"), ("h", "health")):
        await booking.press(key)
        assert booking.focused() is booking.session.panes.panes[name], key
        assert booking.session.panes.shown == [name]
    await booking.press("h")
    assert booking.focused() is booking.session.log_pane
    assert booking.session.panes.shown == ["turns"]
    await booking.press("t", "l")
    assert booking.focused() is booking.session.log_pane
    assert booking.session.panes.shown == ["transcript"], (
        "the key of the log leaves the others where they are"
    )


async def test_the_tabs_show_visible_panes_and_the_focus(s: Stage) -> None:
    names = "▸l Log ▪t Transcript u Turns J Tools O Floor h Health ◉ hold to talk"
    assert tabs_line(s).split() == names.split()
    await s.press("u")
    assert "▪l Log  t Transcript ▸u Turns" in tabs_line(s)


async def test_a_hidden_pane_is_not_refreshed_until_it_is_seen(script: Script, s: Stage) -> None:
    await s.press("u")
    to_active(script).said(e.Party.AGENT, "hidden words")
    await s.play(script.take())
    assert s.session.transcript.virtual_size.height == 0, "nothing was wrapped"
    await s.press("t")
    assert s.session.transcript.virtual_size.height == 1
    assert "hidden words" in s.text()


@sized((120, 40))
async def test_keys_share_the_screen_otherwise(s: Stage) -> None:
    before = s.session.log_pane.size.width
    await s.press("greater_than_sign")
    assert s.session.log_pane.size.width > before
    await s.press("less_than_sign", "less_than_sign")
    assert s.session.log_pane.size.width < before
    await s.press("t", "greater_than_sign")
    assert s.session.log_pane.size.width < before - 6, "the pane with the keys grows"
    height = s.session.transcript.size.height
    await s.press("right_parenthesis")
    assert s.session.transcript.size.height > height
    await s.press("left_parenthesis", "left_parenthesis")
    assert s.session.transcript.size.height < height


@sized((80, 24), (120, 40))
async def test_the_edge_of_the_log_can_be_dragged(size: tuple[int, int], s: Stage) -> None:
    side = s.session.panes.side.region
    beside = size[0] >= 120
    start = (side.x, side.y + 5) if beside else (30, side.y)
    end = (side.x - 10, side.y + 5) if beside else (30, side.y - 4)
    await drag(s, start, end)
    moved = s.session.panes.side.region
    assert (moved.x, moved.y) == ((side.x - 10, side.y) if beside else (side.x, side.y - 4))
    await mouse(s, events.MouseMove, 1, 8)
    assert s.session.panes.side.region == moved, "it was let go"
    await drag(s, (moved.x, moved.y + 5) if beside else (30, moved.y), (0, 0))
    assert s.session.log_pane.size.width > 10
    assert s.session.log_pane.size.height > 1


@sized((120, 40))
async def test_the_edge_between_stacked_panes_can_be_dragged(s: Stage) -> None:
    before = s.session.turns.region
    await drag(s, (before.x + 20, before.y), (before.x + 20, before.y + 5))
    assert s.session.turns.region.y == before.y + 5
    assert s.session.turns.region.bottom == before.bottom


@pytest.mark.parametrize("width", [60, 61, 64, 70, 80])
async def test_every_tab_is_seen_and_can_be_clicked(stage: Staging, width: int) -> None:
    async with stage((width, 20)) as s:
        line = tabs_line(s)
        for key, begin in zip("ltuJh", ("Log", "Tr", "Tu", "To", "He"), strict=True):
            assert f"{key} {begin}" in line
        await s.pilot.click(offset=(line.index("h He"), 3))
        await s.until(lambda: s.focused() is s.session.health)


def test_titles_give_way_the_longest_first_and_keys_never() -> None:
    tabs = [Tab(name, name[0], name) for name in ("log", "transcript", "callbacks")]

    def titles(width: int) -> list[str]:
        return [tab.title for tab in fitted(tabs, width)]

    assert titles(33) == ["log ", "transcript ", "callbacks "]
    assert titles(32) == ["log", "transcript", "callbacks"]
    assert titles(30) == ["log", "transcri.", "callbacks"]
    assert titles(20) == ["log", "tra.", "cal."]
    assert titles(5) == ["", "", ""]


def is_seen(widget: Widget) -> bool:
    return bool(widget.region.area)


@sized((120, 40))
async def test_a_pane_fills_the_space_and_escape_restores_the_others(booking: Stage) -> None:
    both = (booking.session.log_pane.region, booking.session.transcript.region)
    await booking.press("t", "Z")
    assert booking.session.transcript.region == booking.session.panes.region
    assert not is_seen(booking.session.log_pane)
    assert booking.focused() is booking.session.transcript
    await booking.press("escape")
    assert (booking.session.log_pane.region, booking.session.transcript.region) == both
    await booking.press("l", "Z")
    assert booking.session.log_pane.region == booking.session.panes.region
    await booking.press("enter")
    assert is_seen(booking.session.detail)
    await booking.press("escape", "Z", "u")
    assert is_seen(booking.session.turns)
    assert is_seen(booking.session.log_pane)
    assert booking.focused() is booking.session.turns
