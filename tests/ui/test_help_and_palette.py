from __future__ import annotations

from textual.command import CommandPalette
from textual.widgets import Input

from tests.ui.conftest import Stage, sized
from tests.ui.fakes import Script, a_call, telemetry, to_active
from tui.engine.wire import HangUp
from tui.models import events as e
from tui.screens.actions import APP, spoken
from tui.screens.help import HelpScreen, figure_sections
from tui.screens.palette import ActionCommands
from tui.screens.session_actions import REPLAY, SEARCHING, SESSION


async def help_text(s: Stage) -> str:
    await s.pilot.resize_terminal(100, 300)
    await s.press("question_mark")
    assert isinstance(s.app.screen, HelpScreen)
    return s.text()


async def test_help_lists_every_binding(booking: Stage) -> None:
    active = booking.session.active_bindings
    text = " ".join((await help_text(booking)).replace("│", " ").split())
    for key, entry in active.items():
        if entry.binding.system:
            continue
        line = spoken().get(entry.binding.id or "")
        told = f"{key} {line}"[:50] if line else entry.binding.tooltip or entry.binding.description
        assert line or booking.app.get_key_display(entry.binding) in text, key
        assert told in text, key


async def test_help_is_grouped_by_task_and_ends_with_the_figures(booking: Stage) -> None:
    lines = [line.strip(" │") for line in (await help_text(booking)).splitlines()]
    heads = ["Call", "Find", "Read", "Keep", "Panes", "Program", "Move", "Signs"]
    at = [lines.index(head) for head in heads]
    assert at == sorted(at)


async def test_help_describes_the_place_where_it_was_opened(call: Stage) -> None:
    text = await help_text(call)
    assert "Row up" in text
    assert "Jump to the event with the last error. (not now: there was no error)" in text
    await call.press("escape", "tab", "question_mark")
    assert "First words" in call.text()
    assert "Row up" not in call.text()


async def test_the_keys_of_an_opened_turn_are_named_in_words(booking: Stage) -> None:
    await booking.press("u", "enter")
    text = await help_text(booking)
    assert "To the top" in text
    assert not any(word in text for word in ("TurnPage", "Scroll Left", "Page Right"))


@sized((60, 20))
async def test_the_way_out_stays_in_a_narrow_footer(booking: Stage) -> None:
    await booking.press("u", "enter")
    assert "esc Back" in booking.text("KeyBar")
    await booking.press("escape", "P")
    assert "esc Back" in booking.text("KeyBar")


SEARCHES = {
    "buffer": "How much of a reply must arrive before playback starts",
    "unplayed": "discarded unplayed, by a barge-in",
    "timeline": "On the timeline of a saved session",
    "uncertain": "The figure may be wrong",
    "STOP record": "Stop recording; the call continues.",
    "u": "Go to the turns and their latency breakdown",
    "zzz": "Nothing found.",
}


@sized((100, 30))
async def test_help_is_searched_as_you_type(booking: Stage) -> None:
    await booking.press("question_mark")
    assert "End the call." in booking.text()
    field = booking.top().query_one(Input)
    for typed, shown in SEARCHES.items():
        field.value = typed[:-1]
        await booking.press("end", typed[-1])
        assert shown in booking.text(), typed
        assert "End the call." not in booking.text(), typed
        assert ("The key" in booking.text()) == (typed == "u"), typed
    field.value = ""
    await booking.tick()
    assert "End the call." in booking.text()
    await booking.press("escape")
    assert booking.top() is booking.session


async def test_help_scrolls_while_the_field_has_the_focus(booking: Stage) -> None:
    await booking.press("question_mark")
    first = booking.text("#text")
    await booking.press("pagedown", "down")
    assert booking.text("#help") != first
    await booking.press("pageup", "up")
    assert "Record: send what" in booking.text("#help")


