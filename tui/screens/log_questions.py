"""LogQuestions: the one-line prompts of the event log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui.bridge import Bridge
from tui.models.filter.completion import completions
from tui.models.filter.language import parse
from tui.models.filter.patterns import FilterError
from tui.models.filter.terms import Filter
from tui.models.log.view import ViewLine
from tui.screens.log_jumps import LogJumps
from tui.screens.log_search import LogSearch
from tui.widgets.event_log import EventLogPane
from tui.widgets.question import Question

if TYPE_CHECKING:
    from tui.widgets.prompt import PromptLine


_MOST_PATHS = 50


def _paths(text: str) -> Iterable[str]:
    """Returns the folders and scenario files with which a typed path can be completed."""
    typed = Path(text).expanduser()
    folder, start = (typed, "") if text.endswith("/") or not text else (typed.parent, typed.name)
    try:
        found = sorted(path for path in folder.iterdir() if path.name.startswith(start))
    except OSError:
        return []
    return [
        f"{path}/" if path.is_dir() else str(path)
        for path in found
        if path.is_dir() or path.name.endswith(".call.toml")
    ][:_MOST_PATHS]


class LogQuestions:
    """Prompts for a filter, a search text, a place, a note or a path, one at a time.

    All prompts use one input line, which is added to the log's screen on first use.
    """

    def __init__(self, bridge: Bridge, pane: EventLogPane, search: LogSearch, jumps: LogJumps) -> None:
        self._bridge = bridge
        self._pane = pane
        self._search = search
        self._jumps = jumps

    @cached_property
    def prompt(self) -> PromptLine:
        """The input line, created on first use.

        Many sessions never need the line, and creating it would delay the first paint.
        """
        from tui.widgets.prompt import PromptLine

        return PromptLine(id="prompt")

    async def ask_filter(self) -> None:
        """Asks which events to show, and filters the log as the user types."""
        before, anchor = self._pane.view.filter, self._pane.place
        # The result of a half-typed filter must not move the cursor.
        filter_ = partial(self.set_filter, anchor=anchor)
        question = Question(
            "Filter",
            "kind:chunk size > 2k · tab complete · F1 help",
            filter_,
            filter_,
            partial(self._apply, before, anchor),
            lambda text: completions(text, self._bridge.log.kinds()),
            self.explain_filters,
        )
        await self.ask(question, str(before))

    def clear_filter(self) -> None:
        """Shows every event."""
        self.set_filter("", self._pane.place)

    def explain_filters(self) -> None:
        """Shows the page that explains filters."""
        from tui.screens.filter_help import FilterHelpScreen

        self._pane.app.push_screen(FilterHelpScreen())

    async def ask_search(self) -> None:
        """Asks for a search text, and highlights matches as the user types."""
        self._search.stop()
        question = Question(
            "Search",
            'words, "words" or /regex/ · enter searches, n next, N previous, empty clears',
            self._search.start,
            self._search.highlight,
            partial(self._pane.set_pattern, self._pane.pattern),
        )
        await self.ask(question)

    async def ask_place(self) -> None:
        """Asks for a time or an event number to go to."""
        hint = "12.5 or 1:30 from the start, or #123 for an event"
        await self.ask(Question("Go to", hint, self._jumps.to_place))

    async def ask_note(self) -> None:
        """Asks for a note on the event under the cursor."""
        line, view = self._pane.line, self._pane.view
        if line is None:
            return
        self._pane.hold()
        before = view.marks.notes.get(view.number(line), "")
        hint = f"on event #{view.number(line):,} · enter saves, empty deletes"
        question = Question("Note", hint, partial(self._note, line))
        await self.ask(question, before)

    async def ask_path(self, label: str, hint: str, entered: Callable[[str], str], value: str = "") -> None:
        """Asks for a file.

        ``entered`` takes the answer; it returns a sentence if the answer is not valid, otherwise "".
        """
        await self.ask(Question(label, hint, entered, complete=_paths), value)

    async def ask(self, question: Question, value: str = "") -> None:
        """Opens the input line with a question and an initial value."""
        if not self._pane.is_attached:
            return  # the key was pressed before there was a screen
        if not self.prompt.is_attached:
            await self._pane.screen.mount(self.prompt)
        self.prompt.ask(question, value)

    def set_filter(self, text: str, anchor: ViewLine | None = None) -> str:
        """Shows only the events that match the filter ``text``.

        Returns a sentence if the filter is not valid; otherwise "". The cursor moves to ``anchor`` or near
        it; without an anchor, the cursor stays in place.
        """
        try:
            self._apply(parse(text), anchor)
        except FilterError as error:
            return str(error)
        return ""

    def _apply(self, wanted: Filter, anchor: ViewLine | None) -> None:
        if wanted != self._pane.view.filter:
            self._pane.set_filter(wanted, anchor)

    def _note(self, line: ViewLine, text: str) -> str:
        if line.event < len(self._bridge.log.events):
            self._pane.annotate(line, text)
        return ""
