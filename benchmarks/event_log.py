"""Measures the event log with 1,000 and 1,000,000 events: memory, appending, filtering, searching, exporting.

Run ``python benchmarks/event_log.py`` from the root folder. It takes a minute and prints a Markdown table.
Times are the best of several rounds, because the machine's speed varies. Each log whose memory is measured is
built in a separate process, whose whole growth is counted.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

# a script can import only from its own folder, but the program is in the root folder
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.made_up import MIXES, arriving, of_its_own
from benchmarks.measuring import best, resident_bytes
from tui.models.filter.language import parse
from tui.models.filter.patterns import Phrase
from tui.models.filter.terms import Filter
from tui.models.log.event_log import EventLog
from tui.models.log.export import Export, ExportFormat, everything
from tui.models.log.search import RawSearch, find
from tui.models.log.view import EventView

FEW, MANY = 1_000, 1_000_000
ROUNDS = 5
FRAME_ROWS = 40
BUDGET_MS = 8


def log_with(mix: str, count: int) -> tuple[EventLog, list[float]]:
    """Returns a log, and the seconds that appending each batch took."""
    log, seconds = EventLog(), []
    for batch in arriving(mix, count):
        began = perf_counter()
        for event in batch:
            log.apply(event)
        seconds.append((perf_counter() - began) / len(batch))
    return log, seconds


def measure_memory(mix: str, count: int) -> None:
    """Measures the memory that a log adds to a process; runs in a separate process."""
    log_with(mix, 2000)
    gc.collect()
    before = resident_bytes()
    log, _ = log_with(mix, count)
    view = EventView(log)
    gc.collect()
    print((resident_bytes() - before) / count, log.events.held_bytes / count, len(view))


def bytes_an_event(mix: str) -> tuple[float, float, int]:
    command = [sys.executable, __file__, mix, str(MANY)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), float(told[1]), int(told[2])


def timed(work: Callable[[EventView], object], few: EventView, many: EventView) -> tuple[float, float]:
    return best(lambda: work(few), ROUNDS), best(lambda: work(many), ROUNDS)


def filtered(view: EventView, wanted: Filter) -> tuple[float, float, float]:
    """Returns the seconds until the first rows are shown, until all are shown, and of the longest step."""
    began = perf_counter()
    view.set_filter(wanted)
    first = longest = 0.0
    while view.progress < 1:
        step_began = perf_counter()
        view.step(BUDGET_MS)
        now = perf_counter()
        longest = max(longest, now - step_began)
        if len(view) and not first:
            first = now - began
    return first, perf_counter() - began, longest


def frame(view: EventView, position: int) -> Callable[[], object]:
    """Returns a function that makes all model queries of a frame at this position."""

    def work() -> None:
        for line in view.lines(position, position + FRAME_ROWS):
            view.log.summary(view.log.rows[line.row])
            view.marks_in(line)

    return work


def tick(log: EventLog, view: EventView) -> Callable[[], object]:
    """Returns a function that appends ten events and updates the view."""

    def work() -> None:
        for _ in range(10):
            log.apply(of_its_own(len(log.events) + 1))
        view.update()

    return work


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.3g} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"


def row(what: str, few: float | None, many: float, limit: str) -> None:
    ratio = f"{many / few:.2f}" if few else ""
    print(f"| {what} | {ms(few) if few is not None else ''} | {ms(many)} | {ratio} | {limit} |")


def main() -> None:
    print(f"| what | {FEW:,} events | {MANY:,} events | ratio | limit |")
    print("|---|--:|--:|--:|--:|")
    for mix in MIXES:
        resident, estimate, rows = bytes_an_event(mix)
        told = f"{resident:.0f} bytes (the log says {estimate:.0f}), {rows:,} rows"
        print(f"| memory an event, events {mix} | | {told} | | 400 bytes |")
    logs = {count: log_with("each a row", count) for count in (FEW, MANY)}
    seconds = logs[MANY][1]
    first, last = min(seconds[1:21]), min(seconds[-20:])
    print(
        f"| appending an event | {first * 1e6:.2f} µs | {last * 1e6:.2f} µs | {last / first:.2f} | constant |"
    )
    views = {count: EventView(log) for count, (log, _) in logs.items()}

    few, many = views[FEW], views[MANY]
    row(
        f"{FRAME_ROWS} lines of a frame",
        best(frame(few, 500), 50),
        best(frame(many, 500_000), 50),
        "1.3 times",
    )
    row("a tick with ten new events", best(tick(few.log, few), 50), best(tick(many.log, many), 50), "")
    for text in (r"/order number \d*77 is/", "order", "kind:9 and size > 2k or errors"):
        small = min(filtered(few, parse(text))[1] for _ in range(ROUNDS))
        runs = [filtered(many, parse(text)) for _ in range(ROUNDS)]
        shown = text.replace("|", "\\|")
        row(f"filter `{shown}`: all rows", small, min(run[1] for run in runs), "1 s")
        if len(many):  # otherwise, nothing was measured
            row(f"filter `{shown}`: first rows", None, min(run[0] for run in runs), "100 ms")
        row(f"filter `{shown}`: longest step of {BUDGET_MS} ms", None, min(run[2] for run in runs), "")
    row("no filter again", *timed(lambda view: view.set_filter(parse("")), few, many), "")
    nothing, near = parse("/order number 5 was/"), parse("way")
    row("search of all summaries, no match", *timed(lambda view: find(view, nothing, 0), few, many), "1 s")
    row("next match nearby", *timed(lambda view: find(view, near, 10), few, many), "")
    raw = b'{"type":"activities","text":"' + b"some words of a message " * 8 + b'"}'
    search = RawSearch(many, Phrase("nothing like it"), 0, lambda event: raw)
    longest, began = 0.0, perf_counter()
    while not search.done:
        longest = max(longest, best(lambda: search.step(BUDGET_MS), 1))
    row("search of all raw messages (in memory)", None, perf_counter() - began, "")
    row(f"search of raw messages: longest step of {BUDGET_MS} ms", None, longest, "")
    with tempfile.TemporaryDirectory() as folder:
        for format_ in ExportFormat:
            report = Export(many.log, everything, Path(folder, "out"), format_, overwrite=True).run()
            print(f"| export as {format_} | | {report} | | |")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure_memory(sys.argv[1], int(sys.argv[2]))
    else:
        main()
