"""Files of the user's: where they are, and how they are never seen half written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def path_of(text: str) -> Path:
    """A path as it is written, ``~`` and ``~user`` too; that of a user there is none of stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - the other one raises RuntimeError


def private_folder(path: Path) -> Path:
    """A folder that is there, made for its owner alone where it was not. Raises `OSError`."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that nobody ever sees half of it. Raises `OSError`."""
    written = _written_beside(path, content)
    try:
        written.replace(path)
    except OSError:
        written.unlink(missing_ok=True)
        raise


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, whole or not at all. Raises `FileExistsError`, `OSError`."""
    written = _written_beside(path, content)
    try:
        path.hardlink_to(written)
    finally:
        written.unlink(missing_ok=True)


def _written_beside(path: Path, content: bytes) -> Path:
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
