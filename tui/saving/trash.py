"""The trash: a folder inside the sessions folder, from which deleted sessions can be restored.

Only sessions that this program wrote are moved, either completely or not at all. The limits in the settings
apply to the trash as well.
"""

from __future__ import annotations

import os
from pathlib import Path

from tui.saving.deleting import TRASH, check_deletable
from tui.saving.folders import session_folders
from tui.saving.listing import session_named
from tui.saving.record import SavedSessionError
from tui.text.visible import one_line

_SAME_NAME = 100


def trash_of(parent: Path) -> Path:
    """Returns the trash folder inside a sessions folder; it need not exist."""
    return parent / TRASH


def move_to_trash(folder: Path) -> Path:
    """Moves a session into the trash next to it; returns its new folder.

    Raises `SavedSessionError` if this program did not write the session, or if the session is in use or may
    not be moved.
    """
    check_deletable(folder)
    if folder.parent.name == TRASH:
        raise SavedSessionError(f"{folder.name} is already in the trash.")
    trash = trash_of(folder.parent)
    try:
        trash.mkdir(mode=0o700, exist_ok=True)
        return _move(folder, trash, _free_name(trash, folder.name))
    except OSError as error:
        raise SavedSessionError(
            f"{folder} cannot be moved to the trash: {error.strerror or error}."
        ) from error


def restore(parent: Path, name: str) -> Path:
    """Moves a session out of the trash of ``parent``; returns the session's folder.

    ``name`` is the name of the session, or the beginning of the name. Raises `SavedSessionError` if the trash
    does not contain the session, or a session of that name already exists.
    """
    shown = one_line(name, 80)
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise SavedSessionError(f"{shown} is not the name of a session in the trash. Nothing was restored.")
    trash = trash_of(parent)
    names = [] if trash.is_symlink() else [folder.name for folder in session_folders(trash)]
    if not any(each.startswith(name) for each in names):
        raise SavedSessionError(
            f"No session {shown} in the trash. `opusagent-tui sessions --trash` lists what is there."
        )
    folder = session_named(trash, name, names)
    check_deletable(folder)
    if os.path.lexists(parent / folder.name):
        raise SavedSessionError(f"{folder.name} already exists in {parent}. Nothing was restored.")
    try:
        return _move(folder, parent, folder.name)
    except OSError as error:
        raise SavedSessionError(f"{folder} cannot be restored: {error.strerror or error}.") from error


def _free_name(trash: Path, name: str) -> str:
    names = (name if number == 1 else f"{name} {number}" for number in range(1, _SAME_NAME))
    free = next((each for each in names if not os.path.lexists(trash / each)), None)
    if free is None:
        raise OSError(f"the trash already has {_SAME_NAME - 1} sessions with that name")
    return free


def _move(folder: Path, into: Path, name: str) -> Path:
    """Renames a folder.

    Paths are relative to the open parents, so that a link in place of a parent is not followed.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    source = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The sessions folder itself may be a link created by the user; the trash is never a link.
        target = os.open(into, flags if into.name == TRASH else flags & ~os.O_NOFOLLOW)
        try:
            os.rename(folder.name, name, src_dir_fd=source, dst_dir_fd=target)
        finally:
            os.close(target)
    finally:
        os.close(source)
    return into / name
