"""Figure: a response time with its grade and its uncertainty.

The screen, `metrics`, `--json` and the report all use `Figure`, so that they show the same numbers for a
session.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tui.audio.calibration import NOT_CALIBRATED, Timing
from tui.models.turns.turns import BargeIn, Turn
from tui.text import numbers

Grade = Literal["good", "slow", "bad"]


Milliseconds = Annotated[float, Meta(gt=0, le=600_000)]
BACKCHANNEL_MS, BACKCHANNEL_GAP_MS = 1_000.0, 300.0


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds in the settings: limits for good and slow responses, and for backchannels."""

    good_ms: Annotated[Milliseconds, Meta(description="Response times up to this limit are good.")] = 800.0
    slow_ms: Annotated[Milliseconds, Meta(description="Response times above this limit are bad.")] = 1500.0
    backchannel_ms: Annotated[
        Milliseconds,
        Meta(description="Speech up to this long that does not take the floor is a backchannel."),
    ] = BACKCHANNEL_MS
    backchannel_gap_ms: Annotated[
        Milliseconds,
        Meta(
            description="Longest silence before and after a backchannel during a pause in the other party's speech."
        ),
    ] = BACKCHANNEL_GAP_MS

    def __post_init__(self) -> None:
        if self.slow_ms < self.good_ms:
            raise ValueError(f"slow_ms ({self.slow_ms:g}) must be at least good_ms ({self.good_ms:g})")

    def judge(self, latency_ms: float) -> Grade:
        """Returns the grade of a response time."""
        return "good" if latency_ms <= self.good_ms else "slow" if latency_ms <= self.slow_ms else "bad"


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A measured time with its grade and its accuracy."""

    ms: float | None = None
    """The value as it is shown: in whole milliseconds, or in tenths of a millisecond below 10 ms.

    None if nothing was measured.
    """
    grade: Grade | None = None
    error_ms: float | None = None
    """Largest error of ``ms`` in either direction; None if no bound is known."""
    doubt: str = ""
    """Why the figure is uncertain; empty if it is not."""
    unmeasured: str = ""
    """Why the value is missing; empty if there is a value."""

    @property
    def glyph(self) -> str:
        """The grade as a glyph; a blank if there is no grade."""
        return numbers.VERDICTS[self.grade] if self.grade else " "

    @property
    def short(self) -> str:
        """The value in ms, with its ± or the unit.

        A question mark shows that the value is uncertain; a dash shows that nothing was measured.
        """
        number = numbers.milliseconds(self.ms)
        if self.ms is not None and self.error_ms is not None:
            number = f"{number.removesuffix(' ms')}±{numbers.milliseconds(self.error_ms).removesuffix(' ms')}"
        return number + ("?" if self.doubt else "")

    def __str__(self) -> str:
        if self.ms is None or self.error_ms is None:
            return numbers.milliseconds(self.ms)
        return f"{numbers.milliseconds(self.ms).removesuffix(' ms')} ± {numbers.milliseconds(self.error_ms)}"


def shown_ms(value_ms: float) -> float:
    """Rounds a time as it is shown.

    Grades and limits use the rounded time, so that they never contradict the number next to them.
    """
    return round(value_ms, 1) if abs(value_ms) < 10 else float(round(value_ms))


class Against(Enum):
    """The result of comparing a measured time with a limit."""

    WITHIN = auto()
    OVER = auto()
    """The time exceeds the limit by more than its ±."""
    TOO_CLOSE = auto()
    """The limit lies within the ± of the time, or the time is uncertain and no bound is known."""


def against(figure: Figure, limit_ms: float) -> Against | None:
    """Compares a time with a limit. Returns None if the time was not measured."""
    if figure.ms is None:
        return None
    if figure.doubt and figure.error_ms is None:
        return Against.TOO_CLOSE
    error_ms = figure.error_ms or 0.0
    if figure.ms - error_ms > limit_ms:
        return Against.OVER
    return Against.WITHIN if figure.ms + error_ms <= limit_ms else Against.TOO_CLOSE


def too_close(number: int, figure: Figure) -> str:
    """Returns a sentence on why a turn's response time cannot be compared with a limit.

    The sentence has no full stop.
    """
    because = f": {figure.doubt}" if figure.doubt else ""
    return f"Turn {number} took {figure}, which is too close to call{because}"


def timed(value_ms: float | None, bound_ms: float = 0.0, doubt: str = "") -> Figure:
    """Returns a time that does not belong to a turn, as a figure without a grade.

    If ``bound_ms`` is 0, the time is exact.
    """
    if value_ms is None:
        return Figure()
    return Figure(shown_ms(value_ms), error_ms=shown_ms(bound_ms) if bound_ms else None, doubt=doubt)


def graded(value_ms: float | None, judge: Thresholds, timing: Timing | None = None) -> Figure:
    """Returns a percentile of response times as a figure, with its grade and the ± of the devices."""
    return with_grade(timed(value_ms, timing.response.bound_ms if timing else 0.0), judge)


def with_grade(figure: Figure, judge: Thresholds) -> Figure:
    """Returns a response time with its grade."""
    return figure if figure.ms is None else msgspec.structs.replace(figure, grade=judge.judge(figure.ms))


def silence_of(barge_in: BargeIn) -> Figure:
    """Returns the time from the user's onset to silence at the speaker."""
    return timed(barge_in.silent_after_ms, barge_in.bound_ms + barge_in.error_ms, barge_in.doubt)


