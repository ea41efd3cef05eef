"""Temporary files of processes that may be killed.

A file is locked while it is in use, and removed once no process has it open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from pathlib import Path

_PREFIX = "opusagent-tui-"


def create_temporary(suffix: str) -> tuple[int, Path]:
    """Creates a private file; returns its descriptor and path. Raises `OSError`.

    The file is in use until the descriptor and all copies of it are closed.
    """
    descriptor, path = tempfile.mkstemp(prefix=_PREFIX, suffix=suffix)
    with contextlib.suppress(OSError):  # without locks, the file never counts as abandoned
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor, Path(path)


def remove_abandoned(suffix: str, *, keep: int = 0) -> None:
    """Removes the user's files that no process has open, except the newest ``keep`` non-empty files."""
    folder = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(folder) if name.startswith(_PREFIX) and name.endswith(suffix)]  # noqa: PTH208
        abandoned = [(status, name) for name in names if (status := _status_of_abandoned(folder / name))]
        abandoned.sort(key=lambda each: each[0].st_mtime_ns, reverse=True)
        kept = [name for status, name in abandoned if status.st_size][:keep]
        for _, name in abandoned:
            if name not in kept:
                (folder / name).unlink(missing_ok=True)


def _status_of_abandoned(path: Path) -> os.stat_result | None:
    """Returns the status of a file; None if another user owns it or a process has it open."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return None
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return status
