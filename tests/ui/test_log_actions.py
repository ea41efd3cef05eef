from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual import events

from tests.ui.conftest import Stage, Staging, sized
from tests.ui.fakes import NASTY, Script, a_call, to_active, with_tools
from tests.ui.test_event_log import log_lines, pings
from tests.ui.test_nasty import check
from tui.engine.wire import HangUp
from tui.models import events as e
from tui.screens.connect import ConnectScreen
from tui.screens.export import ExportScreen
from tui.screens.filter_help import FilterHelpScreen
from tui.view.playhead import Playhead


def title(s: Stage) -> str:
    return s.text().splitlines()[s.session.log_pane.region.y]


async def ask(s: Stage, key: str, answer: str, *keys: str) -> None:
    """Presses a key, pastes an answer over the current text, and presses more keys."""
    await s.press(key)
    s.session.questions.prompt.line.select_all()
    s.app.post_message(events.Paste(answer))
    await s.settle()
    await s.press(*keys)


async def clear(s: Stage, key: str) -> None:
    """Answers with an empty text."""
    await s.press(key)
    s.session.questions.prompt.line.value = ""
    await s.press("enter")


def kinds(s: Stage) -> set[str]:
    log, view = s.bridge.log, s.session.log_pane.view
    return {log.events.shapes[log.events.shape_ids[view.line(n).event]].kind for n in range(len(view))}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_filter_applies_while_it_is_typed(script: Script, booking: Stage) -> None:
    await ask(booking, "f", "kind:chunk")
    assert kinds(booking) == {"playStream.chunk", "userStream.chunk"}
    assert "4 rows of" in title(booking)
    await booking.press("enter")
    assert booking.focused() is booking.session.log_pane
    await booking.play(script.message("userStream.chunk", {}, audio_ms=20).message("other", {}).take())
    assert "5 rows of" in title(booking)
    await clear(booking, "f")
    assert len(booking.session.log_pane.view) == len(booking.bridge.log)
    assert "filter" not in title(booking)


async def test_an_invalid_filter_shows_where_it_is_wrong_and_stays_open(booking: Stage) -> None:
    await ask(booking, "f", "chunk (", "enter")
    assert booking.session.questions.prompt.is_open
    assert "Column 8:" in booking.text()
    await booking.press("escape")
    assert not booking.session.log_pane.filtered, "as it was before"
    assert "Column" not in booking.text()


async def test_letters_typed_right_after_the_key_are_the_answer(booking: Stage) -> None:
    for key in "fdir:own":
        booking.app.post_message(events.Key(key, key))
    await booking.until(lambda: booking.session.questions.prompt.line.value == "dir:own")
    assert HangUp() not in booking.sent()


async def test_tab_completes_a_filter(booking: Stage) -> None:
    await ask(booking, "f", "kind:plays", "tab")
    line = booking.session.questions.prompt.line
    assert line.value == "kind:playStream.chunk"
    assert "tab: kind:playStream.chunk" in booking.text()
    assert kinds(booking) == {"playStream.chunk"}
    await booking.press("tab")
    assert line.value == "kind:playStream.start"
    await booking.press("tab", "tab")
    assert line.value == "kind:plays", "and round again"


@sized((80, 50))
async def test_f1_in_the_filter_explains_filters(booking: Stage) -> None:
    await booking.press("f")
    assert "enter accept" not in booking.text("PromptLine"), "the hint names the keys"
    await booking.press("escape")
    await ask(booking, "f", "kind:")
    assert booking.text("PromptLine").rstrip().endswith("tab complete · F1 help · enter accept · esc cancel")
    await booking.press("f1")
    assert isinstance(booking.top(), FilterHelpScreen)
    assert "more than" not in booking.text()
    assert "messages by size in bytes" in booking.text()
    await booking.press("escape")
    assert booking.session.questions.prompt.line.value == "kind:"
    await booking.press("escape", "f2")
    assert isinstance(booking.top(), FilterHelpScreen)


@sized((120, 50))
async def test_the_filter_help_wraps_at_the_windows_edge(booking: Stage) -> None:
    await booking.press("f2")
    page = " ".join(line.strip() for line in booking.text().replace("│", "").splitlines())
    assert "`and` binds more tightly than `or`. A run of messages" in " ".join(page.split())
    assert not any(line.strip("│ ") == "tightly" for line in booking.text().splitlines())


