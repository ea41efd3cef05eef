"""The session browser, which lists the saved sessions, and opens, reports, compares or deletes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from tui.bridge import Bridge
from tui.library import Library
from tui.models.turns.figures import Thresholds
from tui.saving.listing import summarise
from tui.saving.record import SavedSessionError
from tui.saving.trash import move_to_trash, restore
from tui.screens.actions import Action, bindings
from tui.screens.page import Page
from tui.screens.styled_once import StyledOnce
from tui.text.visible import one_line
from tui.widgets.session_rows import SessionRows, SessionsView
from tui.widgets.writing import TextLine

SESSIONS = (
    Action("sessions_filter", "f,slash", "Filter",
           "Show only sessions with these words in the title, URL, protocol, date or outcome.",
           "filter", show=True),
    Action("sessions_mark", "space", "Mark", "Mark the session for comparison, or remove the mark.",
           "mark", show=True),
    Action("sessions_compare", "C", "Compare", "Compare the two marked sessions, or the marked session and this one.",
           "compare", show=True),
    Action("sessions_report", "R", "Report", "Save the session's report as a single HTML page.",
           "report", show=True),
    Action("sessions_trash", "D", "Trash",
           "Move the session to the trash; U or `opusagent-tui sessions restore` restores it.",
           "trash", show=True),
    Action("sessions_undo", "U", "Undo", "Restore the session that was last moved to the trash.",
           "undo", show=True),
    Action("sessions_new", "n", "New call", "Choose an agent to call.", "new", show=True),
    Action("sessions_back", "escape", "Back", "Clear the filter, then go back.", "back", show=True),
)  # fmt: skip


class SessionsScreen(StyledOnce, Page[Path | None], inherit_bindings=False):
    """Lists the saved sessions. Returns the folder of the session to open, or None."""

    CSS_PATH = "sessions.tcss"
    TITLE = "Sessions"
    ACTIONS = SESSIONS
    AUTO_FOCUS = "#sessions"
    BINDINGS: ClassVar[list[BindingType]] = bindings(SESSIONS)

    class TargetWanted(Message):
        """Requests the connect screen, where the user chooses an agent to call."""

    def __init__(
        self,
        bridge: Bridge,
        library: Library,
        thresholds: Thresholds,
        current: Path | None = None,
        *,
        has_below: bool = True,
    ) -> None:
        """Opens the list with the cursor on ``current``.

        ``has_below``: whether there is a screen to go back to.
        """
        super().__init__()
        self._has_below = has_below
        self.library = library
        self.rows = SessionRows()
        self.view = SessionsView(self.rows, thresholds, id="sessions")
        self.view.bridge = bridge
        self._filter = TextLine(
            id="filter", compact=True, placeholder="words in title, URL, protocol, date or outcome"
        )
        self._listing = library.listing()
        self._current = current
        self._trashed: list[Path] = []
        """Sessions that were moved to the trash on this screen, the latest last."""

    def body(self) -> ComposeResult:
        """Yields the filter and the table."""
        yield Horizontal(Label("Filter"), self._filter, id="filter-line")
        yield self.view

    def on_mount(self) -> None:
        """Starts reading the sessions."""
        self._listing.start()

    def on_unmount(self) -> None:
        """Stops reading the sessions."""
        self._listing.stop()

    def poll(self) -> None:
        """Shows the sessions that were read since the last call. The app calls this every tick."""
        if not self.view.is_attached:
            return
        done = self._listing.done  # read first, so that no session is missed
        found = self._listing.take()
        if found:
            here = self._here
            self.rows.take(found)
            self.view.show(here)
            self.refresh_bindings()
        if done and self.view.empty != self._why_empty():
            self.view.empty = self._why_empty()
            self.view.show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides keys that would have no effect."""
        if action == "filter":
            return not self._filter.has_focus
        if action in ("mark", "report", "trash"):
            return self.view.current is not None
        if action == "undo":
            return bool(self._trashed)
        if action == "compare":
            return bool(self.rows.marked)
        if action == "back":
            return bool(self.rows.filter) or self._filter.has_focus or self._has_below
        return True

    def key_labels(self) -> Mapping[str, str]:
        """Returns the label of escape while there is a filter, which it clears first."""
        return {"sessions_back": "Clear"} if self.rows.filter else {}

    # the filter

    @on(Input.Changed, "#filter")
    def _select(self) -> None:
        here = self._here
        self.rows.set_filter(self._filter.value)
        if self._listing.done:
            self.view.empty = self._why_empty()
        self.view.show(here)
        self.refresh_bindings()

    @on(Input.Submitted, "#filter")
    def _leave_filter(self) -> None:
        self.view.focus()

    def action_filter(self) -> None:
        """Moves the focus to the filter."""
        self._filter.focus()

    def action_back(self) -> None:
        """Clears the filter. If there is no filter, goes back to the previous screen."""
        if self.rows.filter:
            self._filter.value = ""
            self.view.focus()
        elif self._filter.has_focus:
            self.view.focus()
        elif self._has_below:
            self.dismiss(None)

    # the sessions

    @on(SessionsView.Opened)
    def open(self, event: SessionsView.Opened) -> None:
        """Closes the browser with the selected session."""
        self.dismiss(event.folder)

    def action_mark(self) -> None:
        """Marks the session for comparison, and moves to the next session."""
        if self.view.current is not None:
            self.rows.toggle(self.view.current.folder)
            self.view.action_cursor(1)
            self.refresh_bindings()

    def action_compare(self) -> None:
        """Compares the two marked sessions, with the older on the left.

        If only one session is marked, compares it with the session under the cursor.
        """
        from tui.screens.compare_sessions import CompareSessionsScreen

        chosen = set(self.rows.marked)
        if len(chosen) == 1 and self.view.current is not None:
            chosen.add(self.view.current.folder)
        oldest_first = [each.folder for each in reversed(self.rows.all) if each.folder in chosen]
        if len(oldest_first) == 2:
            self.app.push_screen(CompareSessionsScreen(self.library, *oldest_first))
        else:
            self.notify("Press space to mark another session to compare.", markup=False)

    def action_report(self) -> None:
        """Asks where to save the report of the session under the cursor."""
        from tui.screens.report import ReportScreen

        if self.view.current is not None:
            self.app.push_screen(ReportScreen(self.library, self.view.current.folder))

    def action_trash(self) -> None:
        """Moves the session under the cursor to the trash."""
        session = self.view.current
        if session is None:
            return
        try:
            self._trashed.append(move_to_trash(session.folder))
        except SavedSessionError as error:
            self.notify(one_line(str(error), 300), severity="error", markup=False)
            return
        self.rows.remove(session.folder)
        self.view.empty = self._why_empty()
        self.view.show()
        name = one_line(session.title or session.name, 60)
        self.notify(f"Moved “{name}” to the trash. Press U to restore it.", markup=False)
        self.refresh_bindings()

    def action_undo(self) -> None:
        """Restores the session that was last moved to the trash."""
        try:
            folder = restore(self.library.folder, self._trashed[-1].name)
        except SavedSessionError as error:
            self.notify(one_line(str(error), 300), severity="error", markup=False)
            return
        del self._trashed[-1]
        self.rows.take([summarise(folder)])
        self.view.show(folder)
        self.refresh_bindings()

    def action_new(self) -> None:
        """Requests the connect screen, where the user chooses an agent to call."""
        self.post_message(self.TargetWanted())

    @property
    def _here(self) -> Path | None:
        """The session under the cursor; until the user moves the cursor, the session given on opening."""
        shown = self.view.current
        if shown is not None and (shown.folder == self._current or self.view.cursor):
            self._current = None
        return self._current or (shown.folder if shown else None)

    def _why_empty(self) -> str:
        if self._listing.problem:
            return self._listing.problem
        if self.rows.all:
            return f"No session matches “{self.rows.filter}”. esc clears the filter."
        return f"No saved sessions in {self.library.folder}. Calls are saved there; press n to start one."
