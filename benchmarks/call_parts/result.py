"""Compares figures with their bounds."""

from __future__ import annotations

from benchmarks.measuring import Measured


def judged(what: str, value: float | None, bound: float, unit: str = "ms", told: str = "") -> Measured:
    """Returns a row for a figure that must not exceed its bound. A figure that was not measured misses the bound."""
    shown = figure(value, unit) + (f" ({told})" if told else "")
    return Measured(what, shown, f"≤ {bound:g} {unit}".rstrip(), value is not None and value <= bound)


def figure(value: float | None, unit: str = "ms") -> str:
    """Returns a figure as text; "–" for a figure that was not measured."""
    if value is None:
        return "–"
    return (
        f"{value:,.0f} {unit}".rstrip() if value == int(value) or abs(value) >= 100 else f"{value:.2g} {unit}"
    )
