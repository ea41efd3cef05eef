from __future__ import annotations

import pytest
from textual.strip import Strip

from tests.builders import chunk, error, message
from tests.models.log.event_logs import log_of
from tests.ui.conftest import Stage, sized
from tests.ui.fakes import Script, a_call, to_active
from tui.models import events as e
from tui.models.filter.language import parse
from tui.models.log.view import EventView
from tui.widgets.log_columns import looks_at


def pings(script: Script, count: int) -> Script:
    for number in range(count):
        script.after(100).message("ping", {}, f"round trip {number}.0 ms")
    return script


def log_lines(s: Stage) -> list[str]:
    lines = s.text().splitlines()
    top = s.session.log_pane.region.y + 1
    width = s.session.log_pane.region.width - 1
    return [line[:width].rstrip() for line in lines[top : s.session.log_pane.region.bottom] if line.strip()]


@sized((100, 28))
async def test_a_row_shows_time_direction_kind_and_size(call: Stage) -> None:
    line = next(line for line in log_lines(call) if "session.initiate" in line)
    assert line.split() == [
        "+0.012",
        "Δ0.000",
        "→",
        "session.initiate",
        "caller",
        "+15550100,",
        "raw/lpcm16",
        "124",
    ]
    assert any("+0.020   Δ0.008 ←   session.accepted" in line for line in log_lines(call))


async def test_in_a_narrow_log_a_long_summary_has_the_room_of_the_size(script: Script, s: Stage) -> None:
    to_active(script)
    for cells in (37, 38, 60):
        script.message("m", {}, "x" * cells)
    await s.play(script.take())
    assert [line.split("m ")[1].split() for line in log_lines(s)[-3:]] == [
        ["x" * 37, "13"],
        ["x" * 38],
        ["x" * 42 + "…"],
    ]


async def test_a_growing_row_has_only_itself_painted(
    script: Script, monkeypatch: pytest.MonkeyPatch, s: Stage
) -> None:
    await s.play(pings(to_active(script), 5).message("playStream.chunk", {}, audio_ms=20).take())
    await s.play(script.message("playStream.chunk", {}, audio_ms=20).take())
    log, painted = s.session.log_pane, set[int]()
    draw = log.render_line

    def noted(y: int) -> Strip:
        painted.add(log.scroll_offset.y + y)
        return draw(y)

    monkeypatch.setattr(log, "render_line", noted)
    assert f"Events · {len(s.bridge.log.events)}" in s.text()
    await s.pilot.pause()
    painted.clear()  # on a busy machine, the whole pane may have been painted late
    await s.play(script.message("playStream.chunk", {}, audio_ms=20).take())
    assert f"Events · {len(s.bridge.log.events)}" in s.text(), "and the title"
    assert painted == {len(log.view) - 1}


def test_each_line_shows_the_time_since_the_line_above() -> None:
    messages = message("a", at_ms=10), chunk(at_ms=20), chunk(at_ms=45), error("x"), message("b", at_ms=70)
    view = EventView(log_of(*messages))
    view.set_filter(parse("not errors"))
    view.step()
    view.toggle_run(1)
    deltas = [look.delta_ns for look in looks_at(view, 0, 99, False, None, lambda _: "", 9)]
    assert deltas == [None, 10_000_000, 0, 25_000_000, 25_000_000]
    assert [look.delta_ns for look in looks_at(view, 1, 3, False, None, lambda _: "", 9)] == deltas[1:3]
    assert list(looks_at(view, 5, 6, False, None, lambda _: "", 9)) == []


async def test_incremental_painting_equals_painting_at_once(script: Script, s: Stage) -> None:
    for event in a_call(script).take():
        await s.play([event])
    bit_by_bit = s.text()
    for widget in s.session.query("*"):
        widget.refresh()
    await s.pilot.pause()
    assert s.text() == bit_by_bit


async def test_unknown_and_error_rows_have_a_glyph(script: Script, s: Stage) -> None:
    to_active(script).message("agent.mood", {}, known=False)
    await s.play(script.error("z").take())
    assert any("← ! agent.mood" in line for line in log_lines(s))
    assert any("· ✗ error" in line for line in log_lines(s))


async def test_follows_at_the_bottom_only(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 100).take())
    log = s.session.log_pane
    assert log.following
    assert "round trip 99.0 ms" in log_lines(s)[-1]
    await s.press("up", "up")
    before = log_lines(s)
    await s.play(pings(script, 23).take())
    assert log_lines(s) == before, "nothing under the reader's eyes moves"
    assert "paused, +23 new, F to follow" in s.text()
    await s.press("F")
    assert log.following
    assert "new" not in s.text().splitlines()[log.region.y]
    assert "round trip 22.0 ms" in log_lines(s)[-1]


async def test_end_follows_and_the_wheel_leaves_the_bottom(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 100).take())
    log = s.session.log_pane
    log.scroll_to(y=10, animate=False)
    await s.play(pings(script, 3).take())
    assert (log.following, log.unseen, log.scroll_offset.y) == (False, 3, 10)
    log.scroll_to(y=log.max_scroll_y, animate=False)
    assert (log.following, log.unseen) == (True, 0)
    await s.press("home")
    assert "F to follow" in s.text()
    await s.press("end")
    assert "F to follow" not in s.text()


