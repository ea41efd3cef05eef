"""Keeping only so many saved sessions, without being asked each time."""

from __future__ import annotations

from pathlib import Path

from tui.saving.listing import delete_session, superfluous
from tui.saving.reading import in_use
from tui.saving.record import SavedSessionError
from tui.text.visible import one_line

_NAMED = 3


def retain(parent: Path, *, keep_days: float | None, keep_count: int | None) -> str:
    """Delete what is older than so many days, and all but the newest so many; with neither, nothing.

    Gives one line about what is gone and what could not go; empty where nothing is to be told. What is written, or
    read by somebody (`SavedSession`), stays without a word. Raises nothing.
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
    return " ".join(filter(None, (_told(gone), problem)))


def _told(gone: list[str]) -> str:
    if not gone:
        return ""
    named = ", ".join(gone[:_NAMED]) + (" and more" if len(gone) > _NAMED else "")
    sessions = "saved session" if len(gone) == 1 else "saved sessions"
    return f"Deleted {len(gone)} {sessions} as [sessions] in the settings says: {named}."
