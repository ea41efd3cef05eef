"""The help screen: the keys of the screen below it, the meaning of every figure, and a search field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static

from tui.models.events import Loss
from tui.models.turns.why import Stage
from tui.screens.actions import APP, LINE_KEYS, Action, ActionArea, bindings, spoken
from tui.screens.session_actions import ACTIONS_BY_ID
from tui.widgets.figures import LOSS_MEANINGS, SIGNS, ShownFigure
from tui.widgets.keys import in_order
from tui.widgets.turn_words import STAGE_GLYPHS
from tui.widgets.writing import TextLine

CLOSING = (
    "You can also use the mouse: click tabs and keys in the footer, double-click rows to open them, and drag the "
    "edges of panes; ^p lists everything else. The talk button records while you hold the mouse button; a key "
    "cannot do this, because terminals do not report key releases."
)
HELP = (
    Action("help_close", "escape,f1", "Close", "Close the help.", "close"),
    Action("help_down", "down,tab", "Down", "Scroll down.", "scroll(1)"),
    Action("help_up", "up,shift+tab", "Up", "Scroll up.", "scroll(-1)"),
    Action("help_page_down", "pagedown", "Page down", "Scroll down by a page.", "page(1)"),
    Action("help_page_up", "pageup", "Page up", "Scroll up by a page.", "page(-1)"),
)
MOVING, FIELD, LIST = "Move", "Field", "List"
"""Headings for keys that move a cursor or scroll, keys that edit a line, and keys of Textual's lists."""
_MOVES = (".up", ".down", ".page_up", ".page_down", ".first", ".last", ".end")
"""Suffixes of the ids of actions that move or scroll."""
_AREAS = {action.id: action.area for action in (*ACTIONS_BY_ID.values(), *APP) if action.area}


class HelpRow(NamedTuple):
    """The keys of an action, or the name of a figure, with an explanation."""

    name: str
    text: str
    applies: bool = True
    """Whether the keys have an effect now."""
    label: str = ""
    """The label in the footer, which is also searched."""


class HelpSection(NamedTuple):
    """A heading, and the help rows below it."""

    title: str
    rows: Sequence[HelpRow]
    note: str = ""
    of_keys: bool = False

    def matching(self, words: Sequence[str]) -> HelpSection:
        """Returns the section with only those rows that, together with the title, contain every word."""
        rows = [
            row
            for row in self.rows
            if all(word in f"{self.title} {row.name} {row.label} {row.text}".casefold() for word in words)
        ]
        return self._replace(rows=rows, note="" if words else self.note)


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """Lists the keys by task, then the figures, below a search field.

    If a key is not available, its row states the reason.
    """

    CSS_PATH = "help.tcss"
    TITLE = "Help"
    AUTO_FOCUS = "#search"
    BINDINGS: ClassVar[list[BindingType]] = bindings(HELP)

    def __init__(
        self,
        active: dict[str, ActiveBinding],
        key_display: dict[str, str],
        why_not: Callable[[ActiveBinding], str] = lambda _: "",
    ) -> None:
        super().__init__()
        self._sections = [*key_sections(active, key_display, why_not), *figure_sections()]
        self._text = Static(help_text(self._sections), id="text", markup=False)
        self._scroll = VerticalScroll(self._text, can_focus=False)

    def compose(self) -> ComposeResult:
        """Yields the search field and the scrolling content."""
        with Vertical(id="help") as box:
            box.border_title = "Help"
            box.border_subtitle = "type to search · ↑ ↓ scroll · esc close"
            yield TextLine(placeholder="Search keys and figures", id="search", compact=True)
            yield self._scroll

    @on(Input.Changed)
    def search(self, event: Input.Changed) -> None:
        """Shows the rows that contain every typed word."""
        self._text.update(help_text(found(self._sections, event.value)))
        self._scroll.scroll_home(animate=False, immediate=True)

    def action_scroll(self, lines: int) -> None:
        """Scrolls down by a number of lines, or up if the number is negative."""
        self._scroll.scroll_relative(y=lines, animate=False, immediate=True)

    def action_page(self, pages: int) -> None:
        """Scrolls down by a number of pages, or up if the number is negative."""
        self._scroll.scroll_relative(
            y=pages * max(self._scroll.size.height - 1, 1), animate=False, immediate=True
        )

    def action_close(self) -> None:
        """Closes the help."""
        self.dismiss()


