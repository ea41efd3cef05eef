"""The measurements of a session for people, as lines, and for programs, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tui.models.turns.figures import Judge, response_of
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import Turn
from tui.models.turns.why import verdict, why_of
from tui.text.visible import one_line


def turn_lines(metrics: SessionMetrics, judge: Judge) -> Iterator[str]:
    """Yields the verdict, then one line per turn with response time, grade and where the time went."""
    said = verdict(metrics, judge)
    if said:
        yield said
    for turn in metrics.turns:
        yield _line_of(turn, judge)


def in_json(metrics: SessionMetrics, judge: Judge) -> dict[str, Any]:
    """Returns all figures as JSON values, with the verdict, and each response time as it is printed, graded."""
    turns = [
        {**msgspec.to_builtins(turn), "response": msgspec.to_builtins(response_of(turn, judge))}
        for turn in metrics.turns
    ]
    return {
        **msgspec.to_builtins(metrics),
        **({"turns": turns} if turns else {}),
        "verdict": verdict(metrics, judge),
        "thresholds": {"good_ms": judge.good_ms, "slow_ms": judge.slow_ms},
    }


def _line_of(turn: Turn, judge: Judge) -> str:
    figure = response_of(turn, judge)
    name = f"turn {turn.number}" if turn.number else "greeting"
    words = f"{figure.glyph} {figure.grade}" if figure.grade else figure.unmeasured
    doubt = f"uncertain: {figure.doubt}" if figure.doubt else ""
    return one_line(f"{name:8} {figure!s:>10}  {'  '.join(filter(None, (words, why_of(turn), doubt)))}")
