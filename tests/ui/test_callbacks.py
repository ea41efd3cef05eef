from __future__ import annotations

import pytest

from tests.ui.conftest import TARGET, Stage, Staging, sized
from tests.ui.fakes import MS, NASTY, FakeEngine, Script, measured, to_active
from tests.ui.test_nasty import check
from tui.callbacks import CallbackStats
from tui.engine.wire import CallbackFigures, Connect, TraceCallbacks
from tui.screens.callbacks import CallbacksScreen
from tui.widgets.callback_rows import CALLS, COLUMNS, LAST_ERROR, P99, CallbackRows, places

pytestmark = pytest.mark.usefixtures("untraced")


def stats(
    name: str, p99_ms: float | None = None, *, calls: int = 1, error: str | None = None
) -> CallbackStats:
    if p99_ms is None:
        return CallbackStats("event", name, 1)
    return CallbackStats("event", name, 1, calls, int(bool(error)), error, p99_ms, p99_ms, p99_ms, p99_ms)


def names(rows: CallbackRows) -> list[str]:
    return [row.stats.name for row in rows.rows]


def rows_of(*measured: CallbackStats) -> CallbackRows:
    rows = CallbackRows()
    rows.take(("engine", each) for each in measured)
    return rows


async def open_callbacks(s: Stage, *tables: CallbackStats) -> CallbacksScreen:
    await s.play([CallbackFigures(stats=tables)] if tables else [])
    await s.press("T")
    return s.screen(CallbacksScreen)


# the rows


def test_the_slowest_come_first_and_the_unmeasured_last_either_way_round() -> None:
    rows = rows_of(stats("quick", 1), stats("unknown"), stats("slow", 9))
    assert names(rows) == ["slow", "quick", "unknown"]
    rows.sort(P99)
    assert names(rows) == ["quick", "slow", "unknown"]


def test_a_text_is_sorted_from_a_a_number_from_the_largest() -> None:
    rows = rows_of(stats("b", 1, calls=3), stats("A", 1, calls=5), stats("c", 1, calls=4, error="E"))
    rows.sort(COLUMNS[2])
    assert names(rows) == ["A", "b", "c"]
    rows.sort(CALLS)
    assert names(rows) == ["A", "c", "b"]
    rows.sort(LAST_ERROR)
    assert names(rows) == ["c", "A", "b"]


def test_every_column_sorts_anything() -> None:
    rows = rows_of(*measured(100).stats)
    for column in COLUMNS:
        rows.sort(column)
        rows.sort(column)
        assert len(rows.rows) == 100


def test_the_cursor_stays_with_its_callback() -> None:
    rows = rows_of(stats("a", 3), stats("b", 2), stats("c", 1))
    rows.move_to(2)
    rows.take([("engine", stats("a", 3)), ("engine", stats("c", 7))])
    assert rows.current is not None
    assert (rows.cursor, rows.current.stats.name) == (0, "c")
    rows.take([])
    assert rows.current is None


@pytest.mark.parametrize("width", [*range(0, 60, 7), 58, 78, 118, 158, 198])
def test_columns_fill_the_width_exactly(width: int) -> None:
    shown = places(width)
    assert all(place.cells >= 0 for place in shown)
    if width >= 58:
        assert sum(place.cells for place in shown) == width


# the screen


async def test_opening_it_does_not_start_tracing_and_shows_how_to(s: Stage) -> None:
    s.sent()
    await open_callbacks(s)
    assert "○ tracing is off" in s.text()
    assert "Press space to trace callbacks" in s.text()
    assert s.sent() == []
    assert not s.bridge.tracing_callbacks
    assert "SessionScreen._changed" in s.text() or "SessionScreen._cha…" in s.text()


@sized((120, 40))
async def test_space_switches_tracing_in_both_processes(script: Script, s: Stage) -> None:
    await open_callbacks(s)
    s.sent()
    await s.press("space")
    assert s.sent() == [TraceCallbacks(on=True)]
    assert s.bridge.tracing_callbacks
    assert "● tracing is on" in s.text()
    s.clock.now_ns += 1000 * MS
    await s.play([*to_active(script).take(), measured(1)])
    row = next(line for line in s.text().splitlines() if "SessionScreen._changed" in line)
    assert row.strip("▌").split()[0] == "screen"
    assert "–" not in row.split()[3]
    assert "engine" in s.text()
    await s.press("space")
    assert s.sent() == [TraceCallbacks(on=False)]
    assert "○ tracing is off" in s.text()


