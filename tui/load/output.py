"""Prints the output of a load test: a line every few seconds, and the summary at the end."""

from __future__ import annotations

from collections.abc import Iterator

from tui.load.levels import CallLevel
from tui.load.snapshot import Snapshot
from tui.load.summary import Distribution, Summary
from tui.text.numbers import clock, counted, milliseconds
from tui.text.visible import one_line


def line_of(snapshot: Snapshot) -> str:
    """Returns the current state of the load test in one line."""
    parts = [
        f"{clock(snapshot.at_s):>5}",
        f"{snapshot.calls:5,} calls",
        f"{snapshot.calls_per_s:5.1f} calls/s",
        f"response p50 {milliseconds(snapshot.p50_ms):>8}",
        f"p95 {milliseconds(snapshot.p95_ms):>8}",
        f"failed {snapshot.failed:,}",
    ]
    if snapshot.not_trusted:
        parts.append(f"not trusted {snapshot.not_trusted:,}")
    if snapshot.workers_lost:
        parts.append(f"workers lost {snapshot.workers_lost}")
    return "  ".join(parts)


def lines_of_summary(summary: Summary) -> Iterator[str]:
    """Yields the lines of the printed summary."""
    if summary.ended_early:
        yield one_line(summary.ended_early, 300)
    yield from _calls(summary)
    for name, figure in (
        ("response", summary.response),
        ("greeting", summary.greeting),
        ("connect", summary.connect),
        ("barge-in", summary.barge_in),
    ):
        if figure.count:
            yield f"{name:10}{_figures(figure)}"
    if canary := summary.canary:
        yield f"canary    alone   {_figures(canary.idle)}"
        yield f"          beside  {_figures(canary.loaded)}"
    if summary.not_trusted:
        yield f"{counted(summary.not_trusted, 'turn')} not trusted (a worker was late) and left out"
    if summary.not_answered:
        yield f"{counted(summary.not_answered, 'turn')} without a measured response"
    if summary.dead_air or summary.barge_ins_missed:
        missed = counted(summary.barge_ins_missed, "missed barge-in")
        yield f"{counted(summary.dead_air, 'period')} of dead air, {missed}"
    if summary.levels:
        yield ""
        yield "calls          turns       p50       p95       p99"
        yield from (_level(level) for level in summary.levels)
    yield ""
    yield verdict_on_capacity(summary)
    if drift := words_of_drift(summary):
        yield drift
    for cluster in summary.clusters:
        yield one_line(f"{cluster.count:6,} × {cluster.kind}: {cluster.reason}", 200)
    for rule, count in summary.findings.items():
        yield one_line(f"{count:6,} × finding: {rule}", 200)
    for folder in summary.kept:
        yield f"kept {folder}"


def _calls(summary: Summary) -> Iterator[str]:
    parts = [f"{summary.completed:,} completed", f"{summary.failed:,} failed"]
    for count, words in (
        (summary.stopped, "stopped at the end"),
        (summary.lost, "lost with their worker"),
        (summary.warm_up, "during the warm-up"),
    ):
        if count:
            parts.append(f"{count:,} {words}")
    yield f"{counted(summary.calls, 'call')}: {', '.join(parts)}"
    if summary.set_up_tried:
        share = summary.set_up / summary.set_up_tried
        yield f"{share:.1%} of calls accepted; {summary.most_calls:,} simultaneous calls at most"


def verdict_on_capacity(summary: Summary) -> str:
    """Returns a sentence on how many calls the agent can handle, as far as the test shows."""
    if summary.generator_limit:
        return f"No knee was determined. {summary.generator_limit}"
    if summary.knee is None:
        if not summary.response.count:
            return "No response time was measured."
        return f"No knee up to {counted(summary.most_calls, 'simultaneous call')}."
    knee = summary.knee
    return (
        f"Knee at {counted(knee.calls, 'call')}: median response {milliseconds(knee.below_ms)} up to there, "
        f"{milliseconds(knee.above_ms)} beyond."
    )


def words_of_drift(summary: Summary) -> str:
    """Returns a sentence on how response times changed over time at full load; empty if they did not change."""
    drift = summary.drift
    if drift is None:
        return ""
    way = "slower" if drift.last_ms > drift.first_ms else "faster"
    return (
        f"Responses became {way} at full load: median {milliseconds(drift.first_ms)}, "
        f"then {milliseconds(drift.last_ms)} {drift.minutes:.1f} minutes later."
    )


def _figures(figure: Distribution) -> str:
    shown = (
        ("p50", figure.p50_ms),
        ("p95", figure.p95_ms),
        ("p99", figure.p99_ms),
        ("worst", figure.worst_ms),
    )
    return "  ".join(f"{name} {milliseconds(value):>8}" for name, value in shown) + f"  ({figure.count:,})"


def _level(level: CallLevel) -> str:
    values = (milliseconds(value) for value in (level.p50_ms, level.p95_ms, level.p99_ms))
    return f"{level.span:12}{level.turns:8,}" + "".join(f"{value:>10}" for value in values)
