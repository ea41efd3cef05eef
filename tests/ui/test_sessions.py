"""Tests the session browser: listing off the event loop, and filtering, opening, deleting and restoring with keys."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from textual.screen import Screen
from textual.widgets import OptionList

from tests.saving.events import a_session, write_now
from tests.ui.conftest import Stage, Staging, sized
from tests.ui.fakes import MS, START_NS, FakeClock, FakeEngine, Script, a_call, to_active
from tui.bridge import Bridge
from tui.cli.main import cli
from tui.cli.screen import farewell
from tui.engine.wire import Connect, FrameItem
from tui.library import CommandFailed, Library
from tui.models import events as e
from tui.models.target import Target
from tui.models.turns.comparison import SessionComparison, SessionOf, TurnOf, TurnPair
from tui.models.turns.figures import Figure
from tui.models.turns.floor import Speech, floor_of
from tui.models.turns.floor_figures import floor_figures
from tui.saving.deleting import TRASH
from tui.saving.reading import in_use
from tui.screens.compare_sessions import CompareSessionsScreen
from tui.screens.connect import ConnectScreen
from tui.screens.report import ReportScreen
from tui.screens.session import SessionScreen
from tui.screens.sessions import SessionsScreen

NAMES = ("2026-11-28T10-00-00Z billing", "2026-11-29T10-00-00Z support", "2026-11-30T10-00-00Z [b]booking")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a saved session to copy."""
    return write_now(tmp_path_factory.mktemp("saved"), a_session())


@pytest.fixture
def folder(tmp_path: Path, saved: Path) -> Path:
    """Returns a folder of three sessions, of which the newest has errors and the oldest is damaged."""
    parent = tmp_path / "sessions"
    for name in NAMES:
        copy = parent / name
        shutil.copytree(saved, copy)
        record = json.loads((copy / "session.json").read_text())
        record["title"] = name.partition(" ")[2]
        record["started_utc"] = f"{name[:10]}T10:00:00+00:00"
        if name == NAMES[2]:
            record["outcome"], record["reason"] = "error", "refused: 401"
            record["metrics"]["errors"] = 2
        (copy / "session.json").write_text(json.dumps(record))
    (parent / NAMES[0] / "session.json").write_text('{"schema": 1, "program": "opusagent-tui 0.1.0", ')
    return parent


async def listed(s: Stage) -> SessionsScreen:
    """Opens the browser from the current screen, and waits until everything is read."""
    await s.press("ctrl+o")
    screen = s.screen(SessionsScreen)
    await s.until(lambda: screen._listing.done)
    await s.tick()
    return screen


@pytest.fixture
async def browser(stage: Staging, folder: Path, size: tuple[int, int]) -> AsyncIterator[Stage]:
    """Yields the stage with the browser, in which every session is listed."""
    async with stage(size, target=None) as s:
        await listed(s)
        yield s


async def shown(s: Stage, *wanted: str) -> None:
    """Ticks until the list contains these."""

    def tick() -> bool:
        s.app.tick()
        return titles(s) == [*wanted]

    await s.until(tick)


def titles(s: Stage) -> list[str]:
    screen = s.screen(SessionsScreen)
    return [each.folder.name.partition(" ")[2] for each in screen.rows.rows]


@sized((80, 24), (120, 36))
async def test_it_lists_every_session_with_its_figures(size: tuple[int, int], browser: Stage) -> None:
    assert titles(browser) == ["[b]booking", "support", "billing"]
    lines = browser.text("#sessions").splitlines()
    assert "began" in lines[1]
    booking, support, billing = (line.split() for line in lines[2:5])
    assert booking[3:5] == ["[b]booking", "error"]
    assert booking[-1] == "2"
    assert support[2:4] == ["support", "0:00:05"]
    assert "damaged" in billing
    assert "error: refused: 401" in browser.text("#sessions")
    await browser.press("end")
    assert "✗ damaged: session.json cannot be read" in browser.text("#sessions")


