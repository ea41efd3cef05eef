"""Deletes sessions by name, or the sessions that exceed the limits in the settings.

Only files that this program wrote are deleted.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from tui.saving.folders import has_session_name, is_file, is_session, report_path, session_folders
from tui.saving.listing import list_sessions, session_named, size_of_session
from tui.saving.reading import in_use, is_running, read_record_file
from tui.saving.record import PROGRAM, SESSION_FILES, Outcome, SavedSessionError
from tui.text.visible import one_line

TRASH = ".trash"
"""Name of the folder inside the sessions folder from which sessions can be restored; see `tui.saving.trash`."""
_NAMED = 3


class Deletion(msgspec.Struct, frozen=True):
    """The result of deleting one session, or of a dry run."""

    folder: Path
    size_bytes: int = 0
    """Disk usage of the removed files, in bytes."""
    left: tuple[str, ...] = ()
    """Names of the other files in the folder; these files and the folder are kept."""
    report: Path | None = None
    """Path of a report next to the folder; the report is kept."""
    problem: str = ""
    """Sentence that explains why nothing was deleted; empty if there was no problem."""


class _Origin(msgspec.Struct):
    """The fields of ``session.json`` that identify the program that wrote it."""

    schema: int
    program: str


def find_to_delete(parent: Path, name: str) -> Path:
    """Finds a session in ``parent`` by the name of its folder or the beginning of the name.

    Raises `SavedSessionError`.
    """
    if not name.strip():
        raise SavedSessionError("No session name was given. Nothing was deleted.")
    if name in (".", "..") or "/" in name or "\0" in name:
        raise SavedSessionError(
            f"{one_line(name, 80)} is not the name of a session in {parent}. Nothing was deleted. "
            "To delete a session stored elsewhere, run `opusagent-tui sessions --save DIR delete NAME`."
        )
    exact = parent / name
    if exact.is_symlink():
        raise SavedSessionError(f"{one_line(name, 80)} is a link, not a session. Nothing was deleted.")
    found = session_named(parent, name, [folder.name for folder in session_folders(parent)])
    _check_own(found)
    return found


def superfluous(parent: Path, *, keep_days: float | None, keep_count: int | None) -> list[Path]:
    """Returns the sessions that exceed a limit, newest first.

    A session exceeds a limit if it is older than ``keep_days`` or not among the newest ``keep_count``.
    Running sessions are never returned. The age limit does not apply to sessions of unknown age. Folders that
    are not sessions of this program are neither counted nor returned. Raises `SavedSessionError`.
    """
    oldest = datetime.now(UTC) - timedelta(days=keep_days) if keep_days is not None else None
    found: list[Path] = []
    own = (summary for summary in list_sessions(parent) if is_own(summary.folder))
    for index, summary in enumerate(own):
        too_old = oldest is not None and summary.started is not None and summary.started < oldest
        too_many = keep_count is not None and index >= keep_count
        if (too_old or too_many) and summary.outcome != Outcome.RUNNING:
            found.append(summary.folder)
    return found


def with_trash(parent: Path) -> list[Path]:
    """Returns the sessions folder and, if it exists, its trash. Limits apply to both folders.

    A link in place of the trash folder is ignored.
    """
    trash = parent / TRASH
    return [parent, trash] if trash.is_dir() and not trash.is_symlink() else [parent]


def delete_sessions(folders: Iterable[Path], *, dry_run: bool = False) -> list[Deletion]:
    """Deletes the given sessions. A dry run returns the same results, but deletes nothing.

    If a session cannot be deleted, its result contains the problem.
    """
    done = []
    for folder in folders:
        try:
            done.append(delete_session(folder, dry_run=dry_run))
        except SavedSessionError as error:
            done.append(Deletion(folder, problem=str(error)))
    return done


def delete_session(folder: Path, *, dry_run: bool = False) -> Deletion:
    """Deletes the session files that this program wrote, and then the folder if no other files are left.

    Raises `SavedSessionError` if this program did not write the session, or if the session is in use or may
    not be deleted.
    """
    check_deletable(folder)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            own, left = _contents(descriptor)
            size_bytes = size_of_session(folder, own)
            if not dry_run:
                # Relative to the folder that was checked, so that a link that has replaced it since then is
                # not followed.
                for name in own:
                    os.unlink(name, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        if not dry_run and not left:
            left = _remove_empty(folder)
    except OSError as error:
        raise SavedSessionError(f"{folder} cannot be deleted: {error.strerror or error}.") from error
    report = report_path(folder)
    return Deletion(folder, size_bytes, left, report if is_file(report) else None)


def is_own(folder: Path) -> bool:
    """Returns whether this program created the folder, according to its ``session.json``.

    If ``session.json`` is damaged or missing, the folder must have a name that this program creates, and
    contain only this program's files.
    """
    if folder.name in ("", "..") or folder.is_symlink() or not folder.is_dir() or not is_session(folder):
        return False
    try:
        origin = msgspec.json.decode(read_record_file(folder), type=_Origin)
    except msgspec.ValidationError:
        return False  # the file is intact, and another program wrote it
    except (OSError, ValueError, RecursionError):
        return has_session_name(folder) and not _others(folder)
    return origin.schema >= 1 and origin.program.partition(" ")[0] == PROGRAM


def check_deletable(folder: Path) -> None:
    """Raises `SavedSessionError` unless this program wrote the session and the session is not in use."""
    _check_own(folder)
    if is_running(folder):
        raise SavedSessionError(f"{folder.name} is still being saved. End its call first.")
    if in_use(folder):
        raise SavedSessionError(
            f"{folder.name} is open in another opusagent-tui window. Close it there first."
        )


def _check_own(folder: Path) -> None:
    if not is_own(folder):
        raise SavedSessionError(f"{folder} is not a session of this program. Nothing was deleted.")


def retain(parent: Path, *, keep_days: float | None, keep_count: int | None) -> str:
    """Deletes sessions older than ``keep_days`` and all but the newest ``keep_count``, including those in the trash.

    Deletes nothing if both limits are None. Returns one line about deleted sessions and failures; empty if
    there were none. Never raises.
    """
    if keep_days is None and keep_count is None:
        return ""
    try:
        done = delete_sessions(
            folder
            for each in with_trash(parent)
            for folder in superfluous(each, keep_days=keep_days, keep_count=keep_count)
        )
    except SavedSessionError as error:
        return str(error)
    gone = [deletion for deletion in done if not deletion.problem]
    left = [f"{one_line(each.folder.name, 60)}/{one_line(name, 60)}" for each in gone for name in each.left]
    problem = next((deletion.problem for deletion in done if deletion.problem), "")
    stays = f"Not deleted, because this program did not write it: {_some(left)}." if left else ""
    return " ".join(filter(None, (_report(gone), stays, problem)))


def _report(gone: list[Deletion]) -> str:
    if not gone:
        return ""
    sessions = "saved session" if len(gone) == 1 else "saved sessions"
    named = _some([one_line(deletion.folder.name, 60) for deletion in gone])
    return f"Deleted {len(gone)} {sessions} beyond the limits in [sessions] of the settings: {named}."


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" and more" if len(names) > _NAMED else "")


def _contents(folder: int | Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of this program's files in a folder, in order of deletion, and of all other files."""
    with os.scandir(folder) as entries:
        files = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    own = tuple(name for name in SESSION_FILES if files.get(name))
    return own, tuple(sorted(files.keys() - set(own)))


def _others(folder: Path) -> bool:
    """Returns whether the folder contains files that this program did not write.

    Also returns True if the folder cannot be read.
    """
    try:
        return bool(_contents(folder)[1])
    except OSError:
        return True


def _remove_empty(folder: Path) -> tuple[str, ...]:
    """Removes the folder unless it contains files; returns their names."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        with contextlib.suppress(OSError):
            return _contents(folder)[1]
    return ()