@sized((300, 30))
async def test_every_figure_in_header_and_health_pane_is_explained(script: Script, s: Stage) -> None:
    explained = [row.name for section in figure_sections() for row in section.rows]
    a_call(script)
    for loss in e.Loss:
        script.add(e.LossCounted, loss=loss, count=7)
    script.add(e.UsageReported, what="limits", figures={"total_tokens": 1, "tokens left": 2})
    script.add(e.ErrorRaised, source="agent", code="x", message="y")
    script.add(e.FindingRaised, rule="x", text="y", advice=True)
    await s.play([*script.take(), telemetry(-23, -14, queued_ms=1240)])
    await s.press("h")
    groups = [group for group in s.text("SessionStrip").splitlines()[1].split("  ") if group.strip()]
    named = [[n for n in explained if group.strip().startswith(f"{n} ")] for group in groups]
    assert all(named), groups
    assert {"last response", "findings", "unplayed", "tokens", "queued"} <= {
        n for names in named for n in names
    }
    health = {line.name for line in s.session.health.figures if line.value}
    assert {"buffer", "level", "dropout", "capture stalled"} <= health <= set(explained)


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


async def test_the_palette_lists_what_applies_now(script: Script, s: Stage) -> None:
    idle = " ".join(await s.palette())
    assert "Call" in idle
    assert "Hang up" not in idle
    await s.play(to_active(script).take())
    active = " ".join(await s.palette())
    assert "Hang up" in active
    assert "Call: Say: Hello, what are your opening hours today?  1" in active
    assert "Show error" not in active


async def test_the_palette_holds_all_that_keys_can_do(script: Script, s: Stage) -> None:
    actions = (*SESSION, *APP)
    assert {action.id for action in actions if not action.palette} == {"palette", "quit_now"}
    assert [action.id for action in actions if action.area is None] == []
    await s.play(a_call(script).take())
    await s.press("b", "enter")
    s.session.search.highlight("audio")
    s.session.questions.set_filter("kind:stream")
    await s.tick()
    hits = [hit async for hit in ActionCommands(s.app.screen).discover()]
    assert all(hit.help for hit in hits)
    names = [str(hit.prompt) for hit in hits]
    usable = [action for action in SESSION if action.state(s.session.availability.situation) is True]
    assert len(usable) > 50
    for action in (*usable, *APP):
        title = f"{action.area}: {spoken().get(action.id, action.name)}  "
        assert any(name.startswith(title) for name in names) or not action.palette, title


async def test_the_palette_lists_areas_in_order_then_the_keys_of_the_pane(booking: Stage) -> None:
    await booking.press("enter", "tab")
    names = await booking.palette()
    areas = list(dict.fromkeys(name.partition(":")[0] for name in names))
    assert areas == ["Call", "Find", "Read", "Keep", "Panes", "Program", "Detail"]
    assert "Detail: Into  →" in names


async def test_a_palette_command_does_what_its_key_does(call: Stage) -> None:
    await call.press("ctrl+p")
    assert isinstance(call.app.screen, CommandPalette)
    await call.press(*"hang", "space", *"up")
    await call.until(lambda: "End the call." in call.text())
    await call.pilot.press("down", "enter")
    await call.until(lambda: call.engine.sent)
    assert call.sent() == [HangUp()]


async def test_a_recorded_line_is_found_by_its_words(call: Stage) -> None:
    found = [str(hit.prompt) async for hit in ActionCommands(call.app.screen).search("hours")]
    assert found[0].startswith("Call: Say: Hello, what are your opening hours today?")


async def test_the_footer_drops_the_programs_keys_before_those_of_the_focused_pane(booking: Stage) -> None:
    assert booking.text("KeyBar").split()[-6:] == ["?", "Help", "^p", "All", "q", "Quit"]
    await booking.press("enter", "enter")
    keys = booking.text("KeyBar")
    assert keys.startswith(" ⏎ Expand  v Raw  y Copy  Y Copy path  C Copy all  p Play  esc Close")
    assert keys.split()[-2:] == ["?", "Help"]


@sized((120, 40))
async def test_the_footer_leads_with_the_keys_of_the_focused_pane(booking: Stage) -> None:
    assert booking.text("KeyBar").split()[0] == "s"
    await booking.press("u")
    assert booking.text("KeyBar").startswith(" ⏎ Open turn  P Plot  a Note  F Follow  s Stop")
    await booking.press("t")
    assert booking.text("KeyBar").startswith(" F Follow  s Stop")
    await booking.press("l", "enter", "enter")
    detail = " ⏎ Expand  v Raw  y Copy  Y Copy path  C Copy all  p Play  esc Close"
    assert booking.text("KeyBar").startswith(f"{detail}  → Into  ← Out")
    await booking.press("l")
    assert booking.text("KeyBar").startswith(" s Stop")
