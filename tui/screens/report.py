"""The dialog that saves the report of a session."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from tui.files import path_of
from tui.library import CommandFailed, Library
from tui.saving.folders import report_path
from tui.screens.actions import DIALOG, Action, bindings
from tui.text.visible import one_line
from tui.widgets.choice import Choice
from tui.widgets.writing import TextLine

REPORT = (
    Action("report_save", "ctrl+s", "Save", "Save the report.", "save"),
    Action("report_close", "escape", "Close", "Close, and cancel a report in progress.", "close"),
    *DIALOG,
)
HINT = "enter save · tab or ↑ ↓ next field · esc close\nYour notes (a) and marks (b) are in the report."


class ReportScreen(ModalScreen[None], inherit_bindings=False):
    """Asks for a file name, and creates the report in a separate process."""

    CSS_PATH = "report.tcss"
    TITLE = "Report"
    AUTO_FOCUS = "#path"
    BINDINGS: ClassVar[list[BindingType]] = bindings(REPORT)

    def __init__(self, library: Library, folder: Path) -> None:
        super().__init__()
        self._library, self._folder = library, folder.resolve()
        self._beside = report_path(self._folder)
        self.path = TextLine(str(self._beside), id="path", compact=True, select_on_focus=False)
        self.browser = Choice({"no": "Only save it", "yes": "Open it in the web browser"}, id="browser")
        self.status = Static(id="status", markup=False)
        self._making = False

    def compose(self) -> ComposeResult:
        """Yields the form."""
        with Vertical(id="report") as box:
            box.border_title = "Save report"
            for label, field in (("File", self.path), ("Then", self.browser)):
                yield Horizontal(Label(label), field, classes="field")
            yield self.status
            with Horizontal(id="buttons"):
                yield Button("Save", id="save", variant="primary", compact=True)
                yield Button("Close", id="close", compact=True)
            yield Static(HINT, id="hint", markup=False)

    def on_mount(self) -> None:
        """Puts the cursor at the end of the file name."""
        self.path.show_end()

    @on(Input.Submitted)
    @on(Button.Pressed, "#save")
    def action_save(self) -> None:
        """Starts creating the report."""
        name = self.path.value.strip()
        if self._making:
            return
        if not name:
            self._show("Enter a file name.")
            return
        try:
            path = path_of(name)
            # The session's default report is replaced without asking.
            taken = path.resolve() != self._beside and path.exists()
        except (OSError, ValueError) as error:
            self._show(f"Not a valid file name: {error}.")
            return
        if taken:
            self._show(f"{path} already exists. Choose another name.")
        else:
            self._making = True
            self._make(path)

    @work(exclusive=True, group="report", description="make a report")
    async def _make(self, path: Path) -> None:
        self._show("Measuring the session and writing the report…")
        try:
            await self._library.report(self._folder, path, show=self.browser.chosen == "yes")
        except (CommandFailed, OSError) as error:
            self._making = False
            self._show(f"The report was not saved: {error}")
        else:
            self.app.notify(one_line(str(path), 400), title="Report saved", markup=False)
            self.dismiss()

    @on(Button.Pressed, "#close")
    def action_close(self) -> None:
        """Closes the dialog, and cancels a report that is not finished."""
        self.dismiss()

    def _show(self, text: str) -> None:
        self.status.update(one_line(text, 400))
