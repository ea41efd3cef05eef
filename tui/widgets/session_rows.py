"""SessionsView: lists the saved sessions, with a filter and marks, and shows the selected session in full."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.models.turns.figures import Thresholds, with_grade
from tui.saving.listing import SessionSummary, age_key
from tui.saving.record import Outcome
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.cursor import cursor_bindings, own_key
from tui.widgets.lines import Piece
from tui.widgets.rows import RowsView
from tui.widgets.wrap import fit

_WIDE_CELLS = 100
_TO_COMPARE = 2
_TEXT_CHARS = 300
_DAMAGED = "damaged"
_NARROW_CELLS = 72
"""Width below which only the figures that help to choose a session are shown; the rest is below the list."""
_OUTCOME_TURNS_MARKS = (3, 5, 8)
"""Positions of the columns that a narrow list omits."""
_MARK_CELLS, _OUTCOME_CELLS, _LENGTH_CELLS, _TURNS_CELLS, _WORST_CELLS, _COUNT_CELLS = 2, 8, 8, 6, 13, 7


class SessionRows:
    """The saved sessions, newest first, with the user's filter and marks."""

    def __init__(self) -> None:
        self.all: list[SessionSummary] = []
        self.rows: list[SessionSummary] = []
        """The sessions that match the filter."""
        self.marked: list[Path] = []
        """Folders of the sessions marked for comparison: at most two, in the order in which they were marked."""
        self.filter = ""
        self.any_outcome = False
        """Whether any of the rows has an outcome to show."""

    def take(self, found: Iterable[SessionSummary]) -> None:
        """Adds sessions, in order of age."""
        self.all += found
        self.all.sort(key=age_key, reverse=True)
        self._select()

    def set_filter(self, text: str) -> None:
        """Keeps only the sessions whose row contains all words of the filter."""
        self.filter = text.strip()
        self._select()

    def toggle(self, folder: Path) -> None:
        """Marks or unmarks a session. At most two sessions are marked; a third mark replaces the first."""
        if folder in self.marked:
            self.marked.remove(folder)
        else:
            self.marked = [*self.marked, folder][-_TO_COMPARE:]

    def remove(self, folder: Path) -> None:
        """Removes a session from the list."""
        self.all = [each for each in self.all if each.folder != folder]
        self.marked = [each for each in self.marked if each != folder]
        self._select()

    def _select(self) -> None:
        words = self.filter.casefold().split()
        self.rows = [each for each in self.all if all(word in _searched(each) for word in words)]
        self.any_outcome = any(map(outcome_in_words, self.rows))


