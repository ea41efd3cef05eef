"""SessionComparison: two sessions side by side, turn by turn, for the screen, `compare` and its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tui.models.turns.figures import Figure, Thresholds, response_of
from tui.models.turns.floor_figures import FloorFigures, floor_lines
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import Turn
from tui.models.turns.why import verdict, why_of
from tui.text import numbers
from tui.text.visible import one_line

_TEXT_CHARS = 2_000
NOTICEABLE_MS = 50.0
"""Smallest difference between two response times that is worth attention."""


class Raised(msgspec.Struct, frozen=True):
    """The event number and the text of an error or finding."""

    event: int
    text: str


class TurnOf(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn of one of the two sessions."""

    response: Figure
    why: str = ""
    """Description of where the response time went."""
    user_text: str = ""
    agent_text: str = ""
    tools: list[str] = []
    barge_ins: int = 0
    findings: list[str] = []
    """Errors and findings that were raised during the turn."""


class SessionOf(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the two sessions."""

    name: str
    """Name of the session's folder."""
    title: str
    target: str
    """The URL without credentials."""
    protocol: str
    started_utc: str
    outcome: str
    length_s: float
    verdict: str
    floor: FloorFigures | None = None
    median_ms: float | None = None
    worst_ms: float | None = None
    findings: list[str] = []
    """Errors and findings that were raised outside any turn."""
    problems: list[str] = []
    """Problems with parts of the session that could not be read."""


class TurnPair(msgspec.Struct, frozen=True, omit_defaults=True):
    """The turns with the same number in both sessions. A missing turn is None."""

    turn: int
    left: TurnOf | None = None
    right: TurnOf | None = None

    @property
    def difference_ms(self) -> float | None:
        """Response time of the right turn minus that of the left turn; None unless both were measured."""
        left, right = (None if side is None else side.response.ms for side in (self.left, self.right))
        return None if left is None or right is None else right - left

    @property
    def differs(self) -> bool:
        """Whether the turns differ enough to be worth attention."""
        if self.left is None or self.right is None:
            return True
        by_ms = self.difference_ms
        if by_ms is None:
            return self.left.response.ms is not self.right.response.ms
        return abs(by_ms) >= NOTICEABLE_MS or any(
            getattr(self.left, name) != getattr(self.right, name)
            for name in ("user_text", "agent_text", "tools", "barge_ins", "findings")
        )


class SessionComparison(msgspec.Struct, frozen=True):
    """The two sessions, and their pairs of turns in order."""

    left: SessionOf
    right: SessionOf
    turns: list[TurnPair]


def turns_of(metrics: SessionMetrics, findings: Sequence[Raised], judge: Thresholds) -> dict[int, TurnOf]:
    """Returns the turns of a session, by number."""
    return {
        turn.number: TurnOf(
            response=response_of(turn, judge),
            why=why_of(turn),
            user_text=_words(turn.user_text),
            agent_text=_words(turn.agent_text),
            tools=[one_line(name, 100) for name in turn.tools],
            barge_ins=sum(each.turn == turn.number for each in metrics.barge_ins),
            findings=[finding.text for finding in findings if _is_in(turn, finding)],
        )
        for turn in metrics.turns
    }


def outside(metrics: SessionMetrics, findings: Sequence[Raised]) -> list[str]:
    """Returns the findings that belong to no turn."""
    return [finding.text for finding in findings if not any(_is_in(turn, finding) for turn in metrics.turns)]


def paired(left: dict[int, TurnOf], right: dict[int, TurnOf]) -> list[TurnPair]:
    """Returns the turns of both sessions, paired by number."""
    return [
        TurnPair(number, left.get(number), right.get(number)) for number in sorted(left.keys() | right.keys())
    ]


def verdict_of(metrics: SessionMetrics, judge: Thresholds) -> str:
    """Returns the verdict on the response times of a session."""
    return verdict(metrics, judge) or "No turns."


def comparison_lines(comparison: SessionComparison) -> Iterator[str]:
    """Yields the comparison as lines to print."""
    sides = (("A", comparison.left), ("B", comparison.right))
    for letter, side in sides:
        yield one_line(
            f"{letter}  {side.name}  {side.outcome}  {numbers.clock(side.length_s)}  {side.target}"
        )
    for letter, side in sides:
        yield one_line(f"{letter}  {side.verdict}")
        yield from (f"   ! {one_line(text, 300)}" for text in (*side.problems, *side.findings))
    for letter, side in sides:
        if side.floor is not None:
            yield from (f"{letter}  {name:<11} {words}" for name, words in floor_lines(side.floor))
    for pair in comparison.turns:
        name = f"turn {pair.turn}" if pair.turn else "greeting"
        by_ms = pair.difference_ms
        figures = "   ".join(f"{letter} {_figure(side):>10}" for letter, side in _sides(pair))
        yield f"{name:8}   {figures}   {'' if by_ms is None else signed(by_ms)}".rstrip()
        for what in ("user", "agent"):
            said = [(letter, getattr(side, f"{what}_text") if side else "") for letter, side in _sides(pair)]
            if said[0][1] == said[1][1]:
                said = [("", said[0][1])]
            yield from (
                f"  {what:5} {letter:1} {one_line(f'“{text}”', 300)}" for letter, text in said if text
            )
        for letter, each in _sides(pair):
            yield from (f"  ! {letter}     {one_line(text, 300)}" for text in (each.findings if each else ()))


def signed(ms: float) -> str:
    """Returns a difference in ms with its sign."""
    return f"{'+' if ms >= 0 else '−'}{numbers.milliseconds(abs(ms))}"


def _sides(pair: TurnPair) -> tuple[tuple[str, TurnOf | None], tuple[str, TurnOf | None]]:
    return ("A", pair.left), ("B", pair.right)


def _figure(side: TurnOf | None) -> str:
    return "no turn" if side is None else f"{side.response.short} {side.response.glyph}"


def _is_in(turn: Turn, finding: Raised) -> bool:
    return turn.first_event <= finding.event <= turn.last_event


def _words(text: str) -> str:
    return one_line(text.replace("\n", " "), _TEXT_CHARS)
