"""Tests the pane that shows who holds the floor."""

from __future__ import annotations

from tests.ui.conftest import Stage, sized
from tests.ui.fakes import START_NS, Script, to_active
from tui.models import events as e
from tui.models.turns.figures import Thresholds

USER, AGENT = e.Party.USER, e.Party.AGENT


def a_talk(script: Script) -> Script:
    """Adds a greeting, an answer after a gap, a backchannel, and an interruption at which the agent yields."""
    to_active(script)
    script.after(1000).edge(AGENT, True).after(3000).edge(AGENT, False)
    script.after(300).edge(USER, True).after(2700).edge(USER, False)
    script.after(640).edge(AGENT, True).after(4360).edge(USER, True).after(500).edge(USER, False)
    return script.after(3100).edge(USER, True).after(400).edge(AGENT, False).after(3000).edge(USER, False)


def rows(s: Stage) -> list[str]:
    return [line.rstrip(" │▄▁▆█▅▂▇▃").rstrip() for line in s.text("FloorPane").splitlines()]


@sized((80, 24), (120, 40), (200, 60))
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
