"""The help screen: made from the bindings that are active where it was opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.actions import LINE_KEYS, Action, bindings, spoken
from tui.widgets.keys import in_order

CLOSING = (
    "Everything also works with the mouse: tabs, rows (double-click to open), pane edges, the footer's keys, and ^p "
    "for the rest. The talk button records while you hold the mouse button; a key cannot do this, because terminals "
    "do not report key releases."
)
HELP = (Action("help_close", "escape,q,question_mark", "Close", "Close the help.", "close"),)


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """Lists keys, what they do, and why some of them do nothing just now."""

    CSS_PATH = "help.tcss"
    TITLE = "Help"
    BINDINGS: ClassVar[list[BindingType]] = bindings(HELP)

    def __init__(
        self,
        active: dict[str, ActiveBinding],
        key_display: dict[str, str],
        why_not: Callable[[ActiveBinding], str] = lambda _: "",
    ) -> None:
        super().__init__()
        self._why_not = why_not
        self._active = active
        self._key_display = key_display

    def compose(self) -> ComposeResult:
        """Yields one scrolling text."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Help · esc closes"
            yield Static(help_table(self._active, self._key_display, self._why_not), id="text", markup=False)

    def action_close(self) -> None:
        """Close the help."""
        self.dismiss()


def help_table(
    active: dict[str, ActiveBinding], key_display: dict[str, str], why_not: Callable[[ActiveBinding], str]
) -> Table:
    """Returns bindings grouped by where they are bound, nearest first; one row per action."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, min_width=10)
    table.add_column(ratio=1)
    for number, (owner, entries) in enumerate(_by_owner(active.values()).items()):
        if number:
            table.add_row("", "")
        table.add_row("", Text(owner, style="bold"))
        for keys, text, enabled in _merged(entries, key_display, why_not):
            style = "" if enabled else "dim"
            table.add_row(Text(keys, style="bold" if enabled else "dim"), Text(text, style=style))
        if help_text := entries[0].node.HELP if isinstance(entries[0].node, Widget) else None:
            table.add_row("", Text(help_text, style="italic"))
    table.add_row("", "")
    table.add_row("", Text(CLOSING, style="dim"))
    return table


def _by_owner(active: Iterable[ActiveBinding]) -> dict[str, list[ActiveBinding]]:
    owners: dict[str, list[ActiveBinding]] = {}
    for entry in in_order(active):
        if entry.binding.description and not entry.binding.system:
            owners.setdefault(_owner_name(entry.node), []).append(entry)
    return owners


def _owner_name(node: DOMNode) -> str:
    match node:
        case App():
            return "Anywhere"
        case Screen():
            return node.title or "Here"
        case _:
            return str(getattr(node, "TITLE", "") or type(node).__name__.removesuffix("Pane"))


def _merged(
    entries: Iterable[ActiveBinding], key_display: dict[str, str], why_not: Callable[[ActiveBinding], str]
) -> list[tuple[str, str, bool]]:
    merged: dict[str, tuple[list[str], str, bool]] = {}
    for entry in entries:
        binding = entry.binding
        text = spoken().get(binding.id or "") or binding.tooltip or binding.description
        if not entry.enabled:
            text += f" (not now: {reason})" if (reason := why_not(entry)) else " (not now)"
        keys, _, _ = merged.setdefault(text, ([], text, entry.enabled))
        shown = key_display[binding.key]
        if shown == LINE_KEYS:
            shown = binding.key
        if shown not in keys:
            keys.append(shown)
    return [(" ".join(keys), text, on) for keys, text, on in merged.values()]
