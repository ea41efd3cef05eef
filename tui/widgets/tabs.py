"""PaneTabs: one line with the names and keys of the panes. Clicking a name presses its key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static


class Tab(NamedTuple):
    """One pane in the tab line."""

    name: str
    key: str
    title: str


class PaneTabs(Static):
    """Shows the panes as tabs. ▪ marks visible panes, and ▸ marks the focused pane."""

    DEFAULT_CSS = """
    PaneTabs { height: 1; width: 1fr; background: $surface; text-wrap: nowrap; }
    """

    class Chosen(Message):
        """Requests that a pane be shown and focused."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(markup=False, id=id)
        self._tabs: Sequence[Tab] = ()
        self._shown: Collection[str] = ()
        self._focused = ""
        self._places: list[tuple[range, str]] = []

    def show_tabs(self, tabs: Sequence[Tab], shown: Collection[str], focused: str) -> None:
        """Sets the tabs, and which of their panes are visible and focused."""
        if (tabs, shown, focused) != (self._tabs, self._shown, self._focused):
            self._tabs, self._shown, self._focused = tabs, shown, focused
            self._draw()

    def on_resize(self) -> None:
        """Redraws the tabs for the new width."""
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Requests that the pane whose tab was clicked be shown and focused."""
        name = next((name for place, name in self._places if event.x in place), None)
        if name is not None:
            self.post_message(self.Chosen(name))

    def _draw(self) -> None:
        tabs = fitted(self._tabs, self.size.width)
        self._places, parts, start = [], [], 0
        for tab in tabs:
            parts += self._parts(tab)
            self._places.append((range(start, start + _cells(tab)), tab.name))
            start += _cells(tab)
        self.update(Content.assemble(*parts), layout=False)

    def _parts(self, tab: Tab) -> list[tuple[str, str]]:
        if tab.name == self._focused:
            return [(f"▸{tab.key} {tab.title}", "bold $block-cursor-foreground on $block-cursor-background")]
        seen = tab.name in self._shown
        return [
            ("▪" if seen else " ", "$primary"),
            (tab.key, "bold $footer-key-foreground"),
            (f" {tab.title}", "bold $foreground" if seen else "$foreground-muted"),
        ]


def fitted(tabs: Sequence[Tab], width: int) -> list[Tab]:
    """Returns the tabs, with titles shortened so that all of them fit the line."""
    roomy = [tab._replace(title=f"{tab.title} ") for tab in tabs]
    if sum(map(_cells, roomy)) - 1 <= width:
        return roomy
    lengths = [len(tab.title) for tab in tabs]
    while any(lengths):
        short = [
            tab._replace(title=_shortened(tab.title, length))
            for tab, length in zip(tabs, lengths, strict=True)
        ]
        if sum(map(_cells, short)) <= width:
            return short
        lengths[lengths.index(max(lengths))] -= 1
    return [tab._replace(title="") for tab in tabs]


def _shortened(title: str, length: int) -> str:
    return title if len(title) <= length else f"{title[: length - 1]}."


def _cells(tab: Tab) -> int:
    return cell_len(tab.key) + cell_len(tab.title) + 2