async def test_the_cursors_event_stays_in_view_when_a_filter_is_set_and_cleared(
    script: Script, s: Stage
) -> None:
    await s.play(pings(to_active(script), 100).take())
    await s.press("home", *["pagedown"] * 3)
    number = s.number
    await ask(s, "f", '"trip"', "enter")
    assert s.number == number
    await clear(s, "f")
    assert s.number == number
    assert any(line.startswith("▌") for line in log_lines(s))


async def test_the_cursors_event_stays_in_view_while_a_filter_is_typed(booking: Stage) -> None:
    await ask(booking, "f", "kind:playStream.chunk", "enter", "home", "down", "enter")
    number = booking.number
    await booking.press("f", *["backspace"] * 19)
    assert len(booking.session.log_pane.view) == 0, "no event has the word"
    await booking.press(*["backspace"] * 4, "enter")
    assert not booking.session.log_pane.filtered
    assert booking.number == number


async def test_a_long_filter_is_applied_in_slices(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 300).take())
    view = s.session.log_pane.view
    view._slice, ticks = 50, iter(range(10_000))
    view._clock = lambda: float(next(ticks))
    s.session.log_pane.hold()
    await s.session.questions.ask_filter()
    assert s.session.questions.set_filter("ping") == ""
    assert 0 < view.progress < 1
    assert "%" in title(s)
    while view.progress < 1:
        await s.tick()
    await s.tick()
    assert "300 rows" in title(s)


async def test_a_run_opens_and_closes(script: Script, s: Stage) -> None:
    await s.play(to_active(script).message("playStream.chunk", {}, audio_ms=20).take())
    await s.play(script.after(20).message("playStream.chunk", {}, audio_ms=20).take())
    assert "▸ playStream.chunk" in log_lines(s)[-1]
    await s.press("right")
    assert "▾ playStream.chunk" in log_lines(s)[-3]
    assert "└ playStream.chunk" in log_lines(s)[-1]
    await s.press("down", "enter")
    assert "in a row" not in s.text(), "the detail is of this one message"
    await s.press("escape", "left")
    assert "▸ playStream.chunk" in log_lines(s)[-1]


async def test_the_cursor_stays_in_a_run_while_it_grows(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 50).message("playStream.chunk", {"n": 1}, audio_ms=20).take())
    await s.press("enter")
    assert "n: 1" in s.text()
    await s.play(script.after(20).message("playStream.chunk", {"n": 2}, audio_ms=20).take())
    assert s.session.detail._rest is None
    assert "n: 1" in s.text()
    assert "2 × audio" in s.text()


async def test_marks_are_shown_jumped_between_and_removed(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 50).take())
    await s.press("home", "b", "down", "down", "b", "end")
    await s.press("right_square_bracket")
    assert s.number == 1
    assert "wrapped" in title(s)
    assert "◆" in log_lines(s)[0]
    await s.press("right_square_bracket")
    third = s.number
    await s.press("left_square_bracket", "b", "right_square_bracket")
    assert s.number == third
    assert len(s.session.log_pane.view.marks) == 1


async def test_a_note_is_shown_in_the_line(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 5).take())
    await ask(s, "a", "[/b] late", "enter")
    assert "✎ [/b] late · round" in log_lines(s)[-1]
    await clear(s, "a")
    assert "✎" not in log_lines(s)[-1]


async def test_jumps_to_errors_turns_times_and_numbers(script: Script, s: Stage) -> None:
    await s.play(a_call(script).after(50).error("z").take())
    error = s.number
    await s.press("home", "E")
    assert s.number == error
    await s.press("left_curly_bracket")
    assert "turn 1" in title(s)
    await s.press("g", "#", "4", "enter")
    assert s.number == 4
    await ask(s, "g", "2.9", "enter")
    assert "+2.9" in next(line for line in log_lines(s) if line.startswith("▌"))
    await ask(s, "g", "soon", "enter")
    assert "Enter seconds" in s.text()


async def test_the_matching_event_of_a_pair(script: Script, s: Stage) -> None:
    await s.play(with_tools(a_call(script)).take())
    await s.press("home")
    await ask(s, "f", "session.", "enter")
    number = s.number
    await s.press("o")
    assert s.number != number
    await s.press("o")
    assert s.number == number
    await ask(s, "f", "initiate", "enter", "o")
    assert "hidden by the filter" in title(s)


