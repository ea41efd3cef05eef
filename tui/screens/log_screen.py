"""LogScreen: what can be done with the event log: filter, search, marks, notes, jumps, runs, export."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from textual.screen import Screen

from tui.bridge import Bridge
from tui.models.filter.completion import completions
from tui.models.filter.language import parse
from tui.models.filter.patterns import FilterError
from tui.models.filter.terms import Filter, Text
from tui.models.log.pairs import Pairs
from tui.models.log.search import (
    ERRORS,
    MARKED,
    Found,
    MatchNumber,
    RawSearch,
    at_number,
    at_time,
    find,
    finding,
    next_turn,
    placing,
    search_pattern,
)
from tui.models.log.view import ViewLine
from tui.screens.styled_once import StyledOnce
from tui.widgets.event_log import EventLogPane
from tui.widgets.question import Question

if TYPE_CHECKING:
    from tui.widgets.prompt import PromptLine

SEARCH_BUDGET_MS = 30.0
"""Of a tick, for searching in lines or raw messages: a key waits for no more."""


class LogScreen(StyledOnce, Screen[None]):
    """The log's part of the session screen."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge = bridge
        self.log_pane = EventLogPane(bridge, id="log")
        self._pairs = Pairs(bridge.log, bridge.raw_message)
        self._line_search: Iterator[Found | None] | None = None
        self._count: Iterator[MatchNumber | None] | None = None
        """Of the matches, after one was found."""
        self._raw_search: RawSearch | None = None

    @property
    def searching(self) -> bool:
        """Whether something is searched for, and ``n`` finds the next."""
        return self.log_pane.pattern is not None

    def offer_actions(self) -> None:
        """Have footer and help show what applies now, if that has changed."""
        raise NotImplementedError

    @cached_property
    def prompt(self) -> PromptLine:
        """Where it asks. Many sessions never do: loaded from the start it would delay the first picture."""
        from tui.widgets.prompt import PromptLine

        return PromptLine(id="prompt")

    async def _ask(self, question: Question, value: str = "") -> None:
        if not self.is_attached:
            return  # typed before there is a screen
        if not self.prompt.is_attached:
            await self.mount(self.prompt)
        self.prompt.ask(question, value)

    # filter

    async def action_filter_log(self) -> None:
        """Show only some events."""
        before, anchor = self.log_pane.view.filter, self.log_pane.place
        # What is shown while it is half written has nothing to say about where the reader was.
        filter_ = partial(self._filter, anchor=anchor)
        question = Question(
            "Filter",
            "kind:chunk size > 2k · tab: kinds seen · F1 explains",
            filter_,
            filter_,
            partial(self._restore_filter, before, anchor),
            lambda text: completions(text, self.bridge.log.kinds()),
            self.action_filter_help,
        )
        await self._ask(question, str(before))

    def _filter(self, text: str, anchor: ViewLine | None = None) -> str:
        try:
            wanted = parse(text)
        except FilterError as error:
            return str(error)
        if wanted != self.log_pane.view.filter:
            self.log_pane.set_filter(wanted, anchor)
            self.offer_actions()
        return ""

    def action_show_all(self) -> None:
        """No longer filter."""
        self._filter("", self.log_pane.place)

    def _restore_filter(self, before: Filter, anchor: ViewLine | None) -> None:
        if before != self.log_pane.view.filter:
            self.log_pane.set_filter(before, anchor)
            self.offer_actions()

    def action_filter_help(self) -> None:
        """The page that explains filters."""
        from tui.screens.filter_help import FilterHelpScreen

        self.app.push_screen(FilterHelpScreen())

    # search

    async def action_search_log(self) -> None:
        """Search."""
        self._stop_searching()
        pane = self.log_pane
        question = Question(
            "Search",
            'words, "words" or /regex/ · enter finds, n and N go on, empty ends',
            self._search,
            self._highlight,
            partial(pane.set_pattern, pane.pattern),
        )
        await self._ask(question)

    def _highlight(self, text: str) -> str:
        try:
            self.log_pane.set_pattern(search_pattern(text) if text.strip() else None)
        except FilterError as error:
            return str(error)
        return ""

    def _search(self, text: str) -> str:
        problem = self._highlight(text)
        self._stop_searching()
        if not problem and self.searching:
            self.action_find_next("n")
        self.offer_actions()
        return problem

    def action_find_next(self, key: str) -> None:
        """The next match, or with ``N`` the one before; what is in no line is looked for in the messages."""
        pane, forward = self.log_pane, key == "n"
        if pane.pattern is None:
            return
        view, cursor = pane.view, pane.cursor
        self._line_search = finding(view, Text(pane.pattern), cursor, forward=forward)
        self._raw_search = RawSearch(view, pane.pattern, cursor, self.bridge.raw_message, forward=forward)
        self.search_on()

    def poll_log(self) -> None:
        """Filter and search on, a slice at each tick."""
        self.log_pane.judge_on()
        self.search_on()

    def search_on(self) -> None:
        """Search on in the lines and then in the raw messages, a slice at each tick."""
        if self._line_search is not None:
            self._search_lines(self._line_search)
        if self._line_search is None and self._raw_search is not None:
            self._search_messages(self._raw_search)
        if self._count is not None:
            self._count_matches(self._count)

    def _search_lines(self, search: Iterator[Found | None]) -> None:
        pane, deadline = self.log_pane, perf_counter() + SEARCH_BUDGET_MS / 1000
        for found in search:
            if found is not None:
                self._stop_searching()
                pane.move_to(found.position, centre=True)
                pane.say("wrapped" if found.wrapped else "")
                if pane.pattern is not None:
                    self._count = placing(pane.view, Text(pane.pattern), found.event)
                return
            if perf_counter() >= deadline:
                pane.say("searching")
                return
        self._line_search = None

    def _count_matches(self, count: Iterator[MatchNumber | None]) -> None:
        """Say beside what was found which of how many it is, as soon as that is known."""
        pane, deadline = self.log_pane, perf_counter() + SEARCH_BUDGET_MS / 1000
        for place in count:
            if place is not None:
                which = "the only match" if place.of == 1 else f"{place.nth:,} of {place.of:,}"
                pane.say(" · ".join(filter(None, (which, pane.remark))))
            elif perf_counter() >= deadline:
                return
        self._count = None

    def _search_messages(self, search: RawSearch) -> None:
        progress = search.step(SEARCH_BUDGET_MS)
        if not search.done:
            self.log_pane.say(f"searching the messages, {progress:.0%}")
            return
        self._stop_searching()
        if search.found is None:
            self.log_pane.say("no match")
        else:
            self.log_pane.move_to(search.found.position, centre=True)
            self.log_pane.say("in the message" + (" · wrapped" if search.found.wrapped else ""))

    def end_search(self) -> None:
        """Search for nothing any more."""
        self._stop_searching()
        self.log_pane.set_pattern(None)

    def _stop_searching(self) -> None:
        self._line_search = self._raw_search = self._count = None

    # jumps

    def _jump(self, wanted: Filter, *, forward: bool, what: str) -> bool:
        """To the next match; ``what`` there is none of. Says so, and whether it wrapped."""
        pane = self.log_pane
        self._stop_searching()
        found = find(pane.view, wanted, pane.cursor, forward=forward)
        if found is not None:
            pane.move_to(found.position, centre=True)
        pane.say(f"no {what}" if found is None and what else "wrapped" if found and found.wrapped else "")
        return found is not None

    def action_jump(self, what: str, forward: bool = True) -> None:
        """To the next error, or to a turn."""
        pane = self.log_pane
        if what == "error":
            self._jump(ERRORS, forward=forward, what="error")
        elif len(pane.view):
            target = next_turn(pane.view, pane.cursor, forward=forward)
            if target is None:
                pane.say("no turn after this" if forward else "no turn before this")
            else:
                pane.move_to(target, centre=True)
                turn = self.bridge.log.turns.turn_of(pane.view.line(pane.cursor).first)
                pane.say(f"turn {turn}")

    def action_jump_mark(self, forward: bool = True) -> None:
        """To the next mark."""
        self._jump(MARKED, forward=forward, what="mark")

    async def action_go_to(self) -> None:
        """To a time or a number."""
        hint = "12.5 or 1:30 since the session's start, or #123 for an event"
        await self._ask(Question("Go to", hint, self._go_to))

    def _go_to(self, text: str) -> str:
        view = self.log_pane.view
        if not text or not len(view):
            return ""
        try:
            if text.startswith("#"):
                target = at_number(view, int(text[1:]))
            else:
                minutes, _, seconds = text.rpartition(":")
                target = at_time(view, float(seconds) + 60 * (int(minutes) if minutes else 0))
        except (ValueError, OverflowError):
            return "Write seconds (12.5), minutes and seconds (1:30), or # and an event's number (#123)."
        self.log_pane.move_to(target, centre=True)
        return ""

    def action_pair(self) -> None:
        """To what belongs to this event."""
        pane, line = self.log_pane, self.log_pane.line
        if line is None:
            return
        partner = self._pairs.partner(self.bridge.log.events.numbers[line.event])
        if partner is None:
            pane.say("nothing belongs to this event")
        else:
            self.show_event(partner)

    def show_event(self, number: int) -> None:
        """Put the cursor on an event's line, or on the nearest one, and say what hides it."""
        view, row = self.log_pane.view, self.bridge.log.row_of(number)
        if row is None:
            return
        shown = view.shows(row)
        position = view.position_of_event(number) if shown else None
        self.log_pane.move_to(view.position_of(row) if position is None else position, centre=True)
        self.log_pane.say("" if shown else f"event {number:,} is hidden by the filter")

    # marks, notes, runs, times

    def action_mark(self) -> None:
        """Mark, or no longer."""
        self.log_pane.toggle_mark()
        self.offer_actions()

    async def action_note(self) -> None:
        """Write a note on the event."""
        line, view = self.log_pane.line, self.log_pane.view
        if line is None:
            return
        self.log_pane.hold()
        before = view.marks.notes.get(view.number(line), "")
        await self._ask(
            Question("Note", "enter keeps it, empty takes it away", partial(self._note, line)), before
        )

    def _note(self, line: ViewLine, text: str) -> str:
        if line.event < len(self.bridge.log.events):
            self.log_pane.annotate(line, text)
        return ""

    def action_run(self, open_: bool) -> None:
        """Open or close a run."""
        self.log_pane.open_run(open_=open_)

    def action_times(self) -> None:
        """Times of day, or since the start."""
        self.log_pane.toggle_times()

    # export

    def action_export(self) -> None:
        """Choose what, and where to."""
        from tui.screens.export import ExportScreen

        self.app.push_screen(ExportScreen(self.bridge, self.log_pane.view, Path.cwd()))