async def test_cursor_keys_and_pages(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 100).take())
    log = s.session.log_pane
    last = s.number
    await s.press("up", "up", "down")
    assert s.number == last - 1
    await s.press("home")
    assert s.number == 1
    page = log.scrollable_content_region.height - 1
    await s.press("pagedown", "pagedown", "pageup")
    assert s.number == 1 + page
    await s.press("home", "up")
    assert s.number == 1
    assert log_lines(s)[0].startswith("▌")


async def test_a_click_selects_and_a_double_click_opens(call: Stage) -> None:
    log = call.session.log_pane
    await call.pilot.click(log, offset=(20, 4))
    assert log.row == call.bridge.log.rows[3]
    assert not call.session.reading.is_open
    await call.pilot.click(log, offset=(20, 4), times=2)
    await call.until(lambda: call.session.reading.is_open)
    assert "→ sent session.initiate" in call.text()


async def test_a_click_on_the_title_follows(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 100).take())
    await s.press("home")
    await s.pilot.click(s.session.log_pane, offset=(5, 0))
    assert s.session.log_pane.following


async def test_a_click_beside_the_rows_is_harmless(s: Stage) -> None:
    await s.pilot.click(s.session.log_pane, offset=(20, 5))
    await s.press("up", "down", "home", "end", "pageup", "enter", "F", "e")
    assert not s.session.reading.is_open


async def test_a_new_session_starts_afresh(script: Script, s: Stage) -> None:
    await s.play(pings(to_active(script), 100).take())
    await s.press("home", "enter")
    await s.play(to_active(Script()).take())
    assert s.session.log_pane.following
    assert not s.session.reading.is_open
    assert "round trip" not in s.text()
    assert len(s.bridge.log) == s.session.log_pane.virtual_size.height


async def test_the_cursor_stays_in_sight_when_the_detail_takes_room(booking: Stage) -> None:
    await booking.press("enter")
    assert any(line.startswith("▌") for line in log_lines(booking))


async def test_a_time_before_that_of_the_row_above_is_marked(script: Script, s: Stage) -> None:
    to_active(script).after(500).message("a", {}).after(-300)
    script.edge(e.Party.AGENT, False).after(400).message("b", {})
    await s.play(script.take())
    marked = [line for line in s.text().splitlines() if "↶" in line]
    assert len(marked) == 1
    assert "↶   +0.220 ·   speech" in marked[0]
    await s.press("question_mark")
    await s.pilot.resize_terminal(100, 160)
    await s.tick()
    assert "↶ out of order" in " ".join(s.text().replace("│", " ").split())


KINDS = ("input_audio_buffer.append", "response.output_audio_transcript.done", "rate_limits.updated")


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((80, 24), ["input_audio_buffer.append", "response…o_transcript.done", "rate_limits.updated"]),
        ((200, 60), ["input_audio_buffer.append", "response.o…audio_transcript.done", "rate_limits.updated"]),
    ],
)
async def test_a_kind_gets_its_room_and_keeps_both_ends(script: Script, shown: list[str], s: Stage) -> None:
    script.started(protocol="openai")
    for kind in KINDS:
        script.message(kind, {}, "a summary")
    await s.play(script.take())
    lines = [line for line in log_lines(s) if "←" in line]
    assert [line.split("←")[1].split()[0] for line in lines] == shown


async def test_a_line_is_scrolled_to_what_is_searched_for(script: Script, s: Stage) -> None:
    script.started().message("m", {}, "appointment: " + "I would like to see a doctor " * 4 + "on Tuesday")
    script.message("m", {}, "Tuesday comes " + "first " * 40)
    await s.play(script.take())
    assert "Tuesday" not in log_lines(s)[-2]
    s.session.search.highlight("tuesday")
    await s.tick()
    assert "on Tuesday" in log_lines(s)[-2]
    assert "m " in log_lines(s)[-2]
    assert "Tuesday comes first" in log_lines(s)[-1]


async def test_the_title_names_the_columns_above_them(script: Script, s: Stage) -> None:
    await s.play(script.started().message("session.initiate", {}, "caller").take())
    head, *_, line = [line for line in s.text().splitlines() if "Events" in line or "caller" in line]
    assert head.index("kind") == line.index("session.initiate")
    assert head.index("summary") == line.index("caller")


async def test_narrow_columns_shorten_a_kind_in_its_middle_and_a_summary_at_its_end(
    script: Script, s: Stage
) -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    await s.play(script.started().message(kind, {}, "Next Tuesday at ten, " * 5).take())
    for key in ((), ("less_than_sign",) * 4):
        await s.press(*key)
        line = next(line for line in log_lines(s) if "conv" in line)
        shown, *words = line.split("←")[1].split()
        assert (shown[:4], shown[-5:], "…" in shown) == ("conv", "leted", True)
        assert any(word.endswith("…") for word in words), "an ellipsis shows that there is more"


async def test_a_remark_goes_with_the_cursors_line(script: Script, s: Stage) -> None:
    await s.play(script.started().message("m", {}).message("m2", {}).take())
    s.session.log_pane.show_remark("nothing belongs to it")
    assert "nothing belongs" in s.text()
    await s.press("up")
    assert "nothing belongs" not in s.text()
