"""Compares two saved sessions after remeasuring both."""

from __future__ import annotations

from tui.models import events as e
from tui.models.log.describe import describe
from tui.models.turns.comparison import (
    Raised,
    SessionComparison,
    SessionOf,
    TurnOf,
    outside,
    paired,
    turns_of,
    verdict_of,
)
from tui.models.turns.figures import Thresholds, shown_ms
from tui.models.turns.floor import judged_by
from tui.models.turns.floor_figures import floor_figures
from tui.models.turns.metrics import MetricsFold
from tui.saving.reading import SavedSession
from tui.saving.remeasure import remeasured_events
from tui.text.visible import one_line

_TEXT_CHARS = 400


def compare_sessions(left: SavedSession, right: SavedSession, judge: Thresholds) -> SessionComparison:
    """Returns a side-by-side comparison of both sessions."""
    one, its_turns = _read(left, judge)
    other, other_turns = _read(right, judge)
    return SessionComparison(one, other, paired(its_turns, other_turns))


def _read(saved: SavedSession, judge: Thresholds) -> tuple[SessionOf, dict[int, TurnOf]]:
    fold, findings, first_ns, last_ns = MetricsFold(), [], None, 0
    for event in remeasured_events(saved, fold):
        first_ns = event.at_ns if first_ns is None else first_ns
        last_ns = max(last_ns, event.at_ns)
        if isinstance(event, e.ErrorRaised) or (isinstance(event, e.FindingRaised) and not event.advice):
            what = describe(event)
            findings.append(Raised(event.number, one_line(f"{what.kind}: {what.summary}", _TEXT_CHARS)))
    metrics, record = fold.metrics, saved.record
    session = SessionOf(
        name=saved.folder.resolve().name,
        title=record.title,
        target=str(record.target.get("url", "")),
        protocol=record.protocol,
        started_utc=record.started_utc,
        outcome=saved.outcome,
        length_s=(last_ns - (last_ns if first_ns is None else first_ns)) / 1e9,
        verdict=verdict_of(metrics, judge),
        floor=floor_figures(judged_by(metrics.floor, judge), metrics.timing),
        median_ms=_shown(metrics.percentiles().p50_ms),
        worst_ms=_shown(metrics.percentiles().worst_ms),
        findings=outside(metrics, findings),
        problems=[one_line(problem, _TEXT_CHARS) for problem in saved.problems],
    )
    return session, turns_of(metrics, findings, judge)


def _shown(ms: float | None) -> float | None:
    return None if ms is None else shown_ms(ms)
