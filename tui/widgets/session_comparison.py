"""SessionComparisonView: shows two sessions side by side, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import ClassVar

from textual.binding import BindingType

from tui.models.turns.comparison import SessionComparison, SessionOf, TurnOf, TurnPair, signed
from tui.models.turns.floor_figures import floor_lines
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.lines import Piece
from tui.widgets.text_page import Line, TextPage, scroll_bindings
from tui.widgets.wrap import fit, wrap

_GAP = " │ "
_MAX_WORDS = 1_000


class SessionComparisonView(TextPage, inherit_bindings=False):
    """Draws a `SessionComparison` and marks the differences."""

    TITLE = "Compare sessions"
    HELP = (
        "turns are paired by their numbers, regardless of what was said · Δ right minus left · ≠ a turn that differs "
        "· ! an error or finding"
    )
    BINDINGS: ClassVar[list[BindingType]] = scroll_bindings("session_comparison")

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.comparison: SessionComparison | None = None
        self.notice = "Measuring both sessions…"
        """Text shown until there is a comparison."""
        self._places: dict[int, int] = {}
        """The first line of each pair of turns, by the pair's index."""

    @property
    def has_lines(self) -> bool:
        """Whether there is a comparison."""
        return self.comparison is not None

    def why_empty(self) -> str:
        """Returns the text for a view without a comparison."""
        return self.notice

    def show(self, comparison: SessionComparison | None, notice: str = "") -> None:
        """Shows a comparison. Without a comparison, shows a notice."""
        self.comparison, self.notice = comparison, notice
        self._lay_out()

    def on_resize(self) -> None:
        """Lays out the comparison for the new width."""
        self._lay_out()

    def go_to_difference(self, *, forward: bool = True) -> bool:
        """Scrolls to the next or the previous pair of turns that differs.

        Returns False if there is no further difference.
        """
        if self.comparison is None:
            return False
        places = [at for index, at in self._places.items() if self.comparison.turns[index].differs]
        top = round(self.scroll_target_y)
        if forward and top >= self.max_scroll_y:
            return False  # the rest is already visible
        wanted = [at for at in places if (at > top if forward else at < top)]
        if not wanted:
            return False
        self.scroll_to(y=wanted[0] if forward else wanted[-1], animate=False)
        return True

    def _lay_out(self) -> None:
        lines: list[Line] = []
        self._places = {}
        width = max(self.line_width - 2, 20)
        if self.comparison is not None:
            lines += _sessions(self.comparison, width)
            for index, pair in enumerate(self.comparison.turns):
                lines.append([])
                self._places[index] = len(lines)
                lines += _pair(pair, width)
        self.set_text(lines)
        self.refresh()  # the notice may have changed


def _sessions(comparison: SessionComparison, width: int) -> Iterator[Line]:
    cells = (width - len(_GAP)) // 2
    columns = [list(_session(side, cells)) for side in (comparison.left, comparison.right)]
    yield from _side_by_side(columns[0], columns[1], cells)


def _session(side: SessionOf, cells: int) -> Iterator[Piece]:
    yield one_line(side.name, 200), "page--heading"
    facts = f"{side.outcome} · {numbers.clock(side.length_s)} · {side.protocol} {side.target}"
    yield from _wrapped(one_line(facts, 400), "page--muted", cells)
    yield from _wrapped(side.verdict, "page--plain", cells)
    for name, words in floor_lines(side.floor) if side.floor else ():
        yield from _wrapped(f"{name}: {words}", "page--muted", cells)
    for text in (*side.problems, *side.findings):
        yield from _wrapped(f"! {text}", "page--slow", cells)


def _pair(pair: TurnPair, width: int) -> Iterator[Line]:
    cells = (width - len(_GAP)) // 2
    by_ms = pair.difference_ms
    name = f"Turn {pair.turn}" if pair.turn else "Greeting"
    head = f"{name}{'' if by_ms is None else f'  Δ {signed(by_ms)}'}{'  ≠' if pair.differs else ''}"
    yield [(head, "page--heading")]
    columns = [list(_turn(side, cells)) for side in (pair.left, pair.right)]
    yield from _side_by_side(columns[0], columns[1], cells)


def _turn(side: TurnOf | None, cells: int) -> Iterator[Piece]:
    if side is None:
        yield "no such turn", "page--muted"
        return
    figure = side.response
    if figure.ms is None:
        yield from _wrapped(f"no response time: {figure.unmeasured or 'unknown'}", "page--slow", cells)
    else:
        grade = f" {figure.grade}" if figure.grade else ""
        yield f"{figure.short} {figure.glyph}{grade}", f"page--{figure.grade or 'plain'}"
    if side.why and figure.grade != "good":
        yield from _wrapped(f"{side.why}.", "page--muted", cells)
    for who, words in (("user", side.user_text), ("agent", side.agent_text)):
        if words:
            yield from _wrapped(f"{who}: {one_line(words, _MAX_WORDS)}", "page--plain", cells)
    notes = [f"tool {name}" for name in side.tools]
    notes += [numbers.counted(side.barge_ins, "barge-in")] if side.barge_ins else []
    if notes:
        yield from _wrapped(", ".join(notes), "page--muted", cells)
    for text in side.findings:
        yield from _wrapped(f"! {text}", "page--slow", cells)


def _wrapped(text: str, style: str, cells: int) -> Iterator[Piece]:
    return ((line, style) for line in wrap(text, cells))


def _side_by_side(left: Sequence[Piece], right: Sequence[Piece], cells: int) -> Iterator[Line]:
    nothing: Piece = ("", "page--plain")
    for one, other in zip_longest(left, right, fillvalue=nothing):
        yield [(fit(one[0], cells), one[1]), (_GAP, "page--muted"), (fit(other[0], cells), other[1])]