class SessionsView(RowsView, inherit_bindings=False):
    """Draws the rows of `SessionRows`."""

    TITLE = "Saved sessions"
    HELP = (
        "worst: the slowest response, ✓ good ~ slow ✗ bad · marks: marked events and notes · ◆ marked to compare; "
        "below: the selected session"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *cursor_bindings("session_list"),
        own_key("enter", "choose", "Open", "Open the session.", "session_list.open"),
    ]
    FOOTER: ClassVar[Sequence[str]] = ("session_list.open",)

    class Opened(Message):
        """Requests that the session under the cursor be opened."""

        def __init__(self, folder: Path) -> None:
            super().__init__()
            self.folder = folder

    def __init__(self, rows: SessionRows, thresholds: Thresholds, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.rows = rows
        self.thresholds = thresholds
        self.empty = "Reading…"
        """Text shown when there are no rows."""
        self._this_year = datetime.now().astimezone().year

    @property
    def grows(self) -> bool:
        """Always false, because the newest session is at the top and the view need not follow its end."""
        return False

    @property
    def current(self) -> SessionSummary | None:
        """The session under the cursor."""
        return self.rows.rows[self.cursor] if self.cursor < self.count() else None

    def show(self, current: Path | None = None) -> None:
        """Redraws the rows.

        The cursor moves to session ``current`` if it is listed; otherwise, the cursor stays at its position.
        """
        folders = [each.folder for each in self.rows.rows]
        if current in folders:
            self._cursor = folders.index(current)
        self.refresh_from_model()
        self.move_to(self.cursor)

    def refresh_from_model(self) -> None:
        """Updates the rows, without following the end."""
        self._following = False
        super().refresh_from_model()

    def title_parts(self) -> list[str]:
        """Returns the number of sessions, and how many of them match the filter."""
        shown, count = len(self.rows.rows), len(self.rows.all)
        return [self.TITLE, f"{count:,}" if shown == count else f"{shown:,} of {count:,}"]

    def count(self) -> int:
        """Returns the number of sessions that match the filter."""
        return len(self.rows.rows)

    def event_of(self, index: int) -> int:
        """Returns 0, because a session is not an event."""
        return 0

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides Open if no session is listed."""
        return self.current is not None if action == "choose" else True

    def action_choose(self) -> None:
        """Requests that the session under the cursor be opened."""
        if self.current is not None:
            self.post_message(self.Opened(self.current.folder))

    def why_empty(self) -> str:
        """Returns the text for an empty list."""
        return self.empty

    def heads(self, width: int, height: int) -> Sequence[Sequence[Piece]]:
        """Returns the names of the columns."""
        title_cells, when_cells = self._cells(width)
        columns = [
            " " * _MARK_CELLS,
            f"{'began':<{when_cells}}",
            _cell("title", title_cells),
            " " * self._outcome_cells,
            f"{'length':>{_LENGTH_CELLS}}",
            f"{'turns':>{_TURNS_CELLS}}",
            f"{'worst':>{_WORST_CELLS - 2}}  ",
            f"{'errors':>{_COUNT_CELLS}}",
            f"{'marks':>{_COUNT_CELLS}}",
        ]
        return [_shown([(column, "rows--muted") for column in columns], width)]

    def row_key(self, index: int) -> Hashable:
        """Returns the summary of the session, which never changes, as the cache key of the row."""
        summary = self.rows.rows[index]
        return summary.folder, summary.folder in self.rows.marked

    def row(self, index: int, width: int) -> Sequence[Piece]:
        """Returns the columns of a session."""
        summary = self.rows.rows[index]
        title_cells, when_cells = self._cells(width)
        worst = with_grade(summary.worst, self.thresholds)
        outcome = _cell(outcome_in_words(summary), _OUTCOME_CELLS)[: self._outcome_cells]
        marks = summary.marks + summary.notes
        columns = [
            ("◆ " if summary.folder in self.rows.marked else "  ", "rows--heading"),
            (f"{self._when(summary, when_cells):<{when_cells}}", "rows--muted"),
            (_cell(one_line(summary.title or summary.name, 200), title_cells), "rows--plain"),
            (outcome, "rows--bad" if summary.problem else "rows--slow"),
            (f"{length_of(summary):>{_LENGTH_CELLS}}", "rows--plain"),
            (f"{'–' if summary.turns is None else f'{summary.turns:,}':>{_TURNS_CELLS}}", "rows--plain"),
            (
                f"{worst.short:>{_WORST_CELLS - 2}} {worst.glyph}",
                f"rows--{worst.grade}" if worst.grade else "rows--muted",
            ),
            (
                f"{'–' if summary.errors is None else summary.errors or '':>{_COUNT_CELLS}}",
                "rows--bad" if summary.errors else "rows--muted",
            ),
            (f"{marks or '':>{_COUNT_CELLS}}", "rows--plain"),
        ]
        return _shown(columns, width)

    def in_full(self, index: int) -> Sequence[Piece]:
        """Returns all details of a session, problems first."""
        summary = self.rows.rows[index]
        pieces: list[Piece] = [(one_line(summary.name, _TEXT_CHARS), "rows--heading")]
        if summary.problem:
            pieces.append((f"✗ damaged: {one_line(summary.problem, _TEXT_CHARS)}", "rows--bad"))
        if summary.reason and summary.outcome != Outcome.ENDED:
            pieces.append((one_line(f"{summary.outcome}: {summary.reason}", _TEXT_CHARS), "rows--slow"))
        facts = [
            numbers.counted(summary.turns, "turn") if summary.turns is not None else "",
            f"{one_line(summary.protocol, 30)} {one_line(summary.target, _TEXT_CHARS)}".strip(),
            f"{summary.not_answered} not answered" if summary.not_answered else "",
            numbers.counted(summary.marks, "mark") if summary.marks else "",
            numbers.counted(summary.notes, "note") if summary.notes else "",
            f"{summary.size_bytes / 1e6:.1f} MB" if summary.size_bytes >= 1e5 else "",
            "" if summary.has_audio else "no audio",
        ]
        return [*pieces, *((fact, "rows--muted") for fact in facts if fact)]

    def _cells(self, width: int) -> tuple[int, int]:
        """Returns the widths of the title and the date. The title gets the space that other columns leave."""
        when_cells = 18 if width >= _WIDE_CELLS else 13
        fixed = _MARK_CELLS + when_cells + _LENGTH_CELLS + _WORST_CELLS + _COUNT_CELLS
        if width >= _NARROW_CELLS:
            fixed += self._outcome_cells + _TURNS_CELLS + _COUNT_CELLS
        return max(width - fixed, 6), when_cells

    @property
    def _outcome_cells(self) -> int:
        """Width of the column that only sessions need that did not end normally."""
        return _OUTCOME_CELLS if self.rows.any_outcome else 0

    def _when(self, summary: SessionSummary, cells: int) -> str:
        if summary.started is None:
            return "–"
        began = summary.started.astimezone()
        if cells > len("2026-01-31 09:30"):
            return began.strftime("%Y-%m-%d %H:%M")
        return began.strftime("%m-%d %H:%M" if began.year == self._this_year else "%Y-%m-%d")


def _shown(columns: Sequence[Piece], width: int) -> list[Piece]:
    """Returns the columns to show. A narrow list leaves out the outcome, the turns and the marks."""
    return [
        each for at, each in enumerate(columns) if width >= _NARROW_CELLS or at not in _OUTCOME_TURNS_MARKS
    ]


def outcome_in_words(summary: SessionSummary) -> str:
    """Returns how a session ended, or that it is damaged; empty if it ended normally."""
    if summary.problem:
        return _DAMAGED
    return "" if summary.outcome == Outcome.ENDED else one_line(summary.outcome, 20)


def length_of(summary: SessionSummary) -> str:
    """Returns the duration of a session, such as "0:01:23"; a dash if it is unknown."""
    return "–" if summary.duration_s is None else str(timedelta(seconds=round(summary.duration_s)))


def _searched(summary: SessionSummary) -> str:
    began = summary.started.astimezone().strftime("%Y-%m-%d %H:%M") if summary.started else ""
    words = (
        began,
        summary.title,
        summary.name,
        summary.target,
        summary.protocol,
        outcome_in_words(summary),
        summary.reason,
    )
    return " ".join(words).casefold()


def _cell(text: str, cells: int) -> str:
    return fit(text, cells - 1) + " "
