"""Handles paths given by the user, and writes files atomically."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import tempfile
from pathlib import Path


def path_of(text: str) -> Path:
    """Converts a string to a path.

    ``~`` and ``~user`` are expanded; a path with an unknown user is left unchanged.
    """
    return Path(os.path.expanduser(text))  # noqa: PTH111 - the other one raises RuntimeError


def private_folder(path: Path) -> Path:
    """Creates a folder with mode 0700 unless it exists, and returns it. Raises `OSError`."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_atomically(path: Path, content: bytes, like: os.stat_result | None = None) -> None:
    """Replaces a file so that no reader ever sees a half-written file. Raises `OSError`.

    Only the owner may read the new file, unless ``like`` is given: the new file then gets that file's mode
    and, if possible, owner.
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
    """Writes to a path named by the user. Raises `OSError`.

    A regular file is replaced atomically and keeps its mode. Pipes, devices and open descriptors are written
    to directly. Links are followed.
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
    """Reads from a pipe until it is closed.

    Raises `OSError`, and `TimeoutError` if nothing arrives for ``timeout_s``. Open the pipe with ``O_NONBLOCK``.
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
