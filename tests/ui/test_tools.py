from __future__ import annotations

from tests.ui.conftest import Stage, at_every_size
from tests.ui.fakes import Script, a_call, to_active, with_tools
from tui.models import events as e
from tui.widgets.rows import laid_out


def rows(s: Stage) -> list[str]:
    return [line.strip(" │╭╰╮╯─") for line in s.text("ToolsPane").splitlines()]


@at_every_size
async def test_tools(script: Script, s: Stage) -> None:
    await s.play(with_tools(a_call(script)).take())
    await s.press("J", "up")
    s.check("tools", "ToolsPane")


async def test_after_the_call_an_empty_pane_names_no_keys(script: Script, s: Stage) -> None:
    to_active(script).status(e.Status.ACTIVE, e.Status.ENDING).status(e.Status.ENDING, e.Status.ENDED)
    await s.play(script.take())
    await s.press("J")
    assert rows(s)[2].strip() == "No tool calls in this call."


async def test_a_call_that_runs_is_rewritten_in_its_row(script: Script, s: Stage) -> None:
    await s.press("J")
    assert rows(s)[0].startswith("Tools")
    assert rows(s)[2].startswith("No tool calls yet")
    call = {"call": "c", "name": "book", "arguments": '{"day": 1}'}
    to_active(script).add(e.ToolChanged, **call)
    await s.play(script.take())
    assert '▶ running          –  book({"day": 1})' in rows(s)[2]
    assert "1 running" in rows(s)[0]
    script.add(e.ToolChanged, **call, error="no [/x]", finished=True, duration_ms=31)
    await s.play(script.take())
    assert '✗ failed       31 ms  book({"day": 1}) → no [/x]' in rows(s)[2]
    assert "1 failed" in rows(s)[0]


async def test_a_call_without_a_result_is_marked_when_the_session_is_over(script: Script, s: Stage) -> None:
    to_active(script).add(e.ToolChanged, call="c", name="book")
    await s.play(script.status(e.Status.ACTIVE, e.Status.ENDED).take())
    await s.press("J")
    assert "~ no result" in rows(s)[2]


async def test_enter_goes_to_where_the_call_began(script: Script, s: Stage) -> None:
    await s.play(with_tools(a_call(script)).take())
    await s.press("J", "home", "enter")
    assert s.session.log_pane.has_focus
    assert s.number == s.bridge.transcript.tools[0].number
    event = s.bridge.log.event(s.session.log_pane.row)  # type: ignore[arg-type]  # there is one
    assert isinstance(event, e.ToolChanged)
    assert not event.finished


async def test_the_foot_shows_the_row_in_full(script: Script, s: Stage) -> None:
    await s.play(with_tools(a_call(script)).take())
    await s.press("J", "home")
    assert rows(s)[-3:] == [
        "opening_hours  ✓ done in 12 ms  call c1",
        'arguments: {"day": "Thursday"}',
        'result: {"opens": "9:00", "closes": "17:30"}',
    ]


async def test_of_thousands_of_calls_only_visible_ones_are_drawn(script: Script, s: Stage) -> None:
    to_active(script)
    for number in range(3000):
        script.add(e.ToolChanged, call=str(number), name=f"tool_{number}", result="r", finished=True)
    await s.press("J")
    await s.play(script.take())
    listed = [row for row in rows(s) if row.endswith("→ r")]
    assert "tool_2999" in listed[-1]
    assert len(listed) < 24
    await s.press("home")
    assert "tool_0()" in rows(s)[2]
    await s.press("pagedown", "down")
    assert s.session.tools.cursor == len(listed)


def test_pieces_stay_together_and_only_what_is_too_long_is_wrapped() -> None:
    lines = laid_out([("one", "a"), ("two", "b"), ("three four five", "c"), ("\n", ""), ("six", "d")], 9)
    assert [[text for text, _ in line] for line in lines] == [
        ["one", "  two"],
        ["three"],
        ["four five"],
        ["six"],
    ]
