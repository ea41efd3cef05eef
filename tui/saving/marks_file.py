"""``marks.jsonl``: the marks and notes of a session, one change per line.

Each change is appended in a single write. A crash therefore loses no entries, and two programs that have the
same session open do not overwrite each other's notes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from tui.models.log.marks import Marking, Marks
from tui.saving.folders import open_regular
from tui.saving.record import MARKS_FILE
from tui.text.json_text import json_of

_MAX_BYTES = 16 * 1024 * 1024

_markings: msgspec.json.Decoder[Marking] = msgspec.json.Decoder(Marking)


def read_marks(folder: Path) -> Marks:
    """Returns the marks and notes of the session in that folder. Lines that cannot be read are skipped."""
    marks = Marks()
    try:
        with os.fdopen(open_regular(folder / MARKS_FILE), "rb") as file:
            content = file.read(_MAX_BYTES)
    except OSError:
        return marks
    for line in content.splitlines():
        try:
            marks.apply(_markings.decode(line))
        except (ValueError, RecursionError):
            continue  # the line was cut off by a full disk, or written by a newer version
    return marks


def append_marking(folder: Path, change: Marking) -> None:
    """Saves one change. Raises `OSError`."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(folder / MARKS_FILE, flags, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{MARKS_FILE} is not a regular file")
        line = json_of(change) + b"\n"
        if status.st_size and os.pread(descriptor, 1, status.st_size - 1) != b"\n":
            line = b"\n" + line  # a full disk has cut off the previous line
        while line:
            line = line[os.write(descriptor, line) :]
    finally:
        os.close(descriptor)
