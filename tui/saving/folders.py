"""Folders of saved sessions: where they are, how they are named, and how to read them safely."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from platformdirs import user_data_path

from tui.saving.record import EVENTS_FILE, RECORD_FILE, SavedSessionError, SavingError

NAME_TIME = "%Y-%m-%dT%H-%M-%SZ"
"""Format of the time (UTC) at the beginning of the name of a session's folder."""
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ [\w.-]+( \d{1,2})?")
_UNSAFE = re.compile(r"[^\w.-]+")
_TITLE_LENGTH = 60
_SAME_SECOND = 100


def default_folder() -> Path:
    """Returns the default folder of saved sessions; it need not exist."""
    return user_data_path("opusagent-tui") / "sessions"


def new_session_folder(parent: Path, title: str, now: datetime) -> Path:
    """Creates the folder for a session that begins now; only the user can read it. Raises `SavingError`."""
    name = f"{now.strftime(NAME_TIME)} {safe_title(title)}"
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(1, _SAME_SECOND):
            folder = parent / (name if number == 1 else f"{name} {number}")
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise SavingError(f"Cannot write to {parent}: {error.strerror or error}") from error
    raise SavingError(f"{parent} already has {_SAME_SECOND} sessions that started in the same second")


def safe_title(title: str) -> str:
    """Shortens a title for a folder name, and removes separators, blanks and a leading dot."""
    return _UNSAFE.sub("-", title)[:_TITLE_LENGTH].strip("-.") or "session"


def has_session_name(folder: Path) -> bool:
    """Returns whether the folder has a name that `new_session_folder` creates."""
    return _NAME.fullmatch(folder.name) is not None


def report_path(folder: Path) -> Path:
    """Returns the default path of a session's report, which is next to the session's folder."""
    return folder.with_name(f"{folder.name}.html")


def session_folders(parent: Path) -> Iterator[Path]:
    """Yields the folders in ``parent`` that contain a session, oldest name first. Links are not followed.

    Unreadable folders are included if they are named like a session. Yields nothing if ``parent`` does not
    exist. Raises `SavedSessionError` if ``parent`` is not a folder or cannot be read.
    """
    try:
        entries = sorted(os.scandir(parent), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise SavedSessionError(f"{parent} is not a folder.") from error
    except OSError as error:
        raise SavedSessionError(f"{parent} cannot be read: {error.strerror or error}.") from error
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False) and (is_session(path) or _is_closed_session(path)):
            yield path


def _is_closed_session(folder: Path) -> bool:
    return has_session_name(folder) and not os.access(folder, os.R_OK | os.X_OK)


def is_session(folder: Path) -> bool:
    """Returns whether a folder contains files of a session."""
    return any(is_file(folder / name) for name in (RECORD_FILE, EVENTS_FILE))


def open_regular(path: Path) -> int:
    """Opens a regular file for reading. Rejects links and devices, which a session from elsewhere may contain.

    Raises `OSError`.
    """
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is not a regular file")
    return descriptor


def is_file(path: Path) -> bool:
    """Returns whether the path is a regular file, not a link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
