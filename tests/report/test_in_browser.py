"""Tests the report in Chromium: playing, seeking and filtering with keyboard and pointer, and no network requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.report.browser import Page, browser
from tests.report.sessions import ANSWER_MS, HOSTILE, LENGTH_MS, QUESTION_MS
from tui.models import events as e
from tui.report.content import EventRow, FailedStep, read_content
from tui.report.page import page_of, render
from tui.saving.reading import open_session
from tui.text.visible import visible

pytestmark = pytest.mark.xdist_group("browser")

MANY = 100_000
FAILED_MS = 6_200
AT = "document.getElementById('audio').currentTime"
COUNT = "document.getElementById('count').textContent"
LISTED = "[...document.querySelectorAll('#list .row .summary')].map((cell) => cell.textContent)"


@pytest.fixture(scope="module")
def reports(saved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Returns a report with audio, one with audio as WAV, and one without audio but with very many rows."""
    parent = tmp_path_factory.mktemp("reports")
    with open_session(saved_folder) as saved:
        (parent / "sound.html").write_bytes(render(saved))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("importlib.util.find_spec", lambda _: None)
            (parent / "wav.html").write_bytes(render(saved))
        content = read_content(saved)
        step = e.StepChanged(
            at_ns=content.began_ns + 8 * 10**9, step=2, text="agent stops", verdict="failed", reason=HOSTILE
        )
        failed = msgspec.structs.replace(
            content, failed_step=FailedStep(content.began_ns + FAILED_MS * 10**6, step)
        )
        (parent / "failed.html").write_bytes(page_of(failed, saved.audio))
        rows = [EventRow(n / 1000, n + 1, "←", "", "note", f"row {n}", "") for n in range(MANY)]
        long = msgspec.structs.replace(content, rows=rows, ended_ns=content.began_ns + 10**11)
        (parent / "long.html").write_bytes(page_of(long, saved.audio, with_audio=False))
    return {name: parent / f"{name}.html" for name in ("sound", "wav", "long", "failed")}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium") / "profile") as page:
        yield page


@pytest.fixture
def page(shared: Page, reports: dict[str, Path]) -> Iterator[Page]:
    """Yields the report with audio, freshly opened. Afterwards, checks that the page made no network requests."""
    shared.requests.clear()
    shared.show(reports["sound"])
    yield shared
    shared.value("1")  # pending messages have arrived
    assert {url.partition(":")[0] for url in shared.requests} <= {"file", "blob", "data"}
    assert [url for url in shared.requests if url.startswith("file:")] == [reports["sound"].as_uri()]
    assert shared.complaints == []


def focused(page: Page) -> Any:
    return page.value("document.activeElement.id")


def test_space_plays_and_pauses_and_everything_keeps_step(page: Page) -> None:
    page.press(" ", 32, " ")
    page.until(f"{AT} > 0.3")
    assert page.value("document.getElementById('play').textContent").endswith("Pause")
    assert page.value("document.getElementById('play').getAttribute('aria-pressed')") == "true"
    page.until("document.querySelector('#transcript li.now') !== null")
    page.until("document.querySelector('#list .row.now') !== null")
    page.press(" ", 32, " ")
    page.until("document.getElementById('audio').paused")
    stopped_at = page.value(AT)
    assert stopped_at < 8
    page.until(f"Math.abs(Number(document.getElementById('strip').ariaValueNow) - {stopped_at}) <= 0.1")


def test_without_the_extra_it_plays_and_seeks_the_same(shared: Page, reports: dict[str, Path]) -> None:
    shared.show(reports["wav"])
    assert reports["wav"].stat().st_size > 2 * reports["sound"].stat().st_size
    shared.press("ArrowRight", 39)
    shared.press(" ", 32, " ")
    shared.until(f"{AT} > 2.2")


def test_arrows_turns_and_clicks_seek(page: Page) -> None:
    page.press("ArrowRight", 39)
    page.until(f"Math.abs({AT} - 2) < 0.01")
    page.press("]", 221, "]")
    page.until(f"Math.abs({AT} - {QUESTION_MS / 1000}) < 0.1")
    assert page.value("document.querySelector('#turns tr.now th').textContent") == "1"
    page.press("ArrowLeft", 37)
    page.until(f"Math.abs({AT} - {QUESTION_MS / 1000 - 2}) < 0.1")
    page.click("#transcript li:last-child button")
    page.until(f"Math.abs({AT} - {ANSWER_MS / 1000}) < 0.01")
    assert "We are open." in page.value("document.querySelector('#transcript li.now').textContent")
    page.click("#strip", 0.25)
    page.until(f"Math.abs({AT} - {LENGTH_MS / 4000}) < 0.05")
    page.press("e", 69, "e")
    page.until(f"Math.abs({AT} - 5) < 0.01")


