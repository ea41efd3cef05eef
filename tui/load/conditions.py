"""Conditions: the language of ``--keep-if`` and ``--fail-if``, such as "failed or response > 2s"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping

from tui.load.records import CallEnding, CallRecord
from tui.text.strict import SettingsError, did_you_mean, quoted

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_UNITS = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0, "%": 0.01, "": 1.0}
_TERM = r"([a-z][a-z0-9_-]*)(?:\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*(ms|s|m|%)?)?"

Figures = Mapping[str, float | None]

OF_A_CALL = (
    "failed",
    "late",
    "response",
    "greeting",
    "connect",
    "barge-in",
    "dead-air",
    "findings",
    "length",
)
OF_A_RUN = (
    *("p50", "p95", "p99", "worst", "greeting-p95", "connect-p95", "barge-in-p95"),
    *("failed", "refused", "lost", "not-trusted", "dead-air", "findings", "calls", "turns"),
)


class Criterion:
    """A condition on named figures. "and" and "or" join comparisons; "and" binds more tightly.

    A name without a comparison is true if the figure is not 0. A comparison with a figure that was not
    measured is false.
    """

    def __init__(self, text: str, names: Collection[str]) -> None:
        """Raises `SettingsError` if ``text`` is not a condition on ``names``."""
        self.text = " ".join(text.split())
        words = re.split(r"\s+or\s+", self.text)
        self._any_of = [[_term(term, names) for term in re.split(r"\s+and\s+", each)] for each in words]

    def holds(self, figures: Figures) -> bool:
        """Returns whether the figures meet the condition."""
        return any(all(_fulfils(term, figures) for term in terms) for terms in self._any_of)

    def unmeasured(self, figures: Figures) -> bool:
        """Returns whether the condition cannot be judged because some of its figures were not measured."""
        return not self.holds(figures) and any(
            figures.get(name) is None for terms in self._any_of for name, _, _ in terms
        )


_Comparison = tuple[str, str, float]


def _term(text: str, names: Collection[str]) -> _Comparison:
    found = re.fullmatch(_TERM, text.strip().lower())
    if found is None:
        raise SettingsError(f'{quoted(text)} is not a condition. Write it like "p95 > 2s" or "failed".')
    name, compare, number, unit = found.groups()
    if name not in names:
        raise SettingsError(
            f"Unknown figure {quoted(name)}{did_you_mean(name, names)} Choose from {', '.join(names)}."
        )
    return name, compare or ">", float(number or 0) * _UNITS[unit or ""]


def _fulfils(term: _Comparison, figures: Figures) -> bool:
    name, compare, limit = term
    value = figures.get(name)
    return value is not None and _COMPARE[compare](value, limit)


def figures_of_call(call: CallRecord) -> Figures:
    """Returns the figures of a call by the names in `OF_A_CALL`, in ms or as counts."""
    return {
        "failed": float(call.outcome is CallEnding.FAILED),
        "late": call.late_ms,
        "response": call.worst_response_ms,
        "greeting": call.greeting_ms,
        "connect": call.connect_ms,
        "barge-in": max(call.barge_in_ms, default=None),
        "dead-air": max(call.dead_air_ms, default=None),
        "findings": float(len(call.findings)),
        "length": (call.ended_s - call.began_s) * 1_000,
    }
