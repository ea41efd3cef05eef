"""The Compare screen: the differences between two events."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from tui.bridge import Bridge
from tui.models.events import MessageLogged, SessionEvent
from tui.models.log.describe import describe
from tui.models.message.diff import Difference, compare
from tui.models.message.json import content_of, path_text
from tui.screens.actions import Action, bindings
from tui.screens.clipboard import copy
from tui.screens.page import Page
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.compare import CompareView

COMPARE = (
    Action("next_difference", "n", "Next", "Go to the next difference.", "difference", show=True),
    Action("previous_difference", "N", "Previous", "Go to the previous difference.",
           "difference(False)", show=True),
    Action("differences", "a", "All or differences", "Show everything, or only the differences.", show=True),
    Action("compare_copy_value", "y", "Copy",
           "Copy the value under the cursor (the right-hand one if there are two).",
           "copy_value", show=True),
    Action("compare_copy_path", "Y", "Copy path", "Copy the path of the value under the cursor.",
           "copy_path", show=True),
    Action("compare_close", "escape,D", "Back", "Go back to the log.", "close", key_display="esc", show=True),
)  # fmt: skip


class CompareScreen(Page[None], inherit_bindings=False):
    """Shows two events, the older one on the left or above."""

    CSS_PATH = "compare.tcss"
    TITLE = "Compare"
    BINDINGS: ClassVar[list[BindingType]] = bindings(COMPARE)

    def __init__(self, bridge: Bridge, left: int, right: int) -> None:
        """Compares the events at the positions ``left`` and ``right`` in the log."""
        super().__init__()
        events, start_ns = bridge.log.events, bridge.log.events.at_ns[0]
        one, other = events[left], events[right]
        contents = [
            content_of(
                event, bridge.raw_message(event) if isinstance(event, MessageLogged) else None, start_ns
            )
            for event in (one, other)
        ]
        self.comparison = compare(*contents)
        self._heads = [
            f"- {_head(one, start_ns)}",
            f"+ {_head(other, start_ns)} · Δ {(other.at_ns - one.at_ns) / 1e9:.3f} s",
        ]
        self.view = CompareView(self.comparison, id="compare")
        self._head = Static(id="head", markup=False)
        self._path = Static(id="path", markup=False)

    def body(self) -> ComposeResult:
        """Composes the widgets from top to bottom."""
        yield self._head
        yield self.view
        yield self._path

    def on_mount(self) -> None:
        """Goes to the first difference."""
        self._head.update("\n".join(self._heads))
        self.view.border_title = f"Compare · {self.comparison}"
        self.view.focus()

    @on(CompareView.Moved)
    def show_path(self) -> None:
        """Shows the path of the row under the cursor."""
        row = self.view.row
        line = "" if row is None else f"{_MARKS[row.difference]}  {path_text(row.path)}"
        self._path.update(one_line(line, 400))

    def action_differences(self) -> None:
        """Switches between showing all rows and showing only the differences."""
        self.view.show_all(differences_only=not self.view.differences_only)

    def action_difference(self, forward: bool = True) -> None:
        """Goes to the next difference, or to the previous one if not ``forward``."""
        if not self.view.go_to_difference(forward=forward):
            self.notify("No more differences in that direction.", markup=False)

    def action_copy_value(self) -> None:
        """Copies the value under the cursor."""
        copied = self.view.copied()
        if copied is not None:
            copy(self.app, *copied)

    def action_copy_path(self) -> None:
        """Copies the path of the value under the cursor."""
        row = self.view.row
        if row is not None:
            copy(self.app, "path", path_text(row.path))


_MARKS = {
    Difference.SAME: "the same",
    Difference.ADDED: "only right",
    Difference.REMOVED: "only left",
    Difference.CHANGED: "changed",
}


def _head(event: SessionEvent, start_ns: int) -> str:
    what = describe(event)
    when = numbers.since(event.at_ns, start_ns)
    return (
        f"#{event.number} {when} {what.arrow} {one_line(what.kind, 60)} {one_line(what.summary, 80)}".rstrip()
    )
