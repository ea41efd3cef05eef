"""TurnsPane: shows a verdict, and one row per turn with its response time and a breakdown."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.message import Message

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import Condition, Status
from tui.models.turns.figures import Figure, Thresholds, graded, response_of, silence_of, worst_of
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import BargeIn, Turn
from tui.models.turns.why import shares_of, verdict
from tui.text.visible import one_line
from tui.widgets.cursor import own_key
from tui.widgets.graded_rows import GradedRows
from tui.widgets.hints import nothing_shown
from tui.widgets.lines import Piece
from tui.widgets.turn_words import (
    VITAL_PIECES,
    axis_of,
    bar_of,
    causes_of,
    counted,
    sparkline_of,
    turn_in_full,
)
from tui.widgets.wrap import fit, wrap

_LEAST_BAR_CELLS, _MOST_BAR_CELLS = 8, 40
_NUMBER_CELLS, _FIGURE_CELLS = 4, 8
_HEAD_CELLS = _NUMBER_CELLS + _FIGURE_CELLS + 4
_LEAST_LINES = 3
"""Minimum number of lines that the verdict leaves for the rows and the foot."""
_MOST_KEYS = 20
_LEAST_QUOTED = 10
_MOST_SPARKS = 24


class TurnsPane(GradedRows):
    """Draws the turns in `SessionMetrics.turns`."""

    TITLE = "Turns"
    vital_pieces = VITAL_PIECES
    HELP = (
        "response time (✓ good, ~ slow, ✗ bad, ? uncertain, … waiting); a bar of its parts (┊ marks the thresholds): "
        "· capture ░ network ▞ end of speech ▤ reported steps ▚ tools █ agent or unexplained ▒ buffer ▓ speaker "
        "_ leading silence; the reason. Below: the selected turn. Enter opens it; P plots the response times."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        own_key("enter", "open_turn", "Open turn", "Open the turn to see where its time went.", "turns.open"),
        own_key("P", "plot", "Plot", "Plot the response times.", "turns.plot"),
    ]
    FOOTER: ClassVar[Sequence[str]] = ("turns.open", "turns.plot", "note", "follow")

    class Opened(Message):
        """Requests that a turn be shown in full."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class PlotWanted(Message):
        """Requests the chart of response times."""

    def __init__(self, bridge: Bridge, thresholds: Thresholds, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(bridge, thresholds, id=id)
        self._placed = False
        """Whether the cursor has been placed on the slowest turn of a saved session."""
        self._verdict: tuple[Hashable, str] = (None, "")
        """The values from which the verdict was made, and the verdict."""
        self._full_ms = 0.0
        """Length of a full bar in ms: the response time of the slowest turn shown."""

    def listen(self) -> Iterable[Registration]:
        """Subscribes to changes of the status and of turns, which are less frequent than changes of other figures."""
        yield from super().listen()
        yield self.bridge.state.add_turns_update_callback(self.changed)

    @property
    def turns(self) -> list[Turn]:
        """The turns of the session."""
        return self.bridge.state.metrics.turns

    def title_parts(self) -> list[str]:
        """Returns the number of turns, a sparkline of the response times, and the percentiles."""
        count = sum(turn.number > 0 for turn in self.turns)
        counted = [f"{count:,}"] if count or not self.turns else ["greeting"]
        metrics = self.bridge.state.metrics
        figures = _percentiles(metrics, self.thresholds)
        others = sum(cell_len(part) + 3 for part in (self.TITLE, *counted, *figures))
        room = min(max(self.title_room - others, _LEAST_BAR_CELLS), _MOST_SPARKS)
        sparks = sparkline_of(metrics.response_latencies_ms[-room:])
        # The reason is shown once for all rows, which show only the ±.
        note = [one_line(metrics.timing.problem, 120)] if metrics.timing and metrics.timing.problem else []
        return [self.TITLE, *counted, *([sparks] if sparks else []), *figures, *note]

    def go_to_turn(self, number: int) -> None:
        """Moves the cursor to the turn with this number."""
        index = next((i for i, turn in enumerate(self.turns) if turn.number == number), None)
        if index is not None:
            self.move_to(index)

    def refresh_from_model(self) -> None:
        """Updates the rows. In a saved session, first places the cursor on the slowest turn."""
        super().refresh_from_model()
        if not self._placed and not self.bridge.grows and self.bridge.state.status is Status.ENDED:
            self._placed = True
            measured = [turn for turn in self.turns if turn.number and turn.response_ms is not None]
            if measured:
                self.go_to_turn(max(measured, key=lambda turn: turn.response_ms or 0.0).number)

    def count(self) -> int:
        """Returns the number of turns."""
        return len(self.turns)

    def event_of(self, index: int) -> int:
        """Returns the number of the event with which a turn begins."""
        return self.turns[index].first_event

    def heads(self, width: int, height: int) -> Sequence[Sequence[Piece]]:
        """Returns the verdict, if there is room, and the axis of the bars."""
        said = self._said()
        sentences = [[(line, "rows--heading")] for line in wrap(said, max(width, 1))] if said else []
        axis = [[(self._axis(width), "rows--muted")]]
        room = height - max(_LEAST_LINES, self.least_lines)
        # If space is limited, the axis is omitted first and then the end of the verdict, so that the rows and
        # the reason remain.
        if len(sentences) + len(axis) <= room or not sentences:
            return [*sentences, *axis][: max(room, 0)]
        if len(sentences) > room > 0:
            cut = fit(" ".join(wrap(said, max(width, 1))[room - 1 :]), width)
            return [*sentences[: room - 1], [(cut, "rows--heading")]]
        return sentences[: max(room, 0)]

    def _said(self) -> str:
        """Returns the verdict on the session, from a cache if possible.

        Only the latest turns are compared with the cache, because earlier turns never change.
        """
        newest = [
            (turn.response_ms, turn.unexplained_ms, turn.unmeasured, turn.doubt) for turn in self.turns[-3:]
        ]
        key = len(self.turns), tuple(newest)
        if self._verdict[0] != key:
            self._verdict = key, verdict(self.bridge.state.metrics, self.thresholds)
        return self._verdict[1]

    def _axis(self, width: int) -> str:
        cells = _bar_cells(width)
        start = " turn response  "
        good_ms, slow_ms = self.thresholds.good_ms, self.thresholds.slow_ms
        axis = axis_of(self._full_ms, cells, self.thresholds) if self._full_ms else " " * cells
        return fit(f"{start}{axis} ┬ {good_ms:g}, {slow_ms:g} ms", width)

    def lay_out(self) -> None:
        """Lays out the pane, and scales the bars to the slowest turn."""
        top = self.scroll_offset.y
        shown = self.turns[top : top + self._view.height]
        worst_ms = max((turn.response_ms or 0.0 for turn in shown), default=0.0)
        self._full_ms = max(worst_ms, self.thresholds.good_ms) if worst_ms else 0.0
        super().lay_out()

    def why_empty(self) -> str:
        """Returns the text for an empty pane."""
        return nothing_shown(
            self.bridge.state, "No turns", "A turn starts when you speak or when the agent greets you."
        )

    def poll(self) -> None:
        """Updates the time for which the user has been waiting, because time passes without events."""
        if self.turns and self._waiting(self.turns[-1]):
            self.refresh_changed()

    def row_key(self, index: int) -> Hashable:
        """Returns the cache key of a row: the parts of the turn that are drawn."""
        turn = self.turns[index]
        seen = (
            turn.response_ms,
            turn.within_ms,
            turn.unexplained_ms,
            turn.tools_ms,
            turn.unmeasured or self._waiting(turn),
            turn.doubt,
            self._full_ms,
        )
        texts = turn.user_text, turn.agent_text, turn.keys, len(turn.tools), turn.interrupted
        return turn.number, seen, texts, len(self._barge_ins(turn))

    def row(self, index: int, width: int) -> Sequence[Piece]:
        """Returns the columns of a turn: its number, its response time, a bar, and facts in words."""
        turn = self.turns[index]
        figure = response_of(turn, self.thresholds)
        look = f"rows--{figure.grade}" if figure.grade else "rows--plain"
        head = [
            (f"{turn.number:>{_NUMBER_CELLS}} ", "rows--muted"),
            (f"{figure.short:>{_FIGURE_CELLS}} {figure.glyph} ", look),
        ]
        if figure.ms is None:
            reason = one_line(turn.unmeasured, 200) or f"… {self._waiting(turn)}"
            return [*head, (fit(reason, max(width - _HEAD_CELLS, 0)), "rows--slow")]
        cells = _bar_cells(width)
        taken = _HEAD_CELLS + cells + max(cell_len(figure.short) - _FIGURE_CELLS, 0)
        return [
            *head,
            (bar_of(shares_of(turn), self._full_ms, cells, self.thresholds), "rows--bar"),
            (_whole(self._words(turn, figure), max(width - taken, 0)), "rows--muted"),
        ]

    def in_full(self, index: int) -> Sequence[Piece]:
        """Returns all figures of a turn, most important first."""
        turn = self.turns[index]
        figure = response_of(turn, self.thresholds)
        return turn_in_full(turn, figure, self._barge_ins(turn), self._waiting(turn))

    def action_open_turn(self) -> None:
        """Requests that the turn under the cursor be shown in full."""
        if self.cursor < self.count():
            self.post_message(self.Opened(self.turns[self.cursor].number))

    def action_plot(self) -> None:
        """Requests the chart of response times."""
        if any(turn.number and turn.response_ms is not None for turn in self.turns):
            self.post_message(self.PlotWanted())
        else:
            self.notify("No response time has been measured yet.", markup=False)

    def line_clicked(self, index: int, event: events.Click) -> None:
        """Moves the cursor to the clicked turn. A double click opens the turn."""
        self.move_to(index)
        if event.chain > 1:
            self.action_open_turn()

    def _waiting(self, turn: Turn) -> str:
        """Returns how long the user has been waiting for an answer; empty if the user is not waiting."""
        state = self.bridge.state
        if turn is not self.turns[-1] or state.status is not Status.ACTIVE:
            return ""
        waited_ms = turn.waited_ms(self.bridge.clock_ns())
        if waited_ms is None or waited_ms < 0:
            return ""
        given_up = ("playback", Condition.NOT_ANSWERED) in state.conditions
        return f"{waited_ms / 1000:.1f} s{', not answered' if given_up else ''}"

    def _barge_ins(self, turn: Turn) -> list[BargeIn]:
        # Turns are in order, and only the latest ones change.
        found = []
        for barge_in in reversed(self.bridge.state.metrics.barge_ins):
            if barge_in.turn < turn.number:
                break
            if barge_in.turn == turn.number:
                found.append(barge_in)
        return found[::-1]

    def _words(self, turn: Turn, figure: Figure) -> list[str]:
        """Returns facts about a turn, most important first.

        For a slow turn, the first facts are the stages that took most of the time.
        """
        words = ["greeting"] if turn.number == 0 else []
        words += causes_of(turn) if figure.grade != "good" else []
        words += counted(
            f"barge-in {barge_in.kind} {silence_of(barge_in)}" for barge_in in self._barge_ins(turn)
        )
        words += [f"keys {one_line(turn.keys, _MOST_KEYS)}"] if turn.keys else []
        words += ["cut off"] if turn.interrupted else []
        words += [f"[{one_line(name, 40)}]" for name in turn.tools]
        words += [one_line(turn.doubt, 200)] if turn.doubt else []
        words += [f"“{one_line(turn.user_text or turn.agent_text, 200)}”"]
        return [word for word in words if word != "“”"]


def _bar_cells(width: int) -> int:
    return min(max((width - _HEAD_CELLS) // 3, _LEAST_BAR_CELLS), _MOST_BAR_CELLS)


def _whole(words: Sequence[str], cells: int) -> str:
    """Joins as many facts as fit, in order.

    Only the first fact or a quotation may be cut; other facts are shown completely or left out.
    """
    line = ""
    for word in words:
        longer = f"{line} · {word}" if line else f" {word}"
        room = cells - cell_len(line) - (3 if line else 1)
        if cell_len(longer) <= cells:
            line = longer
        elif not line or (word.startswith("“") and room >= _LEAST_QUOTED):
            line = longer
            break
    return fit(line, cells)


def _percentiles(metrics: SessionMetrics, judge: Thresholds) -> list[str]:
    """Returns the worst response time, and then the percentiles."""
    of = metrics.percentiles()
    named = {"worst": worst_of(metrics.turns, judge)}
    named |= {
        name: graded(ms, judge, metrics.timing) for name, ms in (("p95", of.p95_ms), ("p50", of.p50_ms))
    }
    return [
        f"{name} {figure.short} {figure.glyph}" for name, figure in named.items() if figure.ms is not None
    ]
