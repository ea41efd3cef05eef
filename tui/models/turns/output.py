"""Formats the measurements of a session as lines for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tui.models.turns.figures import Thresholds, response_of, timing_line
from tui.models.turns.floor import judged_by
from tui.models.turns.floor_figures import floor_figures, floor_lines
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import Turn
from tui.models.turns.why import verdict, why_of
from tui.text.visible import one_line

_CELLS, _BOUND_CELLS = 10, 6
"""Widths in characters: of a response time and, if devices are in use, of its ±."""


def turn_lines(metrics: SessionMetrics, judge: Thresholds) -> Iterator[str]:
    """Yields the verdict, one line per turn, and the turn-taking figures.

    A turn's line contains its response time, grade and breakdown.
    """
    said = verdict(metrics, judge)
    if said:
        yield said
    if bound := timing_line(metrics.timing):
        yield one_line(bound)
    for turn in metrics.turns:
        yield _line_of(turn, judge)
    for name, words in floor_lines(floor_figures(judged_by(metrics.floor, judge), metrics.timing)):
        yield f"{name:<11} {words}"


def in_json(metrics: SessionMetrics, judge: Thresholds) -> dict[str, Any]:
    """Returns all figures and the verdict as JSON values. Response times are graded and rounded as on the screen."""
    turns = [
        {**msgspec.to_builtins(turn), "response": msgspec.to_builtins(response_of(turn, judge))}
        for turn in metrics.turns
    ]
    judged = judged_by(metrics.floor, judge)
    figures = floor_figures(judged, metrics.timing)
    floor = {**msgspec.to_builtins(judged), "figures": msgspec.to_builtins(figures)}
    return {
        **msgspec.to_builtins(metrics),
        "floor": floor,
        **({"turns": turns} if turns else {}),
        "verdict": verdict(metrics, judge),
        "thresholds": {
            name: getattr(judge, name)
            for name in ("good_ms", "slow_ms", "backchannel_ms", "backchannel_gap_ms")
        },
    }


def _line_of(turn: Turn, judge: Thresholds) -> str:
    figure = response_of(turn, judge)
    cells = _CELLS + (_BOUND_CELLS if turn.bound_ms else 0)
    name = f"turn {turn.number}" if turn.number else "greeting"
    words = f"{figure.glyph} {figure.grade}" if figure.grade else figure.unmeasured
    doubt = f"uncertain: {figure.doubt}" if figure.doubt else ""
    return one_line(f"{name:8} {figure!s:>{cells}}  {'  '.join(filter(None, (words, why_of(turn), doubt)))}")