@sized((60, 20))
async def test_a_narrow_list_has_room_for_titles(browser: Stage) -> None:
    lines = browser.text("#sessions").splitlines()
    assert lines[1].split() == ["began", "title", "length", "worst", "errors"]
    assert lines[2].split()[3:] == ["[b]booking", "0:00:05", "–", "2"]
    assert "0 turns" in browser.text("#sessions")


async def test_reading_does_not_hold_up_the_screen(
    stage: Staging, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui.saving import listing

    real, go_on = listing.summarise, threading.Event()

    def slow(path: Path) -> listing.SessionSummary:
        if path.name != NAMES[2]:
            assert go_on.wait(10)
        return real(path)

    monkeypatch.setattr(listing, "summarise", slow)
    async with stage((80, 24), target=None) as s:
        await s.press("ctrl+o")
        await shown(s, "[b]booking")
        await s.press("j", "f", "escape")
        go_on.set()
        await shown(s, "[b]booking", "support", "billing")


async def test_the_filter_applies_while_it_is_typed(browser: Stage) -> None:
    await browser.press("f", *"sup")
    assert titles(browser) == ["support"]
    await browser.press(*"x")
    assert "No session matches “supx”. esc clears the filter." in browser.text()
    await browser.press("escape")
    assert len(titles(browser)) == 3
    await browser.press("slash", *"2026-11-29", "enter", "enter")
    assert isinstance(browser.top(), SessionScreen)


async def test_enter_opens_and_the_list_comes_back_where_it_was(folder: Path, browser: Stage) -> None:
    await browser.press("j", "enter")
    opened = browser.app.library.opened
    assert opened is not None
    assert opened.folder.name == NAMES[1]
    await browser.tick()
    assert "greeting" in browser.text("TurnsPane"), "the turns show why the agent was slow"
    assert "F to follow" not in browser.text(), "nothing is new in a saved session"
    screen = await listed(browser)
    assert browser.app.library.opened is None
    assert screen.view.current is not None
    assert screen.view.current.folder.name == NAMES[1]
    await browser.press("escape")
    assert isinstance(browser.top(), ConnectScreen)


async def test_the_trash_is_undone_with_a_key(folder: Path, browser: Stage) -> None:
    await browser.press("j", "D")
    assert titles(browser) == ["[b]booking", "billing"]
    assert [path.name for path in (folder / TRASH).iterdir()] == [NAMES[1]]
    await browser.press("U")
    assert titles(browser) == ["[b]booking", "support", "billing"]
    assert (folder / NAMES[1] / "events.jsonl").exists()
    await browser.press("U")
    assert len(titles(browser)) == 3


async def test_what_another_program_wrote_is_not_trashed(folder: Path, browser: Stage) -> None:
    (folder / NAMES[2] / "session.json").write_text('{"schema": 1, "program": "other 1"}')
    await browser.press("D")
    assert len(titles(browser)) == 3
    assert "not a session of this program" in next(iter(browser.app._notifications)).message


async def test_no_session_yet(stage: Staging) -> None:
    async with stage((80, 24), target=None) as s:
        await listed(s)
        assert "No saved sessions in" in s.text()
        await s.press("enter", "D", "space", "U")
        assert isinstance(s.top(), SessionsScreen)


async def test_during_a_call_it_gives_the_reason_and_after_it_leads_there_and_back(
    script: Script, folder: Path, call: Stage
) -> None:
    await call.press("ctrl+o")
    assert isinstance(call.top(), SessionScreen)
    assert "Sessions: hang up first" in call.text("KeyBar")
    script.status(e.Status.ACTIVE, e.Status.ENDING).status(e.Status.ENDING, e.Status.ENDED)
    await call.play(script.take())
    await listed(call)
    await call.press("enter")
    assert call.top() is not call.session
    await listed(call)
    await call.press("escape")
    assert call.top() is call.session
    assert "session.accepted" in call.text("#log"), "the call is still there"


async def test_the_browser_can_come_first(stage: Staging, folder: Path) -> None:
    async with stage((80, 24), target=None, browse=True) as s:
        await s.until(lambda: isinstance(s.app.screen, SessionsScreen))
        await shown(s, "[b]booking", "support", "billing")
        assert "esc Back" not in s.text("KeyBar")
        await s.press("escape")
        assert isinstance(s.top(), SessionsScreen)
        await s.press("n")
        assert isinstance(s.top(), ConnectScreen)
        await s.press("escape")
        assert isinstance(s.top(), SessionsScreen)


@pytest.mark.parametrize(
    ("key", "shown_next", "calls"),
    [("ctrl+o", SessionsScreen, 0), ("n", ConnectScreen, 0), ("c", SessionScreen, 1)],
)
async def test_a_session_that_was_opened_from_the_command_line_can_be_left(
    stage: Staging, folder: Path, key: str, shown_next: type[Screen[Any]], calls: int
) -> None:
    known = Target(url="ws://127.0.0.1:9/x", title="", protocol="pcm")
    library = Library(folder)
    library.open(folder / NAMES[1], FakeEngine())
    async with stage((120, 36), target=None, recent=[known], library=library) as s:
        assert isinstance(s.top(), SessionScreen)
        await s.press(key)
        assert isinstance(s.top(), shown_next)
        assert (s.top() is s.app.session) is bool(calls)
        assert len([command for command in s.sent() if isinstance(command, Connect)]) == calls


async def test_c_in_an_opened_session_calls_its_agent(stage: Staging, folder: Path) -> None:
    known = Target(url="ws://127.0.0.1:9/x", title="", token="t-1", protocol="pcm")
    async with stage((120, 36), target=None, recent=[known]) as s:
        await listed(s)
        await s.press("enter")
        await s.tick()
        await s.press("c")
        assert s.top() is s.app.session
        assert s.app.library.opened is None
        (connect,) = [command for command in s.sent() if isinstance(command, Connect)]
        assert connect.target == known, "with the token that this user has for that URL"


def change_target(folder: Path, **members: object) -> None:
    """Changes the target in the record of the newest session."""
    path = folder / NAMES[2] / "session.json"
    record = json.loads(path.read_text())
    record["target"] |= members
    path.write_text(json.dumps(record))


async def test_a_session_from_elsewhere_chooses_no_token_and_no_code(folder: Path, browser: Stage) -> None:
    change_target(
        folder,
        url="wss://elsewhere.example/x",
        token_env="HOME",
        tools="/tmp/evil.py",
        headers={"Authorization": "…"},
        options={"voice": "alloy", "api_key": "…"},
    )
    await browser.press("enter")
    await browser.press("c")
    (connect,) = [command for command in browser.sent() if isinstance(command, Connect)]
    target = connect.target
    assert target.url == "wss://elsewhere.example/x"
    assert (target.token, target.token_env, target.tools, target.headers) == ("", "", "", {})
    assert target.options == {"voice": "alloy"}


async def test_the_local_agent_of_a_saved_demo_is_found_where_it_is_now(stage: Staging, folder: Path) -> None:
    change_target(folder, title="demo", url="ws://127.0.0.1:1111/openai")
    now = Target(url="ws://127.0.0.1:2222/audiocodes", title="demo")
    async with stage((120, 36), target=None, start_demo=lambda: now) as s:
        await listed(s)
        await s.press("enter", "c")
        await s.until(lambda: any(isinstance(command, Connect) for command in s.engine.sent))
        (connect,) = [command for command in s.sent() if isinstance(command, Connect)]
        assert connect.target.url == "ws://127.0.0.1:2222/openai"


async def test_keys_that_need_a_call_say_so(browser: Stage) -> None:
    await browser.press("enter")
    for key, sentence in (
        ("r", "Record: this is a saved session"),
        ("w", "Write: this is a saved session"),
        ("d", "Hang up: this is a saved session"),
        ("K", "DTMF: this is a saved session"),
        ("3", "Say: this is a saved session"),
    ):
        await browser.press(key)
        assert sentence in browser.text("KeyBar"), key


@sized((120, 36), (60, 20))
async def test_the_footer_names_the_keys_that_have_an_effect(browser: Stage) -> None:
    assert all(key in browser.text("KeyBar") for key in ("⏎ Open", "f Filter", "esc Back"))
    await browser.press("f")
    assert "Filter" not in browser.text("KeyBar")
    assert "esc Back" in browser.text("KeyBar")
    await browser.press("z", "z", "z")
    assert "esc Clear" in browser.text("KeyBar")
    await browser.press("enter")
    keys = browser.text("KeyBar")
    assert "esc Clear" in keys
    assert "n New call" in keys
    assert not any(name in keys for name in ("Open", "Mark", "Report", "Trash"))
    await browser.press("escape")
    assert all(key in browser.text("KeyBar") for key in ("⏎ Open", "esc Back"))


@pytest.mark.parametrize("by_mouse", [False, True], ids=["enter", "click"])
async def test_a_session_listed_on_the_first_screen_opens_from_its_line(
    stage: Staging, folder: Path, by_mouse: bool
) -> None:
    newest = [(folder / NAMES[2], "booking"), (folder / NAMES[1], "support")]
    async with stage((80, 24), target=None, saved=lambda: newest) as s:
        await s.until(lambda: "enter opens one" in s.text())
        if by_mouse:
            assert await s.pilot.click("#saved", offset=(4, 1))
        else:
            saved = s.app.screen.query_one("#saved", OptionList)
            while s.focused() is not saved:
                await s.press("tab")
            await s.press("down", "enter")
        await s.until(lambda: s.app.library.opened)
        await s.tick()
        assert s.app.library.opened is not None
        assert s.app.library.opened.folder == folder / NAMES[1]
        assert isinstance(s.top(), SessionScreen)


async def test_a_session_that_cannot_be_opened_from_the_first_screen_is_reported(
    stage: Staging, tmp_path: Path
) -> None:
    async with stage((80, 24), target=None, saved=lambda: [(tmp_path / "gone", "gone")]) as s:
        await s.until(lambda: "enter opens one" in s.text())
        assert await s.pilot.click("#saved", offset=(4, 0))
        await s.until(lambda: s.app._notifications)
        (notice,) = s.app._notifications
        assert "gone does not exist" in notice.message
        assert s.app.library.opened is None


async def test_a_session_opened_over_another_one_takes_its_place(stage: Staging, folder: Path) -> None:
    newest = [(folder / NAMES[1], "support")]
    async with stage((80, 24), target=None, saved=lambda: newest) as s:
        await listed(s)
        await s.press("enter")
        await s.until(lambda: s.app.library.opened)
        await s.press("n")
        await s.until(lambda: "enter opens one" in s.text())
        assert await s.pilot.click("#saved", offset=(4, 0))
        await s.until(lambda: s.app.library.opened and s.app.library.opened.folder == folder / NAMES[1])
        await s.tick()
        shown = [screen for screen in s.app.screen_stack if isinstance(screen, SessionScreen)]
        assert [screen.bridge for screen in shown] == [s.app.library.opened.bridge]  # type: ignore[union-attr]


def test_opening_another_session_closes_the_one_before(folder: Path) -> None:
    library = Library(folder)
    library.open(folder / NAMES[1], FakeEngine())
    assert in_use(folder / NAMES[1])
    library.open(folder / NAMES[2], FakeEngine())
    assert not in_use(folder / NAMES[1])
    library.close()
    assert not in_use(folder / NAMES[2])


# reports and comparison: the commands run in this process; the screen's library runs them in another


async def in_this_process(arguments: Sequence[str]) -> str:
    """Runs a command of the program without starting another process."""
    ran = await asyncio.to_thread(CliRunner().invoke, cli, list(arguments))
    if ran.exit_code:
        raise CommandFailed(ran.output.strip())
    return ran.stdout


async def test_from_a_saved_session_to_a_report_with_a_note_takes_a_handful_of_keys(
    stage: Staging, folder: Path
) -> None:
    library = Library(folder, run=in_this_process)
    async with stage((80, 24), target=None, library=library) as s:
        await listed(s)
        await s.press("j", "enter")
        await s.tick()
        await s.press("a", *"slow_here", "enter", "ctrl+s", "enter")
        report = folder / f"{NAMES[1]}.html"
        await s.until(report.exists)
        await s.until(lambda: isinstance(s.app.screen, SessionScreen))
        page = report.read_text()
        assert "Marks and notes" in page
        assert "slow_here" in page
        await s.until(lambda: [notice.message for notice in s.app._notifications] == [str(report)])


async def test_a_report_goes_where_it_is_wanted_and_replaces_no_other_file(
    stage: Staging, folder: Path, tmp_path: Path
) -> None:
    asked: list[Sequence[str]] = []

    async def run(arguments: Sequence[str]) -> str:
        asked.append(arguments)
        if len(asked) == 1:
            raise CommandFailed("error: the disk is full")
        return ""

    (tmp_path / "x.html").write_text("mine")
    async with stage((80, 24), target=None, library=Library(folder, run=run)) as s:
        await listed(s)
        await s.press("R")
        screen = s.screen(ReportScreen)
        assert screen.path.value == str(folder / f"{NAMES[2]}.html")
        assert s.text("#path").rstrip().endswith("[b]booking.html"), "the end of a long path is what matters"
        screen.path.value = str(tmp_path / "x.html")
        await s.press("enter")
        assert "already exists. Choose another name." in s.text("#status")
        assert asked == []
        screen.path.value = str(tmp_path / "y.html")
        screen.browser.choose("yes")
        await s.press("enter")
        assert "The report was not saved: error: the disk is full" in s.text("#status")
        await s.press("ctrl+s")
        assert isinstance(s.top(), SessionsScreen)
        wanted = ["report", str(folder / NAMES[2]), "-o", str(tmp_path / "y.html"), "--open"]
        assert asked == [wanted, wanted]


async def test_a_call_that_is_over_is_reported_with_a_key_and_one_that_is_not_is_not(
    script: Script, call: Stage
) -> None:
    await call.press("ctrl+s")
    assert "Save report as…: hang up first" in call.text("KeyBar")
    await call.press("f", "escape")
    assert "Report" not in call.text("KeyBar")
    await call.play(script.status(e.Status.ACTIVE, e.Status.ENDED).take())
    assert "^s Report" in call.text("KeyBar")
    await call.press("ctrl+s")
    assert isinstance(call.top(), ReportScreen)
    assert "Your notes (a) and marks (b) are in the report." in call.text("#report")


@sized((80, 24), (160, 50))
async def test_two_marked_sessions_are_compared_side_by_side(
    stage: Staging, folder: Path, size: tuple[int, int]
) -> None:
    def side(name: str, verdict: str) -> SessionOf:
        return SessionOf(
            name, name, "ws://h/x", "pcm", "", "ended", 61.0, verdict, findings=["odd: [b]x[/x]"]
        )

    slow = TurnOf(Figure(2176.0, "bad"), "1.5 s from the agent's last report to its answer", "Hello?", "Hi.")
    prompt = TurnOf(Figure(600.0, "good"), "", "Hello?", "Hello.")
    spoken = [
        Speech(0, e.Party.USER, ended_ns=2_000_000_000),
        Speech(2_700_000_000, e.Party.AGENT, ended_ns=5_000_000_000),
    ]
    comparison = SessionComparison(
        msgspec.structs.replace(
            side(NAMES[1], "1 of 1 turn was slow."), floor=floor_figures(floor_of(spoken))
        ),
        side(NAMES[2], "1 of 1 turn was good."),
        [TurnPair(0, prompt, prompt), TurnPair(1, slow, prompt), TurnPair(2, slow, None)],
    )
    asked: list[Sequence[str]] = []

    async def run(arguments: Sequence[str]) -> str:
        asked.append(arguments)
        return msgspec.json.encode(comparison).decode()

    async with stage(size, target=None, library=Library(folder, run=run)) as s:
        await listed(s)
        await s.press("C")
        assert isinstance(s.top(), SessionsScreen), "nothing is marked"
        await s.press("space", "space", "C")
        assert isinstance(s.top(), CompareSessionsScreen)
        assert asked == [["compare", str(folder / NAMES[1]), str(folder / NAMES[2]), "--json"]]
        lines = s.text("#sessions").splitlines()
        assert "turns paired by number" in lines[0]
        heading = next(line for line in lines if "Turn 1" in line)
        assert "Δ −1576 ms  ≠" in heading
        figures = lines[lines.index(heading) + 1]
        assert figures.index("2176 ms ✗ bad") < figures.index("600 ms ✓ good")
        assert "! odd: [b]x[/x]" in s.text("#sessions")
        assert s.text("#sessions").count("floor: agent 700 ms") == 1, "the other has no figures of the floor"
        await s.press("end")
        assert "no such turn" in s.text("#sessions")
        await s.press("escape")
        assert isinstance(s.top(), SessionsScreen)


async def test_sessions_that_cannot_be_compared_say_why(stage: Staging, folder: Path) -> None:
    async with stage((120, 36), target=None, library=Library(folder, run=in_this_process)) as s:
        await listed(s)
        (folder / NAMES[1] / "session.json").unlink()
        (folder / NAMES[1] / "events.jsonl").unlink()
        await s.press("space", "C")
        await s.until(lambda: "cannot be compared" in s.text())


async def test_the_transcript_is_copied_as_text(script: Script, s: Stage) -> None:
    await s.press("ctrl+t")
    assert "Copy transcript: there is no transcript yet" in s.text("KeyBar")
    await s.play(a_call(script).take())
    await s.press("ctrl+t")
    lines = s.app.clipboard.splitlines()
    assert any(line.endswith("agent: Good morning.") or "agent: Good morning" in line for line in lines)
    assert lines[0].startswith("+")


# leaving


def lines_after(items: Sequence[FrameItem], sessions: Path) -> list[str]:
    bridge = Bridge(FakeEngine(), FakeClock(START_NS + 156_000 * MS))
    assert isinstance(bridge.engine, FakeEngine)
    bridge.engine.frames += items
    bridge.drain()
    lines = list(farewell(bridge, sessions))
    bridge.close()
    return lines


def test_after_a_call_the_terminal_shows_where_it_is_and_what_to_do_with_it(folder: Path) -> None:
    script = to_active(Script(folder / NAMES[2] / "messages.bin"))
    saved, open_it, send_it = lines_after(script.take(), folder)
    assert saved.startswith("Saved 2:3")
    assert saved.endswith(f"to {folder / NAMES[2]}")
    assert open_it == "Open it: opusagent-tui open 2026-11-30T10-00-00Z"
    assert send_it == "Send it: opusagent-tui report 2026-11-30T10-00-00Z"


def test_a_session_in_another_folder_is_named_by_its_path(folder: Path, tmp_path: Path) -> None:
    script = to_active(Script(folder / NAMES[2] / "messages.bin"))
    _, open_it, _ = lines_after(script.take(), tmp_path / "elsewhere")
    assert open_it == f"Open it: opusagent-tui open '{folder / NAMES[2]}'"


def test_after_a_call_that_failed_the_reason_is_still_there() -> None:
    script = Script().started()
    script.error("401 refused.", hint="Check \x1b[1m it.", fatal=True)
    script.status(e.Status.IDLE, e.Status.ERROR)
    (line,) = lines_after(script.take(), Path("/nowhere"))
    assert line == "✗ 401 refused. Check ␛[1m it."


def test_without_a_call_nothing_is_printed() -> None:
    assert lines_after([], Path("/nowhere")) == []
