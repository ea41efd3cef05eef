"""Figures against their bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.measuring import Measured


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank."""
    return sorted(values)[max(math.ceil(len(values) * share) - 1, 0)]


def judged(what: str, value: float | None, bound: float, unit: str = "ms", told: str = "") -> Measured:
    """A figure that must not be above its bound; one that could not be measured does not keep it."""
    shown = figure(value, unit) + (f" ({told})" if told else "")
    return Measured(what, shown, f"≤ {bound:g} {unit}".rstrip(), value is not None and value <= bound)


def figure(value: float | None, unit: str = "ms") -> str:
    """As a person reads it; "–" for what could not be measured."""
    if value is None:
        return "–"
    return (
        f"{value:,.0f} {unit}".rstrip() if value == int(value) or abs(value) >= 100 else f"{value:.2g} {unit}"
    )