def barge_in_figures(barge_in: BargeIn) -> dict[str, Figure]:
    """Returns the figures of a barge-in in order, each with its name."""
    overlap_ms = barge_in.talk_over_ms
    if overlap_ms is not None and barge_in.silence_ms is not None:
        overlap_ms -= barge_in.bias_ms  # both times end when the speaker is silent
    doubt = barge_in.doubt
    bound_ms, signal_bound_ms = (
        each + barge_in.error_ms for each in (barge_in.bound_ms, barge_in.signal_bound_ms)
    )
    return {
        "agent's signal after": timed(barge_in.signal_ms, signal_bound_ms, doubt),
        "silence after": silence_of(barge_in),
        "from signal to silence": timed(barge_in.stop_ms, signal_bound_ms, doubt),
        "talk-over": timed(overlap_ms, bound_ms, doubt),
    }


def timing_line(timing: Timing | None) -> str:
    """Returns a sentence that states the accuracy of a session's times; empty if they are exact."""
    if timing is None:
        return ""
    response = timing.response
    if timing.calibration is None:
        help_text = " Run `opusagent-tui calibrate`." if timing.problem == NOT_CALIBRATED else ""
        return f"Response times are ± {response.bound_ms:.0f} ms: {timing.problem}.{help_text}"
    taken = "added to" if response.bias_ms < 0 else "subtracted from"
    return (
        f"Response times are ± {response.bound_ms:.1f} ms: the devices were calibrated on"
        f" {timing.calibration.measured:%Y-%m-%d}, and {abs(response.bias_ms):.1f} ms is {taken} each."
    )


def response_of(turn: Turn, judge: Thresholds | None) -> Figure:
    """Returns the response time of a turn or, for turn 0, the time until the greeting, which has no grade.

    If ``judge`` is None, no figure has a grade.
    """
    if turn.response_ms is None:
        return Figure(unmeasured=turn.unmeasured, doubt=turn.doubt)
    ms = shown_ms(turn.response_ms)
    grade = judge.judge(ms) if judge and turn.number else None
    within_ms = turn.within_ms
    return Figure(ms, grade, error_ms=None if within_ms is None else shown_ms(within_ms), doubt=turn.doubt)


def worst_of(turns: Sequence[Turn], judge: Thresholds | None = None) -> Figure:
    """Returns the longest response time, with the uncertainty of its turn.

    The greeting is not a response.
    """
    answered = [turn for turn in turns if turn.number and turn.response_ms is not None]
    worst = max(answered, key=lambda turn: turn.response_ms or 0.0, default=None)
    return Figure() if worst is None else response_of(worst, judge)


def slow_turns(turns: Sequence[Turn], judge: Thresholds) -> list[Turn]:
    """Returns the turns whose response time is graded worse than good, in order."""
    return [turn for turn in turns if response_of(turn, judge).grade in ("slow", "bad")]
