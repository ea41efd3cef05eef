"""The page that explains filters, made from what the language says of itself."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.models.filter.language import help_text
from tui.screens.actions import Action, bindings

FILTER_HELP = (
    Action("filter_help_close", "escape,f1,q", "Close", "Back to the filter.", "close", key_display="esc"),
)


class FilterHelpScreen(ModalScreen[None], inherit_bindings=False):
    """One scrolling text."""

    CSS_PATH = "filter_help.tcss"
    TITLE = "Filters"
    BINDINGS: ClassVar[list[BindingType]] = bindings(FILTER_HELP)

    def compose(self) -> ComposeResult:
        """The page as it is written, without the table's frame."""
        with VerticalScroll(id="filter-help") as box:
            box.border_title = "Filters · esc closes"
            yield Static(page(), id="text", markup=False)

    def action_close(self) -> None:
        """Done."""
        self.dismiss()


def page() -> Group:
    """The help text; its table as one that fits the window."""
    above: list[str] = []
    below: list[str] = []
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for line in help_text().splitlines():
        if line.startswith("|"):
            cells = [Text(cell.strip()) for cell in line.strip("|").split("|")]
            if len(cells) == 2 and not line.startswith("|--"):
                cells[0].stylize("bold")
                table.add_row(*cells)
        else:
            (below if table.row_count else above).append(line)
    return Group(_paragraphs(above), table, _paragraphs(below))


def _paragraphs(lines: list[str]) -> Text:
    """Broken where the window ends, not where the source does; what is indented stays as it is."""
    return Text(re.sub(r"(?<=\S)\n(?=\S)", " ", "\n".join(lines)))
