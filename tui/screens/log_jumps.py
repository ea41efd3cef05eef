"""LogJumps: moves the log's cursor to errors, turns, marks, paired events, times and numbers."""

from __future__ import annotations

from tui.bridge import Bridge
from tui.models.filter.terms import Filter
from tui.models.log.pairs import Pairs
from tui.models.log.search import ERRORS, MARKED, at_number, at_time, find, next_turn
from tui.screens.log_search import LogSearch
from tui.widgets.event_log import EventLogPane


class LogJumps:
    """Moves the log's cursor.

    A remark in the log's title says if there is no target, or if the jump wraps around.
    """

    def __init__(self, bridge: Bridge, pane: EventLogPane, search: LogSearch) -> None:
        self._bridge = bridge
        self._pane = pane
        self._search = search
        self._pairs = Pairs(bridge.log, bridge.raw_message)

    def to_error(self) -> None:
        """Goes to the next error."""
        self._jump(ERRORS, "no error")

    def to_mark(self, *, forward: bool = True) -> None:
        """Goes to the next mark, or to the previous one if not ``forward``."""
        self._jump(MARKED, "no mark", forward=forward)

    def to_turn(self, *, forward: bool = True) -> None:
        """Goes to the next turn, or to the previous one if not ``forward``."""
        pane = self._pane
        if not len(pane.view):
            return
        target = next_turn(pane.view, pane.cursor, forward=forward)
        if target is None:
            pane.show_remark("no later turn" if forward else "no earlier turn")
        else:
            pane.move_to(target, centre=True)
            pane.show_remark(f"turn {self._bridge.log.turns.turn_of(pane.view.line(pane.cursor).first)}")

    def to_pair(self) -> None:
        """Goes to the event that is paired with the one under the cursor.

        Pairs are, for example, a tool call and its result, or a start and its stop.
        """
        line = self._pane.line
        if line is None:
            return
        partner = self._pairs.partner(self._bridge.log.events.numbers[line.event])
        if partner is None:
            self._pane.show_remark("no matching event")
        else:
            self.to_event(partner)

    def to_event(self, number: int) -> None:
        """Goes to an event's line, or to the nearest line if the filter hides it."""
        pane, row = self._pane, self._bridge.log.row_of(number)
        if row is None:
            return
        shown = pane.view.shows(row)
        position = pane.view.position_of_event(number) if shown else None
        pane.move_to(pane.view.position_of(row) if position is None else position, centre=True)
        pane.show_remark("" if shown else f"event {number:,} is hidden by the filter")

    def to_place(self, text: str) -> str:
        """Goes to a time since the session's start, or to the event with a given number.

        Returns a sentence if the input is not valid; otherwise "".
        """
        view = self._pane.view
        if not text or not len(view):
            return ""
        try:
            if text.startswith("#"):
                target = at_number(view, int(text[1:]))
            else:
                minutes, _, seconds = text.rpartition(":")
                target = at_time(view, float(seconds) + 60 * (int(minutes) if minutes else 0))
        except (ValueError, OverflowError):
            return "Enter seconds (12.5), minutes and seconds (1:30), or # and an event number (#123)."
        self._pane.move_to(target, centre=True)
        return ""

    def _jump(self, wanted: Filter, nothing: str, *, forward: bool = True) -> None:
        pane = self._pane
        self._search.stop()
        found = find(pane.view, wanted, pane.cursor, forward=forward)
        if found is None:
            pane.show_remark(nothing)
        else:
            pane.move_to(found.position, centre=True)
            pane.show_remark("wrapped" if found.wrapped else "")
