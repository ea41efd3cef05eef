"""The help page for filters, generated from the help texts of the filter language."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.models.filter.language import HELP_ABOVE, HELP_BELOW, help_rows
from tui.screens.actions import Action, bindings

FILTER_HELP = (
    Action("filter_help_close", "escape,f1,q", "Close", "Go back to the filter.", "close", key_display="esc"),
)


class FilterHelpScreen(ModalScreen[None], inherit_bindings=False):
    """Shows the help for filters as one scrolling page."""

    CSS_PATH = "filter_help.tcss"
    TITLE = "Filters"
    BINDINGS: ClassVar[list[BindingType]] = bindings(FILTER_HELP)

    def compose(self) -> ComposeResult:
        """Yields the page."""
        with VerticalScroll(id="filter-help") as box:
            box.border_title = "Filters · esc closes"
            yield Static(page(), id="text", markup=False)

    def action_close(self) -> None:
        """Closes the page."""
        self.dismiss()


def page() -> Group:
    """Returns the help for filters, with a table as wide as the window."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for examples, meaning in help_rows():
        table.add_row(Text(examples, "bold"), Text(meaning))
    return Group(Text(f"{HELP_ABOVE}\n"), table, Text(f"\n{HELP_BELOW}"))