def found(sections: Sequence[HelpSection], query: str) -> list[HelpSection]:
    """Returns the sections with the rows that match a search.

    If the query is a key, the first section contains the rows of that key.
    """
    wanted = query.strip()
    keyed = [
        row for section in sections if section.of_keys for row in section.rows if wanted in row.name.split()
    ]
    words = wanted.casefold().split()
    matching = [section.matching(words) for section in sections]
    # A single letter occurs in nearly every row, so if it is a key, only that key is meant.
    rest = [] if keyed and len(wanted) == 1 else [section for section in matching if section.rows]
    return [*([HelpSection(f"The key {wanted}", keyed)] if keyed else ()), *rest]


def help_text(sections: Iterable[HelpSection]) -> Group:
    """Formats each section as a heading and a table with two columns."""
    tables = [_table(section) for section in sections]
    return Group(*(tables or ("Nothing found. Try another word, or a key.",)))


def _table(section: HelpSection) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, min_width=10)
    table.add_column(ratio=1)
    table.add_row("", Text(section.title, style="bold underline"))
    for row in section.rows:
        style = "" if row.applies else "dim"
        table.add_row(Text(row.name, style="bold" if row.applies else "dim"), Text(row.text, style=style))
    if section.note:
        table.add_row("", Text(section.note, style="italic"))
    table.add_row("", "")
    return table


def figure_sections() -> list[HelpSection]:
    """Returns explanations of all figures and symbols on the screen."""
    stages = [HelpRow(f"{STAGE_GLYPHS[stage]} {stage}", stage.meaning) for stage in Stage]
    return [
        HelpSection(
            "Figures in the header and the health pane", [HelpRow(f, f.meaning) for f in ShownFigure]
        ),
        HelpSection("What can be lost", [HelpRow(loss.label, LOSS_MEANINGS[loss]) for loss in Loss]),
        HelpSection("Where the time of a turn goes", stages),
        HelpSection("Signs", [HelpRow(sign, meaning) for sign, meaning in SIGNS.items()], CLOSING),
    ]


def key_sections(
    active: dict[str, ActiveBinding], key_display: dict[str, str], why_not: Callable[[ActiveBinding], str]
) -> list[HelpSection]:
    """Returns the keys by task.

    Keys of the focused pane or dialog come first; keys that move a cursor come last.
    """
    sections: dict[str, list[ActiveBinding]] = {}
    notes: dict[str, str] = {}
    for entry in in_order(active.values()):
        if entry.binding.description and not entry.binding.system:
            title = _title_of(entry)
            sections.setdefault(title, []).append(entry)
            if isinstance(entry.node, Widget) and entry.node.HELP:
                notes[title] = entry.node.HELP
    places = [*ActionArea, MOVING, FIELD, LIST]
    return [
        HelpSection(
            title, list(_rows(sections[title], key_display, why_not)), notes.get(title, ""), of_keys=True
        )
        for title in sorted(sections, key=lambda title: places.index(title) if title in places else -1)
    ]


def _title_of(entry: ActiveBinding) -> str:
    name = entry.binding.id or ""
    if area := _AREAS.get(name):
        return area
    return MOVING if name.endswith(_MOVES) else name_of(entry.node)


def name_of(node: DOMNode) -> str:
    """Returns the name of a screen or pane."""
    match node:
        case Screen():
            return node.title or "Here"
        case Input():
            return FIELD
        case OptionList():
            return LIST
    return str(getattr(node, "TITLE", "") or type(node).__name__.removesuffix("Pane"))


def _rows(
    entries: Iterable[ActiveBinding], key_display: dict[str, str], why_not: Callable[[ActiveBinding], str]
) -> Iterator[HelpRow]:
    merged: dict[str, tuple[list[str], bool, str]] = {}
    for entry in entries:
        binding = entry.binding
        text = spoken().get(binding.id or "") or binding.tooltip or binding.description
        if not entry.enabled:
            text += f" (not now: {reason})" if (reason := why_not(entry)) else " (not now)"
        keys, _, _ = merged.setdefault(text, ([], entry.enabled, binding.description))
        shown = key_display[binding.key]
        if shown == LINE_KEYS:
            shown = binding.key
        if shown not in keys:
            keys.append(shown)
    return (HelpRow(" ".join(keys), text, on, label) for text, (keys, on, label) in merged.items())
