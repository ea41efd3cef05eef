"""LogSearch: searches the lines of the event log, then its raw messages, a slice per tick."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from tui.bridge import Bridge
from tui.models.filter.patterns import FilterError
from tui.models.filter.terms import Text
from tui.widgets.event_log import EventLogPane

if TYPE_CHECKING:
    from tui.models.log.search import Found, MatchNumber, RawSearch

SEARCH_BUDGET_MS = 30.0
"""Time per tick for searching lines or raw messages, in ms. Key presses never wait longer than this."""


class LogSearch:
    """A search in the log, and its progress. Call `poll` every tick."""

    def __init__(self, bridge: Bridge, pane: EventLogPane) -> None:
        self._bridge = bridge
        self._pane = pane
        self._lines: Iterator[Found | None] | None = None
        self._count: Iterator[MatchNumber | None] | None = None
        """Counts the matches in slices; None until the first match is found."""
        self._messages: RawSearch | None = None

    @property
    def active(self) -> bool:
        """Whether a search is active. During a search, the key ``n`` goes to the next match."""
        return self._pane.pattern is not None

    def highlight(self, text: str) -> str:
        """Highlights the matches in the lines.

        Returns a sentence if the search text is not valid; otherwise "".
        """
        from tui.models.log.search import search_pattern  # late: the first picture does not need it

        try:
            self._pane.set_pattern(search_pattern(text) if text.strip() else None)
        except FilterError as error:
            return str(error)
        return ""

    def start(self, text: str) -> str:
        """Searches for the text, starting at the cursor.

        Returns a sentence if the search text is not valid; otherwise "".
        """
        problem = self.highlight(text)
        self.stop()
        if not problem:
            self.find()
        return problem

    def find(self, *, forward: bool = True) -> None:
        """Goes to the next or previous match. Raw messages are searched after the lines."""
        pane = self._pane
        if pane.pattern is None:
            return
        from tui.models.log.search import RawSearch, finding

        view, cursor = pane.view, pane.cursor
        self._lines = finding(view, Text(pane.pattern), cursor, forward=forward)
        self._messages = RawSearch(view, pane.pattern, cursor, self._bridge.raw_message, forward=forward)
        self.poll()

    def poll(self) -> None:
        """Continues the search through the lines, and then through the raw messages, by one slice."""
        if self._lines is not None:
            self._search_lines(self._lines)
        if self._lines is None and self._messages is not None:
            self._search_messages(self._messages)
        if self._count is not None:
            self._count_matches(self._count)

    def stop(self) -> None:
        """Stops a search in progress. The matches stay highlighted."""
        self._lines = self._messages = self._count = None

    def end(self) -> None:
        """Ends the search and removes the highlights."""
        self.stop()
        self._pane.set_pattern(None)

    def _search_lines(self, search: Iterator[Found | None]) -> None:
        from tui.models.log.search import placing

        pane, deadline = self._pane, perf_counter() + SEARCH_BUDGET_MS / 1000
        for found in search:
            if found is not None:
                self.stop()
                pane.move_to(found.position, centre=True)
                pane.show_remark("wrapped" if found.wrapped else "")
                if pane.pattern is not None:
                    self._count = placing(pane.view, Text(pane.pattern), found.event)
                return
            if perf_counter() >= deadline:
                pane.show_remark("searching")
                return
        self._lines = None

    def _count_matches(self, count: Iterator[MatchNumber | None]) -> None:
        """Shows the number of the match and of all matches, such as "3 of 17", once they are counted."""
        pane, deadline = self._pane, perf_counter() + SEARCH_BUDGET_MS / 1000
        for place in count:
            if place is not None:
                which = "the only match" if place.of == 1 else f"{place.nth:,} of {place.of:,}"
                pane.show_remark(" · ".join(filter(None, (which, pane.remark))))
            elif perf_counter() >= deadline:
                return
        self._count = None

    def _search_messages(self, search: RawSearch) -> None:
        progress = search.step(SEARCH_BUDGET_MS)
        if not search.done:
            self._pane.show_remark(f"searching the messages, {progress:.0%}")
            return
        self.stop()
        if search.found is None:
            self._pane.show_remark("no match")
        else:
            self._pane.move_to(search.found.position, centre=True)
            self._pane.show_remark("in the message" + (" · wrapped" if search.found.wrapped else ""))
