"""Converts paths that the user typed, and writes files atomically."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import tempfile
from pathlib import Path


def path_of(text: str) -> Path:
    """Converts text that the user typed to a path.

    Expands ``~`` and ``~user``; leaves a path with an unknown user unchanged.
    """
    return Path(os.path.expanduser(text))  # noqa: PTH111 - the other one raises RuntimeError


def private_folder(path: Path) -> Path:
    """Creates a folder with mode 0700, unless it exists; returns ``path``. Raises `OSError`."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_atomically(path: Path, content: bytes, like: os.stat_result | None = None) -> None:
    """Replaces a file so that no reader ever sees a half-written file. Raises `OSError`.

    Only the owner may read the new file. With ``like``, the new file gets the mode and, if possible, the
    owner of that file.
    """
    written = _written_beside(path, content)
    try:
        if like is not None:
            with contextlib.suppress(PermissionError):
                os.chown(written, like.st_uid, like.st_gid)
            written.chmod(stat.S_IMODE(like.st_mode))
        written.replace(path)
    except OSError:
        written.unlink(missing_ok=True)
        raise


def write_to(path: Path, content: bytes) -> None:
    """Writes to a path that the user named. Raises `OSError`.

    Replaces a regular file atomically and keeps its mode. Writes directly to pipes, devices and open
    descriptors. Follows links.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        write_atomically(path.resolve(), content)
        return
    # Renaming a file over /dev/stdout would remove that name for every process.
    if not stat.S_ISREG(status.st_mode) or path.absolute().parts[1] in ("dev", "proc"):
        _write_through(path, content, os.O_APPEND)
        return
    try:
        write_atomically(path.resolve(), content, status)
    except PermissionError:  # the folder belongs to another user, but the file does not
        _write_through(path, content, os.O_TRUNC)


def read_stream(descriptor: int, *, timeout_s: float, most_bytes: int) -> bytes:
    """Reads a pipe, which must have been opened with ``O_NONBLOCK``, until its end.

    Raises `OSError`, and `TimeoutError` if nothing arrives for ``timeout_s``.
    """
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    content = bytearray()
    while len(content) <= most_bytes:
        if not waiting.poll(timeout_s * 1000):
            raise TimeoutError
        try:
            piece = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            continue
        if not piece:
            return bytes(content)
        content += piece
    raise OSError(errno.EFBIG, f"it is larger than {most_bytes // 1024**2} MB")


def write_new(path: Path, content: bytes) -> None:
    """Writes a new file, completely or not at all. Raises `FileExistsError`, `OSError`."""
    written = _written_beside(path, content)
    try:
        path.hardlink_to(written)
    finally:
        written.unlink(missing_ok=True)


def _write_through(path: Path, content: bytes, flag: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC | flag), "wb") as file:
        file.write(content)


def _written_beside(path: Path, content: bytes) -> Path:
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
