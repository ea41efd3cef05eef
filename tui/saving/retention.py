"""Deleting old sessions automatically, within the limits of the settings."""

from __future__ import annotations

from pathlib import Path

from tui.saving.listing import delete_session, superfluous
from tui.saving.reading import in_use
from tui.saving.record import SavedSessionError
from tui.text.visible import one_line

_NAMED = 3


def retain(parent: Path, *, keep_days: float | None, keep_count: int | None) -> str:
    """Delete sessions older than ``keep_days`` and all but the newest ``keep_count``; without limits, none.

    Returns one line about deleted sessions and failures; empty if there were none. Sessions that are being written,
    or read by a `SavedSession`, are skipped. Raises nothing.
    """
    if keep_days is None and keep_count is None:
        return ""
    gone: list[str] = []
    problem = ""
    for folder in superfluous(parent, keep_days=keep_days, keep_count=keep_count):
        if in_use(folder):
            continue
        try:
            delete_session(folder)
        except SavedSessionError as error:
            problem = str(error)
        else:
            gone.append(one_line(folder.name, 60))
    return " ".join(filter(None, (_report(gone), problem)))


def _report(gone: list[str]) -> str:
    if not gone:
        return ""
    named = ", ".join(gone[:_NAMED]) + (" and more" if len(gone) > _NAMED else "")
    sessions = "saved session" if len(gone) == 1 else "saved sessions"
    return f"Deleted {len(gone)} {sessions} beyond the limits in [sessions] of the settings: {named}."