def test_the_timeline_is_zoomed_around_the_playhead(page: Page) -> None:
    before = page.value("document.getElementById('picture').toDataURL()")
    page.press("+", 187, "+")
    page.press("+", 187, "+")
    zoomed = page.value("document.getElementById('picture').toDataURL()")
    assert zoomed != before
    page.press("0", 48, "0")
    assert page.value("document.getElementById('picture').toDataURL()") == before


def test_the_events_are_filtered_and_opened_by_keyboard(page: Page) -> None:
    total = page.value(COUNT)
    page.press("/", 191, "/")
    assert focused(page) == "filter"
    page.type("playback -r2")
    assert page.value(COUNT) == f"2 of {total}"
    assert all("r1" in text for text in page.value(LISTED))
    page.press("Tab", 9)
    page.value("document.getElementById('filter').value = ''")
    page.value("document.getElementById('filter').dispatchEvent(new Event('input'))")
    page.value("document.getElementById('list').focus()")
    for _ in range(4):
        page.press("ArrowDown", 40)
    chosen = "document.querySelector('#list .row[aria-selected=true]')"
    assert page.value(f"{chosen}.querySelector('.kind').textContent") == "hello"
    assert page.value("document.getElementById('list').getAttribute('aria-activedescendant')") == "row-3"
    assert '"type": "hello"' in page.value("document.getElementById('detail').textContent")
    page.press("End", 35)
    page.press("Enter", 13)
    page.until(f"Math.abs({AT} - {LENGTH_MS / 1000}) < 0.05")


def test_levels_and_expressions_filter_too(page: Page) -> None:
    def set_to(name: str, value: str, event: str) -> None:
        page.value(f"document.getElementById('{name}').value = {value!r}")
        page.value(f"document.getElementById('{name}').dispatchEvent(new Event('{event}'))")

    set_to("level", "✗", "change")
    assert page.value(COUNT).startswith("1 of")
    set_to("level", "", "change")
    set_to("filter", "/started: r[12]/", "input")
    assert page.value(COUNT).startswith("2 of")
    set_to("filter", "/(/", "input")
    assert page.value(COUNT) == "not a regular expression"


def test_texts_from_the_agent_stay_text(page: Page) -> None:
    assert page.value("window.hacked") is None
    assert page.value("document.querySelectorAll('script').length") == 1
    words = page.value("document.querySelector('#transcript').textContent")
    assert visible(HOSTILE[:-1]) in words
    for control in "\x1b\u202e":
        assert control not in page.value("document.documentElement.outerHTML")


def test_the_whole_page_is_reached_by_tab(page: Page) -> None:
    reached: list[str] = []
    for _ in range(40):
        page.press("Tab", 9)
        reached.append(focused(page))
    order = ["play", "speed", "zoom-out", "zoom-all", "zoom-in", "strip", "filter", "level", "follow", "list"]
    assert [name for name in reached if name in order][: len(order)] == order
    unnamed = page.value(
        "[...document.querySelectorAll('button, input, select, [tabindex]')].filter((each) =>"
        " !each.ariaLabel && !each.textContent.trim() && !each.closest('label')).length"
    )
    assert unnamed == 0


def test_very_many_events_are_a_few_elements(shared: Page, reports: dict[str, Path]) -> None:
    shared.show(reports["long"])
    assert shared.value("document.getElementById('play').disabled")
    assert shared.value(COUNT) == f"{MANY:,} rows"
    shared.value("document.getElementById('list').focus()")
    shared.press("End", 35)
    shared.until(f"({LISTED}).at(-1) === 'row {MANY - 1}'")
    assert shared.value("document.querySelectorAll('#list .row').length") < 60
    shared.press("/", 191, "/")
    shared.type("99999")
    assert shared.value(COUNT) == f"1 of {MANY:,} rows"


def test_the_report_of_a_failed_scenario_opens_at_the_failed_step(
    shared: Page, reports: dict[str, Path]
) -> None:
    shared.show(reports["failed"])
    shared.until("document.getElementById('clock').textContent.startsWith('0:06.2')")
    chosen = shared.value("document.querySelector('#list [aria-selected=true] .time').textContent")
    assert 5.0 < float(chosen) <= FAILED_MS / 1000
    assert "Step 2 failed: agent stops." in shared.value("document.getElementById('failed-step').textContent")
    shared.show(reports["sound"])
    assert shared.value("document.getElementById('clock').textContent").startswith("0:00.0")