async def test_a_search_highlights_continues_and_wraps(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 30).take())
    await s.press("home")
    await ask(s, "slash", "TRIP 1", "enter")
    first = s.number
    await s.press("n")
    assert s.number == first + 9, "1, then 10"
    assert "2 of 11" in title(s)
    assert "n Next" in s.text().splitlines()[-1]
    await s.press("N", "N")
    assert "11 of 11 · wrapped" in title(s)
    style = s.session.log_pane.get_component_rich_style("event-log--match")
    strip = s.session.log_pane.render_line(s.session.log_pane.cursor - s.session.log_pane.scroll_offset.y)
    assert "trip 1" in [part.text for part in strip if part.style and part.style.reverse == style.reverse]
    await s.press("escape")
    assert not s.session.search.active


async def test_a_single_match_is_shown_as_the_only_one(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 30).take())
    await ask(s, "slash", "trip 17", "enter")
    assert "the only match" in title(s)
    await s.press("n")
    assert "the only match · wrapped" in title(s)
    await s.press("escape")
    assert "match" not in title(s)


async def test_a_search_continues_in_the_messages_and_reports_no_match(script: Script, s: Stage) -> None:
    to_active(script).message("hidden", {"deep": "treasure"}, "nothing")
    await s.play(pings(script, 30).take())
    await ask(s, "slash", "treasure", "enter")
    await s.until(lambda: "in the message" in title(s))
    assert "hidden" in next(line for line in log_lines(s) if line.startswith("▌"))
    await ask(s, "slash", "zzz", "enter")
    assert "no match" in title(s)
    await ask(s, "slash", "/(/", "enter")
    assert "Column" in s.text()


async def test_n_opens_the_connect_screen_while_no_search_is_active(script: Script, s: Stage) -> None:
    await s.play(to_active(script).status(e.Status.ACTIVE, e.Status.ENDED).take())
    await ask(s, "slash", "status", "enter", "n")
    assert s.top() is s.session
    await s.press("escape", "n")
    assert isinstance(s.top(), ConnectScreen)


async def test_a_replay_of_an_unknown_agent_cannot_call_it(stage: Staging, script: Script) -> None:
    async with stage((200, 60), target=None, playhead=Playhead(0, 1, clock_ns=lambda: 0)) as s:
        await s.play(to_active(script).status(e.Status.ACTIVE, e.Status.ENDED).take())
        assert "c Call" not in s.text()
        await s.press("c")
        assert s.top() is s.session
        assert "Call: the session does not name an agent that can be called" in s.text("KeyBar")
        assert "Call: Call  c" not in await s.palette()
        await s.press("n")
        assert isinstance(s.top(), ConnectScreen)
        await s.press("escape")
        assert s.top() is s.session


@sized((60, 20), (80, 24), (200, 60))
async def test_times_of_day_have_milliseconds_and_keep_the_columns(script: Script, s: Stage) -> None:
    for kind, ms in (("one", 0), ("two", 500), ("three", -300)):
        to_active(script) if kind == "one" else script.after(ms)
        script.message(kind, {}, "said")
    await s.play(script.take())
    await s.press("b", "up", "z")
    one, two, marked = (line for line in log_lines(s) if "said" in line)
    await s.press("down", "b")
    back_dated = next(line for line in log_lines(s) if "three" in line)
    assert ":00:00.020 " in one
    assert ":00:00.520 " in two
    assert "◆" in marked
    assert "↶" in back_dated
    for column in ("←", "said"):
        assert len({line.index(column) for line in (one, two, marked, back_dated)}) == 1
    await s.press("z")
    assert any("+0.520 " in line for line in log_lines(s))


async def test_the_name_that_export_offers_is_the_sessions(tmp_path: Path, call: Stage) -> None:
    await call.press("x")
    screen = call.screen(ExportScreen)
    assert screen.path.value == str(Path.cwd() / f"{tmp_path.name}.jsonl")


async def test_export_writes_the_shown_events_and_reports_how_many(
    script: Script, tmp_path: Path, s: Stage
) -> None:
    path = tmp_path / "out.jsonl"
    await s.play(pings(to_active(script), 20).take())
    await ask(s, "f", "ping", "enter", "x")
    screen = s.screen(ExportScreen)
    screen.path.value = str(path)
    await s.press("enter")
    await s.until(lambda: s.top() is s.session)
    assert any(notice.message.startswith("Wrote 20 events") for notice in s.app._notifications)
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 20