@sized((160, 24))
async def test_slow_and_failing_ones_are_marked_by_words(s: Stage) -> None:
    await open_callbacks(s, stats("lazy", 5.01), stats("bad", 1, error="ValueError: no"), stats("fine", 5.0))
    text = s.text()
    assert "! slow lazy" in text
    assert "! slow fine" not in text
    assert "ValueError: no" in text
    assert "! 1 slow (p99 over 5 ms) · ✗ 1 failing" in text


async def test_sorting_by_keys_and_by_a_click_on_a_title(s: Stage) -> None:
    screen = await open_callbacks(s, stats("b", 1, calls=9), stats("a", 2, calls=1))

    def order() -> list[str]:
        return names(screen.rows)[:2]

    assert order() == ["a", "b"]
    assert "p99▼" in s.text()
    await s.press("r")
    assert order() == ["b", "a"]
    assert "p99▲" in s.text()
    await s.press("right")
    assert "max▼" in s.text()
    await s.press("right")
    assert "process▲" in s.text()
    await s.press("left", "left", "left")
    assert "p50▼" in s.text()
    title = s.text().splitlines()[screen.header.region.y]
    await s.pilot.click(offset=(title.index("calls"), screen.header.region.y))
    await s.settle()
    assert order() == ["b", "a"]
    await s.pilot.click(offset=(title.index("calls"), screen.header.region.y))
    await s.settle()
    assert order() == ["a", "b"]
    assert "calls▲" in s.text()


async def test_refreshes_twice_a_second_and_only_while_shown(s: Stage) -> None:
    screen = await open_callbacks(s, stats("first", 1))
    await s.play([CallbackFigures(stats=(stats("second", 1),))])
    assert "second" not in s.text()
    s.clock.now_ns += 500 * MS
    await s.tick()
    assert "second" in s.text()
    await s.press("question_mark")
    s.clock.now_ns += 500 * MS
    await s.play([CallbackFigures(stats=(stats("third", 1),))])
    assert names(screen.rows)[0] == "third", "it can be seen below the help"
    await s.press("escape", "escape")
    assert s.top() is s.session
    s.clock.now_ns += 500 * MS
    await s.play([CallbackFigures(stats=(stats("fourth", 1),))])
    assert names(screen.rows)[0] == "third"


async def test_of_a_thousand_rows_only_the_visible_ones_are_drawn(s: Stage) -> None:
    screen = await open_callbacks(s, *measured(1000).stats)
    drawn: list[int] = []
    draw = screen.table.draw_line

    def count(index: int, width: int) -> object:
        drawn.append(index)
        return draw(index, width)

    screen.table.draw_line = count  # type: ignore[method-assign, assignment]
    await s.press("end")
    assert screen.rows.cursor == len(screen.rows.rows) - 1
    s.text()
    assert drawn
    s.text()
    assert len(drawn) < 50
    drawn.clear()
    s.clock.now_ns += 500 * MS
    await s.tick()
    s.text()
    assert drawn == [], "nothing has changed"


@sized((60, 20))
async def test_the_row_under_the_cursor_is_shown_in_full(s: Stage) -> None:
    long = "Some.very_long_callback_name_indeed"
    await open_callbacks(s, stats(long, 9), stats("other", 1, error="ValueError: [/b]"))
    assert f"engine · event · {long}" in s.text()
    assert "no error · mean 9.00 · p50 9.00 ms" in s.text()
    await s.pilot.click("#table", offset=(5, 1))
    await s.settle()
    assert "last error: ValueError: [/b]" in s.text()
    await s.press("home")
    assert "no error" in s.text()


async def test_nasty_names_and_errors(stage: Staging) -> None:
    for size in ((60, 20), (160, 50)):
        async with stage(size) as s:
            await open_callbacks(
                s, *(CallbackStats(t, t, 1, 1, 1, t, 1e9, -1.0, 9.0, float("nan")) for t in NASTY)
            )
            check(s)
            for _ in NASTY:
                await s.press("down", "right")
                check(s)


async def test_the_palette_opens_it_and_lists_its_actions(s: Stage) -> None:
    assert "Program: Callbacks  T" in await s.palette()
    await open_callbacks(s)
    assert any(name.endswith(": Reverse  r") for name in await s.palette())
    await s.press("question_mark")
    assert "Start or stop tracing the callbacks" in " ".join(s.text().replace("│", " ").split())


async def test_traces_from_the_start_and_after_an_engine_restart(stage: Staging) -> None:
    fresh = FakeEngine()
    async with stage(trace_callbacks=True, start_engine=lambda: fresh) as s:
        assert s.sent() == [TraceCallbacks(on=True), Connect(target=TARGET)]
        s.engine.alive = False
        await s.tick()
        await s.press("c")
        assert fresh.sent == [TraceCallbacks(on=True), Connect(target=TARGET)]
