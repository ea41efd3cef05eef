"""The export dialog, with a choice of events, format and file, and the progress of the export."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static

from tui.bridge import Bridge
from tui.files import path_of
from tui.models.log.export import Export, ExportError, ExportFormat, Selection, everything, marked
from tui.models.log.view import EventView
from tui.screens.actions import DIALOG, Action, bindings
from tui.text.visible import one_line
from tui.widgets.choice import Choice
from tui.widgets.writing import TextLine

EXPORT = (
    Action("export_start", "ctrl+s", "Export", "Write the file.", "export"),
    Action("export_close", "escape", "Close", "Close, and cancel an export in progress.", "close"),
    *DIALOG,
)
HINT = "tab or ↑ ↓ next field · enter open a list · ^s export · esc close"
BUDGET_MS = 20.0
"""Time per tick for writing, in ms."""
_FORMATS = {
    ExportFormat.JSONL.value: "JSON Lines, for programs",
    ExportFormat.CSV.value: "CSV, for a spreadsheet",
    ExportFormat.TEXT.value: "Text, for reading",
}
_BAR_CELLS = 30


class ExportScreen(ModalScreen[None], inherit_bindings=False):
    """The export dialog. Call `poll` every tick while the dialog is shown."""

    CSS_PATH = "export.tcss"
    TITLE = "Export"
    AUTO_FOCUS = "#path"
    BINDINGS: ClassVar[list[BindingType]] = bindings(EXPORT)

    def __init__(self, bridge: Bridge, view: EventView, folder: Path) -> None:
        super().__init__()
        self.bridge, self.view = bridge, view
        every = {"all": f"All events ({len(bridge.log.events):,})"}
        marks = {"marked": f"Marked events ({len(view.marks):,})"}
        # The first entry is the default: what the title of the log counts.
        if str(view.filter):
            what = {"shown": f"Events that match the filter: {view.filter}", **marks, **every}
        else:
            what = {**every, "shown": "Events that have a row in the log", **marks}
        self.what = Choice(what, id="what")
        self.format = Choice(_FORMATS, id="format")
        # Named after the session, so that the next session's export has a different name.
        session = bridge.folder.path
        name = "events.jsonl" if session is None else f"{session.name}.jsonl"
        self.path = TextLine(str(folder / name), id="path", compact=True, select_on_focus=False)
        self.raw = Choice({"no": "Without the raw messages", "yes": "With the raw messages"}, id="raw")
        self.existing = Choice(
            {"keep": "Don't overwrite", "replace": "Overwrite existing file"}, id="existing"
        )
        self.status = Static(id="status", markup=False)
        self._export: Export | None = None
        self._progress = 0.0

    def compose(self) -> ComposeResult:
        """Yields the form."""
        with Vertical(id="export") as box:
            box.border_title = "Export events"
            for label, field in (
                ("What", self.what),
                ("Format", self.format),
                ("", self.raw),
                ("File", self.path),
                ("", self.existing),
            ):
                yield Horizontal(Label(label), field, classes="field")
            yield self.status
            with Horizontal(id="buttons"):
                yield Button("Export", id="start", variant="primary", compact=True)
                yield Button("Close", id="close", compact=True)
            yield Static(HINT, id="hint", markup=False)

    def on_mount(self) -> None:
        """Puts the cursor at the end of the file name."""
        self.path.show_end()

    def on_unmount(self) -> None:
        """Cancels a running export, so that no partial file is left."""
        if self._export is not None:
            self._export.cancel()

    def poll(self) -> None:
        """Writes a slice of a running export. The app calls this every tick."""
        export = self._export
        if export is None:
            return
        try:
            report = export.step(BUDGET_MS)
        except ExportError as error:
            self._export = None
            self._show(str(error))
            return
        if report is None:
            self._show(f"{'█' * round(self._progress * _BAR_CELLS):<{_BAR_CELLS}} {self._progress:.0%}")
        else:
            self._export = None
            self.app.notify(one_line(str(report), 400), title="Exported", markup=False)
            self.dismiss()

    @on(Input.Submitted)
    @on(Button.Pressed, "#start")
    def action_export(self) -> None:
        """Starts the export."""
        if self._export is not None:
            return
        if not self.path.value.strip():
            self._show("Enter a file name.")
            return
        try:
            self._export = Export(
                self.bridge.log,
                self._selection(),
                path_of(self.path.value.strip()),
                ExportFormat(self.format.chosen),
                marks=self.view.marks,
                raw=self.bridge.raw_message if self.raw.chosen == "yes" else None,
                overwrite=self.existing.chosen == "replace",
            )
        except ExportError as error:
            self._show(str(error))
        except ValueError as error:  # a null character
            self._show(f"Not a valid file name: {error}.")
        else:
            self._export.add_progress_callback(self._progressed)

    @on(Button.Pressed, "#close")
    def action_close(self) -> None:
        """Closes the dialog. If an export is running, cancels it and shows a notice."""
        if self._export is not None:
            self.app.notify("Export canceled; nothing was written.", markup=False)
        self.dismiss()

    @on(Select.Changed, "#format")
    def _end_name(self) -> None:
        path = Path(self.path.value)
        if path.suffix.lstrip(".") in _FORMATS and path.suffix != f".{self.format.chosen}":
            self.path.value = str(path.with_suffix(f".{self.format.chosen}"))

    def _selection(self) -> Selection:
        match self.what.chosen:
            case "shown":
                return self.view.select
            case "marked":
                return marked(self.bridge.log, self.view.marks)
            case _:
                return everything

    def _progressed(self, fraction: float) -> None:
        self._progress = fraction

    def _show(self, text: str) -> None:
        self.status.update(one_line(text, 400))
