"""LadderPane: shows the steps of the scenario with their verdicts, and highlights the current step."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import ScenarioPhase
from tui.models.scenario_progress import Rung, ScenarioProgress
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.lines import Piece
from tui.widgets.rows import RowsView
from tui.widgets.wrap import fit

_NUMBER_CELLS, _TOOK_CELLS = 3, 8
_MAX_TEXT = 300
_MAX_VERDICT = 20
_LOOKS = {
    "passed": ("✓", "rows--good"),
    "failed": ("✗", "rows--bad"),
    "not measured": ("~", "rows--slow"),
    "done": ("•", "rows--plain"),
    "": ("·", "rows--muted"),
}
_CURRENT = ("▶", "rows--bar")
_WITH_REASON = ("failed", "not measured")


class LadderPane(RowsView):
    """Draws the steps of the session's scenario.

    The cursor follows the current step until the user moves it.
    """

    TITLE = "Scenario"
    LEAST_TITLE_CELLS = 10

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.bridge = bridge

    @property
    def progress(self) -> ScenarioProgress:
        """The progress of the session's scenario."""
        return self.bridge.scenario

    def listen(self) -> Iterable[Registration]:
        """Subscribes to changes of the steps and verdicts."""
        yield self.progress.add_change_callback(self.changed)
        yield self.bridge.log.add_clear_callback(self.begin_anew)

    def title_parts(self) -> list[str]:
        """Returns the scenario's progress, number of failures, and name."""
        progress = self.progress
        verdicts = [rung.verdict for rung in progress.rungs]
        judged = sum(bool(verdict) for verdict in verdicts)
        counts = [f"{verdicts.count(kind):,} {kind}" for kind in _WITH_REASON if kind in verdicts]
        over = one_line(progress.scenario.verdict, _MAX_VERDICT) if progress.scenario else ""
        by_hand = ["by hand"] if progress.phase is ScenarioPhase.BY_HAND else []
        name = [one_line(progress.name, _MAX_TEXT)] if progress.name else []
        far = [over or f"{judged:,} of {len(verdicts):,}"] if verdicts else []
        return [self.TITLE, *far, *counts, *by_hand, *name]

    def count(self) -> int:
        """Returns the number of steps and limits."""
        return len(self.progress.rungs)

    def event_of(self, index: int) -> int:
        """Returns the number of the event with which a step began; 0 if it has not begun."""
        return self.progress.rungs[index].number

    def heads(self, width: int, height: int) -> Sequence[Sequence[Piece]]:
        """Returns no lines, because the columns are self-explanatory."""
        return ()

    def why_empty(self) -> str:
        """Returns the text for an empty pane."""
        return "No scenario is being played. A scenario's steps and verdicts will be listed here."

    def row_key(self, index: int) -> Hashable:
        """Returns the cache key of a row."""
        rung = self.progress.rungs[index]
        return rung.text, rung.verdict, rung.reason, index == self.progress.current

    def row(self, index: int, width: int) -> Sequence[Piece]:
        """Returns the verdict, number, text, time and reason of a step."""
        rung = self.progress.rungs[index]
        glyph, look = self._look(index)
        words = max(width - _NUMBER_CELLS - _TOOK_CELLS - 4, 0)
        text, took = (
            one_line(rung.text, _MAX_TEXT),
            numbers.milliseconds(rung.took_ms) if rung.took_ms else "",
        )
        if rung.reason and rung.verdict in _WITH_REASON:
            # The reason is more important than the time.
            words, took = words + _TOOK_CELLS + 1, ""
            text = f"{fit(text, min(len(text), max(words * 2 // 3, 1)))}: {one_line(rung.reason, _MAX_TEXT)}"
        plain = "rows--heading" if index == self.progress.current else "rows--plain"
        style = look if rung.verdict in _WITH_REASON else plain
        return [
            (f"{glyph} ", look),
            (f"{index + 1:>{_NUMBER_CELLS}} ", "rows--muted"),
            (fit(text, words), style if rung.verdict or index == self.progress.current else "rows--muted"),
            *([(f" {took:>{_TOOK_CELLS}}", "rows--muted")] if took else []),
        ]

    def in_full(self, index: int) -> Sequence[Piece]:
        """Returns all details of a step."""
        rung: Rung = self.progress.rungs[index]
        glyph, look = self._look(index)
        state = one_line(rung.verdict, _MAX_VERDICT) or (
            "under way" if index == self.progress.current else "not yet"
        )
        pieces: list[Piece] = [(one_line(rung.text, _MAX_TEXT), "rows--heading"), (f"{glyph} {state}", look)]
        if rung.reason:
            pieces += [("\n", ""), (one_line(rung.reason, _MAX_TEXT), "rows--plain")]
        if rung.place:
            pieces += [("\n", ""), (one_line(rung.place, _MAX_TEXT), "rows--muted")]
        # The rows cut long reasons, so lines that the steps leave empty show them in full.
        for other, each in enumerate(self.progress.rungs):
            if other != index and each.reason and each.verdict in _WITH_REASON:
                glyph, look = self._look(other)
                pieces += [("\n", ""), (f"{glyph} {other + 1} {one_line(each.reason, _MAX_TEXT)}", look)]
        return pieces

    def refresh_from_model(self) -> None:
        """Updates the steps, and moves the cursor to the current step unless the user has moved it."""
        count, focus = self.count(), self.progress.focus
        if self.following and focus is not None:
            self._cursor = focus
        self._cursor = min(self._cursor, max(count - 1, 0))
        self.lay_out()
        self.grow(count + self.foot_lines, count)

    def follow(self) -> None:
        """Moves the cursor to the current step, and makes the cursor follow the current step."""
        self.following = True
        self.refresh_from_model()

    def show_followed(self) -> None:
        """Scrolls to the step with the cursor."""
        top, rows = self.scroll_offset.y, self.row_room - self.foot_lines
        if rows > 0 and not top <= self.cursor < top + rows:
            target = self.cursor if self.cursor < top else self.cursor - rows + 1
            self.scroll_to(y=target, animate=False)

    def _look(self, index: int) -> tuple[str, str]:
        rung = self.progress.rungs[index]
        return _CURRENT if index == self.progress.current else _LOOKS.get(rung.verdict, _LOOKS[""])