async def test_without_a_filter_every_event_is_exported_with_or_without_a_row(
    script: Script, tmp_path: Path, s: Stage
) -> None:
    path = tmp_path / "out.jsonl"
    to_active(script).said(e.Party.AGENT, "Good morning.")
    await s.play(script.take())
    await s.press("x")
    screen = s.screen(ExportScreen)
    screen.path.value = str(path)
    await s.press("enter")
    await s.until(lambda: s.top() is s.session)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len(s.bridge.log.events)
    assert f"Events · {len(lines)} " in s.text()
    assert any(line.get("text") == "Good morning." for line in lines)


async def test_an_impossible_export_shows_the_reason_and_stays_open(
    stage: Staging, script: Script, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("mine")
    async with stage() as s:
        await s.play(to_active(script).take())
        await s.press("x")
        screen = s.screen(ExportScreen)
        for name, reason in (
            (str(path), "already exists"),
            ("", "Enter a file name"),
            ("~nobody-of-this-name/x", "Cannot write to"),
            (str(tmp_path / "no" / "x.csv"), "Cannot write to"),
        ):
            screen.path.value = name
            await s.press("enter")
            assert reason in s.text()
        assert path.read_text() == "mine"
        screen.path.value = str(tmp_path / "all.csv")
        screen.format.choose("csv")
        screen.what.choose("all")
        await s.press("enter")
        await s.until(lambda: s.top() is s.session)
        assert len((tmp_path / "all.csv").read_text().splitlines()) == len(s.bridge.log.events) + 1


async def test_a_cancelled_export_leaves_no_file(tmp_path: Path, call: Stage) -> None:
    await call.press("x")
    screen = call.screen(ExportScreen)
    screen.path.value = str(tmp_path / "out.jsonl")
    before = names(tmp_path)
    screen.action_export()
    assert names(tmp_path) != before, "it is under way"
    screen.action_close()
    await call.until(lambda: names(tmp_path) == before)


async def test_the_format_sets_the_file_name_extension(call: Stage) -> None:
    await call.press("x")
    screen = call.screen(ExportScreen)
    screen.format.choose("txt")
    await call.settle()
    assert screen.path.value.endswith(".txt")
    await call.press("escape")
    assert call.top() is call.session


@pytest.mark.parametrize("key", ["f", "slash", "a"])
async def test_nasty_texts_in_every_question(script: Script, key: str, s: Stage) -> None:
    to_active(script)
    for text in NASTY:
        script.message(text[:50] or "x", {}, text)
    await s.play(script.take())
    for text in NASTY[1:9]:
        await s.press(key)
        s.app.post_message(events.Paste(text[:500]))
        await s.settle()
        check(s)
        await s.press("tab", "enter")
        check(s)
        if s.session.questions.prompt.is_open:
            await s.press("escape")


async def test_no_action_fails_on_an_empty_log(s: Stage) -> None:
    keys = ["f", "slash", "N", "x", "b", "a", "E", "g", "o", "right", "left", "z"]
    await s.press(*keys, "left_square_bracket", "right_curly_bracket", "left_curly_bracket")
    assert s.top() is s.session
    assert not s.session.questions.prompt.is_open


async def test_a_log_without_matches_says_so_and_offers_a_way_out(script: Script, s: Stage) -> None:
    assert "No events yet" in s.text()
    await s.play(a_call(script).take())
    assert "No events yet" not in s.text()
    await ask(s, "f", "recieved", "enter")
    shown = " ".join(line.strip() for line in log_lines(s))
    assert 'None of the 241 events match the filter "recieved". Did you mean dir:received?' in shown
    assert "backspace clears the filter" in shown
    assert "playStream.chunk" in shown
    await s.play(script.message("agent.recieved", {}, "one that does").take())
    assert "None of" not in s.text()
    assert "one that does" in log_lines(s)[-1]
    await s.press("backspace")
    assert not s.session.log_pane.filtered
    assert "242" in title(s)


async def test_backspace_shows_why_it_does_nothing(call: Stage) -> None:
    await call.press("backspace")
    assert "All events: no filter is set" in call.text()


async def test_tab_in_an_empty_filter_offers_the_kinds_seen(script: Script, s: Stage) -> None:
    await s.play(to_active(script).message("zebra", {}).take())
    await s.press("f", "tab")
    assert "kind:zebra" in s.text()
    await s.press("escape")
    await s.press("f", "z", "e", "b", "tab")
    assert s.session.questions.prompt.line.value == "kind:zebra"
