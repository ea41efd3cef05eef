"""The report of a load test: an HTML page with plots, which needs no network access and no scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import NamedTuple

from tui.load.output import verdict_on_capacity, words_of_drift
from tui.load.plot import Series, plot
from tui.load.summary import Summary, WorkerSummary
from tui.text.numbers import clock, counted, milliseconds
from tui.text.visible import one_line


class _Column(NamedTuple):
    title: str
    style: str = "n"
    """CSS class of the cells: n for numbers, s for short text that does not wrap, t for other text."""


def page_of(summary: Summary) -> str:
    """Returns the report as HTML."""
    style = files("tui.load").joinpath("page.css").read_text(encoding="utf-8")
    title = f"Load test: {_text(summary.scenario)}"
    sections = "\n".join(section for section in _sections(summary) if section)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{title}</h1>\n{_subtitle(summary)}</header>\n{sections}\n</main>\n</body>\n</html>\n"
    )


def _sections(summary: Summary) -> Iterator[str]:
    yield _overview(summary)
    yield _section("Response time by number of simultaneous calls", _against_calls(summary))
    yield _section("Over time", _over_time(summary))
    yield _section("The canary: one caller, alone and alongside the others", _canary(summary))
    yield _section("Levels", _levels(summary))
    yield _section("Failures", _failures(summary))
    yield _section("Workers", _workers(summary))
    if summary.kept:
        kept = "".join(f"<li><code>{_text(folder)}</code></li>" for folder in summary.kept)
        yield _section("Saved sessions, worst first", f"<ul>{kept}</ul>")


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{body}\n</section>" if body else ""


def _text(text: str) -> str:
    return escape(one_line(text, 300))


def _subtitle(summary: Summary) -> str:
    began = datetime.fromtimestamp(summary.began_s).astimezone().strftime("%Y-%m-%d %H:%M")
    return (
        f'<p class="muted">{_text(summary.target)} · {began} · {clock(summary.length_s)} · '
        f"{counted(len(summary.workers), 'worker')}</p>\n"
    )


def _overview(summary: Summary) -> str:
    lines = [f'<p class="verdict">{_text(verdict_on_capacity(summary))}</p>']
    problems = filter(None, (summary.ended_early, words_of_drift(summary)))
    lines += [f'<p class="problem">{_text(problem)}</p>' for problem in problems]
    accepted = f"{summary.set_up / summary.set_up_tried:.1%}" if summary.set_up_tried else "–"
    tiles = [
        ("response p50", milliseconds(summary.response.p50_ms), False),
        ("response p95", milliseconds(summary.response.p95_ms), False),
        ("response p99", milliseconds(summary.response.p99_ms), False),
        ("turns measured", f"{summary.response.count:,}", False),
        ("turns not trusted", f"{summary.not_trusted:,}", bool(summary.not_trusted)),
        ("calls", f"{summary.calls:,}", False),
        ("most simultaneous calls", f"{summary.most_calls:,}", False),
        ("accepted", accepted, summary.set_up < summary.set_up_tried),
        ("failed", f"{summary.failed:,}", bool(summary.failed)),
        ("lost with a worker", f"{summary.lost:,}", bool(summary.lost)),
        ("greeting p95", milliseconds(summary.greeting.p95_ms), False),
        ("barge-in p95", milliseconds(summary.barge_in.p95_ms), False),
    ]
    shown = "".join(
        f'<div class="tile{" warns" if warns else ""}"><strong>{value}</strong><span>{name}</span></div>'
        for name, value, warns in tiles
    )
    body = "\n".join(lines)
    return f'<section>\n{body}\n<div class="tiles">{shown}</div>\n</section>'


def _against_calls(summary: Summary) -> str:
    levels = summary.levels
    if not levels:
        return ""
    middle = [(level.calls_from + level.calls_to) / 2 for level in levels]
    series = [
        _series("p50", zip(middle, (level.p50_ms for level in levels), strict=True), dots=True),
        _series("p95", zip(middle, (level.p95_ms for level in levels), strict=True), dots=True),
        _series("p99", zip(middle, (level.p99_ms for level in levels), strict=True), dots=True),
    ]
    mark = (float(summary.knee.calls), f"knee: {summary.knee.calls} calls") if summary.knee else None
    return plot(series, x_title="simultaneous calls", y_title="response time", mark=mark)


def _series(name: str, points: Iterable[tuple[float, float | None]], *, dots: bool = False) -> Series:
    """Returns the points that were measured as a line of a plot."""
    return Series(name, [(x, y) for x, y in points if y is not None], dots)


def _over_time(summary: Summary) -> str:
    moments = [moment for moment in summary.moments if moment.turns]
    if len(moments) < 2:
        return ""
    response = [
        _series("p50", ((moment.at_s, moment.p50_ms) for moment in moments)),
        _series("p95", ((moment.at_s, moment.p95_ms) for moment in moments)),
    ]
    calls = [Series("calls", [(moment.at_s, float(moment.calls)) for moment in summary.moments])]
    return (
        plot(response, x_title="", y_title="response time", x_time=True)
        + "\n"
        + plot(
            calls, x_title="time since the first call", y_title="calls", x_time=True, y_ms=False, height=150
        )
    )


def _table(columns: Sequence[_Column], rows: Sequence[Sequence[str]]) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag} class={column.style}>{_text(value)}</{tag}>"
            for column, value in zip(columns, values, strict=True)
        )

    head = cells("th", [column.title for column in columns])
    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _levels(summary: Summary) -> str:
    if not summary.levels:
        return ""
    columns = [_Column("calls", "s"), *map(_Column, ("turns", "p50", "p95", "p99"))]
    rows = [
        [level.span, f"{level.turns:,}", *map(milliseconds, (level.p50_ms, level.p95_ms, level.p99_ms))]
        for level in summary.levels
    ]
    return _table(columns, rows)


def _canary(summary: Summary) -> str:
    canary = summary.canary
    if canary is None:
        return ""
    columns = [
        _Column("", "s"),
        *map(_Column, ("turns", "p50", "p95", "worst")),
        _Column("saved session", "t"),
    ]
    rows = [
        [name, f"{heard.count:,}", *map(milliseconds, (heard.p50_ms, heard.p95_ms, heard.worst_ms)), folder]
        for name, heard, folder in (
            ("alone", canary.idle, canary.idle_folder),
            ("alongside the others", canary.loaded, canary.loaded_folder),
        )
    ]
    return _table(columns, rows)


def _failures(summary: Summary) -> str:
    rows = [
        [
            f"{cluster.count:,}",
            cluster.kind,
            cluster.reason,
            f"{cluster.calls_at_first:,}",
            clock(cluster.first_s),
        ]
        for cluster in summary.clusters
    ]
    rows += [[f"{count:,}", "finding", rule, "", ""] for rule, count in summary.findings.items()]
    if not rows:
        return '<p class="muted">None.</p>'
    columns = [
        *(_Column("count"), _Column("kind", "s"), _Column("first reason", "t")),
        *(_Column("calls at first failure"), _Column("first at")),
    ]
    return _table(columns, rows)


def _workers(summary: Summary) -> str:
    columns = [
        _Column("worker", "s"),
        *map(
            _Column, ("calls", "turns", "not trusted", "worst lag", "busiest second", "memory", "lost calls")
        ),
    ]
    rows = [
        [
            worker.name,
            f"{worker.calls:,}",
            f"{worker.turns:,}",
            f"{worker.turns_not_trusted:,}",
            *_self_check(worker),
            f"{worker.lost:,}",
        ]
        for worker in summary.workers
    ]
    return _table(columns, rows) if rows else ""


def _self_check(worker: WorkerSummary) -> tuple[str, str, str]:
    """Returns a worker's lag, CPU time and memory as text; dashes if the test was too short to measure them."""
    if not worker.most_rss_bytes:
        return "–", "–", "–"
    memory = f"{worker.most_rss_bytes / 1e6:,.0f} MB"
    return milliseconds(worker.worst_lag_ms), f"{worker.busiest:.0%} of a core", memory
