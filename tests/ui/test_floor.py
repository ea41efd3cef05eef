"""Tests the pane that shows who holds the floor."""

from __future__ import annotations

import pytest

from tests.ui.conftest import Stage
from tests.ui.fakes import START_NS, Script, to_active
from tui.models import events as e
from tui.models.turns.figures import Thresholds

SIZES = [(80, 24), (120, 40), (200, 60)]
USER, AGENT = e.Party.USER, e.Party.AGENT


def a_talk(script: Script) -> Script:
    """Adds a greeting, an answer after a gap, a backchannel, and an interruption at which the agent yields."""
    edges = [
        (AGENT, 1000, 4000),
        (USER, 4300, 7000),
        (AGENT, 7640, 16_000),
        (USER, 12_000, 12_500),
        (USER, 15_600, 19_000),
    ]
    instants = sorted(
        (at_ms, by, started)
        for by, began_ms, ended_ms in edges
        for at_ms, started in ((began_ms, True), (ended_ms, False))
    )
    to_active(script)
    now_ms = 0
    for at_ms, by, started in instants:
        script.after(at_ms - now_ms).add(e.SpeechEdge, speaker=by, started=started, method="silero")
        now_ms = at_ms
    return script


def rows(s: Stage) -> list[str]:
    region = s.session.floor.region
    lines = s.text().splitlines()[region.y : region.bottom]
    return [line[region.x : region.right].rstrip(" │▄▁▆█▅▂▇▃").rstrip() for line in lines]


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_floor(script: Script, s: Stage) -> None:
    s.clock.now_ns = START_NS + 20_000_000_000
    await s.play(a_talk(script).status(e.Status.ACTIVE, e.Status.ENDED).take())
    await s.press("O", "Z")
    s.check("floor", "FloorPane")


async def test_every_event_of_the_floor_is_a_row_with_its_time(script: Script, s: Stage) -> None:
    await s.press("O", "Z")
    assert "Nobody has spoken yet." in s.text()
    await s.play(a_talk(script).status(e.Status.ACTIVE, e.Status.ENDED).take())
    text = s.text()
    assert "300 ms user takes the floor after a gap, for 2.7 s" in text
    assert "640 ms agent takes the floor after a gap, for 8.4 s" in text
    assert "500 ms user backchannel" in text
    assert "400 ms user speaks over agent, agent gives way" in text
    assert "Floor · agent after 640 ms · user after −50 ms · people 200 ms" in text


async def test_enter_shows_the_event_in_the_log(script: Script, s: Stage) -> None:
    await s.play(a_talk(script).status(e.Status.ACTIVE, e.Status.ENDED).take())
    await s.press("O")
    pane = s.session.floor
    pane.move_to(0)
    number = pane.event_of(0)
    await s.press("enter")
    log = s.session.log_pane
    assert log.has_focus
    assert log.view.line(log.cursor).first + 1 == number


async def test_other_rules_change_what_is_a_backchannel(script: Script, s: Stage) -> None:
    await s.play(a_talk(script).status(e.Status.ACTIVE, e.Status.ENDED).take())
    await s.press("O", "Z")
    s.session.use_thresholds(Thresholds(backchannel_ms=300))
    await s.press("up")
    assert "user backchannel" not in s.text()
    assert "user speaks over agent, user gives way" in s.text()


async def test_the_lanes_of_a_call_move_with_the_clock(script: Script, s: Stage) -> None:
    s.clock.now_ns = START_NS + 20_000_000_000
    await s.play(a_talk(script).take())
    await s.press("O", "Z")
    before = rows(s)[1]
    assert before.startswith(" user")
    s.clock.now_ns += 10_000_000_000
    await s.tick()
    assert rows(s)[1] != before
