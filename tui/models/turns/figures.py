"""Figure: a response time as every output prints it, with its grade and its uncertainty.

Screen, `metrics`, `--json` and report take their figures from here, so that one session has one set of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Literal, Protocol

import msgspec

from tui.models.turns.turns import Turn
from tui.text import numbers

Grade = Literal["good", "slow", "bad"]


class Judge(Protocol):
    """Grades response times by the thresholds in the settings."""

    @property
    def good_ms(self) -> float:
        """Longest response time that is good."""

    @property
    def slow_ms(self) -> float:
        """Longest response time that is slow; longer ones are bad."""

    @property
    def backchannel_ms(self) -> float:
        """Longest speech that is a backchannel."""

    @property
    def backchannel_gap_ms(self) -> float:
        """Longest silence before and after a backchannel in a pause of the other party."""

    def judge(self, latency_ms: float) -> Grade:
        """Returns the grade of a response time."""


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A measured time: number, grade, and how far it can be trusted."""

    ms: float | None = None
    """The value as printed: whole milliseconds, or tenths below 10 ms. None if not measured."""
    grade: Grade | None = None
    error_ms: float | None = None
    """The true value lies within ``ms`` ± this; None if no bound is known."""
    doubt: str = ""
    """Why the figure is uncertain; otherwise empty."""
    unmeasured: str = ""
    """Why there is no figure; otherwise empty."""

    @property
    def glyph(self) -> str:
        """The grade as a glyph; a blank without a grade."""
        return numbers.VERDICTS[self.grade] if self.grade else " "

    @property
    def short(self) -> str:
        """The figure in ms, with a question mark if it is uncertain, and a dash if not measured."""
        return numbers.milliseconds(self.ms) + ("?" if self.doubt else "")

    def __str__(self) -> str:
        if self.ms is None or self.error_ms is None:
            return numbers.milliseconds(self.ms)
        return f"{numbers.milliseconds(self.ms).removesuffix(' ms')} ± {numbers.milliseconds(self.error_ms)}"


def shown_ms(value_ms: float) -> float:
    """Returns a time as it is printed, so that a grade or a limit never contradicts the number next to it."""
    return round(value_ms, 1) if abs(value_ms) < 10 else float(round(value_ms))


class Against(Enum):
    """A measured time against a limit."""

    WITHIN = auto()
    OVER = auto()
    """It exceeds the limit by more than its ±."""
    TOO_CLOSE = auto()
    """Too close to call: the limit lies within its ±, or it is uncertain without a known bound."""


def against(turn: Turn, limit_ms: float) -> Against | None:
    """Compares the response time of a turn with a limit; None if it has none."""
    if turn.response_latency_ms is None:
        return None
    ms = shown_ms(turn.response_latency_ms)
    if turn.doubt and turn.error_ms is None:
        return Against.TOO_CLOSE
    error_ms = turn.error_ms or 0.0
    if ms - error_ms > limit_ms:
        return Against.OVER
    return Against.WITHIN if ms + error_ms <= limit_ms else Against.TOO_CLOSE


def too_close(turn: Turn) -> str:
    """Returns why the response time of a turn cannot be compared with a limit, as a sentence without its end."""
    ms = numbers.milliseconds(turn.response_latency_ms)
    error = "" if turn.error_ms is None else f" ± {numbers.milliseconds(turn.error_ms)}"
    return f"Turn {turn.number} took {ms}{error}, which is too close to call: {turn.doubt}"


def graded(value_ms: float | None, judge: Judge) -> Figure:
    """Returns a time that belongs to no turn (a percentile) as a figure."""
    if value_ms is None:
        return Figure()
    ms = shown_ms(value_ms)
    return Figure(ms, judge.judge(ms))


def response_of(turn: Turn, judge: Judge | None) -> Figure:
    """Returns the response time of a turn; of turn 0, the time until the greeting, which has no grade.

    Without a judge, no figure has a grade.
    """
    if turn.response_latency_ms is None:
        return Figure(unmeasured=turn.unmeasured)
    ms = shown_ms(turn.response_latency_ms)
    grade = judge.judge(ms) if judge and turn.number else None
    return Figure(ms, grade, error_ms=turn.error_ms, doubt=turn.doubt)


def slow_turns(turns: Sequence[Turn], judge: Judge) -> list[Turn]:
    """Returns the turns whose response is worse than good, in order."""
    return [turn for turn in turns if response_of(turn, judge).grade in ("slow", "bad")]
