"""Tests the live screen of a load test."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import msgspec
import pytest

from tui.load.processes import LoadProcesses
from tui.load.snapshot import Snapshot
from tui.screens.load import LoadApp, failures_of, lines_of, strip_of

SNAPSHOT = Snapshot(
    at_s=65,
    users=50,
    calls=48,
    began=130,
    failed=3,
    calls_per_s=2.04,
    p50_ms=612.4,
    p95_ms=1_190.0,
    p99_ms=None,
    not_trusted=2,
    lag_ms=12.0,
    kinds={"closed early": 1, "socket refused": 2},
    workers_lost=1,
    knee_calls=40,
)
SILENT = msgspec.structs.replace(SNAPSHOT, calls=2, p50_ms=None, p95_ms=None, kinds={})


def test_the_figures_of_a_run_are_three_lines() -> None:
    assert lines_of(SNAPSHOT) == [
        "1:05   50 users   48 calls now   2.0 calls/s   130 in all",
        "last 30 s   p50 612 ms   p95 1190 ms   p99 –   knee 40 calls",
        "failed 3   turns not trusted 2   workers: 12 ms late, 1 lost",
    ]
    assert failures_of(SNAPSHOT) == ["     2 × socket refused", "     1 × closed early"]


def test_the_canary_is_a_strip_of_bars() -> None:
    assert strip_of([]) == ""
    assert strip_of([250.0, 500.0, 1_000.0]) == "canary response ▃▅█   now 1000 ms   worst 1000 ms"


class Processes(LoadProcesses):
    """Fake processes whose output the test controls."""

    def __init__(self) -> None:
        super().__init__([])
        self.output: queue.Queue[str | None] = queue.Queue()
        self.stopped = 0

    def lines(self) -> Iterator[str]:
        return iter(self.output.get, None)

    def stop(self) -> None:
        self.stopped += 1
        self.output.put("130 calls: 127 completed, 3 failed")
        self.output.put(None)

    def wait(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("wanted", "shown"), [("opus-light", "opus-light"), ("", "opus-dark"), ("gone", "opus-dark")]
)
async def test_the_screen_has_the_theme_that_the_user_chose(wanted: str, shown: str) -> None:
    processes = Processes()
    app = LoadApp(processes, "x", wanted)
    async with app.run_test():
        assert app.theme == shown
        processes.stop()


async def test_the_screen_shows_the_run_and_q_ends_it_in_order() -> None:
    processes = Processes()
    app = LoadApp(processes, "book.call.toml · ws://127.0.0.1:9000/pcm")
    async with app.run_test(size=(80, 24)) as pilot:
        processes.output.put(msgspec.json.encode(SILENT).decode())
        while "No response time has been measured yet" not in text_of(app):
            await pilot.pause()
        processes.output.put(msgspec.json.encode(SNAPSHOT).decode())
        while "48 calls now" not in shown(app, "figures"):
            await pilot.pause()
        assert "2 × socket refused" in shown(app, "failures")
        assert "book.call.toml" in shown(app, "title")
        assert "Simultaneous calls" not in text_of(app)  # there is room for one plot only
        await pilot.resize_terminal(120, 36)
        while "Simultaneous calls and the current knee" not in text_of(app):
            await pilot.pause()
        assert "Response time (ms) over the last 30 s" in text_of(app)
        await pilot.press("q")
        while app.return_code is None and app.is_running:
            await pilot.pause()
    assert processes.stopped == 1
    assert (app.return_value, app.printed) == (1, ["130 calls: 127 completed, 3 failed"])


def text_of(app: LoadApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def shown(app: LoadApp, name: str) -> str:
    from textual.widgets import Static

    return str(app.screen.query_one(f"#{name}", Static).content)
