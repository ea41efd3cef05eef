"""What the event log costs at 1,000 and at 1,000,000 events: memory, appending, filtering, searching, exporting.

Run ``python benchmarks/event_log.py`` from the root; it takes a minute and prints a Markdown table. Times are
the best of several rounds, as the machine's speed wanders; what is to be kept are the limits of issue 6. Each log
whose memory is measured is built in a process of its own, and all that the process grows by is counted.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import msgspec

# a script finds what is in its own folder; the program is in the root
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tui.models import events as e
from tui.models.event_filter import parse
from tui.models.event_log import EventLog
from tui.models.event_patterns import Words
from tui.models.event_search import RawSearch, find
from tui.models.event_terms import Filter
from tui.models.event_view import EventView
from tui.models.export import Export, ExportFormat, everything

FEW, MANY = 1_000, 1_000_000
ROUNDS = 5
FRAME_ROWS = 40
BUDGET_MS = 8
SENT, RECEIVED = e.Direction.SENT, e.Direction.RECEIVED


def message(
    number: int, direction: e.Direction, kind: str, summary: str, audio_ms: float = 0.0
) -> e.SessionEvent:
    return e.MessageLogged(
        number=number,
        at_ns=number * 10_000_000,
        direction=direction,
        kind=kind,
        summary=summary,
        size_bytes=900 if audio_ms else 250,
        offset=number * 900,
        audio_ms=audio_ms,
    )


def of_a_call(number: int) -> e.SessionEvent:
    """Fifty chunks a second each way; now and then a transcript, an error, another message."""
    match number % 100:
        case 0:
            return message(number, RECEIVED, "activities", f"activities: order number {number} is on its way")
        case 25:
            return message(number, RECEIVED, "text.delta", f"word {number}")
        case 50:
            text = f"what about order number {number}"
            return e.Transcribed(
                number=number, at_ns=number * 10_000_000, speaker=e.Speaker.USER, text=text, final=True
            )
        case 75 if number % 1000 == 75:
            text = f"order number {number} was refused"
            return e.ErrorRaised(
                number=number, at_ns=number * 10_000_000, source="agent", code="x", message=text
            )
        case odd if odd % 2:
            return message(number, SENT, "userStream.chunk", "user audio 20 ms", 20)
        case _:
            return message(number, RECEIVED, "playStream.chunk", "agent audio 20 ms", 20)


def of_its_own(number: int) -> e.SessionEvent:
    """Worse than any call: no two summaries are the same, and each is a row."""
    direction = SENT if number % 2 else RECEIVED
    return message(
        number, direction, f"kind.{number % 30}", f"activities: order number {number} is on its way to you"
    )


MIXES: dict[str, Callable[[int], e.SessionEvent]] = {"of a call": of_a_call, "each a row": of_its_own}


def arriving(mix: str, count: int) -> Iterator[list[e.SessionEvent]]:
    """Events as they come over the pipe: decoded, so that no text is one that somebody else keeps."""
    yield [
        e.SessionStarted(
            number=1, at_ns=0, session_id="s", started_utc="", target="ws://x", protocol="audiocodes"
        )
    ]
    decoder = msgspec.msgpack.Decoder(list[e.SessionEvent])
    for start in range(2, count + 1, 1000):
        batch = [MIXES[mix](number) for number in range(start, min(start + 1000, count + 1))]
        yield decoder.decode(msgspec.msgpack.encode(batch))


def log_with(mix: str, count: int) -> tuple[EventLog, list[float]]:
    """A log, and the seconds that each batch took to append."""
    log, seconds = EventLog(), []
    for batch in arriving(mix, count):
        began = perf_counter()
        for event in batch:
            log.apply(event)
        seconds.append((perf_counter() - began) / len(batch))
    return log, seconds


def resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmRSS: this benchmark needs Linux")


def measure_memory(mix: str, count: int) -> None:
    """In a process of its own: what the log adds."""
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


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return min(times)


def timed(work: Callable[[EventView], object], few: EventView, many: EventView) -> tuple[float, float]:
    return best(lambda: work(few)), best(lambda: work(many))


def filtered(view: EventView, wanted: Filter) -> tuple[float, float, float]:
    """Seconds until the first rows are there, until all are, and of the longest step."""
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
    """What a frame asks of the models, at some place."""

    def work() -> None:
        for line_number in range(position, position + FRAME_ROWS):
            line = view.line(line_number)
            view.log.summary(view.log.rows[line.row])
            view.delta_ns(line_number)
            view.marks_in(line)

    return work


def tick(log: EventLog, view: EventView) -> Callable[[], object]:
    """Ten events come, and the view takes them in."""

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
        if len(many):  # else there are none
            row(f"filter `{shown}`: first rows", None, min(run[0] for run in runs), "100 ms")
        row(f"filter `{shown}`: longest step of {BUDGET_MS} ms", None, min(run[2] for run in runs), "")
    row("no filter again", *timed(lambda view: view.set_filter(parse("")), few, many), "")
    nothing, near = parse("/order number 5 was/"), parse("way")
    row("search of all summaries, no match", *timed(lambda view: find(view, nothing, 0), few, many), "1 s")
    row("next match nearby", *timed(lambda view: find(view, near, 10), few, many), "")
    raw = b'{"type":"activities","text":"' + b"some words of a message " * 8 + b'"}'
    search = RawSearch(many, Words("nothing like it"), 0, lambda event: raw)
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
