"""Exports the events of a saved session in the same formats as the log on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tui.models.filter.terms import Filter
from tui.models.log.event_log import EventLog
from tui.models.log.export import Export, ExportFormat, ExportReport, marked
from tui.models.log.view import EventView
from tui.saving.marks_file import read_marks
from tui.saving.reading import SavedSession


def export_session(
    saved: SavedSession,
    path: Path,
    format: ExportFormat,  # noqa: A002 - what it is
    wanted: Filter,
    *,
    only_marked: bool = False,
    raw: bool = False,
    overwrite: bool = False,
) -> ExportReport:
    """Writes the events that match a filter to a file. Raises `ExportError`."""
    log, marks = EventLog(), read_marks(saved.folder)
    for event in saved.events():
        log.apply(event)
    view = EventView(log, marks)
    view.set_filter(wanted)

    def select(among: Sequence[int]) -> Sequence[int]:
        found = view.select(among) if str(wanted) else among
        return marked(log, marks)(found) if only_marked else found

    return Export(
        log,
        select,
        path,
        format,
        marks=marks,
        raw=saved.raw_message if raw else None,
        overwrite=overwrite,
    ).run()
